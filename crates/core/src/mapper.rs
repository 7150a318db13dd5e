//! A protocol mapper: one rule that writes claims into tokens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::MapperId;

/// Keycloak's `ProtocolMapperRepresentation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProtocolMapper {
    /// Its id.
    pub id: MapperId,
    /// Its name, unique in its container.
    pub name: String,
    /// `openid-connect` (others are kept and not acted on).
    pub protocol: String,
    /// The mapper type, for example `oidc-usermodel-attribute-mapper`.
    pub protocol_mapper: String,
    /// Kept for the wire.
    #[serde(default)]
    pub consent_required: bool,
    /// `claim.name`, `jsonType.label`, `access.token.claim`, ...
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

impl ProtocolMapper {
    /// A configuration value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }

    /// Whether a configuration value is the text `true`.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.get(key) == Some("true")
    }
}
