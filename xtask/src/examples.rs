//! What the tests of the SDK, the foreign clients and the examples need installed beside themselves: npm packages and a Python
//! environment. The tests run with cargo's own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::shell::{Missing, Shell, command};

/// Folders with a `package-lock.json`.
const NPM: [&str; 2] = ["sdk", "crates/testkit/clients"];

/// Installs what is not there yet.
pub(crate) fn prepare(shell: &Shell) -> Result<()> {
    for folder in NPM {
        npm(shell, folder)?;
    }
    python(shell)
}

/// `npm ci`, unless what is installed is younger than the lock file.
fn npm(shell: &Shell, name: &str) -> Result<()> {
    let folder = shell.root.join(name);
    let (wanted, installed) = (folder.join("package-lock.json"), folder.join("node_modules/.package-lock.json"));
    let title = format!("npm packages of {name}");
    if age(&installed)? > age(&wanted)? {
        println!("{title}: up to date");
        return Ok(());
    }
    let mut install = command("npm", &["ci", "--no-audit", "--no-fund"]);
    install.current_dir(&folder);
    fetched(shell, &title, "npm", install)
}

/// Runs what needs the network.
fn fetched(shell: &Shell, title: &str, by: &str, install: std::process::Command) -> Result<()> {
    let told = format!(
        "{title} could not be fetched; what {by} says stands above. Behind a proxy or a mirror {by} needs its own settings; then run this again"
    );
    shell.run(title, install).map_err(|_| Missing(told).into())
}

/// When a file was written; `None`, which is before any time, when it is not there.
fn age(file: &Path) -> Result<Option<std::time::SystemTime>> {
    match fs::metadata(file) {
        Ok(found) => Ok(Some(found.modified()?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

/// `target/venv` with the requirements of every example; a copy of them inside tells what is installed.
fn python(shell: &Shell) -> Result<()> {
    let lists = requirements(shell)?;
    let mut wanted = String::new();
    for list in &lists {
        wanted.push_str(&fs::read_to_string(list)?);
    }
    let home = shell.target.join("venv");
    let (python, installed) = (home.join("bin/python"), home.join("installed.txt"));
    if python.exists() && fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        println!("python packages of the examples: up to date");
        return Ok(());
    }
    let mut make = command("python3", &["-m", "venv", "--clear"]);
    make.arg(&home);
    shell.run("python environment", make)?;
    let mut install =
        command(&python.to_string_lossy(), &["-m", "pip", "install", "-q", "--disable-pip-version-check"]);
    for list in &lists {
        install.arg("-r").arg(list);
    }
    fetched(shell, "python packages of the examples", "pip", install)?;
    Ok(fs::write(installed, wanted)?)
}

/// `requirements.txt` and `backend/requirements.txt` of every example.
fn requirements(shell: &Shell) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for example in fs::read_dir(shell.root.join("examples"))? {
        let example = example?.path();
        found.extend([example.join("requirements.txt"), example.join("backend/requirements.txt")]);
    }
    found.retain(|list| list.exists());
    found.sort();
    Ok(found)
}
