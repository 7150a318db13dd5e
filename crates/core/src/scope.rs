//! Client scopes (Keycloak): a scope value with its mappers and role mappings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ClientScopeId, RoleId};
use crate::mapper::ProtocolMapper;

/// A stored client scope.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientScope {
    /// Its id.
    pub id: ClientScopeId,
    /// The scope value (RFC 6749 §3.3).
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// `openid-connect`; others are kept and not acted on.
    pub protocol: String,
    /// `include.in.token.scope`, `display.on.consent.screen`, `consent.screen.text`, `gui.order`.
    pub attributes: BTreeMap<String, String>,
    /// Its mappers.
    pub mappers: Vec<ProtocolMapper>,
    /// Roles it lets through when a client's full scope is off.
    pub scope_mappings: Vec<RoleId>,
    /// Whether new clients get it as default (`Some(true)`), optional (`Some(false)`) or not at all.
    pub realm_default: Option<bool>,
}

impl ClientScope {
    /// What a user reads of it before saying yes: `consent.screen.text`, else the name; `None` where `display.on.consent.screen` is off.
    #[must_use]
    pub fn consent_text(&self) -> Option<&str> {
        let attribute = |name: &str| self.attributes.get(name).map(String::as_str);
        let text = attribute("consent.screen.text").filter(|text| !text.is_empty());
        (attribute("display.on.consent.screen") != Some("false")).then(|| text.unwrap_or(&self.name))
    }

    /// Whether the name shows in the token's `scope` (`include.in.token.scope`, true when absent).
    #[must_use]
    pub fn in_token_scope(&self) -> bool {
        self.attributes.get("include.in.token.scope").is_none_or(|v| v == "true")
    }
}
