//! What volatile values look like: times, ids, opaque texts.

use serde_json::{Number, Value, json};

/// Members and parameters whose value is opaque and new every time.
pub(super) const OPAQUE: [&str; 24] = [
    "kid",
    "sid",
    "session_state",
    "code",
    "device_code",
    "user_code",
    "session_code",
    "tab_id",
    "at_hash",
    "c_hash",
    "s_hash",
    "state_checker",
    "n",
    "x5t",
    "x5t#S256",
    "publicKey",
    "certificate",
    "public_key",
    "privateKey",
    "auth_session_id",
    "totpSecret",
    "totpSecretEncoded",
    "stateChecker",
    "key",
];
const IDS: [&str; 9] = [
    "id",
    "userId",
    "user_id",
    "containerId",
    "internalId",
    "parentId",
    "flowId",
    "authenticationConfig",
    "clientUuid",
];
const SPANS: [&str; 4] = ["expires_in", "refresh_expires_in", "expiration", "expires"];
const SECRETS: [&str; 3] = ["secret", "client_secret", "registrationAccessToken"];

/// To the nearest ten when within four of it.
pub(super) fn rounded(span: i64) -> i64 {
    let ten = (span + 5).div_euclid(10) * 10;
    if (span - ten).abs() <= 4 { ten } else { span }
}

pub(super) fn number_shape(name: Option<&str>, number: &Number) -> Value {
    let size = number.as_f64().unwrap_or_default();
    if size > 1e12 {
        return json!("<time:ms>");
    }
    if size > 1e9 {
        return json!("<time:s>");
    }
    match (name, number.as_i64()) {
        (Some(key), Some(span)) if SPANS.contains(&key) => json!(rounded(span)),
        (Some("lifespan_ms" | "usedHeapMemory"), _) => json!("<number>"),
        _ => Value::Number(number.clone()),
    }
}

pub(super) fn string_shape(key: &str, text: &str) -> Option<&'static str> {
    let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    let token = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase);
    if OPAQUE.contains(&key) && key != "key" && !text.is_empty() {
        return Some("<opaque>");
    }
    if matches!(text.len(), 32 | 43) && token && mixed && has(u8::is_ascii_lowercase) {
        return Some("<opaque>");
    }
    if text.bytes().all(|b| b.is_ascii_digit()) && ("16".."2").contains(&text) {
        match text.len() {
            10 => return Some("<time:s>"),
            13 => return Some("<time:ms>"),
            _ => {}
        }
    }
    if ["x", "y"].contains(&key) && matches!(text.len(), 43 | 44) {
        return Some("<opaque>");
    }
    if IDS.contains(&key) && is_uuid(text) {
        return Some("<uuid>");
    }
    if IDS.contains(&key) && token && (20..=64).contains(&text.len()) && mixed {
        return Some("<opaque>");
    }
    let secret = text.len() >= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    (SECRETS.contains(&key) && secret).then_some("<opaque>")
}

pub(super) fn pushed_request(key: &str, value: &str) -> Option<String> {
    if key != "request_uri" || !value.starts_with("urn:") {
        return None;
    }
    let (urn, _) = value.rsplit_once(':')?;
    Some(format!("{urn}:<opaque>"))
}

pub(super) fn without_user_code(url: &str) -> String {
    let Some((before, after)) = url.split_once("user_code=") else {
        return url.to_owned();
    };
    let code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
    format!("{before}user_code=x{}", after.trim_start_matches(code))
}

/// Eight, four, four, four and twelve lower-case hexadecimal digits.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        })
}

pub(super) fn mask_uuids(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.get(..36).is_some_and(is_uuid) {
            out.push_str("<uuid>");
            rest = rest.get(36..).unwrap_or_default();
        } else {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    out
}
