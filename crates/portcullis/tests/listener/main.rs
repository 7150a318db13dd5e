//! The listener's limits, byte for byte: floods of headers, silent and slow peers, foreign hosts, too many connections.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod http2;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use portcullis::listen::{Hosts, Listener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A listener on a free port that answers `GET /` with `hello`.
struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Served {
    async fn with(change: impl FnOnce(&mut Listener)) -> Self {
        let mut listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        change(&mut listener);
        let address = listener.address().unwrap();
        let (stop, stopped) = watch::channel(false);
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/panics", get(panics))
            .route("/waits", get(std::future::pending::<&str>));
        Self { address, stop, task: tokio::spawn(listener.serve(router, stopped)) }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that comes back for these bytes until the server closes.
    async fn says(&self, bytes: &[u8]) -> String {
        let mut socket = self.dial().await;
        // The server may close before it has read everything.
        let _ = socket.write_all(bytes).await;
        heard(&mut socket).await
    }

    async fn is_alive(&self) {
        let answer = self.says(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    }

    async fn end(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

async fn panics() -> &'static str {
    tokio::task::yield_now().await;
    panic!("a handler of the test")
}

/// Reads until the server closes; a reset is a close as well. One that never closes fails the test instead of holding it.
async fn heard(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(30), socket.read_to_end(&mut bytes)).await;
    assert!(closed.is_ok(), "not closed: {:?}", String::from_utf8_lossy(&bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn ds_03_a_flood_of_headers_is_431() {
    let served = Served::with(|_| {}).await;
    let request = |headers: &str| format!("GET / HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let honest: String = (0..60).map(|n| format!("X-{n}: {}\r\n", "v".repeat(100))).collect();
    for (name, text, status) in [
        ("a giant cookie", request(&format!("Cookie: {}\r\n", "c".repeat(80 * 1024))), "431"),
        ("a giant name", request(&format!("{}: 1\r\n", "n".repeat(80 * 1024))), "431"),
        ("many", request(&many), "431"),
        (
            "a line that does not end",
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}", "c".repeat(90_000)),
            "431",
        ),
        ("a folded line", request("X-Fold: a\r\n b\r\n"), "400"),
        ("a bare line feed in a value", request("X-A: b\rc\r\n"), "400"),
        ("a giant address", format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(80 * 1024)), "4"),
        ("7 KB of honest headers", request(&honest), "200"),
        ("7 KB of cookies", request(&format!("Cookie: {}\r\n", "c".repeat(7 * 1024))), "200"),
    ] {
        let answer = served.says(text.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {answer:.100}");
    }
    served.is_alive().await;
    served.end().await;
}

#[tokio::test]
async fn ds_05_ds_07_silent_and_slow_peers_are_closed() {
    let served = Served::with(|listener| {
        listener.patience = Duration::from_millis(200);
        listener.max_connections = 8;
    })
    .await;
    // As many as there are places: the honest request below can only be served when they are closed.
    let mut sockets = Vec::new();
    for opening in [
        &b""[..],
        b"G",
        b"PRI * HTTP/2.0\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"\r\n",
        b"",
    ] {
        let mut socket = served.dial().await;
        socket.write_all(opening).await.unwrap();
        sockets.push((opening, socket));
    }
    served.is_alive().await;
    for (opening, mut socket) in sockets {
        let answer = heard(&mut socket).await;
        assert!(!answer.contains("hello"), "{:?}: {answer}", String::from_utf8_lossy(opening));
    }
    served.end().await;
}

#[tokio::test]
async fn ds_07_silent_peers_do_not_hold_the_accept_loop() {
    let served = Served::with(|listener| listener.patience = Duration::from_secs(3600)).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(served.dial().await);
    }
    served.is_alive().await;
    drop(silent);
    served.end().await;
}

#[tokio::test]
async fn ds_07_a_request_in_flight_outlives_the_patience() {
    let (go, gone) = watch::channel(false);
    let mut listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    listener.patience = Duration::from_millis(50);
    let address = listener.address().unwrap();
    let (stop, stopped) = watch::channel(false);
    let wait = move || {
        let mut gone = gone.clone();
        async move {
            let _ = gone.wait_for(|go| *go).await;
            "late"
        }
    };
    let router = Router::new().route("/", get(wait)).route("/quick", get(|| async { "quick" }));
    let task = tokio::spawn(listener.serve(router, stopped));
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    // A silent peer that came later was closed meanwhile: the patience is over.
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(heard(&mut silent).await, "");
    go.send(true).unwrap();
    assert!(heard(&mut slow).await.ends_with("late"));
    stop.send(true).unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn ds_07_connections_have_a_limit() {
    let served = Served::with(|listener| {
        listener.max_connections = 2;
        listener.patience = Duration::from_secs(3600);
    })
    .await;
    let (mut first, second) = (served.dial().await, served.dial().await);
    // The third waits in the kernel's queue until a place is free.
    let mut third = served.dial().await;
    third.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    // Meanwhile the server has time enough for many answers on the first.
    for _ in 0..50 {
        first.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("hello") {
            let mut bytes = [0; 1024];
            let read = first.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "kept: {answer}");
            answer.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
    let early = third.try_read(&mut [0]);
    assert!(early.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock), "no place, no answer");
    drop(first);
    assert!(heard(&mut third).await.ends_with("hello"));
    drop(second);
    served.is_alive().await;
    served.end().await;
}

#[tokio::test]
async fn se_28_a_foreign_host_is_421() {
    let own = Hosts::Only(Arc::from(["login.test".to_owned()]));
    for (hosts, rows) in [
        (
            Hosts::Loopback,
            &[
                ("Host: localhost", "200"),
                ("Host: 127.0.0.1:8080", "200"),
                ("Host: [::1]", "200"),
                ("Host: evil.test", "421"),
                ("Host: localhost.evil.test", "421"),
                ("Host: localhost\r\nHost: evil.test", "4"),
                ("Host: localhost, evil.test", "4"),
                ("Host:", "4"),
                ("X-Forwarded-Host: localhost", "4"),
            ][..],
        ),
        (own, &[("Host: login.test", "200"), ("Host: LOGIN.test:443", "200"), ("Host: localhost", "421")][..]),
    ] {
        let served = Served::with(|listener| listener.hosts = hosts.clone()).await;
        for (line, status) in rows {
            let answer = served.says(format!("GET / HTTP/1.1\r\n{line}\r\nConnection: close\r\n\r\n").as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{hosts:?} {line}: {answer:.100}");
            assert_eq!(answer.ends_with("hello"), *status == "200", "{line}");
        }
        // An absolute address is its own host (RFC 9112 §3.2.2).
        let absolute = b"GET http://evil.test/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert!(served.says(absolute).await.starts_with("HTTP/1.1 421"));
        served.end().await;
    }
}

#[tokio::test]
async fn ds_26_a_panic_spoils_its_own_request_only() {
    let served = Served::with(|listener| listener.max_connections = 2).await;
    let ask = |path: &str, last: bool| {
        let close = if last { "Connection: close\r\n" } else { "" };
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n")
    };
    // Each on a connection of its own: more of them than there are places.
    for _ in 0..10 {
        let answer = served.says(ask("/panics", true).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 500") && answer.ends_with("Internal server error.\n"), "{answer}");
    }
    // And on one that goes on.
    let many = ask("/panics", false).repeat(10) + &ask("/", true);
    let answer = served.says(many.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 500").count(), 10, "{answer}");
    assert!(answer.ends_with("hello") && !answer.contains("a handler of the test"), "{answer}");
    served.is_alive().await;
    served.end().await;
}
