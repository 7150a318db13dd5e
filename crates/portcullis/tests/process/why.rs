//! `portcullis why` against a running program: the control socket, the record in words, and what it says when there is none.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::PROGRAM;
use crate::alone::Running;

/// A server that people asked something.
struct Asked {
    running: Running,
    address: String,
}

impl Asked {
    fn start(data: &Path) -> Self {
        let admin = [("KC_BOOTSTRAP_ADMIN_USERNAME", "admin"), ("KC_BOOTSTRAP_ADMIN_PASSWORD", "a long passphrase")];
        let (running, said) = Running::start(&["--data", data.to_str().unwrap()], &admin, Stdio::piped());
        let address = said.split("http://").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        Self { running, address }
    }

    /// The trace id of a refusal.
    fn refused(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let head = head.replace('\n', "\r\n");
        let length = body.len();
        write!(stream, "{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let line = answer.lines().find_map(|l| l.strip_prefix("portcullis-trace: "));
        line.unwrap_or_else(|| panic!("no trace id: {answer}")).to_owned()
    }

    /// Ends it with a signal; what it logged.
    fn end(mut self, signal: &str) -> String {
        self.running.signal(signal);
        let mut log = String::new();
        self.running.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        self.running.0.wait().unwrap();
        log
    }
}

fn why(arguments: &[&str]) -> Output {
    Command::new("/usr/bin/timeout").args(["60", PROGRAM, "why"]).args(arguments).env_clear().output().unwrap()
}

fn fails(arguments: &[&str], code: i32, words: &str) {
    let output = why(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(error.contains(words) && error.trim_end().lines().count() == 1, "{arguments:?}: {error}");
    assert!(output.stdout.is_empty());
}

const TOKEN: &str = "POST /realms/master/protocol/openid-connect/token HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\n\
                     grant_type=password&client_id=admin-cli&username=canary-name&password=canary-secret";

#[test]
fn lg_02_a_refusal_is_explained_by_the_running_server_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let name = data.to_str().unwrap();
    let none = "0".repeat(32);
    fails(&[&none, "--data", name], 3, "no server runs on the data folder");
    let running = Asked::start(&data);
    let mode = std::fs::metadata(data.join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fails(&["xyz", "--data", name], 2, "32 hexadecimal digits");
    fails(&[&none, "--data", name], 3, "knows no refusal");

    let id = running.refused(TOKEN);
    let text = String::from_utf8(why(&[&id, "--data", name]).stdout).unwrap();
    for line in [
        "refused   WrongPassword (HTTP 401) at ",
        "where     realm master, endpoint token",
        "client    admin-cli",
        "check     user credentials",
        "expected  name and password of one account",
        "next      ",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    let json = why(&[&id.to_uppercase(), "--data", name, "--json"]);
    let record: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((record["trace"].as_str(), record["status"].as_u64()), (Some(id.as_str()), Some(401)));
    let log = running.end("-INT");
    assert!(log.contains(&id) && log.contains("WrongPassword"), "{log}");
    // LG-02, LG-11: neither the password nor a name that nobody has.
    assert!(!format!("{log}{text}{record}").contains("canary"), "{log}");
    assert!(!data.join("control.sock").exists());
    fails(&[&id, "--data", name], 3, "no server runs");
}

#[test]
fn a_socket_that_a_killed_server_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let name = data.to_str().unwrap();
    Asked::start(&data).end("-KILL");
    assert!(data.join("control.sock").exists());
    fails(&[&"0".repeat(32), "--data", name], 3, "no server runs");
    let running = Asked::start(&data);
    let id = running.refused("GET /realms/moon HTTP/1.1");
    let text = String::from_utf8(why(&[&id, "--data", name]).stdout).unwrap();
    assert!(text.contains("no realm of that name: moon"), "{text}");
}

fn keys(arguments: &[&str]) -> Output {
    Command::new("/usr/bin/timeout").args(["60", PROGRAM, "keys"]).args(arguments).env_clear().output().unwrap()
}

#[test]
fn keys_rotate_at_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let name = data.to_str().unwrap();
    assert_eq!(keys(&["list", "--data", name]).status.code(), Some(3), "nobody runs");
    let _running = Asked::start(&data);
    let text = |output: Output| String::from_utf8(output.stdout).unwrap();
    let old = text(keys(&["list", "--data", name]));
    let old = old.lines().find(|l| l.starts_with("RS256 ")).unwrap();
    let kid = old.split_whitespace().nth(2).unwrap();
    assert!(old.contains(" active "));
    // The only one stays.
    let last = keys(&["set", kid, "disabled", "--data", name]);
    assert_eq!(last.status.code(), Some(1));
    assert!(String::from_utf8(last.stderr).unwrap().contains("rotate first"));
    let made = text(keys(&["rotate", "--algorithm", "RS256", "--data", name]));
    assert!(made.starts_with("RS256  active "), "{made}");
    let list = text(keys(&["list", "--data", name]));
    assert!(list.contains(made.trim()) && list.contains(&format!("RS256  passive  {kid}")), "{list}");
    assert!(text(keys(&["set", kid, "disabled", "--data", name])).contains("disabled"));
    assert_eq!(keys(&["list", "--realm", "moon", "--data", name]).status.code(), Some(1), "no such realm");
}
