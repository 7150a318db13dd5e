//! Tests of the dispatcher: a table of situations.

use serde_json::json;

use super::*;
use crate::claims::fixture;
use crate::login::flow::PasswordFacts;
use crate::login::flow::tests::request;
use crate::oauth::authorize::{AcrClaim, Prompt};

fn fresh() -> Stage {
    Stage::Fresh.password_given("user-alice".into(), 100, PasswordFacts::default()).unwrap()
}

fn single_sign_on() -> Stage {
    Stage::single_sign_on("user-alice".into(), "session-1".into(), 50, false)
}

fn step(stage: &Stage, change: impl FnOnce(&mut AuthorizeRequest, &mut User, &mut Client)) -> Step {
    let records = fixture::records();
    let (mut asked, mut user) = (request(), fixture::user());
    let mut client = records.client("app").unwrap().clone();
    change(&mut asked, &mut user, &mut client);
    next(stage, &Situation { records: &records, client: &client, request: &asked, user: Some(&user), consent: None })
}

fn records(profile: Profile) -> RealmRecords {
    match profile {
        Profile::Keycloak => fixture::records(),
        Profile::Strict => fixture::records_with(json!({ "attributes": { "portcullis.profile": "strict" } })),
    }
}

fn owes(alias: &str) -> impl FnOnce(&mut AuthorizeRequest, &mut User, &mut Client) {
    move |_, user, _| user.settings.required_actions = vec![alias.to_owned()]
}

fn silent(request: &mut AuthorizeRequest) {
    request.prompt = Prompt::parse("none");
}

#[test]
fn az_30_steps_follow_their_order_and_none_is_jumped_over() {
    assert_eq!(step(&Stage::Fresh, |_, _, _| ()), Step::Password);
    let again = Stage::Reauthenticate { session: "session-1".into(), user: "user-alice".into(), step_up: false };
    assert_eq!(step(&again, |_, _, _| ()), Step::Reauthenticate);
    assert!(matches!(step(&fresh(), |_, _, _| ()), Step::Issue(proof) if proof.fresh));
    assert!(matches!(step(&single_sign_on(), |_, _, _| ()), Step::Issue(proof) if !proof.fresh));
    assert_eq!(step(&fresh(), owes("UPDATE_PASSWORD")), Step::Action(RequiredAction::UpdatePassword));
    assert_eq!(step(&single_sign_on(), owes("VERIFY_EMAIL")), Step::Action(RequiredAction::VerifyEmail));
    assert_eq!(step(&fresh(), owes("NEW_ONE")), Step::Action(RequiredAction::Other("NEW_ONE".to_owned())));
    assert_eq!(step(&fresh(), |_, _, client| client.settings.consent_required = true), Step::Consent);
    let facts = PasswordFacts { second_factor_owed: true, remember_me: false };
    let half = Stage::Fresh.password_given("user-alice".into(), 100, facts).unwrap();
    assert_eq!(step(&half, owes("UPDATE_PASSWORD")), Step::SecondFactor);
}

#[test]
fn az_21_an_account_switched_off_meanwhile_proves_nothing() {
    assert_eq!(step(&fresh(), |_, user, _| user.enabled = false), Step::Password);
    assert_eq!(step(&fresh(), |_, user, _| user.id = "user-bob".into()), Step::Password);
}

#[test]
fn az_09_prompt_none_never_shows_a_page() {
    let again = Stage::Reauthenticate { session: "session-1".into(), user: "user-alice".into(), step_up: false };
    for (stage, expected) in [(Stage::Fresh, Reason::LoginRequired), (again, Reason::LoginRequired)] {
        assert_eq!(step(&stage, |request, _, _| silent(request)), Step::Refuse(expected));
    }
    let consent = step(&single_sign_on(), |request, _, client| {
        silent(request);
        client.settings.consent_required = true;
    });
    assert_eq!(consent, Step::Refuse(Reason::InteractionRequired));
    let action = step(&single_sign_on(), |request, user, _| {
        silent(request);
        user.settings.required_actions = vec!["UPDATE_PASSWORD".to_owned()];
    });
    assert_eq!(action, Step::Refuse(Reason::InteractionRequired));
    assert!(matches!(step(&single_sign_on(), |request, _, _| silent(request)), Step::Issue(_)));
}

#[test]
fn az_10_an_old_session_does_not_stand_for_a_fresh_login() {
    let session = fixture::session(100);
    let enter = |json: serde_json::Value, profile, now| {
        let mut asked = request();
        asked.prompt = Prompt::parse(json["prompt"].as_str().unwrap_or_default());
        asked.max_age = json["max_age"].as_i64();
        let records = records(profile);
        entry(&records, records.client("app"), &asked, Some(&session), now)
    };
    let (keycloak, strict) = (Profile::Keycloak, Profile::Strict);
    for (asked, profile, now, again) in [
        (json!({}), strict, 5000, false),
        (json!({ "prompt": "login" }), strict, 100, true),
        (json!({ "prompt": "login" }), keycloak, 100, true),
        (json!({ "max_age": 60 }), strict, 160, false),
        (json!({ "max_age": 60 }), strict, 161, true),
        (json!({ "max_age": 60 }), keycloak, 161, true),
        (json!({ "max_age": 0 }), strict, 100, true),
        (json!({ "max_age": 0 }), keycloak, 100, false),
        (json!({ "max_age": 0 }), keycloak, 101, true),
    ] {
        let stage = enter(asked.clone(), profile, now);
        assert_eq!(matches!(stage, Stage::Reauthenticate { .. }), again, "{asked} {profile:?} {now}");
    }
    let records = records(strict);
    assert_eq!(entry(&records, records.client("app"), &request(), None, 0), Stage::Fresh);
}

#[test]
fn mf_09_az_31_a_level_that_is_asked_for_is_proven_anew_and_never_silently_lower() {
    let session = fixture::session(100);
    let claim = |essential, value: &str| Some(AcrClaim { essential, values: vec![value.to_owned()] });
    let unmet = Step::Refuse(Reason::UnmetAuthenticationRequirements);
    for profile in [Profile::Keycloak, Profile::Strict] {
        let records = records(profile);
        let client = records.client("app").unwrap();
        for (claim, wished, steps_up, refused) in [
            (None, "", false, false),
            (None, "0", false, false),
            (None, "gold", false, false),
            (None, "1", true, false),
            (None, "2", true, false),
            (None, "2 1", true, false),
            (claim(false, "2"), "", true, false),
            (claim(true, "0"), "", false, false),
            (claim(true, "1"), "", true, false),
            (claim(true, "2"), "1", true, true),
            (claim(true, "99"), "", true, true),
            (claim(true, "gold"), "", true, true),
        ] {
            let what = format!("{claim:?} {wished} {profile:?}");
            let mut asked = request();
            asked.acr_claim = claim;
            asked.acr_values = wished.split_whitespace().map(str::to_owned).collect();
            let stage = entry(&records, Some(client), &asked, Some(&session), 100);
            assert_eq!(matches!(stage, Stage::Reauthenticate { step_up: true, .. }), steps_up, "{what}");
            let user = fixture::user();
            let at = Situation { records: &records, client, request: &asked, user: Some(&user), consent: None };
            let proven = Stage::Fresh.password_given(user.id.clone(), 100, PasswordFacts::default()).unwrap();
            assert_eq!(next(&proven, &at) == unmet, refused, "{what}");
            assert_eq!(matches!(next(&proven, &at), Step::Issue(_)), !refused, "{what}");
            let silent = AuthorizeRequest { prompt: Prompt::parse("none"), ..asked.clone() };
            let quiet = next(&stage, &Situation { request: &silent, ..at });
            assert_eq!(quiet == Step::Refuse(Reason::LoginRequired), steps_up, "{what}");
        }
    }
}
