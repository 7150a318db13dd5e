//! The identity provider alone, by the name that a browser's user types: `localhost`, the clock going as the browser's does.

use std::sync::Arc;

use anyhow::Result;
use portcullis_testkit::clock::MovableClock;
use portcullis_testkit::server::{Options, TestServer};
use serde_json::{Value, json};

/// A server and its address.
pub(crate) struct Idp {
    /// `http://localhost:PORT`.
    pub(crate) base: String,
    /// The server itself.
    pub(crate) server: TestServer,
}

impl Idp {
    /// With one realm.
    pub(crate) async fn start(realm: &Value) -> Result<Self> {
        let clock = Arc::new(MovableClock::running());
        let server = TestServer::with(Options { clock, ..Options::default() }).await?;
        server.import(realm).await?;
        Ok(Self { base: server.base.replace("127.0.0.1", "localhost"), server })
    }
}

/// The realm `walk` with alice and public clients: name, and the one address it may be sent back to.
pub(crate) fn realm(clients: &[(&str, &str)]) -> Value {
    let audience = json!({
        "name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": { "included.custom.audience": "walk-api", "access.token.claim": "true", "id.token.claim": "false" }
    });
    let client = |(name, address): &(&str, &str)| {
        json!({
            "clientId": name, "enabled": true, "protocol": "openid-connect", "publicClient": true,
            "standardFlowEnabled": true, "redirectUris": [address], "webOrigins": ["+"],
            "attributes": { "post.logout.redirect.uris": "+", "pkce.code.challenge.method": "S256" },
            "protocolMappers": [audience]
        })
    };
    json!({
        "realm": "walk", "displayName": "Walk", "enabled": true, "sslRequired": "external",
        "clients": clients.iter().map(client).collect::<Vec<_>>(),
        "users": [{
            "username": "alice", "enabled": true, "emailVerified": true, "email": "alice@walk.test",
            "firstName": "Alice", "lastName": "Adams", "realmRoles": ["default-roles-walk"],
            "credentials": [{ "type": "password", "value": "alice-password", "temporary": false }]
        }]
    })
}
