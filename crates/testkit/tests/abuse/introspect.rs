//! TE-21, TE-22, TE-25: who may introspect, and what introspection calls active.

use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_core::claims::roles;
use portcullis_core::ending;
use portcullis_core::time::Clock as _;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::{Cluster, Options, TestServer};
use serde_json::json;

use crate::forge::{self, under, with_member};
use crate::ground::{
    House, REALM, TWIN, Tokens, edit_client, edit_realm, edit_user, fault, furnish, login, open, open_both, party,
    records, refresh, registration, tokens,
};

const PATH: &str = "/realms/yard/protocol/openid-connect/token/introspect";
const INACTIVE: &str = "{\"active\":false}";

async fn ask(server: &TestServer, form: &[(&str, &str)]) -> Result<Answer> {
    server.client()?.send(&Exchange::form(PATH, form)).await
}

/// What `web` is told.
async fn told(server: &TestServer, token: &str) -> Result<Answer> {
    ask(server, &[("client_id", "web"), ("client_secret", "web-secret"), ("token", token)]).await
}

/// `{"active":false}` and nothing else.
fn inactive(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (200, INACTIVE), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-cache"), "{what}");
}

fn active(answer: &Answer, what: &str) {
    let body = answer.json();
    assert_eq!((answer.status, &body["active"], &body["username"]), (200, &json!(true), &json!("alice")), "{what}");
}

async fn own(server: &TestServer) -> Result<Tokens> {
    login(&mut party(server, "web")?).await
}

#[tokio::test]
async fn te_21_only_a_confidential_client_that_proves_itself_is_answered() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let token = own(&server).await?.access;
        let (t, id, secret) = (("token", token.as_str()), ("client_id", "web"), ("client_secret", "web-secret"));
        for (name, form, status, text) in [
            ("nobody", vec![t], 401, "Authentication failed."),
            ("no secret", vec![t, id], 401, "Authentication failed."),
            ("wrong secret", vec![t, id, ("client_secret", "x")], 401, "Authentication failed."),
            ("another's secret", vec![t, id, ("client_secret", "other-secret")], 401, "Authentication failed."),
            ("a public client", vec![t, ("client_id", "app")], 403, "Client not allowed."),
            ("twice", vec![t, t, id, secret], 400, "duplicated parameter"),
            ("no token", vec![id, secret], 400, "Token not provided."),
            ("a hint", vec![t, id, secret, ("token_type_hint", "x\"")], 400, "Unsupported token type [x\"]."),
        ] {
            let answer = ask(&server, &form).await?;
            assert_eq!(fault(&answer), (status, "invalid_request".to_owned()), "{house:?} {name}");
            assert_eq!(answer.json()["error_description"], text, "{house:?} {name}");
            assert!(!answer.text().contains("alice"), "{name}");
            active(&told(&server, &token).await?, name);
        }
        let bearer = Exchange::form(PATH, &[t]).header("Authorization", &format!("Bearer {token}"));
        assert_eq!(server.client()?.send(&bearer).await?.status, 401, "{house:?} a token is no client");
        let query = format!("{PATH}?client_id=web&client_secret=web-secret&token={token}");
        assert_eq!(server.client()?.send(&Exchange::get(&query)).await?.status, 405, "{house:?} GET");
        let post = Exchange { method: "POST".into(), ..Exchange::get(&query) };
        assert_eq!(server.client()?.send(&post).await?.status, 401, "{house:?} the query is not read");
        edit_client(&server, "web", |client| client.settings.enabled = false).await?;
        assert_eq!(told(&server, &token).await?.status, 401, "{house:?} a client that is switched off");
    }
    Ok(())
}

#[tokio::test]
async fn te_21_a_strict_realm_answers_owner_and_audience() -> Result<()> {
    for (house, stranger) in [(House::Strict, false), (House::Keycloak, true)] {
        let server = open(house).await?;
        let held = login(&mut party(&server, "app")?).await?;
        for (name, token) in [("access", &held.access), ("refresh", &held.refresh)] {
            let answer = told(&server, token).await?;
            if stranger {
                active(&answer, name);
            } else {
                inactive(&answer, name);
            }
        }
        let audience = serde_json::from_value(json!({
            "id": "to-web", "name": "to-web", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": { "included.client.audience": "web", "access.token.claim": "true" },
        }))?;
        edit_client(&server, "app", |client| client.mappers.push(audience)).await?;
        let meant = tokens(&refresh(&mut party(&server, "app")?, &held.refresh).await?)?;
        let answer = told(&server, &meant.access).await?;
        active(&answer, "its audience");
        assert!(forge::claims(&meant.access)?["aud"].to_string().contains("web"), "{}", answer.text());
        let other = [("client_id", "other"), ("client_secret", "other-secret"), ("token", meant.access.as_str())];
        let answer = ask(&server, &other).await?;
        if stranger {
            active(&answer, "another service");
        } else {
            inactive(&answer, "another service");
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_22_a_token_that_ended_is_not_active() -> Result<()> {
    for house in House::BOTH {
        for cause in [
            "expired",
            "logged out",
            "realm not-before",
            "client not-before",
            "user not-before",
            "user off",
            "detached",
        ] {
            let server = open(house).await?;
            let held = own(&server).await?;
            for token in [&held.access, &held.refresh] {
                active(&told(&server, token).await?, cause);
            }
            let later = server.clock.now().secs() + 1;
            match cause {
                "expired" => server.clock.advance(Duration::from_secs(40_000)),
                "logged out" => {
                    let form =
                        [("client_id", "web"), ("client_secret", "web-secret"), ("refresh_token", &held.refresh)];
                    let path = PATH.replace("token/introspect", "logout");
                    assert_eq!(server.client()?.send(&Exchange::form(&path, &form)).await?.status, 204);
                }
                "realm not-before" => edit_realm(&server, |realm| realm.settings.not_before = later).await?,
                "client not-before" => edit_client(&server, "web", |client| client.settings.not_before = later).await?,
                "user not-before" => edit_user(&server, "alice", |user| user.not_before = later).await?,
                "user off" => edit_user(&server, "alice", |user| user.enabled = false).await?,
                _ => crate::ground::write(&server, vec![end_of(&server, &held).await?]).await?,
            }
            for (kind, token) in [("access", &held.access), ("refresh", &held.refresh)] {
                inactive(&told(&server, token).await?, &format!("{house:?} {cause} {kind}"));
            }
        }
    }
    Ok(())
}

/// The end of the client's part of a session.
async fn end_of(server: &TestServer, held: &Tokens) -> Result<portcullis_core::plan::Write> {
    let records = records(server, REALM).await?;
    let sid = forge::claims(&held.access)?["sid"].as_str().context("sid")?.into();
    let client = records.client("web").context("web")?.id.clone();
    Ok(portcullis_core::plan::Write::EndClientSession(records.realm.id, sid, client))
}

#[tokio::test]
async fn te_22_only_the_short_lived_token_ends_with_its_own_date() -> Result<()> {
    let server = open(House::Strict).await?;
    let held = own(&server).await?;
    server.clock.advance(Duration::from_secs(299));
    active(&told(&server, &held.access).await?, "one second before");
    server.clock.advance(Duration::from_secs(1));
    inactive(&told(&server, &held.access).await?, "at its end");
    active(&told(&server, &held.refresh).await?, "the refresh token");
    Ok(())
}

#[tokio::test]
async fn te_22_the_tokens_of_a_client_that_is_off_are_not_active() -> Result<()> {
    let server = open(House::Keycloak).await?;
    let held = login(&mut party(&server, "app")?).await?;
    for enabled in [true, false, true] {
        edit_client(&server, "app", |client| client.settings.enabled = enabled).await?;
        for token in [&held.access, &held.refresh] {
            let answer = told(&server, token).await?;
            if enabled {
                active(&answer, "on");
            } else {
                inactive(&answer, "off");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_22_rt_04_a_replaced_refresh_token_is_not_active() -> Result<()> {
    let server = open(House::Keycloak).await?;
    edit_realm(&server, |realm| {
        realm.settings.revoke_refresh_token = true;
        realm.settings.refresh_token_max_reuse = 0;
    })
    .await?;
    let mut web = party(&server, "web")?;
    let first = login(&mut web).await?;
    active(&told(&server, &first.refresh).await?, "first");
    active(&told(&server, &first.refresh).await?, "asking uses nothing up");
    let second = tokens(&refresh(&mut web, &first.refresh).await?)?;
    inactive(&told(&server, &first.refresh).await?, "replaced");
    active(&told(&server, &second.refresh).await?, "its successor");
    tokens(&refresh(&mut web, &second.refresh).await?).context("asking about an old token ends no family")?;
    Ok(())
}

#[tokio::test]
async fn te_25_jw_08_other_tokens_are_not_active() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        let held = own(&server).await?;
        let abroad = login(&mut server.relying_party(registration(TWIN, "web"))?).await?;
        let key = forge::realm_key(&server, REALM).await?;
        let (header, payload) = forge::texts(&held.access)?;
        let (head, body, _) = forge::parts(&held.access)?;
        let member = |name: &str, text: &str| under(&key, &header, &with_member(&payload, name, text)?);
        let (_, refresh_payload) = forge::texts(&held.refresh)?;
        for (name, token) in [
            ("ID token", held.id.clone()),
            ("logout token", member("typ", "\"Logout\"")?),
            ("a refresh token's words under the access key", under(&key, &header, &refresh_payload)?),
            ("logout header", under(&key, &header.replace("\"JWT\"", "\"logout+jwt\""), &payload)?),
            ("another session", member("sid", "\"x\"")?),
            ("another user", member("sub", "\"x\"")?),
            ("another client", member("azp", "\"app\"")?),
            ("bound to a key", member("cnf", "{\"jkt\":\"x\"}")?),
            ("another realm's", abroad.access.clone()),
            ("another realm's refresh token", abroad.refresh.clone()),
            ("no signature", format!("{head}.{body}.")),
            ("nothing", String::new()),
            ("words", "not a token".to_owned()),
        ] {
            inactive(&told(&server, &token).await?, &format!("{house:?} {name}"));
            active(&told(&server, &held.access).await?, name);
        }
        let answer = told(&server, &held.refresh).await?;
        active(&answer, "its own refresh token");
        assert_eq!(answer.json()["token_type"], "Refresh", "{house:?} and it says what it is");
    }
    Ok(())
}

#[tokio::test]
async fn rfc_7662_2_2_the_answer_follows_what_is_stored_now() -> Result<()> {
    let server = open(House::Keycloak).await?;
    let token = own(&server).await?.access;
    let before = told(&server, &token).await?.json();
    assert!(before["realm_access"]["roles"].to_string().contains("auditor"), "{before}");
    let records = records(&server, REALM).await?;
    let auditor = records.roles.named(None, "auditor").context("auditor")?.id.clone();
    edit_user(&server, "alice", |user| user.roles.retain(|role| *role != auditor)).await?;
    let user = crate::ground::stored_user(&server, "alice").await?;
    assert!(!roles::has(&records, &user, None, "auditor"));
    let after = told(&server, &token).await?.json();
    assert!(!after["realm_access"]["roles"].to_string().contains("auditor"), "{after}");
    assert_eq!((&after["client_id"], &after["sub"]), (&json!("web"), &before["sub"]));
    Ok(())
}

#[tokio::test]
async fn te_22_jw_24_what_is_remembered_ends_with_what_it_follows_from() -> Result<()> {
    for (cause, remembered) in [
        ("nothing", true),
        ("another user", true),
        ("another session", true),
        ("a refresh", true),
        ("the token", false),
        ("the session", false),
        ("all sessions", false),
        ("idle", false),
        ("the user", false),
        ("the configuration", false),
        ("a clock set back", false),
    ] {
        let server = open(House::Strict).await?;
        let held = own(&server).await?;
        let other = own(&server).await?;
        let first = told(&server, &held.access).await?;
        assert_eq!(told(&server, &held.access).await?.body, first.body, "the same bytes");
        let before = server.idp.introspection_figures();
        assert_eq!((before.remembered, before.made), (1, 1), "{cause}");
        let now = server.clock.now();
        let records = records(&server, REALM).await?;
        let sid = |tokens: &Tokens| forge::claims(&tokens.access).map(|c| c["sid"].as_str().unwrap_or_default().into());
        let active_still = match cause {
            "another user" => {
                edit_user(&server, "bob", |user| user.enabled = false).await?;
                true
            }
            "another session" => {
                crate::ground::write(&server, ending::session(&records, &sid(&other)?, now)).await?;
                true
            }
            "a refresh" => {
                tokens(&refresh(&mut party(&server, "web")?, &held.refresh).await?)?;
                true
            }
            "the token" => {
                let jti = forge::claims(&held.access)?["jti"].as_str().context("jti")?.to_owned();
                crate::ground::write(&server, vec![ending::token(&records, &jti, None, now)]).await?;
                false
            }
            "the session" => {
                crate::ground::write(&server, ending::session(&records, &sid(&held)?, now)).await?;
                false
            }
            "all sessions" => {
                let user = crate::ground::stored_user(&server, "alice").await?.id;
                let listed = server.db.user_sessions_of(&records.realm.id, &user).await?;
                crate::ground::write(&server, ending::sessions(&records, &user, &listed, None, now)).await?;
                false
            }
            "idle" => {
                edit_realm(&server, |realm| realm.settings.sso_session_idle_timeout = 100).await?;
                active(&told(&server, &held.access).await?, "remembered anew");
                server.clock.advance(Duration::from_secs(100));
                false
            }
            "the user" => {
                edit_user(&server, "alice", |user| user.email = Some("new@example.test".to_owned())).await?;
                assert!(told(&server, &held.access).await?.text().contains("new@example.test"));
                continue;
            }
            "the configuration" => {
                edit_client(&server, "web", |client| client.settings.enabled = true).await?;
                active(&told(&server, &held.access).await?, cause);
                assert_eq!(server.idp.introspection_figures().made, 2, "{cause}");
                continue;
            }
            "a clock set back" => {
                server.clock.shift_secs(-3600);
                false
            }
            _ => true,
        };
        let answer = told(&server, &held.access).await?;
        if active_still {
            active(&answer, cause)
        } else {
            inactive(&answer, cause)
        }
        let given = server.idp.introspection_figures().remembered - before.remembered;
        assert_eq!(given > 0, remembered, "{cause}");
        // Who may not know is not told because somebody else was.
        let stranger = [("client_id", "other"), ("client_secret", "other-secret"), ("token", held.access.as_str())];
        inactive(&ask(&server, &stranger).await?, cause);
    }
    Ok(())
}

#[tokio::test]
async fn te_22_a_logout_at_another_node_is_seen_at_once() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await?;
    let (first, second) = (cluster.node(0)?, cluster.node(1)?);
    furnish(first, House::Strict).await?;
    let held = own(first).await?;
    for _ in 0..2 {
        active(&told(second, &held.access).await?, "before");
    }
    let form = [("client_id", "web"), ("client_secret", "web-secret"), ("refresh_token", held.refresh.as_str())];
    let path = PATH.replace("token/introspect", "logout");
    assert_eq!(first.client()?.send(&Exchange::form(&path, &form)).await?.status, 204);
    inactive(&told(second, &held.access).await?, "after");
    assert_eq!(second.idp.introspection_figures().remembered, 1);
    Ok(())
}
