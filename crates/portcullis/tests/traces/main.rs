//! Traces: what a collector gets from the running program, decoded; and what happens when there is none.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

mod asking;
mod canary;
mod collector;
#[path = "../program/served.rs"]
mod served;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use portcullis::clock::{Stopwatch, SystemEntropy};
use portcullis::listen::Listener;
use portcullis::start::Place;
use portcullis::telemetry::spans::{Face, Settings, Spans};
use portcullis::{data, demo};
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use asking::send;
use collector::{Collector, hex, only, text};
use served::Served;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");
const CALLER: (&str, &str) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
/// A port on loopback that nobody is given by chance: nothing listens there.
const NOBODY: u16 = 1;

/// The program with this `[tracing]` section, and `more` sections behind it.
fn start(folder: &Path, tracing: &str, more: &str) -> Served {
    let sections = format!("[tracing]\n{tracing}\n{more}");
    Served::start(Command::new(PROGRAM), folder, "http", &sections)
}

/// Stops in good order; what was logged.
fn stop(served: Served) -> String {
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    log
}

#[test]
fn a_callers_trace_is_linked_or_sampled_as_the_settings_say() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let served = start(folder.path(), &format!("otlp = {:?}\ncallers = \"link\"", collector.url()), "");
    let (trace, parent) = CALLER;
    let answer = send(served.main, &format!("GET /realms/moon\ntraceparent: 00-{trace}-{parent}-01"), "");
    assert_eq!(answer.status(), 404);
    stop(served);
    let spans = collector.spans();
    let span = only(&spans, "GET realm", &[("portcullis.reason", "UnknownRealm")]);
    assert_eq!((hex(&span.trace_id), span.parent_span_id.len()), (answer.trace(), 0));
    assert_eq!((hex(&span.links[0].trace_id), hex(&span.links[0].span_id)), (trace.to_owned(), parent.to_owned()));
    assert_eq!(text(&span.attributes, "portcullis.realm"), None, "no stranger's text");

    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let served = start(folder.path(), &format!("otlp = {:?}\nsample = 0.0", collector.url()), "");
    send(served.main, &format!("GET /realms/moon\ntraceparent: 00-{trace}-{parent}-01"), "");
    send(served.main, &format!("GET /realms/moon\ntraceparent: 00-{trace}-{parent}-00"), "");
    stop(served);
    assert_eq!(collector.spans().len(), 1, "the one that its caller records");
}

fn dropped(served: &Served) -> u64 {
    let page = send(served.port("metrics"), "GET /metrics", "").0;
    let line = page.lines().find_map(|l| l.strip_prefix("portcullis_trace_spans_total{outcome=\"dropped\"} "));
    line.unwrap().parse().unwrap()
}

/// More requests than spans may wait, on one connection.
fn many(port: u16, count: usize) {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    for _ in 0..count {
        write!(stream.get_mut(), "GET /realms/moon HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0);
        }
        assert!(head.starts_with("HTTP/1.1 404"), "{head}");
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
    }
}

#[test]
fn ds_14_a_collector_that_is_away_or_silent_costs_spans_and_one_line() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [NOBODY, silent.local_addr().unwrap().port()] {
        let folder = tempfile::tempdir().unwrap();
        let served = start(folder.path(), &format!("otlp = \"http://127.0.0.1:{port}\""), "");
        // 2,048 wait, 512 are on their way.
        many(served.main, 2_048 + 512 + 40);
        let dropped = dropped(&served);
        assert!(dropped >= 40, "{dropped}");
        let log = stop(served);
        assert!(log.matches("spans cannot be sent").count() <= 1, "{log}");
    }
    drop(silent);
    let folder = tempfile::tempdir().unwrap();
    let served = start(folder.path(), &format!("otlp = \"http://127.0.0.1:{NOBODY}\""), "");
    send(served.main, "GET /realms/moon", "");
    let log = stop(served);
    assert_eq!(log.matches("spans cannot be sent").count(), 1, "{log}");
}

fn fails(arguments: &[&str], words: &str) {
    let output = Command::new("/usr/bin/timeout").args(["60", PROGRAM]).args(arguments).env_clear().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(error.contains(words) && error.trim_end().lines().count() == 1, "{error:?} does not say {words:?}");
}

#[test]
fn a_collector_that_is_none_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("portcullis.toml"), folder.path().join("data"));
    for (tracing, words) in [
        ("otlp = \"collector:4318\"", "tracing.otlp: OTLP travels by http or https, for example http://collector:4318"),
        ("otlp = \"https://u:p@c\"", "tracing.otlp: no user, query or fragment"),
        ("otlp = \"http://c\"\nratio = 1", "line 8, column 1: unknown field `ratio`"),
        ("otlp = \"http://[::1]\"\nheaders_file = \"/nowhere/headers\"", "tracing.headers_file /nowhere/headers: "),
    ] {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://localhost\"\n[storage]\ndata = {data:?}\n[tracing]\n{tracing}\n"
        );
        std::fs::write(&file, text).unwrap();
        let name = file.to_str().unwrap();
        fails(&["serve", "--config", name], words);
        fails(&["check-config", "--config", name], words);
    }
    assert!(!data.exists(), "nothing was begun");
    fails(&["--in-memory", "--otlp", "http://localhost:4317"], "--otlp: port 4317 speaks gRPC");
    fails(&["idp", "--in-memory", "--otlp", "localhost:4318"], "--otlp: OTLP travels by http or https");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_behind_the_guard_has_spans_and_its_refusals_the_traces_number() {
    let collector = Collector::start();
    let settings = Settings::to(&collector.url()).unwrap();
    let spans = Spans::open(&settings, Stopwatch::start(), Arc::new(SystemEntropy)).unwrap();
    tracing_subscriber::registry().with(spans.collector).init();
    let bound = async |face| {
        let mut listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        listener.spans = Some((spans.faces.clone(), face));
        listener
    };
    let listeners = [bound(Face::Idp).await, bound(Face::App).await, bound(Face::Api).await];
    let [idp, app, api] = listeners.each_ref().map(|listener| listener.address().unwrap().port());
    let addresses = demo::Addresses::on_ports(idp, app, api);
    let place = Place::Memory(data::passing_keys(&SystemEntropy));
    let (started, _) = demo::open(place, None, &addresses, true).await.unwrap();
    let sources = started.sources();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(async move { demo::serve_all(&started, listeners, &addresses, stopped).await });

    let refused = tokio::task::spawn_blocking(move || {
        send(app, "GET /index.html?canary=1", "");
        assert_eq!(send(api, "GET /public", "").status(), 200);
        send(api, "GET /me\nAuthorization: Bearer canary", "")
    });
    let refused = refused.await.unwrap();
    assert_eq!(refused.status(), 401, "{}", refused.0);
    // Its guard is seen, too, once it follows what ended.
    let mut page = String::new();
    let follows = async {
        while !page.contains("portcullis_guard_feed_state{state=\"following\"} 1\n") {
            page = sources.text().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), follows).await.expect("the guard never follows");
    for line in [
        "portcullis_guard_feed_state{state=\"stale\"} 0\n",
        "portcullis_guard_feed_sequence 0\n",
        "portcullis_guard_cutoffs 0\n",
    ] {
        assert!(page.contains(line), "{line:?} is not in {page}");
    }
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
    spans.exporter.run(stop.subscribe()).await;

    let spans = collector.spans();
    only(&spans, "GET app", &[("portcullis.face", "app"), ("http.response.status_code", "200")]);
    only(&spans, "GET /public", &[("portcullis.face", "api"), ("portcullis.outcome", "answered")]);
    let me = only(&spans, "GET /me", &[("portcullis.outcome", "refused"), ("http.route", "/me")]);
    assert!(text(&me.attributes, "portcullis.reason").is_some());
    assert_eq!(hex(&me.trace_id), refused.trace());
    assert!(refused.0.contains(&format!("\"trace\":\"{}\"", refused.trace())), "{}", refused.0);
    assert!(!format!("{:?}", collector.requests()).contains("canary"));
}
