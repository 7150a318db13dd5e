//! SE: cookies and how long what they stand for lives.

use anyhow::{Context as _, Result};
use portcullis_core::plan::Write;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::Options;
use serde_json::json;

use crate::stage::{Browser, Outcome, PROFILES, REALM, Stage, action, edited, outcome, realm, text};

/// Cookies that scripts may read: digests only.
const READABLE: [&str; 2] = ["KC_AUTH_SESSION_HASH", "KEYCLOAK_SESSION"];

fn assert_cookies_are_guarded(answer: &Answer, what: &str) -> usize {
    let mut seen = 0;
    for line in answer.all("set-cookie") {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|p| p.split_once('=')).unwrap_or_default();
        let attributes: Vec<&str> = parts.collect();
        let has = |wanted: &str| attributes.iter().any(|a| a.eq_ignore_ascii_case(wanted));
        assert!(has(&format!("Path=/realms/{REALM}/")), "{what}: {line}");
        assert!(!attributes.iter().any(|a| a.to_ascii_lowercase().starts_with("domain")), "{what}: {line}");
        if value.is_empty() {
            assert!(has("Max-Age=0"), "{what}: {line}");
            continue;
        }
        seen += 1;
        assert!(has("Secure") && has("SameSite=None"), "{what}: {line}");
        assert_eq!(has("HttpOnly"), !READABLE.contains(&name), "{what}: {line}");
        assert!(line.len() < 4096, "{what}: browsers drop it: {name}");
    }
    seen
}

#[tokio::test]
async fn se_09_every_cookie_of_a_whole_walk_is_guarded() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        let mut seen = 0;
        let page = browser.ask(&[]).await?;
        let wrong = browser.submit(&page, "alice", "wrong").await?;
        let fields = [("username", "alice"), ("password", "alice-password"), ("rememberMe", "on")];
        let inside = browser.rp.send(Exchange::form(&action(&wrong)?, &fields)).await?;
        let tokens = browser.tokens(&inside).await?;
        let again = browser.ask(&[("prompt", Some("login"))]).await?;
        let silent = browser.ask(&[]).await?;
        let post = browser.ask(&[("response_mode", Some("form_post"))]).await?;
        let hint = format!("{}?id_token_hint={}", browser.rp.endpoint("logout"), text(&tokens, "id_token"));
        let ask = browser.rp.send(Exchange::get(&browser.rp.endpoint("logout"))).await?;
        let out = browser.rp.send(Exchange::get(&hint)).await?;
        let owed = stage.browser()?.login("ulla", "ulla-password").await?;
        let none = stage.browser()?.ask(&[("prompt", Some("none"))]).await?;
        for (what, answer) in [
            ("page", &page),
            ("wrong", &wrong),
            ("inside", &inside),
            ("again", &again),
            ("silent", &silent),
            ("post", &post),
            ("ask", &ask),
            ("out", &out),
            ("owed", &owed),
            ("none", &none),
        ] {
            seen += assert_cookies_are_guarded(answer, what);
        }
        assert!(seen >= 10, "the walk saw {seen} cookies");
    }
    Ok(())
}

/// What a cookie line leads to, and whether the session's cookie is cleared.
async fn with_cookies(stage: &Stage, lines: &[String]) -> Result<(Outcome, bool)> {
    let mut ask = Exchange::get(&stage.browser()?.target(&[]));
    for line in lines {
        ask = ask.header("Cookie", line);
    }
    let answer = stage.server.client()?.send(&ask).await?;
    let cleared = answer.all("set-cookie").any(|c| c.starts_with("KEYCLOAK_IDENTITY=;") && c.contains("Max-Age=0"));
    Ok((outcome(&answer), cleared))
}

#[tokio::test]
async fn se_10_se_11_two_of_one_name_and_odd_spellings_are_no_session() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        browser.enter("alice").await?;
        let good = browser.cookie("KEYCLOAK_IDENTITY");
        let mut other = stage.browser()?;
        other.enter("mallory").await?;
        let theirs = other.cookie("KEYCLOAK_IDENTITY");
        let own = format!("KEYCLOAK_IDENTITY={good}");
        let tossed = format!("KEYCLOAK_IDENTITY={theirs}");
        for lines in [
            vec![format!("{own}; {tossed}")],
            vec![format!("{tossed}; {own}")],
            vec![format!("{own}; {own}")],
            vec![format!("{own}; KEYCLOAK_IDENTITY=")],
            vec![own.clone(), tossed.clone()],
        ] {
            assert_eq!(with_cookies(&stage, &lines).await?, (Outcome::LoginPage, true), "SE-10");
        }
        for line in [
            format!("={own}"),
            format!("$Version=1; KEYCLOAK_IDENTITY=\"{good}\"; $Path=/"),
            format!("KEYCLOAK_IDENTITY=\"{good}\""),
            format!("keycloak_identity={good}"),
            format!("\u{a0}KEYCLOAK_IDENTITY={good}"),
            format!("KEYCLOAK_IDENTITY ={good}"),
            format!("KEYCLOAK_IDENTITY=={good}"),
            format!("a={own}"),
            format!("a=\"; b={own}"),
            format!("KEYCLOAK_IDENTITY,{own}"),
            format!("KEYCLOAK_SESSION={good}; AUTH_SESSION_ID={good}"),
        ] {
            assert_eq!(with_cookies(&stage, std::slice::from_ref(&line)).await?.0, Outcome::LoginPage, "SE-11 {line}");
        }
        for lines in [vec![own.clone()], vec![format!("a=1; {own}; b=2")], vec!["a=1".to_owned(), own]] {
            assert!(matches!(with_cookies(&stage, &lines).await?.0, Outcome::Code(_)), "{lines:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn se_12_many_tabs_do_not_pile_up_cookies() -> Result<()> {
    let stage = Stage::of(true).await?;
    let mut browser = stage.browser()?;
    let first = browser.ask(&[]).await?;
    let after_one = browser.rp.jar.header(&action(&first)?).unwrap_or_default();
    let mut last = first.clone();
    for _ in 0..40 {
        last = browser.ask(&[]).await?;
    }
    let after_all = browser.rp.jar.header(&action(&last)?).unwrap_or_default();
    assert_eq!(after_all.split("; ").count(), after_one.split("; ").count());
    assert!(after_all.len() < 4096 && after_all.len() <= after_one.len() + 64);
    // The oldest tab had to go: its form is taken no more. The page says so and begins again.
    let before = stage.hash_calls();
    let answer = browser.copy()?.submit(&first, "alice", "alice-password").await?;
    assert!(matches!(outcome(&answer), Outcome::Onward(_)), "{:?}", outcome(&answer));
    assert_eq!(stage.hash_calls(), before);
    let answer = browser.submit(&last, "alice", "alice-password").await?;
    assert!(matches!(outcome(&answer), Outcome::Code(_)));
    Ok(())
}

#[tokio::test]
async fn se_13_an_altered_or_foreign_session_cookie_is_cleared() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut elsewhere = realm(&json!({}));
        elsewhere["realm"] = "elsewhere".into();
        stage.server.import(&elsewhere).await?;
        let mut browser = stage.browser()?;
        let tokens = browser.enter("alice").await?;
        let good = browser.cookie("KEYCLOAK_IDENTITY");
        let foreign = cookie_of_realm(&stage, "elsewhere").await?;
        let dots: Vec<usize> = good.match_indices('.').map(|(at, _)| at).collect();
        let mut bad: Vec<String> =
            [0, 10, dots[0] + 1, dots[0] + 40, dots[1] - 1, dots[1] + 1, dots[1] + 40, good.len() - 1]
                .into_iter()
                .map(|at| flipped(&good, at))
                .collect();
        bad.extend([
            good[..good.len() - 1].to_owned(),
            good[..dots[1]].to_owned(),
            good[..=dots[1]].to_owned(),
            format!("{good}A"),
            format!("{good}.AAAA"),
            "x".to_owned(),
            String::new(),
            foreign,
            text(&tokens, "id_token").to_owned(),
            text(&tokens, "access_token").to_owned(),
            text(&tokens, "refresh_token").to_owned(),
        ]);
        for cookie in bad {
            let line = format!("KEYCLOAK_IDENTITY={cookie}");
            assert_eq!(with_cookies(&stage, &[line]).await?, (Outcome::LoginPage, true), "{cookie}");
        }
        let line = format!("KEYCLOAK_IDENTITY={good}");
        assert!(matches!(with_cookies(&stage, &[line]).await?, (Outcome::Code(_), false)));
    }
    Ok(())
}

/// The session cookie of alice in another realm of the server.
async fn cookie_of_realm(stage: &Stage, name: &str) -> Result<String> {
    let path = format!("/realms/{name}/");
    let browser = stage.browser()?;
    let ask = browser.target(&[]).replace(&format!("/realms/{REALM}/"), &path);
    let mut jar = portcullis_testkit::golden::Jar::default();
    let page = stage.server.client()?.send(&Exchange::get(&ask)).await?;
    jar.update(&page);
    let target = action(&page)?;
    let form = Exchange::form(&target, &[("username", "alice"), ("password", "alice-password")]);
    let form = form.header("Cookie", &jar.header(&target).unwrap_or_default());
    jar.update(&stage.server.client()?.send(&form).await?);
    Ok(jar.get("KEYCLOAK_IDENTITY").context("no login in the other realm")?.to_owned())
}

fn flipped(text: &str, at: usize) -> String {
    text.chars().enumerate().map(|(i, c)| if i == at { if c == 'A' { 'B' } else { 'A' } } else { c }).collect()
}

async fn refreshes(browser: &mut Browser, tokens: &serde_json::Value) -> Result<bool> {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", text(tokens, "refresh_token"))];
    Ok(browser.rp.token(&fields).await?.status == 200)
}

#[tokio::test]
async fn se_15_a_session_ends_idle_and_at_its_longest_life() -> Result<()> {
    let limits = json!({ "ssoSessionIdleTimeout": 600, "ssoSessionMaxLifespan": 2000 });
    for strict in PROFILES {
        for (idle, alive) in [(599, true), (600, false)] {
            let stage = Stage::with(strict, Options::default(), &limits).await?;
            let mut browser = stage.browser()?;
            let tokens = browser.enter("alice").await?;
            stage.server.clock.shift_secs(idle);
            assert_eq!(browser.is_signed_in().await?, alive, "strict {strict} idle {idle}");
            if !alive {
                assert!(!refreshes(&mut browser, &tokens).await?, "no refresh past the end");
                assert_eq!(outcome(&browser.ask(&[]).await?), Outcome::LoginPage);
            }
        }
        // Used all the time, it ends at its longest life.
        let stage = Stage::with(strict, Options::default(), &limits).await?;
        let mut browser = stage.browser()?;
        browser.enter("alice").await?;
        for at in [500, 1000, 1500, 1999] {
            stage.server.clock.shift_secs(if at == 1999 { 499 } else { 500 });
            assert!(browser.is_signed_in().await?, "strict {strict} at {at}");
        }
        stage.server.clock.shift_secs(1);
        assert!(!browser.is_signed_in().await?, "strict {strict}");
        browser.enter("alice").await?;
        assert!(browser.is_signed_in().await?);
    }
    Ok(())
}

#[tokio::test]
async fn se_16_a_new_password_ends_the_other_sessions_where_asked() -> Result<()> {
    for strict in PROFILES {
        for end_others in [true, false] {
            let what = format!("strict {strict} end others {end_others}");
            let stage = Stage::of(strict).await?;
            let mut old = stage.browser()?;
            let old_tokens = old.enter("alice").await?;
            stage.change_user("alice", |u| u.settings.required_actions.push("UPDATE_PASSWORD".into())).await?;
            let mut new = stage.browser()?;
            let answer = new.login("alice", "alice-password").await?;
            let Outcome::Onward(owed) = outcome(&answer) else { anyhow::bail!("{what}: no action") };
            let page = new.rp.open(&owed).await?;
            let mut fields = vec![("password-new", "alice-password-2"), ("password-confirm", "alice-password-2")];
            if end_others {
                fields.push(("logout-sessions", "on"));
            }
            let answer = new.rp.send(Exchange::form(&action(&page)?, &fields)).await?;
            new.tokens(&answer).await?;
            assert!(new.is_signed_in().await?, "{what}");
            assert_eq!(old.is_signed_in().await?, !end_others, "{what}");
            assert_eq!(refreshes(&mut old, &old_tokens).await?, !end_others, "{what}");
            let with_old = stage.browser()?.login("alice", "alice-password").await?;
            assert_eq!(outcome(&with_old), Outcome::LoginPage, "{what}: the old password is dead");
            let with_new = stage.browser()?.login("alice", "alice-password-2").await?;
            assert!(matches!(outcome(&with_new), Outcome::Code(_)), "{what}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn se_16_a_switched_off_or_removed_account_is_out_at_once() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        let tokens = browser.enter("alice").await?;
        stage.change_user("alice", |u| u.enabled = false).await?;
        assert!(!browser.is_signed_in().await?);
        assert!(!refreshes(&mut browser, &tokens).await?);
        stage.change_user("alice", |u| u.enabled = true).await?;
        let mut other = stage.browser()?;
        other.enter("bob").await?;
        let id = stage.user("bob").await?.id;
        stage.apply(Write::DeleteUser(stage.realm.clone(), id)).await?;
        assert_eq!(
            outcome(&other.copy()?.ask(&[("prompt", Some("none"))]).await?),
            Outcome::Error("login_required".into())
        );
    }
    Ok(())
}

#[tokio::test]
async fn se_16_an_account_switched_off_between_two_steps_gets_no_code() -> Result<()> {
    let stage = Stage::of(true).await?;
    let mut browser = stage.browser()?;
    let answer = browser.login("ulla", "ulla-password").await?;
    let Outcome::Onward(owed) = outcome(&answer) else { anyhow::bail!("ulla owes an action") };
    let page = browser.rp.open(&owed).await?;
    stage.change_user("ulla", |u| u.enabled = false).await?;
    let fields = [("password-new", "ulla-password-2"), ("password-confirm", "ulla-password-2")];
    let answer = browser.rp.send(Exchange::form(&action(&page)?, &fields)).await?;
    assert!(!matches!(outcome(&answer), Outcome::Code(_)));
    assert_eq!(stage.sessions("ulla").await?, 0);
    let next = browser.rp.send(Exchange::get(&edited(&action(&page)?, &[("session_code", None)]))).await?;
    assert!(!matches!(outcome(&next), Outcome::Code(_) | Outcome::UpdatePassword));
    Ok(())
}

#[tokio::test]
async fn se_21_long_values_are_bounded_and_never_break_a_cookie() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let huge = "h".repeat(60_000);
        for name in ["login_hint", "state", "nonce", "ui_locales", "acr_values", "prompt", "claims"] {
            let answer = stage.browser()?.ask_by_post(&[(name, Some(&huge))]).await?;
            assert_eq!(outcome(&answer), Outcome::Error("invalid_request".into()), "{name}");
            assert!(answer.header("location").is_some_and(|l| l.len() < 1000), "{name} is not sent back");
        }
        let long = "l".repeat(3900);
        let mut browser = stage.browser()?;
        let three = [("state", Some(long.as_str())), ("nonce", Some(&long)), ("login_hint", Some(&long))];
        let page = browser.ask_by_post(&three).await?;
        assert_eq!(outcome(&page), Outcome::LoginPage);
        assert_cookies_are_guarded(&page, "long");
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        assert!(answer.header("location").is_some_and(|l| l.contains(&format!("state={long}"))), "P-05");
        browser.tokens(&answer).await?;
    }
    Ok(())
}
