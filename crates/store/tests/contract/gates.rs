//! Every write with its gate won and lost. A lost gate leaves nothing of its plan, which an audit row in it shows.

use std::collections::BTreeMap;

use portcullis_core::ids::RealmId;
use portcullis_core::key::KeyStatus;
use portcullis_core::plan::{Entity, Gate, LineageMove, LoginKey, Write};
use portcullis_core::realm::RealmState;
use portcullis_store::{ApplyError, Db};

use super::records::write;
use super::sample::{
    client, client_session, credential, event, failures, group, key, lineage, realm, realm_id, role, scope, session,
    take_code, user, whole_realm,
};

type Case = (Write, Option<Gate>);

fn stale(entity: Entity) -> Option<Gate> {
    Some(Gate::Stale(entity))
}

fn taken(entity: Entity) -> Option<Gate> {
    Some(Gate::Taken(entity))
}

fn gone(entity: Entity) -> Option<Gate> {
    Some(Gate::Gone(entity))
}

fn with<T>(mut record: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut record);
    record
}

fn expectations(r: &RealmId) -> Vec<Case> {
    let r = || r.clone();
    vec![
        (Write::ExpectRealm(r(), 0), None),
        (Write::ExpectRealm(r(), 1), stale(Entity::Realm)),
        (Write::ExpectRealm("nowhere".into(), 0), stale(Entity::Realm)),
        (Write::ExpectClient(r(), "c1".into(), 0), None),
        (Write::ExpectClient(r(), "c1".into(), 1), stale(Entity::Client)),
        (Write::ExpectClient(r(), "cx".into(), 0), stale(Entity::Client)),
        (Write::ExpectUser(r(), "u2".into(), 0), None),
        (Write::ExpectUser(r(), "u1".into(), 0), stale(Entity::User)),
        (Write::ExpectUserSession(r(), "us1".into()), None),
        (Write::ExpectUserSession(r(), "usx".into()), Some(Gate::SessionEnded)),
        (Write::ExpectClientSession(r(), "us1".into(), "c1".into()), None),
        (Write::ExpectClientSession(r(), "us1".into(), "c2".into()), Some(Gate::ClientSessionEnded)),
    ]
}

fn realms_and_clients(r: &RealmId) -> Vec<Case> {
    let name = r.as_str().trim_end_matches("-id").to_owned();
    let this = realm(&name);
    let r = || r.clone();
    let ready = RealmState::Ready;
    vec![
        (Write::CreateRealm(realm(&format!("{name}-new"))), None),
        (Write::CreateRealm(with(this.clone(), |x| x.id = "else".into())), taken(Entity::Realm)),
        (Write::UpdateRealm(with(this.clone(), |x| x.name = format!("{name}-2"))), None),
        (Write::UpdateRealm(with(this.clone(), |x| x.version = 1)), stale(Entity::Realm)),
        (Write::UpdateRealm(with(this, |x| x.name = "taken".to_owned())), taken(Entity::Realm)),
        (Write::SetRealmState(r(), ready, RealmState::Emptying), None),
        (Write::SetRealmState(r(), RealmState::Filling, ready), stale(Entity::Realm)),
        (Write::CreateClient(r(), client("c3")), None),
        (Write::CreateClient(r(), client("c1")), taken(Entity::Client)),
        (Write::CreateClient(r(), with(client("c1"), |x| x.id = "c9".into())), taken(Entity::Client)),
        (Write::CreateClient("nowhere".into(), client("c3")), gone(Entity::Realm)),
        (
            Write::CreateClient(r(), with(client("c3"), |x| x.optional_scopes = vec!["sx".into()])),
            gone(Entity::ClientScope),
        ),
        (Write::CreateClient(r(), with(client("c3"), |x| x.scope_mappings = vec!["x".into()])), gone(Entity::Role)),
        (Write::UpdateClient(r(), client("c1")), None),
        (Write::UpdateClient(r(), with(client("c1"), |x| x.version = 1)), stale(Entity::Client)),
        (Write::UpdateClient(r(), with(client("c1"), |x| x.client_id = "name-c2".to_owned())), taken(Entity::Client)),
        (Write::DeleteClient(r(), "c1".into()), None),
        (Write::DeleteClient(r(), "cx".into()), gone(Entity::Client)),
        (Write::AddClientScopeMappings(r(), "c2".into(), vec!["role-a".into()]), None),
        (Write::AddClientScopeMappings(r(), "cx".into(), vec!["role-a".into()]), gone(Entity::Client)),
        (Write::AddClientScopeMappings(r(), "c2".into(), vec!["x".into()]), gone(Entity::Role)),
    ]
}

fn configuration(r: &RealmId) -> Vec<Case> {
    let r = || r.clone();
    vec![
        (Write::CreateClientScope(r(), scope("s3")), None),
        (Write::CreateClientScope(r(), scope("s1")), taken(Entity::ClientScope)),
        (Write::CreateRole(r(), role("x", None)), None),
        (Write::CreateRole(r(), with(role("role-a", Some("c1")), |x| x.id = "x".into())), None),
        (Write::CreateRole(r(), with(role("role-a", None), |x| x.id = "x".into())), taken(Entity::Role)),
        (Write::CreateRole(r(), role("x", Some("cx"))), gone(Entity::Client)),
        (Write::AddComposites(r(), "role-b".into(), vec!["role-c".into()]), None),
        (Write::AddComposites(r(), "role-a".into(), vec!["role-b".into(), "role-b".into()]), None),
        (Write::AddComposites(r(), "role-b".into(), vec!["x".into()]), gone(Entity::Role)),
        (Write::DeleteRole(r(), "role-a".into()), None),
        (Write::DeleteRole(r(), "x".into()), gone(Entity::Role)),
        (Write::CreateGroup(r(), group("g3", None)), None),
        (Write::CreateGroup(r(), with(group("g2", None), |x| x.id = "g9".into())), taken(Entity::Group)),
        (Write::CreateGroup(r(), with(group("g2", Some("g1")), |x| x.id = "g9".into())), None),
        (Write::CreateGroup(r(), group("g3", Some("gx"))), gone(Entity::Group)),
        (Write::DeleteGroup(r(), "g2".into()), None),
        (Write::DeleteGroup(r(), "gx".into()), gone(Entity::Group)),
        (Write::CreateKey(r(), key("k2")), None),
        (Write::CreateKey(r(), key("k1")), taken(Entity::Key)),
        (Write::SetKeyStatus(r(), "k1".into(), KeyStatus::Passive), None),
        (Write::SetKeyStatus(r(), "kx".into(), KeyStatus::Passive), gone(Entity::Key)),
    ]
}

fn users(r: &RealmId) -> Vec<Case> {
    let r = || r.clone();
    let replace = |from: (&str, &str), data: &str| Write::ReplaceCredential {
        realm: r(),
        user: "u1".into(),
        from: with(credential(from.0, "password", from.1), |x| {
            data.clone_into(&mut x.credential_data);
        }),
        to: credential(from.0, "password", "new-hash"),
    };
    let data = r#"{"algorithm":"x"}"#;
    let password = |id| credential(id, "password", "h");
    vec![
        (Write::CreateUser(r(), user("u3")), None),
        (Write::CreateUser(r(), with(user("u3"), |x| x.username = "name-u1".to_owned())), taken(Entity::User)),
        (Write::CreateUser(r(), with(user("u3"), |x| x.email = user("u1").email)), taken(Entity::Email)),
        (Write::CreateUser(r(), with(user("u3"), |x| x.roles = vec!["x".into()])), gone(Entity::Role)),
        (Write::CreateUser(r(), with(user("u3"), |x| x.groups = vec!["x".into()])), gone(Entity::Group)),
        (Write::UpdateUser(r(), user("u2")), None),
        (Write::UpdateUser(r(), user("u1")), stale(Entity::User)),
        (Write::UpdateUser(r(), with(user("u2"), |x| x.email = user("u1").email)), taken(Entity::Email)),
        (Write::DeleteUser(r(), "u1".into()), None),
        (Write::DeleteUser(r(), "ux".into()), gone(Entity::User)),
        (Write::AddCredential(r(), "u2".into(), password("cred1")), None),
        (Write::AddCredential(r(), "u1".into(), password("cred1")), taken(Entity::Credential)),
        (Write::AddCredential(r(), "ux".into(), password("cred2")), gone(Entity::User)),
        (replace(("cred1", "the-hash"), data), None),
        (replace(("cred1", "another"), data), stale(Entity::Credential)),
        (replace(("cred1", "the-hash"), "{}"), stale(Entity::Credential)),
        (replace(("credx", "the-hash"), data), stale(Entity::Credential)),
        (Write::DeleteCredential(r(), "u1".into(), "cred1".into()), None),
        (Write::DeleteCredential(r(), "u1".into(), "credx".into()), None),
        (Write::PutLoginFailures(r(), failures("new", 1)), None),
        (Write::PutLoginFailures(r(), failures("old", 2)), None),
        (Write::PutLoginFailures(r(), failures("old", 1)), stale(Entity::LoginFailures)),
        (Write::PutLoginFailures(r(), failures("old", 3)), stale(Entity::LoginFailures)),
        (Write::PutLoginFailures(r(), failures("new", 2)), stale(Entity::LoginFailures)),
        (Write::ClearLoginFailures(r(), LoginKey("old".to_owned())), None),
        (Write::ClearLoginFailures(r(), LoginKey("new".to_owned())), None),
    ]
}

fn sessions(r: &RealmId) -> Vec<Case> {
    let r = || r.clone();
    let rotate = |id: &str, from| Write::RotateLineage {
        realm: r(),
        lineage: id.into(),
        from,
        to: LineageMove { generation: 2, reuses: 0, rotated_at: 1, expires_at: 2, key: "k".into() },
    };
    let again = |id: &str| Write::ReauthenticateUserSession {
        realm: r(),
        session: id.into(),
        auth_time: 1,
        notes: BTreeMap::new(),
    };
    let make_offline =
        |id: &str, client: &str| Write::MakeOffline { realm: r(), session: id.into(), client: client.into(), at: 2000 };
    let ended = Some(Gate::SessionEnded);
    let client_ended = Some(Gate::ClientSessionEnded);
    let moved = Some(Gate::LineageMoved);
    vec![
        (take_code(&r(), 1, "us1"), None),
        (take_code(&r(), 9, "us1"), Some(Gate::CodeAlreadyUsed)),
        (Write::CreateUserSession(r(), session("us2", "u1")), None),
        (Write::CreateUserSession(r(), session("us2", "ux")), gone(Entity::User)),
        (Write::TouchUserSession(r(), "us1".into(), 2000), None),
        (Write::TouchUserSession(r(), "usx".into(), 2000), ended),
        (make_offline("us1", "c1"), None),
        (make_offline("us1", "c2"), Some(Gate::SessionShared)),
        (make_offline("usx", "c1"), Some(Gate::SessionShared)),
        (again("us1"), None),
        (again("usx"), ended),
        (Write::EndUserSession(r(), "us1".into()), None),
        (Write::EndUserSession(r(), "usx".into()), None),
        (Write::PutClientSession(r(), client_session("us1", "c1")), None),
        (Write::PutClientSession(r(), client_session("us1", "c2")), None),
        (Write::PutClientSession(r(), client_session("usx", "c1")), ended),
        (Write::PutClientSession(r(), client_session("us1", "cx")), ended),
        (Write::TouchClientSession(r(), "us1".into(), "c1".into(), 2000), None),
        (Write::TouchClientSession(r(), "us1".into(), "c2".into(), 2000), client_ended),
        (Write::EndClientSession(r(), "us1".into(), "c1".into()), None),
        (Write::EndClientSession(r(), "us1".into(), "c2".into()), None),
        (Write::CreateLineage(r(), lineage("l2", "us1", "c1")), None),
        (Write::CreateLineage(r(), lineage("l2", "us1", "c2")), client_ended),
        (rotate("l1", (1, 0)), None),
        (rotate("l1", (2, 0)), moved),
        (rotate("l1", (1, 1)), moved),
        (rotate("lx", (1, 0)), moved),
        (Write::EndLineage(r(), "l1".into()), None),
        (Write::EndLineage(r(), "lx".into()), None),
    ]
}

pub(crate) async fn every_write_with_its_gate_won_and_lost(db: Db) {
    write(&db, vec![Write::CreateRealm(realm("taken"))]).await.unwrap();
    let suites: [fn(&RealmId) -> Vec<Case>; 5] = [expectations, realms_and_clients, configuration, users, sessions];
    for (number, cases) in suites.into_iter().enumerate() {
        for at in 0..cases(&realm_id("x")).len() {
            let name = format!("r{number}-{at}");
            let r = realm_id(&name);
            write(&db, whole_realm(&name)).await.unwrap();
            let before = vec![take_code(&r, 9, "us1"), Write::PutLoginFailures(r.clone(), failures("old", 1))];
            write(&db, before).await.unwrap();
            let (tried, gate) = cases(&r).swap_remove(at);
            let label = format!("{tried:?}");
            let plan = vec![Write::Audit(event(&r, "beside", 1)), tried];
            let expected = gate.map_or(Ok(()), |gate| Err(ApplyError::Gate(gate)));
            assert_eq!(write(&db, plan).await, expected, "{label}");
            let written = db.events(&r, 1).await.unwrap().len();
            assert_eq!(written, usize::from(gate.is_none()), "{label}");
        }
    }
}
