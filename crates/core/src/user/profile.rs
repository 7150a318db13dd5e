//! A realm's user profile: which attributes a user has, who sees and edits them, and what they must look like
//! (Keycloak 26.4's declarative user profile).
//!
//! **Owns** the reading of the configuration, `userProfileMetadata`, what an administrator sees of a user's attributes, the
//! faults of new values whoever writes them, and a user's own page ([`own`]). **Does not own** the page's text (idp), the
//! reading of a document (`realm_file`).
//! **Flow** [`UserProfile::of`] a realm -> [`UserProfile::judge`] each value that an administrator or the user writes -> faults.

pub mod own;
mod validators;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::realm::{Profile, Realm};
use crate::user::{User, name};

const COMPONENT: &str = "org.keycloak.userprofile.UserProfileProvider";
const CONFIG: &str = "kc.user.profile.config";
/// Most values and most characters of one user's attributes together.
pub(crate) const VALUES_MAX: usize = 900;
pub(crate) const CHARS_MAX: usize = 1024 * 1024;
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
    #[serde(default)]
    selector: Selector,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Selector {
    scopes: Vec<String>,
}

/// Who reads or writes a user's profile.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// An administrator.
    Admin,
    /// The user, in a login that put these client scopes in force.
    User(&'a [&'a str]),
}

impl Who<'_> {
    fn role(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User(_) => "user",
        }
    }

    /// Whether one of the scopes is in force. For administrators none is.
    fn asks(self, scopes: &[String]) -> bool {
        match self {
            Self::Admin => false,
            Self::User(active) => scopes.iter().any(|scope| active.contains(&scope.as_str())),
        }
    }
}

impl Attribute {
    fn edited_by(&self, who: Who<'_>) -> bool {
        self.permissions.edit.iter().any(|role| role == who.role())
    }

    fn seen_by(&self, who: Who<'_>) -> bool {
        self.edited_by(who) || self.permissions.view.iter().any(|role| role == who.role())
    }

    fn required_of(&self, who: Who<'_>) -> bool {
        let by_rule = |r: &Required| {
            let always = r.roles.is_empty() && r.scopes.is_empty();
            always || r.roles.iter().any(|role| role == who.role()) || who.asks(&r.scopes)
        };
        self.name == "username" || self.required.as_ref().is_some_and(by_rule)
    }

    /// Whether the attribute is part of the profile in this login.
    fn is_selected(&self, who: Who<'_>) -> bool {
        match who {
            Who::Admin => true,
            Who::User(_) => self.selector.scopes.is_empty() || who.asks(&self.selector.scopes),
        }
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
    /// The profile of a realm: its component's, else a fresh realm's. One that cannot be read counts as absent. Administrators in
    /// `master` need neither names nor e-mail, unless its own profile says so (Keycloak 26.4 makes it like that).
    #[must_use]
    pub fn of(realm: &Realm) -> Self {
        let components = realm.settings.other.get("components").and_then(|c| c.get(COMPONENT));
        let text = components.and_then(|list| list.get(0)?.get("config")?.get(CONFIG)?.get(0)?.as_str());
        if let Some(own) = text.and_then(|text| serde_json::from_str(text).ok()) {
            return own;
        }
        let mut fresh: Self = serde_json::from_str(DEFAULT).unwrap_or_default();
        if realm.name == "master" {
            fresh.attributes.iter_mut().for_each(|attribute| attribute.required = None);
        }
        fresh
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
            out.insert("required".to_owned(), json!(of.required_of(Who::Admin)));
            out.insert("readOnly".to_owned(), json!(fixed || !of.edited_by(Who::Admin)));
            if let Some(annotations) = &of.annotations {
                out.insert("annotations".to_owned(), json!(annotations));
            }
            out.insert("validators".to_owned(), json!(validators::told(of)));
            if let Some(group) = &of.group {
                out.insert("group".to_owned(), json!(group));
            }
            out.insert("multivalued".to_owned(), json!(of.multivalued));
            Value::Object(out)
        };
        let attributes: Vec<Value> = self.attributes.iter().filter(|a| a.seen_by(Who::Admin)).map(attribute).collect();
        json!({ "attributes": attributes, "groups": self.groups })
    }

    /// The attributes of a user that an administrator sees.
    #[must_use]
    pub fn seen(&self, attributes: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
        let unmanaged = self.unmanaged_attribute_policy != Unmanaged::Disabled;
        let seen = |name: &String| self.named(name).map_or(unmanaged, |attribute| attribute.seen_by(Who::Admin));
        attributes.iter().filter(|(name, _)| seen(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    /// Whether an administrator may write an attribute.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        let unmanaged = matches!(self.unmanaged_attribute_policy, Unmanaged::Enabled | Unmanaged::AdminEdit);
        self.named(name).map_or(unmanaged, |attribute| attribute.edited_by(Who::Admin))
    }

    /// What is wrong with values of an attribute that somebody writes.
    pub fn judge(&self, who: Who<'_>, name: &str, values: &[String], faults: &mut Vec<Fault>) {
        let Some(attribute) = self.named(name) else { return };
        let told = values.iter().any(|value| !value.trim().is_empty());
        if !told && attribute.required_of(who) {
            return faults.push(Fault::of(name, "error-user-attribute-required", &[]));
        }
        validators::faults(attribute, values, faults);
    }
}

/// Whether a user's attributes are more than one user may have.
pub(crate) fn too_many(attributes: &BTreeMap<String, Vec<String>>) -> bool {
    let values: usize = attributes.values().map(|v| v.len().max(1)).sum();
    let chars: usize = attributes.values().flatten().map(String::len).sum();
    values > VALUES_MAX || chars > CHARS_MAX
}

/// EN-15: in a strict realm a new name or e-mail must not be mistaken for another.
pub(crate) fn misleading(realm: &Realm, before: &User, after: &User, faults: &mut Vec<Fault>) {
    if realm.profile() != Profile::Strict {
        return;
    }
    if after.username != before.username && name::check(&after.username).is_err() {
        faults.push(Fault::of("username", "error-username-invalid-character", &[]));
    }
    let mail = after.email.as_deref().filter(|mail| Some(*mail) != before.email.as_deref());
    if let Some(mail) = mail.filter(|mail| name::check(mail).is_err()) {
        faults.push(Fault::of("email", "error-invalid-email", &[mail.into()]));
    }
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
            profile.judge(Who::Admin, name, &values, &mut faults);
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
