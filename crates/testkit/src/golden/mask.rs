//! Volatile values: what is new in every run is replaced by its shape, on the compared side as it was on the recorded one
//! (golden set, "Volatile values").

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::keys::{decode_jwt, unb64u};
use super::page::Page;
use super::shapes::{
    OPAQUE, is_uuid, mask_uuids, number_shape, pushed_request, rounded, string_shape, without_user_code,
};

const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

const TOKEN_PARAMETERS: [&str; 6] = ["key", "access_token", "id_token", "response", "logout_token", "id_token_hint"];

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
pub(crate) fn quote(text: &str) -> String {
    utf8_percent_encode(text, QUOTED).to_string()
}

/// Pairs of a query or a form; blanks are kept.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// The masks of one answer.
pub(crate) struct Mask {
    /// (text, what it becomes), tried in order.
    names: Vec<(String, String)>,
    /// Values captured earlier, longest first, with their names.
    captured: Vec<(String, String)>,
    now: i64,
}

impl Mask {
    /// `captured` are the scenario's values so far; short ones, paths and addresses are not recognised in texts.
    pub(crate) fn new(base: &str, captured: &Map<String, Value>, now: i64) -> Self {
        let host = base.split("//").nth(1).unwrap_or(base);
        let mut values: Vec<(String, String)> = captured
            .iter()
            .filter_map(|(name, value)| Some((value.as_str()?.to_owned(), name.clone())))
            .filter(|(value, _)| {
                value.chars().count() >= 8 && !["http://", "https://", "/"].iter().any(|p| value.starts_with(p))
            })
            .collect();
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.chars().count()));
        Self {
            names: vec![
                (base.to_owned(), "${base}".to_owned()),
                (quote(base), "${base:enc}".to_owned()),
                (host.to_owned(), "${host}".to_owned()),
                (quote(host), "${host:enc}".to_owned()),
            ],
            captured: values,
            now,
        }
    }

    /// Any text.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (value, name) in &self.captured {
            if out.contains(value) {
                out = out.replace(value, &format!("${{{name}}}"));
            }
        }
        for (value, name) in &self.names {
            out = out.replace(value, name);
        }
        mask_uuids(&out)
    }

    fn captured_name(&self, value: &str) -> Option<String> {
        let (_, name) = self.captured.iter().find(|(v, _)| v == value)?;
        Some(format!("${{{name}}}"))
    }

    /// A JWT, decoded; its times become distances from `iat`.
    pub(crate) fn jwt(&self, header: &Map<String, Value>, claims: &Map<String, Value>) -> Value {
        let iat = claims.get("iat").and_then(Value::as_i64);
        let header: Map<String, Value> = header.iter().map(|(k, v)| (k.clone(), self.value(Some(k), v))).collect();
        let claims: Map<String, Value> = claims.iter().map(|(k, v)| (k.clone(), self.claim(k, v, iat))).collect();
        json!({"$jwt": {"header": header, "claims": claims}})
    }

    fn claim(&self, name: &str, value: &Value, iat: Option<i64>) -> Value {
        match (name, value.as_i64(), value.as_str()) {
            ("exp" | "nbf", Some(time), _) if time != 0 && iat.is_some() => {
                let span = time - iat.unwrap_or_default();
                json!(format!("<iat{:+}>", rounded(span)))
            }
            ("iat", Some(time), _) if (time - self.now).abs() < 90 => json!("<time>"),
            ("iat", Some(_), _) => json!("<time far off>"),
            ("iat", None, _) => value.clone(),
            ("auth_time", Some(time), _) if time > 1_000_000_000 => json!("<time>"),
            ("auth_time", Some(_), _) => value.clone(),
            ("jti", _, Some(id)) => {
                let (prefix, tail) = id.rsplit_once(':').unwrap_or(("", id));
                let shape = if is_uuid(tail) { "<uuid>" } else { "<opaque>" };
                let colon = if prefix.is_empty() { "" } else { ":" };
                json!(format!("{prefix}{colon}{shape}"))
            }
            _ => self.value(Some(name), value),
        }
    }

    /// An address, split into text and ordered parameters.
    pub(crate) fn url(&self, text: &str) -> Value {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut out = Map::new();
        out.insert("url".to_owned(), Value::String(self.text(path)));
        for (part, content) in [("query", query), ("fragment", fragment)] {
            if content.is_empty() {
                continue;
            }
            let value = if content.contains('=') {
                let masked = pairs(content).into_iter().map(|(k, v)| {
                    let v = self.parameter(Some(&k), &v);
                    json!([k, v])
                });
                Value::Array(masked.collect())
            } else {
                Value::String(self.text(content))
            };
            out.insert(part.to_owned(), value);
        }
        if out.len() > 1 {
            return Value::Object(out);
        }
        out.shift_remove("url").unwrap_or_default()
    }

    /// A query or form parameter, or the value of an input.
    pub(crate) fn parameter(&self, name: Option<&str>, value: &str) -> Value {
        let key = name.unwrap_or_default();
        if key == "client_data" {
            let decoded = unb64u(value).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            return decoded.map_or(json!("<opaque>"), |v| json!({"$b64json": self.value(None, &v)}));
        }
        if let (true, Some((header, claims))) = (TOKEN_PARAMETERS.contains(&key), decode_jwt(value)) {
            return self.jwt(&header, &claims);
        }
        if let Some(captured) = self.captured_name(value) {
            return Value::String(captured);
        }
        if OPAQUE.contains(&key) {
            return json!(if value.is_empty() { "" } else { "<opaque>" });
        }
        if let Some(urn) = pushed_request(key, value) {
            return Value::String(urn);
        }
        Value::String(self.text(value))
    }

    /// Any JSON value; `name` is the member that holds it.
    pub(crate) fn value(&self, name: Option<&str>, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                members.iter().map(|(k, v)| (self.text(k), self.value(Some(k), v))).collect::<Map<_, _>>().into()
            }
            Value::Array(items) if name == Some("x5c") => vec!["<opaque>"; items.len()].into(),
            Value::Array(items) => items.iter().map(|item| self.value(name, item)).collect::<Vec<_>>().into(),
            Value::Number(number) => number_shape(name, number),
            Value::String(text) => self.string(name.unwrap_or_default(), text),
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }

    fn string(&self, key: &str, text: &str) -> Value {
        if let Some((header, claims)) = decode_jwt(text) {
            return self.jwt(&header, &claims);
        }
        if text.len() > 30 && text.starts_with("eyJ") && text.matches('.').count() == 4 {
            return json!("<jwe>");
        }
        if let Some(captured) = self.captured_name(text) {
            return Value::String(captured);
        }
        if let Some(shape) = string_shape(key, text) {
            return json!(shape);
        }
        if let Some(urn) = pushed_request(key, text) {
            return Value::String(urn);
        }
        if key == "verification_uri_complete" {
            return self.url(&without_user_code(text));
        }
        if ["credentialData", "secretData"].contains(&key)
            && let Ok(inner) = serde_json::from_str::<Map<String, Value>>(text)
        {
            return json!({"$json": self.value(None, &Value::Object(inner))});
        }
        Value::String(self.text(text))
    }

    /// A `Set-Cookie` line: name, whether it has a value, attributes.
    pub(crate) fn cookie(&self, line: &str) -> Value {
        let mut parts = line.split(';').map(str::trim);
        let first = parts.next().unwrap_or_default();
        let (name, value) = first.split_once('=').unwrap_or((first, ""));
        let filled = !value.trim_matches('"').is_empty();
        let mut attributes = Map::new();
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            let value = match attribute.to_ascii_lowercase().as_str() {
                "expires" if value.contains("1970") => "<epoch>".to_owned(),
                "expires" => "<time>".to_owned(),
                "max-age" => match value.parse::<i64>() {
                    Ok(age) if age > 10 => ((age + 5) / 10 * 10).to_string(),
                    Ok(_) | Err(_) => value.to_owned(),
                },
                _ => value.to_owned(),
            };
            attributes.insert(attribute.to_owned(), Value::String(self.text(&value)));
        }
        json!({"name": name, "value": if filled { "<value>" } else { "" }, "attrs": attributes})
    }

    /// What is compared of a page, in the form of the recordings.
    pub(crate) fn page(&self, page: &Page) -> Value {
        let messages: Vec<Value> =
            page.messages.iter().map(|(at, text)| json!({"at": at, "text": self.text(text)})).collect();
        let forms: Vec<Value> = page.forms.iter().map(|form| self.form(form)).collect();
        let frames: Vec<Value> = page.frames.iter().map(|src| json!({"iframe": self.url(src)})).collect();
        json!({"title": self.text(&page.title), "messages": messages, "forms": forms, "links": frames, "list_items": page.items})
    }

    fn form(&self, form: &super::page::Form) -> Value {
        let mut out = Map::new();
        if let Some(id) = &form.id {
            out.insert("id".to_owned(), json!(id));
        }
        out.insert("method".to_owned(), json!(form.method));
        if let Some(action) = &form.action {
            let action = if action.is_empty() { json!("") } else { self.url(action) };
            out.insert("action".to_owned(), action);
        }
        let inputs = form.inputs.iter().map(|input| {
            let mut out = Map::new();
            if let Some(name) = &input.name {
                out.insert("name".to_owned(), json!(name));
            }
            out.insert("type".to_owned(), json!(input.kind));
            if let Some(value) = &input.value {
                let value = if value.is_empty() { json!("") } else { self.parameter(input.name.as_deref(), value) };
                out.insert("value".to_owned(), value);
            }
            if input.disabled {
                out.insert("disabled".to_owned(), json!(true));
            }
            Value::Object(out)
        });
        out.insert("inputs".to_owned(), inputs.collect::<Vec<_>>().into());
        Value::Object(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::keys::b64u;

    const UUID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

    fn mask() -> Mask {
        let mut captured = Map::new();
        captured.insert("short".to_owned(), json!("abc"));
        captured.insert("uid".to_owned(), json!("11112222-4b5a-6978-8796-a5b4c3d2e1f0"));
        captured.insert("next".to_owned(), json!("/realms/demo/x"));
        Mask::new("http://127.0.0.1:8080", &captured, 1_700_000_000)
    }

    #[test]
    fn texts() {
        let m = mask();
        for (given, want) in [
            ("http://127.0.0.1:8080/realms", "${base}/realms"),
            ("a=http%3A%2F%2F127.0.0.1%3A8080", "a=${base:enc}"),
            ("host 127.0.0.1:8080", "host ${host}"),
            ("u 11112222-4b5a-6978-8796-a5b4c3d2e1f0!", "u ${uid}!"),
            ("é0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "é<uuid>"),
            ("abc /realms/demo/x", "abc /realms/demo/x"),
            ("0F1E2D3C-4b5a-6978-8796-a5b4c3d2e1f0", "0F1E2D3C-4b5a-6978-8796-a5b4c3d2e1f0"),
        ] {
            assert_eq!(m.text(given), want);
        }
    }

    #[test]
    fn members() {
        let m = mask();
        for (key, given, want) in [
            ("id", json!(UUID), json!("<uuid>")),
            ("id", json!("not-an-id"), json!("not-an-id")),
            ("sid", json!("anything"), json!("<opaque>")),
            ("sid", json!(""), json!("")),
            ("expires_in", json!(299), json!(300)),
            ("expires_in", json!(295), json!(295)),
            ("max", json!(299), json!(299)),
            ("createdTimestamp", json!(1_700_000_000_123_i64), json!("<time:ms>")),
            ("exp", json!(1_700_000_000), json!("<time:s>")),
            ("a", json!("1700000000123"), json!("<time:ms>")),
            ("a", json!("1500000000"), json!("1500000000")),
            ("a", json!("AbcdefghijklmnopqrstuvwxyzABCDE1"), json!("<opaque>")),
            ("a", json!("abcdefghijklmnopqrstuvwxyzabcde1"), json!("abcdefghijklmnopqrstuvwxyzabcde1")),
            ("secret", json!("abcdefghijklmnopqrstuvwxyzabcde1"), json!("<opaque>")),
            ("x5c", json!(["aa", "bb"]), json!(["<opaque>", "<opaque>"])),
            (
                "request_uri",
                json!("urn:ietf:params:oauth:request_uri:zz"),
                json!("urn:ietf:params:oauth:request_uri:<opaque>"),
            ),
            ("flag", json!(true), json!(true)),
        ] {
            assert_eq!(m.value(Some(key), &given), want, "{key} {given}");
        }
        assert_eq!(m.value(None, &json!({ UUID: null })), json!({"<uuid>": null}));
    }

    #[test]
    fn tokens_are_decoded() {
        let claims = json!({"iat": 1_700_000_001, "exp": 1_700_000_302, "auth_time": 1_700_000_000, "jti": format!("onrtac:{UUID}"), "sid": "s", "typ": "Bearer"});
        let token = format!("{}.{}.c2ln", b64u(r#"{"alg":"RS256"}"#), b64u(claims.to_string()));
        let want = json!({"$jwt": {"header": {"alg": "RS256"}, "claims": {"iat": "<time>", "exp": "<iat+300>", "auth_time": "<time>", "jti": "onrtac:<uuid>", "sid": "<opaque>", "typ": "Bearer"}}});
        assert_eq!(mask().value(Some("access_token"), &json!(token)), want);
        let old = Mask::new("http://h", &Map::new(), 1_800_000_000);
        let seen = old.value(None, &json!(token));
        assert_eq!(seen.pointer("/$jwt/claims/iat"), Some(&json!("<time far off>")));
    }

    #[test]
    fn addresses_and_cookies() {
        let m = mask();
        let data = b64u(r#"{"ru":"http://127.0.0.1:8080/cb"}"#);
        assert_eq!(
            m.url(&format!("http://127.0.0.1:8080/a?code=xyz&s=b+c&client_data={data}")),
            json!({"url": "${base}/a", "query": [["code", "<opaque>"], ["s", "b c"], ["client_data", {"$b64json": {"ru": "${base}/cb"}}]]})
        );
        assert_eq!(m.url("/plain"), json!("/plain"));
        assert_eq!(m.url("http://h/cb#state=1"), json!({"url": "http://h/cb", "fragment": [["state", "1"]]}));
        assert_eq!(
            m.cookie("A=x; Path=/realms/demo/; Max-Age=36003; HttpOnly"),
            json!({"name": "A", "value": "<value>", "attrs": {"Path": "/realms/demo/", "Max-Age": "36000", "HttpOnly": ""}})
        );
        assert_eq!(m.cookie("A=\"\"; Max-Age=0").pointer("/value"), Some(&json!("")));
    }
}
