//! LO, the sender's side: who is told of a logout, what the token says, and that nobody waits for a client. SS-06.

use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_core::login::one_time_code::Generator;
use portcullis_core::pending::LogoutDelivery;
use portcullis_core::time::Clock as _;
use portcullis_idp::{IdpConfig, KeyRing};
use portcullis_jose::{Limits, jws};
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::rp::{Pkce, RelyingParty};
use portcullis_testkit::server::{Cluster, Options, TestServer};
use serde_json::{Value, json};

use crate::ear::{Ear, SILENCE, until};
use crate::forge::{claims, texts};
use crate::ground::{
    House, REALM, Tokens, admin_token, edit_client, edit_user, furnish, login, login_of, open, party, realm_id,
    records, refresh, stored_user, tokens,
};

/// The client sends its logout tokens there.
async fn listens(server: &TestServer, client: &str, url: &str) -> Result<()> {
    edit_client(server, client, |client| {
        client.settings.attributes.insert("backchannel.logout.url".to_owned(), url.to_owned());
        client.settings.attributes.insert("backchannel.logout.session.required".to_owned(), "true".to_owned());
    })
    .await
}

/// Messages that wait, whenever they are due.
async fn waiting(server: &TestServer) -> Result<Vec<LogoutDelivery>> {
    Ok(server.db.due_logouts(&realm_id(server).await?, i64::MAX, 100).await?)
}

async fn nothing_waits(server: &TestServer) -> Result<()> {
    until(async || Ok(waiting(server).await?.is_empty())).await
}

/// The same browser at another client.
fn beside(server: &TestServer, first: &RelyingParty, client: &str) -> Result<RelyingParty> {
    let mut other = party(server, client)?;
    other.jar = first.jar.clone();
    Ok(other)
}

/// Ends the session of the browser with its own ID token.
async fn log_out(app: &mut RelyingParty, held: &Tokens) -> Result<u16> {
    let target = format!("{}?id_token_hint={}", app.endpoint("logout"), held.id);
    Ok(app.send(Exchange::get(&target)).await?.status)
}

/// Holds a logout token against the key set and OIDC Back-Channel Logout §2.4.
async fn judge(server: &TestServer, token: &str, client: &str, sid: &Value) -> Result<Value> {
    judge_of(&server.base, server, token, client, sid).await
}

async fn judge_of(base: &str, server: &TestServer, token: &str, client: &str, sid: &Value) -> Result<Value> {
    let ring = KeyRing::new(&records(server, REALM).await?)?;
    let parsed = jws::parse(token, &Limits::default())?;
    let key = ring.verifying().find(parsed.header().kid.as_deref(), parsed.header().alg).context("no such key")?;
    parsed.verify(key)?;
    let header: Value = serde_json::from_str(&texts(token)?.0)?;
    assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &json!("RS256")));
    let said = claims(token)?;
    let alice = stored_user(server, "alice").await?;
    assert_eq!(said["iss"], json!(format!("{base}/realms/{REALM}")));
    assert_eq!((&said["aud"], &said["sid"]), (&json!(client), sid));
    assert_eq!(said["sub"], json!(alice.id));
    assert_eq!(said["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert_eq!(said["exp"].as_i64().zip(said["iat"].as_i64()).map(|(exp, iat)| exp - iat), Some(120));
    assert!(said.get("nonce").is_none(), "it is no ID token");
    Ok(said)
}

/// The ways in which a session ends.
const WAYS: [&str; 6] = ["hint", "confirmed", "refresh token", "new password", "new app", "administrator"];

/// alice in another browser, before the page of an action that she owes.
async fn owing(server: &TestServer, alias: &str) -> Result<(RelyingParty, String)> {
    edit_user(server, "alice", |user| user.settings.required_actions.push(alias.to_owned())).await?;
    let mut elsewhere = party(server, "web")?;
    let target = elsewhere.authorize_target(&Pkce::new()?, &[("scope", "openid")]);
    let page = elsewhere.open(&target).await?;
    let owed = elsewhere.post_credentials(&page, "alice", "alice-password").await?;
    let page = elsewhere.open(owed.header("location").context("no action is owed")?).await?;
    Ok((elsewhere, page.text()))
}

async fn end(server: &TestServer, way: &str, app: &mut RelyingParty, held: &Tokens) -> Result<()> {
    match way {
        "hint" => assert_eq!(log_out(app, held).await?, 200),
        "confirmed" => {
            let target = app.endpoint("logout");
            let page = app.send(Exchange::get(&target)).await?;
            assert_eq!(confirm(app, &page.text()).await?.status, 200);
        }
        "refresh token" => {
            let form = [("client_id", "app"), ("refresh_token", held.refresh.as_str())];
            let done = server.client()?.send(&Exchange::form(&app.endpoint("logout"), &form)).await?;
            assert_eq!(done.status, 204);
        }
        "new password" => {
            let (mut elsewhere, page) = owing(server, "UPDATE_PASSWORD").await?;
            let fields = [("password-new", "alice-2"), ("password-confirm", "alice-2"), ("logout-sessions", "on")];
            assert_eq!(elsewhere.send(Exchange::form(&action(&page)?, &fields)).await?.status, 302);
        }
        "new app" => {
            let (mut elsewhere, page) = owing(server, "CONFIGURE_TOTP").await?;
            let shown = page.split_once("id=\"kc-totp-secret-key\"").and_then(|(_, rest)| rest.split_once('>'));
            let key = shown.and_then(|(_, rest)| rest.split('<').next()).context("no key")?.replace(' ', "");
            let app = Generator::parse(&json!({ "value": key }).to_string(), r#"{"secretEncoding":"BASE32"}"#);
            let code = app.context("no generator")?.code(server.clock.now().secs() / 30);
            let fields = [("totp", code.as_str()), ("userLabel", "Phone"), ("logout-sessions", "on")];
            assert_eq!(elsewhere.send(Exchange::form(&action(&page)?, &fields)).await?.status, 302);
        }
        "administrator" => {
            let id = stored_user(server, "alice").await?.id;
            let token = format!("Bearer {}", admin_token(server).await?);
            let ask = Exchange::new("POST", &format!("/admin/realms/{REALM}/users/{id}/logout"));
            assert_eq!(server.client()?.send(&ask.header("Authorization", &token)).await?.status, 204);
        }
        _ => anyhow::bail!("no such way: {way}"),
    }
    Ok(())
}

fn action(page: &str) -> Result<String> {
    let page = Page::read(page);
    let action = page.form("*").and_then(|form| form.action.clone()).context("a page without form")?;
    Ok(action.find("/realms/").map_or(action.clone(), |at| action.split_at(at).1.to_owned()))
}

async fn confirm(app: &mut RelyingParty, page: &str) -> Result<portcullis_testkit::http1::Answer> {
    let code = Page::read(page).input("session_code").unwrap_or_default().to_owned();
    app.send(Exchange::form(&action(page)?, &[("session_code", &code), ("confirmLogout", "Logout")])).await
}

#[tokio::test]
async fn lo_05_lo_12_every_end_of_a_session_reaches_its_clients_and_no_other_sessions() -> Result<()> {
    for house in House::BOTH {
        for way in WAYS {
            let server = open(house).await?;
            let (mut ear, mut other_ear) = (Ear::open(200).await?, Ear::open(204).await?);
            listens(&server, "app", &ear.url).await?;
            listens(&server, "second", &other_ear.url).await?;
            let mut bob = party(&server, "app")?;
            let kept = login_of(&mut bob, "bob").await?;
            let mut app = party(&server, "app")?;
            let held = login(&mut app).await?;
            login(&mut beside(&server, &app, "second")?).await?;
            end(&server, way, &mut app, &held).await?;
            let sid = claims(&held.access)?["sid"].clone();
            judge(&server, &ear.hears().await?, "app", &sid).await?;
            judge(&server, &other_ear.hears().await?, "second", &sid).await?;
            nothing_waits(&server).await?;
            assert!(!ear.heard_more() && !other_ear.heard_more(), "{house:?} {way}: one message for each client");
            assert_eq!(refresh(&mut app, &held.refresh).await?.status, 400, "{house:?} {way}");
            tokens(&refresh(&mut bob, &kept.refresh).await?).with_context(|| format!("{way}: bob lives on"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn lo_13_a_client_that_never_answers_delays_nobody() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut mute = Ear::open(SILENCE).await?;
    let mut honest = Ear::open(200).await?;
    listens(&server, "app", &mute.url).await?;
    listens(&server, "second", &honest.url).await?;
    let mut app = party(&server, "app")?;
    let held = login(&mut app).await?;
    login(&mut beside(&server, &app, "second")?).await?;
    // The answer comes while the client has the message and keeps silent.
    assert_eq!(log_out(&mut app, &held).await?, 200);
    let sid = claims(&held.access)?["sid"].clone();
    let first = judge(&server, &mute.hears().await?, "app", &sid).await?;
    assert_eq!(refresh(&mut app, &held.refresh).await?.status, 400);
    judge(&server, &honest.hears().await?, "second", &sid).await?;
    // Later it finds its voice and gets the same message again.
    mute.answers(200);
    until(async || Ok(waiting(&server).await?.first().is_some_and(|left| left.attempts == 1))).await?;
    server.clock.advance(Duration::from_secs(2));
    server.idp.send_due_logouts().await;
    let again = judge(&server, &mute.hears().await?, "app", &sid).await?;
    assert_eq!(first["jti"], again["jti"], "one message has one name");
    nothing_waits(&server).await
}

#[tokio::test]
async fn lo_13_a_client_that_fails_is_asked_again_and_given_up_in_the_end() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut ear = Ear::open(503).await?;
    listens(&server, "app", &ear.url).await?;
    let mut app = party(&server, "app")?;
    let held = login(&mut app).await?;
    assert_eq!(log_out(&mut app, &held).await?, 200);
    for (attempts, wait) in [(1, 2), (2, 4), (3, 8)] {
        ear.hears().await?;
        until(async || Ok(waiting(&server).await?.first().is_some_and(|left| left.attempts == attempts))).await?;
        server.idp.send_due_logouts().await;
        assert!(!ear.heard_more(), "not before its time");
        server.clock.advance(Duration::from_secs(wait));
        server.idp.send_due_logouts().await;
    }
    ear.hears().await?;
    until(async || Ok(waiting(&server).await?.first().is_some_and(|left| left.attempts == 4))).await?;
    server.clock.advance(Duration::from_secs(3600));
    server.idp.send_due_logouts().await;
    nothing_waits(&server).await?;
    assert!(!ear.heard_more(), "too late");
    Ok(())
}

#[tokio::test]
async fn lo_13_a_message_outlives_the_process_that_owes_it() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut ear = Ear::open(503).await?;
    listens(&server, "app", &ear.url).await?;
    let mut app = party(&server, "app")?;
    let held = login(&mut app).await?;
    let sid = claims(&held.access)?["sid"].clone();
    assert_eq!(log_out(&mut app, &held).await?, 200);
    ear.hears().await?;
    until(async || Ok(waiting(&server).await?.first().is_some_and(|left| left.attempts == 1))).await?;
    ear.answers(200);
    let (base, clock) = (server.base.clone(), server.clock.clone());
    let next = server.again(Options { clock: clock.clone(), ..Options::default() }).await?;
    drop(server);
    clock.advance(Duration::from_secs(60));
    next.idp.send_due_logouts().await;
    // The token has the issuer of the session, whatever the new process is called.
    judge_of(&base, &next, &ear.hears().await?, "app", &sid).await?;
    nothing_waits(&next).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lo_13_of_many_nodes_one_sends() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await?;
    let (here, there) = (cluster.node(0)?, cluster.node(1)?);
    furnish(here, House::Strict).await?;
    let mut ear = Ear::open(200).await?;
    listens(here, "app", &ear.url).await?;
    for _ in 0..20 {
        let mut app = party(here, "app")?;
        let held = login(&mut app).await?;
        assert_eq!(log_out(&mut app, &held).await?, 200);
        tokio::join!(here.idp.send_due_logouts(), there.idp.send_due_logouts());
        let sid = claims(&held.access)?["sid"].clone();
        judge(here, &ear.hears().await?, "app", &sid).await?;
        nothing_waits(here).await?;
        assert!(!ear.heard_more(), "twice");
    }
    Ok(())
}

#[tokio::test]
async fn ss_06_a_logout_message_reaches_public_addresses_only_unless_the_operator_says_otherwise() -> Result<()> {
    for inside in [true, false] {
        let config = if inside { Options::default().config } else { IdpConfig::default() };
        let server = TestServer::with(Options { config, ..Options::default() }).await?;
        furnish(&server, House::Strict).await?;
        let mut ear = Ear::open(200).await?;
        listens(&server, "app", &ear.url).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        assert_eq!(log_out(&mut app, &held).await?, 200, "the logout itself is none of the client's business");
        if inside {
            ear.hears().await?;
            nothing_waits(&server).await?;
        } else {
            until(async || Ok(waiting(&server).await?.first().is_some_and(|left| left.attempts == 1))).await?;
            // The address is judged at each send.
            server.clock.advance(Duration::from_secs(60));
            server.idp.send_due_logouts().await;
            until(async || Ok(waiting(&server).await?.first().is_some_and(|left| left.attempts == 2))).await?;
            assert!(!ear.heard_more(), "nothing was dialled");
        }
    }
    Ok(())
}
