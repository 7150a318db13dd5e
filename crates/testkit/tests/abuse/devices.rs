//! PC: device codes and user codes (RFC 8628 §3, §5).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_idp::watch::Entry;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::RelyingParty;
use portcullis_testkit::server::{Options, TestServer};
use serde_json::Value;

use crate::forge::claims;
use crate::ground::{
    House, REALM, TWIN, Tokens, edit_client, edit_realm, edit_user, fault, furnish, open, open_both, party, realm_id,
    refresh, refused, registration, stored_user, tokens, userinfo,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const NO_CODE: &str = "BBBB-BBBB";

/// What a device was told.
pub(crate) struct Device {
    client: &'static str,
    code: String,
    user_code: String,
    verifier: Option<String>,
}

/// A device of a client asks.
async fn ask(server: &TestServer, client: &'static str) -> Result<Device> {
    let answer = request(server, client, &[("scope", "openid"), ("nonce", "n-1")]).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let text = |name: &str| body[name].as_str().map(str::to_owned).context("a member of the answer");
    Ok(Device { client, code: text("device_code")?, user_code: text("user_code")?, verifier: None })
}

async fn request(server: &TestServer, client: &'static str, more: &[(&str, &str)]) -> Result<Answer> {
    let who = registration(REALM, client);
    let mut fields = vec![("client_id", client)];
    fields.extend(who.client_secret.as_deref().map(|secret| ("client_secret", secret)));
    fields.extend_from_slice(more);
    let path = format!("/realms/{REALM}/protocol/openid-connect/auth/device");
    server.client()?.send(&Exchange::form(&path, &fields)).await
}

/// One poll, after the interval.
pub(crate) async fn poll(server: &TestServer, device: &Device) -> Result<Answer> {
    server.clock.advance(Duration::from_secs(6));
    poll_at_once(server, device, device.client).await
}

async fn poll_at_once(server: &TestServer, device: &Device, client: &str) -> Result<Answer> {
    let mut fields = vec![("grant_type", GRANT), ("device_code", device.code.as_str())];
    fields.extend(device.verifier.as_deref().map(|verifier| ("code_verifier", verifier)));
    party(server, client)?.token(&fields).await
}

/// A browser at the page for codes.
async fn enter(browser: &mut RelyingParty, code: &str) -> Result<Answer> {
    let ask = Exchange::form(&format!("/realms/{REALM}/device"), &[("device_user_code", code)]);
    browser.send(ask.header("Accept", HTML)).await
}

async fn follow(browser: &mut RelyingParty, answer: Answer) -> Result<Answer> {
    let mut answer = answer;
    for _ in 0..4 {
        let Some(next) = answer.header("location").filter(|l| !l.contains("/device/status")).map(str::to_owned) else {
            break;
        };
        answer = browser.open(&next).await?;
    }
    Ok(answer)
}

/// The question, after a login of alice's where one is needed.
async fn question(browser: &mut RelyingParty, code: &str) -> Result<Answer> {
    let entered = enter(browser, code).await?;
    let mut page = follow(browser, entered).await?;
    if page.text().contains("kc-form-login") {
        let posted = browser.post_credentials(&page, "alice", "alice-password").await?;
        page = follow(browser, posted).await?;
    }
    assert!(page.text().contains("Grant Access to"), "{} {}", page.status, page.text());
    Ok(page)
}

/// Address and hidden code of the question.
fn form(page: &Answer) -> Result<(String, String)> {
    let page = Page::read(&page.text());
    let action = page.form("*").and_then(|form| form.action.clone()).context("no form")?;
    Ok((action, page.input("code").context("no code")?.to_owned()))
}

async fn answer_with(browser: &mut RelyingParty, page: &Answer, word: &str) -> Result<Answer> {
    let (action, code) = form(page)?;
    browser.send(Exchange::form(&action, &[("code", &code), (word, "x")]).header("Accept", HTML)).await
}

/// Where an answered question leads.
fn status(answer: &Answer) -> Option<&str> {
    answer.header("location").and_then(|location| location.split_once("/device/status")).map(|(_, query)| query)
}

/// A device that alice approved.
pub(crate) async fn approved(server: &TestServer, client: &'static str) -> Result<(Device, RelyingParty)> {
    let device = ask(server, client).await?;
    let mut browser = party(server, "app")?;
    let page = question(&mut browser, &device.user_code).await?;
    let answer = answer_with(&mut browser, &page, "accept").await?;
    assert_eq!(status(&answer), Some(""), "{} {}", answer.status, answer.text());
    Ok((device, browser))
}

async fn works(server: &TestServer, device: &Device) -> Result<Tokens> {
    let held = tokens(&poll(server, device).await?)?;
    assert_eq!(userinfo(server, &held.access).await?.status, 200);
    Ok(held)
}

#[tokio::test]
async fn pc_18_polling_before_after_and_too_fast() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        for client in ["tv", "box"] {
            let device = ask(&server, client).await?;
            refused(&poll(&server, &device).await?, 400, "authorization_pending", "pending");
            refused(&poll_at_once(&server, &device, client).await?, 400, "slow_down", "too fast");
            server.clock.advance(Duration::from_secs(5));
            let after = poll_at_once(&server, &device, client).await?;
            // A strict realm made the interval longer, Keycloak's stays.
            let expected = if house == House::Strict { "slow_down" } else { "authorization_pending" };
            refused(&after, 400, expected, "after the first interval");
            server.clock.advance(Duration::from_secs(20));
            let mut browser = party(&server, "app")?;
            let page = question(&mut browser, &device.user_code).await?;
            let no = answer_with(&mut browser, &page, "cancel").await?;
            assert_eq!(status(&no), Some("?error=access_denied"));
            refused(&poll(&server, &device).await?, 400, "access_denied", "denied");
            server.clock.advance(Duration::from_secs(20));
            refused(&poll(&server, &device).await?, 400, "access_denied", "denied again");
            let late = ask(&server, client).await?;
            server.clock.advance(Duration::from_secs(601));
            refused(&poll(&server, &late).await?, 400, "expired_token", "expired");
            // The honest twin.
            let (device, _) = approved(&server, client).await?;
            works(&server, &device).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_approval_counts_as_a_login_for_a_device() -> Result<()> {
    let options = Options::default();
    let figures = Arc::clone(&options.watch.figures);
    let server = TestServer::with(options).await?;
    furnish(&server, House::Strict).await?;
    let (device, _) = approved(&server, "tv").await?;
    works(&server, &device).await?;
    let counted = Entry::ALL.map(|entry| figures.blocks().map(|(_, block)| block.entries(entry)).sum::<u64>());
    assert_eq!(counted[Entry::Device as usize], 1, "{counted:?}");
    assert_eq!(counted.iter().sum::<u64>(), 1, "{counted:?}");
    Ok(())
}

#[tokio::test]
async fn pc_19_a_device_code_is_its_clients_and_used_once() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let (device, _) = approved(&server, "tv").await?;
        server.clock.advance(Duration::from_secs(6));
        refused(&poll_at_once(&server, &device, "box").await?, 400, "invalid_grant", "another client");
        refused(&poll_at_once(&server, &device, "app").await?, 400, "invalid_grant", "a client without the grant");
        let held = works(&server, &device).await?;
        let twice = poll(&server, &device).await?;
        refused(&twice, 400, "invalid_grant", "twice");
        assert_eq!(twice.json()["error_description"], "Device code not valid");
        // The first use holds: the code never passed a browser, so a second use says nothing about theft.
        assert_eq!(userinfo(&server, &held.access).await?.status, 200);
        let mut tv = party(&server, "tv")?;
        let again = tokens(&refresh(&mut tv, &held.refresh).await?)?;
        assert_eq!(claims(&again.access)?["azp"], "tv");
    }
    Ok(())
}

#[tokio::test]
async fn pc_19_polls_at_the_same_time_get_one_answer() -> Result<()> {
    let server = open(House::Strict).await?;
    let (device, _) = approved(&server, "tv").await?;
    server.clock.advance(Duration::from_secs(6));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut one = party(&server, "tv")?;
        let code = device.code.clone();
        tasks.spawn(async move { one.token(&[("grant_type", GRANT), ("device_code", &code)]).await });
    }
    let answers = tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!(
        answers.iter().filter(|a| a.status == 200).count(),
        1,
        "{:?}",
        answers.iter().map(fault).collect::<Vec<_>>()
    );
    for answer in answers.iter().filter(|a| a.status != 200) {
        refused(answer, 400, "invalid_grant", "a poll that lost");
    }
    Ok(())
}

#[tokio::test]
async fn pc_20_user_codes_cannot_be_guessed_through() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let device = ask(&server, "tv").await?;
        let mut guesser = party(&server, "app")?;
        let mut told = Vec::new();
        for _ in 0..30 {
            told.push(enter(&mut guesser, NO_CODE).await?.status);
        }
        assert_eq!(told.iter().filter(|s| **s == 200).count(), 20, "{house:?} {told:?}");
        let answer = enter(&mut guesser, &device.user_code).await?;
        assert_eq!(answer.status, 429, "not even a right one while it rests");
        assert_eq!(answer.header("retry-after"), Some("600"));
        assert!(answer.header("location").is_none() && answer.text().contains("Too many wrong codes"));
        let by_address = guesser.open(&format!("/realms/{REALM}/device?user_code={}", device.user_code)).await?;
        assert_eq!(by_address.status, 429, "the address is no other door");
        // The honest twin: after the rest, and right codes are not counted.
        server.clock.advance(Duration::from_secs(601));
        for _ in 0..25 {
            let device = ask(&server, "tv").await?;
            assert_eq!(enter(&mut guesser, &device.user_code).await?.status, 302, "{house:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn pc_20_a_session_guesses_no_longer_than_an_address() -> Result<()> {
    let server = open(House::Strict).await?;
    let (device, mut alice) = approved(&server, "tv").await?;
    works(&server, &device).await?;
    let mut told = Vec::new();
    for _ in 0..12 {
        told.push(enter(&mut alice, NO_CODE).await?.status);
    }
    assert_eq!(told.iter().filter(|s| **s == 200).count(), 10, "{told:?}");
    // Somebody else at the same address goes on.
    assert_eq!(enter(&mut party(&server, "app")?, NO_CODE).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn pc_20_az_23_no_address_and_no_foreign_form_approves() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let (first, mut alice) = approved(&server, "tv").await?;
        works(&server, &first).await?;
        let device = ask(&server, "tv").await?;
        // She is logged in; the address with the code leads to the question and no further.
        let opened = alice.open(&format!("/realms/{REALM}/device?user_code={}", device.user_code)).await?;
        let page = follow(&mut alice, opened).await?;
        assert!(page.text().contains("Grant Access to") && page.text().contains(&device.user_code));
        let (action, code) = form(&page)?;
        let get = alice.open(&format!("{action}&code={code}&accept=Yes")).await?;
        assert_ne!(status(&get), Some(""), "GET decides nothing");
        let page = follow(&mut alice, get).await?;
        let (action, code) = form(&page)?;
        for (name, fields) in [
            ("without the code", vec![("accept", "Yes")]),
            ("with another code", vec![("accept", "Yes"), ("code", "x")]),
            ("both answers", vec![("accept", "Yes"), ("cancel", "No"), ("code", code.as_str())]),
            ("no answer", vec![("code", code.as_str())]),
        ] {
            let answer = alice.send(Exchange::form(&action, &fields)).await?;
            assert_ne!(status(&answer), Some(""), "{house:?} {name}");
        }
        let page = question(&mut alice, &device.user_code).await?;
        let (action, code) = form(&page)?;
        let yes = [("code", code.as_str()), ("accept", "Yes")];
        let foreign = alice.send(Exchange::form(&action, &yes).header("Origin", "https://evil.test")).await?;
        assert_eq!(foreign.status, 403, "{house:?}: SE-03");
        // AZ-24: the question belongs to this browser.
        let mallory = party(&server, "app")?.send(Exchange::form(&action, &yes)).await?;
        assert_eq!(status(&mallory), None, "{house:?}");
        refused(&poll(&server, &device).await?, 400, "authorization_pending", "nobody said yes");
        // The honest twin, and the same form a second time.
        let done = answer_with(&mut alice, &page, "accept").await?;
        assert_eq!(status(&done), Some(""), "{house:?} {}", done.text());
        let again = answer_with(&mut alice, &page, "cancel").await?;
        assert_ne!(status(&again), Some("?error=access_denied"), "{house:?}: decided once");
        works(&server, &device).await?;
    }
    Ok(())
}

#[tokio::test]
async fn te_16_pc_15_what_is_switched_off_in_between_refuses() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        // Before the code is entered.
        let device = ask(&server, "tv").await?;
        edit_client(&server, "tv", |c| c.settings.enabled = false).await?;
        assert_eq!(enter(&mut party(&server, "app")?, &device.user_code).await?.status, 200, "the page again");
        refused(&poll(&server, &device).await?, 401, "invalid_client", "client off");
        refused_request(&request(&server, "tv", &[]).await?, 401, "invalid_client");
        edit_client(&server, "tv", |c| c.settings.enabled = true).await?;
        // Between the question and the yes.
        let mut alice = party(&server, "app")?;
        let page = question(&mut alice, &device.user_code).await?;
        let off = |c: &mut portcullis_core::client::Client| _ = c.settings.attributes.remove(ATTRIBUTE);
        edit_client(&server, "tv", off).await?;
        let yes = answer_with(&mut alice, &page, "accept").await?;
        assert_eq!(status(&yes), Some("?error=server_error"), "{house:?}");
        refused(&poll(&server, &device).await?, 400, "invalid_grant", "grant off");
        refused_request(&request(&server, "tv", &[]).await?, 400, "unauthorized_client");
        edit_client(&server, "tv", |c| _ = c.settings.attributes.insert(ATTRIBUTE.to_owned(), "true".to_owned()))
            .await?;
        refused(&poll(&server, &device).await?, 400, "authorization_pending", "it was never approved");
        // A user switched off between the question and the yes.
        let page = question(&mut alice, &device.user_code).await?;
        edit_user(&server, "alice", |user| user.enabled = false).await?;
        let yes = answer_with(&mut alice, &page, "accept").await?;
        assert_ne!(status(&yes), Some(""), "{house:?}");
        edit_user(&server, "alice", |user| user.enabled = true).await?;
        // After the yes: user, session, realm.
        let (device, _) = approved(&server, "tv").await?;
        edit_user(&server, "alice", |user| user.enabled = false).await?;
        refused(&poll(&server, &device).await?, 400, "invalid_grant", "user off");
        edit_user(&server, "alice", |user| user.enabled = true).await?;
        refused(&poll(&server, &device).await?, 400, "invalid_grant", "and the grant is gone");
        let (device, _) = approved(&server, "tv").await?;
        end_sessions(&server).await?;
        refused(&poll(&server, &device).await?, 400, "invalid_grant", "logged out");
        let (device, _) = approved(&server, "tv").await?;
        edit_realm(&server, |realm| realm.settings.enabled = false).await?;
        refused(&poll(&server, &device).await?, 403, "access_denied", "realm off");
        assert_eq!(request(&server, "tv", &[]).await?.status, 400, "a page, as for its user");
        assert_eq!(enter(&mut party(&server, "app")?, &device.user_code).await?.status, 400);
        edit_realm(&server, |realm| realm.settings.enabled = true).await?;
        works(&server, &device).await?;
    }
    Ok(())
}

const ATTRIBUTE: &str = "oauth2.device.authorization.grant.enabled";

fn refused_request(answer: &Answer, status: u16, error: &str) {
    assert_eq!(fault(answer), (status, error.to_owned()), "{}", answer.text());
}

async fn end_sessions(server: &TestServer) -> Result<()> {
    let (realm, user) = (realm_id(server).await?, stored_user(server, "alice").await?.id);
    let end = portcullis_core::plan::Write::EndUserSessions { realm, user, except: None };
    crate::ground::write(server, vec![end]).await
}

#[tokio::test]
async fn pc_02_pc_14_codes_of_other_kinds_and_realms_open_nothing() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        let (device, mut alice) = approved(&server, "tv").await?;
        let mut elsewhere = server.relying_party(registration(TWIN, "tv"))?;
        let fields = [("grant_type", GRANT), ("device_code", device.code.as_str())];
        refused(&elsewhere.token(&fields).await?, 400, "invalid_grant", "another realm");
        let (code, pkce) = crate::ground::code(&mut alice).await?;
        for (name, fields) in [
            ("an authorization code as a device code", vec![("grant_type", GRANT), ("device_code", code.as_str())]),
            ("the user code as a device code", vec![("grant_type", GRANT), ("device_code", device.user_code.as_str())]),
            (
                "a device code as an authorization code",
                vec![
                    ("grant_type", "authorization_code"),
                    ("code", device.code.as_str()),
                    ("redirect_uri", crate::ground::BACK),
                    ("code_verifier", pkce.verifier.as_str()),
                ],
            ),
        ] {
            let client = if fields.len() > 2 { "app" } else { "tv" };
            refused(&party(&server, client)?.token(&fields).await?, 400, "invalid_grant", name);
        }
        works(&server, &device).await?;
    }
    Ok(())
}

#[tokio::test]
async fn pc_06_pc_07_a_device_that_sent_a_challenge_shows_its_verifier() -> Result<()> {
    let server = open(House::Strict).await?;
    for (verifier, good) in [(None, false), (Some("x".repeat(43)), false), (Some(String::new()), true)] {
        let pkce = portcullis_testkit::rp::Pkce::new()?;
        let more =
            [("code_challenge", pkce.challenge.as_str()), ("code_challenge_method", "S256"), ("scope", "openid")];
        let body: Value = request(&server, "tv", &more).await?.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let shown = if good { Some(pkce.verifier.clone()) } else { verifier };
        let device = Device { client: "tv", code: text("device_code"), user_code: text("user_code"), verifier: shown };
        let mut browser = party(&server, "app")?;
        let page = question(&mut browser, &device.user_code).await?;
        answer_with(&mut browser, &page, "accept").await?;
        if good {
            works(&server, &device).await?;
            continue;
        }
        refused(&poll(&server, &device).await?, 400, "invalid_grant", "no or a wrong verifier");
        let right = Device { verifier: Some(pkce.verifier), ..device };
        refused(&poll(&server, &right).await?, 400, "invalid_grant", "it is spent");
    }
    Ok(())
}

#[tokio::test]
async fn ds_17_one_place_cannot_fill_the_table() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut told = Vec::new();
    for _ in 0..125 {
        told.push(request(&server, "tv", &[]).await?.status);
    }
    assert_eq!(told.iter().filter(|status| **status == 200).count(), 120);
    let last = request(&server, "tv", &[]).await?;
    refused_request(&last, 429, "temporarily_unavailable");
    server.clock.advance(Duration::from_secs(61));
    ask(&server, "tv").await?;
    Ok(())
}
