//! RT: how long refresh tokens hold, and what they keep.

use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_core::key::KeyStatus;
use portcullis_core::plan::Write;
use portcullis_core::secret::SecretBytes;
use portcullis_core::time::Clock as _;
use portcullis_testkit::pace::random;
use portcullis_testkit::rp::Pkce;

use crate::devices;
use crate::forge::{self, claims};
use crate::ground::{
    BACK, House, REALM, code, edit_client, edit_realm, fault, invalid_grant, login, open, party, realm_id, refresh,
    refused, tokens, userinfo, write,
};

#[tokio::test]
async fn rt_12_no_chain_outlives_the_session() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        edit_realm(&server, |realm| realm.settings.sso_session_max_lifespan = 5000).await?;
        let mut app = party(&server, "app")?;
        let start = server.clock.now().secs();
        let mut live = login(&mut app).await?;
        for step in 1..=4 {
            server.clock.advance(Duration::from_secs(1200));
            live = tokens(&refresh(&mut app, &live.refresh).await?).with_context(|| format!("{house:?} {step}"))?;
            for token in [&live.access, &live.refresh] {
                let exp = claims(token)?["exp"].as_i64().context("exp")?;
                assert!(exp <= start + 5000, "{house:?} {step}: {} too late", exp - start - 5000);
            }
        }
        server.clock.advance(Duration::from_secs(200));
        refused(&refresh(&mut app, &live.refresh).await?, 400, "invalid_grant", "at the limit");
        assert_eq!(userinfo(&server, &live.access).await?.status, 401);
    }
    Ok(())
}

#[tokio::test]
async fn rt_13_an_idle_token_dies() -> Result<()> {
    for house in House::BOTH {
        for (idle, good) in [(1799, true), (1800, false), (1801, false)] {
            let server = open(house).await?;
            let mut app = party(&server, "app")?;
            let held = login(&mut app).await?;
            server.clock.advance(Duration::from_secs(idle));
            let answer = refresh(&mut app, &held.refresh).await?;
            if good {
                tokens(&answer).with_context(|| format!("{house:?} {idle}"))?;
            } else {
                refused(&answer, 400, "invalid_grant", &format!("{house:?} {idle}"));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn rt_16_the_latest_not_before_counts() -> Result<()> {
    for house in House::BOTH {
        for (realm_ahead, client_ahead, good) in
            [(-10, -10, true), (1, -10, false), (-10, 1, false), (1, 5, false), (5, 1, false)]
        {
            let server = open(house).await?;
            let mut app = party(&server, "app")?;
            let held = login(&mut app).await?;
            let now = server.clock.now().secs();
            edit_realm(&server, |realm| realm.settings.not_before = now + realm_ahead).await?;
            edit_client(&server, "app", |client| client.settings.not_before = now + client_ahead).await?;
            let what = format!("{house:?} {realm_ahead} {client_ahead}");
            let status = userinfo(&server, &held.access).await?.status;
            assert_eq!(status, if good { 200 } else { 401 }, "{what}");
            let answer = refresh(&mut app, &held.refresh).await?;
            if good {
                tokens(&answer).context(what)?;
                continue;
            }
            refused(&answer, 400, "invalid_grant", &what);
            server.clock.advance(Duration::from_secs(6));
            let fresh = login(&mut party(&server, "app")?).await?;
            assert_eq!(userinfo(&server, &fresh.access).await?.status, 200, "{what}: a new login");
        }
    }
    Ok(())
}

#[tokio::test]
async fn rt_16_a_clients_not_before_reaches_what_is_on_its_way() -> Result<()> {
    for house in House::BOTH {
        for (ahead, good) in [(0, true), (1, false)] {
            let server = open(house).await?;
            let mut app = party(&server, "app")?;
            let (early, pkce) = code(&mut app).await?;
            let (approved, _) = devices::approved(&server, "tv").await?;
            let now = server.clock.now().secs();
            for client in ["app", "tv"] {
                edit_client(&server, client, |client| client.settings.not_before = now + ahead).await?;
            }
            // The cut is in force, the code and the approval hold still.
            server.clock.advance(Duration::from_secs(6));
            let what = format!("{house:?} {ahead}");
            let by_code = app.exchange(&early, &pkce).await?;
            let by_device = devices::poll(&server, &approved).await?;
            for answer in [&by_code, &by_device] {
                if good {
                    tokens(answer).context(what.clone())?;
                } else {
                    refused(answer, 400, "invalid_grant", &what);
                }
            }
            // Asked for after the cut: the same browser, and the device anew.
            let (later, pkce) = code(&mut app).await?;
            tokens(&app.exchange(&later, &pkce).await?).context(what.clone())?;
            let (again, _) = devices::approved(&server, "tv").await?;
            server.clock.advance(Duration::from_secs(6));
            tokens(&devices::poll(&server, &again).await?).context(what)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn rt_18_a_refreshed_id_token_tells_the_same_story() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let pkce = Pkce::new()?;
        let asked = [("scope", "openid"), ("nonce", "n-0")];
        let code = app.code(&pkce, &asked, "alice", "alice-password").await?;
        let first = tokens(&app.exchange(&code, &pkce).await?)?;
        server.clock.advance(Duration::from_secs(100));
        let next = tokens(&refresh(&mut app, &first.refresh).await?)?;
        let (old, new) = (claims(&first.id)?, claims(&next.id)?);
        assert_eq!(old["nonce"], "n-0");
        for name in ["iss", "sub", "aud", "azp", "auth_time", "acr", "sid"] {
            assert_eq!(old[name], new[name], "{house:?} {name}");
        }
        assert_eq!(new.get("nonce"), None, "OIDC Core §12.2");
        assert_ne!(old["jti"], new["jti"]);
        assert!(new["iat"].as_i64() > old["iat"].as_i64());
    }
    Ok(())
}

#[tokio::test]
async fn jw_27_a_family_survives_a_passive_key_and_not_a_disabled_one() -> Result<()> {
    for (status, good) in [(KeyStatus::Passive, true), (KeyStatus::Disabled, false)] {
        let server = open(House::Strict).await?;
        let (mut app, mut web) = (party(&server, "app")?, party(&server, "web")?);
        let (family, plain) = (login(&mut app).await?, login(&mut web).await?);
        let key = forge::stored_key(&server, REALM, "HS512").await?;
        let realm = realm_id(&server).await?;
        let mut fresh = key.clone();
        fresh.kid = "new-hmac".into();
        fresh.private = SecretBytes::new(random(64)?);
        write(&server, vec![Write::SetKeyStatus(realm.clone(), key.kid, status), Write::CreateKey(realm, fresh)])
            .await?;
        for (party, held) in [(&mut app, family), (&mut web, plain)] {
            let answer = refresh(party, &held.refresh).await?;
            if good {
                let next = tokens(&answer)?;
                tokens(&refresh(party, &next.refresh).await?)?;
            } else {
                assert_eq!(fault(&answer), invalid_grant(), "{status:?}");
            }
        }
        let new = login(&mut party(&server, "app")?).await?;
        tokens(&refresh(&mut app, &new.refresh).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn p_16_a_hint_past_its_end_still_speaks_for_its_own_session() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        edit_client(&server, "app", |client| {
            client.settings.attributes.insert("post.logout.redirect.uris".to_owned(), "+".to_owned());
        })
        .await?;
        let (mut app, mut elsewhere) = (party(&server, "app")?, party(&server, "app")?);
        let (held, other) = (login(&mut app).await?, login(&mut elsewhere).await?);
        server.clock.advance(Duration::from_secs(1200));
        let back = BACK.replace(':', "%3A").replace('/', "%2F");
        let target = |hint: &str| {
            let path = format!("/realms/{REALM}/protocol/openid-connect/logout");
            format!("{path}?id_token_hint={hint}&post_logout_redirect_uri={back}")
        };
        // The hint of another session of hers: she is asked, and neither session ends.
        let asked = app.open(&target(&other.id)).await?;
        assert_eq!((asked.status, asked.header("location")), (200, None), "{house:?}");
        let live = tokens(&refresh(&mut app, &held.refresh).await?).context("asked, not ended")?;
        tokens(&refresh(&mut elsewhere, &other.refresh).await?).context("asked, not ended")?;
        let gone = app.open(&target(&held.id)).await?;
        assert_eq!((gone.status, gone.header("location")), (302, Some(BACK)), "{house:?} {}", gone.text());
        refused(&refresh(&mut app, &live.refresh).await?, 400, "invalid_grant", "ended");
    }
    Ok(())
}
