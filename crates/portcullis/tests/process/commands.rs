//! The program as a process: what it says and how it ends when something is wrong.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::PROGRAM;
use crate::alone::Running;

struct Ended {
    code: Option<i32>,
    error: String,
}

/// A command that should end by itself; one that serves instead is ended with code 124.
fn bounded(arguments: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/timeout");
    command.arg("60").arg(PROGRAM).args(arguments).env_clear();
    command
}

fn ended(arguments: &[&str]) -> Ended {
    let output = bounded(arguments).output().unwrap();
    Ended { code: output.status.code(), error: String::from_utf8(output.stderr).unwrap() }
}

/// One clear line, the right code, and the words a person needs.
fn refuses(arguments: &[&str], code: i32, words: &[&str]) {
    let ended = ended(arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.error);
    assert_eq!(ended.error.trim_end().lines().count(), 1, "{arguments:?}: {}", ended.error);
    for word in words {
        assert!(ended.error.contains(word), "{:?} does not say {word:?}", ended.error);
    }
}

/// Over a data folder; what it printed.
fn idp(data: &Path, environment: &[(&str, &str)]) -> (Running, String) {
    Running::start(&["--data", data.to_str().unwrap()], environment, Stdio::null())
}

fn interrupt(mut running: Running) -> Option<i32> {
    running.signal("-INT");
    running.0.wait().unwrap().code()
}

#[test]
fn wrong_words_are_told_with_what_is_expected() {
    let bad = ["idp", "--in-memory", "--listen", "localhost:8080"];
    let ended = ended(&bad);
    assert_eq!(ended.code, Some(2), "{}", ended.error);
    assert!(ended.error.contains("an IP address and a port are expected"), "{}", ended.error);
    let output =
        bounded(&["idp", "--listen", "127.0.0.1:0", "--in-memory"]).env("PORTCULLIS_LOG", "portcullis=loud").output();
    let output = output.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
    assert!(error.contains("PORTCULLIS_LOG: `portcullis=loud`") && error.contains("write it like info"), "{error}");
}

#[test]
fn a_file_that_the_configuration_names_and_nobody_can_read_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (file, pem) = (folder.path().join("portcullis.toml"), folder.path().join("a.pem"));
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, other) = (make(), make());
    std::fs::write(&pem, one.cert.pem()).unwrap();
    std::fs::write(folder.path().join("cut.pem"), &one.cert.pem()[..200]).unwrap();
    std::fs::write(folder.path().join("key.pem"), other.signing_key.serialize_pem()).unwrap();
    let start = "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://localhost\"\n[storage]\ndata = \"d\"\n";
    let tls = |certificate: &str, key: &str| {
        let at = |name: &str| folder.path().join(name);
        format!("[tls]\ncertificate = {:?}\nkey = {:?}", at(certificate), at(key))
    };
    for (section, words) in [
        ("server_key_file = \"/nowhere/key\"".to_owned(), "storage.server_key_file: /nowhere/key: No such file"),
        ("[idp]\nimport = [\"/\"]".to_owned(), "idp.import: /: Is a directory"),
        ("[idp]\ntheme = \"/nowhere\"".to_owned(), "idp.theme: /nowhere: No such file"),
        (tls("a.pem", "key.pem"), "it is not the key of tls.certificate"),
        (tls("a.pem", "a.pem"), "no private key in it; PEM is expected, not encrypted"),
        (tls("key.pem", "key.pem"), "no certificate in it"),
        (tls("cut.pem", "key.pem"), "cut off in the middle of a certificate"),
        (tls("none.pem", "key.pem"), "No such file"),
    ] {
        std::fs::write(&file, format!("{start}{section}\n")).unwrap();
        refuses(&["check-config", "--config", file.to_str().unwrap()], 2, &[words]);
    }
}

/// One who is told to stop waits for requests in flight; one who is told twice does not.
#[test]
fn a_second_interrupt_ends_the_program_at_once() {
    let (mut running, said) = Running::start(&["--in-memory"], &[], Stdio::piped());
    let address = said.split("http://").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let path = "/realms/master/protocol/openid-connect/token";
    let kind = "Content-Type: application/x-www-form-urlencoded";
    // The server asks for the rest: from then on the request is in flight.
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\n{kind}\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100");
    running.signal("-INT");
    // It has heard the first one when nobody is accepted any more.
    while std::net::TcpStream::connect(address).is_ok() {}
    assert!(running.0.try_wait().unwrap().is_none(), "the request in flight is waited for");
    running.signal("-INT");
    assert_eq!(running.0.wait().unwrap().code(), Some(130));
    let mut error = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains("asked twice to stop"), "{error}");
}

#[test]
fn a_port_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refuses(
        &["idp", "--listen", &address, "--in-memory"],
        4,
        &["is in use", &taken.local_addr().unwrap().port().to_string()],
    );
    refuses(&["idp", "--listen", "127.0.0.1:0", "--metrics", &address, "--in-memory"], 4, &["is in use"]);
}

#[test]
fn every_listener_is_had_before_the_data_folder_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("portcullis.toml"), folder.path().join("data"));
    let own = "127.0.0.1:0".parse().unwrap();
    for which in 0..4 {
        let [main, admin, health, metrics] = std::array::from_fn(|at| if at == which { address } else { own });
        let text = format!(
            "[server]\nlisten = \"{main}\"\npublic_url = \"http://localhost\"\nhealth_listen = \"{health}\"\n\
             [storage]\ndata = {data:?}\n[admin]\nlisten = \"{admin}\"\n[metrics]\nlisten = \"{metrics}\"\n"
        );
        std::fs::write(&file, text).unwrap();
        refuses(&["serve", "--config", file.to_str().unwrap()], 4, &["is in use", &address.port().to_string()]);
        assert!(!data.exists(), "listener {which}");
    }
}

#[test]
fn unknown_configuration_keys_are_told_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, "[server]\nlisen = \"127.0.0.1:1\"\n").unwrap();
    let name = file.to_str().unwrap();
    refuses(&["check-config", "--config", name], 2, &[name, "line 2, column 1", "lisen"]);
    refuses(&["serve", "--config", name], 2, &[name, "line 2, column 1"]);
    refuses(&["serve", "--config", "/nowhere/portcullis.toml"], 3, &["/nowhere/portcullis.toml"]);
}

#[test]
fn a_broken_import_file_names_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("realm.json");
    let name = file.to_str().unwrap();
    for (text, words) in [
        ("{", vec![name]),
        ("{\"realm\":\"x\",\"nonsense\":1}", vec![name, "nonsense"]),
        ("{\"realm\":\"x\",\"clients\":[{\"clientId\":\"a\",\"redirectUris\":5}]}", vec![name, "clients[0]"]),
        ("{\"enabled\":true}", vec![name]),
        (
            "{\"realm\":\"x\",\"attributes\":{\"portcullis.profile\":\"strickt\"}}",
            vec!["attributes.portcullis.profile: expected strict or keycloak"],
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        refuses(&["idp", "--listen", "127.0.0.1:0", "--in-memory", "--import", name], 2, &words);
    }
    refuses(&["idp", "--listen", "127.0.0.1:0", "--in-memory", "--import", "/nowhere.json"], 3, &["/nowhere.json"]);
}

#[test]
fn a_data_folder_that_cannot_be_used_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "x").unwrap();
    refuses(&["idp", "--listen", "127.0.0.1:0", "--data", file.to_str().unwrap()], 1, &["a-file"]);

    let data = folder.path().join("data");
    let (running, _) = idp(&data, &[]);
    refuses(&["idp", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()], 4, &["in use"]);
    assert_eq!(interrupt(running), Some(0));

    std::fs::remove_file(data.join("server.key")).unwrap();
    refuses(
        &["idp", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()],
        2,
        &["server.key", "put the key back"],
    );
    std::fs::write(data.join("server.key"), format!("{}\n", "ab".repeat(32))).unwrap();
    refuses(&["idp", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()], 2, &["does not open this database"]);
    std::fs::write(data.join("server.key"), "short\n").unwrap();
    refuses(&["idp", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()], 2, &["64 hex digits"]);

    let other = folder.path().join("damaged");
    let (running, _) = idp(&other, &[]);
    assert_eq!(interrupt(running), Some(0));
    let half = std::fs::read(other.join("portcullis.db")).unwrap();
    std::fs::write(other.join("portcullis.db"), half.get(..half.len() / 8).unwrap()).unwrap();
    refuses(
        &["idp", "--listen", "127.0.0.1:0", "--data", other.to_str().unwrap()],
        1,
        &["damaged: restore it from a backup"],
    );
}

#[test]
fn the_first_administrator_is_made_once_and_weak_passwords_stay_on_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let weak = [("KC_BOOTSTRAP_ADMIN_USERNAME", "admin"), ("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin")];
    let (running, said) = idp(&data, &[]);
    assert!(said.contains("no administrator yet"), "{said}");
    assert_eq!(interrupt(running), Some(0));
    let (running, said) = idp(&data, &weak);
    assert!(!said.contains("administrator"), "{said}");
    assert_eq!(interrupt(running), Some(0));
    let (running, said) = idp(&data, &weak);
    assert!(said.contains("are ignored"), "{said}");
    drop(running);

    let output = bounded(&["idp", "--listen", "0.0.0.0:0", "--in-memory"]).envs(weak).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("too weak"));
    let output = bounded(&["idp", "--listen", "127.0.0.1:0", "--in-memory"]).envs([weak[0]]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_demos_folder_never_faces_users() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("realm.json"));
    std::fs::write(&file, "{\"realm\":\"acme\",\"enabled\":true,\"attributes\":{\"portcullis.demo\":\"true\"}}")
        .unwrap();
    let (data, file) = (data.to_str().unwrap(), file.to_str().unwrap());
    let (running, said) = Running::start(&["--data", data, "--import", file], &[], Stdio::null());
    assert!(said.contains("Imported realm acme"), "{said}");
    assert_eq!(interrupt(running), Some(0));
    refuses(&["idp", "--listen", "127.0.0.1:0", "--data", data], 2, &["belongs to the demo"]);
}

#[test]
fn help_names_the_commands() {
    let mut child = Command::new(PROGRAM).arg("--help").stdout(Stdio::piped()).spawn().unwrap();
    let mut help = String::new();
    child.stdout.take().unwrap().read_to_string(&mut help).unwrap();
    assert!(child.wait().unwrap().success());
    for command in ["idp", "serve", "check-config"] {
        assert!(help.contains(command), "{help}");
    }
}
