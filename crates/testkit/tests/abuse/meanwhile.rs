//! RT-05, TE-16 and RT-16 between two looks: what ends while a token request is decided gives no token that outlives it at the APIs.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use portcullis_core::ending;
use portcullis_core::entropy::Entropy;
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::time::Clock as _;
use portcullis_store::Db;
use portcullis_testkit::clock::SeededEntropy;
use portcullis_testkit::http1::Answer;
use portcullis_testkit::server::{Options, TestServer};

use crate::forge::claims;
use crate::ground::{
    House, REALM, Tokens, by_client, by_password, edit_user, exchange, furnish, login, party, records, refresh,
    stored_user, tokens, userinfo,
};

type Deed = Box<dyn FnOnce() + Send>;

/// Randomness that is asked for in the middle of a decision, and does something else first: once, when it was told to.
struct Between {
    bytes: SeededEntropy,
    deed: Mutex<Option<Deed>>,
}

impl Between {
    fn set(&self, deed: Option<Deed>) -> Option<Deed> {
        std::mem::replace(&mut *self.deed.lock().unwrap_or_else(PoisonError::into_inner), deed)
    }
}

impl Entropy for Between {
    fn fill(&self, out: &mut [u8]) {
        if let Some(deed) = self.set(None) {
            deed();
        }
        self.bytes.fill(out);
    }
}

async fn open(house: House) -> Result<(TestServer, Arc<Between>)> {
    let between = Arc::new(Between { bytes: SeededEntropy::new(7), deed: Mutex::default() });
    let options = Options { entropy: Some(Arc::clone(&between) as Arc<dyn Entropy>), ..Options::default() };
    let server = TestServer::with(options).await?;
    furnish(&server, house).await?;
    Ok((server, between))
}

/// Writes from a thread of its own, as another process would, and waits until it stands.
fn by_another(db: Db, writes: Vec<Write>) -> Deed {
    Box::new(move || {
        let writer = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            anyhow::Ok(runtime.block_on(db.apply(Plan::new(Lane::Admin, writes)))?)
        });
        assert!(matches!(writer.join(), Ok(Ok(()))), "the other writer");
    })
}

/// What switches alice off, as the Admin API writes it.
async fn switched_off(server: &TestServer) -> Result<Vec<Write>> {
    let (records, mut alice) = (records(server, REALM).await?, stored_user(server, "alice").await?);
    let cut = ending::subject(&records, &alice.id, server.clock.now());
    alice.enabled = false;
    Ok(vec![cut, Write::UpdateUser(records.realm.id.clone(), alice)])
}

/// Up to which second alice's tokens are dead at every guard.
async fn cut_before(server: &TestServer) -> Result<Option<i64>> {
    let (records, alice) = (records(server, REALM).await?, stored_user(server, "alice").await?);
    Ok(server.db.cut_off(&records.realm.id, &portcullis_core::cutoff::Ended::Subject(alice.id)).await?)
}

/// No token, or one that every guard refuses because it was made before the end.
async fn is_worth_nothing(server: &TestServer, answer: &Answer, what: &str) -> Result<()> {
    if answer.status != 200 {
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        return Ok(());
    }
    let token = tokens(answer)?.access;
    let (made, cut) = (claims(&token)?["iat"].as_i64(), cut_before(server).await?);
    assert!(
        made <= cut,
        "{what}: made at {made:?}, everything up to {cut:?} is dead: an API without a look here takes it"
    );
    assert_ne!(userinfo(server, &token).await?.status, 200, "{what}");
    Ok(())
}

#[tokio::test]
async fn te_16_rt_16_an_account_switched_off_in_the_middle_of_a_request_gets_nothing_that_lives() -> Result<()> {
    for house in House::BOTH {
        for door in ["refresh", "exchange", "password"] {
            let what = format!("{house:?} {door}");
            let (server, between) = open(house).await?;
            let held = login(&mut party(&server, "app")?).await?;
            between.set(Some(by_another(server.db.clone(), switched_off(&server).await?)));
            let answer = ask(&server, door, &held).await?;
            assert!(between.set(None).is_none(), "{what}: it happened in between");
            is_worth_nothing(&server, &answer, &what).await?;
            // The honest twins: somebody else meanwhile; and alice again in the same second, after the cut-off.
            let bob = crate::ground::login_of(&mut party(&server, "app")?, "bob").await?;
            assert_eq!(userinfo(&server, &bob.access).await?.status, 200, "{what}");
            edit_user(&server, "alice", |user| user.enabled = true).await?;
            let again = login(&mut party(&server, "app")?).await?;
            let made = claims(&again.access)?["iat"].as_i64();
            assert!(made > cut_before(&server).await?, "{what}: a login after the end lives, also in its second");
            assert_eq!(userinfo(&server, &again.access).await?.status, 200, "{what}");
        }
    }
    Ok(())
}

async fn ask(server: &TestServer, door: &str, held: &Tokens) -> Result<Answer> {
    match door {
        "refresh" => refresh(&mut party(server, "app")?, &held.refresh).await,
        "exchange" => exchange(server, &held.access, &[]).await,
        _ => by_password(server, "alice").await,
    }
}

#[tokio::test]
async fn te_16_a_service_account_switched_off_in_the_middle_of_its_request_gets_nothing_that_lives() -> Result<()> {
    for house in House::BOTH {
        let (server, between) = open(house).await?;
        tokens(&by_client(&server, "service", "openid").await?)?;
        let (records, mut account) =
            (records(&server, REALM).await?, stored_user(&server, "service-account-service").await?);
        let cut = ending::subject(&records, &account.id, server.clock.now());
        let ended = portcullis_core::cutoff::Ended::Subject(account.id.clone());
        account.enabled = false;
        let off = vec![cut, Write::UpdateUser(records.realm.id.clone(), account)];
        between.set(Some(by_another(server.db.clone(), off)));
        let answer = by_client(&server, "service", "openid").await?;
        assert!(between.set(None).is_none(), "{house:?}: it happened in between");
        if answer.status == 200 {
            let made = claims(&tokens(&answer)?.access)?["iat"].as_i64().context("iat")?;
            let cut = server.db.cut_off(&records.realm.id, &ended).await?.context("a cut-off")?;
            assert!(made <= cut, "{house:?}: {made} {cut}");
        }
        edit_user(&server, "service-account-service", |user| user.enabled = true).await?;
        let again = tokens(&by_client(&server, "service", "openid").await?)?.access;
        let made = claims(&again)?["iat"].as_i64();
        assert!(made > server.db.cut_off(&records.realm.id, &ended).await?, "{house:?}: the honest twin");
    }
    Ok(())
}
