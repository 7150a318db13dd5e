//! A small realm for the law's tests.

use std::collections::BTreeMap;

use serde_json::json;

use crate::client::Client;
use crate::group::{Group, Groups};
use crate::key::{KeyStatus, KeyUse, RealmKey};
use crate::mapper::{ProtocolMapper, Switches};
use crate::realm::{Realm, RealmState};
use crate::records::RealmRecords;
use crate::role::{Role, Roles};
use crate::scope::ClientScope;
use crate::secret::{Secret, SecretBytes};
use crate::session::{Grant, UserSession};
use crate::user::User;

pub(crate) const ISSUER: &str = "https://login.test/realms/acme";

pub(crate) fn mapper(name: &str, kind: &str, config: &[(&str, &str)]) -> ProtocolMapper {
    ProtocolMapper {
        id: name.into(),
        name: name.to_owned(),
        protocol: "openid-connect".to_owned(),
        protocol_mapper: kind.to_owned(),
        consent_required: false,
        config: config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        switches: Switches::default(),
    }
}

/// A mapper that writes `claim` into every document.
pub(crate) fn everywhere(kind: &str, claim: &str, more: &[(&str, &str)]) -> ProtocolMapper {
    let mut config = vec![
        ("claim.name", claim),
        ("access.token.claim", "true"),
        ("id.token.claim", "true"),
        ("userinfo.token.claim", "true"),
        ("jsonType.label", "String"),
    ];
    config.extend_from_slice(more);
    mapper(claim, kind, &config)
}

fn scope(name: &str, shown: bool, mappers: Vec<ProtocolMapper>) -> ClientScope {
    ClientScope {
        id: format!("scope-{name}").into(),
        name: name.to_owned(),
        description: None,
        protocol: "openid-connect".to_owned(),
        attributes: BTreeMap::from([("include.in.token.scope".to_owned(), shown.to_string())]),
        mappers,
        scope_mappings: vec![],
        realm_default: None,
    }
}

fn scopes() -> Vec<ClientScope> {
    let attribute = "oidc-usermodel-attribute-mapper";
    let on = [("access.token.claim", "true"), ("introspection.token.claim", "true")];
    let role = |kind, claim| {
        mapper(
            claim,
            kind,
            &[
                ("access.token.claim", "true"),
                ("claim.name", claim),
                ("multivalued", "true"),
                ("jsonType.label", "String"),
            ],
        )
    };
    let mut secret = scope("secret", true, vec![]);
    secret.scope_mappings = vec!["role-manager".into()];
    let mut saml = scope("saml", true, vec![]);
    saml.protocol = "saml".to_owned();
    vec![
        scope(
            "basic",
            false,
            vec![
                mapper("sub", "oidc-sub-mapper", &on),
                mapper(
                    "auth_time",
                    "oidc-usersessionmodel-note-mapper",
                    &[
                        ("access.token.claim", "true"),
                        ("id.token.claim", "true"),
                        ("claim.name", "auth_time"),
                        ("jsonType.label", "long"),
                        ("user.session.note", "AUTH_TIME"),
                    ],
                ),
                mapper("acr", "oidc-acr-mapper", &[("access.token.claim", "true"), ("id.token.claim", "true")]),
            ],
        ),
        scope(
            "profile",
            true,
            vec![
                everywhere("oidc-full-name-mapper", "name", &[]),
                everywhere(attribute, "preferred_username", &[("user.attribute", "username")]),
                everywhere(attribute, "given_name", &[("user.attribute", "firstName")]),
                everywhere(attribute, "family_name", &[("user.attribute", "lastName")]),
            ],
        ),
        scope(
            "email",
            true,
            vec![
                everywhere(attribute, "email", &[("user.attribute", "email")]),
                everywhere(
                    "oidc-usermodel-property-mapper",
                    "email_verified",
                    &[("user.attribute", "emailVerified"), ("jsonType.label", "boolean")],
                ),
            ],
        ),
        scope(
            "roles",
            false,
            vec![
                role("oidc-usermodel-realm-role-mapper", "realm_access.roles"),
                role("oidc-usermodel-client-role-mapper", "resource_access.${client_id}.roles"),
                mapper("aud", "oidc-audience-resolve-mapper", &on),
                mapper("origins", "oidc-allowed-origins-mapper", &on),
            ],
        ),
        scope("phone", true, vec![everywhere(attribute, "phone_number", &[("user.attribute", "phoneNumber")])]),
        scope("address", true, vec![everywhere("oidc-address-mapper", "address", &[])]),
        scope("foreign", true, vec![]),
        secret,
        saml,
    ]
}

pub(crate) fn client(client_id: &str, settings: serde_json::Value) -> Client {
    Client {
        id: format!("uuid-{client_id}").into(),
        client_id: client_id.to_owned(),
        version: 1,
        settings: serde_json::from_value(settings).unwrap(),
        redirect_uris: vec!["https://app.test/cb".to_owned(), "http://localhost:3000/*".to_owned()],
        web_origins: vec!["+".to_owned()],
        mappers: vec![],
        default_scopes: ["basic", "profile", "email", "roles"].map(|s| format!("scope-{s}").as_str().into()).to_vec(),
        optional_scopes: ["phone", "address", "secret", "saml"].map(|s| format!("scope-{s}").as_str().into()).to_vec(),
        scope_mappings: vec![],
        secret: None,
    }
}

/// Settings of a client that may use the device grant.
fn device_client(mut settings: serde_json::Value) -> serde_json::Value {
    settings["attributes"] = json!({ "oauth2.device.authorization.grant.enabled": "true" });
    settings
}

fn with_secret(mut client: Client) -> Client {
    client.secret = Some(Secret::new("s3cr:et%+ä"));
    client
}

fn role(id: &str, name: &str, client: Option<&str>, composites: &[&str]) -> Role {
    Role {
        id: id.into(),
        name: name.to_owned(),
        description: None,
        client: client.map(|c| format!("uuid-{c}").into()),
        attributes: BTreeMap::new(),
        composites: composites.iter().map(|c| (*c).into()).collect(),
    }
}

pub(crate) fn realm(settings: serde_json::Value) -> Realm {
    let mut all = json!({ "enabled": true });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Realm {
        id: "realm-acme".into(),
        name: "acme".to_owned(),
        version: 1,
        state: RealmState::Ready,
        default_role: None,
        default_groups: vec![],
        settings: serde_json::from_value(all).unwrap(),
    }
}

pub(crate) fn records_with(settings: serde_json::Value) -> RealmRecords {
    let group = |id: &str, parent: Option<&str>, roles: &[&str], attributes: &[(&str, &str)]| Group {
        id: id.into(),
        name: id.to_owned(),
        parent: parent.map(Into::into),
        attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), vec![(*v).to_owned()])).collect(),
        roles: roles.iter().map(|r| (*r).into()).collect(),
    };
    let key = RealmKey {
        kid: "hmac-1".into(),
        provider: "hmac-generated-hs512".to_owned(),
        algorithm: "HS512".to_owned(),
        key_use: KeyUse::Signature,
        status: KeyStatus::Active,
        priority: 100,
        private: SecretBytes::new(vec![7; 64]),
        certificate: None,
        created: 0,
    };
    RealmRecords::new(
        realm(settings),
        scopes(),
        Roles::new([
            role("role-user", "user", None, &[]),
            role("role-manager", "manager", None, &["role-writer"]),
            role("role-writer", "writer", Some("api"), &[]),
            role("role-reader", "reader", Some("app"), &[]),
            role("role-staff", "staff", None, &[]),
        ]),
        Groups::new([
            group("staff", None, &["role-staff"], &[("site", "north")]),
            group("engineering", Some("staff"), &[], &[("site", "lab")]),
        ]),
        vec![key],
        vec![
            client("app", json!({ "publicClient": true, "directAccessGrantsEnabled": true })),
            with_secret(client("web", json!({ "directAccessGrantsEnabled": true }))),
            with_secret(client("api", json!({ "bearerOnly": true }))),
            with_secret(client("off", json!({ "enabled": false }))),
            with_secret(client("jwt", json!({ "clientAuthenticatorType": "client-jwt" }))),
            client("saml", json!({ "protocol": "saml", "publicClient": true })),
            with_secret(client("service", json!({ "serviceAccountsEnabled": true }))),
            with_secret(client(
                "keeper",
                json!({
                    "serviceAccountsEnabled": true,
                    "attributes": { "client_credentials.use_refresh_token": "true" }
                }),
            )),
            client("tv", device_client(json!({ "publicClient": true }))),
            with_secret(client("box", device_client(json!({})))),
            client("asker", json!({ "publicClient": true, "consentRequired": true })),
            with_secret(client("limited", json!({ "fullScopeAllowed": false }))),
        ],
    )
}

pub(crate) fn records() -> RealmRecords {
    records_with(json!({}))
}

pub(crate) fn user() -> User {
    User {
        id: "user-alice".into(),
        username: "alice".to_owned(),
        email: Some("alice@example.test".to_owned()),
        version: 3,
        enabled: true,
        not_before: 0,
        service_account_client: None,
        settings: serde_json::from_value(json!({
            "firstName": "Alice", "lastName": "Adams", "emailVerified": true,
            "attributes": { "department": ["R&D"], "teams": ["red", "blue"], "evil": ["mallory"] }
        }))
        .unwrap(),
        roles: vec!["role-user".into(), "role-manager".into(), "role-reader".into()],
        groups: vec!["engineering".into()],
    }
}

pub(crate) fn session(now: i64) -> UserSession {
    UserSession {
        id: "session-1".into(),
        user: "user-alice".into(),
        started: now,
        auth_time: now,
        remember_me: false,
        offline: false,
        ip_address: "127.0.0.1".to_owned(),
        last_seen: now,
        notes: BTreeMap::new(),
    }
}

pub(crate) fn grant(scope: &str) -> Grant {
    Grant {
        scope: scope.to_owned(),
        nonce: Some("n-1".to_owned()),
        redirect_uri: Some("https://app.test/cb".to_owned()),
        acr: Some("1".to_owned()),
        browser: true,
        auth_time: None,
        resources: vec![],
    }
}

/// A seeded source of bytes: each call differs, each run is equal.
#[derive(Default)]
pub(crate) struct Counter(std::sync::atomic::AtomicU64);

impl crate::entropy::Entropy for Counter {
    fn fill(&self, out: &mut [u8]) {
        let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        for (byte, seed) in out.iter_mut().zip(n.to_be_bytes().into_iter().cycle()) {
            *byte = seed;
        }
    }
}

/// The client of a form, now.
pub(crate) fn proven<'a>(
    records: &'a RealmRecords,
    params: &crate::oauth::params::Params,
) -> Result<crate::oauth::client_auth::AuthenticatedClient<'a>, crate::oauth::error::Reason> {
    use crate::oauth::client_auth::{Presented, Proven, authenticate};
    let now = crate::time::Now::from_secs(1_800_000_000);
    let presented = Presented { authorization: &[], params, now, issuer: ISSUER, fetched: None };
    Ok(match authenticate(records, &presented)? {
        Proven::Now(client) => client,
        Proven::Once(once) => once.marked(),
    })
}
