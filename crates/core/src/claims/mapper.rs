//! Keycloak's protocol mapper types. A type that is not listed writes nothing.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::claim::{self, Source};
use super::gather::Claims;
use super::roles::RoleNames;
use super::{Facts, Target, origins};
use crate::login::level;
use crate::mapper::ProtocolMapper;
use crate::realm::Profile;
use crate::user::User;

pub(super) fn apply<F: FnOnce() -> RoleNames>(
    mapper: &ProtocolMapper,
    facts: &Facts<'_>,
    roles: &LazyCell<RoleNames, F>,
    target: Target,
    claims: &mut Claims,
) {
    match mapper.protocol_mapper.as_str() {
        "oidc-usermodel-property-mapper" => named(mapper, facts, Source::Data, property(mapper, facts.user), claims),
        "oidc-usermodel-attribute-mapper" => named(mapper, facts, Source::Data, attribute(mapper, facts), claims),
        "oidc-group-membership-mapper" => named(mapper, facts, Source::Data, groups(mapper, facts), claims),
        "oidc-usersessionmodel-note-mapper" => note(mapper, facts, claims),
        "oidc-hardcoded-claim-mapper" => {
            let value = mapper.get("claim.value").filter(|value| !value.is_empty()).map(Value::from);
            named(mapper, facts, Source::Configured, value, claims);
        }
        "oidc-usermodel-realm-role-mapper" => realm_roles(mapper, facts, roles, claims),
        "oidc-usermodel-client-role-mapper" => client_roles(mapper, facts, roles, claims),
        "oidc-full-name-mapper" => member(claims, "name", full_name(facts.user).map(Value::from)),
        "oidc-address-mapper" => member(claims, "address", Some(address(mapper, facts))),
        "oidc-sub-mapper" => claims.subject = true,
        // Keycloak 26.4 has these in tokens, whatever their switches say of other documents.
        "oidc-acr-mapper" if target != Target::Userinfo => member(claims, "acr", Some(acr(facts))),
        "oidc-amr-mapper" if !matches!(target, Target::Userinfo | Target::Introspection) => {
            member(claims, "amr", Some(amr(facts)));
        }
        "oidc-allowed-origins-mapper" if !matches!(target, Target::Id | Target::Userinfo) => {
            let origins = origins::of(facts.client);
            member(claims, "allowed-origins", (!origins.is_empty()).then(|| origins.into()));
        }
        "oidc-audience-mapper" => audience(mapper, facts, claims),
        "oidc-audience-resolve-mapper" => match target {
            Target::Access | Target::LightweightAccess | Target::Introspection => {
                for client in roles.clients.keys().filter(|c| **c != facts.client.client_id) {
                    claims.add_audience(client);
                }
            }
            Target::Id | Target::Userinfo => {}
        },
        // Hardcoded roles and renamed ones were applied before; unknown types are kept and write nothing.
        _ => {}
    }
}

fn member(claims: &mut Claims, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        claims.members.insert(name.to_owned(), value);
    }
}

/// Writes a value under the mapper's `claim.name` in its `jsonType.label`.
fn named(mapper: &ProtocolMapper, facts: &Facts<'_>, source: Source, value: Option<Value>, claims: &mut Claims) {
    let (Some(name), Some(value)) = (mapper.get("claim.name"), value) else { return };
    place(mapper, facts, (name, source), value, claims);
}

fn place(
    mapper: &ProtocolMapper,
    facts: &Facts<'_>,
    (name, source): (&str, Source),
    value: Value,
    claims: &mut Claims,
) {
    let strict = facts.records.realm.profile() == Profile::Strict;
    let Some(path) = claim::path(name, source, strict) else { return };
    if let Some(value) = claim::typed(mapper.get("jsonType.label"), value) {
        claim::put(&mut claims.members, &path, value);
    }
}

fn property(mapper: &ProtocolMapper, user: &User) -> Option<Value> {
    match mapper.get("user.attribute")? {
        "id" => Some(user.id.as_str().into()),
        "enabled" => Some(user.enabled.into()),
        "emailVerified" => Some(user.settings.email_verified.into()),
        "createdTimestamp" => Some(user.settings.created_timestamp).filter(|time| *time > 0).map(Value::from),
        name => field(user, name).map(Value::from),
    }
}

/// A column of the user that is also an attribute (Keycloak 26.4).
fn field<'u>(user: &'u User, name: &str) -> Option<&'u str> {
    match name {
        "username" => Some(user.username.as_str()),
        "email" => user.email.as_deref(),
        "firstName" => user.settings.first_name.as_deref(),
        "lastName" => user.settings.last_name.as_deref(),
        _ => None,
    }
}

/// Values of an attribute: the user's, else those of the nearest group that has it; with `aggregate.attrs` all of them.
fn attribute_values(facts: &Facts<'_>, name: &str, aggregate: bool) -> Vec<String> {
    if let Some(text) = field(facts.user, name) {
        return vec![text.to_owned()];
    }
    let mut values = facts.user.settings.attributes.get(name).cloned().unwrap_or_default();
    if !values.is_empty() && !aggregate {
        return values;
    }
    for group in facts.user.groups.iter().flat_map(|id| facts.records.groups.lineage(id)) {
        for value in group.attributes.get(name).into_iter().flatten() {
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        if !aggregate && !values.is_empty() {
            break;
        }
    }
    values
}

fn attribute(mapper: &ProtocolMapper, facts: &Facts<'_>) -> Option<Value> {
    let values = attribute_values(facts, mapper.get("user.attribute")?, mapper.flag("aggregate.attrs"));
    if mapper.flag("multivalued") {
        return (!values.is_empty()).then(|| values.into());
    }
    values.into_iter().next().map(Value::from)
}

fn groups(mapper: &ProtocolMapper, facts: &Facts<'_>) -> Option<Value> {
    let full = mapper.get("full.path") != Some("false");
    let all = &facts.records.groups;
    let names: Vec<String> = facts
        .user
        .groups
        .iter()
        .filter_map(|id| all.get(id).map(|group| if full { all.path(id) } else { group.name.clone() }))
        .collect();
    (!names.is_empty()).then(|| names.into())
}

/// A session note. `AUTH_TIME` is the law's own and shown for logins in a browser only.
fn note(mapper: &ProtocolMapper, facts: &Facts<'_>, claims: &mut Claims) {
    let Some(name) = mapper.get("user.session.note") else { return };
    let Some(session) = facts.session else { return };
    if name == "AUTH_TIME" {
        let value = facts.grant.browser.then(|| Value::from(facts.grant.auth_time.unwrap_or(session.auth_time)));
        named(mapper, facts, Source::Law, value, claims);
    } else {
        named(mapper, facts, Source::Data, session.notes.get(name).map(|v| v.as_str().into()), claims);
    }
}

fn prefixed(names: &BTreeSet<String>, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.unwrap_or_default();
    names.iter().map(|name| format!("{prefix}{name}")).collect()
}

/// Lists are lists where the token's own members are meant; elsewhere a mapper that is not multivalued gives one name.
fn role_value(mapper: &ProtocolMapper, claim: &str, names: Vec<String>) -> Option<Value> {
    let own = claim == "realm_access.roles" || claim.starts_with("resource_access.");
    if own || mapper.flag("multivalued") {
        return (!names.is_empty()).then(|| names.into());
    }
    names.into_iter().next().map(Value::from)
}

fn realm_roles(mapper: &ProtocolMapper, facts: &Facts<'_>, roles: &RoleNames, claims: &mut Claims) {
    let Some(claim) = mapper.get("claim.name") else { return };
    let names = prefixed(&roles.realm, mapper.get("usermodel.realmRoleMapping.rolePrefix"));
    if let Some(value) = role_value(mapper, claim, names) {
        place(mapper, facts, (claim, Source::Law), value, claims);
    }
}

fn client_roles(mapper: &ProtocolMapper, facts: &Facts<'_>, roles: &RoleNames, claims: &mut Claims) {
    let Some(claim) = mapper.get("claim.name") else { return };
    let prefix = mapper.get("usermodel.clientRoleMapping.rolePrefix");
    let only = mapper.get("usermodel.clientRoleMapping.clientId").filter(|id| !id.is_empty());
    for (client, names) in roles.clients.iter().filter(|(client, _)| only.is_none_or(|only| only == client.as_str())) {
        let claim = claim.replace("${client_id}", &client.replace('\\', "\\\\").replace('.', "\\."));
        if let Some(value) = role_value(mapper, &claim, prefixed(names, prefix)) {
            place(mapper, facts, (&claim, Source::Law), value, claims);
        }
    }
}

fn full_name(user: &User) -> Option<String> {
    let parts = [user.settings.first_name.as_deref(), user.settings.last_name.as_deref()];
    let name = parts.into_iter().flatten().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

/// OIDC Core §5.1.1. An empty object when nothing is known (Keycloak 26.4).
fn address(mapper: &ProtocolMapper, facts: &Facts<'_>) -> Value {
    let parts = [
        ("street_address", "street"),
        ("locality", "locality"),
        ("region", "region"),
        ("postal_code", "postal_code"),
        ("country", "country"),
        ("formatted", "formatted"),
    ];
    let mut members = Map::new();
    for (member, default) in parts {
        let attribute = mapper.get(&format!("user.attribute.{default}")).unwrap_or(default);
        if let Some(value) = attribute_values(facts, attribute, false).into_iter().next() {
            members.insert(member.to_owned(), value.into());
        }
    }
    Value::Object(members)
}

/// The level of the authorization; what was no login of a browser is 1 (Keycloak 26.4).
fn acr(facts: &Facts<'_>) -> Value {
    let of_grant = facts.grant.acr.as_deref().map(Value::from);
    of_grant.unwrap_or_else(|| level::name(facts.records, facts.client, None, 1).into())
}

/// Authentication methods noted at login, words separated by blanks. A list, also of none (Keycloak 26.4).
fn amr(facts: &Facts<'_>) -> Value {
    let noted = facts.session.and_then(|session| session.notes.get("amr")).map_or("", String::as_str);
    noted.split_whitespace().collect::<Vec<_>>().into()
}

fn audience(mapper: &ProtocolMapper, facts: &Facts<'_>, claims: &mut Claims) {
    let client = mapper.get("included.client.audience").filter(|a| !a.is_empty());
    let known = client.filter(|id| facts.records.client(id).is_some());
    let custom = mapper.get("included.custom.audience").filter(|a| !a.is_empty());
    if let Some(audience) = known.or(if client.is_none() { custom } else { None }) {
        claims.add_audience(audience);
    }
}
