//! PC-17, DS-26: what fails or panics in the middle of a token request, after its code was taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context as _, Result};
use portcullis_idp::{Local, Signer, Signing};
use portcullis_jose::{SignError, SigningKey};
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::server::{Options, TestServer};

use crate::ground::{House, by_password, code, fault, furnish, login, party, refresh, refused, tokens, userinfo};

/// What happens to a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Hand {
    Steady,
    Fails,
    Panics,
}

/// A signer as a key service elsewhere may be.
struct Moody(AtomicU8);

impl Moody {
    fn be(&self, hand: Hand) {
        self.0.store(hand as u8, Ordering::SeqCst);
    }
}

impl Signer for Moody {
    fn sign<'a>(&'a self, key: &'a SigningKey, typ: &'a str, payload: &'a [u8]) -> Signing<'a> {
        match self.0.load(Ordering::SeqCst) {
            0 => Local.sign(key, typ, payload),
            1 => Box::pin(async { Err(SignError) }),
            _ => panic!("a signer of the test"),
        }
    }
}

async fn open(house: House) -> Result<(TestServer, Arc<Moody>)> {
    let moody = Arc::new(Moody(AtomicU8::new(Hand::Steady as u8)));
    let options = Options { signer: Arc::clone(&moody) as Arc<dyn Signer>, ..Options::default() };
    let server = TestServer::with(options).await?;
    furnish(&server, house).await?;
    Ok((server, moody))
}

#[tokio::test]
async fn pc_17_a_code_stays_spent_when_signing_fails() -> Result<()> {
    for house in House::BOTH {
        for (hand, status, error) in
            [(Hand::Fails, 503, "temporarily_unavailable"), (Hand::Panics, 500, "unknown_error")]
        {
            let (server, moody) = open(house).await?;
            let mut app = party(&server, "app")?;
            let (code, pkce) = code(&mut app).await?;
            moody.be(hand);
            let answer = app.exchange(&code, &pkce).await?;
            assert_eq!(fault(&answer), (status, error.to_owned()), "{house:?} {hand:?}: {}", answer.text());
            assert!(!answer.text().contains("token\""), "{}", answer.text());
            moody.be(Hand::Steady);
            for _ in 0..2 {
                refused(&app.exchange(&code, &pkce).await?, 400, "invalid_grant", "the code again");
            }
            let held = login(&mut app).await.with_context(|| format!("{house:?} after {hand:?}"))?;
            assert_eq!(userinfo(&server, &held.access).await?.status, 200);
        }
    }
    Ok(())
}

#[tokio::test]
async fn rt_19_a_refresh_that_fails_half_way_leaves_one_live_family() -> Result<()> {
    for house in House::BOTH {
        for (hand, status) in [(Hand::Fails, 503), (Hand::Panics, 500)] {
            let (server, moody) = open(house).await?;
            let mut app = party(&server, "app")?;
            let held = login(&mut app).await?;
            moody.be(hand);
            // The row moved on; the answer never left.
            assert_eq!(refresh(&mut app, &held.refresh).await?.status, status, "{house:?} {hand:?}");
            moody.be(Hand::Steady);
            let next = tokens(&refresh(&mut app, &held.refresh).await?).context("the same token again")?;
            let last = tokens(&refresh(&mut app, &next.refresh).await?)?;
            assert_eq!(userinfo(&server, &last.access).await?.status, 200);
            if house == House::Strict {
                refused(&refresh(&mut app, &held.refresh).await?, 400, "invalid_grant", "two generations back");
                refused(&refresh(&mut app, &last.refresh).await?, 400, "invalid_grant", "and no second family");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn pc_17_a_store_that_is_gone_gives_nothing() -> Result<()> {
    let (server, _) = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let held = login(&mut app).await?;
    let (code, pkce) = code(&mut app).await?;
    server.db.close().await;
    for answer in [app.exchange(&code, &pkce).await?, refresh(&mut app, &held.refresh).await?] {
        assert_eq!(fault(&answer).0, 503, "{}", answer.text());
        assert!(answer.header("retry-after").is_some() && !answer.text().contains("token\""), "{}", answer.text());
    }
    Ok(())
}

/// More panics than there are threads, places or tries of anything; then everybody is served.
#[tokio::test]
async fn ds_26_panics_leave_nothing_broken_behind() -> Result<()> {
    for house in House::BOTH {
        let (server, moody) = open(house).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        moody.be(Hand::Panics);
        for _ in 0..20 {
            let (code, pkce) = code(&mut app).await?;
            assert_eq!(app.exchange(&code, &pkce).await?.status, 500);
            assert_eq!(by_password(&server, "alice").await?.status, 500);
        }
        let metadata = Exchange::get("/realms/yard/.well-known/openid-configuration");
        assert_eq!(server.client()?.send(&metadata).await?.status, 200, "others are served meanwhile");
        moody.be(Hand::Steady);
        for _ in 0..20 {
            login(&mut app).await?;
        }
        tokens(&by_password(&server, "alice").await?)?;
        tokens(&refresh(&mut app, &held.refresh).await?)?;
    }
    Ok(())
}
