//! MF-09, AZ-31, RT-17: levels of authentication that are asked for, reached, refused and kept.

use anyhow::{Context as _, Result};
use portcullis_core::time::Clock as _;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::Answer;
use portcullis_testkit::rp::parameter;
use portcullis_testkit::server::Options;
use serde_json::{Value, json};

use crate::stage::{Browser, CALLBACK, Change, Outcome, PROFILES, Stage, claims, outcome, text};

const NAMES: &str = r#"{"bronze":1,"silver":2}"#;

async fn stage(strict: bool, attributes: &Value) -> Result<Stage> {
    let clients = json!([
        { "clientId": "app", "enabled": true, "publicClient": true, "redirectUris": [CALLBACK], "attributes": attributes },
        { "clientId": "second", "enabled": true, "publicClient": true, "redirectUris": [crate::stage::SECOND] },
    ]);
    let changes = json!({ "clients": clients, "attributes": { "acr.loa.map": NAMES } });
    Stage::with(strict, Options::default(), &changes).await
}

fn claim(essential: bool, values: &[&str]) -> String {
    json!({ "id_token": { "acr": { "essential": essential, "values": values } } }).to_string()
}

/// `acr` and `auth_time` of both tokens of an answer's code.
async fn told(browser: &mut Browser, answer: &Answer) -> Result<(String, i64)> {
    let tokens = browser.tokens(answer).await?;
    let (access, id) = (claims(&tokens, "access_token")?, claims(&tokens, "id_token")?);
    let facts = |claims: &Value| {
        (text(claims, "acr").to_owned(), claims.get("auth_time").and_then(Value::as_i64).unwrap_or_default())
    };
    assert_eq!(facts(&access), facts(&id));
    Ok(facts(&id))
}

#[tokio::test]
async fn mf_09_a_level_is_proven_in_this_login_and_the_tokens_tell_the_truth() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        let began = stage.server.clock.now().secs();
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        assert_eq!(told(&mut browser, &answer).await?, ("bronze".to_owned(), began));
        stage.server.clock.shift_secs(100);
        let essential = claim(true, &["bronze"]);
        let asks: [&[Change<'_>]; 4] = [
            &[("acr_values", Some("bronze"))],
            &[("acr_values", Some("1"))],
            &[("claims", Some(&essential))],
            &[("max_age", Some("99"))],
        ];
        for (round, ask) in asks.into_iter().enumerate() {
            let what = format!("strict {strict} {ask:?}");
            let plain = browser.ask(&[]).await?;
            let (acr, _) = told(&mut browser, &plain).await?;
            assert_eq!(acr, "0", "{what}: single sign-on proves nothing");
            let silent: Vec<Change<'_>> = ask.iter().copied().chain([("prompt", Some("none"))]).collect();
            assert_eq!(outcome(&browser.ask(&silent).await?), Outcome::Error("login_required".into()), "{what}");
            let page = browser.ask(ask).await?;
            assert_eq!(outcome(&page), Outcome::LoginPage, "{what}");
            assert!(Page::read(&page.text()).form("kc-form-login").is_some());
            assert!(!page.text().contains("name=\"username\""), "{what}: the session's own user only");
            assert_eq!(outcome(&browser.submit(&page, "alice", "wrong").await?), Outcome::LoginPage, "{what}");
            let page = browser.ask(ask).await?;
            let answer = browser.submit(&page, "alice", "alice-password").await?;
            let (acr, at) = told(&mut browser, &answer).await?;
            let name = if round == 1 { "1" } else { "bronze" };
            assert_eq!((acr.as_str(), at), (name, stage.server.clock.now().secs()), "{what}");
            assert_eq!(stage.sessions("alice").await?, 1, "{what}: the session goes on");
            stage.server.clock.shift_secs(100);
        }
    }
    Ok(())
}

#[tokio::test]
async fn az_31_an_essential_level_out_of_reach_is_refused_and_a_wished_one_is_not_faked() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        let refused = Outcome::Error("unmet_authentication_requirements".to_owned());
        for known in [false, true] {
            for values in [&["silver"][..], &["2"], &["99", "silver"]] {
                let mut browser = stage.browser()?;
                if known {
                    browser.enter("alice").await?;
                }
                let before = stage.sessions("alice").await?;
                let page = browser.ask(&[("claims", Some(&claim(true, values)))]).await?;
                assert_eq!(outcome(&page), Outcome::LoginPage, "strict {strict} {values:?}");
                let answer = browser.submit(&page, "alice", "alice-password").await?;
                assert_eq!(outcome(&answer), refused, "strict {strict} {values:?}");
                let location = answer.header("location").context("no redirect")?;
                assert_eq!(parameter(location, "state").as_deref(), Some("st-1"));
                assert!(parameter(location, "iss").is_some());
                assert_eq!(stage.sessions("alice").await?, before, "nothing began");
                assert_eq!(browser.is_signed_in().await?, known);
            }
        }
        let mut browser = stage.browser()?;
        let page = browser.ask(&[("acr_values", Some("silver")), ("claims", Some(&claim(false, &["2"])))]).await?;
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        assert_eq!(told(&mut browser, &answer).await?.0, "bronze", "wished for, not reached, not claimed");
        let page = browser.ask(&[("claims", Some(&claim(true, &["silver", "bronze"])))]).await?;
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        assert_eq!(told(&mut browser, &answer).await?.0, "bronze", "one of several does");
    }
    Ok(())
}

#[tokio::test]
async fn az_31_claims_that_cannot_be_read_are_refused() -> Result<()> {
    let deep = format!("{}1{}", r#"{"id_token":"#.repeat(120), "}".repeat(120));
    let unknown = claim(true, &["platinum"]);
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        let error = Outcome::Error("invalid_request".to_owned());
        let garbage = if strict { error.clone() } else { Outcome::LoginPage };
        let long = format!("{{}}{}", " ".repeat(4000));
        for (value, expected) in [
            ("acr", &garbage),
            ("[]", &garbage),
            (r#"{"id_token":{"acr":"2"}}"#, &garbage),
            (deep.as_str(), &garbage),
            (unknown.as_str(), &error),
            (long.as_str(), &error),
            ("{}", &Outcome::LoginPage),
            (r#"{"userinfo":{"email":null},"id_token":{"auth_time":{"essential":true}}}"#, &Outcome::LoginPage),
        ] {
            let answer = stage.browser()?.ask(&[("claims", Some(value))]).await?;
            assert_eq!(&outcome(&answer), expected, "strict {strict} {value:.60}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_clients_own_levels_hold_whatever_the_browser_asks() -> Result<()> {
    let stage = stage(true, &json!({ "minimum.acr.value": "bronze" })).await?;
    let mut browser = stage.browser()?;
    let mut second = browser.at_client("second")?;
    second.enter("alice").await?;
    browser.rp.jar = second.rp.jar.clone();
    let less = claim(true, &["0"]);
    for ask in [&[][..], &[("acr_values", Some("0"))], &[("claims", Some(less.as_str()))]] {
        assert_eq!(outcome(&browser.ask(ask).await?), Outcome::LoginPage, "{ask:?}");
        assert!(matches!(outcome(&second.ask(&[]).await?), Outcome::Code(_)), "the honest twin has no such rule");
    }
    Ok(())
}

#[tokio::test]
async fn rt_17_a_refresh_never_betters_level_or_time_of_the_login() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict, &json!({})).await?;
        let began = stage.server.clock.now().secs();
        let mut second = stage.browser()?.at_client("second")?;
        second.enter("alice").await?;
        let mut browser = second.at_client("app")?;
        let answer = browser.ask(&[]).await?;
        let old = browser.tokens(&answer).await?;
        assert_eq!(text(&claims(&old, "id_token")?, "acr"), "0");
        stage.server.clock.shift_secs(60);
        // Another client steps up in the same session.
        let mut stepping = second.at_client("second")?;
        let page = stepping.ask(&[("acr_values", Some("bronze"))]).await?;
        let answer = stepping.submit(&page, "alice", "alice-password").await?;
        assert_eq!(told(&mut stepping, &answer).await?, ("bronze".to_owned(), began + 60));
        assert_eq!(stage.sessions("alice").await?, 1);
        let answer = browser
            .rp
            .token(&[("grant_type", "refresh_token"), ("refresh_token", text(&old, "refresh_token"))])
            .await?;
        let new = answer.json();
        for token in ["access_token", "id_token"] {
            let claims = claims(&new, token)?;
            assert_eq!(text(&claims, "acr"), "0", "strict {strict} {token}");
            assert_eq!(claims.get("auth_time").and_then(Value::as_i64), Some(began), "strict {strict} {token}");
        }
    }
    Ok(())
}
