//! The realm files the server is filled with.

use serde_json::{Value, json};

/// Users per realm; each worker has its own.
pub const USERS: usize = 16;

/// The redirect URI of the clients; nobody listens there.
pub const CALLBACK: &str = "http://127.0.0.1:9/callback";

fn users() -> Vec<Value> {
    (0..USERS)
        .map(|n| {
            json!({
                "username": format!("user{n}"), "enabled": true, "emailVerified": true, "email": format!("user{n}@bench.test"),
                "firstName": "Bench", "lastName": format!("User {n}"),
                "credentials": [{ "type": "password", "value": "bench-password", "temporary": false }],
                "realmRoles": ["user"]
            })
        })
        .collect()
}

fn client(name: &str, public: bool, algorithm: &str) -> Value {
    json!({
        "clientId": name, "enabled": true, "protocol": "openid-connect", "publicClient": public, "secret": "bench-secret",
        "standardFlowEnabled": true, "directAccessGrantsEnabled": true, "redirectUris": [CALLBACK],
        "attributes": { "access.token.signed.response.alg": algorithm, "id.token.signed.response.alg": algorithm }
    })
}

fn service(name: &str, algorithm: &str) -> Value {
    json!({
        "clientId": name, "enabled": true, "protocol": "openid-connect", "publicClient": false, "secret": "bench-secret",
        "standardFlowEnabled": false, "serviceAccountsEnabled": true,
        "attributes": { "access.token.signed.response.alg": algorithm }
    })
}

/// Realm `bench`, keycloak profile, RS256.
#[must_use]
pub fn keycloak() -> String {
    json!({
        "realm": "bench", "enabled": true, "roles": { "realm": [{ "name": "user" }] },
        "clients": [client("web", false, "RS256"), service("job-rs", "RS256"), service("job-es", "ES256")], "users": users()
    })
    .to_string()
}

/// Realm `followed`: a client whose tokens are for `api`, and a service account that reads the revocation feed.
#[must_use]
pub fn followed() -> String {
    let mut web = client("web", false, "ES256");
    if let Some(members) = web.as_object_mut() {
        let mapper = json!([{
            "name": "api", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": { "included.custom.audience": "api", "access.token.claim": "true" }
        }]);
        members.insert("protocolMappers".to_owned(), mapper);
    }
    let mut users = users();
    users.push(json!({
        "username": "service-account-follower", "enabled": true, "serviceAccountClientId": "follower",
        "clientRoles": { "realm-management": ["read-revocations"] }
    }));
    json!({
        "realm": "followed", "enabled": true,
        "roles": { "realm": [{ "name": "user" }], "client": { "realm-management": [{ "name": "read-revocations" }] } },
        "clients": [web, service("follower", "ES256")], "users": users
    })
    .to_string()
}

/// Realm `strict`: rotation for public clients, ES256 and RS256 clients.
#[must_use]
pub fn strict() -> String {
    json!({
        "realm": "strict", "enabled": true, "attributes": { "portcullis.profile": "strict" },
        "roles": { "realm": [{ "name": "user" }] },
        "clients": [client("es", true, "ES256"), client("rs", true, "RS256")], "users": users()
    })
    .to_string()
}
