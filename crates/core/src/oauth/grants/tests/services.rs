use super::*;

fn account(client: &str) -> User {
    User {
        id: format!("user-of-{client}").as_str().into(),
        username: format!("service-account-{client}"),
        email: None,
        service_account_client: Some(format!("uuid-{client}").into()),
        settings: crate::user::UserSettings::default(),
        ..fixture::user()
    }
}

fn decide<'a>(world: &'a World, client: &str, form: &[(&str, &str)], account: Option<&'a User>) -> Decision<'a> {
    client_credentials::decide(&world.cx(), &world.client(client), &params(form), account)
}

fn json_of(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

fn body(issue: &crate::oauth::token::Issue<'_>) -> serde_json::Value {
    let refresh = issue.refresh(true).map(|_| "r".to_owned());
    let id = issue.id("i", "h").map(|_| "i".to_owned());
    json_of(&crate::oauth::token::answer(issue, &crate::oauth::token::Answer { access: "a".to_owned(), refresh, id }))
}

#[test]
fn te_34_rfc_6749_4_4_3_nothing_is_stored_and_no_session_or_refresh_token_is_given() {
    for settings in [json!({}), strict(), rotating(0)] {
        let world = World::new(settings);
        let user = account("service");
        let decision = decide(&world, "service", &[("scope", "openid")], Some(&user));
        assert_eq!(names(&decision), Vec::<&str>::new());
        let issue = decision.answer.unwrap();
        assert_eq!(issue.stands(Some(&user), None), Ok(true), "without a session there is none to look for");
        assert_eq!(issue.stands(None, None), Err(Reason::UserDisabled));
        let access = json_of(&issue.access("u").json);
        assert_eq!((&access["jti"], &access["sub"]), (&json!("trrtcc:u"), &json!("user-of-service")));
        assert_eq!((&access["azp"], &access["scope"]), (&json!("service"), &json!("openid profile email")));
        for absent in ["sid", "auth_time", "nonce", "name", "email", "given_name", "session_state"] {
            assert_eq!(access.get(absent), None, "{absent}");
        }
        assert!(issue.refresh(true).is_none());
        let id = json_of(&issue.id("i", "h").unwrap());
        assert_eq!((id.get("sid"), id.get("nonce"), &id["aud"]), (None, None, &json!("service")));
        let keys: Vec<String> = body(&issue).as_object().unwrap().keys().cloned().collect();
        let expected = [
            "access_token",
            "expires_in",
            "refresh_expires_in",
            "token_type",
            "id_token",
            "not-before-policy",
            "scope",
        ];
        assert_eq!(keys, expected);
        assert_eq!(body(&issue)["refresh_expires_in"], 0);
    }
}

#[test]
fn te_34_the_attribute_brings_a_session_with_sid_and_refresh_token() {
    let writes = ["ExpectClient", "ExpectUser", "CreateUserSession", "PutClientSession"];
    for (settings, lineage) in [(json!({}), false), (rotating(0), true), (strict(), false)] {
        let world = World::new(settings);
        let user = account("keeper");
        let decision = decide(&world, "keeper", &[], Some(&user));
        let family = lineage.then_some("CreateLineage");
        assert_eq!(names(&decision), writes.into_iter().chain(family).collect::<Vec<_>>());
        let issue = decision.answer.unwrap();
        let access = json_of(&issue.access("u").json);
        let session = issue.session.id.as_str();
        assert_eq!((&access["jti"], &access["sid"]), (&json!("onrtcc:u"), &json!(session)));
        let (refresh, _) = issue.refresh(true).unwrap();
        assert_eq!(json_of(&refresh)["sid"], json!(session));
        assert_eq!(body(&issue)["session_state"], json!(session));
    }
}

#[test]
fn a_service_account_switched_off_is_refreshed_no_more() {
    for (on, expected) in [(true, None), (false, Some(Reason::SessionNotActive))] {
        let mut world = World::new(json!({}));
        let user = account("keeper");
        let (writes, claims) = outcome(decide(&world, "keeper", &[], Some(&user)));
        for write in &writes {
            if let Write::CreateUserSession(_, session) = write {
                world.session = Some(session.clone());
            }
        }
        world.apply(writes);
        world.user = Some(user);
        let mut clients: Vec<Client> = world.records.clients().cloned().collect();
        for client in clients.iter_mut().filter(|c| c.client_id == "keeper") {
            client.settings.service_accounts_enabled = on;
        }
        world.records = RealmRecords::new(
            world.records.realm.clone(),
            world.records.scopes.values().cloned().collect(),
            world.records.roles.clone(),
            world.records.groups.clone(),
            world.records.keys.clone(),
            clients,
        );
        let answer = world.refresh("keeper", &[], Some(&claims.unwrap())).answer;
        assert_eq!(answer.err(), expected, "{on}");
    }
}

#[test]
fn te_16_a_disabled_foreign_or_missing_account_is_refused() {
    let world = World::new(json!({}));
    let disabled = User { enabled: false, ..account("service") };
    let foreign = account("keeper");
    let alice = fixture::user();
    let reason = |account| decide(&world, "service", &[], account).answer.map(|_| ()).unwrap_err();
    let off = reason(Some(&disabled));
    assert_eq!(off, Reason::ServiceAccountDisabled("service-account-service".to_owned()));
    let wire = off.wire();
    let text = Some("User 'service-account-service' disabled");
    assert_eq!((wire.status, wire.error, wire.description.as_deref()), (401, "invalid_request", text));
    for account in [None, Some(&foreign), Some(&alice)] {
        assert_eq!(reason(account), Reason::ServiceAccountOff);
    }
    let good = account("service");
    assert!(decide(&world, "service", &[], Some(&good)).answer.is_ok());
}

#[test]
fn scopes_are_validated_after_the_account() {
    let world = World::new(json!({}));
    let (good, disabled) = (account("service"), User { enabled: false, ..account("service") });
    let bad = [("scope", "nonsense")];
    let refused = decide(&world, "service", &bad, Some(&good)).answer.map(|_| ()).unwrap_err();
    assert_eq!(refused, Reason::InvalidScopes("nonsense".to_owned()));
    let refused = decide(&world, "service", &bad, Some(&disabled)).answer.map(|_| ()).unwrap_err();
    assert_eq!(refused, Reason::ServiceAccountDisabled("service-account-service".to_owned()));
}

#[test]
fn notes_are_claims_only_where_a_mapper_asks_for_them() {
    let mut world = World::new(json!({}));
    let mut clients: Vec<Client> = world.records.clients().cloned().collect();
    for client in clients.iter_mut().filter(|c| c.client_id == "service") {
        let kind = "oidc-usersessionmodel-note-mapper";
        for note in ["clientHost", "clientAddress", "client_id"] {
            client.mappers.push(fixture::everywhere(kind, note, &[("user.session.note", note)]));
        }
    }
    let user = account("service");
    let seen = |world: &World| {
        let access = json_of(&decide(world, "service", &[], Some(&user)).answer.unwrap().access("u").json);
        ["clientHost", "clientAddress", "client_id"].map(|name| access.get(name).cloned())
    };
    assert_eq!(seen(&world), [None, None, None]);
    world.records = RealmRecords::new(
        world.records.realm.clone(),
        world.records.scopes.values().cloned().collect(),
        world.records.roles.clone(),
        world.records.groups.clone(),
        world.records.keys.clone(),
        clients,
    );
    assert_eq!(seen(&world), [Some(json!("127.0.0.1")), Some(json!("127.0.0.1")), Some(json!("service"))]);
}

#[test]
fn a_success_and_a_refusal_are_audited_where_the_realm_keeps_events() {
    let world = World::new(json!({ "eventsEnabled": true }));
    let (good, disabled) = (account("service"), User { enabled: false, ..account("service") });
    for (user, kind) in [(&good, "CLIENT_LOGIN"), (&disabled, "CLIENT_LOGIN_ERROR")] {
        let writes = decide(&world, "service", &[], Some(user)).plan.writes;
        let [Write::Audit(event)] = writes.as_slice() else { panic!("{writes:?}") };
        assert_eq!((event.kind, &event.session), (kind, &None));
    }
}
