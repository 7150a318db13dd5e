//! A realm file, read and typed, its names not yet resolved.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::clients::{FileClient, FileScope};
use super::components;
use super::keys::KeySpec;
use super::members;
use super::reader::Obj;
use super::refusal::{Reason, Refusal};
use super::roles::{FileGroup, FileRole, FileScopeMapping};
use super::users::FileUser;
use super::{defaults, json};
use crate::realm::{Realm, RealmSettings};

/// A realm file as read. What it does not say is `None`; its names are resolved by [`super::assemble`].
pub struct RealmFile {
    /// The realm's id, when the file has one.
    pub id: Option<String>,
    /// The realm's name.
    pub name: String,
    /// The realm's document: defaults of a fresh realm overlaid with the file's members.
    pub settings: RealmSettings,
    pub(super) default_role: Option<FileRole>,
    pub(super) default_groups: Vec<String>,
    pub(super) realm_roles: Vec<FileRole>,
    pub(super) client_roles: Vec<(String, Vec<FileRole>)>,
    pub(super) groups: Vec<FileGroup>,
    pub(super) users: Vec<FileUser>,
    pub(super) clients: Vec<FileClient>,
    pub(super) scopes: Option<Vec<FileScope>>,
    pub(super) default_scopes: Option<Vec<String>>,
    pub(super) optional_scopes: Option<Vec<String>>,
    pub(super) scope_mappings: Vec<FileScopeMapping>,
    pub(super) client_scope_mappings: Vec<(String, Vec<FileScopeMapping>)>,
    pub(super) keys: Vec<KeySpec>,
}

/// Longest name of a realm, client, role, group or scope (Keycloak's columns).
pub(super) const NAME_MAX: usize = 255;

impl RealmFile {
    /// Reads a realm file.
    ///
    /// # Errors
    /// A [`Refusal`] naming the place and the cause.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::from_value(json::strict(bytes)?)
    }

    /// The file that holds nothing but a name.
    ///
    /// # Errors
    /// A name that may not be one.
    pub fn named(name: &str) -> Result<Self, Refusal> {
        Self::from_value(serde_json::json!({"realm": name, "enabled": true}))
    }

    /// Reads a parsed document.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_value(value: Value) -> Result<Self, Refusal> {
        let mut obj = Obj::of(value, "")?;
        obj.only(members::REALM, "RealmRepresentation")?;
        let name = realm_name(&mut obj)?;
        let id = obj.text("id")?.filter(|id| !id.trim().is_empty());
        if let Some(id) = &id {
            checked_name("id", id)?;
        }
        let (realm_roles, client_roles) = FileRole::lists(&mut obj)?;
        let default_role = match obj.object("defaultRole")? {
            Some(role) => Some(FileRole::read(role)?),
            None => None,
        };
        Ok(Self {
            id,
            name,
            default_role,
            default_groups: obj.texts("defaultGroups")?.unwrap_or_default(),
            realm_roles,
            client_roles,
            groups: FileGroup::list(&mut obj, "groups")?,
            users: FileUser::list(&mut obj)?,
            clients: FileClient::list(&mut obj)?,
            scopes: FileScope::list(&mut obj)?,
            default_scopes: obj.texts("defaultDefaultClientScopes")?,
            optional_scopes: obj.texts("defaultOptionalClientScopes")?,
            scope_mappings: FileScopeMapping::list(&mut obj, "scopeMappings")?,
            client_scope_mappings: FileScopeMapping::by_client(&mut obj)?,
            keys: components::keys(&mut obj)?,
            settings: settings(obj)?,
        })
    }

    /// How many users the file lists.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.users.len()
    }
}

/// A realm's document after a partial update (`PUT /admin/realms/{realm}`): members that stand there replace, absent ones
/// stay, collections with endpoints of their own are ignored (Keycloak 26.4). Version and id are untouched.
///
/// # Errors
/// A [`Refusal`] naming the place and the cause.
pub fn updated(current: &Realm, bytes: &[u8]) -> Result<Realm, Refusal> {
    let mut obj = Obj::of(json::strict(bytes)?, "")?;
    obj.only(members::REALM, "RealmRepresentation")?;
    let mut realm = current.clone();
    if let Some(name) = obj.text("realm")?.filter(|name| !name.is_empty()) {
        checked_name("realm", &name)?;
        realm.name = name;
    }
    for ignored in members::NOT_UPDATED {
        obj.value(ignored);
    }
    let unreadable = |error: serde_json::Error| Refusal::at("", Reason::Syntax(error.to_string()));
    let Value::Object(mut document) = serde_json::to_value(&current.settings).map_err(unreadable)? else {
        return Ok(realm);
    };
    let types = defaults::settings()?;
    for (name, place, value) in obj.members() {
        let value = typed(&types, &name, &place, value)?;
        if value.is_null() {
            continue;
        }
        let value = if name == "attributes" { attributes_after(&current.settings, value) } else { value };
        document.insert(name, value);
    }
    mirror_device_attributes(&mut document);
    realm.settings = settings_of(document)?;
    super::checks::profile(&realm.settings)?;
    Ok(realm)
}

/// Attributes that Keycloak 26.4 writes from its own configuration at every update.
const KEPT_ATTRIBUTES: [&str; 7] = [
    "cibaBackchannelTokenDeliveryMode",
    "cibaExpiresIn",
    "cibaInterval",
    "cibaAuthRequestedUserHint",
    "oauth2DeviceCodeLifespan",
    "oauth2DevicePollingInterval",
    "parRequestUriLifespan",
];

/// A new `attributes` replaces the old; Keycloak's own stay, and ours: a client that does not know them must not
/// switch a strict realm back.
fn attributes_after(current: &RealmSettings, new: Value) -> Value {
    let Value::Object(mut new) = new else {
        return new;
    };
    for (name, value) in &current.attributes {
        if KEPT_ATTRIBUTES.contains(&name.as_str()) || name.starts_with("portcullis.") {
            new.entry(name.as_str()).or_insert_with(|| Value::String(value.clone()));
        }
    }
    Value::Object(new)
}

fn realm_name(obj: &mut Obj) -> Result<String, Refusal> {
    let name = obj.text("realm")?.unwrap_or_default();
    if name.trim().is_empty() {
        return Err(obj.refuse("realm", Reason::NoName));
    }
    checked_name("realm", &name)?;
    Ok(name)
}

/// Keycloak 26.4 refuses the reserved characters of RFC 3986 in names that become path segments; control characters,
/// `%` and dot segments are refused as well.
pub(super) fn checked_name(place: &str, name: &str) -> Result<(), Refusal> {
    let reserved = |c: &char| c.is_control() || ":/?#@!$&()*+,;=[]\\%".contains(*c);
    if let Some(c) = name.chars().find(reserved) {
        return Err(Refusal::at(place, Reason::ReservedCharacter(c)));
    }
    if name.chars().count() > NAME_MAX {
        return Err(Refusal::at(place, Reason::NotAllowed(format!("longer than {NAME_MAX} characters"))));
    }
    if matches!(name, "." | "..") {
        return Err(Refusal::at(place, Reason::ReservedCharacter('.')));
    }
    Ok(())
}

/// The realm's document: the members that are left, over the defaults.
fn settings(obj: Obj) -> Result<RealmSettings, Refusal> {
    let mut document = defaults::settings()?;
    for (name, place, value) in obj.members() {
        let value = typed(&document, &name, &place, value)?;
        match value {
            Value::Null => {}
            Value::Object(new) if name == "attributes" => merge(&mut document, &new),
            value @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                document.insert(name, value);
            }
        }
    }
    mirror_device_attributes(&mut document);
    for secret in ["privateKey", "codeSecret"] {
        document.shift_remove(secret);
    }
    settings_of(document)
}

/// The typed document of a merged one.
pub(super) fn settings_of(document: Map<String, Value>) -> Result<RealmSettings, Refusal> {
    serde_json::from_value(Value::Object(document)).map_err(|error| Refusal::at("", Reason::Syntax(error.to_string())))
}

fn merge(document: &mut Map<String, Value>, new: &Map<String, Value>) {
    if let Some(Value::Object(attributes)) = document.get_mut("attributes") {
        for (name, value) in new {
            attributes.insert(name.clone(), value.clone());
        }
    }
}

/// Keycloak keeps these two numbers as attributes.
fn mirror_device_attributes(document: &mut Map<String, Value>) {
    for name in ["oauth2DeviceCodeLifespan", "oauth2DevicePollingInterval"] {
        let text = document.get(name).map(ToString::to_string);
        if let (Some(text), Some(Value::Object(attributes))) = (text, document.get_mut("attributes")) {
            attributes.insert(name.to_owned(), Value::String(text));
        }
    }
}

/// `value` in the type that the default of the same name has; Keycloak coerces scalars.
fn typed(document: &Map<String, Value>, name: &str, place: &str, value: Value) -> Result<Value, Refusal> {
    let mut one = Obj::of(Value::Object(Map::from_iter([(name.to_owned(), value)])), "")?;
    let refuse = |what| Err(Refusal::at(place, Reason::Expected(what)));
    let taken = match document.get(name) {
        Some(Value::Bool(_)) => one.flag(name)?.map(Value::Bool),
        Some(Value::Number(_)) => match one.number(name)? {
            Some(n) if i32::try_from(n).is_err() && name != "quickLoginCheckMilliSeconds" => {
                return refuse("a number of 32 bits");
            }
            number => number.map(Value::from),
        },
        Some(Value::String(_)) => one.text(name)?.map(Value::String),
        Some(Value::Array(_)) if name == "requiredActions" => required_actions(&mut one)?,
        Some(Value::Array(_)) => one.texts(name)?.map(Value::from),
        Some(Value::Object(_)) if matches!(name, "clientProfiles" | "clientPolicies") => {
            one.object(name)?.map(|o| Value::Object(o.rest()))
        }
        Some(Value::Object(_)) => one.text_map(name)?.map(text_object),
        Some(Value::Null) | None if members::REALM_TEXTS.contains(&name) => one.text(name)?.map(Value::String),
        Some(Value::Null) | None if name == "supportedLocales" => one.texts(name)?.map(Value::from),
        Some(Value::Null) | None if name == "eventsExpiration" => one.number(name)?.map(Value::from),
        Some(Value::Null) | None => one.value(name),
    };
    Ok(taken.unwrap_or(Value::Null))
}

fn text_object(map: BTreeMap<String, String>) -> Value {
    Value::Object(map.into_iter().map(|(k, v)| (k, Value::String(v))).collect())
}

fn required_actions(one: &mut Obj) -> Result<Option<Value>, Refusal> {
    let Some(actions) = one.objects("requiredActions")? else {
        return Ok(None);
    };
    let mut list = Vec::with_capacity(actions.len());
    for mut action in actions {
        let alias = action.text("alias")?.ok_or_else(|| action.refuse("alias", Reason::Missing("alias")))?;
        let enabled = action.flag("enabled")?.unwrap_or(false);
        let default_action = action.flag("defaultAction")?.unwrap_or(false);
        let mut entry = Map::from_iter([
            ("alias".to_owned(), Value::String(alias)),
            ("enabled".to_owned(), Value::Bool(enabled)),
            ("defaultAction".to_owned(), Value::Bool(default_action)),
        ]);
        entry.extend(action.rest());
        list.push(Value::Object(entry));
    }
    Ok(Some(Value::Array(list)))
}
