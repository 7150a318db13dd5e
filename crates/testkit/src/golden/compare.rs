//! Field-by-field comparison of a recorded and a compared answer.

use serde_json::{Map, Value, json};

use super::context::plain;
use super::data::CompareSpec;

/// One field that is not as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// JSON pointer into the record (`/status`, `/json/error`).
    pub path: String,
    /// What Keycloak answered; `<absent>` when it had no such field.
    pub want: String,
    /// What the compared server answered.
    pub got: String,
}

struct Rules {
    ignore: Vec<String>,
    unordered: Vec<String>,
    ordered: Vec<String>,
}

impl Rules {
    fn new(how: &CompareSpec) -> Self {
        let body = |pointers: &[String]| -> Vec<String> { pointers.iter().map(|p| format!("/json{p}")).collect() };
        let mut unordered = body(&how.unordered);
        if how.unordered.iter().any(|p| p == "*") {
            unordered.push("*".to_owned());
        }
        Self { ignore: body(&how.ignore), unordered, ordered: body(&how.ordered) }
    }

    fn ignores(&self, path: &str) -> bool {
        self.ignore.iter().any(|i| match i.strip_suffix("/**") {
            Some(prefix) => path.starts_with(prefix),
            None => path == i,
        })
    }

    fn is_set(&self, path: &str, scalars: bool) -> bool {
        let named = |list: &[String], name: &str| list.iter().any(|p| p == name);
        named(&self.unordered, path) || named(&self.unordered, "*") || (scalars && !named(&self.ordered, path))
    }
}

/// The differing fields of one step; none when it is equal.
pub(crate) fn step(want: &Value, got: &Value, how: &CompareSpec) -> Vec<Difference> {
    let status = got.get("status").and_then(Value::as_u64);
    if status.is_some_and(|s| how.accept_status.contains(&s)) {
        return Vec::new();
    }
    let mut out = Vec::new();
    compare(&compared(want, how), &compared(got, how), Place { path: "", key: "" }, &Rules::new(how), &mut out);
    out
}

/// The part of a record that is compared.
fn compared(record: &Value, how: &CompareSpec) -> Value {
    let mut out = record.as_object().cloned().unwrap_or_default();
    for name in ["name", "note", "keys"] {
        out.shift_remove(name);
    }
    if let Some(page) = out.get_mut("html") {
        *page = essential(page, how.html.as_deref() == Some("brief"));
    }
    if let Some(headers) = out.get_mut("headers").and_then(Value::as_object_mut) {
        for name in &how.ignore_headers {
            headers.shift_remove(&name.to_ascii_lowercase());
        }
        if let Some(cookies) = headers.get_mut("set-cookie").and_then(Value::as_array_mut) {
            cookies.sort_by_key(|c| c.get("name").map(plain));
        }
    }
    // Profiles are compared whole: a list of headers is not a profile with fields missing.
    if let Some(profile) = out.get_mut("security_headers").filter(|p| p.is_object()) {
        *profile = json!(canonical(profile));
    }
    Value::Object(out)
}

/// What scripts and suites rely on; the look of a page is free.
fn essential(page: &Value, brief: bool) -> Value {
    let list = |name: &str| page.get(name).and_then(Value::as_array).into_iter().flatten();
    let decoration = ["kc-header", ".helper-text__item-text"];
    let at = |m: &&Value| m.get("at").and_then(Value::as_str).unwrap_or_default().to_owned();
    let messages: Vec<&Value> = list("messages").filter(|m| !decoration.contains(&at(m).as_str())).collect();
    let mut out = Map::new();
    out.insert("title".to_owned(), page.get("title").cloned().unwrap_or_default());
    out.insert("messages".to_owned(), json!(messages));
    if !brief {
        let forms: Vec<Value> = list("forms").map(essential_form).collect();
        let frames: Vec<&Value> = list("links").filter(|l| l.get("iframe").is_some()).collect();
        out.insert("forms".to_owned(), Value::Array(forms));
        out.insert("links".to_owned(), json!(frames));
        out.insert("list_items".to_owned(), list("list_items").cloned().collect());
    }
    out.retain(|_, value| !matches!(value, Value::Null) && value != "" && value != &json!([]));
    Value::Object(out)
}

fn essential_form(form: &Value) -> Value {
    let mut out = form.as_object().cloned().unwrap_or_default();
    let inputs = form.get("inputs").and_then(Value::as_array).into_iter().flatten();
    let mut kept: Vec<Value> = inputs
        .filter(|i| i.get("name").is_some())
        .map(|i| {
            let fields = ["name", "type", "value", "disabled"];
            let fields = fields.iter().filter_map(|f| Some(((*f).to_owned(), i.get(*f)?.clone())));
            Value::Object(fields.collect())
        })
        .collect();
    kept.sort_by_key(|i| i.get("name").map(plain));
    out.insert("inputs".to_owned(), Value::Array(kept));
    Value::Object(out)
}

#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    key: &'a str,
}

fn compare(want: &Value, got: &Value, place: Place<'_>, rules: &Rules, out: &mut Vec<Difference>) {
    let Place { path, key } = place;
    if rules.ignores(path) {
        return;
    }
    match (want, got) {
        (Value::Object(a), Value::Object(b)) => members(a, b, path, rules, out),
        (Value::Array(a), Value::Array(b)) => items(a, b, place, rules, out),
        (Value::String(a), Value::String(b)) if key == "scope" && words(a) == words(b) => {}
        _ if want == got => {}
        _ => out.push(difference(path, plain(want), plain(got))),
    }
}

fn members(want: &Map<String, Value>, got: &Map<String, Value>, path: &str, rules: &Rules, out: &mut Vec<Difference>) {
    let pointer = |name: &str| format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
    for (name, value) in want {
        let path = pointer(name);
        match got.get(name) {
            Some(other) => {
                let place = Place { path: &path, key: name };
                compare(value, other, place, rules, out);
            }
            None if rules.ignores(&path) => {}
            None => out.push(difference(&path, plain(value), "<absent>".to_owned())),
        }
    }
    for (name, value) in got.iter().filter(|(name, _)| !want.contains_key(*name)) {
        let path = pointer(name);
        if !rules.ignores(&path) {
            out.push(difference(&path, "<absent>".to_owned(), plain(value)));
        }
    }
}

fn items(want: &[Value], got: &[Value], place: Place<'_>, rules: &Rules, out: &mut Vec<Difference>) {
    let Place { path, key } = place;
    let scalar = |v: &Value| v.is_string() || v.is_i64() || v.is_u64() || v.is_boolean();
    let mut pair = (want.to_vec(), got.to_vec());
    if rules.is_set(path, want.iter().chain(got).all(scalar)) {
        pair.0.sort_by_cached_key(sort_key);
        pair.1.sort_by_cached_key(sort_key);
    }
    if want.len() != got.len() {
        let told = |list: &[Value]| format!("{} items: {}", list.len(), json!(list));
        out.push(difference(path, told(&pair.0), told(&pair.1)));
        return;
    }
    for (i, (a, b)) in pair.0.iter().zip(&pair.1).enumerate() {
        let path = format!("{path}/{i}");
        compare(a, b, Place { path: &path, key }, rules, out);
    }
}

fn difference(path: &str, want: String, got: String) -> Difference {
    Difference { path: path.to_owned(), want, got }
}

fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words.sort_unstable();
    words
}

/// Objects are sorted by what names them, so that equal ones meet.
fn sort_key(value: &Value) -> String {
    let names = ["name", "alg", "clientId", "alias", "username", "type", "kid", "client", "id"];
    let naming = names.iter().filter_map(|n| value.get(*n).and_then(Value::as_str)).find(|v| !v.starts_with('<'));
    match naming {
        Some(name) => format!("0{name}{}", canonical(value)),
        None => format!("1{}", canonical(value)),
    }
}

/// JSON with sorted members and sorted arrays, so that the order inside an object does not move it.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let inner: Vec<String> =
                sorted.into_iter().map(|(name, value)| format!("{}:{}", json!(name), canonical(value))).collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(items) => {
            let mut inner: Vec<String> = items.iter().map(canonical).collect();
            inner.sort();
            format!("[{}]", inner.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(want: Value, got: Value, how: Value) -> Vec<String> {
        let how: CompareSpec = serde_json::from_value(how).unwrap();
        step(&want, &got, &how).into_iter().map(|d| d.path).collect()
    }

    #[test]
    fn a_changed_field_is_reported() {
        let want = json!({"status": 400, "headers": {"vary": "Origin"}, "json": {"error": "x", "n": 1}, "raw": "a"});
        for (pointer, value) in [
            ("/status", json!(401)),
            ("/headers/vary", json!("")),
            ("/json/error", json!("y")),
            ("/json/n", json!("1")),
            ("/json/n", json!(1.0)),
            ("/raw", json!("b")),
        ] {
            let mut got = want.clone();
            *got.pointer_mut(pointer).unwrap() = value;
            assert_eq!(paths(want.clone(), got, json!({})), [pointer]);
        }
        let mut got = want.clone();
        got["json"] = json!({"error": "x", "more": true});
        assert_eq!(paths(want.clone(), got, json!({})), ["/json/n", "/json/more"]);
        assert!(paths(want.clone(), want, json!({})).is_empty());
    }

    #[test]
    fn rules() {
        let (a, b) = (json!(["x", "y"]), json!(["y", "x"]));
        let (o, p) = (json!([{"id": 1}, {"id": 2}]), json!([{"id": 2}, {"id": 1}]));
        for (want, got, how, differ) in [
            (a.clone(), b.clone(), json!({}), 0),
            (a.clone(), b, json!({"ordered": ["/l"]}), 2),
            (a, json!(["x"]), json!({}), 1),
            (o.clone(), p.clone(), json!({}), 2),
            (o.clone(), p.clone(), json!({"unordered": ["/l"]}), 0),
            (o.clone(), p.clone(), json!({"unordered": ["*"]}), 0),
            (
                json!([{"name": "n", "c": ["1", "2"], "d": 1}, {"name": "n", "c": ["3", "2"], "d": 2}]),
                json!([{"name": "n", "c": ["2", "3"], "d": 2}, {"name": "n", "c": ["2", "1"], "d": 1}]),
                json!({"unordered": ["*"]}),
                0,
            ),
            (o.clone(), p.clone(), json!({"ignore": ["/l"]}), 0),
            (o.clone(), p.clone(), json!({"ignore": ["/l/**"]}), 0),
            (o, p, json!({"ignore": ["/l/0"]}), 1),
        ] {
            let found = paths(json!({"json": {"l": want}}), json!({"json": {"l": got}}), how.clone());
            assert_eq!(found.len(), differ, "{how}");
        }
        let scope = |text: &str| json!({"json": {"scope": text}});
        assert!(paths(scope("a b"), scope("b a"), json!({})).is_empty());
        assert_eq!(paths(scope("a b"), scope("b c"), json!({})), ["/json/scope"]);
        assert!(paths(json!({"status": 500}), json!({"status": 400}), json!({"accept_status": [400]})).is_empty());
        assert_eq!(paths(json!({"status": 500}), json!({"status": 401}), json!({"accept_status": [400]})), ["/status"]);
    }

    #[test]
    fn cookies_are_a_set_by_name() {
        let cookies = |a: &str, b: &str, age: &str| json!({"headers": {"set-cookie": [{"name": a, "attrs": {"Max-Age": age}}, {"name": b, "attrs": {"Max-Age": age}}]}});
        assert!(paths(cookies("A", "B", "1"), cookies("B", "A", "1"), json!({})).is_empty());
        assert_eq!(paths(cookies("A", "B", "1"), cookies("A", "C", "1"), json!({})).len(), 1);
        assert_eq!(paths(cookies("A", "B", "1"), cookies("A", "B", "2"), json!({})).len(), 2);
        assert!(
            paths(cookies("A", "B", "1"), json!({"headers": {}}), json!({"ignore_headers": ["Set-Cookie"]})).is_empty()
        );
    }

    #[test]
    fn pages() {
        let want = json!({"html": {"title": "T", "text": "free", "messages": [{"at": "kc-header", "text": "H"}, {"at": "kc-page-title", "text": "P"}],
            "forms": [{"method": "post", "action": "/x", "inputs": [{"name": "b", "type": "text", "autofocus": true}, {"type": "button", "id": "eye"}, {"name": "a", "type": "submit"}]}],
            "links": [{"href": "/free", "text": "x"}]}});
        let got = json!({"html": {"title": "T", "messages": [{"at": "kc-page-title", "text": "P"}],
            "forms": [{"method": "post", "action": "/x", "inputs": [{"name": "a", "type": "submit"}, {"name": "b", "type": "text"}]}], "links": [], "list_items": []}});
        assert!(paths(want.clone(), got.clone(), json!({})).is_empty());
        let mut other = got.clone();
        other["html"]["forms"][0]["action"] = json!("/y");
        assert_eq!(paths(want.clone(), other.clone(), json!({})), ["/html/forms/0/action"]);
        assert!(paths(want.clone(), other, json!({"html": "brief"})).is_empty());
        let mut other = got;
        other["html"]["messages"] = json!([]);
        assert_eq!(paths(want, other, json!({"html": "brief"})), ["/html/messages"]);
    }

    #[test]
    fn security_profiles_are_compared_whole() {
        let two = json!({"security_headers": {"a": "1", "b": "2"}});
        assert!(paths(two.clone(), json!({"security_headers": {"b": "2", "a": "1"}}), json!({})).is_empty());
        assert_eq!(paths(two, json!({"security_headers": "api"}), json!({})), ["/security_headers"]);
    }
}
