//! The contract of `Ephemeral`.

use std::sync::Arc;

use portcullis_core::ids::RealmId;
use portcullis_core::time::Now;
use portcullis_store::{Bounds, Ephemeral, EphemeralError, Key, Kind, MemoryEphemeral};

type Store = Arc<dyn Ephemeral>;

fn key(kind: Kind, id: &str) -> Key {
    Key::new(kind, RealmId::from("r"), id)
}

fn at(secs: i64) -> Now {
    Now::from_secs(secs)
}

pub(crate) async fn one_of_fifty_puts_a_new_value(store: Store) {
    let tasks: Vec<_> = (0..50u8)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let key = key(Kind::Replay, "jti");
                store.put_new(&key, vec![n], 100, at(10)).await.unwrap()
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += u8::from(task.await.unwrap());
    }
    assert_eq!(won, 1);
}

pub(crate) async fn one_of_fifty_takes_a_value(store: Store) {
    let code = key(Kind::Code, "hash");
    store.put(&code, b"v".to_vec(), 100, at(10)).await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.take(&key(Kind::Code, "hash"), at(10)).await.unwrap() })
        })
        .collect();
    let mut got = Vec::new();
    for task in tasks {
        got.extend(task.await.unwrap());
    }
    assert_eq!(got, [b"v".to_vec()]);
    assert_eq!(store.get(&code, at(10)).await.unwrap(), None);
}

pub(crate) async fn values_end_by_the_callers_clock(store: Store) {
    let flow = key(Kind::LoginFlow, "f");
    let value = Some(b"v".to_vec());
    store.put(&flow, b"v".to_vec(), 100, at(10)).await.unwrap();
    assert_eq!(store.get(&flow, at(99)).await.unwrap(), value);
    assert!(!store.put_new(&flow, vec![], 200, at(99)).await.unwrap());
    assert!(store.touch(&flow, 150, at(99)).await.unwrap());
    assert_eq!(store.get(&flow, at(149)).await.unwrap(), value);
    assert_eq!(store.get(&flow, at(150)).await.unwrap(), None);
    assert!(!store.touch(&flow, 300, at(150)).await.unwrap());
    assert!(store.put_new(&flow, b"w".to_vec(), 200, at(150)).await.unwrap());
    assert_eq!(store.take(&flow, at(200)).await.unwrap(), None);
    store.put(&flow, b"x".to_vec(), 300, at(200)).await.unwrap();
    store.put(&flow, b"y".to_vec(), 400, at(200)).await.unwrap();
    assert_eq!(store.get(&flow, at(399)).await.unwrap(), Some(b"y".to_vec()));
}

pub(crate) async fn counters_keep_their_end(store: Store) {
    let rate = key(Kind::Rate, "ip");
    assert_eq!(store.bump(&rate, 1, 100, at(10)).await.unwrap(), 1);
    assert_eq!(store.bump(&rate, 2, 500, at(99)).await.unwrap(), 3);
    assert_eq!(store.bump(&rate, -1, 500, at(99)).await.unwrap(), 2);
    assert_eq!(store.bump(&rate, 1, 200, at(100)).await.unwrap(), 1);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let slot = key(Kind::LoginSlot, "ada");
                store.bump(&slot, 1, 100, at(10)).await.unwrap()
            })
        })
        .collect();
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=50).collect::<Vec<i64>>());
}

pub(crate) async fn a_lease_has_one_holder_and_growing_fences(store: Store) {
    let turn = key(Kind::Lease, "sweep");
    let first = store.lease(&turn, "a", 100, at(10)).await.unwrap().unwrap();
    assert_eq!(store.lease(&turn, "b", 100, at(10)).await.unwrap(), None);
    let renewed = store.lease(&turn, "a", 150, at(90)).await.unwrap();
    assert_eq!(renewed, Some(first), "renewing keeps the number");
    assert_eq!(store.lease(&turn, "b", 200, at(149)).await.unwrap(), None);
    let second = store.lease(&turn, "b", 200, at(150)).await.unwrap();
    let second = second.unwrap();
    assert!(second > first);
    assert!(!store.release(&turn, "a").await.unwrap());
    assert!(store.release(&turn, "b").await.unwrap());
    let third = store.lease(&turn, "a", 300, at(160)).await.unwrap();
    assert!(third.unwrap() > second);
}

pub(crate) async fn realms_and_kinds_are_apart(store: Store) {
    let here = key(Kind::Code, "x");
    store.put(&here, b"v".to_vec(), 100, at(10)).await.unwrap();
    for other in [Key::new(Kind::Code, RealmId::from("s"), "x"), key(Kind::LoginFlow, "x"), key(Kind::Code, "y")] {
        assert_eq!(store.get(&other, at(10)).await.unwrap(), None);
        assert_eq!(store.take(&other, at(10)).await.unwrap(), None);
    }
    assert!(store.get(&here, at(10)).await.unwrap().is_some());
}

pub(crate) async fn wake_reaches_subscribers_of_the_topic(store: Store) {
    let mut one = store.subscribe("cutoffs").await.unwrap();
    let mut two = store.subscribe("cutoffs").await.unwrap();
    let mut other = store.subscribe("keys").await.unwrap();
    store.wake("cutoffs").await.unwrap();
    store.wake("nobody listens").await.unwrap();
    one.recv().await.unwrap();
    two.recv().await.unwrap();
    assert!(other.try_recv().is_err());
    drop((one, two));
    store.wake("cutoffs").await.unwrap();
    let mut late = store.subscribe("cutoffs").await.unwrap();
    assert!(late.try_recv().is_err());
    store.wake("cutoffs").await.unwrap();
    late.recv().await.unwrap();
}

pub(crate) async fn the_generation_stays_the_same(store: Store) {
    let born = store.generation().await.unwrap();
    let flow = key(Kind::LoginFlow, "f");
    store.put(&flow, vec![], 100, at(10)).await.unwrap();
    assert_eq!(store.generation().await.unwrap(), born);
    let other = MemoryEphemeral::new("born-2");
    assert_ne!(other.generation().await.unwrap(), born);
}

fn small() -> MemoryEphemeral {
    let bounds = Bounds { login_flows: 1, replays: 1, rates: 160, ..Bounds::default() };
    MemoryEphemeral::with_bounds("born", bounds)
}

#[tokio::test]
async fn ds_14_a_million_names_stay_within_the_bound() {
    let store = small();
    for n in 0..100_000 {
        let rate = key(Kind::Rate, &format!("ip{n}"));
        store.bump(&rate, 1, 100 + n, at(10)).await.unwrap();
    }
    assert!(store.len(Kind::Rate) <= 160);
    let last = key(Kind::Rate, "ip99999");
    assert_eq!(store.bump(&last, 1, 0, at(10)).await.unwrap(), 2);
}

#[tokio::test]
async fn ds_16_an_honest_flow_follows_a_flood() {
    let store = small();
    let flow = |id: &str| key(Kind::LoginFlow, id);
    store.put(&flow("old"), vec![1], 100, at(10)).await.unwrap();
    store.put(&flow("new"), vec![2], 110, at(20)).await.unwrap();
    assert_eq!(store.get(&flow("old"), at(20)).await.unwrap(), None);
    assert_eq!(store.get(&flow("new"), at(20)).await.unwrap(), Some(vec![2]));
    store.put(&flow("new"), vec![3], 110, at(20)).await.unwrap();
    assert_eq!(store.get(&flow("new"), at(20)).await.unwrap(), Some(vec![3]), "replacing needs no room");
}

#[tokio::test]
async fn dp_a_full_replay_store_refuses_rather_than_forgets() {
    let store = small();
    let jti = |id: &str| key(Kind::Replay, id);
    assert!(store.put_new(&jti("a"), vec![], 100, at(10)).await.unwrap());
    let full = store.put_new(&jti("b"), vec![], 100, at(10)).await;
    assert_eq!(full, Err(EphemeralError::Full));
    assert!(!store.put_new(&jti("a"), vec![], 100, at(10)).await.unwrap());
    assert!(store.put_new(&jti("b"), vec![], 200, at(100)).await.unwrap());
}
