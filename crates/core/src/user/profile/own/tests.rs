//! Tests of a user's own page: which fields, what is owed, what a form may do.

use serde_json::{Value, json};

use super::*;
use crate::claims::fixture;

type Told<'a> = Vec<(&'a str, &'a str)>;
type Typed<'a> = &'a [(&'a str, &'a str)];

const BOTH: [&str; 2] = ["admin", "user"];

fn attribute(name: &str, edit: &[&str], more: &Value) -> Value {
    let mut attribute = json!({ "name": name, "permissions": { "view": ["admin", "user"], "edit": edit } });
    for (member, value) in more.as_object().unwrap() {
        attribute[member] = value.clone();
    }
    attribute
}

fn config() -> Value {
    let required = json!({ "required": { "roles": ["user"] } });
    let none = json!({});
    json!({ "attributes": [
        attribute("username", &BOTH, &json!({ "validations": { "length": { "min": 3 }, "username-prohibited-characters": {} } })),
        attribute("email", &BOTH, &json!({ "required": { "roles": ["user"] }, "validations": { "email": {} } })),
        attribute("firstName", &BOTH, &required),
        attribute("lastName", &BOTH, &required),
        attribute("department", &["admin"], &json!({ "displayName": "Department", "validations": { "length": { "max": 3 } } })),
        attribute("phone", &BOTH, &json!({ "validations": { "length": { "max": 5 } } })),
        attribute("tags", &BOTH, &json!({ "multivalued": true, "validations": { "multivalued": { "max": "2" } } })),
        json!({ "name": "hidden", "permissions": { "view": ["admin"], "edit": ["admin"] } }),
        attribute("must", &["admin"], &required),
        attribute("by_scope", &BOTH, &json!({ "required": { "scopes": ["phone"] } })),
        attribute("of_scope", &BOTH, &json!({ "required": {}, "selector": { "scopes": ["address"] } })),
        attribute("plain", &BOTH, &none),
    ], "unmanagedAttributePolicy": "ENABLED" })
}

fn realm(more: &Value) -> RealmRecords {
    let component = json!([{ "config": { "kc.user.profile.config": [config().to_string()] } }]);
    let mut settings = json!({ "components": { "org.keycloak.userprofile.UserProfileProvider": component } });
    for (member, value) in more.as_object().unwrap() {
        settings[member] = value.clone();
    }
    fixture::records_with(settings)
}

fn own<'a>(records: &'a RealmRecords, scope: &str) -> OwnProfile<'a> {
    OwnProfile::new(records, records.client("app").unwrap(), scope)
}

fn form(pairs: &[(&str, &str)]) -> Params {
    Params::from_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

fn told(faults: &[Fault]) -> Told<'_> {
    faults.iter().map(|fault| (fault.field.as_str(), fault.message)).collect()
}

#[test]
fn the_page_shows_what_the_user_may_see() {
    let shown = |more: Value, scope: &str, user: &User| -> Vec<String> {
        let records = realm(&more);
        let fields = own(&records, scope).fields(user);
        fields.iter().map(|f| format!("{}{}", f.name, if f.read_only { " (read)" } else { "" })).collect()
    };
    let rest = ["firstName", "lastName", "department (read)", "phone", "tags", "must (read)", "by_scope", "plain"];
    let with = |first: &[&str]| -> Vec<String> { first.iter().chain(&rest).map(|n| (*n).to_owned()).collect() };
    let (user, mailless) = (fixture::user(), User { email: None, ..fixture::user() });
    let by_action = json!({ "requiredActions": [{ "alias": "UPDATE_EMAIL", "enabled": true }] });
    for (more, user, first) in [
        (json!({}), &user, &["email"][..]),
        (json!({ "editUsernameAllowed": true }), &user, &["username", "email"]),
        (json!({ "registrationEmailAsUsername": true }), &user, &[]),
        (json!({ "registrationEmailAsUsername": true, "editUsernameAllowed": true }), &user, &["email"]),
        (by_action.clone(), &user, &[]),
        (by_action, &mailless, &["email"]),
    ] {
        assert_eq!(shown(more.clone(), "openid", user), with(first), "{more}");
    }
    let scoped = shown(json!({}), "openid address", &user);
    assert!(scoped.contains(&"of_scope".to_owned()), "{scoped:?}");
    let records = realm(&json!({}));
    let fields = own(&records, "openid").fields(&user);
    let of = |name: &str| fields.iter().find(|f| f.name == name).unwrap();
    assert_eq!((of("department").label, of("phone").label), ("Department", "phone"));
    assert_eq!((of("email").required, of("phone").required, of("tags").multivalued), (true, false, true));
    assert_eq!(of("department").values, ["R&D"]);
}

#[test]
fn az_30_what_is_owed_is_what_the_user_can_mend() {
    let user = |change: &dyn Fn(&mut User)| {
        let mut user = fixture::user();
        change(&mut user);
        user
    };
    let set = |user: &mut User, name: &str, value: &str| {
        user.settings.attributes.insert(name.to_owned(), vec![value.to_owned()]);
    };
    let (required, long) = ("error-user-attribute-required", "error-invalid-length-too-long");
    let renaming = json!({ "editUsernameAllowed": true });
    let table: [(User, &str, Value, Told<'_>); 10] = [
        (fixture::user(), "openid", json!({}), vec![]),
        (user(&|u| u.email = None), "openid", json!({}), vec![("email", required)]),
        (user(&|u| u.email = Some("nomail".to_owned())), "openid", json!({}), vec![("email", "error-invalid-email")]),
        (user(&|u| u.settings.last_name = Some(" ".to_owned())), "openid", json!({}), vec![("lastName", required)]),
        (user(&|u| set(u, "phone", "123456")), "openid", json!({}), vec![("phone", long)]),
        // What an administrator alone may mend: the login goes on.
        (user(&|u| set(u, "department", "too long")), "openid", json!({}), vec![]),
        (user(&|u| u.username = "a b".to_owned()), "openid", json!({}), vec![]),
        (
            user(&|u| u.username = "a b".to_owned()),
            "openid",
            renaming,
            vec![("username", "error-username-invalid-character")],
        ),
        (fixture::user(), "openid phone", json!({}), vec![("by_scope", required)]),
        (fixture::user(), "openid address", json!({}), vec![("of_scope", required)]),
    ];
    for (user, scope, more, expected) in table {
        let records = realm(&more);
        assert_eq!(told(&own(&records, scope).faults(&user)), expected, "{scope} {more} {user:?}");
    }
}

#[test]
fn a_form_changes_what_the_user_may_edit() {
    let records = realm(&json!({}));
    let own = own(&records, "openid");
    let asked = form(&[
        ("email", " New@Example.Test "),
        ("firstName", "Anna"),
        ("phone", "123"),
        ("tags", "a"),
        ("tags", ""),
        ("tags", "b"),
        ("plain", ""),
    ]);
    let Edited { user, details } = own.edited(&fixture::user(), &asked).unwrap();
    let (before, settings) = (fixture::user(), &user.settings);
    assert_eq!((user.email.as_deref(), settings.email_verified), (Some("new@example.test"), false));
    assert_eq!((settings.first_name.as_deref(), settings.last_name.as_deref()), (Some("Anna"), Some("Adams")));
    assert_eq!(
        (&settings.attributes["tags"], &settings.attributes["phone"]),
        (&vec!["a".to_owned(), "b".to_owned()], &vec!["123".to_owned()])
    );
    assert_eq!((&user.username, user.version, &user.roles), (&before.username, before.version, &before.roles));
    assert!(!settings.attributes.contains_key("plain"));
    assert_eq!(
        json!(details),
        json!({
            "previous_email": "alice@example.test", "updated_email": "new@example.test",
            "previous_first_name": "Alice", "updated_first_name": "Anna",
            "updated_phone": "123", "updated_tags": "a::b",
        })
    );
    let same = own.edited(&fixture::user(), &form(&[("email", "ALICE@example.test"), ("firstName", "Alice")])).unwrap();
    assert!(same.details.is_empty() && same.user.settings.email_verified, "nothing changed");
    let cleared = own.edited(&user, &form(&[("phone", ""), ("tags", "")])).unwrap();
    assert!(!cleared.user.settings.attributes.contains_key("phone"));
    assert_eq!(json!(cleared.details), json!({ "previous_phone": "123", "previous_tags": "a::b" }));
}

#[test]
fn ad_13_a_form_changes_nothing_else() {
    let asked = form(&[
        ("username", "admin"),
        ("department", "Boss"),
        ("hidden", "x"),
        ("must", "x"),
        ("free", "x"),
        ("evil", "x"),
        ("of_scope", "x"),
        ("id", "user-bob"),
        ("emailVerified", "true"),
        ("enabled", "false"),
        ("roles", "admin"),
        ("requiredActions", ""),
        ("attributes.department", "x"),
        ("user.attributes.free", "x"),
        ("EMAIL", "x@y.test"),
    ]);
    let records = realm(&json!({}));
    let before = fixture::user();
    let Edited { user, details } = own(&records, "openid").edited(&before, &asked).unwrap();
    assert_eq!(format!("{user:?}"), format!("{before:?}"));
    assert!(details.is_empty());
    // The twins: the same names where the realm lets the user edit them.
    let renaming = realm(&json!({ "editUsernameAllowed": true }));
    let Edited { user, details } = own(&renaming, "openid address").edited(&before, &asked).unwrap();
    assert_eq!((user.username.as_str(), &user.settings.attributes["of_scope"]), ("admin", &vec!["x".to_owned()]));
    assert_eq!(
        json!(details),
        json!({ "previous_username": "alice", "updated_username": "admin", "updated_of_scope": "x" })
    );
}

#[test]
fn values_follow_the_law_of_administrators() {
    let renaming = json!({ "editUsernameAllowed": true });
    let strict = json!({ "editUsernameAllowed": true, "attributes": { "portcullis.profile": "strict" } });
    let long = format!("{}@example.test", "x".repeat(250));
    let much = "x".repeat(2049);
    let table: [(&Value, Typed<'_>, Told<'_>); 12] = [
        (
            &renaming,
            &[("email", "nomail"), ("lastName", "")],
            vec![("email", "error-invalid-email"), ("lastName", "error-user-attribute-required")],
        ),
        (&renaming, &[("email", "")], vec![("email", "error-user-attribute-required")]),
        (
            &renaming,
            &[("email", &long)],
            vec![("email", "error-invalid-email"), ("email", "error-invalid-length-too-long")],
        ),
        (&renaming, &[("username", "")], vec![("username", "error-user-attribute-required")]),
        (&renaming, &[("username", "a")], vec![("username", "error-invalid-length-too-short")]),
        (&renaming, &[("username", "x<y>")], vec![("username", "error-username-invalid-character")]),
        (&renaming, &[("firstName", "A"), ("firstName", "B")], vec![("firstName", "error-invalid-multivalued-size")]),
        (&renaming, &[("tags", "a"), ("tags", "b"), ("tags", "c")], vec![("tags", "error-invalid-multivalued-size")]),
        (&renaming, &[("plain", "a\0b")], vec![("plain", "error-invalid-value")]),
        (&renaming, &[("plain", &much)], vec![("plain", "error-invalid-length")]),
        // EN-15: Cyrillic a.
        (&renaming, &[("username", "\u{430}lice")], vec![]),
        (
            &strict,
            &[("username", "\u{430}lice"), ("email", "\u{430}@example.test")],
            vec![("username", "error-username-invalid-character"), ("email", "error-invalid-email")],
        ),
    ];
    for (more, pairs, expected) in table {
        let records = realm(more);
        let faults = own(&records, "openid").edited(&fixture::user(), &form(pairs)).err().unwrap_or_default();
        assert_eq!(told(&faults), expected, "{pairs:.60?}");
    }
}

#[test]
fn where_the_email_is_the_name_both_change() {
    let records = realm(&json!({ "registrationEmailAsUsername": true, "editUsernameAllowed": true }));
    let asked = form(&[("email", "b@example.test"), ("username", "root")]);
    let user = own(&records, "openid").edited(&fixture::user(), &asked).unwrap().user;
    assert_eq!((user.username.as_str(), user.email.as_deref()), ("b@example.test", Some("b@example.test")));
    let fixed = realm(&json!({ "registrationEmailAsUsername": true }));
    let user = own(&fixed, "openid").edited(&fixture::user(), &asked).unwrap().user;
    assert_eq!((user.username.as_str(), user.email.as_deref()), ("alice", Some("alice@example.test")));
}
