//! PC: PKCE cannot be switched off, and codes do not leak on their way.

use anyhow::{Context as _, Result};
use portcullis_core::flow::IssuedCode;
use portcullis_jose::digest;
use portcullis_store::Kind;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::rp::{Pkce, RelyingParty, parameter};

use crate::codes::{issued, plant, session_of};
use crate::forge;
use crate::ground::{BACK, House, code, code_of, login, open, party, refused, tokens};

/// An authorization request whose challenge parameters are these, raw.
fn challenge_target(app: &RelyingParty, client: &str, pkce: &str) -> String {
    let back = "http%3A%2F%2F127.0.0.1%3A9876%2Fcallback";
    let path = app.endpoint("auth");
    format!("{path}?response_type=code&scope=openid&state=st&client_id={client}&redirect_uri={back}{pkce}")
}

#[tokio::test]
async fn pc_08_pc_09_pc_10_pc_11_pkce_is_not_switched_off() -> Result<()> {
    let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let (s256, plain) = ("&code_challenge_method=S256", "&code_challenge_method=plain");
    let value = |text: &str| format!("&code_challenge={text}");
    let everywhere = [
        format!("{}&code_challenge_method=S512", value(good)),
        format!("{}&code_challenge_method=s256", value(good)),
        s256.to_owned(),
        format!("{s256}&code_challenge="),
        "&code_challenge=".to_owned(),
        "&code_challenge_method=".to_owned(),
        format!("{s256}{}", value(&good[1..])),
        format!("{s256}{}", value("short")),
        format!("{s256}{}", value(&"x".repeat(129))),
        format!("{s256}{}", value(&format!("{good}%3D"))),
        format!("{s256}{}", value(&format!("{}%20", &good[1..]))),
        format!("{s256}{}{}", value(good), value(good)),
        format!("{s256}{s256}{}", value(good)),
    ];
    let bound = [
        String::new(),
        format!("{plain}{}", value(good)),
        value(good),
        format!("{s256}{}", value(&format!("{good}A"))),
    ];
    for (house, client, rows) in [
        (House::Strict, "app", everywhere.iter().chain(&bound)),
        (House::Strict, "web", everywhere.iter().chain(&bound)),
        (House::Keycloak, "bound", everywhere.iter().chain(&bound[..3])),
        (House::Keycloak, "app", everywhere.iter().chain(&[])),
    ] {
        let server = open(house).await?;
        let mut app = party(&server, client)?;
        for row in rows {
            let name = format!("{house:?} {client} {row}");
            let answer = app.open(&challenge_target(&app, client, row)).await?;
            let location = answer.header("location").unwrap_or_default();
            assert_eq!(answer.status, 302, "{name}: {}", answer.text());
            assert!(location.starts_with(&format!("{BACK}?")), "{name}: {location}");
            assert_eq!(parameter(location, "error").as_deref(), Some("invalid_request"), "{name}: {location}");
            assert_eq!(parameter(location, "state").as_deref(), Some("st"), "{name}");
            assert!(parameter(location, "iss").is_some() && parameter(location, "code").is_none(), "{name}");
        }
        let honest = app.open(&challenge_target(&app, client, &format!("{s256}{}", value(good)))).await?;
        assert_eq!(honest.status, 200, "{house:?} {client}");
    }
    Ok(())
}

#[tokio::test]
async fn pc_09_a_verifier_without_a_challenge_is_refused() -> Result<()> {
    let server = open(House::Keycloak).await?;
    let mut app = party(&server, "app")?;
    login(&mut app).await?;
    let stripped = challenge_target(&app, "app", "");
    for (verifier, good) in [(Some("v".repeat(43)), false), (None, true)] {
        let answer = app.open(&stripped).await?;
        let code = parameter(answer.header("location").unwrap_or_default(), "code").context("code")?;
        let mut fields = vec![("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", BACK)];
        fields.extend(verifier.as_deref().map(|v| ("code_verifier", v)));
        let answer = app.token(&fields).await?;
        if good {
            tokens(&answer)?;
        } else {
            refused(&answer, 400, "invalid_grant", "a verifier without a challenge");
        }
    }
    // Strict: even a code that was planted without a challenge needs one.
    let server = open(House::Strict).await?;
    let mut web = party(&server, "web")?;
    let session = session_of(&login(&mut web).await?.access)?;
    let value = issued(&server, "web", &session, &Pkce::new()?).await?;
    for verifier in [Some("v".repeat(43)), None] {
        plant(&server, Kind::Code, "bare", &IssuedCode { challenge: None, ..value.clone() }).await?;
        let mut fields = vec![("grant_type", "authorization_code"), ("code", "bare"), ("redirect_uri", BACK)];
        fields.extend(verifier.as_deref().map(|v| ("code_verifier", v)));
        refused(&web.token(&fields).await?, 400, "invalid_grant", "strict");
    }
    Ok(())
}

#[tokio::test]
async fn pc_12_a_victims_code_does_not_fit_the_attackers_flow() -> Result<()> {
    let server = open(House::Strict).await?;
    let (mut victim, mut attacker) = (party(&server, "app")?, party(&server, "app")?);
    let (stolen, own) = code(&mut victim).await?;
    let (theirs, pkce) = code_of(&mut attacker, "bob").await?;
    refused(&attacker.exchange(&stolen, &pkce).await?, 400, "invalid_grant", "injected");
    refused(&victim.exchange(&stolen, &own).await?, 400, "invalid_grant", "spent by the attack");
    let bob = tokens(&attacker.exchange(&theirs, &pkce).await?)?;
    assert_eq!(forge::claims(&bob.access)?["preferred_username"], "bob");
    Ok(())
}

#[tokio::test]
async fn pc_21_pages_and_redirects_around_codes_leak_no_address() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let pkce = Pkce::new()?;
    let target = app.authorize_target(&pkce, &[("scope", "openid")]);
    let page = app.open(&target).await?;
    let html = page.text();
    for attribute in ["src=\"http", "href=\"http", "src='http", "src=\"//", "href=\"//", "url(http", "@import"] {
        let outside = html.match_indices(attribute).any(|(at, _)| {
            let rest = html.get(at..).unwrap_or_default();
            !rest.split(['"', '\'']).nth(1).unwrap_or_default().starts_with(&server.base)
        });
        assert!(!outside, "{attribute} in the login page");
    }
    assert!(!Page::read(&html).forms.is_empty());
    let back = app.post_credentials(&page, "alice", "alice-password").await?;
    let error = app.open(&challenge_target(&app, "app", "")).await?;
    let shown = app.send(Exchange::get(&app.endpoint("auth"))).await?;
    assert_eq!((page.status, back.status, error.status, shown.status), (200, 302, 302, 400));
    for (name, answer) in [("page", page), ("redirect", back), ("error redirect", error), ("error page", shown)] {
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{name}");
        if name == "error page" {
            // It carries nothing of a login.
            continue;
        }
        let cache = answer.header("cache-control").unwrap_or_default();
        assert!(cache.contains("no-store"), "{name}: {cache}");
    }
    Ok(())
}

fn s256(verifier: &str) -> String {
    digest::base64url_encode(&digest::sha256(verifier.as_bytes()))
}

#[tokio::test]
async fn p_03_rfc_7636_4_1_the_shortest_and_the_longest_verifier_of_all_characters_serve() -> Result<()> {
    let every = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    let longest: String = every.chars().cycle().take(128).collect();
    let shortest: String = every.chars().rev().take(43).collect();
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        for verifier in [shortest.clone(), longest.clone()] {
            for (sent, good) in [(format!("{verifier}~"), false), (verifier.clone(), true)] {
                let pkce = Pkce { challenge: s256(&verifier), verifier: sent };
                let code = app.code(&pkce, &[("scope", "openid")], "alice", "alice-password").await?;
                let answer = app.exchange(&code, &pkce).await?;
                if good {
                    tokens(&answer)?;
                } else {
                    refused(&answer, 400, "invalid_grant", &format!("{house:?} {}", pkce.verifier));
                }
            }
        }
    }
    Ok(())
}
