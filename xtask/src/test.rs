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
    tests.args(browser_features(shell)).args(&args.args);
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

/// `--features` for every crate with tests that need a browser.
pub(crate) fn browser_features(shell: &Shell) -> Vec<String> {
    let with = |p: &&cargo_metadata::Package| p.features.contains_key("browser");
    let packages = shell.metadata.workspace_packages();
    let features: Vec<String> = packages.into_iter().filter(with).map(|p| format!("{}/browser", p.name)).collect();
    if features.is_empty() {
        return Vec::new();
    }
    vec!["--features".to_owned(), features.join(",")]
}
