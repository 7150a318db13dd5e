//! Whatever the order of tabs, lost answers, doubled requests and time: no accidental logout, never two live successors.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_core::entropy::Entropy as _;
use portcullis_testkit::clock::SeededEntropy;
use portcullis_testkit::rp::RelyingParty;
use portcullis_testkit::server::{Cluster, Options};

use crate::ground::{House, REALM, fault, furnish, invalid_grant, login, party, refresh, registration, tokens};

const SEEDS: u64 = 200;
/// Seconds within which a lost answer may be asked for again.
const GRACE: u64 = 30;

struct Dice(SeededEntropy);

impl Dice {
    fn roll(&self, sides: u8) -> u8 {
        let mut byte = [0];
        self.0.fill(&mut byte);
        byte[0] % sides
    }
}

/// One tab: a login of its own in the browser's one session.
struct Tab {
    held: String,
    older: Vec<String>,
    /// Seconds since the answer to `held` was lost, if it was.
    lost: Option<u64>,
}

/// What the server answered to each token: never two different successors.
#[derive(Default)]
struct Ledger(HashMap<String, String>);

impl Ledger {
    fn note(&mut self, presented: &str, successor: &str, seed: u64) {
        let first = self.0.entry(presented.to_owned()).or_insert_with(|| successor.to_owned());
        assert_eq!(first, successor, "seed {seed}: two live successors");
        assert_ne!(presented, successor, "seed {seed}: rotated");
    }
}

struct World {
    cluster: Cluster,
    nodes: Vec<RelyingParty>,
}

impl World {
    async fn ask(&mut self, dice: &Dice, token: &str) -> Result<portcullis_testkit::http1::Answer> {
        let at = usize::from(dice.roll(2));
        refresh(self.nodes.get_mut(at).context("node")?, token).await
    }

    /// An honest request: it must be served.
    async fn honest(&mut self, dice: &Dice, ledger: &mut Ledger, token: &str, seed: u64) -> Result<String> {
        let answer = self.ask(dice, token).await?;
        let next = tokens(&answer).with_context(|| format!("seed {seed}: an accidental logout"))?.refresh;
        ledger.note(token, &next, seed);
        Ok(next)
    }

    /// Time goes by, but no lost answer grows older than the grace.
    fn wait(&self, tabs: &mut [Tab], secs: u64) {
        let most = tabs.iter().filter_map(|tab| tab.lost).max().map_or(secs, |lost| secs.min(GRACE - lost));
        self.cluster.clock.advance(Duration::from_secs(most));
        for lost in tabs.iter_mut().filter_map(|tab| tab.lost.as_mut()) {
            *lost += most;
        }
    }
}

async fn play(world: &mut World, app: &mut RelyingParty, seed: u64) -> Result<()> {
    let dice = Dice(SeededEntropy::new(seed));
    let mut ledger = Ledger::default();
    let mut tabs = Vec::new();
    for _ in 0..=dice.roll(3) {
        tabs.push(Tab { held: login(app).await?.refresh, older: Vec::new(), lost: None });
    }
    for _ in 0..10 {
        if dice.roll(3) == 0 {
            world.wait(&mut tabs, u64::from(dice.roll(45)));
            continue;
        }
        let at = usize::from(dice.roll(3)) % tabs.len();
        let tab = tabs.get_mut(at).context("tab")?;
        let next = world.honest(&dice, &mut ledger, &tab.held, seed).await?;
        if dice.roll(3) == 0 {
            // The answer is lost: the tab still holds the token it sent.
            tab.lost = tab.lost.or(Some(0));
            continue;
        }
        if dice.roll(4) == 0 {
            // The request went out twice.
            world.honest(&dice, &mut ledger, &tab.held, seed).await?;
        }
        tab.older.push(std::mem::replace(&mut tab.held, next));
        tab.lost = None;
    }
    // Every tab is still logged in; a token two generations old ends its own family and no other.
    let thief = usize::from(dice.roll(3)) % tabs.len();
    for tab in &mut tabs {
        tab.held = world.honest(&dice, &mut ledger, &tab.held, seed).await?;
    }
    for (at, tab) in tabs.iter().enumerate() {
        if at == thief
            && let Some(old) = tab.older.first()
        {
            assert_eq!(fault(&world.ask(&dice, old).await?), invalid_grant(), "seed {seed}: a stolen token");
            assert_eq!(fault(&world.ask(&dice, &tab.held).await?), invalid_grant(), "seed {seed}: its family");
        } else {
            world.honest(&dice, &mut ledger, &tab.held, seed).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rt_01_rt_02_rt_15_any_order_of_tabs_losses_and_retries() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await?;
    furnish(cluster.node(0)?, House::Strict).await?;
    let nodes =
        cluster.nodes.iter().map(|node| node.relying_party(registration(REALM, "app"))).collect::<Result<Vec<_>>>()?;
    let mut app = party(cluster.node(0)?, "app")?;
    let mut world = World { cluster, nodes };
    for seed in 0..SEEDS {
        play(&mut world, &mut app, seed).await.with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}
