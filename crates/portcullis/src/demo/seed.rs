//! The demo's realm and its people.

use std::path::Path;

use portcullis_core::entropy::Entropy;
use portcullis_core::secret::Secret;
use serde_json::json;

use super::Addresses;
use crate::data::write_private;
use crate::failure::Failure;

/// The demo's realm.
pub(super) const REALM: &str = "acme";

/// Realm attribute that marks a demo's database.
pub const DEMO_ATTRIBUTE: &str = "portcullis.demo";

/// The passwords of a data folder.
#[derive(Clone, Debug)]
pub struct People {
    /// alice, an administrator of the app.
    pub alice: Secret,
    /// bob.
    pub bob: Secret,
    /// The administrator of the server.
    pub admin: Secret,
}

impl People {
    /// Reads the kept passwords, or makes new ones and keeps them (0600).
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn kept(file: Option<&Path>, entropy: &dyn Entropy) -> Result<Self, Failure> {
        let Some(file) = file else { return Ok(Self::new(entropy)) };
        if !file.exists() {
            let people = Self::new(entropy);
            let text = json!({
                "alice": people.alice.expose(), "bob": people.bob.expose(), "admin": people.admin.expose()
            });
            write_private(file, &format!("{text}\n"))?;
            return Ok(people);
        }
        let refused = |cause: String| Failure::failed(format!("{}: {cause}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|e| refused(e.to_string()))?;
        let kept: serde_json::Value = serde_json::from_str(&text).map_err(|e| refused(e.to_string()))?;
        let one = |name: &str| {
            kept.get(name)
                .and_then(|v| v.as_str())
                .map(Secret::new)
                .ok_or_else(|| refused(format!("no {name:?} in it")))
        };
        Ok(Self { alice: one("alice")?, bob: one("bob")?, admin: one("admin")? })
    }

    /// New passwords.
    #[must_use]
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self { alice: readable(entropy), bob: readable(entropy), admin: readable(entropy) }
    }
}

/// Four groups of four letters and digits that are not mistaken for each other: 80 bits.
fn readable(entropy: &dyn Entropy) -> Secret {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 16];
    entropy.fill(&mut bytes);
    let mut text = String::with_capacity(19);
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        text.push(LETTERS.get(usize::from(byte % 32)).map_or('x', |b| char::from(*b)));
    }
    Secret::new(text)
}

/// The realm as a Keycloak realm file, strict profile.
#[must_use]
pub fn realm_file(addresses: &Addresses, people: &People) -> String {
    let user = |(name, given, family): (&str, &str, &str), password: &Secret, roles: &[&str]| {
        json!({
            "username": name, "enabled": true, "emailVerified": true, "email": format!("{name}@acme.test"),
            "firstName": given, "lastName": family,
            "credentials": [{ "type": "password", "value": password.expose(), "temporary": false }],
            "realmRoles": roles
        })
    };
    let audience = json!({
        "name": "demo-api audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "consentRequired": false,
        "config": { "included.client.audience": "demo-api", "access.token.claim": "true", "id.token.claim": "false" }
    });
    json!({
        "realm": REALM, "displayName": "Acme", "enabled": true, "sslRequired": "external",
        "bruteForceProtected": true, "failureFactor": 10, "eventsEnabled": true, "rememberMe": true,
        "attributes": { "portcullis.profile": "strict", DEMO_ATTRIBUTE: "true" },
        "roles": { "realm": [
            { "name": "admin", "description": "May use the admin part of the app" },
            { "name": "user", "description": "May use the app" }
        ] },
        "clients": [
            {
                "clientId": "demo-app", "name": "Acme demo app", "enabled": true, "protocol": "openid-connect",
                "publicClient": true, "standardFlowEnabled": true, "directAccessGrantsEnabled": false,
                "rootUrl": addresses.app, "baseUrl": format!("{}/", addresses.app),
                "redirectUris": [format!("{}/", addresses.app), format!("{}/callback", addresses.app)],
                "webOrigins": [addresses.app],
                "attributes": {
                    "pkce.code.challenge.method": "S256",
                    "post.logout.redirect.uris": format!("{}/", addresses.app)
                },
                "protocolMappers": [audience]
            },
            { "clientId": "demo-api", "name": "Acme demo API", "enabled": true, "protocol": "openid-connect", "bearerOnly": true }
        ],
        "users": [
            user(("alice", "Alice", "Adams"), &people.alice, &["default-roles-acme", "user", "admin"]),
            user(("bob", "Bob", "Brown"), &people.bob, &["default-roles-acme", "user"])
        ]
    })
    .to_string()
}
