//! Records that the suites write.

use std::collections::BTreeMap;

use portcullis_core::client::Client;
use portcullis_core::group::Group;
use portcullis_core::ids::{
    ClientUuid, CredentialId, EventId, GroupId, KeyId, LineageId, RealmId, RoleId, SessionId, UserId,
};
use portcullis_core::key::{KeyStatus, KeyUse, RealmKey};
use portcullis_core::mapper::{ProtocolMapper, Switches};
use portcullis_core::plan::{LoginFailures, LoginKey, Write};
use portcullis_core::realm::{Realm, RealmState};
use portcullis_core::role::Role;
use portcullis_core::scope::ClientScope;
use portcullis_core::secret::{Secret, SecretBytes};
use portcullis_core::session::{ClientSession, Grant, Lineage, UserSession};
use portcullis_core::user::{Credential, User};
use portcullis_store::ServerKeys;

pub(crate) fn keys() -> ServerKeys {
    ServerKeys { current: (1, [7; 32]), previous: None }
}

pub(crate) fn realm_id(name: &str) -> RealmId {
    RealmId::new(format!("{name}-id"))
}

pub(crate) fn realm(name: &str) -> Realm {
    Realm {
        id: realm_id(name),
        name: name.to_owned(),
        version: 0,
        state: RealmState::Ready,
        default_role: Some(RoleId::from("role-a")),
        default_groups: vec![GroupId::from("g2"), GroupId::from("g1")],
        settings: serde_json::from_str(r#"{"enabled":true,"notYetInvented":{"a":[1,2]}}"#).unwrap(),
    }
}

pub(crate) fn mapper(id: &str) -> ProtocolMapper {
    ProtocolMapper {
        id: id.into(),
        name: id.to_owned(),
        protocol: "openid-connect".to_owned(),
        protocol_mapper: "oidc-usermodel-attribute-mapper".to_owned(),
        consent_required: false,
        config: BTreeMap::from([("claim.name".to_owned(), id.to_owned())]),
        switches: Switches::default(),
    }
}

pub(crate) fn scope(id: &str) -> ClientScope {
    ClientScope {
        id: id.into(),
        name: format!("name-{id}"),
        description: Some("d".to_owned()),
        protocol: "openid-connect".to_owned(),
        attributes: BTreeMap::from([("gui.order".to_owned(), "1".to_owned())]),
        mappers: vec![mapper("z"), mapper("a")],
        scope_mappings: vec!["role-b".into(), "role-a".into()],
        realm_default: Some(false),
    }
}

pub(crate) fn client(id: &str) -> Client {
    Client {
        id: id.into(),
        client_id: format!("name-{id}"),
        version: 0,
        settings: serde_json::from_str(r#"{"enabled":true,"unheardOf":"kept"}"#).unwrap(),
        redirect_uris: vec!["https://z/".to_owned(), "https://a/".to_owned()],
        web_origins: vec!["+".to_owned()],
        mappers: vec![mapper("m2"), mapper("m1")],
        default_scopes: vec!["s2".into(), "s1".into()],
        optional_scopes: vec![],
        scope_mappings: vec!["role-b".into(), "role-c".into()],
        secret: Some(Secret::new("the-client-secret-in-clear")),
    }
}

pub(crate) fn role(id: &str, client: Option<&str>) -> Role {
    Role {
        id: id.into(),
        name: format!("name-{id}"),
        description: None,
        client: client.map(ClientUuid::from),
        attributes: BTreeMap::from([("k".to_owned(), vec!["2".to_owned(), "1".to_owned()])]),
        composites: vec![],
    }
}

pub(crate) fn group(id: &str, parent: Option<&str>) -> Group {
    Group {
        id: id.into(),
        name: format!("name-{id}"),
        parent: parent.map(GroupId::from),
        attributes: BTreeMap::new(),
        roles: vec!["role-b".into(), "role-a".into()],
    }
}

pub(crate) fn key(kid: &str) -> RealmKey {
    RealmKey {
        kid: kid.into(),
        provider: "rsa-generated".to_owned(),
        algorithm: "RS256".to_owned(),
        key_use: KeyUse::Signature,
        status: KeyStatus::Active,
        priority: 100,
        private: SecretBytes::new(b"the-private-key-in-clear".to_vec()),
        certificate: Some(vec![0, 1, 255]),
        created: 5,
    }
}

pub(crate) fn user(id: &str) -> User {
    User {
        id: id.into(),
        username: format!("name-{id}"),
        email: Some(format!("{id}@example.test")),
        version: 0,
        enabled: true,
        not_before: 0,
        service_account_client: None,
        settings: serde_json::from_str(
            r#"{"firstName":"Ada","attributes":{"phone":["2","1"]},"federationLink":"kept"}"#,
        )
        .unwrap(),
        roles: vec!["role-a".into()],
        groups: vec!["g2".into(), "g1".into()],
    }
}

pub(crate) fn credential(id: &str, kind: &str, secret: &str) -> Credential {
    Credential {
        id: CredentialId::from(id),
        kind: kind.to_owned(),
        user_label: Some("mine".to_owned()),
        created_date: 3,
        priority: 10,
        secret_data: Secret::new(secret),
        credential_data: r#"{"algorithm":"x"}"#.to_owned(),
    }
}

pub(crate) fn session(id: &str, user: &str) -> UserSession {
    UserSession {
        id: id.into(),
        user: UserId::from(user),
        started: 1000,
        auth_time: 1000,
        remember_me: false,
        offline: false,
        ip_address: "192.0.2.1".to_owned(),
        last_seen: 1000,
        notes: BTreeMap::from([("n".to_owned(), "v".to_owned())]),
    }
}

pub(crate) fn client_session(session: &str, client: &str) -> ClientSession {
    ClientSession {
        session: SessionId::from(session),
        client: client.into(),
        started: 1001,
        grant: Grant {
            scope: "openid".to_owned(),
            nonce: Some("n".to_owned()),
            redirect_uri: None,
            acr: Some("1".to_owned()),
            browser: true,
            auth_time: Some(1000),
            resources: vec!["https://api.test/".to_owned()],
        },
        last_refresh: 1001,
    }
}

pub(crate) fn lineage(id: &str, session: &str, client: &str) -> Lineage {
    Lineage {
        id: LineageId::from(id),
        session: session.into(),
        client: client.into(),
        grant: Grant::default(),
        generation: 1,
        rotated_at: 1001,
        expires_at: 2000,
        key: KeyId::from("k1"),
        reuses: 0,
    }
}

pub(crate) fn failures(key: &str, version: i64) -> LoginFailures {
    LoginFailures {
        key: LoginKey(key.to_owned()),
        user: None,
        failures: version,
        temporary_lockouts: 0,
        not_before: 0,
        last_failure: 1_000_000,
        last_ip: "192.0.2.1".to_owned(),
        version,
    }
}

pub(crate) fn event(realm: &RealmId, id: &str, time: i64) -> portcullis_core::event::Event {
    portcullis_core::event::Event {
        id: EventId::from(id),
        time,
        realm: realm.clone(),
        kind: "LOGIN",
        user: Some("u1".into()),
        client: None,
        session: None,
        ip_address: "192.0.2.1".to_owned(),
        error: None,
        details: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
    }
}

pub(crate) fn take_code(realm: &RealmId, byte: u8, session: &str) -> Write {
    Write::TakeCode {
        realm: realm.clone(),
        hash: [byte; 32],
        session: session.into(),
        client: "c1".into(),
        expires_at: 1060,
    }
}

/// Two of everything, in an order that only sorting by foreign keys makes writable.
pub(crate) fn whole_realm(name: &str) -> Vec<Write> {
    let id = realm_id(name);
    vec![
        Write::PutClientSession(id.clone(), client_session("us1", "c1")),
        Write::CreateLineage(id.clone(), lineage("l1", "us1", "c1")),
        Write::AddCredential(id.clone(), "u1".into(), credential("cred1", "password", "the-hash")),
        Write::CreateUserSession(id.clone(), session("us1", "u1")),
        Write::CreateUser(id.clone(), user("u1")),
        Write::CreateUser(id.clone(), user("u2")),
        Write::CreateGroup(id.clone(), group("g2", None)),
        Write::CreateGroup(id.clone(), group("g1", Some("g2"))),
        Write::CreateClient(id.clone(), client("c1")),
        Write::CreateClient(id.clone(), client("c2")),
        Write::AddComposites(id.clone(), "role-a".into(), vec!["role-c".into(), "role-b".into()]),
        Write::CreateRole(id.clone(), role("role-a", None)),
        Write::CreateRole(id.clone(), role("role-b", None)),
        Write::CreateRole(id.clone(), role("role-c", Some("c1"))),
        Write::CreateClientScope(id.clone(), scope("s1")),
        Write::CreateClientScope(id.clone(), scope("s2")),
        Write::CreateKey(id.clone(), key("k1")),
        Write::CreateRealm(realm(name)),
    ]
}
