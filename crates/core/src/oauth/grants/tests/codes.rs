use super::*;

#[test]
fn rfc_6749_4_1_3_an_honest_exchange_is_one_plan() {
    let world = World::new(json!({}));
    let decision = world.exchange("app", GOOD);
    assert_eq!(names(&decision), ["ExpectClient", "ExpectUser", "PutClientSession", "TakeCode"]);
    let issue = decision.answer.unwrap();
    assert_eq!(issue.scopes.token_scope(), "openid phone profile email");
    assert_eq!(issue.access_expires_at, START + 305);
    let id: serde_json::Value = serde_json::from_slice(&issue.id("i", "h").unwrap()).unwrap();
    assert_eq!((&id["nonce"], &id["auth_time"]), (&json!("n-1"), &json!(START)));
    let access: serde_json::Value = serde_json::from_slice(&issue.access("u").json).unwrap();
    assert_eq!(access["jti"], "onrtac:u");
}

type Change = fn(&mut World);
type Case = (&'static str, &'static str, Vec<(&'static str, &'static str)>, Change, Reason);

#[test]
fn pc_01_to_pc_15_every_failure_spends_the_code() {
    let with = |name: &'static str, value: &'static str| -> Vec<(&'static str, &'static str)> {
        GOOD.iter().map(|(n, v)| if *n == name { (*n, value) } else { (*n, *v) }).collect()
    };
    let without = |name: &str| -> Vec<(&'static str, &'static str)> {
        GOOD.iter().copied().filter(|(n, _)| *n != name).collect()
    };
    let nothing: Change = |_| {};
    let cases: Vec<Case> = vec![
        ("pc_01 another client", "web", GOOD.to_vec(), nothing, Reason::CodeOfAnotherClient),
        ("pc_04 old", "app", GOOD.to_vec(), |w| w.now = START + 60, Reason::CodeExpired),
        ("pc_05 other uri", "app", with("redirect_uri", "https://app.test/cb/"), nothing, Reason::IncorrectRedirectUri),
        ("pc_05 no uri", "app", without("redirect_uri"), nothing, Reason::IncorrectRedirectUri),
        ("pc_06 no verifier", "app", without("code_verifier"), nothing, Reason::PkceVerifierMissing),
        ("pc_07 wrong verifier", "app", with("code_verifier", CHALLENGE), nothing, Reason::PkceMismatch),
        (
            "pc_09 stripped challenge",
            "app",
            GOOD.to_vec(),
            |w| w.code.as_mut().unwrap().challenge = None,
            Reason::PkceVerifierUnexpected,
        ),
        ("pc_11 short verifier", "app", with("code_verifier", "short"), nothing, Reason::PkceVerifierMalformed),
        (
            "pc_12 another flow",
            "app",
            GOOD.to_vec(),
            |w| w.code.as_mut().unwrap().challenge.as_mut().unwrap().challenge = VERIFIER.to_owned(),
            Reason::PkceMismatch,
        ),
        (
            "pc_15 user disabled",
            "app",
            GOOD.to_vec(),
            |w| w.user.as_mut().unwrap().enabled = false,
            Reason::UserDisabled,
        ),
        ("pc_15 user deleted", "app", GOOD.to_vec(), |w| w.user = None, Reason::UserNotFound),
        (
            "pc_15 other user",
            "app",
            GOOD.to_vec(),
            |w| w.user.as_mut().unwrap().id = "user-bob".into(),
            Reason::UserNotFound,
        ),
        (
            "pc_15 the session became another user's",
            "app",
            GOOD.to_vec(),
            |w| w.session.as_mut().unwrap().user = "user-bob".into(),
            Reason::UserNotFound,
        ),
        (
            "pc_15 the code was another user's",
            "app",
            GOOD.to_vec(),
            |w| w.code.as_mut().unwrap().user = "user-bob".into(),
            Reason::UserNotFound,
        ),
        (
            "rt_14 an offline session",
            "app",
            GOOD.to_vec(),
            |w| w.session.as_mut().unwrap().offline = true,
            Reason::UserSessionNotFound,
        ),
        (
            "pc_15 uri removed",
            "app",
            GOOD.to_vec(),
            |w| w.code.as_mut().unwrap().grant.redirect_uri = Some("https://app.test/gone".to_owned()),
            Reason::IncorrectRedirectUri,
        ),
        (
            "pc_15 session idle",
            "app",
            GOOD.to_vec(),
            |w| w.session.as_mut().unwrap().last_seen = START - 1800,
            Reason::SessionNotActive,
        ),
    ];
    for (case, client, mut form, change, expected) in cases {
        if case == "pc_15 uri removed" {
            form = with("redirect_uri", "https://app.test/gone");
        }
        let mut world = World::new(json!({}));
        change(&mut world);
        assert_eq!(refused(&world, client, &form), (expected, vec!["TakeCode"]), "{case}");
    }
}

#[test]
fn pc_02_pc_13_pc_14_what_is_no_code_of_this_realm_writes_nothing() {
    let mut world = World::new(json!({}));
    assert_eq!(refused(&world, "app", &[]), (Reason::MissingCode, vec![]));
    world.code.as_mut().unwrap().realm = "other".into();
    assert_eq!(refused(&world, "app", GOOD), (Reason::CodeNotValid, vec![]));
    world.code = None;
    assert_eq!(refused(&world, "app", GOOD), (Reason::CodeNotValid, vec![]));
    let mut world = World::new(json!({}));
    world.code.as_mut().unwrap().format = CODE_FORMAT + 1;
    assert_eq!(refused(&world, "app", GOOD), (Reason::CodeNotValid, vec![]));
    let mut world = World::new(json!({}));
    world.session = None;
    assert_eq!(refused(&world, "app", GOOD), (Reason::UserSessionNotFound, vec![]));
}

#[test]
fn pc_03_pc_07_a_second_use_ends_what_the_first_gave() {
    let mut world = World::new(json!({}));
    let first = world.login();
    assert_eq!(refused(&world, "app", GOOD), (Reason::CodeNotValid, vec!["EndClientSession", "CutOff"]));
    let (writes, _) = outcome(world.exchange("app", GOOD));
    world.apply(writes);
    assert_eq!(world.turn(&first).unwrap_err(), Reason::SessionWithoutClient);
}

#[test]
fn pc_09_a_strict_realm_takes_no_code_without_challenge() {
    for (settings, expected) in [(json!({}), None), (strict(), Some(Reason::PkceVerifierMissing))] {
        let mut world = World::new(settings);
        world.code.as_mut().unwrap().challenge = None;
        let form: Vec<_> = GOOD.iter().copied().filter(|(n, _)| *n != "code_verifier").collect();
        assert_eq!(world.exchange("app", &form).answer.err(), expected);
    }
}

#[test]
fn refusals_and_successes_are_audited_where_events_are_kept() {
    let world = World::new(json!({ "eventsEnabled": true }));
    assert!(names(&world.exchange("app", GOOD)).contains(&"Audit"));
    assert_eq!(refused(&world, "app", &[]).1, ["Audit"]);
}
