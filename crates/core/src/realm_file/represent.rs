//! Records back to Keycloak's JSON: member sets and order as recorded from Keycloak 26.4.2.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::members;
use crate::client::Client;
use crate::group::{Group, Groups};
use crate::ids::{ClientScopeId, GroupId, RoleId};
use crate::mapper::ProtocolMapper;
use crate::realm::Realm;
use crate::records::RealmRecords;
use crate::role::{Role, Roles};
use crate::scope::ClientScope;
use crate::user::User;

/// What Keycloak shows instead of a secret.
const MASK: &str = "**********";

/// A realm's full document (`GET /admin/realms/{realm}`).
#[must_use]
pub fn realm(records: &RealmRecords) -> Value {
    let realm = &records.realm;
    let Ok(Value::Object(mut document)) = serde_json::to_value(&realm.settings) else {
        return Value::Null;
    };
    document.insert("id".to_owned(), json!(realm.id));
    document.insert("realm".to_owned(), json!(realm.name));
    if let Some(id) = &realm.default_role
        && let Some(role) = records.roles.get(id)
    {
        document.insert("defaultRole".to_owned(), self::role(role, &realm.id, true));
    }
    if !realm.default_groups.is_empty() {
        let paths: Vec<String> = realm.default_groups.iter().map(|g| records.groups.path(g)).collect();
        document.insert("defaultGroups".to_owned(), json!(paths));
    }
    mask_smtp(&mut document);
    if !realm.settings.internationalization_enabled && realm.settings.supported_locales.is_empty() {
        document.shift_remove("supportedLocales");
    }
    let mut out = Map::new();
    for name in members::REALM {
        if !members::NOT_IN_DOCUMENT.contains(name)
            && let Some(value) = document.shift_remove(*name)
            && !value.is_null()
        {
            out.insert((*name).to_owned(), value);
        }
    }
    Value::Object(out)
}

fn mask_smtp(document: &mut Map<String, Value>) {
    if let Some(Value::Object(smtp)) = document.get_mut("smtpServer") {
        for secret in ["password", "authTokenClientSecret"] {
            if let Some(value) = smtp.get_mut(secret) {
                *value = json!(MASK);
            }
        }
    }
}

/// What an administrator without `view-realm` sees of a realm.
#[must_use]
pub fn realm_reduced(realm: &Realm) -> Value {
    let settings = &realm.settings;
    let mut out = Map::new();
    out.insert("realm".to_owned(), json!(realm.name));
    for (name, text) in [("displayName", &settings.display_name), ("displayNameHtml", &settings.display_name_html)] {
        if let Some(text) = text {
            out.insert(name.to_owned(), json!(text));
        }
    }
    out.insert("registrationEmailAsUsername".to_owned(), json!(settings.registration_email_as_username));
    out.insert("bruteForceProtected".to_owned(), json!(settings.brute_force_protected));
    out.insert("supportedLocales".to_owned(), json!(settings.supported_locales));
    if let Some(locale) = &settings.default_locale {
        out.insert("defaultLocale".to_owned(), json!(locale));
    }
    Value::Object(out)
}

/// A realm in the brief list (`GET /admin/realms?briefRepresentation=true`).
#[must_use]
pub fn realm_brief(realm: &Realm) -> Value {
    let mut out = Map::new();
    out.insert("id".to_owned(), json!(realm.id));
    out.insert("realm".to_owned(), json!(realm.name));
    for (name, text) in
        [("displayName", &realm.settings.display_name), ("displayNameHtml", &realm.settings.display_name_html)]
    {
        if let Some(text) = text {
            out.insert(name.to_owned(), json!(text));
        }
    }
    out.insert("enabled".to_owned(), json!(realm.settings.enabled));
    Value::Object(out)
}

/// A role. `container` is the realm's id; a client role stands in its client. `brief` leaves the attributes out.
#[must_use]
pub fn role(role: &Role, realm: &crate::ids::RealmId, brief: bool) -> Value {
    let mut out = Map::new();
    out.insert("id".to_owned(), json!(role.id));
    out.insert("name".to_owned(), json!(role.name));
    if let Some(text) = &role.description {
        out.insert("description".to_owned(), json!(text));
    }
    out.insert("composite".to_owned(), json!(!role.composites.is_empty()));
    out.insert("clientRole".to_owned(), json!(role.client.is_some()));
    let container = role.client.as_ref().map_or(realm.as_str(), |c| c.as_str());
    out.insert("containerId".to_owned(), json!(container));
    if !brief {
        out.insert("attributes".to_owned(), json!(role.attributes));
    }
    Value::Object(out)
}

/// A protocol mapper.
#[must_use]
pub fn mapper(mapper: &ProtocolMapper) -> Value {
    json!({
        "id": mapper.id,
        "name": mapper.name,
        "protocol": mapper.protocol,
        "protocolMapper": mapper.protocol_mapper,
        "consentRequired": mapper.consent_required,
        "config": mapper.config,
    })
}

/// A client scope with its mappers.
#[must_use]
pub fn scope(scope: &ClientScope) -> Value {
    let mut out = Map::new();
    out.insert("id".to_owned(), json!(scope.id));
    out.insert("name".to_owned(), json!(scope.name));
    if let Some(text) = &scope.description {
        out.insert("description".to_owned(), json!(text));
    }
    out.insert("protocol".to_owned(), json!(scope.protocol));
    out.insert("attributes".to_owned(), json!(scope.attributes));
    if !scope.mappers.is_empty() {
        let mappers: Vec<Value> = scope.mappers.iter().map(mapper).collect();
        out.insert("protocolMappers".to_owned(), Value::Array(mappers));
    }
    Value::Object(out)
}

/// A client (`GET /admin/realms/{realm}/clients`), with the secret of a confidential one; `access` is the caller's.
#[must_use]
pub fn client(client: &Client, records: &RealmRecords, access: Option<Value>) -> Value {
    let Ok(Value::Object(mut document)) = serde_json::to_value(&client.settings) else {
        return Value::Null;
    };
    document.insert("id".to_owned(), json!(client.id));
    document.insert("clientId".to_owned(), json!(client.client_id));
    document.insert("redirectUris".to_owned(), json!(client.redirect_uris));
    document.insert("webOrigins".to_owned(), json!(client.web_origins));
    if !client.settings.public_client
        && !client.settings.bearer_only
        && let Some(secret) = &client.secret
    {
        document.insert("secret".to_owned(), json!(secret.expose()));
    }
    if client.settings.protocol.is_empty() {
        document.shift_remove("protocol");
    }
    if !client.mappers.is_empty() {
        let mappers: Vec<Value> = client.mappers.iter().map(mapper).collect();
        document.insert("protocolMappers".to_owned(), Value::Array(mappers));
    }
    let names = |ids: &[ClientScopeId]| -> Vec<String> {
        ids.iter().filter_map(|id| records.scopes.get(id)).map(|s| s.name.clone()).collect()
    };
    document.insert("defaultClientScopes".to_owned(), json!(names(&client.default_scopes)));
    document.insert("optionalClientScopes".to_owned(), json!(names(&client.optional_scopes)));
    if let Some(access) = access {
        document.insert("access".to_owned(), access);
    }
    ordered(document, members::CLIENT)
}

/// The members of `document` in the order of `names`; others are left out.
fn ordered(mut document: Map<String, Value>, names: &[&str]) -> Value {
    let mut out = Map::new();
    for name in names {
        if let Some(value) = document.shift_remove(*name)
            && !value.is_null()
        {
            out.insert((*name).to_owned(), value);
        }
    }
    Value::Object(out)
}

/// A user without roles and groups (they have endpoints of their own); `access`, `totp` and the profile's metadata are the
/// caller's to know.
#[must_use]
pub fn user(user: &User, totp: bool, access: Option<Value>, metadata: Option<&Value>) -> Value {
    let settings = &user.settings;
    let mut document = settings.other.clone();
    document.insert("id".to_owned(), json!(user.id));
    document.insert("username".to_owned(), json!(user.username));
    document.insert("firstName".to_owned(), json!(settings.first_name));
    document.insert("lastName".to_owned(), json!(settings.last_name));
    document.insert("email".to_owned(), json!(user.email));
    document.insert("emailVerified".to_owned(), json!(settings.email_verified));
    if !settings.attributes.is_empty() {
        document.insert("attributes".to_owned(), json!(settings.attributes));
    }
    document.insert("enabled".to_owned(), json!(user.enabled));
    // Imported users have none (Keycloak 26.4).
    if settings.created_timestamp > 0 {
        document.insert("createdTimestamp".to_owned(), json!(settings.created_timestamp));
    }
    document.insert("totp".to_owned(), json!(totp));
    document.insert("disableableCredentialTypes".to_owned(), json!([]));
    document.insert("requiredActions".to_owned(), json!(settings.required_actions));
    document.insert("notBefore".to_owned(), json!(user.not_before));
    if let Some(metadata) = metadata {
        document.insert("userProfileMetadata".to_owned(), metadata.clone());
    }
    if let Some(access) = access {
        document.insert("access".to_owned(), access);
    }
    ordered(document, members::USER)
}

/// A group with its roles; `subGroups` stays empty as in Keycloak 26.4 (children have an endpoint of their own).
#[must_use]
pub fn group(group: &Group, records: &RealmRecords, access: Option<Value>) -> Value {
    let mut document = Map::new();
    document.insert("id".to_owned(), json!(group.id));
    document.insert("name".to_owned(), json!(group.name));
    document.insert("path".to_owned(), json!(records.groups.path(&group.id)));
    document.insert("parentId".to_owned(), json!(group.parent));
    document.insert("subGroupCount".to_owned(), json!(children(&records.groups, &group.id)));
    document.insert("subGroups".to_owned(), json!([]));
    document.insert("attributes".to_owned(), json!(group.attributes));
    let (realm_roles, client_roles) = role_names(&group.roles, &records.roles, records);
    document.insert("realmRoles".to_owned(), json!(realm_roles));
    document.insert("clientRoles".to_owned(), json!(client_roles));
    if let Some(access) = access {
        document.insert("access".to_owned(), access);
    }
    ordered(document, members::GROUP)
}

fn children(groups: &Groups, id: &GroupId) -> usize {
    groups.iter().filter(|g| g.parent.as_ref() == Some(id)).count()
}

/// Names of realm roles, and of client roles by `client_id`.
#[must_use]
pub fn role_names(
    ids: &[RoleId],
    roles: &Roles,
    records: &RealmRecords,
) -> (Vec<String>, BTreeMap<String, Vec<String>>) {
    let mut realm = Vec::new();
    let mut clients: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for role in ids.iter().filter_map(|id| roles.get(id)) {
        match role.client.as_ref().map(|c| records.client_by_uuid(c)) {
            None => realm.push(role.name.clone()),
            Some(Some(client)) => clients.entry(client.client_id.clone()).or_default().push(role.name.clone()),
            Some(None) => {}
        }
    }
    (realm, clients)
}
