//! TE: which grants there are and whom they serve.

use anyhow::{Context as _, Result};
use portcullis_core::oauth::token::GrantType;
use portcullis_core::plan::Write;
use portcullis_core::user::User;
use portcullis_testkit::golden::Jar;
use portcullis_testkit::http1::Answer;
use portcullis_testkit::rp::{Pkce, parameter};
use portcullis_testkit::server::TestServer;

use crate::devices::{self, Device};
use crate::forge::claims;
use crate::ground::{
    House, Tokens, by_client, by_password, code, edit_client, edit_user, exchange, fault, login, login_of, open, party,
    realm_id, refresh, refused, stored_user, tokens, userinfo, write,
};
use crate::tokens::{FORM, post};

/// What alice has from before.
struct Before {
    held: Tokens,
    code: (String, Pkce),
    device: Device,
}

/// What a door gives to somebody who is to be kept out.
async fn knock(server: &TestServer, grant: GrantType, before: &Before) -> Result<Answer> {
    let Before { held, code, device } = before;
    match grant {
        GrantType::AuthorizationCode => party(server, "app")?.exchange(&code.0, &code.1).await,
        GrantType::RefreshToken => refresh(&mut party(server, "app")?, &held.refresh).await,
        GrantType::Password => by_password(server, "alice").await,
        GrantType::ClientCredentials => by_client(server, "service", "openid").await,
        GrantType::TokenExchange => exchange(server, &held.access, &[]).await,
        GrantType::DeviceCode => devices::poll(server, device).await,
        GrantType::Implicit => anyhow::bail!("no grant of the token endpoint"),
    }
}

#[tokio::test]
async fn te_16_who_is_disabled_passes_no_grant() -> Result<()> {
    for house in House::BOTH {
        // Every grant there is: a new one must stand in `knock`. No person stands behind client credentials: see `services`.
        for grant in GrantType::ALL.into_iter().filter(|grant| *grant != GrantType::ClientCredentials) {
            let server = open(house).await?;
            let mut app = party(&server, "app")?;
            let held = login(&mut app).await?;
            let (device, _) = devices::approved(&server, "tv").await?;
            let before = Before { held, code: code(&mut app).await?, device };
            edit_user(&server, "alice", |user| user.enabled = false).await?;
            let what = format!("{house:?} {grant:?}");
            // Keycloak 26.4 calls a subject token that does not hold an invalid request.
            let error = if grant == GrantType::TokenExchange { "invalid_request" } else { "invalid_grant" };
            refused(&knock(&server, grant, &before).await?, 400, error, &what);
            assert_eq!(userinfo(&server, &before.held.access).await?.status, 401, "{what}");
            // Neither single sign-on nor the login page lets her in.
            let target = app.authorize_target(&Pkce::new()?, &[("scope", "openid")]);
            let answer = app.open(&target).await?;
            assert_eq!(parameter(answer.header("location").unwrap_or_default(), "code"), None, "{what}: SSO");
            app.jar = Jar::default();
            let page = app.open(&target).await?;
            let answer = app.post_credentials(&page, "alice", "alice-password").await?;
            assert_eq!(parameter(answer.header("location").unwrap_or_default(), "code"), None, "{what}: login");
            // The honest twin: another user passes the same doors.
            tokens(&by_password(&server, "bob").await?)?;
            login_of(&mut party(&server, "web")?, "bob").await?;
            // And alice again, once she is enabled: the door was closed for this reason only.
            edit_user(&server, "alice", |user| user.enabled = true).await?;
            if !matches!(grant, GrantType::AuthorizationCode | GrantType::DeviceCode) {
                tokens(&knock(&server, grant, &before).await?).context(what)?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_16_who_owes_an_action_or_is_gone_passes_no_password_grant() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        tokens(&by_password(&server, "alice").await?)?;
        let owes = |actions: Vec<String>| move |user: &mut User| user.settings.required_actions = actions;
        edit_user(&server, "alice", owes(vec!["UPDATE_PASSWORD".to_owned()])).await?;
        refused(&by_password(&server, "alice").await?, 400, "invalid_grant", "owes an action");
        let mut app = party(&server, "app")?;
        let target = app.authorize_target(&Pkce::new()?, &[("scope", "openid")]);
        let page = app.open(&target).await?;
        let answer = app.post_credentials(&page, "alice", "alice-password").await?;
        assert_eq!(parameter(answer.header("location").unwrap_or_default(), "code"), None, "an action first");
        edit_user(&server, "alice", owes(vec![])).await?;
        let held = tokens(&by_password(&server, "alice").await?)?;
        let user = stored_user(&server, "alice").await?.id;
        write(&server, vec![Write::DeleteUser(realm_id(&server).await?, user)]).await?;
        assert_eq!(fault(&by_password(&server, "alice").await?), (401, "invalid_grant".to_owned()), "deleted");
        assert_eq!(userinfo(&server, &held.access).await?.status, 401);
    }
    Ok(())
}

#[tokio::test]
async fn te_12_te_13_a_grant_must_be_known_and_allowed() -> Result<()> {
    let password = "username=alice&password=alice-password";
    let rows = [
        ("grant_type=password&client_id=app", "unauthorized_client", House::Strict),
        ("grant_type=password&client_id=web&client_secret=web-secret", "unauthorized_client", House::Strict),
        ("grant_type=Password&client_id=tool", "unsupported_grant_type", House::Strict),
        ("grant_type=PASSWORD&client_id=tool", "unsupported_grant_type", House::Keycloak),
        ("grant_type=password%20&client_id=tool", "unsupported_grant_type", House::Strict),
        ("grant_type=%20password&client_id=tool", "unsupported_grant_type", House::Keycloak),
        ("grant_type=password%00&client_id=tool", "invalid_request", House::Strict),
        (
            "grant_type=urn:ietf:params:oauth:grant-type:password&client_id=tool",
            "unsupported_grant_type",
            House::Strict,
        ),
        ("grant_type=&client_id=tool", "unsupported_grant_type", House::Strict),
        ("client_id=tool", "invalid_request", House::Strict),
        ("grant_type=implicit&client_id=tool", "unsupported_grant_type", House::Keycloak),
        ("grant_type=magic&client_id=tool", "unsupported_grant_type", House::Keycloak),
        ("grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=tool", "invalid_request", House::Strict),
        (
            "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&client_id=tool",
            "unsupported_grant_type",
            House::Strict,
        ),
    ];
    for house in House::BOTH {
        let server = open(house).await?;
        for (form, error, _) in rows.iter().filter(|(.., of)| *of == house) {
            let answer = post(&server, &[("Content-Type", FORM)], format!("{form}&{password}").as_bytes()).await?;
            refused(&answer, 400, error, form);
        }
        let good = tokens(&by_password(&server, "alice").await?).context("tool may")?;
        assert_eq!(claims(&good.access)?["azp"], "tool");
        edit_client(&server, "tool", |c| c.settings.direct_access_grants_enabled = false).await?;
        refused(&by_password(&server, "alice").await?, 400, "unauthorized_client", "switched off");
    }
    Ok(())
}

#[tokio::test]
async fn te_36_the_order_of_scopes_grants_nothing_else() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let mut seen = Vec::new();
        for scope in ["openid phone address email", "email address openid phone", "phone openid email address"] {
            let pkce = Pkce::new()?;
            let code = app.code(&pkce, &[("scope", scope)], "alice", "alice-password").await?;
            let given = tokens(&app.exchange(&code, &pkce).await?)?;
            let claims = claims(&given.access)?;
            let mut words: Vec<String> =
                claims["scope"].as_str().unwrap_or_default().split(' ').map(str::to_owned).collect();
            words.sort();
            words.dedup();
            seen.push((words, claims["aud"].clone(), claims["realm_access"].clone()));
        }
        assert!(seen.windows(2).all(|pair| pair.first() == pair.last()), "{house:?} {seen:?}");
    }
    Ok(())
}
