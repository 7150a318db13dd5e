//! `[metrics]`: a listener of its own, labels that nobody outside can choose, numbers that move.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use portcullis::telemetry::metrics::FAMILIES;

use crate::PROGRAM;
use crate::served::Served;

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

fn page(served: &Served) -> String {
    send(served.port("metrics"), "GET /metrics", "")
}

/// The value of a series.
fn value(served: &Served, series: &str) -> u64 {
    let page = page(served);
    let line = page.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
    line.map_or(0, |v| v.parse().unwrap())
}

const TOKEN: &str = "POST /realms/master/protocol/openid-connect/token";

#[test]
fn lg_06_lg_08_metrics_have_a_listener_and_words_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Command::new(PROGRAM), folder.path(), "http", "");
    for path in ["/metrics", "/health", "/health/ready"] {
        assert!(send(served.main, &format!("GET {path}"), "").starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(send(served.port("metrics"), "GET /health/ready", "").starts_with("HTTP/1.1 200"));
    assert!(send(served.port("metrics"), "GET /realms/master", "").starts_with("HTTP/1.1 404"));

    let good = "grant_type=password&client_id=admin-cli&username=admin&password=a+long+passphrase";
    let answer = send(served.port("admin"), TOKEN, good);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A logout is a cut-off, and the feed's place moves.
    let placed = value(&served, "portcullis_feed_sequence{realm=\"master\"}");
    let refresh = answer.split("\"refresh_token\":\"").nth(1).unwrap().split('"').next().unwrap();
    let bye = format!("client_id=admin-cli&refresh_token={refresh}");
    let answer = send(served.port("admin"), "POST /realms/master/protocol/openid-connect/logout", &bye);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(value(&served, "portcullis_feed_sequence{realm=\"master\"}") > placed, "{}", page(&served));
    send(served.port("admin"), TOKEN, "grant_type=password&client_id=admin-cli&username=canary&password=canary");
    send(served.main, "GET /realms/canary%22%7D/protocol/openid-connect/auth?client_id=canary", "");
    send(served.main, "CANARY /canary", "");

    let master = "realm=\"master\",endpoint=\"token\"";
    for (series, wanted) in [
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
        assert_eq!(value(&served, &series), wanted, "{series} in {}", page(&served));
    }
    for series in ["portcullis_password_hashes_total", "portcullis_store_commits_total", "portcullis_connections_total"]
    {
        assert!(value(&served, series) > 0, "{series}");
    }
    assert!(value(&served, "process_resident_memory_bytes") > 1_000_000);

    let page = page(&served).to_lowercase();
    assert!(!page.contains("canary"), "{page}");
    let mut shown: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("# type ")?.split(' ').next()).collect();
    let mut named: Vec<&str> = FAMILIES.iter().map(|family| family.0).collect();
    shown.sort_unstable();
    named.sort_unstable();
    assert_eq!(shown, named, "the reference names what the page shows");
}
