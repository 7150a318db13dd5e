//! DS: storms of logins and of requests that never log in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_idp::{Deps, Idp, IdpConfig};
use portcullis_store::{Bounds, Kind, MemoryEphemeral};
use portcullis_testkit::http1::{Connection, Exchange};
use portcullis_testkit::server::Options;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::stage::{Browser, Door, Outcome, REALM, Stage, direct_grant, other_entropy, outcome, text};

/// Users whose stored hashes are as slow as the server takes them, to keep the one thread busy.
fn slow_people(count: usize) -> Vec<Value> {
    let secret = json!({ "value": STANDARD.encode([7; 64]), "salt": STANDARD.encode([9; 16]) }).to_string();
    let data = json!({ "hashIterations": 2_000_000, "algorithm": "pbkdf2-sha512" }).to_string();
    let slow = |n: usize| {
        json!({
            "username": format!("slow-{n}"), "enabled": true,
            "credentials": [{ "type": "password", "secretData": secret, "credentialData": data }],
        })
    };
    (0..count).map(slow).collect()
}

#[tokio::test]
async fn ds_08_a_storm_of_logins_is_refused_in_time_and_tokens_go_on() -> Result<()> {
    let mut people = slow_people(64);
    people.push(json!({
        "username": "alice", "enabled": true, "email": "alice@shop.test", "firstName": "A", "lastName": "B",
        "credentials": [{ "type": "password", "value": "alice-password" }],
    }));
    let config = IdpConfig { hash_threads: 1, ..IdpConfig::default() };
    let stage = Stage::with(false, Options { config, ..Options::default() }, &json!({ "users": people })).await?;
    let base = stage.server.base.clone();
    let mut honest = stage.browser()?;
    let tokens = honest.enter("alice").await?;
    let before = stage.server.idp.password_figures();
    let over = Arc::new(AtomicBool::new(false));
    let mut storm = JoinSet::new();
    for number in 0..200 {
        let (base, over) = (base.clone(), Arc::clone(&over));
        storm.spawn(async move {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) {
                answers.push(direct_grant(&base, &format!("slow-{}", number % 64), "wrong").await?);
            }
            Ok::<_, anyhow::Error>(answers)
        });
    }
    // The line of a realm is bounded: from the 129th on nobody waits at all.
    while stage.server.idp.password_figures().busy < before.busy + 20 {
        tokio::task::yield_now().await;
    }
    assert!(stage.server.idp.password_figures().waiting <= 128);
    let mut told = 0;
    for _ in 0..3 {
        let answer = stage.browser()?.login("alice", "alice-password").await?;
        if outcome(&answer) == Outcome::ErrorPage(503) {
            told += 1;
            assert!(answer.header("retry-after").is_some());
        }
    }
    assert!(told > 0, "the page says that the server is busy");
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let userinfo = Exchange::get(&honest.rp.endpoint("userinfo")).header("Authorization", &bearer);
    assert_eq!(stage.server.client()?.send(&userinfo).await?.status, 200, "tokens are judged meanwhile");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
    assert_eq!(honest.rp.token(&fields).await?.status, 200, "and refreshed");
    let certs = format!("/realms/{REALM}/protocol/openid-connect/certs");
    assert_eq!(stage.server.client()?.send(&Exchange::get(&certs)).await?.status, 200);
    over.store(true, Ordering::Relaxed);
    let mut refused = 0;
    while let Some(done) = storm.join_next().await {
        for answer in done?? {
            assert!([401, 503].contains(&answer.status), "{}", answer.text());
            if answer.status == 503 {
                refused += 1;
                assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
            }
        }
    }
    assert!(refused >= 200 - 128, "{refused} were told to come back");
    Ok(())
}

#[tokio::test]
async fn ds_16_requests_without_a_login_fill_a_bounded_place() -> Result<()> {
    let stage = Stage::of(true).await?;
    let bounds = Bounds { login_flows: 64, ..Bounds::default() };
    let ephemeral = Arc::new(MemoryEphemeral::with_bounds("small", bounds));
    let idp = Idp::open(Deps {
        db: stage.server.db.clone(),
        ephemeral: ephemeral.clone(),
        clock: stage.server.clock.clone(),
        entropy: other_entropy(),
        config: IdpConfig::default(),
    })
    .await?;
    let door = Door::open(idp.router()).await?;
    let target = Browser::at(&door.base, "app")?.target(&[]);
    let mut flood = Connection::to(&door.base)?;
    for _ in 0..300 {
        let answer = flood.send(&Exchange::get(&target)).await?;
        assert_eq!(answer.status, 200);
    }
    assert!(ephemeral.len(Kind::LoginFlow) <= 64, "{}", ephemeral.len(Kind::LoginFlow));
    Browser::at(&door.base, "app")?.enter("alice").await?;
    // One browser keeps no more than its tabs: the page opened first is dropped, the latest ones are good.
    let mut browser = stage.browser()?;
    let mut pages = Vec::new();
    for _ in 0..25 {
        pages.push(browser.ask(&[]).await?);
    }
    for (at, alive) in [(5, true), (24, true), (4, false), (0, false)] {
        let page = pages.get(at).context("a page")?;
        let answer = browser.copy()?.submit(page, "alice", "wrong").await?;
        let found = outcome(&answer);
        assert_eq!(found == Outcome::LoginPage, alive, "page {at}: {found:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ds_16_a_flow_ends_by_itself() -> Result<()> {
    let stage = Stage::with(true, Options::default(), &json!({ "accessCodeLifespanLogin": 300 })).await?;
    for (waits, alive) in [(299, true), (300, false)] {
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        stage.server.clock.shift_secs(waits);
        let before = stage.hash_calls();
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        assert_eq!(matches!(outcome(&answer), Outcome::Code(_)), alive, "{waits}: {:?}", outcome(&answer));
        assert_eq!(stage.hash_calls() - before, u64::from(alive));
    }
    Ok(())
}
