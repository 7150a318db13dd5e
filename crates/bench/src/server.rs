//! A server process of its own, so that its CPU time is its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use portcullis_testkit::http1::{Connection, Exchange};

/// A running server; ended with its value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    base: String,
    /// From exec to the first request that `ready` accepted.
    pub ready_in: Duration,
}

impl Server {
    /// Starts `portcullis idp` over `data` on core 0 and waits for the first answer `path` gives with 200.
    ///
    /// # Errors
    /// When it does not start within ten seconds.
    #[expect(clippy::disallowed_methods, reason = "measuring is this crate's job")]
    pub async fn start(program: &Path, data: &Path, import: Option<&Path>, first: &Exchange) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("taskset");
        command
            .args(["-c", "0"])
            .arg(program)
            .args(["idp", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data);
        if let Some(file) = import {
            command.arg("--import").arg(file);
        }
        command.env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin").env("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin");
        command.stdout(Stdio::null()).stderr(Stdio::inherit());
        let begun = Instant::now();
        let child = command.spawn().with_context(|| format!("{} (cargo build --release first)", program.display()))?;
        let base = format!("http://127.0.0.1:{port}");
        let mut server = Self { child, base, ready_in: Duration::ZERO };
        loop {
            if let Ok(answer) = Connection::to(&server.base)?.send(first).await
                && answer.status == 200
            {
                server.ready_in = begun.elapsed();
                return Ok(server);
            }
            if begun.elapsed() > Duration::from_secs(30) {
                bail!("the server did not answer");
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended: {status}");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// CPU time of all its threads.
    ///
    /// # Errors
    /// When `/proc` does not say.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.child.id())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, MB.
    ///
    /// # Errors
    /// When `/proc` does not say.
    pub fn memory(&self) -> Result<f64> {
        memory_of(self.child.id())
    }
}

/// CPU time of all threads of a process.
///
/// # Errors
/// When `/proc` does not say.
pub fn cpu_of(process: u32) -> Result<Duration> {
    let mut nanos = 0u64;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end between listing and reading.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanos += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
}

/// Resident memory of a process, MB.
///
/// # Errors
/// When `/proc` does not say.
pub fn memory_of(process: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kb: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kb / 1024.0)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
