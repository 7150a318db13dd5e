//! A user after an administrator's update (`PUT /admin/realms/{realm}/users/{id}`, Keycloak 26.4): members that stand there
//! replace, absent ones stay. With `attributes` the whole profile is replaced: names and e-mail that are not sent are cleared.
//!
//! **Owns** the reading of the document and its law. **Does not own** rights, credentials, plans (idp), the rules of single
//! values ([`crate::user::profile`]).

use std::collections::BTreeMap;

use super::json;
use super::members;
use super::reader::Obj;
use super::refusal::{Reason, Refusal};
use super::users::COLUMN_MAX;
use crate::realm::Realm;
use crate::user::profile::{self, Fault, ROOT, UserProfile, Who};
use crate::user::{User, canonical};

/// Required actions that an update may set and clear; others are not looked at (Keycloak 26.4 drops unknown ones).
const ACTIONS: [&str; 14] = [
    "CONFIGURE_RECOVERY_AUTHN_CODES",
    "CONFIGURE_TOTP",
    "TERMS_AND_CONDITIONS",
    "UPDATE_EMAIL",
    "UPDATE_PASSWORD",
    "UPDATE_PROFILE",
    "VERIFY_EMAIL",
    "VERIFY_PROFILE",
    "delete_account",
    "delete_credential",
    "idp_link",
    "update_user_locale",
    "webauthn-register",
    "webauthn-register-passwordless",
];

/// Why an update is refused.
#[derive(Debug)]
pub enum EditRefusal {
    /// The document cannot be read, or is no user's.
    Document(Refusal),
    /// Values that the realm's profile does not take: at least one.
    Profile(Vec<Fault>),
    /// New credentials: an update sets none.
    Credentials,
}

impl From<Refusal> for EditRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Document(refusal)
    }
}

/// The user after the update; its version is the one it replaces.
///
/// # Errors
/// [`EditRefusal`].
pub fn user_edited(current: &User, realm: &Realm, bytes: &[u8]) -> Result<User, EditRefusal> {
    let mut obj = Obj::of(json::strict(bytes)?, "")?;
    obj.only(members::USER, "UserRepresentation")?;
    let mut user = current.clone();
    if let Some(enabled) = obj.flag("enabled")? {
        user.enabled = enabled;
    }
    if let Some(verified) = obj.flag("emailVerified")? {
        user.settings.email_verified = verified;
    }
    if let Some(link) = obj.value("federationLink") {
        user.settings.other.insert("federationLink".to_owned(), link);
    }
    if let Some(asked) = obj.texts("requiredActions")? {
        actions(&mut user.settings.required_actions, &asked);
    }
    if obj.objects("credentials")?.is_some_and(|list| !list.is_empty()) {
        return Err(EditRefusal::Credentials);
    }
    let faults = profiled(current, realm, &mut obj, &mut user)?;
    if faults.is_empty() { Ok(user) } else { Err(EditRefusal::Profile(faults)) }
}

fn actions(owed: &mut Vec<String>, asked: &[String]) {
    owed.retain(|alias| !ACTIONS.contains(&alias.as_str()) || asked.contains(alias));
    for alias in asked.iter().filter(|alias| ACTIONS.contains(&alias.as_str())) {
        if !owed.contains(alias) {
            owed.push(alias.clone());
        }
    }
}

/// What the document says of the four members that are attributes too.
struct Root {
    given: BTreeMap<&'static str, Vec<String>>,
    attributes: Option<BTreeMap<String, Vec<String>>>,
}

impl Root {
    fn of(obj: &mut Obj) -> Result<Self, Refusal> {
        let mut attributes = obj.texts_map("attributes")?;
        let mut given = BTreeMap::new();
        for name in ROOT {
            let inside = attributes.as_mut().and_then(|map| map.remove(name));
            if let Some(values) = obj.text(name)?.map(|text| vec![text]).or(inside) {
                given.insert(name, values);
            }
        }
        Ok(Self { given, attributes })
    }

    /// The text of a member: `None` leaves it as it is, an empty one clears it.
    fn text(&self, name: &'static str) -> Option<String> {
        match (self.given.get(name), &self.attributes) {
            (Some(values), _) => Some(values.first().cloned().unwrap_or_default()),
            (None, Some(_)) => Some(String::new()),
            (None, None) => None,
        }
    }
}

fn profiled(current: &User, realm: &Realm, obj: &mut Obj, user: &mut User) -> Result<Vec<Fault>, EditRefusal> {
    let rules = UserProfile::of(realm);
    let root = Root::of(obj)?;
    let mut faults = Vec::new();
    let mut judged = |name: &str, text: &str, before: &str| {
        if text != before {
            rules.judge(Who::Admin, name, &[text.to_owned()], &mut faults);
        }
    };
    if let Some(text) = root.text("email").map(|text| canonical(&text)) {
        judged("email", &text, current.email.as_deref().unwrap_or_default());
        user.email = Some(text).filter(|text| !text.is_empty());
    }
    let settings = &mut user.settings;
    let names = [("firstName", &mut settings.first_name), ("lastName", &mut settings.last_name)];
    for (member, name) in names {
        if let Some(text) = root.text(member).filter(|_| rules.takes(member)) {
            judged(member, &text, name.as_deref().unwrap_or_default());
            *name = Some(text).filter(|text| !text.is_empty());
        }
    }
    username(realm, &root, &rules, user, &mut faults);
    if let Some(new) = root.attributes {
        user.settings.attributes = attributes(&current.settings.attributes, new, &rules, &mut faults);
    }
    limits(obj, user)?;
    profile::misleading(realm, current, user, &mut faults);
    Ok(faults)
}

fn username(realm: &Realm, root: &Root, rules: &UserProfile, user: &mut User, faults: &mut Vec<Fault>) {
    let asked = root.given.get("username").and_then(|values| values.first()).map(|text| canonical(text));
    let Some(name) = asked.filter(|name| *name != user.username) else { return };
    if name.is_empty() {
        return;
    }
    if !realm.settings.edit_username_allowed {
        return faults.push(Fault::of("username", "error-user-attribute-read-only", &[]));
    }
    rules.judge(Who::Admin, "username", std::slice::from_ref(&name), faults);
    user.username = name;
}

/// What an administrator may not write stays as it is.
fn attributes(
    before: &BTreeMap<String, Vec<String>>,
    mut new: BTreeMap<String, Vec<String>>,
    rules: &UserProfile,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, Vec<String>> {
    new.retain(|name, values| {
        values.retain(|value| !value.is_empty());
        rules.takes(name) && !values.is_empty()
    });
    for (name, values) in new.iter().filter(|(name, values)| before.get(*name) != Some(*values)) {
        rules.judge(Who::Admin, name, values, faults);
    }
    for (name, values) in before.iter().filter(|(name, _)| !rules.takes(name)) {
        new.insert(name.clone(), values.clone());
    }
    new
}

fn limits(obj: &Obj, user: &User) -> Result<(), Refusal> {
    let too_long = |text: &str| text.chars().count() > COLUMN_MAX || text.contains('\0');
    for (member, text) in [("username", Some(&user.username)), ("email", user.email.as_ref())] {
        if text.is_some_and(|text| too_long(text)) {
            let cause = format!("longer than {COLUMN_MAX} characters, or with NUL");
            return Err(obj.refuse(member, Reason::NotAllowed(cause)));
        }
    }
    if profile::too_many(&user.settings.attributes) {
        return Err(obj.refuse("attributes", Reason::TooMany("attribute values")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::claims::fixture;
    use crate::user::UserSettings;

    fn stored() -> User {
        User {
            id: "u".into(),
            username: "alice".to_owned(),
            email: Some("alice@example.test".to_owned()),
            version: 7,
            enabled: true,
            not_before: 5,
            service_account_client: None,
            settings: UserSettings {
                first_name: Some("Alice".to_owned()),
                last_name: Some("Adams".to_owned()),
                email_verified: true,
                required_actions: vec!["ours".to_owned(), "VERIFY_EMAIL".to_owned()],
                attributes: [("free".to_owned(), vec!["x".to_owned()])].into(),
                ..UserSettings::default()
            },
            roles: vec!["r".into()],
            groups: vec!["g".into()],
        }
    }

    fn realm(more: Value) -> Realm {
        fixture::records_with(more).realm
    }

    fn edited(realm: &Realm, body: &Value) -> Result<User, EditRefusal> {
        user_edited(&stored(), realm, body.to_string().as_bytes())
    }

    fn after(body: &Value) -> Value {
        let user = edited(&realm(json!({})), body).unwrap();
        let settings = &user.settings;
        json!([
            user.username,
            user.email,
            user.enabled,
            settings.first_name,
            settings.last_name,
            settings.email_verified,
            settings.required_actions,
            settings.attributes
        ])
    }

    /// Recorded: `admin-users/crud`.
    #[test]
    fn absent_members_stay_and_attributes_replace_the_profile() {
        let (mail, owed) = ("alice@example.test", json!(["ours", "VERIFY_EMAIL"]));
        let free = json!({ "free": ["x"] });
        let table = [
            (json!({}), json!(["alice", mail, true, "Alice", "Adams", true, owed, free])),
            (json!({ "firstName": "New" }), json!(["alice", mail, true, "New", "Adams", true, owed, free])),
            (json!({ "enabled": false }), json!(["alice", mail, false, "Alice", "Adams", true, owed, free])),
            (json!({ "email": "" }), json!(["alice", null, true, "Alice", "Adams", true, owed, free])),
            (
                json!({ "email": " New@Example.Test " }),
                json!(["alice", "new@example.test", true, "Alice", "Adams", true, owed, free]),
            ),
            (json!({ "attributes": {} }), json!(["alice", null, true, null, null, true, owed, free])),
            (
                json!({ "attributes": { "email": ["b@example.test"], "nothing": ["y"] } }),
                json!(["alice", "b@example.test", true, null, null, true, owed, free]),
            ),
            (json!({ "attributes": {}, "lastName": "L" }), json!(["alice", null, true, null, "L", true, owed, free])),
            (
                json!({ "requiredActions": ["UPDATE_PASSWORD", "NO_SUCH"] }),
                json!(["alice", mail, true, "Alice", "Adams", true, ["ours", "UPDATE_PASSWORD"], free]),
            ),
            (json!({ "requiredActions": [""] }), json!(["alice", mail, true, "Alice", "Adams", true, ["ours"], free])),
            (json!({ "username": "ALICE" }), json!(["alice", mail, true, "Alice", "Adams", true, owed, free])),
        ];
        for (body, want) in table {
            assert_eq!(after(&body), want, "{body}");
        }
    }

    #[test]
    fn ad_13_what_an_update_may_not_set_stays() {
        let body = json!({ "id": "other", "roles": null });
        assert!(matches!(edited(&realm(json!({})), &body), Err(EditRefusal::Document(_))), "no such member");
        let body = json!({
            "id": "other", "notBefore": 0, "createdTimestamp": 1, "realmRoles": ["admin"], "groups": ["/x"], "totp": true,
            "clientRoles": { "realm-management": ["realm-admin"] }, "serviceAccountClientId": "app", "access": { "manage": true },
        });
        let user = edited(&realm(json!({})), &body).unwrap();
        let was = stored();
        assert_eq!((user.id, user.version, user.not_before), (was.id, 7, 5));
        assert_eq!((user.roles, user.groups, user.service_account_client), (was.roles, was.groups, None));
        assert_eq!((user.settings.created_timestamp, user.settings.other), (0, was.settings.other));
    }

    #[test]
    fn names_follow_the_realms_rules() {
        let fault = |realm: &Realm, body: &Value| match edited(realm, body) {
            Err(EditRefusal::Profile(faults)) => faults.first().map(|f| (f.field.clone(), f.message)),
            Ok(_) | Err(EditRefusal::Document(_) | EditRefusal::Credentials) => None,
        };
        let fixed = realm(json!({}));
        let free = realm(json!({ "editUsernameAllowed": true }));
        let strict = realm(json!({ "editUsernameAllowed": true, "attributes": { "portcullis.profile": "strict" } }));
        let is = |field: &str, message| Some((field.to_owned(), message));
        assert_eq!(fault(&fixed, &json!({ "username": "renamed" })), is("username", "error-user-attribute-read-only"));
        assert_eq!(edited(&free, &json!({ "username": "Renamed" })).unwrap().username, "renamed");
        assert_eq!(fault(&free, &json!({ "username": "a" })), is("username", "error-invalid-length"));
        assert_eq!(fault(&free, &json!({ "email": "nomail" })), is("email", "error-invalid-email"));
        // EN-15: Cyrillic a.
        let twin = json!({ "username": "\u{430}lice" });
        assert_eq!(fault(&free, &twin), None);
        assert_eq!(fault(&strict, &twin), is("username", "error-username-invalid-character"));
    }

    #[test]
    fn credentials_are_not_dropped_in_silence() {
        let body = json!({ "credentials": [{ "type": "password", "value": "secret" }] });
        assert!(matches!(edited(&realm(json!({})), &body), Err(EditRefusal::Credentials)));
        assert!(edited(&realm(json!({})), &json!({ "credentials": [] })).is_ok());
    }
}
