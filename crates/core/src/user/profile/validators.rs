//! What values must look like.
//!
//! Acted on: `length`, `email`, `options`, `integer`, `multivalued`, `username-prohibited-characters`,
//! `person-name-prohibited-characters`. The others are told in the metadata and not enforced.

use serde_json::{Map, Value, json};

use super::{Attribute, Fault};

/// Longest value of an attribute whose rules name no length, characters (Keycloak 26.4).
const LENGTH_MAX: i64 = 2048;

/// What is wrong with values. Empty ones pass.
pub(super) fn faults(attribute: &Attribute, values: &[String], faults: &mut Vec<Fault>) {
    let name = attribute.name.as_str();
    if !attribute.multivalued && values.len() > 1 {
        return faults.push(Fault::of(name, "error-invalid-multivalued-size", &[json!(0), json!(1)]));
    }
    if let Some(value) = values.iter().find(|value| value.contains('\0')) {
        return faults.push(Fault::of(name, "error-invalid-value", &[json!(value)]));
    }
    let bounded = json!({ "min": 0, "max": LENGTH_MAX });
    let unsaid = (!attribute.validations.contains_key("length")).then_some(("length", &bounded));
    let said = attribute.validations.iter().map(|(validator, config)| (validator.as_str(), config));
    for (validator, config) in said.chain(unsaid) {
        if validator == "multivalued" {
            faults.extend(size(name, values.len(), config));
        }
        let given = values.iter().filter(|value| !value.trim().is_empty());
        faults.extend(given.filter_map(|value| fault(name, value, validator, config)).take(1));
    }
}

/// The validators as told: empty values pass each of them, single values are one at most.
pub(super) fn told(of: &Attribute) -> Map<String, Value> {
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
