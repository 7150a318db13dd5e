//! Tests of the pool: known hashes of both worlds, limits, equal work.

use std::sync::atomic::AtomicU64;

use portcullis_core::ids::CredentialId;

use super::*;

#[derive(Default)]
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        out.iter_mut().zip(n.into_iter().cycle()).for_each(|(byte, seed)| *byte = seed);
    }
}

fn pool(threads: usize) -> PasswordPool {
    PasswordPool::new(threads, Arc::new(Counter::default()))
}

fn realm() -> RealmId {
    RealmId::new("r")
}

fn credential(secret_data: &str, credential_data: &str) -> Credential {
    Credential {
        id: CredentialId::new("c"),
        kind: "password".to_owned(),
        user_label: None,
        created_date: 0,
        priority: 0,
        secret_data: Secret::new(secret_data),
        credential_data: credential_data.to_owned(),
    }
}

async fn hashed(pool: &PasswordPool, password: &str) -> Credential {
    let hashed = pool.hash(&realm(), &Secret::new(password)).await.unwrap();
    credential(hashed.secret_data.expose(), &hashed.credential_data)
}

async fn ok(pool: &PasswordPool, stored: &Credential, password: &str) -> bool {
    pool.verify(&realm(), stored, &Secret::new(password)).await.unwrap().ok
}

#[tokio::test]
async fn a_hash_has_keycloaks_form_and_verifies() {
    let pool = pool(1);
    let stored = hashed(&pool, "correct horse").await;
    let data: serde_json::Value = serde_json::from_str(&stored.credential_data).unwrap();
    let recorded = serde_json::json!({
        "hashIterations": 5, "algorithm": "argon2",
        "additionalParameters": {"hashLength": ["32"], "memory": ["7168"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"]}
    });
    assert_eq!(data, recorded);
    let verdict = pool.verify(&realm(), &stored, &Secret::new("correct horse")).await.unwrap();
    assert_eq!(verdict, Verdict { ok: true, upgrade_wanted: false });
    assert!(!ok(&pool, &stored, "correct hors").await);
    assert!(!format!("{stored:?}").contains("value"));
}

/// Made with Python's `hashlib.pbkdf2_hmac` (password `password`, salt `0123456789abcdef`, 1000 iterations, 64 bytes).
const PBKDF2: [(&str, &str); 3] = [
    ("pbkdf2", "DYW+LTZG5wxyiF/qvsh40/+/hXltzAbMKUtORrf6q3M5hNgg3bUCVPbvuLO7vwE9k12aQTF+uVYjLh0cEVYmeA=="),
    ("pbkdf2-sha256", "hRRjgXWkW8ResfIvBP99J/T4vkgEmMRV/0tJTOjR59L1MlKxm2XwUi2/KU1ROdrq5HRVipHb+APuVX/nDe7r8w=="),
    ("pbkdf2-sha512", "38DzhdBT7fPaUGBlsh42VTuuKSFAIYGZJ7l6feCDLIl+K3hdPFgxxu7xuUi4gIuH6cEIoODn18xH9Ig2ryNgUw=="),
];

#[tokio::test]
async fn hashes_of_moved_in_users_verify_and_want_an_upgrade() {
    let pool = pool(1);
    for (algorithm, hash) in PBKDF2 {
        let secret = serde_json::json!({"value": hash, "salt": "MDEyMzQ1Njc4OWFiY2RlZg=="}).to_string();
        let data = serde_json::json!({"hashIterations": 1000, "algorithm": algorithm}).to_string();
        let stored = credential(&secret, &data);
        let verdict = pool.verify(&realm(), &stored, &Secret::new("password")).await.unwrap();
        assert_eq!(verdict, Verdict { ok: true, upgrade_wanted: true }, "{algorithm}");
        assert!(!ok(&pool, &stored, "Password").await, "{algorithm}");
    }
}

#[tokio::test]
async fn p_20_long_blank_and_unicode_passwords_are_whole() {
    let pool = pool(1);
    let long = "x".repeat(128);
    let cafe = ("caf\u{e9}", "cafe\u{301}");
    for (set, typed, expected) in [
        (long.as_str(), long.as_str(), true),
        (&long, &long[..127], false),
        ("  two blanks  ", "  two blanks  ", true),
        ("  two blanks  ", "two blanks", false),
        ("\u{1f511}\u{1f6aa}", "\u{1f511}\u{1f6aa}", true),
        (cafe.0, cafe.1, true),
        (cafe.1, cafe.0, true),
        (cafe.1, cafe.1, true),
        ("\u{fb01}", "fi", false),
    ] {
        let stored = hashed(&pool, set).await;
        assert_eq!(ok(&pool, &stored, typed).await, expected, "{set:?} {typed:?}");
    }
}

#[tokio::test]
async fn ds_09_te_15_monsters_are_refused_before_any_hash() {
    let pool = pool(1);
    let stored = hashed(&pool, "x").await;
    let before = pool.hash_calls();
    for bad in ["x".repeat(MAX_PASSWORD + 1), "x".repeat(1 << 20), "a\0b".to_owned()] {
        let bad = Secret::new(bad);
        assert_eq!(pool.hash(&realm(), &bad).await.err(), Some(Unhashed::Unacceptable));
        assert_eq!(pool.verify(&realm(), &stored, &bad).await, Err(Unhashed::Unacceptable));
        assert_eq!(pool.verify_nobody(&realm(), &bad).await, Err(Unhashed::Unacceptable));
    }
    assert_eq!(pool.hash_calls(), before);
    let longest = "x".repeat(MAX_PASSWORD);
    assert!(ok(&pool, &hashed(&pool, &longest).await, &longest).await);
}

#[tokio::test]
async fn en_01_nobody_costs_as_much_as_somebody() {
    let pool = pool(1);
    let stored = hashed(&pool, "right").await;
    let broken = credential("{}", "{}");
    for typed in ["wrong", "", "wro\u{301}ng"] {
        let password = Secret::new(typed);
        let mut spent = Vec::new();
        for target in [Some(&stored), Some(&broken), None] {
            let before = pool.hash_calls();
            let verdict = match target {
                Some(target) => pool.verify(&realm(), target, &password).await,
                None => pool.verify_nobody(&realm(), &password).await,
            };
            assert_eq!(verdict, Ok(Verdict { ok: false, upgrade_wanted: false }));
            spent.push(pool.hash_calls() - before);
        }
        assert!(spent[0] > 0 && spent.iter().all(|n| *n == spent[0]), "{typed:?}: {spent:?}");
    }
}

#[test]
fn absurd_parameters_are_refused() {
    let secret = r#"{"value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","salt":"AAAAAAAAAAAAAAAAAAAAAA=="}"#;
    let argon = |memory: &str, iterations: u64, lanes: &str| {
        serde_json::json!({"hashIterations": iterations, "algorithm": "argon2", "additionalParameters":
            {"memory": [memory], "parallelism": [lanes], "type": ["id"], "version": ["1.3"]}})
        .to_string()
    };
    let pbkdf2 = |n: u64| serde_json::json!({"hashIterations": n, "algorithm": "pbkdf2-sha256"}).to_string();
    for (data, fine) in [
        (argon("7168", 5, "1"), true),
        (argon("65536", 3, "4"), true),
        (argon("4194304", 1, "1"), false),
        (argon("65536", 1000, "1"), false),
        (argon("7168", 0, "1"), false),
        (argon("7168", 5, "0"), false),
        (argon("8", 5, "16"), false),
        (argon("x", 5, "1"), false),
        (argon("7168", 5_000_000_000, "1"), false),
        (pbkdf2(27_500), true),
        (pbkdf2(1_300_000), true),
        (pbkdf2(0), false),
        (pbkdf2(2_000_000_000), false),
        (r#"{"hashIterations":1,"algorithm":"bcrypt"}"#.to_owned(), false),
        ("{}".to_owned(), false),
        ("nonsense".to_owned(), false),
    ] {
        assert_eq!(check_stored(secret, &data).is_ok(), fine, "{data}");
    }
    let current = argon("7168", 5, "1");
    for bad in ["{}", r#"{"value":"AA==","salt":"AAAAAAAAAAAAAAAAAAAAAA=="}"#, r#"{"value":"!","salt":"!"}"#] {
        assert!(check_stored(bad, &current).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn ds_08_a_storm_is_bounded_and_others_are_served() {
    let pool = Arc::new(pool(1));
    let jobs: Vec<_> = (0..queue::MAX_PER_REALM + 40)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.verify_nobody(&RealmId::new("storm"), &Secret::new("x")).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let calm = pool.verify_nobody(&RealmId::new("calm"), &Secret::new("x")).await;
    assert!(calm.is_ok());
    for job in &jobs {
        job.abort();
    }
    let mut busy = 0;
    for job in jobs {
        busy += usize::from(matches!(job.await, Ok(Err(Unhashed::Busy))));
    }
    assert!(busy >= 38, "{busy}");
    assert!(pool.figures().busy >= 38);
    let calls = pool.hash_calls();
    assert!(calls < 40, "given up jobs are not hashed: {calls}");
}

#[test]
fn ds_26_a_job_that_panics_costs_no_thread() {
    let queue: Queue<Option<u8>> = Queue::new();
    let jobs = [None, Some(1), None, None, Some(2)];
    let tickets: Vec<Ticket> = jobs.into_iter().map(|job| queue.push(&realm(), job).unwrap()).collect();
    let mut done = Vec::new();
    work(&queue, |job| {
        let number = job.expect("a job nobody expected");
        done.push(number);
        if number == 2 {
            queue.close();
        }
    });
    assert_eq!(done, [1, 2]);
    drop(tickets);
}
