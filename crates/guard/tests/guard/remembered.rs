//! The memory of verified tokens (JW-24).

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::common::{Api, NOW, claims, signed, with};

#[tokio::test]
async fn jw_24_two_tokens_never_share_an_answer() {
    let api = Api::new(&["good"]);
    let tokens: Vec<String> = (0..20).map(|n| signed("good", &with(json!({"sub": format!("u{n}")})))).collect();
    for _ in 0..2 {
        for (n, token) in tokens.iter().enumerate() {
            assert_eq!(api.get("/me", token).await.body.get("subject"), Some(&json!(format!("u{n}"))));
        }
    }
    // Same header and payload, another signature: only the whole token is the key.
    let honest = tokens.first().unwrap();
    let (input, _) = honest.rsplit_once('.').unwrap();
    let (_, strange) = tokens.last().unwrap().rsplit_once('.').unwrap();
    assert_eq!(api.refused(&format!("{input}.{strange}")).await, "bad_signature");
}

#[tokio::test]
async fn jw_24_a_remembered_yes_ends_with_the_token() {
    for entries in [0, 1, 10_000] {
        let api = Api::built(&["good"], |b| b.cache_entries(entries));
        let token = signed("good", &claims());
        for (after, expected) in [(0, 200), (299, 200), (309, 200), (310, 401), (1, 200)] {
            api.clock.store(NOW + after, Ordering::SeqCst);
            assert_eq!(api.status(&token).await, expected, "{entries} entries, {after} s");
        }
        let strict = Api::built(&["good"], |b| b.cache_entries(entries).leeway(0));
        assert_eq!(strict.status(&token).await, 200);
        strict.clock.store(NOW + 300, Ordering::SeqCst);
        assert_eq!(strict.refused(&token).await, "expired");
    }
}

#[tokio::test]
async fn jw_24_demands_are_judged_after_the_memory_and_guards_share_none() {
    let api = Api::new(&["good"]);
    let token = signed("good", &claims());
    for _ in 0..2 {
        assert_eq!(api.get("/read", &token).await.status, 200);
        assert_eq!(api.get("/both", &token).await.status, 403);
        assert_eq!(api.get("/admin", &token).await.status, 403);
    }
    let other = Api::built(&["good"], |b| b.audience("billing"));
    assert_eq!(other.refused(&token).await, "wrong_audience");
}
