//! `cargo xtask test`: all tests there are.

use anyhow::{Result, ensure};

use crate::shell::{Shell, cargo};
use crate::{TestArgs, docs, examples, install};

/// A part of the tests, by the name that `--part` takes.
type Part = (&'static str, fn(&Shell, &TestArgs) -> Result<()>);

const PARTS: [Part; 2] = [("rust", rust), ("docs", |shell, _| docs::checked(shell))];

/// Every part runs, even after one that failed; the summary tells.
pub(crate) fn run(shell: &Shell, args: &TestArgs) -> Result<()> {
    let wanted = |name: &str| args.part.as_deref().is_none_or(|part| part == name);
    let parts: Vec<&Part> = PARTS.iter().filter(|(name, _)| wanted(name)).collect();
    let ran = parts.len();
    ensure!(ran > 0, "--part is one of rust, docs");
    if wanted("rust") {
        install::all(shell)?;
        examples::prepare(shell)?;
    }
    let mut problems = Vec::new();
    for (_, part) in parts {
        problems.extend(part(shell, args).err());
    }
    shell.summary();
    for problem in &problems {
        println!("  {problem:#}");
    }
    ensure!(problems.is_empty(), "{} of {ran} parts failed", problems.len());
    Ok(())
}

fn rust(shell: &Shell, args: &TestArgs) -> Result<()> {
    let mut tests = cargo(&["test", "--workspace"]);
    tests.args(features(shell)).args(&args.args);
    if args.long {
        tests.env("PORTCULLIS_LONG", "1");
    }
    shell.run("cargo test, golden replay, browser, SDK and examples included", tests)
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
