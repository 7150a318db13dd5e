//! `portcullis serve` as a process: TLS, the split between users and administrators, health, a clean stop.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");

struct Served {
    child: Child,
    main: u16,
    admin: u16,
    health: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Served {
    fn start(folder: &Path, tls: bool) -> Self {
        Self::start_by(Command::new(PROGRAM), folder, tls)
    }

    /// With so many file descriptors at most.
    fn start_with(descriptors: u32, folder: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""), PROGRAM]);
        Self::start_by(shell, folder, false)
    }

    fn start_by(mut program: Command, folder: &Path, tls: bool) -> Self {
        let (main, admin, health) = (free_port(), free_port(), free_port());
        let scheme = if tls { "https" } else { "http" };
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:{main}\"\npublic_url = \"{scheme}://localhost:{main}\"\nhealth_listen = \"127.0.0.1:{health}\"\n\
             [storage]\ndata = {data:?}\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n[log]\nformat = \"json\"\n",
            data = folder.join("data"),
        );
        if tls {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
            std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
            text.push_str(&format!(
                "[tls]\ncertificate = {:?}\nkey = {:?}\n",
                folder.join("cert.pem"),
                folder.join("key.pem")
            ));
        }
        let file = folder.join("portcullis.toml");
        std::fs::write(&file, text).unwrap();
        let child = program
            .args(["serve", "--config", file.to_str().unwrap()])
            .env_clear()
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "a long passphrase")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut served = Self { child, main, admin, health };
        while TcpStream::connect(("127.0.0.1", served.main)).is_err()
            || served.status(health, "localhost", "/health/live") != 200
        {
            assert!(served.child.try_wait().unwrap().is_none(), "it ended");
            std::thread::yield_now();
        }
        served
    }

    fn ask(&self, port: u16, host: &str, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
        // A listener that speaks TLS hangs up here.
        let _hung_up = write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        let _cut_short = stream.read_to_string(&mut answer);
        answer
    }

    fn status(&self, port: u16, host: &str, path: &str) -> u16 {
        self.ask(port, host, path).split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// Sends SIGTERM; the exit code and what was logged.
    fn stop(mut self) -> (Option<i32>, String) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn users_and_administrators_have_listeners_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), false);
    let (main, admin, health) = (served.main, served.admin, served.health);
    let master = "/realms/master";
    for (port, path, status) in [
        (main, master, 404),
        (main, "/realms/%6daster", 404),
        (main, "/auth/realms/master", 404),
        (main, "/.well-known/oauth-authorization-server/realms/master", 404),
        (main, "/admin/realms", 404),
        (admin, master, 200),
        (admin, "/admin/realms", 401),
        (admin, "/realms/other", 404),
        (health, "/health/ready", 200),
        (health, master, 404),
        (main, "/health/ready", 404),
    ] {
        assert_eq!(served.status(port, &format!("localhost:{port}"), path), status, "{port} {path}");
    }
    assert_eq!(served.status(main, "evil.test", "/"), 421);
    assert!(served.ask(health, "localhost", "/health/ready").contains("\"clock\""));
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event.get("level").is_some(), "{line}");
    }
    assert!(log.contains("\"profile\":\"keycloak\"") && log.contains("stopped"), "{log}");
    assert!(!log.contains("a long passphrase"));
}

#[test]
fn tls_is_spoken_and_plain_http_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), true);
    assert_eq!(served.status(served.main, "localhost", "/"), 0);
    let certificate = std::fs::read(folder.path().join("cert.pem")).unwrap();
    let answer = over_tls(served.main, &certificate);
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("Realm does not exist"), "{answer}");
    assert!(answer.contains("strict-transport-security"), "{answer}");
    assert_eq!(served.stop().0, Some(0));
}

fn over_tls(port: u16, pem: &[u8]) -> String {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut session = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    write!(stream, "GET /realms/none HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _cut_short = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn ds_23_a_server_without_descriptors_lives_and_serves_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = Served::start_with(96, folder.path());
    assert_eq!(served.status(served.main, "localhost", "/realms/nowhere"), 404, "the honest twin before");
    let flood: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(("127.0.0.1", served.main)).ok()).collect();
    assert!(flood.len() > 96, "{} connections", flood.len());
    // The server has taken all it can: no descriptor is left, and it neither ended nor gave up its listener.
    let open = || std::fs::read_dir(format!("/proc/{}/fd", served.child.id())).unwrap().count();
    assert!((0..200_000).any(|_| open() >= 96), "{} descriptors", open());
    assert!(served.child.try_wait().unwrap().is_none(), "it lives");
    drop(flood);
    let serves = || served.status(served.main, "localhost", "/realms/nowhere") == 404;
    assert!((0..100_000).any(|_| serves()), "it accepts again");
    assert_eq!(served.status(served.health, "localhost", "/health/live"), 200);
    assert_eq!(served.stop().0, Some(0));
}
