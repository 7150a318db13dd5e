//! A guard that follows the feed over HTTP: what ends at the identity provider ends at the API.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use portcullis_client::{Door, IssuerKeys, KeyPolicy, Reach, ServiceAccount};
use portcullis_core::ending;
use portcullis_core::plan::{Entity, Gate, Lane, Plan};
use portcullis_core::time::Clock as _;
use portcullis_guard::{FeedOptions, FeedState, Guard, HttpFrames, KeySource, RevocationFeed, require};
use portcullis_store::ApplyError;
use portcullis_testkit::server::{Cluster, Options, TestServer};
use serde_json::json;
use tower::ServiceExt as _;

use crate::feed::{issuer, log_out, permit};
use crate::forge::claims;
use crate::ground::{
    House, by_client, by_password, code, furnish, login, open, party, realm_id, records, refresh, stored_user, tokens,
    write,
};

/// An API with a guard that follows.
struct Api {
    feed: Arc<RevocationFeed>,
    router: Router,
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Api {
    async fn open(server: &TestServer) -> Result<Self> {
        permit(server).await?;
        let issuer = issuer(server);
        let door = Door::new(Reach::Configured)?;
        let clock = Arc::clone(&server.clock);
        let now: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(move || clock.now().secs());
        let keys: Arc<dyn KeySource> = Arc::new(IssuerKeys::new(&*issuer, door.clone(), KeyPolicy::default()));
        let options = FeedOptions { clock: Arc::clone(&now), ..FeedOptions::default() };
        let feed = RevocationFeed::new(&issuer, Arc::clone(&keys), options);
        let account = ServiceAccount::new(&*issuer, "service", "service-secret");
        drop(feed.follow(Arc::new(HttpFrames::new(&issuer, door, account))));
        let (cutoffs, read) = (Arc::clone(&feed), Arc::clone(&now));
        let guard = Guard::builder()
            .issuer(issuer)
            .audience("account")
            .bearer()
            .keys(keys)
            .cutoffs(cutoffs)
            .clock(move || read());
        let fresh = Router::new().route("/fresh", get(async || "ok")).layer(require::fresh());
        let router = Router::new().route("/", get(async || "ok")).merge(fresh).layer(guard.build()?.layer());
        let api = Self { feed, router, now };
        api.known(server).await?;
        Ok(api)
    }

    /// Waits until the guard knows all that has ended.
    async fn known(&self, server: &TestServer) -> Result<()> {
        let at = server.db.cutoff_cursor(&realm_id(server).await?).await?;
        let mut progress = self.feed.progress();
        let reached = progress.wait_for(|place| place.is_some_and(|place| place >= (at.epoch, at.sequence)));
        tokio::time::timeout(Duration::from_secs(20), reached).await.context("the feed stands still")??;
        Ok(())
    }

    async fn call(&self, path: &str, token: &str) -> Result<u16> {
        let request = http::Request::get(path).header("authorization", format!("Bearer {token}"));
        Ok(self.router.clone().oneshot(request.body(Body::empty())?).await?.status().as_u16())
    }
}

#[tokio::test]
async fn lo_05_a_logged_out_sessions_token_is_refused_at_the_api() -> Result<()> {
    let server = open(House::Strict).await?;
    let api = Api::open(&server).await?;
    assert_eq!(api.feed.state((api.now)()), FeedState::Following);
    let (leaver, stayer) = (login(&mut party(&server, "app")?).await?, login(&mut party(&server, "app")?).await?);
    let second = refresh(&mut party(&server, "app")?, &leaver.refresh).await?;
    let second = tokens(&second)?;
    for token in [&leaver.access, &second.access, &stayer.access] {
        assert_eq!(api.call("/", token).await?, 200, "remembered from here on");
    }
    log_out(&server, "app", &second.refresh).await?;
    api.known(&server).await?;
    assert_eq!((api.call("/", &leaver.access).await?, api.call("/", &second.access).await?), (401, 401));
    assert_eq!((api.call("/", &stayer.access).await?, api.call("/fresh", &stayer.access).await?), (200, 200));
    // In the same second: a login after the logout.
    let again = login(&mut party(&server, "app")?).await?;
    assert_eq!(api.call("/", &again.access).await?, 200);
    assert_eq!((api.feed.figures().ended, api.feed.figures().entries), (2, 1));
    Ok(())
}

#[tokio::test]
async fn lo_16_a_login_while_its_users_sessions_are_ended_is_told_too() -> Result<()> {
    let server = open(House::Strict).await?;
    let api = Api::open(&server).await?;
    let (records, alice) = (records(&server, crate::ground::REALM).await?, stored_user(&server, "alice").await?);
    let first = login(&mut party(&server, "app")?).await?;
    let plan = async || {
        let listed = server.db.user_sessions_of(&records.realm.id, &alice.id).await?;
        anyhow::Ok(ending::sessions(&records, &alice.id, &listed, None, server.clock.now()))
    };
    let early = plan().await?;
    // Between the list and the end.
    let between = login(&mut party(&server, "app")?).await?;
    assert_eq!(api.call("/", &between.access).await?, 200);
    let lost = server.db.apply(Plan::new(Lane::Gate, early)).await;
    assert_eq!(lost, Err(ApplyError::Gate(Gate::Stale(Entity::UserSessions))), "the list is not whole");
    assert_eq!((api.call("/", &first.access).await?, api.call("/", &between.access).await?), (200, 200));
    write(&server, plan().await?).await?;
    api.known(&server).await?;
    assert_eq!((api.call("/", &first.access).await?, api.call("/", &between.access).await?), (401, 401));
    let after = login(&mut party(&server, "app")?).await?;
    assert_eq!(api.call("/", &after.access).await?, 200, "in the same second");
    Ok(())
}

#[tokio::test]
async fn pc_03_a_code_used_twice_ends_its_tokens_at_the_api_and_no_other_clients() -> Result<()> {
    let server = open(House::Strict).await?;
    let api = Api::open(&server).await?;
    let mut app = party(&server, "web")?;
    let (code, pkce) = code(&mut app).await?;
    let stolen = tokens(&app.exchange(&code, &pkce).await?)?;
    assert_eq!(api.call("/", &stolen.access).await?, 200);
    ensure!(app.exchange(&code, &pkce).await?.status == 400);
    api.known(&server).await?;
    assert_eq!(api.call("/", &stolen.access).await?, 401);
    let again = login(&mut app).await?;
    assert_eq!(claims(&again.access)?["sid"], claims(&stolen.access)?["sid"], "the session stands");
    assert_eq!(api.call("/", &again.access).await?, 200);
    Ok(())
}

#[tokio::test]
async fn rt_16_not_befores_and_cut_subjects_end_tokens_at_the_api() -> Result<()> {
    let server = open(House::Strict).await?;
    let api = Api::open(&server).await?;
    let alices = tokens(&by_password(&server, "alice").await?)?.access;
    let service = tokens(&by_client(&server, "service", "openid").await?)?.access;
    let statuses = async || -> Result<[u16; 2]> { Ok([api.call("/", &alices).await?, api.call("/", &service).await?]) };
    assert_eq!(statuses().await?, [200, 200]);
    let (records, alice, now) =
        (records(&server, crate::ground::REALM).await?, stored_user(&server, "alice").await?, server.clock.now());
    let client = records.client("service").context("service")?;
    for (cut, expected) in [
        (ending::realm(&records, now.secs(), now), [200, 200]),
        (ending::subject(&records, &alice.id, now), [401, 200]),
        (ending::client(&records, client, now.secs() + 1, now), [401, 401]),
    ] {
        write(&server, vec![cut]).await?;
        api.known(&server).await?;
        assert_eq!(statuses().await?, expected);
    }
    // The honest twin: made after the cut-off, in the very same second. A not-before of the realm ends that as well.
    let later = tokens(&by_password(&server, "alice").await?)?.access;
    assert_eq!(api.call("/", &later).await?, 200);
    write(&server, vec![ending::realm(&records, now.secs() + 2, now)]).await?;
    api.known(&server).await?;
    assert_eq!(api.call("/", &later).await?, 401);
    server.clock.advance(Duration::from_secs(2));
    let last = tokens(&by_password(&server, "alice").await?)?.access;
    assert_eq!(api.call("/", &last).await?, 200);
    Ok(())
}

#[tokio::test]
async fn lo_16_rt_05_an_end_wins_over_refreshes_at_another_node() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await?;
    furnish(cluster.node(0)?, House::Strict).await?;
    let api = Api::open(cluster.node(0)?).await?;
    for round in 0..20 {
        let mut app = party(cluster.node(0)?, "web")?;
        let held = login(&mut app).await?;
        let (ending, refreshing) = (cluster.node(round)?, cluster.node(round + 1)?);
        let mut elsewhere = party(refreshing, "web")?;
        let out = async {
            let form =
                [("client_id", "web"), ("client_secret", "web-secret"), ("refresh_token", held.refresh.as_str())];
            let path = format!("/realms/{}/protocol/openid-connect/logout", crate::ground::REALM);
            ending.client()?.send(&portcullis_testkit::http1::Exchange::form(&path, &form)).await
        };
        let (ended, raced) = tokio::join!(out, refresh(&mut elsewhere, &held.refresh));
        assert_eq!(ended?.status, 204);
        api.known(ending).await?;
        let raced = raced?;
        let tokens = (raced.status == 200).then(|| tokens(&raced)).transpose()?;
        for token in tokens.iter().map(|t| &t.access).chain([&held.access]) {
            assert_eq!(api.call("/", token).await?, 401, "round {round}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_guard_turns_stale_when_the_identity_provider_is_gone_and_recovers() -> Result<()> {
    let server = open(House::Strict).await?;
    crate::ground::edit_realm(&server, |realm| realm.settings.access_token_lifespan = 3600).await?;
    let api = Api::open(&server).await?;
    let (held, gone) = (login(&mut party(&server, "app")?).await?, login(&mut party(&server, "app")?).await?);
    log_out(&server, "app", &gone.refresh).await?;
    api.known(&server).await?;
    assert_eq!((api.call("/", &held.access).await?, api.call("/fresh", &held.access).await?), (200, 200));
    // Nobody speaks from here on, and no new stream begins.
    server.idp.end_streams();
    let mut heard = api.feed.progress();
    server.clock.advance(Duration::from_secs(10));
    ensure!(!heard.has_changed()? || heard.borrow_and_update().is_some());
    assert_eq!(api.feed.state((api.now)()), FeedState::Stale);
    assert_eq!((api.call("/", &held.access).await?, api.call("/fresh", &held.access).await?), (503, 503));
    assert_eq!(api.call("/", &gone.access).await?, 401);
    // With less than ten minutes to live it passes, on routes that do not demand more.
    server.clock.advance(Duration::from_secs(3600 - 600));
    assert_eq!((api.call("/", &held.access).await?, api.call("/fresh", &held.access).await?), (200, 503));
    assert_eq!(api.call("/", &gone.access).await?, 401);
    Ok(())
}

#[tokio::test]
async fn the_order_goes_on_when_the_identity_provider_is_started_again() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await?;
    let (first, second) = (cluster.node(0)?, cluster.node(1)?);
    furnish(first, House::Strict).await?;
    let issuer = issuer(first);
    let keys = crate::feed::keys(first).await?;
    let feed = crate::feed::Following::new(&cluster, &issuer, keys);
    let held = login(&mut party(first, "app")?).await?;
    log_out(first, "app", &held.refresh).await?;
    feed.reached((1, 1)).await?;
    // The first process stops; what ends meanwhile is told by the next one.
    feed.next_node();
    first.idp.end_streams();
    for _ in 0..2 {
        let held = login(&mut party(second, "app")?).await?;
        log_out(second, "app", &held.refresh).await?;
    }
    feed.reached((1, 3)).await?;
    let figures = feed.feed.figures();
    assert_eq!((figures.entries, figures.faults, feed.asked()), (3, 0, vec![json!(null), json!([1, 1])]));
    Ok(())
}
