//! A `portcullis idp` as a process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::PROGRAM;

/// It runs until it is dropped; ended by its id.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts on a free port and waits for the line that names it: what was printed by then.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)], errors: Stdio) -> (Self, String) {
        let mut child = Command::new(PROGRAM)
            .args(["idp", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !said.contains("Ctrl-C") {
            assert_ne!(lines.read_line(&mut said).unwrap(), 0, "it ended: {said}");
        }
        (Self(child), said)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
