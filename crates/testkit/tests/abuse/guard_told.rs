//! LO, both sides: the identity provider's own logout messages reach an API's guard over HTTP, and the session's tokens end there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use portcullis_client::{Door, IssuerKeys, KeyPolicy, Reach};
use portcullis_core::time::Clock as _;
use portcullis_guard::{Guard, LogoutOptions};
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::server::TestServer;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use crate::ear::until;
use crate::ground::{House, REALM, TWIN, edit_client, login, open, open_both, party, realm_id, records, registration};

/// An API without a feed: it knows of ends what it is told.
struct Told {
    url: String,
    router: Router,
    serving: JoinHandle<()>,
}

impl Told {
    async fn open(server: &TestServer) -> Result<Self> {
        let issuer = format!("{}/realms/{REALM}", server.base);
        let clock = Arc::clone(&server.clock);
        let keys = IssuerKeys::new(&*issuer, Door::new(Reach::Configured)?, KeyPolicy::default());
        let guard = Guard::builder()
            .issuer(issuer)
            .audience("account")
            .bearer()
            .keys(Arc::new(keys))
            .clock(move || clock.now().secs())
            .backchannel_logout(LogoutOptions::of(["app"]))
            .build()?;
        let router = Router::new()
            .route("/", get(async || "ok"))
            .layer(guard.layer())
            .route("/backchannel-logout", guard.backchannel_logout()?);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/backchannel-logout", listener.local_addr()?);
        let served = router.clone();
        let serving = tokio::spawn(async move { drop(axum::serve(listener, served).await) });
        Ok(Self { url, router, serving })
    }

    async fn call(&self, token: &str) -> Result<u16> {
        let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
        Ok(self.router.clone().oneshot(request.body(Body::empty())?).await?.status().as_u16())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn tells(server: &TestServer, url: &str, session: bool) -> Result<()> {
    edit_client(server, "app", |client| {
        client.settings.attributes.insert("backchannel.logout.url".to_owned(), url.to_owned());
        client.settings.attributes.insert("backchannel.logout.session.required".to_owned(), session.to_string());
    })
    .await
}

async fn log_out(server: &TestServer, realm: &str, refresh: &str) -> Result<()> {
    let form = [("client_id", "app"), ("refresh_token", refresh)];
    let path = format!("/realms/{realm}/protocol/openid-connect/logout");
    assert_eq!(server.client()?.send(&Exchange::form(&path, &form)).await?.status, 204);
    Ok(())
}

#[tokio::test]
async fn lo_05_lo_12_p_17_a_logout_message_of_ours_ends_the_session_at_an_api_without_a_feed() -> Result<()> {
    for (house, session) in
        [(House::Strict, true), (House::Strict, false), (House::Keycloak, true), (House::Keycloak, false)]
    {
        let server = open(house).await?;
        let api = Told::open(&server).await?;
        tells(&server, &api.url, session).await?;
        let leaver = login(&mut party(&server, "app")?).await?;
        let same_person = login(&mut party(&server, "app")?).await?;
        for held in [&leaver, &same_person] {
            assert_eq!(api.call(&held.access).await?, 200, "{house:?}: remembered from here on");
        }
        log_out(&server, REALM, &leaver.refresh).await?;
        let realm = realm_id(&server).await?;
        until(async || Ok(server.db.due_logouts(&realm, i64::MAX, 10).await?.is_empty())).await?;
        let left = [api.call(&leaver.access).await?, api.call(&same_person.access).await?];
        assert_eq!(left, if session { [401, 200] } else { [401, 401] }, "{house:?} {session}");
        server.clock.advance(Duration::from_secs(1));
        let again = login(&mut party(&server, "app")?).await?;
        assert_eq!(api.call(&again.access).await?, 200, "{house:?} {session}: a login after the logout");
    }
    Ok(())
}

#[tokio::test]
async fn lo_12_another_realms_message_ends_nothing_here() -> Result<()> {
    let server = open_both(House::Strict).await?;
    let api = Told::open(&server).await?;
    let twin = records(&server, TWIN).await?;
    let mut client = twin.client("app").context("app")?.clone();
    client.settings.attributes.insert("backchannel.logout.url".to_owned(), api.url.clone());
    let change = portcullis_core::plan::Write::UpdateClient(twin.realm.id.clone(), client);
    crate::ground::write(&server, vec![change]).await?;
    let here = login(&mut party(&server, "app")?).await?;
    assert_eq!(api.call(&here.access).await?, 200);
    let there = login(&mut server.relying_party(registration(TWIN, "app"))?).await?;
    log_out(&server, TWIN, &there.refresh).await?;
    // It is refused, and tried again later.
    let waits = async || {
        Ok(server.db.due_logouts(&twin.realm.id, i64::MAX, 10).await?.first().is_some_and(|d| d.attempts == 1))
    };
    until(waits).await?;
    assert_eq!(api.call(&here.access).await?, 200, "same names, another realm");
    Ok(())
}
