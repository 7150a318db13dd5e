//! A realm's user profile: which attributes a user has, who sees and edits them, and what they must look like
//! (Keycloak 26.4's declarative user profile, as an administrator meets it).
//!
//! **Owns** the reading of the configuration, `userProfileMetadata`, what an administrator sees of a user's attributes, and the
//! faults of new values. **Does not own** the pages of a user's own profile, the reading of a document (`realm_file`).
//!
//! Validators acted on: `length`, `email`, `options`, `integer`, `multivalued`, `username-prohibited-characters`,
//! `person-name-prohibited-characters`. The others are told in the metadata and not enforced.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::realm::Realm;

const COMPONENT: &str = "org.keycloak.userprofile.UserProfileProvider";
const CONFIG: &str = "kc.user.profile.config";
/// Attributes that are members of the user itself.
pub const ROOT: [&str; 4] = ["username", "email", "firstName", "lastName"];

/// What a fresh realm has (Keycloak 26.4).
const DEFAULT: &str = r#"{"attributes":[
{"name":"username","displayName":"${username}","validations":{"length":{"min":3,"max":255},"username-prohibited-characters":{},"up-username-not-idn-homograph":{}},"permissions":{"view":["admin","user"],"edit":["admin","user"]},"multivalued":false},
{"name":"email","displayName":"${email}","validations":{"email":{},"length":{"max":255}},"required":{"roles":["user"]},"permissions":{"view":["admin","user"],"edit":["admin","user"]},"multivalued":false},
{"name":"firstName","displayName":"${firstName}","validations":{"length":{"max":255},"person-name-prohibited-characters":{}},"required":{"roles":["user"]},"permissions":{"view":["admin","user"],"edit":["admin","user"]},"multivalued":false},
{"name":"lastName","displayName":"${lastName}","validations":{"length":{"max":255},"person-name-prohibited-characters":{}},"required":{"roles":["user"]},"permissions":{"view":["admin","user"],"edit":["admin","user"]},"multivalued":false}],
"groups":[{"name":"user-metadata","displayHeader":"User metadata","displayDescription":"Attributes, which refer to user metadata"}]}"#;

/// What happens to attributes that the profile does not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Unmanaged {
    /// Not seen, not taken; what is stored stays.
    #[default]
    Disabled,
    /// Taken and shown.
    Enabled,
    /// Shown to administrators.
    AdminView,
    /// Taken from administrators and shown to them.
    AdminEdit,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Permissions {
    view: Vec<String>,
    edit: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Required {
    roles: Vec<String>,
    scopes: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    name: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    validations: Map<String, Value>,
    #[serde(default)]
    annotations: Option<Map<String, Value>>,
    #[serde(default)]
    required: Option<Required>,
    #[serde(default)]
    permissions: Permissions,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    multivalued: bool,
}

impl Attribute {
    fn admin_edits(&self) -> bool {
        self.permissions.edit.iter().any(|who| who == "admin")
    }

    fn admin_sees(&self) -> bool {
        self.admin_edits() || self.permissions.view.iter().any(|who| who == "admin")
    }

    fn required_of_admin(&self) -> bool {
        let listed = |r: &Required| r.roles.iter().any(|who| who == "admin");
        self.name == "username"
            || self.required.as_ref().is_some_and(|r| listed(r) || (r.roles.is_empty() && r.scopes.is_empty()))
    }
}

/// A realm's profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserProfile {
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    groups: Vec<Map<String, Value>>,
    #[serde(default)]
    unmanaged_attribute_policy: Unmanaged,
}

/// What is wrong with one attribute: a row of Keycloak's validation answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    /// The attribute.
    pub field: String,
    /// Keycloak's message key.
    pub message: &'static str,
    /// Its parameters, the attribute first.
    pub params: Vec<Value>,
}

impl Fault {
    /// A fault with the parameters behind the attribute's name.
    #[must_use]
    pub fn of(field: &str, message: &'static str, more: &[Value]) -> Self {
        let params = std::iter::once(json!(field)).chain(more.iter().cloned()).collect();
        Self { field: field.to_owned(), message, params }
    }
}

impl UserProfile {
    /// The profile of a realm: its component's, else a fresh realm's. One that cannot be read counts as absent.
    #[must_use]
    pub fn of(realm: &Realm) -> Self {
        let components = realm.settings.other.get("components").and_then(|c| c.get(COMPONENT));
        let text = components.and_then(|list| list.get(0)?.get("config")?.get(CONFIG)?.get(0)?.as_str());
        let read = text.and_then(|text| serde_json::from_str(text).ok());
        read.or_else(|| serde_json::from_str(DEFAULT).ok()).unwrap_or_default()
    }

    fn named(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// `userProfileMetadata` of a stored user, as an administrator gets it.
    #[must_use]
    pub fn metadata(&self, realm: &Realm) -> Value {
        let attribute = |of: &Attribute| {
            let mut out = Map::new();
            out.insert("name".to_owned(), json!(of.name));
            if let Some(text) = &of.display_name {
                out.insert("displayName".to_owned(), json!(text));
            }
            let fixed = of.name == "username" && !realm.settings.edit_username_allowed;
            out.insert("required".to_owned(), json!(of.required_of_admin()));
            out.insert("readOnly".to_owned(), json!(fixed || !of.admin_edits()));
            if let Some(annotations) = &of.annotations {
                out.insert("annotations".to_owned(), json!(annotations));
            }
            out.insert("validators".to_owned(), json!(validators(of)));
            if let Some(group) = &of.group {
                out.insert("group".to_owned(), json!(group));
            }
            out.insert("multivalued".to_owned(), json!(of.multivalued));
            Value::Object(out)
        };
        let attributes: Vec<Value> = self.attributes.iter().filter(|a| a.admin_sees()).map(attribute).collect();
        json!({ "attributes": attributes, "groups": self.groups })
    }

    /// The attributes of a user that an administrator sees.
    #[must_use]
    pub fn seen(&self, attributes: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
        let unmanaged = self.unmanaged_attribute_policy != Unmanaged::Disabled;
        let seen = |name: &String| self.named(name).map_or(unmanaged, Attribute::admin_sees);
        attributes.iter().filter(|(name, _)| seen(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    /// Whether an administrator may write an attribute.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        let unmanaged = matches!(self.unmanaged_attribute_policy, Unmanaged::Enabled | Unmanaged::AdminEdit);
        self.named(name).map_or(unmanaged, Attribute::admin_edits)
    }

    /// What is wrong with new values of an attribute that an administrator writes.
    pub fn judge(&self, name: &str, values: &[String], faults: &mut Vec<Fault>) {
        let Some(attribute) = self.named(name) else { return };
        let told = values.iter().any(|value| !value.trim().is_empty());
        if !told && attribute.required_of_admin() {
            return faults.push(Fault::of(name, "error-user-attribute-required", &[]));
        }
        if !attribute.multivalued && values.len() > 1 {
            return faults.push(Fault::of(name, "error-invalid-multivalued-size", &[json!(0), json!(1)]));
        }
        for (validator, config) in &attribute.validations {
            if validator == "multivalued" {
                faults.extend(size(name, values.len(), config));
            }
            let given = values.iter().filter(|value| !value.trim().is_empty());
            faults.extend(given.filter_map(|value| fault(name, value, validator, config)).take(1));
        }
    }
}

/// The validators as told: empty values pass each of them, single values are one at most.
fn validators(of: &Attribute) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, config) in &of.validations {
        let mut config = config.as_object().cloned().unwrap_or_default();
        config.insert("ignore.empty.value".to_owned(), json!(true));
        out.insert(name.clone(), Value::Object(config));
    }
    if !of.multivalued {
        out.insert("multivalued".to_owned(), json!({ "max": "1" }));
    }
    out
}

fn number(config: &Value, name: &str) -> Option<i64> {
    let value = config.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn size(name: &str, len: usize, config: &Value) -> Option<Fault> {
    let (min, max) = (number(config, "min").unwrap_or(0), number(config, "max").unwrap_or(i64::MAX));
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    (len < min || len > max).then(|| Fault::of(name, "error-invalid-multivalued-size", &[json!(min), json!(max)]))
}

fn fault(name: &str, value: &str, validator: &str, config: &Value) -> Option<Fault> {
    match validator {
        "length" => length(name, value, config),
        "email" => (!is_email(value)).then(|| Fault::of(name, "error-invalid-email", &[json!(value)])),
        "integer" => integer(name, value, config),
        "options" => {
            let listed = config.get("options").and_then(Value::as_array)?;
            let known = listed.iter().any(|option| option.as_str() == Some(value));
            (!known).then(|| Fault::of(name, "error-invalid-value", &[json!(value)]))
        }
        "username-prohibited-characters" => {
            let bad = |c: char| c.is_whitespace() || c.is_control() || "<>&\"'$%!#?§,;:*~/\\|^=[]{}()`".contains(c);
            value.contains(bad).then(|| Fault::of(name, "error-username-invalid-character", &[]))
        }
        "person-name-prohibited-characters" => {
            let bad = |c: char| c.is_control() || "<>&\"$%!#?§;*~/\\|^=[]{}()".contains(c);
            value.contains(bad).then(|| Fault::of(name, "error-person-name-invalid-character", &[]))
        }
        _ => None,
    }
}

fn length(name: &str, value: &str, config: &Value) -> Option<Fault> {
    let len = i64::try_from(value.trim().chars().count()).unwrap_or(i64::MAX);
    let (min, max) = (number(config, "min"), number(config, "max"));
    let inside = min.is_none_or(|min| len >= min) && max.is_none_or(|max| len <= max);
    let message = match (min, max) {
        (Some(_), None) => "error-invalid-length-too-short",
        (None, Some(_)) => "error-invalid-length-too-long",
        (Some(_), Some(_)) | (None, None) => "error-invalid-length",
    };
    (!inside).then(|| Fault::of(name, message, &[json!(min), json!(max)]))
}

fn integer(name: &str, value: &str, config: &Value) -> Option<Fault> {
    let (min, max) = (number(config, "min"), number(config, "max"));
    match value.parse::<i64>() {
        Err(_) => Some(Fault::of(name, "error-invalid-number", &[json!(value)])),
        Ok(n) if min.is_some_and(|min| n < min) || max.is_some_and(|max| n > max) => {
            Some(Fault::of(name, "error-number-out-of-range", &[json!(min), json!(max)]))
        }
        Ok(_) => None,
    }
}

/// One `@`, a local part of at most 64 characters, a domain of labels; nothing blank (Keycloak's check in short).
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@<>()[]\\,;:\"".contains(c);
    let label = |l: &str| !l.is_empty() && l.len() <= 63 && l.chars().all(|c| plain(c) && c != '/' && c != '_');
    !local.is_empty()
        && local.len() <= 64
        && local.chars().all(plain)
        && local.split('.').all(|atom| !atom.is_empty())
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::fixture;

    fn profile(config: &Value) -> UserProfile {
        let component =
            json!([{ "providerId": "declarative-user-profile", "config": { CONFIG: [config.to_string()] } }]);
        let records = fixture::records_with(json!({ "components": { COMPONENT: component } }));
        UserProfile::of(&records.realm)
    }

    /// Recorded: `admin-users/crud` and its notes.
    #[test]
    fn faults_have_keycloaks_words() {
        let fresh = UserProfile::of(&fixture::records_with(json!({})).realm);
        let own = profile(&json!({ "attributes": [
            { "name": "department", "validations": { "length": { "max": 20 } }, "permissions": { "edit": ["admin"] } },
            { "name": "teams", "validations": { "multivalued": { "max": "2" } }, "multivalued": true },
            { "name": "size", "validations": { "options": { "options": ["S", "M"] } } },
            { "name": "age", "validations": { "integer": { "min": 1 } } },
            { "name": "must", "required": {} },
        ]}));
        let long = "x".repeat(21);
        type Row<'a> = (&'a UserProfile, &'a str, &'a [&'a str], Option<(&'a str, Value)>);
        let table: [Row<'_>; 16] = [
            (&fresh, "email", &["nomail"], Some(("error-invalid-email", json!(["email", "nomail"])))),
            (&fresh, "email", &["a@b@c"], Some(("error-invalid-email", json!(["email", "a@b@c"])))),
            (&fresh, "email", &["alice@example.test"], None),
            (&fresh, "email", &[""], None),
            (&fresh, "username", &["ab"], Some(("error-invalid-length", json!(["username", 3, 255])))),
            (&fresh, "username", &["a b c"], Some(("error-username-invalid-character", json!(["username"])))),
            (&fresh, "firstName", &["<b>"], Some(("error-person-name-invalid-character", json!(["firstName"])))),
            (&fresh, "firstName", &["Anne-Marie d'Arc"], None),
            (&own, "department", &[&long], Some(("error-invalid-length-too-long", json!(["department", null, 20])))),
            (&own, "department", &["a", "b"], Some(("error-invalid-multivalued-size", json!(["department", 0, 1])))),
            (&own, "teams", &["a", "b", "c"], Some(("error-invalid-multivalued-size", json!(["teams", 0, 2])))),
            (&own, "size", &["L"], Some(("error-invalid-value", json!(["size", "L"])))),
            (&own, "age", &["0"], Some(("error-number-out-of-range", json!(["age", 1, null])))),
            (&own, "must", &[], Some(("error-user-attribute-required", json!(["must"])))),
            (&own, "unknown", &["x"], None),
            (&own, "age", &["1"], None),
        ];
        for (profile, name, values, want) in table {
            let mut faults = Vec::new();
            let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
            profile.judge(name, &values, &mut faults);
            let got = faults.first().map(|fault| (fault.message, json!(fault.params)));
            assert_eq!(got, want, "{name} {values:?}");
            assert!(faults.len() <= 1, "{name} {values:?}");
        }
    }

    #[test]
    fn ad_21_an_administrator_sees_and_writes_what_the_profile_lets_through() {
        let attribute = |name: &str, view: &str, edit: &str| json!({ "name": name, "permissions": { "view": [view], "edit": [edit] } });
        let config = |policy: Option<&str>| {
            let mut config = json!({ "attributes": [attribute("open", "admin", "admin"), attribute("own", "user", "user"), attribute("read", "admin", "user")] });
            if let Some(policy) = policy {
                config["unmanagedAttributePolicy"] = json!(policy);
            }
            profile(&config)
        };
        let stored: BTreeMap<String, Vec<String>> =
            ["open", "own", "read", "free"].map(|name| (name.to_owned(), vec!["x".to_owned()])).into();
        for (policy, sees, writes) in [
            (None, false, false),
            (Some("ENABLED"), true, true),
            (Some("ADMIN_VIEW"), true, false),
            (Some("ADMIN_EDIT"), true, true),
        ] {
            let profile = config(policy);
            let seen: Vec<String> = profile.seen(&stored).into_keys().collect();
            let want: &[&str] = if sees { &["free", "open", "read"] } else { &["open", "read"] };
            assert_eq!(seen, want, "{policy:?}");
            let takes = ["open", "own", "read", "free"].map(|name| profile.takes(name));
            assert_eq!(takes, [true, false, false, writes], "{policy:?}");
        }
        let broken = fixture::records_with(json!({ "components": { COMPONENT: [{ "config": { CONFIG: ["{"] } }] } }));
        assert!(UserProfile::of(&broken.realm).takes("email"), "an unreadable profile is a fresh realm's");
    }
}
