use super::*;

#[test]
fn without_rotation_old_tokens_stay_and_one_row_is_written() {
    let mut world = World::new(json!({}));
    let first = world.login();
    world.now += 100;
    let decision = world.refresh("app", &[], Some(&first));
    assert_eq!(names(&decision), ["TouchClientSession"]);
    let second = world.turn(&first).unwrap();
    assert_ne!(second.jti, first.jti);
    assert_eq!(second.exp, world.now + 1800);
    assert!(world.turn(&first).is_ok() && world.turn(&second).is_ok());
    assert_eq!((second.reuse_id, second.scope), (None, first.scope));
}

type Change = fn(&mut World, &mut refresh::RefreshClaims);

/// What introspection would say.
fn is_live(world: &World, claims: &refresh::RefreshClaims) -> bool {
    let loaded = refresh::Loaded {
        session: world.session.as_ref(),
        client_session: world.below.as_ref(),
        lineage: world.lineage.as_ref(),
        user: world.user.as_ref(),
        consent: world.consent.as_ref(),
    };
    refresh::is_live(&world.cx(), world.records.client("app").unwrap(), claims, loaded)
}

#[test]
fn te_22_rt_04_a_family_is_live_by_its_own_session_client_and_latest_token_alone() {
    let cases: &[(&str, Change)] = &[
        ("rt_04 replaced", |w, c| drop(w.turn(c).unwrap())),
        ("another session's", |w, _| w.lineage.as_mut().unwrap().session = "session-2".into()),
        ("another client's", |w, _| w.lineage.as_mut().unwrap().client = "uuid-web".into()),
        ("another family", |w, _| w.lineage.as_mut().unwrap().id = "family-2".into()),
        ("gone", |w, _| w.lineage = None),
    ];
    for settings in [strict(), rotating(0)] {
        for (case, change) in cases {
            let mut world = World::new(settings.clone());
            let mut claims = world.login();
            assert!(is_live(&world, &claims), "honest twin of {case}");
            change(&mut world, &mut claims);
            world.now += GRACE + 1;
            assert!(!is_live(&world, &claims), "{settings} {case}");
        }
    }
}

#[test]
fn rt_06_rt_10_to_rt_16_keycloaks_refusals() {
    let cases: &[(&str, Change, Reason)] = &[
        ("rt_14 kind", |_, c| c.typ = "Bearer".to_owned(), Reason::InvalidRefreshToken),
        ("rt_06 realm", |_, c| c.iss = "https://login.test/realms/b".to_owned(), Reason::InvalidRefreshToken),
        ("rt_06 client", |_, c| c.azp = "web".to_owned(), Reason::RefreshTokenOfAnotherClient),
        ("rt_13 expired", |w, c| w.now = c.exp, Reason::RefreshTokenExpired),
        ("rt_16 realm", |w, c| w.records.realm.settings.not_before = c.iat + 1, Reason::StaleToken),
        ("rt_16 user", |w, c| w.user.as_mut().unwrap().not_before = c.iat + 1, Reason::StaleToken),
        ("rt_10 logout", |w, _| w.session = None, Reason::SessionNotActive),
        ("rt_10 deleted", |w, _| w.user = None, Reason::SessionNotActive),
        ("rt_10 disabled", |w, _| w.user.as_mut().unwrap().enabled = false, Reason::UserDisabled),
        ("rt_11 subject", |_, c| c.sub = Some("user-bob".to_owned()), Reason::InvalidRefreshToken),
        ("rt_12 max", |w, _| w.session.as_mut().unwrap().started = START - 36_000, Reason::SessionNotActive),
        ("rt_13 idle", |w, _| w.session.as_mut().unwrap().last_seen = START - 1800, Reason::SessionNotActive),
        ("younger session", |w, c| w.session.as_mut().unwrap().started = c.iat + 1, Reason::RefreshTokenBeforeSession),
        (
            "younger client session",
            |w, c| w.below.as_mut().unwrap().started = c.iat + 1,
            Reason::RefreshTokenBeforeClientSession,
        ),
        ("detached", |w, _| w.below = None, Reason::SessionWithoutClient),
        (
            "of another client",
            |w, _| w.below.as_mut().unwrap().client = "uuid-web".into(),
            Reason::SessionWithoutClient,
        ),
        ("elsewhere", |w, _| w.below.as_mut().unwrap().session = "session-2".into(), Reason::SessionWithoutClient),
        ("rt_11 another session", |w, _| w.session.as_mut().unwrap().id = "session-2".into(), Reason::SessionNotActive),
        ("rt_11 another user", |w, _| w.user.as_mut().unwrap().id = "user-bob".into(), Reason::SessionNotActive),
        ("rt_14 offline", |w, _| w.session.as_mut().unwrap().offline = true, Reason::SessionNotActive),
        ("rt_14 online", |_, c| c.typ = "Offline".to_owned(), Reason::OfflineSessionNotFound),
        ("no jti", |_, c| c.jti.clear(), Reason::InvalidRefreshToken),
        ("no sid", |_, c| c.sid.clear(), Reason::InvalidRefreshToken),
        ("family gone", |_, c| c.reuse_id = Some("f".to_owned()), Reason::SessionWithoutClient),
    ];
    for (case, change, expected) in cases {
        let mut world = World::new(json!({}));
        let mut claims = world.login();
        assert!(world.refresh("app", &[], Some(&claims)).answer.is_ok(), "honest twin of {case}");
        assert!(is_live(&world, &claims), "honest twin of {case}");
        change(&mut world, &mut claims);
        assert!(!is_live(&world, &claims), "te_22 {case}: introspection says the same");
        let decision = world.refresh("app", &[], Some(&claims));
        assert_eq!(names(&decision), Vec::<&str>::new(), "{case}");
        assert_eq!(decision.answer.unwrap_err(), *expected, "{case}");
    }
}

#[test]
fn a_token_that_cannot_be_verified_or_is_missing() {
    let world = World::new(json!({}));
    assert_eq!(world.refresh("app", &[], None).answer.unwrap_err(), Reason::InvalidRefreshToken);
    let none = refresh::decide(&world.cx(), &world.client("app"), &params(&[]), None, refresh::Loaded::default());
    assert_eq!(none.answer.unwrap_err(), Reason::MissingRefreshToken);
}

#[test]
fn p_10_rt_08_narrowing_does_not_stick() {
    let mut world = World::new(json!({}));
    let claims = world.login();
    let narrow = world.refresh("app", &[("scope", "openid")], Some(&claims)).answer.unwrap();
    assert_eq!(narrow.scopes.token_scope(), "openid profile email");
    let kept: refresh::RefreshClaims = serde_json::from_slice(&narrow.refresh(true).unwrap().0).unwrap();
    let back = world.refresh("app", &[], Some(&kept)).answer.unwrap();
    assert_eq!(back.scopes.token_scope(), "openid phone profile email");
    let wider = world.refresh("app", &[("scope", "openid address")], Some(&claims)).answer.unwrap();
    assert_eq!(wider.scopes.token_scope(), "openid profile email");
    let unknown = world.refresh("app", &[("scope", "nonsense")], Some(&claims)).answer.unwrap_err();
    assert_eq!(unknown, Reason::InvalidScopes("nonsense".to_owned()));
}

#[test]
fn a_later_login_of_the_client_does_not_widen_older_tokens() {
    let mut world = World::new(json!({}));
    let claims = world.login();
    world.below.as_mut().unwrap().grant.scope = "openid phone address secret".to_owned();
    let issue = world.refresh("app", &[], Some(&claims)).answer.unwrap();
    assert_eq!(issue.scopes.token_scope(), "openid phone profile email");
}

#[test]
fn rt_09_a_role_taken_away_is_gone_at_the_next_refresh() {
    let mut world = World::new(json!({}));
    let claims = world.login();
    world.user.as_mut().unwrap().roles.clear();
    let issue = world.refresh("app", &[], Some(&claims)).answer.unwrap();
    let access: serde_json::Value = serde_json::from_slice(&issue.access("u").json).unwrap();
    assert_eq!(access["realm_access"]["roles"], json!(["staff"]));
}

#[test]
fn oidc_core_12_2_rt_17_a_refreshed_id_token_keeps_its_facts_without_nonce() {
    let mut world = World::new(json!({}));
    let claims = world.login();
    world.now += 60;
    let issue = world.refresh("app", &[], Some(&claims)).answer.unwrap();
    let id: serde_json::Value = serde_json::from_slice(&issue.id("i", "h").unwrap()).unwrap();
    assert_eq!((id.get("nonce"), &id["auth_time"], &id["acr"]), (None, &json!(START), &json!("1")));
}

#[test]
fn keycloak_rotation_counts_reuses_of_the_last_used_token() {
    let mut world = World::new(rotating(1));
    let first = world.login();
    assert!(first.reuse_id.is_some());
    let second = world.turn(&first).unwrap();
    assert_eq!(world.turn(&first).unwrap(), second, "the same successor, byte for byte");
    assert_eq!(world.turn(&first).unwrap_err(), Reason::RefreshTokenReused);
    assert_eq!(world.turn(&second).unwrap_err(), Reason::SessionWithoutClient);
}

#[test]
fn rt_02_rt_04_keycloak_rotation_without_reuse_detaches_at_once() {
    let mut world = World::new(rotating(0));
    let first = world.login();
    let decision = world.refresh("app", &[], Some(&first));
    assert_eq!(names(&decision), ["RotateLineage"], "one row");
    let second = world.turn(&first).unwrap();
    assert!(world.turn(&second).is_ok(), "honest twin");
    let mut world = World::new(rotating(0));
    let first = world.login();
    let second = world.turn(&first).unwrap();
    assert_eq!(world.turn(&first).unwrap_err(), Reason::RefreshTokenReused);
    assert!(world.below.is_none());
    assert_eq!(world.turn(&second).unwrap_err(), Reason::SessionWithoutClient);
}

#[test]
fn p_11_rt_15_strict_gives_a_lost_answer_again_within_the_grace() {
    let mut world = World::new(strict());
    let first = world.login();
    world.now += 10;
    let second = world.turn(&first).unwrap();
    world.now += GRACE;
    assert_eq!(world.turn(&first).unwrap(), second);
    assert_eq!(world.turn(&first).unwrap(), second);
    assert!(world.turn(&second).is_ok(), "and the family goes on");
    world.now += 1;
    assert_eq!(world.turn(&first).unwrap_err(), Reason::StaleToken, "its successor was used");
    assert!(world.lineage.is_none() && world.below.is_some(), "only this family ends");
}

#[test]
fn rt_02_rt_15_strict_ends_the_family_after_the_grace() {
    let mut world = World::new(strict());
    let first = world.login();
    let second = world.turn(&first).unwrap();
    world.now += GRACE + 1;
    assert_eq!(world.turn(&first).unwrap_err(), Reason::RefreshTokenReused);
    assert_eq!(world.turn(&second).unwrap_err(), Reason::SessionWithoutClient);
}

#[test]
fn rt_01_a_family_of_another_session_or_client_is_none() {
    let mut world = World::new(strict());
    let first = world.login();
    world.lineage.as_mut().unwrap().client = "uuid-web".into();
    assert_eq!(world.turn(&first).unwrap_err(), Reason::InvalidRefreshToken);
}

#[test]
fn rt_12_rotation_never_outlives_the_session() {
    let mut world = World::new(strict());
    let mut claims = world.login();
    while world.now < START + 36_000 - 1000 {
        world.now += 1000;
        world.session.as_mut().unwrap().last_seen = world.now;
        claims = world.turn(&claims).unwrap();
        assert!(claims.exp <= START + 36_000);
    }
    world.now = START + 36_000;
    assert_eq!(world.turn(&claims).unwrap_err(), Reason::RefreshTokenExpired);
}

#[test]
fn rt_05_te_16_tokens_are_made_after_a_cut_off_only_for_those_who_still_stand() {
    let mut world = World::new(json!({}));
    let claims = world.login();
    let decision = world.refresh("app", &[], Some(&claims));
    let issue = decision.answer.unwrap();
    let (user, session, below) = (world.user.clone().unwrap(), world.session.clone().unwrap(), world.below.clone());
    let off = User { enabled: false, ..user.clone() };
    let other = User { id: "user-bob".into(), ..user.clone() };
    let elsewhere = UserSession { id: "session-2".into(), ..session.clone() };
    for (what, user, behind, expected) in [
        ("the honest twin", Some(&user), Some((session.clone(), below.clone())), Ok(true)),
        ("switched off", Some(&off), Some((session.clone(), below.clone())), Err(Reason::UserDisabled)),
        ("removed", None, Some((session.clone(), below.clone())), Err(Reason::UserDisabled)),
        ("another", Some(&other), Some((session.clone(), below.clone())), Err(Reason::UserDisabled)),
        ("detached", Some(&user), Some((session, None)), Ok(false)),
        ("another session", Some(&user), Some((elsewhere, below)), Err(Reason::SessionNotActive)),
        ("logged out", Some(&user), None, Err(Reason::SessionNotActive)),
    ] {
        assert_eq!(issue.stands(user, behind.as_ref()), expected, "{what}");
    }
}
