//! A `portcullis serve` as a process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use serde_json::Value;

/// What the server is called, wherever it listens.
pub(crate) const HOST: &str = "localhost:8080";
/// The first administrator's.
pub(crate) const PASSWORD: &str = "a long passphrase";

/// It runs until it is dropped, every listener on a port that the system gave it; ended by its id.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) main: u16,
    ready: Value,
    log: Option<JoinHandle<String>>,
}

impl Served {
    /// Starts `program` with a file in `folder`, to which `more` sections are added, and waits until it is ready.
    pub(crate) fn start(mut program: Command, folder: &Path, scheme: &str, more: &str) -> Self {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"{scheme}://{HOST}\"\nhealth_listen = \"127.0.0.1:0\"\n\
             [storage]\ndata = {data:?}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [metrics]\nlisten = \"127.0.0.1:0\"\nrealms = [\"master\"]\n[log]\nformat = \"json\"\n{more}",
            data = folder.join("data"),
        );
        let file = folder.join("portcullis.toml");
        std::fs::write(&file, text).unwrap();
        let mut child = program
            .args(["serve", "--config", file.to_str().unwrap()])
            .env_clear()
            .envs([("KC_BOOTSTRAP_ADMIN_USERNAME", "admin"), ("KC_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD)])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (told, ready) = channel();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event.get("message").is_some_and(|message| message == "ready") {
                    let _nobody_waits = told.send(event);
                }
                log.push_str(&line);
                log.push('\n');
            }
            log
        });
        let Ok(event) = ready.recv() else { panic!("it ended: {}", log.join().unwrap()) };
        let main = port(&event, "listen");
        Self { child, main, ready: event, log: Some(log) }
    }

    /// Where `admin`, `health` or `metrics` listens.
    pub(crate) fn port(&self, name: &str) -> u16 {
        port(&self.ready, name)
    }

    /// Sends SIGTERM, waits for the end; the exit code and what it logged.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        let log = self.log.take().unwrap().join().unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn port(ready: &Value, name: &str) -> u16 {
    let address = ready.get(name).and_then(Value::as_str).and_then(|address| address.rsplit_once(':'));
    address.unwrap_or_else(|| panic!("no {name} in {ready}")).1.parse().unwrap()
}
