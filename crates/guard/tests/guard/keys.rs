//! Keys come and go (JW-27, DS-10, DS-11, I5).

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::common::{Api, NOW, claims, forge, header, key, signed, with};

#[tokio::test]
async fn ds_10_an_unknown_key_asks_once_and_only_for_our_issuer() {
    let api = Api::new(&["good"]);
    assert_eq!(api.refused(&signed("new", &claims())).await, "unknown_key");
    assert_eq!(api.source.asked(), 1, "one refresh, then the answer");
    for hopeless in [
        signed("new", &with(json!({"iss": "https://elsewhere.example"}))),
        forge(key("new"), r#"{"alg":"HS256","typ":"JWT","kid":"new"}"#, &claims().to_string()),
        forge(key("new"), &header(key("new"), "logout+jwt"), &claims().to_string()),
        forge(key("rsa"), r#"{"alg":"RS256","typ":"JWT","kid":"good"}"#, &claims().to_string()),
        forge(key("new"), r#"{"alg":"EdDSA","typ":"JWT"}"#, &claims().to_string()),
        "garbage".to_owned(),
    ] {
        api.refused(&hopeless).await;
    }
    assert_eq!(api.source.asked(), 1, "what no key could save asks nobody");
    assert_eq!(api.status(&signed("good", &claims())).await, 200);
    assert_eq!(api.source.asked(), 1);
    api.source.will_find(&["good", "new"]);
    assert_eq!(api.status(&signed("new", &claims())).await, 200);
    assert_eq!(api.status(&signed("new", &claims())).await, 200);
    assert_eq!(api.source.asked(), 2, "found by one refresh");
}

#[tokio::test]
async fn ds_11_no_keys_is_503_and_never_a_pass() {
    let api = Api::new(&[]);
    let answer = api.get("/me", &signed("good", &claims())).await;
    assert_eq!((answer.status.as_u16(), api.reason()), (503, "no_keys"));
    assert_eq!(answer.header("retry-after"), "30");
    assert_eq!(answer.header("www-authenticate"), "");
    assert_eq!(answer.body.get("status"), Some(&json!(503)));
    assert_eq!(api.source.asked(), 1);
    for hopeless in [
        "garbage".to_owned(),
        signed("good", &with(json!({"iss": "https://elsewhere.example"}))),
        forge(key("good"), &header(key("good"), "logout+jwt"), &claims().to_string()),
    ] {
        api.refused(&hopeless).await;
    }
    assert_eq!(api.source.asked(), 1, "what no key could save asks nobody");
}

#[tokio::test]
async fn ds_11_the_first_request_fetches_and_good_keys_survive_an_outage() {
    let api = Api::new(&[]);
    api.source.will_find(&["good"]);
    assert_eq!(api.status(&signed("good", &claims())).await, 200);
    assert_eq!(api.source.asked(), 1);
    // The issuer goes away: a refresh brings nothing, the keys at hand stay.
    *api.source.next.lock().unwrap() = None;
    assert_eq!(api.refused(&signed("new", &claims())).await, "unknown_key");
    assert_eq!(api.status(&signed("good", &with(json!({"sub": "u2"})))).await, 200);
}

#[tokio::test]
async fn jw_27_a_removed_key_ends_even_remembered_tokens() {
    let api = Api::new(&["good", "new"]);
    let (old, new) = (signed("good", &claims()), signed("new", &claims()));
    assert_eq!((api.status(&old).await, api.status(&new).await), (200, 200));
    *api.source.held.lock().unwrap() = Some(crate::common::set(&["new"]));
    api.source.will_find(&["new"]);
    assert_eq!(api.refused(&old).await, "unknown_key");
    assert_eq!(api.status(&new).await, 200, "the rotated key lives on");
}

#[tokio::test]
async fn ageing_keys_are_renewed_beside_the_requests() {
    let api = Api::new(&["good"]);
    api.source.ageing.store(true, Ordering::SeqCst);
    let token = signed("good", &claims());
    for _ in 0..5 {
        assert_eq!(api.status(&token).await, 200);
    }
    tokio::task::yield_now().await;
    assert_eq!(api.source.asked(), 1, "one task for all");
    api.clock.store(NOW + 10, Ordering::SeqCst);
    assert_eq!(api.status(&token).await, 200);
    tokio::task::yield_now().await;
    assert_eq!(api.source.asked(), 2, "and another when it is still needed");
    api.source.ageing.store(false, Ordering::SeqCst);
    api.clock.store(NOW + 20, Ordering::SeqCst);
    assert_eq!(api.status(&token).await, 200);
    tokio::task::yield_now().await;
    assert_eq!(api.source.asked(), 2);
}
