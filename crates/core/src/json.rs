//! JSON objects in Keycloak's member order, written straight, without a tree for the fixed members.

use serde_json::{Map, Value};

/// A JSON object under construction.
pub(crate) struct Object(Vec<u8>);

impl Object {
    pub(crate) fn new() -> Self {
        let mut bytes = Vec::with_capacity(1024);
        bytes.push(b'{');
        Self(bytes)
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        string(&mut self.0, name);
        self.0.push(b':');
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        string(&mut self.0, value);
    }

    pub(crate) fn int(&mut self, name: &str, value: i64) {
        self.name(name);
        self.0.extend_from_slice(value.to_string().as_bytes());
    }

    pub(crate) fn value(&mut self, name: &str, value: &Value) {
        self.name(name);
        // Writing a `Value` into memory cannot fail.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    /// A member that is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.0.extend_from_slice(json);
    }

    /// A member taken out of `members`, if it is there.
    pub(crate) fn taken(&mut self, name: &str, members: &mut Map<String, Value>) {
        if let Some(value) = members.shift_remove(name) {
            self.value(name, &value);
        }
    }

    /// RFC 7519 §4.1.3: one audience as text, several as array, none not at all.
    pub(crate) fn audience(&mut self, audience: &[String]) {
        match audience {
            [] => {}
            [only] => self.text("aud", only),
            several => self.value("aud", &Value::from(several.to_vec())),
        }
    }

    /// The remaining members in the order in which Keycloak's hash map yields them.
    pub(crate) fn rest(&mut self, members: &Map<String, Value>) {
        let mut names: Vec<&String> = members.keys().collect();
        let capacity = capacity(names.len());
        names.sort_by_key(|name| bucket(name, capacity));
        for name in names {
            if let Some(value) = members.get(name) {
                self.value(name, value);
            }
        }
    }

    /// Bytes so far, the opening brace included.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

/// The table size of a Java hash map that holds `members` (16, doubled when more than three quarters are full).
fn capacity(members: usize) -> u32 {
    let mut capacity: u32 = 16;
    while members > (capacity / 4 * 3) as usize {
        capacity *= 2;
    }
    capacity
}

fn bucket(name: &str, capacity: u32) -> u32 {
    let hash = name.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ (hash >> 16)) & (capacity - 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_come_in_the_recorded_order() {
        let recorded = ["email_verified", "name", "preferred_username", "given_name", "family_name", "email"];
        let mut members = Map::new();
        for name in ["email", "name", "family_name", "given_name", "preferred_username", "email_verified"] {
            members.insert(name.to_owned(), json!(1));
        }
        let mut object = Object::new();
        object.rest(&members);
        let text = String::from_utf8(object.end()).unwrap();
        let names: Vec<&str> =
            text.trim_matches(|c| c == '{' || c == '}').split(',').map(|m| m.split('"').nth(1).unwrap()).collect();
        assert_eq!(names, recorded);
    }

    #[test]
    fn rfc_7519_4_1_3_audience_forms() {
        for (audience, expected) in
            [(vec![], "{}"), (vec!["a"], r#"{"aud":"a"}"#), (vec!["a", "b\""], r#"{"aud":["a","b\""]}"#)]
        {
            let mut object = Object::new();
            object.audience(&audience.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(String::from_utf8(object.end()).unwrap(), expected);
        }
    }
}
