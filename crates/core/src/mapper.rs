//! A protocol mapper: one rule that writes claims into tokens.

use std::collections::BTreeMap;
use std::sync::OnceLock;

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
    /// What its switches come to, read once: a token asks every mapper.
    #[serde(skip)]
    pub switches: Switches,
}

/// A memo of the configuration: no part of the value, and a copy (which may be changed) starts without it.
#[derive(Debug, Default)]
pub struct Switches(OnceLock<u8>);

impl Switches {
    /// One bit for each document.
    pub(crate) fn bits(&self, read: impl FnOnce() -> u8) -> u8 {
        *self.0.get_or_init(read)
    }
}

impl Clone for Switches {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Switches {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Switches {}

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
