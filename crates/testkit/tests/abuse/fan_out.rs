//! DS-25: a logout that tells thousands of clients.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_core::ids::{ClientUuid, SessionId};
use portcullis_core::oauth::backchannel::HELD;
use portcullis_core::pending::LogoutDelivery;
use portcullis_core::plan::Write;
use portcullis_core::session::{ClientSession, Grant, UserSession};
use portcullis_core::time::Clock as _;
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::server::{Options, TestServer};
use serde_json::{Value, json};

use crate::ear::{Ear, until};
use crate::forge::claims;
use crate::ground::{House, REALM, file, login, open, party, realm_id, records, refresh, stored_user, write};

/// More than one plan can hold, more than may wait in memory, and many times what may wait for one host.
const CLIENTS: usize = 1_600;

/// The realm with so many clients that listen.
async fn crowd(ear: &Ear) -> Result<TestServer> {
    let mut realm = file(REALM);
    let clients = (0..CLIENTS).map(|n| {
        json!({
            "clientId": format!("listener-{n}"), "enabled": true, "publicClient": true, "redirectUris": [],
            "attributes": { "backchannel.logout.url": ear.url, "backchannel.logout.session.required": "true" },
        })
    });
    let all = realm["clients"].as_array().cloned().unwrap_or_default().into_iter().chain(clients).collect();
    realm["clients"] = Value::Array(all);
    realm["defaultSignatureAlgorithm"] = json!("ES256");
    let server = TestServer::start().await?;
    server.import_strict(&realm).await?;
    Ok(server)
}

/// All of them take part in a session.
async fn take_part(server: &TestServer, session: &SessionId) -> Result<()> {
    let records = records(server, REALM).await?;
    let (realm, now) = (records.realm.id.clone(), server.clock.now().secs());
    let part = |client: &ClientUuid| {
        let grant = Grant { scope: "openid".to_owned(), ..Grant::default() };
        let (session, client) = (session.clone(), client.clone());
        Write::PutClientSession(
            realm.clone(),
            ClientSession { session, client, started: now, grant, last_refresh: now },
        )
    };
    let listeners = records.clients().filter(|client| client.client_id.starts_with("listener-"));
    let parts: Vec<Write> = listeners.map(|client| part(&client.id)).collect();
    assert_eq!(parts.len(), CLIENTS);
    for piece in parts.chunks(900) {
        write(server, piece.to_vec()).await?;
    }
    Ok(())
}

async fn waiting(server: &TestServer) -> Result<Vec<LogoutDelivery>> {
    Ok(server.db.due_logouts(&realm_id(server).await?, i64::MAX, 100_000).await?)
}

/// Sends what is due, and lets time go by, until nothing waits or `enough` says so.
async fn deliver(server: &TestServer, ear: &mut Ear, heard: &mut Vec<Value>, enough: usize) -> Result<()> {
    for _ in 0..1_000 {
        server.idp.send_due_logouts().await;
        while let Some(token) = ear.heard_now()? {
            heard.push(claims(&token)?);
        }
        if heard.len() >= enough || waiting(server).await?.is_empty() {
            return Ok(());
        }
        server.clock.advance(Duration::from_secs(5));
    }
    anyhow::bail!("{} heard, {} wait", heard.len(), waiting(server).await?.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ds_25_a_logout_of_thousands_of_clients_ends_at_once_and_tells_them_in_its_time() -> Result<()> {
    let mut ear = Ear::open(204).await?;
    let server = crowd(&ear).await?;
    let mut app = party(&server, "app")?;
    let held = login(&mut app).await?;
    let sid = claims(&held.access)?["sid"].clone();
    take_part(&server, &SessionId::new(sid.as_str().context("sid")?)).await?;
    let leave = format!("{}?id_token_hint={}", app.endpoint("logout"), held.id);
    let answer = app.send(Exchange::get(&leave)).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(refresh(&mut app, &held.refresh).await?.status, 400, "the session is over");
    // A part is told; then the process is gone, and another one goes on.
    let mut heard = Vec::new();
    deliver(&server, &mut ear, &mut heard, 200).await?;
    assert!(!waiting(&server).await?.is_empty(), "{} heard", heard.len());
    let clock = server.clock.clone();
    let next = server.again(Options { clock: clock.clone(), ..Options::default() }).await?;
    drop(server);
    // What the first process had claimed comes back.
    clock.advance(Duration::from_secs(121));
    // Meanwhile nobody is held up.
    login(&mut party(&next, "app")?).await?;
    deliver(&next, &mut ear, &mut heard, usize::MAX).await?;
    until(async || Ok(waiting(&next).await?.is_empty())).await?;
    while let Some(token) = ear.heard_now()? {
        heard.push(claims(&token)?);
    }
    assert!(heard.iter().all(|token| token["sid"] == sid));
    let told: BTreeSet<String> = heard.iter().map(|token| token["aud"].to_string()).collect();
    assert_eq!(told.len(), CLIENTS, "every client");
    let names: BTreeSet<String> = heard.iter().map(|token| token["jti"].to_string()).collect();
    assert_eq!(names.len(), CLIENTS, "one message for each; a repeated one has its name");
    assert!(ear.most_at_once() <= 8, "{} calls to one host at once, by two processes", ear.most_at_once());
    Ok(())
}

#[tokio::test]
async fn ds_25_a_message_held_for_a_session_that_lives_is_not_sent() -> Result<()> {
    let mut ear = Ear::open(204).await?;
    let server = open(House::Strict).await?;
    let (realm, alice) = (realm_id(&server).await?, stored_user(&server, "alice").await?);
    crate::ground::edit_client(&server, "app", |client| {
        client.settings.attributes.insert("backchannel.logout.url".to_owned(), ear.url.clone());
    })
    .await?;
    let app = records(&server, REALM).await?.client("app").context("app")?.id.clone();
    for (ends, name) in [(true, "one"), (false, "two")] {
        // A process queued its messages and stopped before the end itself was written.
        let now = server.clock.now().secs();
        let session = UserSession::begun(SessionId::new(name), alice.id.clone(), "127.0.0.1", now);
        let delivery = LogoutDelivery {
            id: name.to_owned(),
            client: app.clone(),
            user: alice.id.clone(),
            session: session.id.clone(),
            issuer: format!("{}/realms/{REALM}", server.base),
            due_at: now,
            attempts: HELD,
            expires_at: now + 3600,
        };
        write(&server, vec![Write::CreateUserSession(realm.clone(), session)]).await?;
        write(&server, vec![Write::QueueLogout(realm.clone(), delivery.clone())]).await?;
        for _ in 0..5 {
            server.idp.send_due_logouts().await;
            server.clock.advance(Duration::from_secs(10));
        }
        assert!(!ear.heard_more(), "{name}: nobody was logged out");
        assert_eq!(waiting(&server).await?.len(), 1, "{name}");
        // One that is owed for less than the session's end goes out at once.
        let part = LogoutDelivery { id: format!("part of {name}"), attempts: 0, ..delivery };
        write(&server, vec![Write::QueueLogout(realm.clone(), part)]).await?;
        server.idp.send_due_logouts().await;
        assert_eq!(claims(&ear.hears().await?)?["jti"], format!("part of {name}"));
        if ends {
            write(&server, vec![Write::EndUserSession(realm.clone(), SessionId::new(name))]).await?;
            server.clock.advance(Duration::from_secs(10));
            server.idp.send_due_logouts().await;
            assert_eq!(claims(&ear.hears().await?)?["jti"], name);
        } else {
            server.clock.advance(Duration::from_secs(80));
            server.idp.send_due_logouts().await;
            assert!(!ear.heard_more(), "{name}: given up");
        }
        until(async || Ok(waiting(&server).await?.is_empty())).await?;
    }
    Ok(())
}
