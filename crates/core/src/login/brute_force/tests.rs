//! Tests of the counter: Keycloak's settings as a table, and properties.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::claims::fixture;

fn settings(more: serde_json::Value) -> RealmSettings {
    let mut all = json!({ "bruteForceProtected": true, "failureFactor": 3 });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fixture::realm(all).settings
}

fn fail(row: Option<LoginFailures>, settings: &RealmSettings, now: i64) -> LoginFailures {
    failed(row, (LoginKey("k".to_owned()), None), settings, "ip", Now::from_secs(now))
}

fn fail_times(n: usize, settings: &RealmSettings, start: i64) -> LoginFailures {
    let mut row = None;
    for i in 0..n {
        row = Some(fail(row, settings, start + 10 * i64::try_from(i).unwrap()));
    }
    row.unwrap()
}

#[test]
fn en_06_the_slots_shrink_with_every_failure() {
    let settings = settings(json!({}));
    assert_eq!(standing(None, &settings, Now::from_secs(0)), Standing::Allowed { slots: 3 });
    for (failures, slots) in [(1, 2), (2, 1)] {
        let row = fail_times(failures, &settings, 1000);
        assert_eq!(standing(Some(&row), &settings, Now::from_secs(1050)), Standing::Allowed { slots });
    }
    let row = fail_times(3, &settings, 1000);
    assert_eq!((row.not_before, row.version, row.temporary_lockouts), (1020 + 60, 3, 1));
    assert_eq!(standing(Some(&row), &settings, Now::from_secs(1079)), Standing::Locked);
    assert_eq!(standing(Some(&row), &settings, Now::from_secs(1080)), Standing::Allowed { slots: 3 });
}

#[test]
fn keycloaks_waits_grow_up_to_their_limit() {
    let wait = |json, failures| {
        let settings = settings(json);
        let row = fail_times(failures, &settings, 1000);
        let last = row.last_failure / 1000;
        (row.not_before - last).max(0)
    };
    assert_eq!(wait(json!({}), 2), 0);
    assert_eq!(wait(json!({}), 3), 60);
    assert_eq!(wait(json!({}), 6), 120);
    assert_eq!(wait(json!({ "maxFailureWaitSeconds": 90 }), 6), 90);
    assert_eq!(wait(json!({ "waitIncrementSeconds": 0 }), 3), 1);
    assert_eq!(wait(json!({ "quickLoginCheckMilliSeconds": 11_000, "minimumQuickLoginWaitSeconds": 7 }), 2), 7);
}

#[test]
fn a_permanent_lock_ends_by_an_administrator_only() {
    let settings = settings(json!({ "permanentLockout": true }));
    let row = fail_times(3, &settings, 1000);
    assert_eq!(standing(Some(&row), &settings, Now::from_secs(i64::MAX / 2000)), Standing::Locked);
    let later = self::settings(json!({ "permanentLockout": true, "maxTemporaryLockouts": 1 }));
    assert!(fail_times(3, &later, 1000).not_before < FOREVER);
    assert_eq!(fail_times(6, &later, 1000).not_before, FOREVER);
}

#[test]
fn old_failures_are_forgotten_and_a_realm_without_protection_never_locks() {
    let settings = settings(json!({ "maxDeltaTimeSeconds": 100 }));
    let row = fail_times(2, &settings, 1000);
    assert_eq!(standing(Some(&row), &settings, Now::from_secs(1200)), Standing::Allowed { slots: 3 });
    assert_eq!(fail(Some(row), &settings, 1200).failures, 1);
    let open = fixture::realm(json!({})).settings;
    let row = fail_times(99, &open, 0);
    assert_eq!((row.failures, row.not_before), (99, 0));
    assert_eq!(standing(Some(&row), &open, Now::from_secs(0)), Standing::Allowed { slots: UNLIMITED });
}

#[test]
fn en_08_all_spellings_of_a_name_are_one() {
    for name in ["alice", "ALICE", " Alice ", "\u{ff41}lice", "Al\u{131}ce".replace('\u{131}', "i").as_str()] {
        assert_eq!(canonical(name), "alice", "{name}");
    }
    assert_eq!(canonical("e\u{301}"), canonical("\u{e9}"));
    let realm = RealmId::new("r");
    let user = UserId::new("alice");
    let key = |subject, device| login_key(b"secret", &realm, subject, device);
    let keys = [
        key(Subject::Account(&user), None),
        key(Subject::Nobody("alice"), None),
        key(Subject::Account(&user), Some(&[1; 32])),
        key(Subject::Account(&user), Some(&[2; 32])),
        login_key(b"other", &realm, Subject::Account(&user), None),
        login_key(b"secret", &RealmId::new("s"), Subject::Account(&user), None),
    ];
    for (i, one) in keys.iter().enumerate() {
        assert!(keys.iter().skip(i + 1).all(|other| other != one), "{i}");
    }
}

proptest! {
    /// Whatever is typed when, an allowed attempt has a slot, and as many wrong ones as there are slots bring a rest.
    #[test]
    fn en_06_no_more_failures_than_slots_before_a_rest(gaps in proptest::collection::vec(2_i64..200, 1..40), factor in 1_i64..8) {
        let settings = settings(json!({ "failureFactor": factor }));
        let (mut now, mut row, mut since_rest) = (10_000, None, 0);
        for gap in gaps {
            now += gap;
            match standing(row.as_ref(), &settings, Now::from_secs(now)) {
                Standing::Locked => since_rest = 0,
                Standing::Allowed { slots } => {
                    prop_assert!(slots >= 1 && slots <= factor);
                    row = Some(fail(row, &settings, now));
                    since_rest += 1;
                    let resting = standing(row.as_ref(), &settings, Now::from_secs(now)) == Standing::Locked;
                    prop_assert_eq!(resting, slots == 1);
                    prop_assert!(since_rest <= factor);
                    if resting { since_rest = 0; }
                }
            }
        }
    }

    #[test]
    fn en_08_canonical_names_stay_canonical(name in "\\PC{0,20}") {
        let once = canonical(&name);
        prop_assert_eq!(canonical(&once), once.clone());
        prop_assert_eq!(canonical(&name.to_ascii_uppercase()), once);
    }
}
