//! RT: offline sessions (OIDC Core §11), which outlive the login they came from.

use std::time::Duration;

use anyhow::Result;
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::rp::{Pkce, RelyingParty, parameter};
use portcullis_testkit::server::TestServer;
use serde_json::Value;

use crate::forge::claims;
use crate::ground::{
    House, REALM, Tokens, code, edit_realm, edit_user, fault, invalid_grant, login, open, party, refresh, refused,
    tokens, userinfo,
};

const DAY: u64 = 86_400;

/// A code that was asked for with `offline_access`.
async fn offline_code(party: &mut RelyingParty) -> Result<(String, Pkce)> {
    let pkce = Pkce::new()?;
    let asked = [("scope", "openid offline_access"), ("state", "s")];
    Ok((party.code(&pkce, &asked, "alice", "alice-password").await?, pkce))
}

async fn offline(party: &mut RelyingParty) -> Result<Tokens> {
    let (code, pkce) = offline_code(party).await?;
    tokens(&party.exchange(&code, &pkce).await?)
}

/// What `prompt=none` says of the browser.
async fn silent(party: &mut RelyingParty) -> Result<Option<String>> {
    let target = party.authorize_target(&Pkce::new()?, &[("scope", "openid"), ("prompt", "none")]);
    let answer = party.open(&target).await?;
    Ok(parameter(answer.header("location").unwrap_or_default(), "error"))
}

async fn logout(server: &TestServer, client: &[(&str, &str)], token: &str) -> Result<u16> {
    let path = format!("/realms/{REALM}/protocol/openid-connect/logout");
    let form: Vec<(&str, &str)> = client.iter().copied().chain([("refresh_token", token)]).collect();
    Ok(server.client()?.send(&Exchange::form(&path, &form)).await?.status)
}

const WEB: &[(&str, &str)] = &[("client_id", "web"), ("client_secret", "web-secret")];
const APP: &[(&str, &str)] = &[("client_id", "app")];

#[tokio::test]
async fn rt_20_a_login_for_offline_access_alone_leaves_no_single_sign_on() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let held = offline(&mut app).await?;
        assert_eq!(silent(&mut app).await?.as_deref(), Some("login_required"), "{house:?}: the login became the grant");
        let said = claims(&held.refresh)?;
        assert_eq!((&said["typ"], &said["exp"]), (&Value::from("Offline"), &Value::Null), "{house:?}");
        assert_eq!(userinfo(&server, &held.access).await?.status, 200, "{house:?}");
        server.clock.advance(Duration::from_secs(29 * DAY));
        let next = tokens(&refresh(&mut app, &held.refresh).await?)?;
        assert_eq!(userinfo(&server, &next.access).await?.status, 200, "{house:?}: after 29 days");
        // RT-13: idle for longer than the realm's limit.
        server.clock.advance(Duration::from_secs(31 * DAY));
        refused(&refresh(&mut app, &next.refresh).await?, 400, "invalid_grant", &format!("{house:?}: idle"));
        // The honest twin: a login without the word stays in the browser.
        let mut other = party(&server, "app")?;
        login(&mut other).await?;
        assert_eq!(silent(&mut other).await?, None, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn rt_20_the_login_and_the_offline_session_end_apart() -> Result<()> {
    for house in House::BOTH {
        for login_first in [true, false] {
            let server = open(house).await?;
            let mut app = party(&server, "app")?;
            let online = login(&mut app).await?;
            let mut web = party(&server, "web")?;
            web.jar = app.jar.clone();
            let held = offline(&mut web).await?;
            assert_ne!(claims(&online.access)?["sid"], claims(&held.access)?["sid"], "{house:?}: two sessions");
            let (ended, kept) = if login_first {
                assert_eq!(logout(&server, APP, &online.refresh).await?, 204);
                (refresh(&mut app, &online.refresh).await?, refresh(&mut web, &held.refresh).await?)
            } else {
                assert_eq!(logout(&server, WEB, &held.refresh).await?, 204);
                (refresh(&mut web, &held.refresh).await?, refresh(&mut app, &online.refresh).await?)
            };
            refused(&ended, 400, "invalid_grant", &format!("{house:?}, login first {login_first}"));
            tokens(&kept)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn pc_03_a_code_used_twice_ends_the_offline_session_it_gave() -> Result<()> {
    for shared in [true, false] {
        let server = open(House::Strict).await?;
        let mut app = party(&server, "app")?;
        let mut web = party(&server, "web")?;
        if shared {
            login(&mut app).await?;
            web.jar = app.jar.clone();
        }
        let (code, pkce) = offline_code(&mut web).await?;
        let held = tokens(&web.exchange(&code, &pkce).await?)?;
        tokens(&refresh(&mut web, &held.refresh).await?)?;
        assert_eq!(fault(&web.exchange(&code, &pkce).await?), invalid_grant(), "shared {shared}: the second use");
        assert_eq!(fault(&refresh(&mut web, &held.refresh).await?), invalid_grant(), "shared {shared}: what it gave");
    }
    Ok(())
}

#[tokio::test]
async fn rt_09_who_loses_the_role_keeps_no_offline_token() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut web = party(&server, "web")?;
        let held = offline(&mut web).await?;
        tokens(&refresh(&mut web, &held.refresh).await?)?;
        edit_user(&server, "alice", |user| user.roles.clear()).await?;
        refused(&refresh(&mut web, &held.refresh).await?, 400, "not_allowed", &format!("{house:?}: refresh"));
        let mut again = party(&server, "web")?;
        let (code, pkce) = offline_code(&mut again).await?;
        refused(&again.exchange(&code, &pkce).await?, 400, "not_allowed", &format!("{house:?}: code"));
    }
    Ok(())
}

#[tokio::test]
async fn rt_12_an_offline_session_ends_at_its_longest_life_where_the_realm_has_one() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        edit_realm(&server, |realm| {
            realm.settings.offline_session_max_lifespan_enabled = true;
            realm.settings.offline_session_max_lifespan = 10 * 86_400;
        })
        .await?;
        let mut app = party(&server, "app")?;
        let mut held = offline(&mut app).await?;
        let end = claims(&held.refresh)?["exp"].as_i64();
        for _ in 0..3 {
            server.clock.advance(Duration::from_secs(3 * DAY));
            held = tokens(&refresh(&mut app, &held.refresh).await?)?;
            assert_eq!(claims(&held.refresh)?["exp"].as_i64(), end, "{house:?}: never later");
        }
        server.clock.advance(Duration::from_secs(DAY));
        refused(&refresh(&mut app, &held.refresh).await?, 400, "invalid_grant", &format!("{house:?}: at the end"));
    }
    Ok(())
}

#[tokio::test]
async fn rt_14_an_online_code_gives_nothing_once_its_login_became_an_offline_session() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut web = party(&server, "web")?;
    let (online, proof) = code(&mut web).await?;
    let held = offline(&mut web).await?;
    assert_eq!(fault(&web.exchange(&online, &proof).await?), invalid_grant());
    tokens(&refresh(&mut web, &held.refresh).await?)?;
    Ok(())
}

/// Asked of Keycloak 26.4.2: its logout doors do not look whether the realm is on, its token doors do.
#[tokio::test]
async fn lo_05_a_realm_that_is_switched_off_still_lets_people_log_out() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let (kept, ended) = (login(&mut party(&server, "app")?).await?, offline(&mut app).await?);
        edit_realm(&server, |realm| realm.settings.enabled = false).await?;
        assert_eq!(refresh(&mut app, &kept.refresh).await?.status, 403, "{house:?}");
        let path = format!("/realms/{REALM}/protocol/openid-connect/revoke");
        let revoke = Exchange::form(&path, &[("client_id", "app"), ("token", kept.refresh.as_str())]);
        assert_eq!(server.client()?.send(&revoke).await?.status, 403, "{house:?}");
        assert_eq!(logout(&server, APP, &ended.refresh).await?, 204, "{house:?}");
        edit_realm(&server, |realm| realm.settings.enabled = true).await?;
        assert_eq!(fault(&refresh(&mut app, &ended.refresh).await?), invalid_grant(), "{house:?}");
        // The honest twin: nobody else was logged out by the switch.
        tokens(&refresh(&mut party(&server, "app")?, &kept.refresh).await?)?;
    }
    Ok(())
}
