//! TE-32, TE-36 and RFC 9068: for whom a token is.

use anyhow::{Context as _, Result};
use portcullis_core::mapper::ProtocolMapper;
use portcullis_testkit::http1::Answer;
use portcullis_testkit::rp::{Pkce, RelyingParty, parameter};
use portcullis_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::forge::{claims, texts};
use crate::ground::{House, code, edit_client, fault, login, open, party, refused, tokens, userinfo};

const A: &str = "https://a.test/api";
const B: &str = "https://b.test/api";
/// What the mappers name where no resource is asked for.
const ALL: [&str; 2] = ["account", "everybody"];
const OTHER: &str = "https://evil.test/api";

/// A client may name [`A`] and [`B`]; a mapper names `everybody` in all its tokens.
async fn permit(server: &TestServer, client: &str, resources: Option<&str>) -> Result<()> {
    let everybody: ProtocolMapper = serde_json::from_value(json!({
        "id": format!("everybody-{client}"), "name": "everybody", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": { "included.custom.audience": "everybody", "access.token.claim": "true" },
    }))?;
    edit_client(server, client, |client| {
        client.mappers = vec![everybody];
        client.settings.attributes.remove("portcullis.resources");
        client.settings.attributes.extend(resources.map(|r| ("portcullis.resources".to_owned(), r.to_owned())));
    })
    .await
}

/// The audiences of an answer's access token, sorted.
fn audience(answer: &Answer) -> Result<Vec<String>> {
    let claims = claims(&tokens(answer)?.access)?;
    let aud = &claims["aud"];
    let many = aud.as_array().map_or(std::slice::from_ref(aud), Vec::as_slice);
    let mut names: Vec<String> = many.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

fn for_these<'a>(fields: &[(&'a str, &'a str)], resources: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    fields.iter().copied().chain(resources.iter().map(|r| ("resource", *r))).collect()
}

async fn service(server: &TestServer, resources: &[&str]) -> Result<Answer> {
    let fields = for_these(&[("grant_type", "client_credentials"), ("scope", "openid")], resources);
    party(server, "service")?.token(&fields).await
}

/// A code for these resources, by single sign-on or by alice's password.
async fn code_for(party: &mut RelyingParty, resources: &[&str]) -> Result<(String, Pkce)> {
    let pkce = Pkce::new()?;
    let more = for_these(&[("scope", "openid"), ("state", "s")], resources);
    Ok((party.code(&pkce, &more, "alice", "alice-password").await?, pkce))
}

async fn exchange(party: &mut RelyingParty, code: &(String, Pkce), resources: &[&str]) -> Result<Answer> {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.0.as_str()),
        ("redirect_uri", crate::ground::BACK),
        ("code_verifier", code.1.verifier.as_str()),
    ];
    party.token(&for_these(&fields, resources)).await
}

async fn refresh(party: &mut RelyingParty, token: &str, resources: &[&str]) -> Result<Answer> {
    party.token(&for_these(&[("grant_type", "refresh_token"), ("refresh_token", token)], resources)).await
}

#[tokio::test]
async fn te_32_a_resource_that_is_not_permitted_is_no_target() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let both = format!("{A} {B}");
        for client in ["app", "service"] {
            permit(&server, client, Some(&both)).await?;
        }
        let long = format!("{A}{}", "x".repeat(5000));
        for bad in
            [OTHER, "https://a.test/api/", "https://a.test/api#x", "https://A.test/api", "a", "app", &both, &long]
        {
            let what = format!("{house:?} {bad:.60}");
            refused(&service(&server, &[bad]).await?, 400, "invalid_target", &what);
            refused(&service(&server, &[A, bad]).await?, 400, "invalid_target", &what);
            let mut app = party(&server, "app")?;
            let target =
                app.authorize_target(&Pkce::new()?, &for_these(&[("scope", "openid"), ("state", "s")], &[A, bad]));
            let answer = app.open(&target).await?;
            let location = answer.header("location").context(what.clone())?;
            assert_eq!(parameter(location, "error").as_deref(), Some("invalid_target"), "{what}");
            assert_eq!(parameter(location, "state").as_deref(), Some("s"), "{what}");
        }
        assert_eq!(audience(&service(&server, &[A]).await?)?, [A], "the honest twin");
        assert_eq!(audience(&service(&server, &[""]).await?)?, ALL, "a parameter without a value is none");
        // A refusal before the code was looked at does not spend it.
        let mut app = party(&server, "app")?;
        let held = code(&mut app).await?;
        refused(&exchange(&mut app, &held, &[OTHER]).await?, 400, "invalid_target", "a code");
        assert_eq!(audience(&exchange(&mut app, &held, &[]).await?)?, ALL);
        // A client without the attribute: a strict realm refuses, one of Keycloak's profile does not look.
        permit(&server, "service", None).await?;
        let answer = service(&server, &[A]).await?;
        match house {
            House::Strict => refused(&answer, 400, "invalid_target", "no attribute"),
            House::Keycloak => assert_eq!(audience(&answer)?, ALL),
        }
        let twice = fault(&service(&server, &[A, B]).await?).1;
        assert_eq!(twice, if house == House::Strict { "invalid_target" } else { "invalid_request" });
    }
    Ok(())
}

#[tokio::test]
async fn te_32_rfc_8707_2_2_a_token_is_for_what_was_granted_and_never_for_more() -> Result<()> {
    for house in House::BOTH {
        for client in ["app", "web"] {
            let what = format!("{house:?} {client}");
            let server = open(house).await?;
            permit(&server, client, Some(&format!("{A} {B}"))).await?;
            let mut app = party(&server, client)?;
            let held = code_for(&mut app, &[A, B]).await?;
            let answer = exchange(&mut app, &held, &[A]).await?;
            assert_eq!(audience(&answer)?, [A], "{what}: narrowed at the token endpoint");
            let token = tokens(&answer)?;
            assert_eq!(userinfo(&server, &token.access).await?.status, 200, "{what}");
            assert_eq!(claims(&token.id)?["aud"], json!(client), "{what}: the ID token is the client's");
            let answer = refresh(&mut app, &token.refresh, &[]).await?;
            assert_eq!(audience(&answer)?, [A, B], "{what}: the grant itself was not narrowed");
            let answer = refresh(&mut app, &tokens(&answer)?.refresh, &[B]).await?;
            assert_eq!(audience(&answer)?, [B], "{what}");
            let last = tokens(&answer)?.refresh;
            refused(&refresh(&mut app, &last, &[OTHER]).await?, 400, "invalid_target", &what);
            // A grant for one resource gives no token for another, not even one that the client may name.
            let held = code_for(&mut app, &[A]).await?;
            let spent = exchange(&mut app, &held, &[B]).await?;
            refused(&spent, 400, "invalid_target", &what);
            let held = code_for(&mut app, &[A]).await?;
            let narrow = tokens(&exchange(&mut app, &held, &[]).await?)?;
            refused(&refresh(&mut app, &narrow.refresh, &[B]).await?, 400, "invalid_target", &what);
            refused(&refresh(&mut app, &narrow.refresh, &[A, B]).await?, 400, "invalid_target", &what);
            // A later login for another resource does not widen the earlier refresh token.
            let held = code_for(&mut app, &[B]).await?;
            assert_eq!(audience(&exchange(&mut app, &held, &[]).await?)?, [B], "{what}");
            let answer = refresh(&mut app, &narrow.refresh, &[]).await?;
            assert_eq!(audience(&answer)?, [A], "{what}");
            let last = tokens(&answer)?.refresh;
            // What the client may not name any more is gone.
            permit(&server, client, Some(B)).await?;
            refused(&refresh(&mut app, &last, &[]).await?, 400, "invalid_target", &what);
            permit(&server, client, Some(A)).await?;
            assert_eq!(audience(&refresh(&mut app, &last, &[]).await?)?, [A], "{what}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_36_the_order_of_words_changes_nothing() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        permit(&server, "service", Some(&format!("{B} {A}"))).await?;
        for resources in [&[A, B][..], &[B, A], &[B, A, B]] {
            let answer = service(&server, resources).await?;
            let token = tokens(&answer)?.access;
            assert_eq!(claims(&token)?["aud"], json!([A, B]), "{house:?} {resources:?}");
        }
        let mut sets = Vec::new();
        for scope in ["openid email profile", "profile openid email", "email profile openid"] {
            let fields = [("grant_type", "client_credentials"), ("scope", scope)];
            let answer = party(&server, "service")?.token(&fields).await?;
            let claims = claims(&tokens(&answer)?.access)?;
            let mut words: Vec<String> =
                claims["scope"].as_str().unwrap_or_default().split(' ').map(str::to_owned).collect();
            words.sort();
            sets.push(words);
        }
        assert!(sets.windows(2).all(|pair| pair[0] == pair[1]), "{house:?} {sets:?}");
    }
    Ok(())
}

#[tokio::test]
async fn te_32_introspection_adds_no_audience_to_a_narrowed_token() -> Result<()> {
    let server = open(House::Keycloak).await?;
    permit(&server, "web", Some(A)).await?;
    let mut web = party(&server, "web")?;
    let held = code_for(&mut web, &[A]).await?;
    let token = tokens(&exchange(&mut web, &held, &[]).await?)?.access;
    let path = "/realms/yard/protocol/openid-connect/token/introspect";
    let form = [("client_id", "web"), ("client_secret", "web-secret"), ("token", token.as_str())];
    let request = portcullis_testkit::http1::Exchange::form(path, &form);
    let body = server.client()?.send(&request).await?.json();
    assert_eq!((&body["active"], &body["aud"]), (&json!(true), &json!(A)));
    Ok(())
}

/// The operator of an API that gets an administrator's token must not administer with it.
#[tokio::test]
async fn te_32_ad_01_a_token_narrowed_to_an_api_opens_no_door_of_this_server() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let admin = format!("{}/admin", server.base);
        for client in ["app", "service"] {
            permit(&server, client, Some(&format!("{A} {admin}"))).await?;
        }
        let records = crate::ground::records(&server, crate::ground::REALM).await?;
        let holder = records.client("realm-management").context("realm-management")?.id.clone();
        let role = records.roles.named(Some(&holder), "view-users").context("view-users")?.id.clone();
        crate::ground::edit_user(&server, "alice", |user| user.roles.push(role)).await?;
        let mut app = party(&server, "app")?;
        for (resources, expected) in [(&[A][..], 401), (&[], 200), (&[&*admin], 200), (&[A, &*admin], 200)] {
            let held = code_for(&mut app, resources).await?;
            let token = tokens(&exchange(&mut app, &held, &[]).await?)?.access;
            let users = crate::admin_sessions::ask(&server, &token, "GET", "yard/users").await?;
            assert_eq!(users.status, expected, "{house:?} {resources:?}");
            let list = crate::admin_sessions::ask(&server, &token, "GET", "").await?;
            assert_eq!(list.status, expected, "{house:?} {resources:?}");
            assert_eq!(userinfo(&server, &token).await?.status, 200, "{house:?}: what OpenID Connect gives its bearer");
        }
        if house == House::Strict {
            crate::feed::permit(&server).await?;
            for (resources, expected) in [(&[A][..], 401), (&[], 200), (&[&*admin], 200)] {
                let token = tokens(&service(&server, resources).await?)?.access;
                let asked = crate::feed::ask(&server, crate::feed::PATH, &token).await?.0;
                assert_eq!(asked, expected, "{resources:?}: the revocation feed");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn rfc_9068_2_2_an_at_jwt_of_a_strict_realm_has_every_required_claim() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        for on in [true, false] {
            edit_client(&server, "app", |client| {
                client.settings.attributes.insert("access.token.header.type.rfc9068".to_owned(), on.to_string());
                client.settings.attributes.insert("portcullis.resources".to_owned(), A.to_owned());
                // Without roles and mappers of its own nothing names an audience.
                client.mappers.clear();
                client.settings.full_scope_allowed = false;
            })
            .await?;
            let mut app = party(&server, "app")?;
            let token = login(&mut app).await?;
            let header: Value = serde_json::from_str(&texts(&token.access)?.0)?;
            assert_eq!(header["typ"], json!(if on { "at+jwt" } else { "JWT" }), "{house:?}");
            let body = claims(&token.access)?;
            for name in ["iss", "exp", "sub", "iat", "jti", "auth_time", "acr", "scope"] {
                assert!(!body[name].is_null(), "{house:?} {name}");
            }
            let required = on && house == House::Strict;
            assert_eq!(body["client_id"] == json!("app"), required, "{house:?}");
            assert_eq!(body["aud"] == body["iss"], required, "{house:?}: a default audience (§3): {body}");
            let id: Value = serde_json::from_str(&texts(&token.id)?.0)?;
            assert_eq!(id["typ"], json!("JWT"), "an ID token is no access token");
            assert_eq!(userinfo(&server, &token.access).await?.status, 200);
            assert_ne!(userinfo(&server, &token.id).await?.status, 200);
            let held = code_for(&mut app, &[A]).await?;
            let narrowed = tokens(&exchange(&mut app, &held, &[]).await?)?.access;
            assert_eq!(claims(&narrowed)?["aud"], json!(A), "{house:?}");
        }
    }
    Ok(())
}
