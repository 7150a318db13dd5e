//! `[metrics]`: a listener of its own, labels that nobody outside can choose, numbers that move.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use portcullis::telemetry::metrics::FAMILIES;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");

struct Served {
    child: Child,
    main: u16,
    metrics: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn send(port: u16, head: &str, body: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    let length = body.len();
    let _hung_up = write!(
        stream,
        "{head} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut answer = String::new();
    let _cut_short = stream.read_to_string(&mut answer);
    answer
}

impl Served {
    fn start(folder: &Path) -> Self {
        let (main, metrics) = (free_port(), free_port());
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{main}\"\npublic_url = \"http://localhost:{main}\"\n[storage]\ndata = {data:?}\n\
             [metrics]\nlisten = \"127.0.0.1:{metrics}\"\nrealms = [\"master\"]\n",
            data = folder.join("data"),
        );
        let file = folder.join("portcullis.toml");
        std::fs::write(&file, text).unwrap();
        let child = Command::new(PROGRAM)
            .args(["serve", "--config", file.to_str().unwrap()])
            .env_clear()
            .envs([("KC_BOOTSTRAP_ADMIN_USERNAME", "admin"), ("KC_BOOTSTRAP_ADMIN_PASSWORD", "a long passphrase")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut served = Self { child, main, metrics };
        while !send(main, "GET /realms/master", "").contains("200 OK") || served.page().is_empty() {
            assert!(served.child.try_wait().unwrap().is_none(), "it ended");
            std::thread::yield_now();
        }
        served
    }

    fn page(&self) -> String {
        send(self.metrics, "GET /metrics", "")
    }

    /// The value of a series.
    fn value(&self, series: &str) -> u64 {
        let page = self.page();
        let line = page.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0, |v| v.parse().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

const TOKEN: &str = "POST /realms/master/protocol/openid-connect/token";

#[test]
fn lg_06_lg_08_metrics_have_a_listener_and_words_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path());
    for path in ["/metrics", "/health", "/health/ready"] {
        assert!(send(served.main, &format!("GET {path}"), "").starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(send(served.metrics, "GET /health/ready", "").starts_with("HTTP/1.1 200"));
    assert!(send(served.metrics, "GET /realms/master", "").starts_with("HTTP/1.1 404"));

    let good = "grant_type=password&client_id=admin-cli&username=admin&password=a+long+passphrase";
    let answer = send(served.main, TOKEN, good);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A logout is a cut-off, and the feed's place moves.
    let placed = served.value("portcullis_feed_sequence{realm=\"master\"}");
    let refresh = answer.split("\"refresh_token\":\"").nth(1).unwrap().split('"').next().unwrap();
    let bye = format!("client_id=admin-cli&refresh_token={refresh}");
    let answer = send(served.main, "POST /realms/master/protocol/openid-connect/logout", &bye);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(served.value("portcullis_feed_sequence{realm=\"master\"}") > placed, "{}", served.page());
    send(served.main, TOKEN, "grant_type=password&client_id=admin-cli&username=canary&password=canary");
    send(served.main, "GET /realms/canary%22%7D/protocol/openid-connect/auth?client_id=canary", "");
    send(served.main, "CANARY /canary", "");

    let master = "realm=\"master\",endpoint=\"token\"";
    for (series, value) in [
        (format!("portcullis_requests_total{{{master},method=\"write\",status=\"2xx\"}}"), 1),
        (format!("portcullis_requests_total{{{master},method=\"write\",status=\"4xx\"}}"), 1),
        (format!("portcullis_request_duration_seconds_count{{{master}}}"), 2),
        (format!("portcullis_refusals_total{{{master},class=\"credentials\"}}"), 1),
        ("portcullis_refusals_total{endpoint=\"authorize\",class=\"absent\"}".to_owned(), 1),
        ("portcullis_password_checks_total{realm=\"master\",outcome=\"accepted\"}".to_owned(), 1),
        ("portcullis_password_checks_total{realm=\"master\",outcome=\"refused\"}".to_owned(), 1),
        ("portcullis_logins_total{realm=\"master\",flow=\"password_grant\"}".to_owned(), 1),
        ("portcullis_logins_total{realm=\"master\",flow=\"browser\"}".to_owned(), 0),
        ("portcullis_tokens_issued_total{realm=\"master\",grant=\"password\",algorithm=\"RS256\"}".to_owned(), 1),
    ] {
        assert_eq!(served.value(&series), value, "{series} in {}", served.page());
    }
    for series in ["portcullis_password_hashes_total", "portcullis_store_commits_total", "portcullis_connections_total"]
    {
        assert!(served.value(series) > 0, "{series}");
    }
    assert!(served.value("process_resident_memory_bytes") > 1_000_000);

    let page = served.page().to_lowercase();
    assert!(!page.contains("canary"), "{page}");
    let mut shown: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("# type ")?.split(' ').next()).collect();
    let mut named: Vec<&str> = FAMILIES.iter().map(|family| family.0).collect();
    shown.sort_unstable();
    named.sort_unstable();
    assert_eq!(shown, named, "the reference names what the page shows");
}
