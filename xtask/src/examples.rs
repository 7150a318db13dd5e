//! Tests of what is not Rust: the SDK and the examples.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::keycloak::wait_for;
use crate::shell::{Shell, cargo, command};

/// `npm test` in every folder whose package.json has such a script.
pub(crate) fn npm(shell: &Shell) -> Result<()> {
    for folder in folders(shell)? {
        let Ok(text) = fs::read_to_string(folder.join("package.json")) else {
            continue;
        };
        let package: Value = serde_json::from_str(&text)?;
        if package.pointer("/scripts/test").is_none() {
            continue;
        }
        let name = shown(shell, &folder);
        if folder.join("package-lock.json").exists() {
            let mut install = command("npm", &["ci", "--no-audit", "--no-fund"]);
            install.current_dir(&folder);
            shell.run(&format!("npm ci in {name}"), install)?;
        }
        let mut test = command("npm", &["test"]);
        test.current_dir(&folder);
        shell.run(&format!("npm test in {name}"), test)?;
    }
    Ok(())
}

/// `test.py BASE` of every example, against a fresh identity provider with the example's realm.
pub(crate) fn python(shell: &Shell) -> Result<()> {
    for folder in folders(shell)? {
        let (test, realm) = (folder.join("test.py"), folder.join("realm.json"));
        if !test.exists() || !realm.exists() {
            continue;
        }
        let name = shown(shell, &folder);
        let python = environment(shell, &folder)?;
        let server = Server::start(shell, &realm)?;
        let mut walk = command(&python.to_string_lossy(), &[]);
        walk.arg(test).arg(&server.base).current_dir(&folder);
        shell.run(&format!("test.py in {name}"), walk)?;
    }
    Ok(())
}

/// A virtual environment with the example's requirements, kept under the target folder.
fn environment(shell: &Shell, folder: &Path) -> Result<PathBuf> {
    let name = shown(shell, folder);
    let home = shell.target.join("python").join(name.replace('/', "-"));
    let python = home.join("bin/python");
    if !python.exists() {
        let mut make = command("python3", &["-m", "venv"]);
        make.arg(&home);
        shell.run(&format!("python environment for {name}"), make)?;
    }
    let places = [folder.join("requirements.txt"), folder.join("backend/requirements.txt")];
    if let Some(list) = places.into_iter().find(|p| p.exists()) {
        let mut install = command(&python.to_string_lossy(), &["-m", "pip", "install", "-q", "-r"]);
        install.arg(list);
        shell.run(&format!("python packages for {name}"), install)?;
    }
    Ok(python)
}

struct Server {
    child: Child,
    base: String,
}

impl Server {
    fn start(shell: &Shell, realm: &Path) -> Result<Self> {
        shell.run("build portcullis", cargo(&["build", "--quiet", "-p", "portcullis"]))?;
        let program = shell.target.join("debug/portcullis");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut run = command(&program.to_string_lossy(), &["idp", "--in-memory", "--listen"]);
        run.arg(format!("127.0.0.1:{port}"));
        run.arg("--import").arg(realm);
        let log = fs::File::create(shell.target.join("example-server.log"))?;
        run.stdout(log.try_clone()?).stderr(log);
        let child = run.spawn().context("portcullis does not start")?;
        let mut server = Self { child, base: format!("http://localhost:{port}") };
        if !wait_for(&mut server.child, port, "/realms/master") {
            bail!("portcullis does not answer; see {}/example-server.log", shell.target.display());
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `sdk` and every folder of `examples`, with the folders right below them.
fn folders(shell: &Shell) -> Result<Vec<PathBuf>> {
    let mut out = vec![shell.root.join("sdk")];
    let mut pending = vec![(shell.root.join("examples"), 0)];
    while let Some((folder, depth)) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry?.path();
            let skipped = path.ends_with("node_modules") || path.ends_with(".venv");
            if path.is_dir() && !skipped && depth < 2 {
                pending.push((path.clone(), depth + 1));
                out.push(path);
            }
        }
    }
    out.retain(|p| p.is_dir());
    out.sort();
    Ok(out)
}

fn shown(shell: &Shell, folder: &Path) -> String {
    let short = folder.strip_prefix(&shell.root).unwrap_or(folder);
    short.display().to_string()
}
