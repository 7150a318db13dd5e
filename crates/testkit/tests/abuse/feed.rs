//! The revocation feed as the identity provider tells it: who may read, what is signed, how a reader resumes.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_core::cutoff::Cursor;
use portcullis_core::ending;
use portcullis_core::time::Clock as _;
use portcullis_idp::Frames;
use portcullis_jose::{Algorithm, AudienceRule, JwkSet, KeySet, Limits, Profile, TypeRule, jwt};
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::{Cluster, Options, TestServer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::forge::claims;
use crate::ground::{
    House, REALM, TWIN, admin_token, by_client, by_password, edit_user, furnish, login, open, open_both, party,
    realm_id, records, refresh, stored_user, tokens, userinfo, write,
};

pub(crate) const PATH: &str = "/realms/yard/portcullis/revocations";

/// The issuer as the tests' requests see it.
pub(crate) fn issuer(server: &TestServer) -> String {
    format!("{}/realms/{REALM}", server.base)
}

/// Lets the service account of `service` read.
pub(crate) async fn permit(server: &TestServer) -> Result<()> {
    let records = records(server, REALM).await?;
    let management = records.client("realm-management").context("realm-management")?.id.clone();
    let role = records.roles.iter().find(|r| r.client.as_ref() == Some(&management) && r.name == "read-revocations");
    let role = role.context("a realm of ours has the role")?.id.clone();
    edit_user(server, "service-account-service", |user| user.roles.push(role)).await
}

/// The published keys.
pub(crate) async fn keys(server: &TestServer) -> Result<KeySet> {
    let path = format!("/realms/{REALM}/protocol/openid-connect/certs");
    let body = server.client()?.send(&Exchange::get(&path)).await?.body;
    Ok(KeySet::from_jwks(&JwkSet::parse(&body)?))
}

/// Logs out by refresh token.
pub(crate) async fn log_out(server: &TestServer, client: &str, refresh: &str) -> Result<()> {
    let path = format!("/realms/{REALM}/protocol/openid-connect/logout");
    let form = [("client_id", client), ("refresh_token", refresh)];
    let answer = server.client()?.send(&Exchange::form(&path, &form)).await?;
    ensure!(answer.status == 204, "{}", answer.text());
    Ok(())
}

/// An event's body, its signature and type checked.
fn opened(event: &str, keys: &KeySet, issuer: &str, now: i64) -> Result<Value> {
    let profile = Profile::new(&[Algorithm::RS256], TypeRule::one_of(&["revocation+jwt"]), issuer, AudienceRule::Any)
        .exp_optional()
        .with_limits(Limits { max_bytes: 256 * 1024, max_depth: 8 });
    let verified = jwt::verify(event, keys, &profile, now).map_err(|e| anyhow::anyhow!("{}", e.name()))?;
    Ok(Value::Object(verified.into_claims()))
}

/// A stream in this process.
struct Reader {
    frames: Frames,
    keys: KeySet,
    issuer: String,
    now: i64,
}

impl Reader {
    async fn open(server: &TestServer, issuer: &str, after: Option<(i64, i64)>) -> Result<Self> {
        let after = after.map(|(epoch, sequence)| Cursor { epoch, sequence });
        let frames = server.idp.revocations(REALM, issuer, after).await?;
        Ok(Self { frames, keys: keys(server).await?, issuer: issuer.to_owned(), now: server.clock.now().secs() })
    }

    async fn any(&mut self) -> Result<Value> {
        let event = tokio::time::timeout(Duration::from_secs(20), self.frames.next()).await.context("no event")?;
        opened(&event.context("the stream ended")?, &self.keys, &self.issuer, self.now)
    }

    /// The next event that is no heartbeat.
    async fn news(&mut self) -> Result<Value> {
        loop {
            let event = self.any().await?;
            if event.get("cuts").is_some() {
                return Ok(event);
            }
        }
    }
}

fn values(event: &Value) -> Vec<String> {
    let text = |cut: &Value| {
        let member = |name: &str| cut[name].as_str().unwrap_or("?").to_owned();
        format!("{} {}", member("kind"), member("value"))
    };
    event["cuts"].as_array().into_iter().flatten().map(text).collect()
}

pub(crate) async fn ask(server: &TestServer, path: &str, token: &str) -> Result<(u16, Vec<String>)> {
    let mut socket = BufReader::new(TcpStream::connect(server.authority()).await?);
    let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n", server.authority());
    socket.get_mut().write_all(head.as_bytes()).await?;
    let mut line = String::new();
    socket.read_line(&mut line).await?;
    let status: u16 = line.split(' ').nth(1).context("a status")?.parse()?;
    let mut events = Vec::new();
    while status == 200 && events.len() < 2 {
        line.clear();
        ensure!(socket.read_line(&mut line).await? > 0, "the stream ended");
        events.extend(line.trim_end().strip_prefix("data: ").map(str::to_owned));
    }
    Ok((status, events))
}

#[tokio::test]
async fn only_a_service_account_with_the_role_reads_the_feed() -> Result<()> {
    let server = open_both(House::Strict).await?;
    let person = tokens(&by_password(&server, "alice").await?)?.access;
    let service = tokens(&by_client(&server, "service", "openid").await?)?.access;
    for (token, status) in [("", 401), ("x.y.z", 401), (&person, 403), (&service, 403)] {
        assert_eq!(ask(&server, PATH, token).await?.0, status, "{token}");
    }
    let none: Answer = server.client()?.send(&Exchange::get(PATH)).await?;
    assert_eq!(none.status, 401);
    // A person with the role is not enough; a service account of the twin realm is nobody here.
    permit(&server).await?;
    let roles = stored_user(&server, "service-account-service").await?.roles;
    edit_user(&server, "alice", |user| user.roles.extend(roles)).await?;
    assert_eq!(ask(&server, PATH, &person).await?.0, 403);
    let twin = server.relying_party(crate::ground::registration(TWIN, "service"))?;
    let mut twin = twin;
    let foreign = tokens(&twin.token(&[("grant_type", "client_credentials")]).await?)?.access;
    assert_eq!(ask(&server, PATH, &foreign).await?.0, 401);
    // The honest twin, and a cursor that is none.
    let (status, events) = ask(&server, PATH, &service).await?;
    assert_eq!(status, 200);
    let now = server.clock.now().secs();
    let first = opened(&events[0], &keys(&server).await?, &issuer(&server), now)?;
    assert_eq!((&first["page"], &first["last"], &first["cuts"]), (&json!(0), &json!(true), &json!([])));
    for cursor in ["x", "1", "1.-1", "1.0&after=1.0"] {
        assert_eq!(ask(&server, &format!("{PATH}?after={cursor}"), &service).await?.0, 400, "{cursor}");
    }
    Ok(())
}

#[tokio::test]
async fn lo_05_a_logout_is_told_signed_and_in_order() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut reader = Reader::open(&server, &issuer(&server), None).await?;
    let snapshot = reader.any().await?;
    assert_eq!((&snapshot["epoch"], &snapshot["seq"]), (&json!(1), &json!(0)));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(login(&mut party(&server, "app")?).await?);
    }
    for (n, login) in held.iter().enumerate() {
        log_out(&server, "app", &login.refresh).await?;
        let event = reader.news().await?;
        let sid = claims(&login.access)?["sid"].as_str().unwrap().to_owned();
        assert_eq!(values(&event), [format!("sid {sid}")]);
        assert_eq!((&event["after"], &event["seq"]), (&json!(n), &json!(n + 1)));
        let exp = event["cuts"][0]["exp"].as_i64().unwrap();
        assert!(exp > claims(&login.access)?["exp"].as_i64().unwrap() + 60, "beyond the token's end and any leeway");
    }
    let beat = reader.any().await?;
    assert_eq!((beat.get("cuts"), &beat["seq"]), (None, &json!(3)), "a heartbeat says how far all are");
    // Who comes later gets what is in force; what is over is not told.
    let mut late = Reader::open(&server, &issuer(&server), None).await?;
    assert_eq!(values(&late.any().await?).len(), 3);
    server.clock.advance(Duration::from_secs(24 * 3600));
    let mut later = Reader::open(&server, &issuer(&server), None).await?;
    later.now = server.clock.now().secs();
    assert_eq!(values(&later.any().await?).len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_reader_resumes_where_it_stood_and_starts_over_where_it_cannot() -> Result<()> {
    let server = open(House::Strict).await?;
    let records = records(&server, REALM).await?;
    let cut = |n: usize| ending::token(&records, &format!("j{n}"), None, server.clock.now());
    for n in 0..450 {
        write(&server, vec![cut(n)]).await?;
    }
    let issuer = issuer(&server);
    for (after, kinds, first) in [
        (None, vec!["page 0", "page 1", "page 2"], 200),
        (Some((1, 250)), vec!["after 250"], 200),
        (Some((1, 449)), vec!["after 449"], 1),
        // Of another history, or of a future that never was: everything in force.
        (Some((2, 450)), vec!["page 0", "page 1", "page 2"], 200),
        (Some((0, 0)), vec!["page 0", "page 1", "page 2"], 200),
        (Some((1, 451)), vec!["page 0", "page 1", "page 2"], 200),
    ] {
        let mut reader = Reader::open(&server, &issuer, after).await?;
        let mut told = Vec::new();
        for (n, kind) in kinds.iter().enumerate() {
            let event = reader.any().await?;
            let name = if event.get("page").is_some() { "page" } else { "after" };
            assert_eq!(format!("{name} {}", event[name]), *kind, "{after:?}");
            assert_eq!(event["last"] == json!(true), name == "page" && n == 2, "{after:?} {n}");
            told.extend(values(&event));
            assert!(n > 0 || told.len() == first, "{after:?}: {}", told.len());
        }
        assert_eq!(reader.any().await?.get("cuts"), None, "{after:?}: then the heartbeat");
        let missing = (450 - told.len()..450).find(|n| !told.contains(&format!("jti j{n}")));
        assert_eq!(missing, None, "{after:?}");
    }
    Ok(())
}

#[tokio::test]
async fn lo_05_every_node_tells_what_any_node_ended() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await?;
    furnish(cluster.node(0)?, House::Strict).await?;
    let issuer = issuer(cluster.node(0)?);
    let mut first = Reader::open(cluster.node(0)?, &issuer, None).await?;
    let mut second = Reader::open(cluster.node(1)?, &issuer, None).await?;
    for reader in [&mut first, &mut second] {
        reader.any().await?;
    }
    let held = login(&mut party(cluster.node(0)?, "app")?).await?;
    log_out(cluster.node(1)?, "app", &held.refresh).await?;
    let (one, other) = (first.news().await?, second.news().await?);
    assert_eq!((values(&one), &one["seq"]), (values(&other), &other["seq"]));
    // A reader of one node goes on at the other.
    let again = login(&mut party(cluster.node(0)?, "app")?).await?;
    log_out(cluster.node(0)?, "app", &again.refresh).await?;
    let mut moved = Reader::open(cluster.node(1)?, &issuer, Some((1, 1))).await?;
    assert_eq!(values(&moved.news().await?), values(&first.news().await?));
    Ok(())
}

#[tokio::test]
async fn pc_03_rt_02_misuse_is_told_for_the_client_alone() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut reader = Reader::open(&server, &issuer(&server), None).await?;
    reader.any().await?;
    let mut app = party(&server, "web")?;
    let (code, pkce) = crate::ground::code(&mut app).await?;
    let held = tokens(&app.exchange(&code, &pkce).await?)?;
    ensure!(app.exchange(&code, &pkce).await?.status == 400, "a second use");
    let sid = claims(&held.access)?["sid"].as_str().unwrap().to_owned();
    let event = reader.news().await?;
    assert_eq!(values(&event), [format!("session-client {sid} web")]);
    // The honest twin: a login in the same second lives, so its token is a second younger than the cut-off.
    let again = login(&mut app).await?;
    let before = event["cuts"][0]["before"].as_i64().unwrap();
    assert_eq!(claims(&again.access)?["sid"], json!(sid));
    assert!(claims(&again.access)?["iat"].as_i64().unwrap() > before);
    assert_eq!(userinfo(&server, &again.access).await?.status, 200);
    ensure!(refresh(&mut app, &again.refresh).await?.status == 200, "its refresh token as well");
    Ok(())
}

#[tokio::test]
async fn rt_16_tokens_made_after_a_subject_was_cut_live() -> Result<()> {
    let server = open(House::Strict).await?;
    let (records, bob) = (records(&server, REALM).await?, stored_user(&server, "bob").await?);
    let now = server.clock.now();
    write(&server, vec![ending::subject(&records, &bob.id, now)]).await?;
    for (user, iat) in [("bob", now.secs() + 1), ("alice", now.secs())] {
        let held = tokens(&by_password(&server, user).await?)?;
        assert_eq!(claims(&held.access)?["iat"], json!(iat), "{user}");
        assert_eq!(userinfo(&server, &held.access).await?.status, 200, "{user}");
    }
    server.clock.advance(Duration::from_secs(5));
    let held = tokens(&by_password(&server, "bob").await?)?;
    assert_eq!(claims(&held.access)?["iat"], json!(now.secs() + 5));
    Ok(())
}

#[tokio::test]
async fn rt_16_a_pushed_not_before_is_told() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut reader = Reader::open(&server, &issuer(&server), None).await?;
    reader.any().await?;
    let admin = admin_token(&server).await?;
    let now = server.clock.now().secs();
    let path = format!("/admin/realms/{REALM}");
    for (body, told) in [
        (json!({ "notBefore": now }), true),
        (json!({ "displayName": "The yard" }), false),
        (json!({ "notBefore": now + 1 }), true),
    ] {
        let put = Exchange::json("PUT", &path, &body).header("Authorization", &format!("Bearer {admin}"));
        assert_eq!(server.client()?.send(&put).await?.status, 204);
        if told {
            let event = reader.news().await?;
            assert_eq!(values(&event), ["realm "]);
            assert_eq!(event["cuts"][0]["before"].as_i64(), body["notBefore"].as_i64().map(|n| n - 1));
        }
    }
    assert_eq!(server.db.cutoff_cursor(&realm_id(&server).await?).await?.sequence, 2);
    Ok(())
}

#[tokio::test]
async fn ds_14_streams_are_bounded_and_end_when_the_node_stops() -> Result<()> {
    let server = open(House::Strict).await?;
    let issuer = issuer(&server);
    let mut held = Vec::new();
    loop {
        match server.idp.revocations(REALM, &issuer, None).await {
            Ok(frames) => held.push(frames),
            Err(portcullis_idp::FeedRefused::TooMany) => break,
            Err(other) => bail!("{other}"),
        }
    }
    assert_eq!((held.len(), server.idp.feed_figures().streams, server.idp.feed_figures().refused), (256, 256, 1));
    held.truncate(200);
    let mut one = Reader::open(&server, &issuer, None).await?;
    one.any().await?;
    server.idp.end_streams();
    while one.any().await.is_ok() {}
    assert!(server.idp.revocations(REALM, &issuer, None).await.is_err());
    Ok(())
}

/// A follower that goes from node to node, as one does whose identity provider is started again.
pub(crate) struct Following {
    pub(crate) feed: std::sync::Arc<portcullis_guard::RevocationFeed>,
    wire: std::sync::Arc<Wire>,
}

struct Wire {
    nodes: Vec<portcullis_idp::Idp>,
    issuer: String,
    node: std::sync::atomic::AtomicUsize,
    asked: std::sync::Mutex<Vec<Value>>,
}

#[async_trait::async_trait]
impl portcullis_guard::FrameSource for Wire {
    async fn open(
        &self,
        after: Option<(i64, i64)>,
    ) -> Result<futures_util::stream::BoxStream<'static, String>, portcullis_guard::Unreachable> {
        let failed = |cause: String| portcullis_guard::Unreachable(cause);
        let node = self.nodes.get(self.node.load(std::sync::atomic::Ordering::SeqCst));
        let node = node.ok_or_else(|| failed("no node".to_owned()))?;
        let cursor = after.map(|(epoch, sequence)| Cursor { epoch, sequence });
        let frames = node.revocations(REALM, &self.issuer, cursor).await.map_err(|e| failed(e.to_string()))?;
        self.asked.lock().map_err(|e| failed(e.to_string()))?.push(json!(after));
        let next = async |mut frames: Frames| frames.next().await.map(|event| (event.to_string(), frames));
        Ok(Box::pin(futures_util::stream::unfold(frames, next)))
    }
}

struct Fixed(KeySet);

#[async_trait::async_trait]
impl portcullis_guard::KeySource for Fixed {
    fn keys(&self) -> Option<KeySet> {
        Some(self.0.clone())
    }

    async fn refresh(&self) -> Result<KeySet, portcullis_guard::NoKeys> {
        Ok(self.0.clone())
    }
}

impl Following {
    pub(crate) fn new(cluster: &Cluster, issuer: &str, keys: KeySet) -> Self {
        let clock = std::sync::Arc::clone(&cluster.clock);
        let clock = std::sync::Arc::new(move || clock.now().secs());
        let options = portcullis_guard::FeedOptions { clock, ..portcullis_guard::FeedOptions::default() };
        let feed = portcullis_guard::RevocationFeed::new(issuer, std::sync::Arc::new(Fixed(keys)), options);
        let wire = std::sync::Arc::new(Wire {
            nodes: cluster.nodes.iter().map(|node| node.idp.clone()).collect(),
            issuer: issuer.to_owned(),
            node: 0.into(),
            asked: Vec::new().into(),
        });
        drop(feed.follow(wire.clone()));
        Self { feed, wire }
    }

    pub(crate) fn next_node(&self) {
        self.wire.node.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    pub(crate) async fn reached(&self, at: (i64, i64)) -> Result<()> {
        let mut progress = self.feed.progress();
        let reached = progress.wait_for(|place| place.is_some_and(|place| place >= at));
        tokio::time::timeout(Duration::from_secs(20), reached).await.context("the feed stands still")??;
        Ok(())
    }

    pub(crate) fn asked(&self) -> Vec<Value> {
        self.wire.asked.lock().map(|asked| asked.clone()).unwrap_or_default()
    }
}
