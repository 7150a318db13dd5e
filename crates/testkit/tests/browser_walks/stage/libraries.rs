//! The foreign libraries, as npm installed them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::root;

/// The folder of the pages with foreign libraries.
pub(crate) fn folder() -> PathBuf {
    root().join("crates/testkit/clients")
}

fn read(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| {
        format!("{} is missing: run `npm ci` in crates/testkit/clients, or `cargo xtask test`", file.display())
    })?;
    Ok(serde_json::from_str(&text)?)
}

/// That `library` stands there as published: the version of the lock file, from the archive whose hash it pins, and no
/// patch step in between.
pub(crate) fn is_unmodified(library: &str) -> Result<()> {
    let folder = folder();
    let place = format!("node_modules/{library}");
    let installed = read(&folder.join("node_modules/.package-lock.json"))?;
    let (wanted, locked) = (read(&folder.join("package.json"))?, read(&folder.join("package-lock.json"))?);
    let package = read(&folder.join(&place).join("package.json"))?;
    ensure!(locked["packages"][&place]["version"] == package["version"], "{library}: {}", package["version"]);
    let (pinned, found) = (&locked["packages"][&place]["integrity"], &installed["packages"][&place]["integrity"]);
    ensure!(pinned.is_string() && pinned == found, "{library}: {pinned} {found}");
    ensure!(wanted["scripts"].is_null(), "a script of package.json may change what was installed");
    Ok(())
}
