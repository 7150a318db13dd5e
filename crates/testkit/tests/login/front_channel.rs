//! AZ: answers that carry tokens (implicit and hybrid flow) and those that carry nothing.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::plan::Write;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::parameter;
use portcullis_testkit::server::Options;
use serde_json::{Value, json};

use crate::stage::{Browser, CALLBACK, Outcome, REALM, Stage, action, claims, edited, outcome, text};

/// The hash that ID tokens carry (OIDC Core §3.1.3.6), for RS256.
fn left_half(of: &str) -> String {
    let hash = portcullis_jose::digest::sha256(of.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.get(..16).unwrap_or_default())
}

async fn stage(strict: bool, more: &Value) -> Result<Stage> {
    let mut client = json!({
        "clientId": "app", "enabled": true, "publicClient": true, "standardFlowEnabled": true,
        "implicitFlowEnabled": true, "redirectUris": [CALLBACK], "attributes": {},
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        crate::stage::set(&mut client, name, value.clone());
    }
    Stage::with(strict, Options::default(), &json!({ "clients": [client] })).await
}

async fn ask(browser: &mut Browser, response_type: &str) -> Result<Answer> {
    browser.ask(&[("response_type", Some(response_type)), ("nonce", Some("n-1"))]).await
}

/// The members of an answer's fragment.
fn fragment(answer: &Answer) -> Result<Value> {
    let location = answer.header("location").context("no redirect")?;
    let (address, fragment) = location.split_once('#').context("no fragment")?;
    assert!(!address.contains('?'), "nothing in the query: {location}");
    let pairs = url::form_urlencoded::parse(fragment.as_bytes());
    Ok(pairs
        .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
        .collect::<serde_json::Map<_, _>>()
        .into())
}

async fn userinfo(stage: &Stage, token: &str) -> Result<u16> {
    let path = format!("/realms/{REALM}/protocol/openid-connect/userinfo");
    let request = Exchange::get(&path).header("Authorization", &format!("Bearer {token}"));
    Ok(stage.server.client()?.send(&request).await?.status)
}

#[tokio::test]
async fn oidc_core_3_2_3_3_tokens_by_the_browser_are_bound_to_what_travels_with_them() -> Result<()> {
    let stage = stage(false, &json!({})).await?;
    for (kind, lifespan) in [("token", 900), ("id_token", 900), ("id_token token", 900), ("code id_token token", 300)] {
        let mut browser = stage.browser()?;
        let page = ask(&mut browser, kind).await?;
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        let got = fragment(&answer)?;
        let wants = |word| kind.split(' ').any(|w| w == word);
        assert_eq!(got.get("access_token").is_some(), wants("token"), "{kind}");
        assert_eq!(got.get("id_token").is_some(), wants("id_token"), "{kind}");
        assert_eq!(got.get("code").is_some(), wants("code"), "{kind}");
        assert_eq!(got.get("refresh_token"), None, "{kind}");
        if wants("token") {
            assert_eq!((text(&got, "token_type"), text(&got, "expires_in")), ("Bearer", lifespan.to_string().as_str()));
            assert_eq!(userinfo(&stage, text(&got, "access_token")).await?, 200);
        }
        if wants("id_token") {
            let id = claims(&got, "id_token")?;
            assert_eq!((text(&id, "nonce"), text(&id, "aud"), text(&id, "acr")), ("n-1", "app", "1"), "{kind}");
            let hash = |of: &str| got.get(of).and_then(Value::as_str).map(left_half);
            let claim = |name: &str| id.get(name).and_then(Value::as_str).map(str::to_owned);
            assert_eq!(claim("at_hash"), hash("access_token"), "{kind}");
            assert_eq!(claim("c_hash"), hash("code"), "{kind}");
            assert_eq!(claim("s_hash"), Some(left_half("st-1")), "{kind}");
            let life = id.get("exp").and_then(Value::as_i64).zip(id.get("iat").and_then(Value::as_i64));
            assert_eq!(life.map(|(exp, iat)| exp - iat), Some(lifespan), "{kind}");
        }
        if let Some(code) = got.get("code").and_then(Value::as_str) {
            let answer = browser.rp.exchange(code, &browser.pkce.clone()).await?;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    Ok(())
}

#[tokio::test]
async fn tokens_by_the_browser_die_with_their_session_and_with_a_code_used_twice() -> Result<()> {
    let stage = stage(false, &json!({})).await?;
    let mut browser = stage.browser()?;
    browser.enter("alice").await?;
    let got = fragment(&ask(&mut browser, "code token").await?)?;
    let (token, code) = (text(&got, "access_token"), text(&got, "code"));
    let pkce = browser.pkce.clone();
    assert_eq!(browser.rp.exchange(code, &pkce).await?.status, 200);
    assert_eq!(userinfo(&stage, token).await?, 200, "an exchange is no misuse");
    assert_eq!(browser.rp.exchange(code, &pkce).await?.status, 400);
    assert_eq!(userinfo(&stage, token).await?, 401, "PC-03 holds for the front channel too");
    let got = fragment(&ask(&mut browser, "token").await?)?;
    let token = text(&got, "access_token");
    assert_eq!(userinfo(&stage, token).await?, 200);
    let user = stage.user("alice").await?.id;
    stage.apply(Write::EndUserSessions { realm: stage.realm.clone(), user, except: None }).await?;
    assert_eq!(userinfo(&stage, token).await?, 401, "logged out");
    Ok(())
}

#[tokio::test]
async fn az_06_a_strict_realm_puts_no_token_into_any_address() -> Result<()> {
    let stage = stage(true, &json!({})).await?;
    for kind in ["token", "id_token", "id_token token", "code token", "code id_token", "code id_token token"] {
        for mode in [None, Some("fragment"), Some("form_post"), Some("query")] {
            let mut browser = stage.browser()?;
            browser.enter("alice").await?;
            let answer =
                browser.ask(&[("response_type", Some(kind)), ("nonce", Some("n")), ("response_mode", mode)]).await?;
            let seen = format!("{} {}", answer.header("location").unwrap_or_default(), answer.text());
            assert!(
                !seen.contains("token=") && !seen.contains("eyJ") && !seen.contains("name=\"code\""),
                "{kind} {mode:?}"
            );
            assert!(seen.contains("unsupported_response_type") || seen.contains("invalid_request"), "{kind}: {seen}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_response_type_of_none_proves_the_login_and_carries_nothing() -> Result<()> {
    for strict in crate::stage::PROFILES {
        let stage = stage(strict, &json!({})).await?;
        let mut browser = stage.browser()?;
        let bare = [("response_type", Some("none")), ("code_challenge", None), ("code_challenge_method", None)];
        let page = browser.ask(&bare).await?;
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        let location = answer.header("location").context("no redirect")?;
        for (name, there) in
            [("state", true), ("iss", true), ("code", false), ("error", false), ("access_token", false)]
        {
            assert_eq!(parameter(location, name).is_some(), there, "{name}: {location}");
        }
        assert!(browser.is_signed_in().await?);
    }
    Ok(())
}

#[tokio::test]
async fn az_07_an_edited_address_changes_no_response_type() -> Result<()> {
    let stage = stage(false, &json!({})).await?;
    let data = |rt: &str| {
        URL_SAFE_NO_PAD.encode(json!({ "ru": CALLBACK, "rt": rt, "rm": "fragment", "st": "st-1" }).to_string())
    };
    let mut browser = stage.browser()?;
    let page = browser.ask(&[]).await?;
    let target = edited(&action(&page)?, &[("client_data", Some(&data("token"))), ("response_type", Some("token"))]);
    let form = [("username", "alice"), ("password", "alice-password"), ("response_type", "token")];
    let answer = browser.rp.send(Exchange::form(&target, &form)).await?;
    assert!(matches!(outcome(&answer), Outcome::Code(_)), "{:?}", outcome(&answer));
    assert!(!answer.header("location").unwrap_or_default().contains("token="));
    // Switched off while the page was open: the kept request is judged again.
    let page = ask(&mut stage.browser()?, "token").await?;
    assert_eq!(outcome(&page), Outcome::LoginPage);
    let mut late = stage.browser()?;
    let page = ask(&mut late, "token").await?;
    let records = stage.server.db.realm_records(REALM).await?.context("no realm")?;
    let mut client = records.client("app").context("no client")?.clone();
    client.settings.implicit_flow_enabled = false;
    stage.apply(Write::UpdateClient(stage.realm.clone(), client)).await?;
    let answer = late.submit(&page, "alice", "alice-password").await?;
    assert_eq!(outcome(&answer), Outcome::Error("unauthorized_client".to_owned()));
    Ok(())
}

#[tokio::test]
async fn az_29_tokens_in_a_form_post_stand_in_no_address() -> Result<()> {
    let stage = stage(false, &json!({ "attributes": { "access.token.header.type.rfc9068": "true" } })).await?;
    let mut browser = stage.browser()?;
    browser.enter("alice").await?;
    let changes =
        [("response_type", Some("id_token token")), ("nonce", Some("n")), ("response_mode", Some("form_post"))];
    let answer = browser.ask(&changes).await?;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert_eq!(answer.header("cache-control"), Some("no-store, must-revalidate, max-age=0"));
    let page = Page::read(&answer.text());
    let form = page.form("*").context("no form")?;
    assert_eq!(form.action.as_deref(), Some(CALLBACK));
    assert!(answer.text().contains("name=\"access_token\"") && answer.text().contains("name=\"id_token\""));
    let odd = browser.ask(&[("response_type", Some("token")), ("response_mode", Some("query"))]).await?;
    assert_eq!(outcome(&odd), Outcome::Error("invalid_request".to_owned()));
    Ok(())
}
