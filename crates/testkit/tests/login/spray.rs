//! EN-13: passwords guessed over many accounts, from one address and from many.

use std::sync::Arc;

use anyhow::Result;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use portcullis_idp::watch::{Alarm, Figures};
use portcullis_idp::{Peer, Watch};
use portcullis_testkit::http1::{Answer, Connection, Exchange};
use portcullis_testkit::server::Options;
use serde_json::json;

use crate::enumeration::seen;
use crate::stage::{Browser, Door, Outcome, PROFILES, REALM, Stage, action, outcome, part, set};

/// Where a request of these tests says it comes from; real listeners take it from the connection.
const FROM: &str = "x-test-from";

/// Wrong passwords that one place may have here.
const PLACE: u64 = 10;

/// A guesser's address.
const GUESSER: &str = "203.0.113.7";

/// The realm behind a door that believes [`FROM`].
struct Ground {
    stage: Stage,
    door: Door,
    figures: Arc<Figures>,
}

impl Ground {
    async fn of(strict: bool, place: u64, realm: u64, protected: bool) -> Result<Self> {
        let attributes = json!({
            "portcullis.failures.address": place.to_string(), "portcullis.failures.realm": realm.to_string(),
        });
        let mut changes = json!({ "attributes": attributes, "eventsEnabled": true });
        set(&mut changes, "bruteForceProtected", protected);
        let options = Options { watch: Watch::default(), ..Options::default() };
        let figures = Arc::clone(&options.watch.figures);
        let stage = Stage::with(strict, options, &changes).await?;
        let believed = from_fn(async |mut request: Request, next: Next| {
            let from = request.headers().get(FROM).and_then(|value| value.to_str().ok()).unwrap_or("192.0.2.1");
            let peer = Peer { ip: from.to_owned(), https: true };
            request.extensions_mut().insert(peer);
            next.run(request).await
        });
        let door = Door::open(stage.server.router().layer(believed)).await?;
        Ok(Self { stage, door, figures })
    }

    /// A try at the page in a browser: what comes back, without what is new each time.
    async fn at_page(&self, mut browser: Browser, from: &str, name: &str, password: &str) -> Result<Answer> {
        let page = browser.rp.send(Exchange::get(&browser.target(&[])).header(FROM, from)).await?;
        let fields = [("username", name), ("password", password)];
        browser.rp.send(Exchange::form(&action(&page)?, &fields).header(FROM, from)).await
    }

    async fn tries(&self, from: &str, name: &str, password: &str) -> Result<Answer> {
        self.at_page(Browser::at(&self.door.base, "app")?, from, name, password).await
    }

    async fn is_in(&self, from: &str, name: &str) -> Result<bool> {
        let answer = self.tries(from, name, &format!("{name}-password")).await?;
        Ok(matches!(outcome(&answer), Outcome::Code(_)))
    }

    /// So many names with one password: how many of them were compared.
    async fn spray(&self, from: impl Fn(usize) -> String, names: usize) -> Result<u64> {
        let before = self.stage.hash_calls();
        for n in 0..names {
            let from = from(n);
            let name = if n % 5 == 4 { "bob".to_owned() } else { format!("user-{n}-of-{from}") };
            let answer = self.tries(&from, &name, "Summer2026!").await?;
            assert_eq!(outcome(&answer), Outcome::LoginPage, "{name}");
        }
        Ok(self.stage.hash_calls() - before)
    }

    /// Audit rows of an error.
    async fn told(&self, error: &str) -> Result<usize> {
        let events = self.stage.server.db.events(&self.stage.realm, 5_000).await?;
        Ok(events.iter().filter(|event| event.error.as_deref() == Some(error)).count())
    }
}

const FROM_ADDRESS: &str = "too_many_failures_from_address";
const IN_REALM: &str = "too_many_failures_in_realm";

#[tokio::test]
async fn en_13_one_address_guesses_at_few_accounts_and_learns_nothing_of_it() -> Result<()> {
    for strict in PROFILES {
        let ground = Ground::of(strict, PLACE, 0, true).await?;
        let mut own = Browser::at(&ground.door.base, "app")?;
        own.rp.jar = {
            let mut first = Browser::at(&ground.door.base, "app")?;
            let page = first.rp.send(Exchange::get(&first.target(&[]))).await?;
            let fields = [("username", "alice"), ("password", "alice-password")];
            first.rp.send(Exchange::form(&action(&page)?, &fields)).await?;
            let device = first.cookie("PORTCULLIS_DEVICE");
            assert!(!device.is_empty());
            let mut clean = Browser::at(&ground.door.base, "app")?;
            clean.plant("PORTCULLIS_DEVICE", &device);
            clean.rp.jar
        };
        assert_eq!(ground.spray(|_| GUESSER.to_owned(), 40).await?, PLACE, "strict {strict}");
        // The right password, a wrong one, a name that nobody has: one answer, and no work for any of them.
        let before = ground.stage.hash_calls();
        let mut answers = Vec::new();
        for (name, password) in [("alice", "alice-password"), ("alice", "wrong"), ("nobody", "wrong"), ("dora", "x")] {
            let answer = ground.tries(GUESSER, name, password).await?;
            let tab = part(&action(&answer)?, "tab_id");
            answers.push(seen(&answer, &[name, &tab]));
        }
        assert!(answers.windows(2).all(|pair| pair.first() == pair.last()), "strict {strict}: {answers:?}");
        if !strict {
            let fields = |name: &str, password: &str| {
                let form =
                    [("grant_type", "password"), ("client_id", "app"), ("username", name), ("password", password)];
                Exchange::form(&format!("/realms/{REALM}/protocol/openid-connect/token"), &form).header(FROM, GUESSER)
            };
            for (name, password) in [("alice", "alice-password"), ("nobody", "x")] {
                let answer = Connection::to(&ground.door.base)?.send(&fields(name, password)).await?;
                let told = (answer.status, answer.json()["error"].clone());
                assert_eq!(told, (401, json!("invalid_grant")), "the other door: {}", answer.text());
            }
        }
        assert_eq!(ground.stage.hash_calls(), before);
        // Others are not touched: another address, and alice on the device that she uses, at the guesser's own address.
        assert!(ground.is_in("203.0.113.8", "alice").await?);
        let at_guesser = ground.at_page(own, GUESSER, "alice", "alice-password").await?;
        assert!(matches!(outcome(&at_guesser), Outcome::Code(_)), "strict {strict}: P-21");
        // The 64 bits of a household are one place (EN-10); its neighbour is another.
        assert_eq!(ground.spray(|n| format!("2001:db8:1:2::{n:x}"), 30).await?, PLACE);
        assert!(!ground.is_in("2001:db8:1:2:ffff::1", "alice").await?);
        assert!(ground.is_in("2001:db8:1:3::1", "alice").await?);
        // One row for each place, not for each try.
        assert_eq!((ground.told(FROM_ADDRESS).await?, ground.told(IN_REALM).await?), (2, 0));
        let told: u64 = ground.figures.blocks().map(|(_, block)| block.alarms(Alarm::Address)).sum();
        assert_eq!(told, 2);
        ground.stage.server.clock.shift_secs(601);
        assert!(ground.is_in(GUESSER, "alice").await?, "it is over");
    }
    Ok(())
}

#[tokio::test]
async fn en_13_en_12_a_guesser_with_an_account_buys_five_tries() -> Result<()> {
    let ground = Ground::of(true, PLACE, 0, true).await?;
    let mut compared = 0;
    for n in 0..12 {
        compared += ground.spray(|_| GUESSER.to_owned(), 3).await?;
        // From the guesser's place, as long as it is let in.
        let inside = ground.is_in(GUESSER, "mallory").await?;
        assert_eq!(inside, compared < PLACE + 5, "{n}: {compared}");
    }
    assert_eq!(compared, PLACE + 5);
    Ok(())
}

#[tokio::test]
async fn en_13_a_list_from_many_addresses_trips_the_realm_and_people_come_in() -> Result<()> {
    for strict in PROFILES {
        let ground = Ground::of(strict, 50, 24, true).await?;
        // 24 at first; then five from each new address.
        let mut compared = 0;
        for address in 0..12 {
            compared += ground.spray(|_| format!("198.51.100.{address}"), 8).await?;
        }
        assert_eq!(compared, 24 + 9 * 5, "strict {strict}");
        assert_eq!(ground.told(IN_REALM).await?, 1, "somebody is told, once");
        let told: u64 = ground.figures.blocks().map(|(_, block)| block.alarms(Alarm::Realm)).sum();
        assert_eq!(told, 1);
        // Every honest login passes, after a mistake too.
        let mut inside = 0;
        for n in 0..30 {
            let (from, name) = (format!("192.0.2.{}", 10 + n), ["alice", "mallory"][n % 2]);
            let slip = ground.tries(&from, name, "slip").await?;
            assert_eq!(outcome(&slip), Outcome::LoginPage);
            inside += usize::from(ground.is_in(&from, name).await?);
        }
        assert_eq!(inside, 30, "strict {strict}");
        ground.stage.server.clock.shift_secs(601);
        assert_eq!(ground.spray(|_| "198.51.100.1".to_owned(), 8).await?, 8, "it is over");
    }
    Ok(())
}

#[tokio::test]
async fn en_13_a_realm_that_asks_for_no_protection_counts_nothing() -> Result<()> {
    let ground = Ground::of(false, PLACE, 1, false).await?;
    assert_eq!(ground.spray(|_| GUESSER.to_owned(), 14).await?, 14);
    assert!(ground.is_in(GUESSER, "alice").await?);
    assert_eq!(ground.told(FROM_ADDRESS).await? + ground.told(IN_REALM).await?, 0);
    Ok(())
}
