//! `cargo xtask ci`: what must hold before a change is taken.

use anyhow::Result;

use crate::shell::{Shell, answers, cargo};
use crate::{TestArgs, test};

const DENY_VERSION: &str = "0.20.2";

pub(crate) fn run(shell: &Shell, args: &TestArgs) -> Result<()> {
    shell.run("formatting", cargo(&["fmt", "--all", "--check"]))?;
    let lints = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    shell.run("lints", cargo(&lints))?;
    if !answers("cargo", &["deny", "--version"]) {
        let install = ["install", "--locked", "cargo-deny", "--version", DENY_VERSION];
        shell.run("install cargo-deny", cargo(&install))?;
    }
    let deny = ["deny", "check", "bans", "licenses", "sources"];
    shell.run("dependencies", cargo(&deny))?;
    test::run(shell, args)
}
