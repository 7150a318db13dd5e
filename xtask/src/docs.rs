//! `cargo xtask docs`: tables of docs/reference that the code itself writes.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::shell::{Shell, cargo};
use crate::{cases, links};

pub(crate) fn run(shell: &Shell, check: bool) -> Result<()> {
    if check {
        return checked(shell);
    }
    let out = shell.root.join("docs/reference");
    fs::create_dir_all(&out)?;
    fs::write(out.join("abuse-cases.md"), cases::page(&shell.root)?).context("docs/reference/abuse-cases.md")?;
    shell.run("reference tables", writer(&out))
}

fn writer(out: &std::path::Path) -> std::process::Command {
    let mut run = cargo(&["run", "--quiet", "-p", "portcullis", "--", "docs-reference", "--out"]);
    run.arg(out);
    run
}

/// Writes the tables beside the target folder's other things and compares.
pub(crate) fn checked(shell: &Shell) -> Result<()> {
    let fresh = shell.target.join("docs-reference");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(&fresh)?;
    shell.run("reference tables, checked", writer(&fresh))?;
    let mut stale = Vec::new();
    for entry in fs::read_dir(&fresh)? {
        let entry = entry?;
        let kept = shell.root.join("docs/reference").join(entry.file_name());
        let made = fs::read(entry.path()).context("a fresh table")?;
        if fs::read(&kept).ok() != Some(made) {
            stale.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    cases::is_true(&shell.root)?;
    links::are_true(&shell.root)?;
    if !stale.is_empty() {
        stale.sort();
        bail!("docs/reference: {} not as the code says; run `cargo xtask docs`", stale.join(", "));
    }
    Ok(())
}
