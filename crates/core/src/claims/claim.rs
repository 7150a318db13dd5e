//! One claim: its dotted name, its JSON type, and whether its source may write it (JW-28).

use serde_json::{Map, Value};

/// Names that only the protocol writes, whatever a mapper says.
const PROTOCOL: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "typ",
    "azp",
    "sid",
    "session_state",
    "scope",
    "cnf",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "act",
    "may_act",
    "active",
    "authorization",
];

/// Names that only their own mapper, or an administrator's fixed value, writes.
const AUTHORITY: &[&str] = &["acr", "amr", "auth_time", "realm_access", "resource_access", "allowed-origins"];

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// The law itself: roles, acr, the login's own times.
    Law,
    /// A constant an administrator wrote into the mapper.
    Configured,
    /// Data of a person, a group or an upstream login.
    Data,
}

/// Where a claim goes, outermost member first. `None`: a name that this source may not write.
pub(super) fn path(name: &str, source: Source, strict: bool) -> Option<Vec<String>> {
    let path = split(name);
    let root = path.first()?.as_str();
    if root.is_empty() || PROTOCOL.contains(&root) {
        return None;
    }
    let refused = match source {
        Source::Law | Source::Configured => false,
        Source::Data => AUTHORITY.contains(&root) || (strict && root == "roles"),
    };
    (!refused).then_some(path)
}

/// Splits at dots; `\.` is a dot inside a name, `\\` a backslash (Keycloak 26.4).
fn split(name: &str) -> Vec<String> {
    if !name.contains(['.', '\\']) {
        return vec![name.to_owned()];
    }
    let mut parts = vec![String::new()];
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '.' => parts.push(String::new()),
            '\\' => push(&mut parts, letters.next().unwrap_or('\\')),
            other => push(&mut parts, other),
        }
    }
    parts
}

fn push(parts: &mut [String], letter: char) {
    if let Some(last) = parts.last_mut() {
        last.push(letter);
    }
}

/// Writes a value at a path. A member on the way that is no object is left alone.
pub(super) fn put(members: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            members.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = members.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// A value in the mapper's `jsonType.label`. A text that does not fit its type is left out.
pub(super) fn typed(label: Option<&str>, value: Value) -> Option<Value> {
    if let Value::Array(items) = value {
        let items: Vec<Value> = items.into_iter().filter_map(|item| typed(label, item)).collect();
        return (!items.is_empty()).then_some(Value::Array(items));
    }
    match (label, value) {
        (Some("boolean"), Value::String(text)) => Some(Value::Bool(text.eq_ignore_ascii_case("true"))),
        (Some("int" | "long"), Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
        (Some("JSON"), Value::String(text)) => serde_json::from_str(&text).ok(),
        (Some("String"), value @ (Value::Bool(_) | Value::Number(_))) => Some(Value::String(value.to_string())),
        (_, Value::Null) => None,
        (_, value) => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dotted_names_nest_and_escapes_do_not() {
        for (name, expected) in
            [("a", vec!["a"]), ("a.b", vec!["a", "b"]), (r"a\.b", vec!["a.b"]), (r"a.b\.c\\d", vec!["a", r"b.c\d"])]
        {
            assert_eq!(path(name, Source::Data, false).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn jw_28_reserved_names_are_not_written_by_data() {
        for name in
            ["sub", "iss", "aud", "exp", "cnf", "realm_access.roles", "resource_access.x", "acr", "", ".a", "sid.x"]
        {
            assert_eq!(path(name, Source::Data, false), None, "{name}");
        }
        assert!(path("roles", Source::Data, false).is_some(), "Keycloak's profile keeps what administrators map");
        assert_eq!(path("roles", Source::Data, true), None);
        assert!(path("realm_access.roles", Source::Law, true).is_some());
        assert_eq!(path("sub", Source::Configured, false), None);
        assert!(path("department", Source::Data, true).is_some(), "honest twin");
    }

    #[test]
    fn json_types_are_keycloaks() {
        for (label, from, to) in [
            ("String", json!(true), Some(json!("true"))),
            ("boolean", json!("yes"), Some(json!(false))),
            ("boolean", json!("TRUE"), Some(json!(true))),
            ("long", json!("7"), Some(json!(7))),
            ("int", json!("x"), None),
            ("JSON", json!(r#"{"a":1}"#), Some(json!({"a": 1}))),
            ("JSON", json!("{"), None),
            ("int", json!(["1", "x", "2"]), Some(json!([1, 2]))),
            ("String", json!([]), None),
        ] {
            assert_eq!(typed(Some(label), from.clone()), to, "{label} {from}");
        }
    }

    #[test]
    fn a_nested_claim_joins_its_siblings_and_spares_a_scalar() {
        let mut members = Map::new();
        put(&mut members, &["a".into(), "b".into()], json!(1));
        put(&mut members, &["a".into(), "c".into()], json!(2));
        put(&mut members, &["s".into()], json!("x"));
        put(&mut members, &["s".into(), "t".into()], json!(3));
        assert_eq!(Value::Object(members), json!({"a": {"b": 1, "c": 2}, "s": "x"}));
    }
}
