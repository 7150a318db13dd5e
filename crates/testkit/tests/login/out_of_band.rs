//! The page that shows a code to copy: what it shows, and for whom.

use anyhow::{Context as _, Result};
use portcullis_core::oauth::out_of_band::URN;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::parameter;
use portcullis_testkit::server::{Options, TestServer};
use serde_json::{Value, json};

use crate::stage::{Browser, PROFILES, REALM, Stage, realm, relative};

fn clients() -> Value {
    json!({ "clients": [{
        "clientId": "app", "name": "app", "enabled": true, "publicClient": true, "standardFlowEnabled": true,
        "implicitFlowEnabled": true, "redirectUris": [URN], "webOrigins": [],
    }]})
}

fn page(query: &str) -> String {
    format!("/realms/{REALM}/protocol/openid-connect/oauth/oob{query}")
}

async fn exchange(browser: &mut Browser, code: &str, redirect_uri: &str) -> Result<Answer> {
    let verifier = browser.pkce.verifier.clone();
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", &verifier),
    ];
    browser.rp.send(Exchange::form(&browser.rp.endpoint("token"), &fields)).await
}

#[tokio::test]
async fn a_program_without_an_address_gets_its_code_by_hand() -> Result<()> {
    let stage = Stage::with(false, Options::default(), &clients()).await?;
    let own = format!("{}{}?", stage.server.base, page(""));
    for redirect_uri in [own.trim_end_matches('?'), URN] {
        let mut browser = stage.browser()?;
        let opened = browser.ask(&[("redirect_uri", Some(redirect_uri))]).await?;
        if redirect_uri != URN {
            assert_eq!(
                (opened.status, opened.header("location")),
                (400, None),
                "the page itself is no registered address"
            );
            continue;
        }
        let answer = browser.submit(&opened, "alice", "alice-password").await?;
        let to = answer.header("location").context("a redirect")?.to_owned();
        assert!(to.starts_with(&own), "{to}");
        let code = parameter(&to, "code").context("a code")?;
        let shown = browser.rp.send(Exchange::get(&relative(&to)?)).await?;
        assert_eq!(shown.status, 200);
        let read = Page::read(&shown.text());
        assert!(
            read.messages.contains(&("kc-page-title".to_owned(), "Success code".to_owned())),
            "{:?}",
            read.messages
        );
        assert!(shown.text().contains(&format!("value=\"{code}\"")), "{}", shown.text());
        let policies: Vec<&str> = shown.all("content-security-policy").collect();
        assert!(policies.iter().any(|p| p.contains("script-src 'sha256-") && !p.contains("unsafe")), "{policies:?}");
        assert_eq!(exchange(&mut browser, &code, URN).await?.status, 200);
        let refused = browser.copy()?.ask(&[("redirect_uri", Some(URN)), ("scope", Some("openid nonsense"))]).await?;
        let to = refused.header("location").context("a redirect")?.to_owned();
        assert_eq!((to.starts_with(&own), parameter(&to, "error").as_deref()), (true, Some("invalid_scope")));
        let told = browser.rp.send(Exchange::get(&relative(&to)?)).await?;
        assert!(
            told.text().contains("Error code: invalid_scope") && !told.text().contains("nonsense"),
            "{}",
            told.text()
        );
    }
    Ok(())
}

#[tokio::test]
async fn se_19_a_link_makes_the_page_say_nothing_of_its_own() -> Result<()> {
    let stage = Stage::with(false, Options::default(), &clients()).await?;
    let mut client = stage.server.client()?;
    for query in [
        String::new(),
        "?code=".to_owned(),
        "?code=Call+MARK+0800".to_owned(),
        "?code=%3Cscript%3EMARK%3C/script%3E".to_owned(),
        "?code=%22%3E%3Cb%3EMARK".to_owned(),
        format!("?code=MARK{}", "x".repeat(300)),
        "?code=a&code=MARK".to_owned(),
        "?code=MARK&error=access_denied".to_owned(),
        "?error=MARK".to_owned(),
        "?error=%24%7BinvalidUserMessage%7DMARK".to_owned(),
        "?error_description=MARK".to_owned(),
    ] {
        let answer = client.send(&Exchange::get(&page(&query))).await?;
        assert_eq!(answer.status, 400, "{query}");
        assert!(!answer.text().contains("MARK"), "{query}: {}", answer.text());
    }
    let told = client.send(&Exchange::get(&page("?error=access_denied&error_description=MARK&state=MARK"))).await?;
    assert_eq!((told.status, told.text().contains("MARK")), (200, false));
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(client.send(&Exchange::new(method, &page("?code=abc"))).await?.status, 405, "{method}");
    }
    // The twin.
    let shown = client.send(&Exchange::get(&page("?code=MARK"))).await?;
    assert_eq!((shown.status, shown.text().contains("value=\"MARK\"")), (200, true));
    Ok(())
}

#[tokio::test]
async fn ru_18_a_strict_realm_has_no_address_for_programs_without_one() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let answer = stage.server.client()?.send(&Exchange::get(&page("?code=abc"))).await?;
        assert_eq!(answer.status, if strict { 404 } else { 200 });
        // Nobody registered it.
        let opened = stage.browser()?.ask(&[("redirect_uri", Some(URN))]).await?;
        assert_eq!((opened.status, opened.header("location")), (400, None));
    }
    let server = TestServer::start().await?;
    assert!(server.import_strict(&realm(&clients())).await.is_err(), "nor can anybody");
    Ok(())
}
