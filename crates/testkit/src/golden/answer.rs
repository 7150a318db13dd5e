//! An answer in the form of the recordings: status, headers, security headers by profile, body, and computed checks.

use serde_json::{Map, Value, json};

use super::data::CompareSpec;
use super::keys::{at_hash, decode_jwt};
use super::mask::Mask;
use super::page::Page;
use crate::http1::Answer;

const HEADERS: [&str; 19] = [
    "content-type",
    "cache-control",
    "pragma",
    "www-authenticate",
    "location",
    "set-cookie",
    "allow",
    "vary",
    "dpop-nonce",
    "retry-after",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
    "content-language",
    "content-disposition",
    "warning",
];
const SECURITY: [&str; 8] = [
    "x-frame-options",
    "x-content-type-options",
    "x-robots-tag",
    "strict-transport-security",
    "referrer-policy",
    "content-security-policy",
    "content-security-policy-report-only",
    "x-xss-protection",
];
/// Longest text that is recorded whole, in characters.
const LONG_TEXT: usize = 3000;

/// The body, read as its content type says.
pub(crate) struct Body {
    pub(crate) text: String,
    pub(crate) json: Option<Value>,
    pub(crate) page: Option<Page>,
}

impl Body {
    pub(crate) fn read(answer: &Answer) -> Self {
        let text = answer.text();
        let kind = answer.header("content-type").unwrap_or_default();
        let is_json = kind.contains("json") && !text.is_empty();
        let json = is_json.then(|| serde_json::from_str(&text).ok()).flatten();
        let page = (!kind.contains("json") && kind.contains("html")).then(|| Page::read(&text));
        Self { text, json, page }
    }
}

/// The masked record of one answer.
pub(crate) fn record(name: &str, answer: &Answer, body: &Body, mask: &Mask, how: &CompareSpec) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    put("name", json!(name));
    put("status", json!(answer.status));
    put("security_headers", security(answer, mask));
    put("headers", headers(answer, mask));
    if let Some(page) = &body.page {
        put("html", mask.page(page));
    } else if let Some(value) = &body.json {
        put("json", pruned(mask.value(None, value), how));
        for (check, holds) in checks(value) {
            put(check, json!(holds));
        }
        if answer.status >= 400 {
            put("raw", json!(mask.text(&body.text)));
        }
    } else if body.text.is_empty() {
        put("empty", json!(true));
    } else if let Some((header, claims)) = decode_jwt(body.text.trim()) {
        put("jwt", mask.jwt(&header, &claims));
    } else if body.text.chars().count() > LONG_TEXT {
        let start: String = body.text.chars().take(160).collect();
        put("text_length", json!("long"));
        put("text_start", json!(mask.text(&start)));
    } else {
        put("raw", json!(mask.text(&body.text)));
    }
    Value::Object(out)
}

fn headers(answer: &Answer, mask: &Mask) -> Value {
    let mut out = Map::new();
    for name in HEADERS {
        let lines: Vec<&str> = answer.all(name).collect();
        let Some(first) = lines.first() else { continue };
        let value = match name {
            "set-cookie" => lines.iter().map(|l| mask.cookie(l)).collect::<Vec<_>>().into(),
            "location" => mask.url(first),
            _ if lines.len() == 1 => json!(mask.text(first)),
            _ => lines.iter().map(|l| json!(mask.text(l))).collect(),
        };
        out.insert(name.to_owned(), value);
    }
    Value::Object(out)
}

/// The security headers, by the name of their profile when they are one.
fn security(answer: &Answer, mask: &Mask) -> Value {
    let mut seen = Map::new();
    for name in SECURITY {
        let lines: Vec<Value> = answer.all(name).map(|v| json!(mask.text(v))).collect();
        match lines.as_slice() {
            [] => {}
            [only] => {
                seen.insert(name.to_owned(), only.clone());
            }
            _ => {
                seen.insert(name.to_owned(), Value::Array(lines));
            }
        }
    }
    let seen = Value::Object(seen);
    for (profile, wanted) in profiles() {
        if seen == wanted {
            return json!(profile);
        }
    }
    seen
}

fn profiles() -> [(&'static str, Value); 7] {
    let with = |base: &Value, more: &[(&str, &str)]| {
        let mut out = base.clone();
        for (name, value) in more {
            if let Some(members) = out.as_object_mut() {
                members.insert((*name).to_owned(), json!(value));
            }
        }
        out
    };
    let bare = json!({"x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
        "strict-transport-security": "max-age=31536000; includeSubDomains"});
    let robots = ("x-robots-tag", "none");
    let csp = "content-security-policy";
    let xss = [("x-xss-protection", "1; mode=block")];
    let api = with(&bare, &[("x-frame-options", "SAMEORIGIN")]);
    let own = "frame-src 'self'; frame-ancestors 'self'; object-src 'none';";
    let html = with(&api, &[robots, (csp, own)]);
    let framable = with(&bare, &[robots, (csp, "frame-src 'self'; object-src 'none';")]);
    [
        ("api-xss", with(&api, &xss)),
        ("html-xss", with(&html, &xss)),
        ("none", json!({})),
        ("api", api),
        ("html", html),
        ("bare", bare),
        ("framable", framable),
    ]
}

fn pruned(value: Value, how: &CompareSpec) -> Value {
    if !how.keep.is_empty() {
        let kept = how.keep.iter().filter_map(|p| {
            let found = value.pointer(p).filter(|v| !v.is_null())?;
            Some((p.clone(), found.clone()))
        });
        return Value::Object(kept.collect());
    }
    match (&how.names, value) {
        (Some(name), Value::Array(items)) => items
            .into_iter()
            .map(|item| match item.as_object() {
                Some(members) => members.get(name).cloned().unwrap_or_default(),
                None => item,
            })
            .collect(),
        (_, value) => value,
    }
}

/// Facts between the members of a token answer that masks would hide.
fn checks(body: &Value) -> Vec<(&'static str, bool)> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let mut out = Vec::new();
    let access = text("access_token");
    if let (Some(token), Some(state)) = (access, text("session_state"))
        && let Some((_, claims)) = decode_jwt(token)
    {
        let same = claims.get("sid").and_then(Value::as_str) == Some(state);
        out.push(("session_state_is_sid", same));
    }
    if let (Some(token), Some(id_token)) = (access, text("id_token"))
        && let Some((header, claims)) = decode_jwt(id_token)
        && let Some(hash) = claims.get("at_hash").and_then(Value::as_str)
    {
        let alg = header.get("alg").and_then(Value::as_str).unwrap_or_default();
        out.push(("at_hash_matches", at_hash(alg, token).as_deref() == Some(hash)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        Answer {
            status,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn recorded(answer: &Answer, how: &CompareSpec) -> Value {
        let mask = Mask::new("http://127.0.0.1:8080", &Map::new(), 1_700_000_000);
        record("s", answer, &Body::read(answer), &mask, how)
    }

    #[test]
    fn profiles_and_bodies() {
        let bare = [
            ("X-Content-Type-Options", "nosniff"),
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
            ("Referrer-Policy", "no-referrer"),
        ];
        let seen = recorded(&answer(204, &bare, ""), &CompareSpec::default());
        assert_eq!(seen, json!({"name": "s", "status": 204, "security_headers": "bare", "headers": {}, "empty": true}));
        let seen = recorded(
            &answer(400, &[("content-type", "application/json")], r#"{"error":"x"}"#),
            &CompareSpec::default(),
        );
        assert_eq!(seen["raw"], json!(r#"{"error":"x"}"#));
        assert_eq!(seen["security_headers"], json!("none"));
        let one = recorded(&answer(200, &bare[..1], "hello"), &CompareSpec::default());
        assert_eq!(one["security_headers"], json!({"x-content-type-options": "nosniff"}));
        assert_eq!(one["raw"], json!("hello"));
    }

    #[test]
    fn pruning() {
        let how = CompareSpec { names: Some("name".into()), ..CompareSpec::default() };
        assert_eq!(pruned(json!([{"name": "a", "x": 1}, 2]), &how), json!(["a", 2]));
        let how = CompareSpec { keep: vec!["/a/b".into(), "/no".into()], ..CompareSpec::default() };
        assert_eq!(pruned(json!({"a": {"b": 1}, "c": 2}), &how), json!({"/a/b": 1}));
    }
}
