//! Runs the mappers of a client and its active scopes for one target.

use std::cell::LazyCell;

use serde_json::{Map, Value};

use super::mapper;
use super::roles::{self, RoleNames};
use super::{Facts, Target};
use crate::mapper::ProtocolMapper;

/// What the mappers wrote.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Audiences, in the order they came.
    pub audience: Vec<String>,
    /// Whether `sub` is shown (always in ID tokens and userinfo).
    pub subject: bool,
    /// All other members.
    pub members: Map<String, Value>,
}

impl Claims {
    /// Leaves only these audiences, and of the roles of clients only theirs.
    pub(super) fn keep_audiences(&mut self, only: &[String]) {
        self.audience.retain(|name| only.contains(name));
        if let Some(Value::Object(clients)) = self.members.get_mut("resource_access") {
            clients.retain(|name, _| only.contains(name));
            if clients.is_empty() {
                self.members.shift_remove("resource_access");
            }
        }
    }

    pub(super) fn add_audience(&mut self, name: &str) {
        if !self.audience.iter().any(|a| a == name) {
            self.audience.push(name.to_owned());
        }
    }
}

/// The claims of one target.
#[must_use]
pub fn gather(facts: &Facts<'_>, target: Target) -> Claims {
    let mappers = mappers(facts);
    // Most documents carry no roles; the expansion of composites is the dearest part.
    let names = LazyCell::new(|| role_names(facts, &mappers));
    let mut claims = Claims::default();
    for mapper in mappers.iter().filter(|m| target.wants(m)) {
        mapper::apply(mapper, facts, &names, target, &mut claims);
    }
    claims
}

fn mappers<'a>(facts: &Facts<'a>) -> Vec<&'a ProtocolMapper> {
    let of_scopes = facts.scopes.iter().flat_map(|scope| &scope.mappers);
    of_scopes.chain(&facts.client.mappers).filter(|m| m.protocol == "openid-connect").collect()
}

/// Roles go first: two mapper types change them for all others (Keycloak 26.4: their priorities are lowest).
fn role_names(facts: &Facts<'_>, mappers: &[&ProtocolMapper]) -> RoleNames {
    let granted = roles::granted(facts.records, facts.client, facts.user, facts.scopes);
    let mut names = RoleNames::of(facts.records, granted);
    let of_type = |kind: &'static str| mappers.iter().filter(move |m| m.protocol_mapper == kind);
    for mapper in of_type("oidc-hardcoded-role-mapper") {
        if let Some(role) = mapper.get("role").filter(|r| !r.is_empty()) {
            let (client, name) = roles::parse(facts.records, role);
            names.add(client, name);
        }
    }
    for mapper in of_type("oidc-role-name-mapper") {
        let (Some(from), Some(to)) = (mapper.get("role"), mapper.get("new.role.name")) else { continue };
        let (client, name) = roles::parse(facts.records, from);
        if names.remove(client, name) {
            let (to_client, to_name) = roles::parse(facts.records, to);
            // A new name without a client is the realm's (Keycloak 26.4).
            names.add(to_client, to_name);
        }
    }
    names
}
