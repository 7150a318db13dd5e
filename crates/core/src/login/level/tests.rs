//! Tests of levels: tables of requests, realms and sessions.

use serde_json::json;

use super::*;
use crate::claims::fixture;
use crate::login::flow::tests::request;

fn with_client(attributes: &[(&str, &str)], check: impl FnOnce(&RealmRecords, &Client)) {
    let records = fixture::records_with(json!({ "attributes": { NAMES: r#"{"bronze":1,"silver":2,"gold":3}"# } }));
    let mut client = records.client("app").unwrap().clone();
    client.settings.attributes.extend(attributes.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    check(&records, &client);
}

fn asks(wished: &str, claim: Option<(bool, &[&str])>) -> AuthorizeRequest {
    let mut asked = request();
    asked.acr_values = wished.split_whitespace().map(str::to_owned).collect();
    let values = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
    asked.acr_claim = claim.map(|(essential, of)| AcrClaim { essential, values: values(of) });
    asked
}

/// A browser flow with a password at level 1 and a one-time code at level 2, as Keycloak's guide for step-up builds it.
fn stepping() -> Value {
    let condition = |config: &str| json!({ "authenticator": "conditional-level-of-authentication", "authenticatorConfig": config, "requirement": "REQUIRED" });
    let config = |alias: &str, level: &str, age: &str| json!({ "alias": alias, "config": { "loa-condition-level": level, "loa-max-age": age } });
    json!({
        "browserFlow": "step-up",
        "authenticationFlows": [
            { "alias": "browser", "authenticationExecutions": [{ "authenticator": "auth-username-password-form" }] },
            { "alias": "step-up", "authenticationExecutions": [
                { "authenticator": "auth-cookie", "requirement": "ALTERNATIVE" },
                { "flowAlias": "forms", "requirement": "ALTERNATIVE" },
            ] },
            { "alias": "forms", "authenticationExecutions": [
                { "flowAlias": "first", "requirement": "CONDITIONAL" },
                { "flowAlias": "second", "requirement": "CONDITIONAL" },
                { "flowAlias": "forms", "requirement": "CONDITIONAL" },
                { "flowAlias": "off", "requirement": "DISABLED" },
            ] },
            { "alias": "first", "authenticationExecutions": [
                condition("one"), { "authenticator": "auth-username-password-form", "requirement": "REQUIRED" },
            ] },
            { "alias": "second", "authenticationExecutions": [
                condition("two"), { "authenticator": "auth-otp-form", "requirement": "REQUIRED" },
            ] },
            { "alias": "off", "authenticationExecutions": [condition("three")] },
        ],
        "authenticatorConfig": [config("one", "1", "36000"), config("two", "2", "300"), config("three", "3", "9")],
    })
}

fn notes(proven: &[(&str, i64)]) -> Notes {
    let mut notes = Notes::new();
    for (authenticator, at) in proven {
        factors::prove(&mut notes, authenticator, *at);
    }
    notes
}

#[test]
fn the_lowest_value_that_would_do_is_asked_for() {
    with_client(&[], |records, client| {
        for (request, level, essential) in [
            (asks("", None), 0, false),
            (asks("silver", None), 2, false),
            (asks("gold silver", None), 2, false),
            (asks("unknown", None), 0, false),
            (asks("7", None), 7, false),
            (asks("-1", None), 0, false),
            (asks("gold", Some((false, &["bronze"]))), 1, false),
            (asks("bronze", Some((true, &["gold", "silver"]))), 2, true),
            (asks("bronze", Some((true, &[]))), 1, false),
            (asks("", Some((true, &["unknown"]))), i64::MAX, true),
        ] {
            assert_eq!(asked(records, client, &request), Asked { level, essential }, "{request:?}");
        }
    });
    with_client(&[("default.acr.values", "gold##silver")], |records, client| {
        assert_eq!(asked(records, client, &asks("", None)).level, 2);
        assert_eq!(asked(records, client, &asks("bronze", None)).level, 1);
    });
    with_client(&[(NAMES, r#"{"gold":"5"}"#)], |records, client| {
        assert_eq!(asked(records, client, &asks("gold", None)).level, 5, "the client's own names win");
        assert_eq!(asked(records, client, &asks("silver", None)).level, 0);
    });
}

#[test]
fn nobody_asks_for_less_than_the_clients_lowest() {
    with_client(&[("minimum.acr.value", "silver")], |records, client| {
        for (request, level) in [
            (asks("", None), 2),
            (asks("bronze", None), 2),
            (asks("unknown", None), 2),
            (asks("gold", None), 3),
            (asks("", Some((true, &["bronze"]))), 2),
            (asks("", Some((true, &["0", "gold"]))), 3),
        ] {
            assert_eq!(asked(records, client, &request).level, level, "{request:?}");
        }
    });
    with_client(&[("minimum.acr.value", "nonsense")], |records, client| {
        assert_eq!(asked(records, client, &asks("bronze", None)).level, 1, "Keycloak 26.4 logs it and goes on");
    });
}

#[test]
fn a_level_goes_by_the_name_that_was_asked_for() {
    with_client(&[], |records, client| {
        for (request, level, expected) in [
            (asks("", None), 0, "0"),
            (asks("", None), 1, "bronze"),
            (asks("", None), 2, "silver"),
            (asks("bronze", None), 2, "bronze"),
            (asks("gold", None), 2, "silver"),
            (asks("gold bronze", None), 2, "bronze"),
            (asks("1", None), 2, "1"),
            (asks("bronze", Some((true, &["silver"]))), 2, "silver"),
        ] {
            assert_eq!(name(records, client, Some(&request), level), expected, "{request:?} {level}");
        }
        assert_eq!(name(records, client, None, 1), "bronze");
    });
    let records = fixture::records();
    let client = records.client("app").unwrap();
    assert_eq!(name(&records, client, Some(&asks("gold 1", None)), 1), "1");
    assert_eq!(name(&records, client, None, 1), "1");
}

#[test]
fn levels_come_from_the_realms_browser_flow() {
    let plain = |profile: &str| fixture::records_with(json!({ "attributes": { "portcullis.profile": profile } })).realm;
    let (password, both) =
        (notes(&[(factors::PASSWORD, 10)]), notes(&[(factors::PASSWORD, 10), (factors::ONE_TIME_CODE, 20)]));
    let step_up = fixture::records_with(stepping()).realm;
    for (realm, one, two) in [(plain("keycloak"), 1, 1), (plain("strict"), 1, 2), (step_up.clone(), 1, 2)] {
        let ladder = Ladder::of(&realm);
        assert_eq!(
            (ladder.reached(&notes(&[("somewhere-else", 5)])), ladder.reached(&password), ladder.reached(&both)),
            (0, one, two)
        );
    }
    assert_eq!(Ladder::of(&step_up).kept, BTreeMap::from([(1, 36_000), (2, 300)]));
    assert_eq!(offered(&plain("strict")), ["0", "1", "2"]);
    assert_eq!(offered(&plain("keycloak")), ["0", "1"]);
    with_client(&[], |records, _| assert_eq!(offered(&records.realm), ["bronze", "0", "1"]));
}

#[test]
fn mf_09_a_session_keeps_a_level_no_longer_than_the_flow_says() {
    let (plain, stepping) = (fixture::records().realm, fixture::records_with(stepping()).realm);
    let mut session = fixture::session(100);
    let ladder = Ladder::of(&stepping);
    assert_eq!(ladder.kept(&session, 100), 0, "nothing is noted");
    session.notes = notes(&[(factors::PASSWORD, 100), (factors::ONE_TIME_CODE, 100)]);
    for (now, level) in [(100, 2), (400, 2), (401, 1), (36_100, 1), (36_101, 0)] {
        assert_eq!(ladder.kept(&session, now), level, "{now}");
    }
    assert_eq!(Ladder::of(&plain).kept(&session, 100), 0, "without a word about it nothing is kept");
    factors::prove(&mut session.notes, factors::ONE_TIME_CODE, 40_000);
    assert_eq!(ladder.kept(&session, 40_000), 0, "a second factor does not stand without the first");
    session.notes.insert(factors::NOTE.to_owned(), "nonsense".to_owned());
    assert_eq!(ladder.kept(&session, 100), 0);
}
