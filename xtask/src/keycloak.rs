//! A real Keycloak, empty, plain http, administrator admin/admin: for questions that the golden set does not answer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Subcommand;

use crate::shell::{Missing, Shell, answers, command};

const VERSION: &str = "26.4.2";
/// Polls, half a second apart.
const POLLS: u32 = 240;

/// What to do with it.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Start an empty one; returns when it answers.
    Start {
        #[arg(default_value_t = 8180)]
        port: u16,
    },
    /// End it.
    Stop {
        #[arg(default_value_t = 8180)]
        port: u16,
    },
}

pub(crate) fn run(shell: &Shell, action: &Action) -> Result<()> {
    match action {
        Action::Start { port } => start(shell, *port),
        Action::Stop { port } => stop(&place(shell, *port)),
    }
}

struct Place {
    folder: PathBuf,
    home: PathBuf,
    pid: PathBuf,
}

fn place(shell: &Shell, port: u16) -> Place {
    let folder = shell.target.join("keycloak").join(port.to_string());
    Place { home: folder.join(format!("keycloak-{VERSION}")), pid: folder.join("pid"), folder }
}

fn start(shell: &Shell, port: u16) -> Result<()> {
    let tools = [("java", "-version"), ("mvn", "--version"), ("unzip", "-v")];
    if let Some((tool, _)) = tools.iter().find(|(tool, probe)| !answers(tool, &[*probe])) {
        let told = format!("{tool} is needed (Debian: default-jdk-headless, maven, unzip)");
        return Err(Missing(told).into());
    }
    let place = place(shell, port);
    if place.pid.exists() {
        stop(&place)?;
    }
    unpack(shell, &place)?;
    // Always an empty server.
    match fs::remove_dir_all(place.home.join("data")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        Ok(()) | Err(_) => {}
    }
    let log = fs::File::create(place.folder.join("log"))?;
    let mut server = server(&place.home, port);
    server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = server.spawn()?;
    fs::write(&place.pid, child.id().to_string())?;
    if !wait_for(&mut child, port, "/realms/master") {
        stop(&place)?;
        bail!("it did not start; see {}", place.folder.join("log").display());
    }
    println!("http://127.0.0.1:{port}");
    Ok(())
}

/// Downloads through maven once, unpacks once for each port, builds the start-up image once.
fn unpack(shell: &Shell, place: &Place) -> Result<()> {
    let store = shell.target.join("keycloak");
    fs::create_dir_all(&place.folder)?;
    let archive = store.join(format!("keycloak-quarkus-dist-{VERSION}.zip"));
    if !archive.exists() {
        let mut get = command("mvn", &["-q", "-B", "dependency:copy"]);
        get.arg(format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"))
            .arg(format!("-DoutputDirectory={}", store.display()));
        shell.run("download keycloak", get)?;
    }
    if !place.home.exists() {
        let mut unzip = command("unzip", &["-q"]);
        unzip.arg(&archive).arg("-d").arg(&place.folder);
        shell.run("unpack keycloak", unzip)?;
    }
    let built = place.home.join(".built");
    if !built.exists() {
        let mut build = Command::new(place.home.join("bin/kc.sh"));
        build.args(["build", "--db=dev-file", "--health-enabled=true"]);
        shell.run("build keycloak", build)?;
        fs::write(built, "")?;
    }
    Ok(())
}

fn server(home: &Path, port: u16) -> Command {
    let mut server = Command::new(home.join("bin/kc.sh"));
    server
        .args(["start", "--optimized", "--http-enabled=true", "--http-host=127.0.0.1"])
        .args(["--hostname-strict=false", "--cache=local"])
        .arg(format!("--http-port={port}"))
        .arg(format!("--http-management-port={}", port.saturating_add(1000)))
        .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
        .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin");
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut server, 0);
    server
}

fn stop(place: &Place) -> Result<()> {
    let Ok(pid) = fs::read_to_string(&place.pid) else {
        return Ok(());
    };
    // The script's children stand in its process group.
    let group = format!("-{}", pid.trim());
    let _ = command("kill", &["--", &group]).stderr(Stdio::null()).status();
    fs::remove_file(&place.pid)?;
    Ok(())
}

/// Until `path` answers 200; false when the child ends first or two minutes are over.
pub(crate) fn wait_for(child: &mut Child, port: u16, path: &str) -> bool {
    for _ in 0..POLLS {
        if status(port, path).is_some_and(|s| s == 200) {
            return true;
        }
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    false
}

fn status(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let ask = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}
