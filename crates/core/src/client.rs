//! A client (RFC 6749 §2) with Keycloak's settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{ClientScopeId, ClientUuid, RoleId};
use crate::mapper::ProtocolMapper;
use crate::secret::Secret;

/// A stored client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Keycloak's `id`.
    pub id: ClientUuid,
    /// RFC 6749 `client_id`.
    pub client_id: String,
    /// Grows by one with each change.
    pub version: i64,
    /// The document people edit.
    pub settings: ClientSettings,
    /// Registered redirect URIs, as written.
    pub redirect_uris: Vec<String>,
    /// Registered web origins, as written (`+`, `*` allowed).
    pub web_origins: Vec<String>,
    /// The client's own mappers.
    pub mappers: Vec<ProtocolMapper>,
    /// Client scopes always applied.
    pub default_scopes: Vec<ClientScopeId>,
    /// Client scopes applied when asked for.
    pub optional_scopes: Vec<ClientScopeId>,
    /// Roles this client may carry when full scope is off (Keycloak's scope mappings).
    pub scope_mappings: Vec<RoleId>,
    /// The client secret (sealed at rest), confidential clients only.
    pub secret: Option<Secret>,
}

const fn yes() -> bool {
    true
}

const fn minus_one() -> i64 {
    -1
}

fn openid_connect() -> String {
    "openid-connect".to_owned()
}

fn client_secret() -> String {
    "client-secret".to_owned()
}

/// Keycloak's `ClientRepresentation` without id, secret and collections (Keycloak 26.4 defaults).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are Keycloak's, documented in its ClientRepresentation")]
pub struct ClientSettings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    #[serde(default)]
    pub surrogate_auth_required: bool,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub always_display_in_console: bool,
    #[serde(default = "client_secret")]
    pub client_authenticator_type: String,
    #[serde(default)]
    pub not_before: i64,
    #[serde(default)]
    pub bearer_only: bool,
    #[serde(default)]
    pub consent_required: bool,
    #[serde(default = "yes")]
    pub standard_flow_enabled: bool,
    #[serde(default)]
    pub implicit_flow_enabled: bool,
    #[serde(default)]
    pub direct_access_grants_enabled: bool,
    #[serde(default)]
    pub service_accounts_enabled: bool,
    #[serde(default)]
    pub public_client: bool,
    #[serde(default)]
    pub frontchannel_logout: bool,
    #[serde(default = "openid_connect")]
    pub protocol: String,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    #[serde(default = "yes")]
    pub full_scope_allowed: bool,
    #[serde(default = "minus_one")]
    pub node_re_registration_timeout: i64,
    /// Members that are kept and not acted on.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Client {
    /// Where the application begins, for links back to it: its base URL under its root URL. `base` is the server's own address, which
    /// Keycloak's built-in clients name `${authBaseUrl}`.
    #[must_use]
    pub fn home(&self, base: &str) -> Option<String> {
        let url = self.settings.base_url.as_deref().filter(|url| !url.is_empty())?;
        if !url.starts_with('/') {
            return Some(url.to_owned());
        }
        let root = self.settings.root_url.as_deref().filter(|root| !root.is_empty()).unwrap_or(base);
        Some(format!("{}{url}", root.replace("${authBaseUrl}", base).trim_end_matches('/')))
    }

    /// An attribute's text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.settings.attributes.get(name).map(String::as_str)
    }

    /// Whether an attribute is the text `true`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.attribute(name) == Some("true")
    }

    /// An attribute that is a whole number of seconds; absent, empty and malformed are `None`.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.parse().ok().filter(|n: &i64| *n > 0)
    }

    /// RFC 6749 §2.1: whether it cannot keep a secret.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.settings.public_client
    }
}
