//! EN: wrong passwords are counted once, for every door and node, and a stranger's do not lock the owner out.

use std::sync::Arc;

use anyhow::Result;
use portcullis_idp::{Deps, Idp, IdpConfig};
use portcullis_store::MemoryEphemeral;
use portcullis_testkit::server::{Cluster, Options};
use serde_json::json;
use tokio::task::JoinSet;

use crate::stage::{Browser, Door, Outcome, PROFILES, Stage, direct_grant, import, other_entropy, outcome};

const LIMIT: u64 = 5;

/// Tries at the page of a new browser; whether it led to a code.
async fn tries(base: &str, name: &str, password: &str) -> Result<bool> {
    let answer = Browser::at(base, "app")?.login(name, password).await?;
    let found = outcome(&answer);
    let inside = matches!(found, Outcome::Code(_));
    anyhow::ensure!(inside || found == Outcome::LoginPage, "{found:?}");
    Ok(inside)
}

async fn wrong(stage: &Stage, name: &str, times: usize) -> Result<()> {
    for _ in 0..times {
        assert!(!tries(&stage.server.base, name, "wrong").await?);
    }
    Ok(())
}

#[tokio::test]
async fn en_06_of_200_parallel_wrong_logins_at_most_five_are_compared() -> Result<()> {
    for strict in PROFILES {
        let cluster = Cluster::start(2, Options::default()).await?;
        import(cluster.node(0)?, strict, &json!({})).await?;
        let calls = || -> Result<u64> {
            let of = |n| Ok::<u64, anyhow::Error>(cluster.node(n)?.idp.password_figures().hash_calls);
            Ok(of(0)? + of(1)?)
        };
        let mut open = Vec::new();
        for number in 0..200 {
            let mut browser = Browser::at(&cluster.node(number)?.base, "app")?;
            let page = browser.ask(&[]).await?;
            open.push((browser, page));
        }
        let before = calls()?;
        let mut storm = JoinSet::new();
        for (number, (mut browser, page)) in open.into_iter().enumerate() {
            let direct =
                (!strict && number % 2 == 1).then(|| cluster.node(number).map(|n| n.base.clone())).transpose()?;
            storm.spawn(async move {
                let guess = format!("guess-{number}");
                match direct {
                    Some(base) => direct_grant(&base, "alice", &guess).await,
                    None => browser.submit(&page, "alice", &guess).await,
                }
            });
        }
        let mut answers = Vec::new();
        while let Some(done) = storm.join_next().await {
            answers.push(done??);
        }
        assert!(calls()? - before <= LIMIT, "strict {strict}: {} compared", calls()? - before);
        assert_eq!(answers.len(), 200);
        for answer in answers {
            assert!([200, 401].contains(&answer.status) && answer.header("location").is_none(), "{answer:?}");
        }
        // The account rests now, on both nodes; another account does not.
        for node in [0, 1] {
            assert!(!tries(&cluster.node(node)?.base, "alice", "alice-password").await?);
            assert!(tries(&cluster.node(node)?.base, "bob", "bob-password").await?);
        }
        cluster.clock.shift_secs(901);
        assert!(tries(&cluster.node(1)?.base, "alice", "alice-password").await?, "it is over");
    }
    Ok(())
}

#[tokio::test]
async fn en_06_one_after_another_exactly_the_limit_is_compared() -> Result<()> {
    for strict in PROFILES {
        for name in ["alice", "nobody-of-this-name"] {
            let stage = Stage::of(strict).await?;
            let before = stage.hash_calls();
            wrong(&stage, name, 12).await?;
            assert_eq!(stage.hash_calls() - before, LIMIT, "strict {strict} {name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn en_07_the_page_and_the_password_grant_count_together() -> Result<()> {
    let stage = Stage::of(false).await?;
    let base = stage.server.base.clone();
    let before = stage.hash_calls();
    for number in 0..6 {
        if number % 2 == 0 {
            wrong(&stage, "alice", 1).await?;
        } else {
            assert_eq!(direct_grant(&base, "alice", "wrong").await?.status, 401);
        }
    }
    assert_eq!(stage.hash_calls() - before, LIMIT, "the sixth was refused unseen");
    assert!(!tries(&base, "alice", "alice-password").await?);
    let locked = direct_grant(&base, "alice", "alice-password").await?;
    let wrong_one = direct_grant(&base, "bob", "wrong").await?;
    assert_eq!((locked.status, locked.body), (wrong_one.status, wrong_one.body), "EN-14");
    stage.server.clock.shift_secs(61);
    assert_eq!(direct_grant(&base, "alice", "alice-password").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn en_07_asking_again_counts_with_the_rest() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut inside = stage.browser()?;
        inside.enter("alice").await?;
        // Without the device's mark it is a browser like any other.
        inside.plant("PORTCULLIS_DEVICE", "");
        let mut page = inside.ask(&[("prompt", Some("login"))]).await?;
        let before = stage.hash_calls();
        wrong(&stage, "alice", 2).await?;
        for _ in 0..4 {
            page = inside.submit(&page, "", "wrong").await?;
            assert_eq!(outcome(&page), Outcome::LoginPage);
        }
        assert_eq!(stage.hash_calls() - before, LIMIT, "strict {strict}");
        let answer = inside.submit(&page, "", "alice-password").await?;
        assert_eq!(outcome(&answer), Outcome::LoginPage, "it rests");
        stage.server.clock.shift_secs(61);
        let answer = inside.submit(&answer, "", "alice-password").await?;
        assert!(matches!(outcome(&answer), Outcome::Code(_)));
    }
    Ok(())
}

#[tokio::test]
async fn en_08_all_spellings_of_an_account_count_together() -> Result<()> {
    let spellings = ["alice", "ALICE", "  alice ", "Alice@Shop.Test", "\u{ff41}lice", "\u{a0}alice\u{2003}"];
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let base = stage.server.base.clone();
        for name in spellings {
            assert!(tries(&base, name, "alice-password").await?, "{name:?} is alice");
        }
        let before = stage.hash_calls();
        for name in spellings {
            assert!(!tries(&base, name, "wrong").await?);
        }
        assert_eq!(stage.hash_calls() - before, LIMIT, "strict {strict}: the sixth spelling was refused unseen");
        for name in spellings {
            assert!(!tries(&base, name, "alice-password").await?, "{name:?} rests");
        }
        // Names that nobody has: their spellings are one as well.
        let before = stage.hash_calls();
        for name in ["zoe", "ZOE", " zoe ", "\u{ff3a}oe", "Zoe", "zoE", "zOe"] {
            assert!(!tries(&base, name, "wrong").await?);
        }
        assert_eq!(stage.hash_calls() - before, LIMIT);
    }
    Ok(())
}

#[tokio::test]
async fn en_09_p_21_a_known_device_gets_in_while_a_stranger_hammers() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let base = stage.server.base.clone();
        let mut own = stage.browser()?;
        own.enter("alice").await?;
        let device = own.cookie("PORTCULLIS_DEVICE");
        assert!(!device.is_empty());
        let mut foreign = stage.browser()?;
        foreign.enter("mallory").await?;
        let on_device = async |value: &str, name: &str, password: &str| -> Result<Outcome> {
            let mut browser = stage.browser()?;
            browser.plant("PORTCULLIS_DEVICE", value);
            Ok(outcome(&browser.login(name, password).await?))
        };
        wrong(&stage, "alice", 10).await?;
        assert!(!tries(&base, "alice", "alice-password").await?, "strangers wait");
        for (what, mark) in [("made up", "A".repeat(43)), ("of another account", foreign.cookie("PORTCULLIS_DEVICE"))] {
            assert_eq!(on_device(&mark, "alice", "alice-password").await?, Outcome::LoginPage, "{what}");
        }
        assert!(matches!(on_device(&device, "alice", "alice-password").await?, Outcome::Code(_)), "the owner does not");
        assert!(!tries(&base, "alice", "alice-password").await?, "her success frees no stranger");
        // The known device has a limit of its own.
        let before = stage.hash_calls();
        for _ in 0..8 {
            assert_eq!(on_device(&device, "alice", "wrong").await?, Outcome::LoginPage);
        }
        assert_eq!(stage.hash_calls() - before, LIMIT);
        assert_eq!(on_device(&device, "alice", "alice-password").await?, Outcome::LoginPage);
        // Rests end by themselves.
        stage.server.clock.shift_secs(901);
        assert!(tries(&base, "alice", "alice-password").await?);
    }
    Ok(())
}

#[tokio::test]
async fn en_11_counters_survive_a_restart() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        wrong(&stage, "alice", 3).await?;
        wrong(&stage, "bob", 5).await?;
        let restarted = Idp::open(Deps {
            db: stage.server.db.clone(),
            ephemeral: Arc::new(MemoryEphemeral::new("second")),
            clock: stage.server.clock.clone(),
            entropy: other_entropy(),
            config: IdpConfig::default(),
        })
        .await?;
        let door = Door::open(restarted.router()).await?;
        let calls = || restarted.password_figures().hash_calls;
        assert!(!tries(&door.base, "bob", "bob-password").await?, "bob still rests");
        assert_eq!(calls(), 0);
        for _ in 0..4 {
            assert!(!tries(&door.base, "alice", "wrong").await?);
        }
        assert_eq!(calls(), 2, "three of five were used before");
        assert!(!tries(&door.base, "alice", "alice-password").await?);
        assert!(tries(&door.base, "mallory", "mallory-password").await?);
        stage.server.clock.shift_secs(61);
        assert!(tries(&door.base, "alice", "alice-password").await?);
    }
    Ok(())
}

#[tokio::test]
async fn en_12_another_accounts_success_resets_nothing() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let base = stage.server.base.clone();
        for _ in 0..5 {
            wrong(&stage, "alice", 1).await?;
            assert!(tries(&base, "mallory", "mallory-password").await?);
        }
        assert!(!tries(&base, "alice", "alice-password").await?);
        // The owner's own success does.
        for _ in 0..3 {
            wrong(&stage, "bob", 4).await?;
            assert!(tries(&base, "bob", "bob-password").await?);
        }
    }
    Ok(())
}

#[tokio::test]
async fn en_06_quick_failures_make_an_account_rest_sooner() -> Result<()> {
    let quick = json!({ "quickLoginCheckMilliSeconds": 1000, "minimumQuickLoginWaitSeconds": 60 });
    let stage = Stage::with(true, Options::default(), &quick).await?;
    let before = stage.hash_calls();
    wrong(&stage, "alice", 8).await?;
    assert_eq!(stage.hash_calls() - before, 2, "the second came within the second");
    stage.server.clock.shift_secs(61);
    assert!(tries(&stage.server.base, "alice", "alice-password").await?);
    Ok(())
}
