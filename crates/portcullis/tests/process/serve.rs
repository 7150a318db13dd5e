//! `portcullis serve` as a process: TLS, the split between users and administrators, health, a clean stop.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::PROGRAM;
use crate::served::{PASSWORD, Served};

fn start(folder: &Path) -> Served {
    Served::start(Command::new(PROGRAM), folder, "http", "")
}

/// With so many file descriptors at most.
fn start_with(descriptors: u32, folder: &Path) -> Served {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""), PROGRAM]);
    Served::start(shell, folder, "http", "")
}

fn start_with_tls(folder: &Path) -> Served {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let section = format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
    Served::start(Command::new(PROGRAM), folder, "https", &section)
}

fn ask(port: u16, host: &str, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    // A listener that speaks TLS hangs up here.
    let _hung_up = write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _cut_short = stream.read_to_string(&mut answer);
    answer
}

fn status(port: u16, host: &str, path: &str) -> u16 {
    ask(port, host, path).split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

#[test]
fn users_and_administrators_have_listeners_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(folder.path());
    let (main, admin, health) = (served.main, served.port("admin"), served.port("health"));
    let master = "/realms/master";
    for (port, path, wanted) in [
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
        assert_eq!(status(port, "localhost", path), wanted, "{port} {path}");
    }
    assert_eq!(status(main, "evil.test", "/"), 421);
    assert!(ask(health, "localhost", "/health/ready").contains("\"clock\""));
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
    let served = start_with_tls(folder.path());
    assert_eq!(status(served.main, "localhost", "/"), 0);
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

/// Files that may not grow are what a full disk looks like.
#[test]
fn a_full_disk_is_told_and_over_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", PROGRAM]);
    let served = Served::start(shell, folder.path(), "http", "");
    let (id, admin, health) = (served.child.id().to_string(), served.port("admin"), served.port("health"));
    let limit = |bytes: &str| {
        let limited = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:unlimited")]).status();
        assert!(limited.unwrap().success());
    };
    let ready = || status(health, "localhost", "/health/ready");
    assert_eq!((log_in(admin), ready()), (200, 200), "the honest twin before");
    limit("4096");
    assert_eq!((log_in(admin), ready()), (503, 503));
    assert_eq!(status(health, "localhost", "/health/live"), 200, "a restart would not help");
    limit("unlimited");
    assert_eq!((ready(), log_in(admin), ready()), (200, 200, 200));
    let (code, log) = served.stop();
    assert!(log.lines().any(|line| line.contains("\"ERROR\"") && line.contains("nothing can be written")), "{log}");
    assert_eq!(code, Some(0));
}

/// The administrator's password grant: its status.
fn log_in(port: u16) -> u16 {
    let form =
        format!("grant_type=password&client_id=admin-cli&username=admin&password={}", PASSWORD.replace(' ', "+"));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let path = "/realms/master/protocol/openid-connect/token";
    let kind = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close";
    let length = form.len();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{form}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

#[test]
fn ds_23_a_server_without_descriptors_lives_and_serves_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = start_with(96, folder.path());
    assert_eq!(status(served.main, "localhost", "/realms/nowhere"), 404, "the honest twin before");
    let flood: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(("127.0.0.1", served.main)).ok()).collect();
    assert!(flood.len() > 96, "{} connections", flood.len());
    // The server has taken all it can: no descriptor is left, and it neither ended nor gave up its listener.
    let open = || std::fs::read_dir(format!("/proc/{}/fd", served.child.id())).unwrap().count();
    assert!((0..200_000).any(|_| open() >= 96), "{} descriptors", open());
    assert!(served.child.try_wait().unwrap().is_none(), "it lives");
    drop(flood);
    let serves = || status(served.main, "localhost", "/realms/nowhere") == 404;
    assert!((0..100_000).any(|_| serves()), "it accepts again");
    assert_eq!(status(served.port("health"), "localhost", "/health/live"), 200);
    assert_eq!(served.stop().0, Some(0));
}
