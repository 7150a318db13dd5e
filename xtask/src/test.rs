//! `cargo xtask test`: all tests there are.

use anyhow::Result;

use crate::shell::{Shell, cargo};
use crate::{TestArgs, docs, examples, install};

/// A part that runs after cargo's own tests.
type Hook = fn(&Shell) -> Result<()>;

const HOOKS: [Hook; 3] = [docs::checked, examples::npm, examples::python];

/// Every part runs, even after one that failed; the summary tells.
pub(crate) fn run(shell: &Shell, args: &TestArgs) -> Result<()> {
    install::all(shell)?;
    let mut tests = cargo(&["test", "--workspace"]);
    tests.args(features(shell)).args(&args.args);
    if args.long {
        tests.env("PORTCULLIS_LONG", "1");
    }
    let mut problems = Vec::new();
    problems.extend(shell.run("cargo test, golden replay and browser included", tests).err());
    for hook in HOOKS {
        problems.extend(hook(shell).err());
    }
    shell.summary()?;
    match problems.pop() {
        // A part that could not even start is in no summary.
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

/// Features that tests ask for because they need more than Rust and a C compiler, or more time.
const FEATURES: [&str; 2] = ["browser", "server"];

/// `--features` for every crate that has some of them.
pub(crate) fn features(shell: &Shell) -> Vec<String> {
    let mut found = Vec::new();
    for package in shell.metadata.workspace_packages() {
        let has = |name: &&&str| package.features.contains_key(**name);
        let named = FEATURES.iter().filter(has).map(|f| format!("{}/{f}", package.name));
        found.extend(named);
    }
    if found.is_empty() {
        return Vec::new();
    }
    vec!["--features".to_owned(), found.join(",")]
}
