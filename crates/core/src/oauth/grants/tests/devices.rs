//! RFC 8628 §3.4, §3.5.

use super::super::device;
use super::*;
use crate::oauth::device::hash;
use crate::pending::{DeviceGrant, DeviceRequest, DeviceState};

/// A world whose login approved a device of `tv`.
fn approved(settings: serde_json::Value) -> (World, DeviceGrant) {
    let mut world = World::new(settings);
    let session = world.session.clone().unwrap();
    world.below = Some(ClientSession {
        session: session.id.clone(),
        client: "uuid-tv".into(),
        started: START,
        grant: crate::session::Grant { acr: Some("1".to_owned()), ..fixture::grant("openid") },
        last_refresh: START,
    });
    let grant = DeviceGrant {
        hash: hash("device"),
        user_code: [1; 32],
        client: "uuid-tv".into(),
        request: DeviceRequest {
            scope: "openid phone".to_owned(),
            nonce: Some("n-2".to_owned()),
            challenge: None,
            asked_at: START,
        },
        state: DeviceState::Approved { user: "user-alice".into(), session: session.id },
        expires_at: START + 600,
        last_poll: 0,
        interval: 5,
    };
    (world, grant)
}

const POLL: &[(&str, &str)] = &[("device_code", "device")];

fn poll<'a>(world: &'a World, client: &str, form: &[(&str, &str)], grant: Option<&'a DeviceGrant>) -> Decision<'a> {
    let loaded = device::Loaded { grant, login: world.stored() };
    device::decide(&world.cx(), &world.client(client), &params(form), loaded)
}

#[test]
fn pc_19_the_grant_is_taken_with_its_tokens() {
    for (settings, family) in [(json!({}), None), (strict(), Some("CreateLineage"))] {
        let (world, grant) = approved(settings);
        let decision = poll(&world, "tv", POLL, Some(&grant));
        let mut expected = vec!["ExpectClient", "ExpectUser", "ExpectUserSession", "PutClientSession"];
        expected.extend(family);
        expected.push("TakeDevice");
        assert_eq!(names(&decision), expected);
        let issue = decision.answer.unwrap();
        let access: serde_json::Value = serde_json::from_slice(&issue.access("x").json).unwrap();
        assert!(access["jti"].as_str().unwrap().starts_with("onrtdg:"), "{access}");
        let id: serde_json::Value = serde_json::from_slice(&issue.id("x", "h").unwrap()).unwrap();
        assert_eq!((&id["nonce"], &id["acr"], &id["aud"]), (&json!("n-2"), &json!("1"), &json!("tv")));
    }
}

#[test]
fn pc_18_rfc_8628_3_5_pending_denied_expired_and_too_fast() {
    let at = |state: DeviceState, last_poll: i64, interval: i64| {
        let (world, grant) = approved(json!({}));
        (world, DeviceGrant { state, last_poll, interval, ..grant })
    };
    let yes = || approved(json!({})).1.state;
    let now = START + 5;
    for (name, (world, grant), reason, writes) in [
        ("pending", at(DeviceState::Pending, 0, 5), Reason::AuthorizationPending, &["PollDevice"][..]),
        ("in time", at(DeviceState::Pending, now - 5, 5), Reason::AuthorizationPending, &["PollDevice"]),
        ("too fast", at(DeviceState::Pending, now - 4, 5), Reason::SlowDown, &[]),
        ("too fast for a grown interval", at(DeviceState::Pending, now - 9, 10), Reason::SlowDown, &[]),
        ("too fast after a yes", at(yes(), now - 1, 5), Reason::SlowDown, &[]),
        ("denied", at(DeviceState::Denied, 0, 5), Reason::DeviceDenied, &[]),
    ] {
        let decision = poll(&world, "tv", POLL, Some(&grant));
        assert_eq!(names(&decision), writes, "{name}");
        assert_eq!(decision.answer.unwrap_err(), reason, "{name}");
    }
    for state in [DeviceState::Pending, DeviceState::Denied, yes()] {
        let (mut world, grant) = at(state, 0, 5);
        world.now = grant.expires_at;
        assert_eq!(poll(&world, "tv", POLL, Some(&grant)).answer.unwrap_err(), Reason::DeviceCodeExpired);
    }
}

#[test]
fn rfc_8628_3_5_in_a_strict_realm_slow_down_grows_by_five() {
    let (world, grant) = approved(strict());
    let now = START + 5;
    for (interval, grown) in [(5, Some(10)), (55, Some(60)), (60, None)] {
        let grant = DeviceGrant { state: DeviceState::Pending, last_poll: now - 1, interval, ..grant.clone() };
        let decision = poll(&world, "tv", POLL, Some(&grant));
        let written = decision.plan.writes.iter().find_map(|write| match write {
            Write::PollDevice { from, at, interval, .. } => Some((*from, *at, *interval)),
            _ => None,
        });
        assert_eq!(written, grown.map(|grown| (now - 1, now, grown)), "{interval}");
        assert_eq!(decision.answer.unwrap_err(), Reason::SlowDown);
    }
}

#[test]
fn pc_19_other_clients_and_other_codes_touch_nothing() {
    let (world, grant) = approved(json!({}));
    for (name, client, form, found, reason) in [
        ("another client", "box", POLL, Some(&grant), Reason::DeviceCodeOfAnotherClient),
        ("unknown", "tv", POLL, None, Reason::DeviceCodeNotValid),
        ("empty", "tv", &[("device_code", "")][..], None, Reason::DeviceCodeNotValid),
        ("none", "tv", &[], None, Reason::MissingDeviceCode),
    ] {
        let decision = poll(&world, client, form, found);
        assert_eq!((names(&decision), decision.answer.unwrap_err()), (vec![], reason), "{name}");
    }
}

#[test]
fn pc_06_pc_07_a_verifier_that_does_not_fit_spends_the_code_of_a_strict_realm() {
    let other = "x".repeat(43);
    let wrong = [("device_code", "device"), ("code_verifier", other.as_str())];
    for (realm, spent) in [(json!({}), vec![]), (strict(), vec!["TakeDevice"])] {
        let (world, mut grant) = approved(realm);
        challenge(&mut grant);
        for (form, reason) in [(POLL, Reason::PkceVerifierMissing), (&wrong[..], Reason::PkceMismatch)] {
            let decision = poll(&world, "tv", form, Some(&grant));
            assert_eq!((names(&decision), decision.answer.unwrap_err()), (spent.clone(), reason));
        }
    }
}

#[test]
fn te_16_pc_15_what_ended_since_the_yes_ends_the_grant() {
    type Change = fn(&mut World, &mut DeviceGrant);
    let cases: [(&str, Change, Reason); 6] = [
        ("user disabled", |w, _| w.user.as_mut().unwrap().enabled = false, Reason::UserDisabled),
        ("user gone", |w, _| w.user = None, Reason::UserNotFound),
        ("another user", |_, g| replace(g, "user-bob", "session-1"), Reason::UserNotFound),
        ("logged out", |w, _| w.session = None, Reason::UserSessionNotFound),
        ("idle", |w, _| w.session.as_mut().unwrap().last_seen = START - 4000, Reason::SessionNotActive),
        ("client detached", |w, _| w.below = None, Reason::SessionWithoutClient),
    ];
    for (name, change, reason) in cases {
        let (mut world, mut grant) = approved(json!({}));
        change(&mut world, &mut grant);
        let decision = poll(&world, "tv", POLL, Some(&grant));
        assert_eq!((names(&decision), decision.answer.unwrap_err()), (vec!["TakeDevice"], reason), "{name}");
    }
    let (world, mut grant) = approved(json!({}));
    challenge(&mut grant);
    let form = [("device_code", "device"), ("code_verifier", VERIFIER)];
    assert!(poll(&world, "tv", &form, Some(&grant)).answer.is_ok());
}

fn replace(grant: &mut DeviceGrant, user: &str, session: &str) {
    grant.state = DeviceState::Approved { user: user.into(), session: session.into() };
}

fn challenge(grant: &mut DeviceGrant) {
    grant.request.challenge = Some(CodeChallenge { challenge: CHALLENGE.to_owned(), method: ChallengeMethod::S256 });
}
