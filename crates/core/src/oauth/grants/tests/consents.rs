//! RT-09, TE-35: what the user takes back is gone at the next exchange or refresh.

use super::*;

fn consent(scopes: &[&str]) -> Option<Consent> {
    let scopes = scopes.iter().map(|s| format!("scope-{s}").as_str().into()).collect();
    Some(Consent { user: "user-alice".into(), client: "uuid-asker".into(), scopes, created: 1, updated: 1 })
}

const WHOLE: &[&str] = &["basic", "profile", "email", "roles", "phone"];

fn world() -> World {
    let mut world = World::new(json!({}));
    world.code.as_mut().unwrap().client = "uuid-asker".into();
    world.consent = consent(WHOLE);
    world
}

#[test]
fn te_35_a_code_without_the_users_consent_gives_nothing_and_dies() {
    for (given, good) in [(consent(WHOLE), true), (consent(&WHOLE[..4]), false), (None, false)] {
        let mut world = world();
        world.consent = given;
        let (writes, answer) = outcome(world.exchange("asker", GOOD));
        assert_eq!(answer.err(), (!good).then_some(Reason::ConsentWithdrawn));
        assert!(writes.iter().any(|write| name(write) == "TakeCode"), "PC-07");
        // Taking a consent back raises the user's version, so it is lost in no race.
        assert_eq!(writes.iter().any(|write| name(write) == "ExpectUser"), good);
    }
}

#[test]
fn rt_09_a_refresh_after_the_consent_is_gone_gives_nothing() {
    let mut world = world();
    let (writes, claims) = outcome(world.exchange("asker", GOOD));
    world.apply(writes);
    let claims = claims.unwrap();
    let good = outcome(world.refresh("asker", &[], Some(&claims))).1;
    assert!(good.is_ok());
    for given in [consent(&WHOLE[..3]), None] {
        world.consent = given;
        let (writes, answer) = outcome(world.refresh("asker", &[], Some(&claims)));
        assert_eq!(answer.unwrap_err(), Reason::ConsentWithdrawn);
        assert!(writes.iter().all(|write| name(write) == "Audit"));
    }
}
