//! AZ: proving again, data that comes back, and how answers travel.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::parameter;
use serde_json::{Value, json};

use crate::stage::{
    Browser, CALLBACK, Outcome, PROFILES, REALM, Stage, action, assert_nothing_made, claims, edited, outcome, part,
    set, text,
};

#[tokio::test]
async fn az_10_an_old_session_does_not_satisfy_prompt_login_or_max_age() -> Result<()> {
    for strict in PROFILES {
        for (change, waits) in
            [(("prompt", Some("login")), 0), (("max_age", Some("0")), 5), (("max_age", Some("60")), 61)]
        {
            let what = format!("strict {strict} {change:?}");
            let stage = Stage::of(strict).await?;
            let mut browser = stage.browser()?;
            let first = claims(&browser.enter("alice").await?, "id_token")?;
            stage.server.clock.shift_secs(waits);
            let page = browser.ask(&[change]).await?;
            assert_eq!(outcome(&page), Outcome::LoginPage, "{what}");
            assert!(Page::read(&page.text()).input("username").is_none(), "{what}: it knows whom it asks");
            // Another tab that signs in silently proves nothing for this one.
            assert!(matches!(outcome(&browser.copy()?.ask(&[]).await?), Outcome::Code(_)), "{what}");
            let wrong = browser.submit(&page, "bob", "bob-password").await?;
            assert_eq!(outcome(&wrong), Outcome::LoginPage, "{what}: only the session's own user");
            stage.server.clock.shift_secs(10);
            let answer = browser.submit(&wrong, "alice", "alice-password").await?;
            let second = claims(&browser.tokens(&answer).await?, "id_token")?;
            let at = |claims: &serde_json::Value| claims.get("auth_time").and_then(serde_json::Value::as_i64);
            assert_eq!(at(&second), at(&first).map(|t| t + waits + 10), "{what}: auth_time is new");
            assert_eq!(text(&second, "sid"), text(&first, "sid"), "{what}: the session goes on");
            let silent = browser.ask(&[]).await?;
            let third = claims(&browser.tokens(&silent).await?, "id_token")?;
            assert_eq!(at(&third), at(&second), "{what}: single sign-on proves nothing new");
        }
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        browser.enter("alice").await?;
        stage.server.clock.shift_secs(60);
        let young = browser.ask(&[("max_age", Some("60"))]).await?;
        assert!(matches!(outcome(&young), Outcome::Code(_)), "young enough");
    }
    Ok(())
}

#[tokio::test]
async fn az_10_a_tab_that_waits_is_not_finished_by_the_session_of_another() -> Result<()> {
    let stage = Stage::of(true).await?;
    let mut browser = stage.browser()?;
    let waiting = browser.ask(&[("prompt", Some("login"))]).await?;
    let mut other = browser.copy()?;
    other.enter("alice").await?;
    other.pkce = browser.pkce.clone();
    // The tab is opened again, now with the session of the other one.
    let target = edited(&action(&waiting)?, &[("session_code", None), ("execution", None)]);
    let page = other.rp.send(Exchange::get(&target)).await?;
    assert_eq!(outcome(&page), Outcome::LoginPage);
    let answer = other.submit(&page, "alice", "alice-password").await?;
    assert!(matches!(outcome(&answer), Outcome::Code(_)));
    Ok(())
}

fn client_data(uri: &str, more: &[(&str, &str)]) -> String {
    let mut data = json!({ "ru": uri, "rt": "code", "st": "st-1" });
    for (name, value) in more {
        set(&mut data, name, *value);
    }
    URL_SAFE_NO_PAD.encode(data.to_string())
}

#[tokio::test]
async fn az_07_edited_restart_data_changes_nothing() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        for data in [
            client_data("https://evil.test/cb", &[]),
            client_data(CALLBACK, &[("rt", "id_token token"), ("rm", "fragment")]),
            "nonsense".to_owned(),
        ] {
            let mut browser = stage.browser()?;
            let page = browser.ask(&[]).await?;
            let target = edited(&action(&page)?, &[("client_data", Some(&data))]);
            let fields = [("username", "alice"), ("password", "alice-password")];
            let answer = browser.rp.send(Exchange::form(&target, &fields)).await?;
            assert!(matches!(outcome(&answer), Outcome::Code(_)), "the flow itself decides");
            let location = answer.header("location").unwrap_or_default();
            assert!(location.starts_with(&format!("{CALLBACK}?")) && !location.contains("token="), "{location}");
            // The flow is gone now; the data of the address is all there is, and it is matched anew.
            let again = browser.rp.send(Exchange::get(&edited(&target, &[("session_code", None)]))).await?;
            match again.header("location") {
                Some(to) => assert!(to.starts_with(CALLBACK) && parameter(to, "code").is_none(), "{to}"),
                None => assert!(!again.text().contains("href=\"https://evil"), "{}", again.text()),
            }
            assert_eq!(stage.sessions("alice").await?, 1);
            let realm = stage.realm.clone();
            let user = stage.user("alice").await?.id;
            stage.apply(portcullis_core::plan::Write::EndUserSessions { realm, user, except: None }).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn az_07_an_altered_restart_cookie_is_none() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        let cookie = browser.cookie("KC_RESTART");
        let target = edited(&action(&page)?, &[("session_code", None), ("execution", None)]);
        let elsewhere = |cookie: &str| -> Result<Browser> {
            let mut browser = stage.browser()?;
            browser.plant("KC_RESTART", cookie);
            Ok(browser)
        };
        let flipped = flip(&cookie, cookie.len() / 2);
        for bad in [flipped.as_str(), &cookie[..cookie.len() - 4], "", "e30"] {
            let answer = elsewhere(bad)?.rp.send(Exchange::get(&target)).await?;
            assert_eq!(outcome(&answer), Outcome::ErrorPage(400), "{bad}");
            assert_nothing_made(&answer, bad);
        }
        // The honest one begins again, as a fresh request: the client may have been switched off meanwhile.
        let answer = elsewhere(&cookie)?.rp.send(Exchange::get(&target)).await?;
        assert!(matches!(outcome(&answer), Outcome::Onward(_)));
        let records = stage.server.db.realm_records(REALM).await?.context("records")?;
        let mut client = records.client("app").context("client")?.clone();
        client.settings.enabled = false;
        stage.apply(portcullis_core::plan::Write::UpdateClient(stage.realm.clone(), client)).await?;
        let answer = elsewhere(&cookie)?.rp.send(Exchange::get(&target)).await?;
        assert_eq!(outcome(&answer), Outcome::ErrorPage(400), "switched off");
    }
    Ok(())
}

/// Another base64url character at this place.
fn flip(text: &str, at: usize) -> String {
    text.chars().enumerate().map(|(i, c)| if i == at { if c == 'A' { 'B' } else { 'A' } } else { c }).collect()
}

#[tokio::test]
async fn az_22_what_was_asked_is_not_readable_in_a_cookie() -> Result<()> {
    let stage = Stage::of(true).await?;
    let mut browser = stage.browser()?;
    let secret = "nonce-only-the-client-knows";
    let page = browser.ask(&[("nonce", Some(secret)), ("login_hint", Some("hint-of-mine"))]).await?;
    let cookies: Vec<&str> = page.all("set-cookie").collect();
    assert!(cookies.iter().any(|c| c.starts_with("KC_RESTART=")), "{cookies:?}");
    for cookie in cookies {
        let value = cookie.split(';').next().unwrap_or_default().split_once('=').map_or("", |(_, v)| v);
        let decoded = URL_SAFE_NO_PAD.decode(value).unwrap_or_default();
        for readable in [value.to_owned(), String::from_utf8_lossy(&decoded).into_owned()] {
            assert!(!readable.contains(secret) && !readable.contains("hint-of-mine"), "{readable}");
        }
    }
    assert!(!page.text().contains(secret), "nor on the page");
    Ok(())
}

#[tokio::test]
async fn az_23_az_30_later_steps_are_not_jumped_to() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        for execution in ["UPDATE_PASSWORD", "OAUTH_GRANT", "VERIFY_EMAIL", "otp"] {
            let mut browser = stage.browser()?;
            let page = browser.ask(&[]).await?;
            let jump = action(&page)?.replace("/authenticate?", "/required-action?");
            let jump = edited(&jump, &[("execution", Some(execution))]);
            let fields = [("password-new", "taken-over-1"), ("password-confirm", "taken-over-1"), ("accept", "Yes")];
            for step in [Exchange::get(&jump), Exchange::form(&jump, &fields)] {
                let answer = browser.rp.send(step).await?;
                let Outcome::Onward(to) = outcome(&answer) else {
                    anyhow::bail!("{execution}: {:?}", outcome(&answer))
                };
                assert!(to.contains("/login-actions/authenticate?"), "back to the first unfinished step: {to}");
            }
            assert_eq!(stage.sessions("alice").await? + stage.sessions("ulla").await?, 0);
        }
        // A proof given in another flow does not count in this one.
        let mut ulla = stage.browser()?;
        let answer = ulla.login("ulla", "ulla-password").await?;
        let Outcome::Onward(owed) = outcome(&answer) else { anyhow::bail!("ulla owes an action") };
        let mut stranger = stage.browser()?;
        stranger.ask(&[]).await?;
        let foreign = stranger.rp.open(&owed).await?;
        assert!(!matches!(outcome(&foreign), Outcome::UpdatePassword | Outcome::Code(_)), "{:?}", outcome(&foreign));
        // Her own browser finishes.
        let page = ulla.rp.open(&owed).await?;
        assert_eq!(outcome(&page), Outcome::UpdatePassword);
        let fields = [("password-new", "ulla-password-2"), ("password-confirm", "ulla-password-2")];
        let done = ulla.rp.send(Exchange::form(&action(&page)?, &fields)).await?;
        assert!(matches!(outcome(&done), Outcome::Code(_)), "{:?} {}", outcome(&done), done.text());
    }
    Ok(())
}

#[tokio::test]
async fn az_24_a_flow_belongs_to_the_browser_that_began_it() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut attacker = stage.browser()?;
        let page = attacker.ask(&[]).await?;
        let link = action(&page)?;
        let credentials = [("username", "alice"), ("password", "alice-password")];
        let before = stage.hash_calls();
        // The victim has no cookies of ours, or a login of its own under way, or a session.
        let mut bare = stage.browser()?;
        let mut busy = stage.browser()?;
        busy.ask(&[]).await?;
        for (victim, what) in [(&mut bare, "bare"), (&mut busy, "busy")] {
            for step in [Exchange::get(&link), Exchange::form(&link, &credentials)] {
                let answer = victim.rp.send(step).await?;
                let found = outcome(&answer);
                assert!(matches!(found, Outcome::ErrorPage(400) | Outcome::Onward(_)), "{what}: {found:?}");
                if let Outcome::Onward(to) = found {
                    assert_ne!(part(&to, "tab_id"), part(&link, "tab_id"), "{what}: its own flow, not the attacker's");
                }
            }
        }
        assert_eq!(stage.hash_calls(), before, "nothing was compared");
        assert_eq!(stage.sessions("alice").await?, 0);
        let mut inside = stage.browser()?;
        inside.enter("alice").await?;
        let answer = inside.rp.send(Exchange::get(&link)).await?;
        assert!(!matches!(outcome(&answer), Outcome::Code(_)), "{:?}", outcome(&answer));
        // The attacker's browser, which waits, has nothing from it; its own login still works.
        assert!(!attacker.is_signed_in().await?);
        let own = attacker.submit(&page, "mallory", "mallory-password").await?;
        assert_eq!(text(&claims(&attacker.tokens(&own).await?, "id_token")?, "preferred_username"), "mallory");
    }
    Ok(())
}

/// What an answer gives to the client in any mode.
fn given(answer: &Answer, name: &str) -> String {
    match answer.header("location") {
        Some(location) => part(location, name),
        None => Page::read(&answer.text()).input(name).unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn az_27_az_28_every_answer_names_its_issuer_and_none_is_posted_on() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let discovery = format!("/realms/{REALM}/.well-known/openid-configuration");
        let document = stage.server.client()?.send(&Exchange::get(&discovery)).await?.json();
        let issuer = text(&document, "issuer");
        assert!(!issuer.is_empty());
        for mode in [None, Some("query"), Some("fragment"), Some("form_post")] {
            let mut browser = stage.browser()?;
            let page = browser.ask(&[("response_mode", mode)]).await?;
            let posted = browser.submit(&page, "alice", "alice-password").await?;
            assert!(![301, 307, 308].contains(&posted.status), "AZ-27: {}", posted.status);
            let silent = browser.ask(&[("response_mode", mode)]).await?;
            for success in [&posted, &silent] {
                assert!(!given(success, "code").is_empty(), "{mode:?} {}", success.text());
                assert_eq!(given(success, "iss"), issuer, "{mode:?}");
                assert_eq!(given(success, "state"), "st-1", "{mode:?}");
            }
            let refused = stage.browser()?.ask(&[("response_mode", mode), ("prompt", Some("none"))]).await?;
            assert_eq!(given(&refused, "error"), "login_required", "{mode:?}");
            assert_eq!(given(&refused, "iss"), issuer, "{mode:?}");
            assert_eq!(given(&refused, "state"), "st-1", "{mode:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn az_29_form_post_checks_the_address_and_escapes_every_value() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let form_post = ("response_mode", Some("form_post"));
        for uri in ["https://evil.test/cb", "javascript:alert(1)", "data:text/html,x"] {
            let answer = stage.browser()?.ask(&[form_post, ("redirect_uri", Some(uri))]).await?;
            assert_eq!(outcome(&answer), Outcome::ErrorPage(400), "{uri}");
            assert_nothing_made(&answer, uri);
        }
        let jwt = stage.browser()?.ask(&[("response_mode", Some("form_post.jwt"))]).await?;
        assert_eq!(outcome(&jwt), Outcome::Error("invalid_request".to_owned()));
        let hostile = "\"><script>alert(1)</script><input name=\"x";
        let mut browser = stage.browser()?;
        let page = browser.ask(&[form_post, ("state", Some(hostile))]).await?;
        assert!(!page.text().contains("<script>alert"));
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        assert!(!answer.text().contains("<script>alert") && !answer.text().contains("name=\"x\""));
        let read = Page::read(&answer.text());
        assert_eq!(read.form("*").and_then(|f| f.action.as_deref()), Some(CALLBACK));
        assert_eq!(read.input("state"), Some(hostile));
        let policies: Vec<&str> = answer.all("content-security-policy").collect();
        assert!(policies.iter().any(|p| p.contains("default-src 'none'") && p.contains("script-src 'sha256-")));
        assert!(!policies.iter().any(|p| p.contains("unsafe-inline")), "{policies:?}");
    }
    Ok(())
}

#[tokio::test]
async fn az_11_a_hint_logs_nobody_in_and_nobody_else() -> Result<()> {
    let stage = Stage::of(true).await?;
    let mut bob = stage.browser()?;
    let of_bob = bob.enter("bob").await?;
    let mut alice = stage.browser()?;
    let of_alice = alice.enter("alice").await?;
    let mut elsewhere = alice.at_client("second")?;
    let signed_on = elsewhere.ask(&[]).await?;
    let of_second = elsewhere.tokens(&signed_on).await?;
    let hint = |tokens: &Value| text(tokens, "id_token").to_owned();
    let (own, other, foreign) = (hint(&of_alice), hint(&of_bob), hint(&of_second));
    let (head, tail) = own.rsplit_once('.').context("a token")?;
    let unsigned =
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), head.split('.').nth(1).context("claims")?);
    let forged = format!("{head}.{}", tail.chars().rev().collect::<String>());
    let access = text(&of_alice, "access_token").to_owned();
    let error = |text: &str| Outcome::Error(text.to_owned());
    let none = ("prompt", Some("none"));
    for bad in [&forged, &unsigned, &foreign, &access, "x"] {
        for browser in [&mut alice, &mut stage.browser()?] {
            let answer = browser.ask(&[none, ("id_token_hint", Some(bad))]).await?;
            assert_eq!(outcome(&answer), error("invalid_request"), "{bad:.40}");
            let answer = browser.ask(&[("id_token_hint", Some(bad))]).await?;
            assert_eq!(outcome(&answer), error("invalid_request"), "{bad:.40}");
        }
    }
    // Another user's: not by the session, not by a login.
    assert_eq!(outcome(&alice.ask(&[none, ("id_token_hint", Some(&other))]).await?), error("login_required"));
    assert_eq!(outcome(&alice.ask(&[("id_token_hint", Some(&other))]).await?), error("login_required"));
    let mut fresh = stage.browser()?;
    assert_eq!(
        outcome(&fresh.ask(&[none, ("id_token_hint", Some(&own))]).await?),
        error("login_required"),
        "no session"
    );
    let page = fresh.ask(&[("id_token_hint", Some(&own))]).await?;
    let answer = fresh.submit(&page, "bob", "bob-password").await?;
    assert_eq!(outcome(&answer), error("login_required"));
    assert!(!fresh.is_signed_in().await?);
    // The honest twins, long after the hint's end.
    stage.server.clock.shift_secs(1000);
    assert!(matches!(outcome(&alice.ask(&[none, ("id_token_hint", Some(&own))]).await?), Outcome::Code(_)));
    let mut fresh = stage.browser()?;
    let page = fresh.ask(&[("id_token_hint", Some(&own))]).await?;
    assert!(matches!(outcome(&fresh.submit(&page, "alice", "alice-password").await?), Outcome::Code(_)));
    Ok(())
}
