use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use portcullis_jose::{Algorithm, SigningKey};

use super::*;
use crate::door::Reach;

#[derive(Default)]
struct Fake {
    issuer: std::sync::OnceLock<String>,
    keys: std::sync::Mutex<String>,
    fetches: AtomicUsize,
}

fn set_of(kids: &[&str]) -> String {
    let keys: Vec<_> = kids
        .iter()
        .map(|kid| {
            SigningKey::generate(Algorithm::ES256, *kid, &mut |b| b.fill(7)).unwrap().0.public_jwk().unwrap().to_value()
        })
        .collect();
    serde_json::json!({ "keys": keys }).to_string()
}

async fn fake(kids: &[&str]) -> Arc<Fake> {
    let fake = Arc::new(Fake { keys: set_of(kids).into(), ..Fake::default() });
    let router = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(async |State(f): State<Arc<Fake>>| {
                let issuer = f.issuer.get().unwrap();
                axum::Json(serde_json::json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }))
            }),
        )
        .route(
            "/keys",
            get(async |State(f): State<Arc<Fake>>| {
                f.fetches.fetch_add(1, Ordering::SeqCst);
                f.keys.lock().unwrap().clone()
            }),
        )
        .with_state(Arc::clone(&fake));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    fake.issuer.set(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    fake
}

fn keys_of(fake: &Fake, cool_down: Duration) -> IssuerKeys {
    let policy = KeyPolicy { cool_down, ..KeyPolicy::default() };
    IssuerKeys::new(fake.issuer.get().unwrap(), Door::new(Reach::Configured).unwrap(), policy)
}

#[tokio::test]
async fn ds_10_ds_28_a_flood_of_unknown_kids_makes_one_fetch_per_cool_down() {
    let fake = fake(&["a"]).await;
    let keys = Arc::new(keys_of(&fake, Duration::from_secs(3600)));
    let flood: Vec<_> = (0..50)
        .map(|_| {
            let keys = Arc::clone(&keys);
            tokio::spawn(async move { keys.refresh().await.unwrap().has_kid("a") })
        })
        .collect();
    for one in flood {
        assert!(one.await.unwrap());
    }
    assert_eq!(fake.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_new_key_is_found_once_the_cool_down_is_over() {
    let fake = fake(&["a"]).await;
    let keys = keys_of(&fake, Duration::ZERO);
    assert!(!keys.refresh().await.unwrap().has_kid("b"));
    *fake.keys.lock().unwrap() = set_of(&["a", "b"]);
    assert!(keys.refresh().await.unwrap().has_kid("b"));
}

#[tokio::test]
async fn ds_11_garbage_and_empty_answers_keep_the_last_good_keys() {
    let fake = fake(&["a"]).await;
    let keys = keys_of(&fake, Duration::ZERO);
    keys.refresh().await.unwrap();
    for bad in ["", "{}", "{\"keys\":[]}", "<html>", "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AAAA\"}]}"] {
        *fake.keys.lock().unwrap() = bad.to_owned();
        assert!(keys.refresh().await.unwrap().has_kid("a"), "{bad}");
    }
    assert_eq!(fake.fetches.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn no_keys_is_an_error_and_not_an_empty_set() {
    let fake = fake(&[]).await;
    let keys = keys_of(&fake, Duration::ZERO);
    assert_eq!(keys.refresh().await.err(), Some(NoKeys));
    assert!(keys.at_hand().is_none());
}

#[tokio::test]
async fn oidc_discovery_4_3_another_issuer_is_refused() {
    let fake = fake(&["a"]).await;
    let door = Door::new(Reach::Configured).unwrap();
    let slashed = format!("{}/", fake.issuer.get().unwrap());
    assert!(Metadata::fetch(&door, &slashed).await.unwrap_err().to_string().contains("expected"));
    assert!(Metadata::fetch(&door, fake.issuer.get().unwrap()).await.is_ok());
}

#[test]
fn ds_28_processes_that_began_together_do_not_renew_together() {
    let whole = Duration::from_secs(300);
    let times: std::collections::BTreeSet<Duration> = (0..200).map(|_| spread(whole)).collect();
    assert!(times.iter().all(|time| *time <= whole && *time > whole - whole / 5), "{times:?}");
    assert!(times.len() > 50, "{} moments for 200 processes", times.len());
    assert_eq!(spread(Duration::ZERO), Duration::ZERO);
}
