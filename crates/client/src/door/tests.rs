//! SS: whom a door reaches.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A resolver that says what the test wants, in turn.
#[derive(Debug)]
struct Told(Vec<Vec<IpAddr>>, AtomicUsize);

#[async_trait]
impl Names for Told {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let at = self.1.fetch_add(1, Ordering::SeqCst);
        Ok(self.0.get(at).or(self.0.last()).cloned().unwrap_or_default())
    }
}

fn told(answers: &[&[&str]]) -> Arc<Told> {
    let read = |list: &&[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
    Arc::new(Told(answers.iter().map(read).collect(), AtomicUsize::new(0)))
}

fn public(allowed: &[&str], names: Arc<Told>) -> Door {
    let allowed: Vec<String> = allowed.iter().map(|host| (*host).to_owned()).collect();
    Door::with(Reach::PublicOnly, &allowed, names).unwrap()
}

/// A listener on loopback that must not be called: its port, and whether somebody did.
async fn trap() -> (u16, TcpListener) {
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (trap.local_addr().unwrap().port(), trap)
}

/// Connections are accepted in the order they were made, so the first one is ours if nobody came before.
async fn untouched(trap: &TcpListener) -> bool {
    let own = TcpStream::connect(trap.local_addr().unwrap()).await.unwrap();
    let (_, first) = trap.accept().await.unwrap();
    first == own.local_addr().unwrap()
}

#[tokio::test]
async fn a_trap_tells_that_it_was_touched() {
    let (port, trap) = trap().await;
    let door = public(&["keys.inner"], told(&[&["127.0.0.1"]]));
    let url = format!("https://keys.inner:{port}/jwks");
    // The call waits for the other side's greeting; what matters is that it was begun before ours.
    let (called, touched) = tokio::join!(door.get(&url), async {
        let (begun, _) = trap.accept().await.unwrap();
        drop(begun);
        true
    });
    assert!(called.is_err() && touched);
    assert!(untouched(&trap).await);
}

#[test]
fn ss_04_private_addresses_are_not_public() {
    for ip in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "2001:db8::1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "2001::1",
    ] {
        assert!(!is_public(ip.parse().unwrap()), "{ip}");
    }
    for ip in ["8.8.8.8", "1.1.1.1", "2606:4700::1111"] {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
}

#[tokio::test]
async fn ss_04_ss_10_ss_13_texts_that_lead_inside_are_refused_before_anything_is_dialled() {
    let (port, trap) = trap().await;
    let names = told(&[&["127.0.0.1"]]);
    let door = public(&[], Arc::clone(&names));
    let at = |host: &str| format!("https://{host}:{port}/jwks");
    let hosts = [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "100.64.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "intranet",
        "\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}",
        "%31%32%37.0.0.1",
    ];
    let texts = [
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "data:,x",
        "unix:/run/x",
        "//evil.test/",
        "x",
        "",
        "https://user@example.com/",
        "https://user:pw@example.com/",
        "https://example.com:22/",
        "https://example.com:25/",
        "http://example.com/",
        "https://exam\r\nple.com/",
        "https://example.com/\r\nHost: inner",
        " https://example.com/",
        "https://exa mple.com/",
    ];
    for url in hosts.iter().map(|host| at(host)).chain(texts.iter().map(|text| (*text).to_owned())) {
        let error = door.get(&url).await.unwrap_err();
        assert!(matches!(error, CallError::Refused { .. }), "{url}: {error}");
    }
    assert_eq!(names.1.load(Ordering::SeqCst), 0, "nothing was even resolved");
    assert!(untouched(&trap).await);
}

#[tokio::test]
async fn ss_04_ss_05_names_are_judged_by_all_their_addresses() {
    let (port, trap) = trap().await;
    for answers in [
        &["127.0.0.1"][..],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        // Mixed: the public one does not redeem the other.
        &["8.8.8.8", "127.0.0.1"],
        &["127.0.0.1", "2606:4700::1111"],
        &[],
    ] {
        let door = public(&[], told(&[answers]));
        let error = door.get(&format!("https://keys.example.com:{port}/jwks")).await.unwrap_err().to_string();
        assert!(error.contains("no address in reach"), "{answers:?}: {error}");
    }
    assert!(untouched(&trap).await);
}

#[tokio::test]
async fn ss_05_rebinding_gives_nothing_because_each_call_is_judged_by_what_it_dials() {
    let (port, trap) = trap().await;
    let names = told(&[&["127.0.0.1"], &["127.0.0.1"]]);
    let door = public(&[], Arc::clone(&names));
    for calls in 1..=2 {
        assert!(door.get(&format!("https://keys.example.com:{port}/jwks")).await.is_err());
        assert_eq!(names.1.load(Ordering::SeqCst), calls, "one resolution a call: what is judged is what is dialled");
    }
    assert!(untouched(&trap).await);
}

async fn site() -> String {
    let router = Router::new()
        .route("/jwks", get(|| async { r#"{"keys":[]}"# }))
        .route("/moved", get(|| async { (StatusCode::FOUND, [("location", "/jwks")]) }))
        .route("/large", get(|| async { "a".repeat(MAX_ANSWER + 1) }))
        .route("/limit", get(|| async { "a".repeat(MAX_ANSWER) }))
        .route("/head", get(|headers: HeaderMap| async move { format!("{:?}", headers.get("authorization")) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

#[tokio::test]
async fn ss_03_ss_09_an_allowed_host_is_reached_and_bounded() {
    let site = site().await;
    let (name, port) = site.split_once(':').unwrap();
    let names = || told(&[&["127.0.0.1"]]);
    for allowed in [site.as_str(), name] {
        let door = public(&[allowed], names());
        assert_eq!(door.get(&format!("http://{site}/jwks")).await.unwrap(), br#"{"keys":[]}"#, "{allowed}");
        let (limit, large) =
            (door.get(&format!("http://{site}/limit")).await, door.get(&format!("http://{site}/large")).await);
        assert_eq!(limit.unwrap().len(), MAX_ANSWER);
        assert!(large.unwrap_err().to_string().contains("too long"));
        let moved = door.get(&format!("http://{site}/moved")).await.unwrap_err().to_string();
        assert!(moved.contains("302"), "{moved}");
    }
    let door = public(&[&format!("keys.inner:{port}")], names());
    assert!(door.get(&format!("http://keys.inner:{port}/jwks")).await.is_ok(), "by name, whatever its address");
    assert!(door.get(&format!("http://KEYS.inner:{port}/jwks")).await.is_ok());
    for other in
        [format!("http://{site}/jwks"), format!("https://other.inner:{port}/jwks"), "http://keys.inner:1/".to_owned()]
    {
        assert!(door.get(&other).await.is_err(), "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn ss_09_an_answer_that_never_ends_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = listener.local_addr().unwrap().to_string();
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    let door = public(&[&site], told(&[]));
    let began = tokio::time::Instant::now();
    assert!(door.get(&format!("http://{site}/jwks")).await.is_err());
    assert!(began.elapsed() <= DEADLINE + Duration::from_secs(1));
    silent.abort();
}

/// Remembers which names it was asked for.
#[derive(Debug, Default)]
struct Asked(std::sync::Mutex<Vec<String>>);

#[async_trait]
impl Names for Asked {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.0.lock().unwrap().push(name.to_owned());
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn ss_14_a_strangers_name_is_whole_so_that_no_search_domain_is_tried() {
    let asked = Arc::new(Asked::default());
    let door = Door::with(Reach::PublicOnly, &[], asked.clone()).unwrap();
    assert!(door.get("https://keys.partner/jwks").await.is_err());
    assert_eq!(*asked.0.lock().unwrap(), ["keys.partner."]);
    // What the operator wrote is resolved as the machine resolves names.
    let own = Door::with(Reach::Configured, &[], asked.clone()).unwrap();
    assert!(own.get("https://idp/jwks").await.is_err());
    assert_eq!(asked.0.lock().unwrap().last().map(String::as_str), Some("idp"));
}
