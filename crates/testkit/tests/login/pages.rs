//! SE: what pages carry, what they repeat, and under which address they are served.

use anyhow::Result;
use axum::Extension;
use portcullis_idp::{IdpConfig, Peer};
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::Options;
use serde_json::json;

use crate::stage::{
    Browser, Door, Outcome, PROFILES, REALM, Stage, action, assert_nothing_made, edited, outcome, text,
};

/// Every kind of page of the login, and whether it may not be kept.
async fn all_pages(stage: &Stage) -> Result<Vec<(&'static str, Answer, bool)>> {
    let mut browser = stage.browser()?;
    let page = browser.ask(&[]).await?;
    let wrong = browser.submit(&page, "alice", "wrong").await?;
    let foreign = Exchange::form(&action(&wrong)?, &[]).header("Origin", "https://evil.test");
    let foreign = browser.rp.send(foreign).await?;
    let no_cookies = stage.browser()?.rp.send(Exchange::get(&action(&page)?)).await?;
    let unknown = stage.browser()?.ask(&[("client_id", Some("nobody"))]).await?;
    let mut ulla = stage.browser()?;
    let answer = ulla.login("ulla", "ulla-password").await?;
    let Outcome::Onward(owed) = outcome(&answer) else { anyhow::bail!("ulla owes an action") };
    let update = ulla.rp.open(&owed).await?;
    let empty = ulla.rp.send(Exchange::form(&action(&update)?, &[])).await?;
    let code = stage.browser()?.login("otto", "otto-password").await?;
    let mut asked = stage.browser()?.at_client("asker")?;
    let answer = asked.login("alice", "alice-password").await?;
    let Outcome::Onward(consent) = outcome(&answer) else { anyhow::bail!("no consent is asked") };
    let consent = asked.rp.open(&consent).await?;
    let mut inside = stage.browser()?;
    inside.enter("alice").await?;
    let again = inside.ask(&[("prompt", Some("login"))]).await?;
    let fresh = page_of_fresh_tab(stage, &mut inside).await?;
    let other = inside.copy()?.submit(&fresh, "bob", "bob-password").await?;
    let form_post = inside.ask(&[("response_mode", Some("form_post"))]).await?;
    let confirm = inside.rp.send(Exchange::get(&inside.rp.endpoint("logout"))).await?;
    let bad_hint = format!("{}?id_token_hint=x", inside.rp.endpoint("logout"));
    let bad_logout = inside.rp.send(Exchange::get(&bad_hint)).await?;
    Ok(vec![
        ("login", page, true),
        ("wrong password", wrong, true),
        ("foreign form", foreign, true),
        ("no cookies", no_cookies, true),
        ("unknown client", unknown, false),
        ("new password", update, true),
        ("new password again", empty, true),
        ("one-time code", code, true),
        ("consent", consent, true),
        ("reauthentication", again, true),
        ("another user", other, true),
        ("form post", form_post, true),
        ("logout", confirm, false),
        ("bad logout", bad_logout, false),
    ])
}

/// A page opened before the browser's session began.
async fn page_of_fresh_tab(stage: &Stage, inside: &mut Browser) -> Result<Answer> {
    let mut fresh = stage.browser()?;
    let page = fresh.ask(&[]).await?;
    for name in ["AUTH_SESSION_ID", "KC_AUTH_SESSION_HASH"] {
        let value = fresh.cookie(name);
        inside.plant(name, &value);
    }
    Ok(page)
}

#[tokio::test]
async fn se_17_se_24_se_33_pages_are_neither_framed_nor_kept() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        for (what, answer, kept_by_nobody) in all_pages(&stage).await? {
            assert!(answer.header("content-type").is_some_and(|t| t.starts_with("text/html")), "{what}: {answer:?}");
            let policies: Vec<&str> = answer.all("content-security-policy").collect();
            let framing: Vec<&str> = answer.all("x-frame-options").collect();
            if strict {
                assert!(policies.iter().any(|p| p.contains("frame-ancestors 'none'")), "{what}: {policies:?}");
                assert_eq!(framing, ["DENY"], "{what}");
                assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"), "{what}");
            } else {
                // Keycloak's own realms are framed by their own origin only.
                assert!(policies.iter().any(|p| p.contains("frame-ancestors 'self'")), "{what}: {policies:?}");
                assert_eq!(framing, ["SAMEORIGIN"], "{what}");
            }
            assert!(policies.iter().any(|p| p.contains("default-src 'none'")), "{what}: {policies:?}");
            assert!(!policies.iter().any(|p| p.contains("unsafe")), "{what}: {policies:?}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{what}");
            assert!(answer.header("strict-transport-security").is_some(), "{what}");
            let cache: Vec<&str> = answer.all("cache-control").collect();
            if kept_by_nobody {
                assert!(cache.len() == 1 && cache.iter().all(|c| c.contains("no-store")), "{what}: {cache:?}");
            }
        }
        let mut browser = stage.browser()?;
        let code = browser.login("alice", "alice-password").await?;
        assert!(code.header("cache-control").is_some_and(|c| c.contains("no-store")), "the way to the client");
        let Outcome::Code(code) = outcome(&code) else { anyhow::bail!("no code") };
        let tokens = browser.rp.exchange(&code, &browser.pkce.clone()).await?;
        assert_eq!(tokens.header("cache-control"), Some("no-store"));
    }
    Ok(())
}

#[tokio::test]
async fn se_19_what_comes_in_is_encoded_where_it_comes_out() -> Result<()> {
    let hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";
    for strict in PROFILES {
        let names = json!({ "displayName": hostile, "displayNameHtml": hostile });
        let stage = Stage::with(strict, Options::default(), &names).await?;
        let mut answers = Vec::new();
        for name in ["login_hint", "state", "nonce", "ui_locales", "acr_values", "client_id", "redirect_uri", "scope"] {
            answers.push((name, stage.browser()?.ask(&[(name, Some(hostile))]).await?));
        }
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        answers.push(("username", browser.submit(&page, hostile, "wrong").await?));
        for name in ["session_code", "execution", "tab_id", "client_id", "client_data"] {
            let target = edited(&action(&page)?, &[(name, Some(hostile))]);
            answers.push((name, browser.copy()?.rp.send(Exchange::get(&target)).await?));
        }
        for (what, answer) in answers {
            let body = answer.text();
            assert!(!body.contains("<script>alert") && !body.contains("<img src=x"), "{what}: {body}");
            assert!(!answer.headers.iter().any(|(_, v)| v.contains("<script>")), "{what}: {:?}", answer.headers);
        }
        let shown = stage.browser()?.ask(&[("login_hint", Some(hostile))]).await?;
        assert_eq!(Page::read(&shown.text()).input("username"), Some(hostile), "the honest hint is whole");
    }
    Ok(())
}

#[tokio::test]
async fn se_28_pages_follow_the_configured_address_not_the_hosts_word() -> Result<()> {
    for strict in PROFILES {
        let config = IdpConfig { public_url: Some("https://login.shop.test".to_owned()), ..IdpConfig::default() };
        let stage = Stage::with(strict, Options { config, ..Options::default() }, &json!({})).await?;
        for host in ["evil.test", "login.shop.test", "evil.test:443", "login.shop.test@evil.test"] {
            let mut browser = stage.browser()?;
            let target = browser.target(&[]);
            let request = Exchange::get(&target)
                .header("Host", host)
                .header("X-Forwarded-Host", "evil.test")
                .header("X-Forwarded-Proto", "http")
                .header("Forwarded", "host=evil.test");
            let page = browser.rp.send(request).await?;
            let read = Page::read(&page.text());
            let action = read.form("*").and_then(|f| f.action.clone()).unwrap_or_default();
            assert!(action.starts_with("https://login.shop.test/realms/shop/"), "{host}: {action}");
            assert!(!page.text().contains("evil"), "{host}");
            assert!(page.all("set-cookie").all(|c| c.contains(";Secure") && !c.contains("evil")), "{host}");
            let answer = browser.submit(&page, "alice", "alice-password").await?;
            let location = answer.header("location").unwrap_or_default();
            assert_eq!(crate::stage::part(location, "iss"), "https://login.shop.test/realms/shop", "{host}");
        }
        let discovery = Exchange::get(&format!("/realms/{REALM}/.well-known/openid-configuration"));
        let document = stage.server.client()?.send(&discovery.header("Host", "evil.test")).await?;
        assert!(!document.text().contains("evil"));
        assert_eq!(text(&document.json(), "issuer"), "https://login.shop.test/realms/shop");
    }
    Ok(())
}

#[tokio::test]
async fn se_32_plain_http_from_outside_begins_and_ends_no_login() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let peer = |ip: &str, https| Extension(Peer { ip: ip.to_owned(), https });
        let outside = Door::open(stage.server.idp.router().layer(peer("203.0.113.9", false))).await?;
        let secure = Door::open(stage.server.idp.router().layer(peer("203.0.113.9", true))).await?;
        let answer = Browser::at(&outside.base, "app")?.ask(&[]).await?;
        assert_eq!(outcome(&answer), Outcome::ErrorPage(403), "strict {strict}");
        assert_nothing_made(&answer, "plain http");
        // A page got over https is not answered over http, however good its code is.
        let mut browser = Browser::at(&secure.base, "app")?;
        let page = browser.ask(&[]).await?;
        assert_eq!(outcome(&page), Outcome::LoginPage);
        let before = stage.hash_calls();
        let mut downgraded = Browser::at(&outside.base, "app")?;
        downgraded.rp.jar = browser.rp.jar.clone();
        let answer = downgraded.submit(&page, "alice", "alice-password").await?;
        assert_eq!(outcome(&answer), Outcome::ErrorPage(403));
        assert_nothing_made(&answer, "plain http");
        assert_eq!((stage.hash_calls(), stage.sessions("alice").await?), (before, 0));
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        assert!(matches!(outcome(&answer), Outcome::Code(_)));
        downgraded.rp.jar = browser.rp.jar.clone();
        assert_eq!(outcome(&downgraded.ask(&[]).await?), Outcome::ErrorPage(403), "no session on plain http");
    }
    Ok(())
}

#[tokio::test]
async fn az_21_a_realm_switched_off_meanwhile_finishes_no_login() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        let mut owing = stage.browser()?;
        let answer = owing.login("ulla", "ulla-password").await?;
        let Outcome::Onward(owed) = outcome(&answer) else { anyhow::bail!("ulla owes an action") };
        let before = stage.hash_calls();
        let records = stage.server.db.realm_records(REALM).await?;
        let mut realm = records.ok_or_else(|| anyhow::anyhow!("no realm"))?.realm.clone();
        realm.settings.enabled = false;
        stage.apply(portcullis_core::plan::Write::UpdateRealm(realm)).await?;
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        assert!(matches!(outcome(&answer), Outcome::ErrorPage(_)), "{:?}", outcome(&answer));
        assert_nothing_made(&answer, "realm off");
        let answer = owing.rp.open(&owed).await?;
        assert!(matches!(outcome(&answer), Outcome::ErrorPage(_)), "{:?}", outcome(&answer));
        assert!(matches!(outcome(&stage.browser()?.ask(&[]).await?), Outcome::ErrorPage(_)));
        assert_eq!((stage.hash_calls(), stage.sessions("alice").await?), (before, 0));
    }
    Ok(())
}
