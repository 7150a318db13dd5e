use super::*;

fn asked<'a>(world: &'a World, form: &'a Params) -> Result<password::Asked<'a>, Reason> {
    password::admit(&world.cx(), &world.client("app"), form)
}

#[test]
fn rfc_6749_4_3_parameters_come_before_the_password() {
    let world = World::new(json!({}));
    let form = |pairs: &[(&str, &str)]| asked(&world, &params(pairs)).map(|a| a.password.to_owned());
    let user = ("username", "alice");
    assert_eq!(form(&[("password", "x")]), Err(Reason::MissingUsername));
    assert_eq!(form(&[("username", ""), ("password", "x")]), Ok("x".to_owned()), "Keycloak 26.4 looks for nobody");
    assert_eq!(form(&[user, ("scope", "openid nonsense")]), Err(Reason::InvalidScopes("openid nonsense".to_owned())));
    assert_eq!(form(&[user]), Ok(String::new()));
    assert_eq!(form(&[user, ("password", "p"), ("scope", "openid")]), Ok("p".to_owned()));
}

#[test]
fn a_direct_grant_makes_a_session_of_its_own() {
    let world = World::new(json!({}));
    let form = params(&[("username", "alice"), ("password", "p"), ("scope", "openid")]);
    let user = fixture::user();
    let decide =
        |user, owes| password::decide(&world.cx(), &world.client("app"), asked(&world, &form).unwrap(), user, owes);
    let decision = decide(&user, false);
    assert_eq!(names(&decision), ["ExpectUser", "CreateUserSession", "PutClientSession"]);
    let issue = decision.answer.unwrap();
    let access: serde_json::Value = serde_json::from_slice(&issue.access("u").json).unwrap();
    assert_eq!((&access["jti"], access.get("auth_time")), (&json!("onrtro:u"), None));
    assert_eq!(decide(&user, true).answer.unwrap_err(), Reason::AccountNotSetUp);
    let disabled = User { enabled: false, ..fixture::user() };
    assert_eq!(decide(&disabled, false).answer.unwrap_err(), Reason::AccountDisabled);
    let service = User { service_account_client: Some("uuid-web".into()), ..fixture::user() };
    assert_eq!(decide(&service, false).answer.unwrap_err(), Reason::InvalidUserCredentials);
}

#[test]
fn a_client_may_go_without_refresh_tokens() {
    let world = World::new(json!({}));
    let mut client: Client = world.records.client("app").unwrap().clone();
    client.settings.attributes.insert("use.refresh.tokens".to_owned(), "false".to_owned());
    let records = RealmRecords::new(
        world.records.realm.clone(),
        world.records.scopes.values().cloned().collect(),
        world.records.roles.clone(),
        world.records.groups.clone(),
        world.records.keys.clone(),
        vec![client],
    );
    let cx = Context { records: &records, ..world.cx() };
    let auth = fixture::proven(&records, &params(&[("client_id", "app")])).unwrap();
    let user = fixture::user();
    let asked = password::Asked { username: "alice", password: "p", scope: "" };
    let issue = password::decide(&cx, &auth, asked, &user, false).answer.unwrap();
    assert!(issue.refresh(true).is_none());
}
