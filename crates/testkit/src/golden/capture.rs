//! Taking values out of an answer for later steps: cookies and captures.

use anyhow::{Result, bail};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::page::Page;
use super::pattern;
use crate::http1::Answer;

/// Cookies by name and path. `Path` is honoured, `Secure` is not: everything is loopback.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    cookies: Vec<Cookie>,
}

#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    path: String,
    value: String,
}

impl Jar {
    /// Takes over every `Set-Cookie` of an answer.
    pub fn update(&mut self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            self.set(line);
        }
    }

    fn set(&mut self, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let first = parts.next().unwrap_or_default();
        let (name, value) = first.split_once('=').unwrap_or((first, ""));
        let (mut path, mut ended) = ("/", false);
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            match attribute.to_ascii_lowercase().as_str() {
                "path" => path = value,
                "max-age" => ended |= value == "0",
                "expires" => ended |= value.contains("1970"),
                _ => {}
            }
        }
        self.cookies.retain(|c| c.name != name || c.path != path);
        if !ended {
            self.cookies.push(Cookie { name: name.to_owned(), path: path.to_owned(), value: value.to_owned() });
        }
    }

    /// The `Cookie` line for a request target, when there is anything to send.
    #[must_use]
    pub fn header(&self, target: &str) -> Option<String> {
        let fit = self.cookies.iter().filter(|c| target.starts_with(&c.path));
        let pairs: Vec<String> = fit.map(|c| format!("{}={}", c.name, c.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Value of a cookie of this name under any path.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let cookie = self.cookies.iter().find(|c| c.name == name)?;
        Some(&cookie.value)
    }
}

/// An answer as captures look at it.
pub(crate) struct Seen<'a> {
    pub(crate) answer: &'a Answer,
    pub(crate) text: &'a str,
    pub(crate) json: Option<&'a Value>,
    pub(crate) page: Option<&'a Page>,
    pub(crate) jar: Option<&'a Jar>,
}

/// The captured value, `None` when the answer does not hold it.
///
/// # Errors
/// When the scenario asks for a kind of capture that does not exist.
pub(crate) fn capture(spec: &Value, seen: &Seen<'_>) -> Result<Option<Value>> {
    let text = |name: &str| spec.get(name).and_then(Value::as_str);
    if let Some(pointer) = text("json") {
        return Ok(seen.json.and_then(|j| j.pointer(pointer)).cloned());
    }
    if let Some(wanted) = spec.get("find") {
        let list = seen.json.and_then(|j| j.pointer(text("in").unwrap_or_default()));
        let found = list.and_then(Value::as_array).and_then(|l| l.iter().find(|item| holds(item, wanted)));
        return Ok(found.and_then(|item| item.pointer(text("at").unwrap_or("/id"))).cloned());
    }
    let found = if let Some(name) = text("header") {
        let pattern = text("regex").unwrap_or("(.*)");
        let hit = seen.answer.all(name).find_map(|v| pattern::group(pattern, v));
        hit.map(|v| percent_decode_str(&v).decode_utf8_lossy().into_owned())
    } else if let Some(id) = text("form_action") {
        seen.page.and_then(|p| p.form(id)).and_then(|f| f.action.clone())
    } else if let Some(name) = text("form_input") {
        seen.page.and_then(|p| p.input(name)).map(str::to_owned)
    } else if let Some(pattern) = text("link") {
        let links = seen.page.into_iter().flat_map(|p| &p.links);
        links.filter(|l| pattern::matches(pattern, l)).map(String::clone).next()
    } else if let Some(pattern) = text("body") {
        pattern::group(pattern, seen.text)
    } else if let Some(name) = text("cookie") {
        seen.jar.and_then(|j| j.get(name)).map(str::to_owned)
    } else {
        bail!("unknown capture {spec}");
    };
    Ok(found.map(Value::String))
}

fn holds(item: &Value, wanted: &Value) -> bool {
    let members = wanted.as_object().into_iter().flatten();
    item.is_object() && members.into_iter().all(|(k, v)| item.get(k) == Some(v))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn jars_honour_paths_and_ends() {
        let mut jar = Jar::default();
        for line in ["A=1; Path=/realms/demo/", "B=2; path=/", "A=3; Path=/realms/demo/", "C=4; Path=/x"] {
            jar.set(line);
        }
        assert_eq!(jar.header("/realms/demo/auth").unwrap(), "B=2; A=3");
        assert_eq!(jar.header("/realms/mini/auth").unwrap(), "B=2");
        jar.set("B=; Max-Age=0; Path=/");
        jar.set("A=; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/other/");
        assert_eq!(jar.header("/realms/mini/auth"), None);
        assert_eq!(jar.get("A"), Some("3"));
    }

    #[test]
    fn captures() {
        let answer = Answer {
            status: 302,
            headers: vec![("location".into(), "http://h/cb?state=1&code=a%2Eb&x=2".into())],
            body: Vec::new(),
        };
        let body = json!([{"name": "a", "id": 1}, {"name": "b", "id": 2}]);
        let page = Page::read(
            "<form action='/go'><input name=code type=hidden value=v></form><a href='/x?client_data=1'>x</a>",
        );
        let seen = Seen { answer: &answer, text: "user code: ABCD", json: Some(&body), page: Some(&page), jar: None };
        for (spec, want) in [
            (json!({"json": "/1/name"}), Some(json!("b"))),
            (json!({"json": "/9"}), None),
            (json!({"find": {"name": "b"}}), Some(json!(2))),
            (json!({"find": {"name": "z"}}), None),
            (json!({"header": "Location", "regex": "[?&]code=([^&]+)"}), Some(json!("a.b"))),
            (json!({"header": "Location", "regex": "[?&]nope=([^&]+)"}), None),
            (json!({"header": "Location"}), Some(json!("http://h/cb?state=1&code=a.b&x=2"))),
            (json!({"form_action": "*"}), Some(json!("/go"))),
            (json!({"form_action": "kc-form-login"}), None),
            (json!({"form_input": "code"}), Some(json!("v"))),
            (json!({"link": "client_data="}), Some(json!("/x?client_data=1"))),
            (json!({"body": "code: ([A-Z]+)"}), Some(json!("ABCD"))),
            (json!({"cookie": "A"}), None),
        ] {
            assert_eq!(capture(&spec, &seen).unwrap(), want, "{spec}");
        }
        assert!(capture(&json!({"smell": 1}), &seen).is_err());
    }
}
