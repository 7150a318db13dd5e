//! Members out of a JSON object, typed, with the place they stand at. Scalars are coerced as Keycloak's parser does.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::refusal::{Reason, Refusal};

/// An object of the file with its place.
pub(super) struct Obj {
    pub(super) place: String,
    members: Map<String, Value>,
}

fn scalar(value: Value) -> Result<Option<String>, Value> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(_) | Value::Object(_) => Err(value),
    }
}

impl Obj {
    /// The object `value`.
    pub(super) fn of(value: Value, place: impl Into<String>) -> Result<Self, Refusal> {
        let place = place.into();
        match value {
            Value::Object(members) => Ok(Self { place, members }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(Refusal::at(place, Reason::Expected("an object")))
            }
        }
    }

    /// Refuses members that `representation` does not have.
    pub(super) fn only(&self, known: &[&str], representation: &'static str) -> Result<(), Refusal> {
        match self.members.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Refusal::at(self.place.clone(), Reason::UnknownMember(representation, name.clone()))),
        }
    }

    /// The place of a member.
    pub(super) fn at(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    pub(super) fn refuse(&self, name: &str, reason: Reason) -> Refusal {
        Refusal::at(self.at(name), reason)
    }

    fn expected<T>(&self, name: &str, what: &'static str) -> Result<T, Refusal> {
        Err(self.refuse(name, Reason::Expected(what)))
    }

    /// Takes a member as it is; `null` counts as absent.
    pub(super) fn value(&mut self, name: &str) -> Option<Value> {
        self.members.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.value(name).map(scalar) {
            None => Ok(None),
            Some(Ok(text)) => Ok(text),
            Some(Err(_)) => self.expected(name, "a text"),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        let Ok(text) = self.text(name) else {
            return self.expected(name, "true or false");
        };
        match text.as_deref() {
            None | Some("") => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => self.expected(name, "true or false"),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        let Ok(text) = self.text(name) else {
            return self.expected(name, "a whole number");
        };
        match text {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => self.expected(name, "a whole number"),
            },
        }
    }

    fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                self.expected(name, "a list")
            }
        }
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let Some(list) = self.list(name)? else {
            return Ok(None);
        };
        let mut texts = Vec::with_capacity(list.len());
        for value in list {
            match scalar(value) {
                Ok(Some(text)) => texts.push(text),
                Ok(None) => {}
                Err(_) => return self.expected(name, "a list of texts"),
            }
        }
        Ok(Some(texts))
    }

    pub(super) fn objects(&mut self, name: &str) -> Result<Option<Vec<Self>>, Refusal> {
        let place = self.at(name);
        let Some(list) = self.list(name)? else {
            return Ok(None);
        };
        list.into_iter()
            .enumerate()
            .map(|(i, value)| Self::of(value, format!("{place}[{i}]")))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, Refusal> {
        let place = self.at(name);
        self.value(name).map(|value| Self::of(value, place)).transpose()
    }

    /// An object of texts; other scalars are written as text, `null` is dropped (an empty map value in Keycloak).
    pub(super) fn text_map(&mut self, name: &str) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        let Some(object) = self.object(name)? else {
            return Ok(None);
        };
        let place = object.place.clone();
        let mut map = BTreeMap::new();
        for (key, value) in object.members {
            match scalar(value) {
                Ok(Some(text)) => {
                    map.insert(key, text);
                }
                Ok(None) => {}
                Err(_) => return Err(Refusal::at(format!("{place}.{key}"), Reason::Expected("a text"))),
            }
        }
        Ok(Some(map))
    }

    /// An object of lists of texts; a single text counts as a list of one (Keycloak's attribute reader).
    pub(super) fn texts_map(&mut self, name: &str) -> Result<Option<BTreeMap<String, Vec<String>>>, Refusal> {
        let Some(mut object) = self.object(name)? else {
            return Ok(None);
        };
        let names = object.names();
        let mut map = BTreeMap::new();
        for key in names {
            let single = matches!(object.members.get(&key), Some(Value::String(_) | Value::Bool(_) | Value::Number(_)));
            let list = if single { object.text(&key)?.map(|text| vec![text]) } else { object.texts(&key)? };
            if let Some(list) = list {
                map.insert(key, list);
            }
        }
        Ok(Some(map))
    }

    /// The members in their order, each with its place.
    pub(super) fn members(self) -> impl Iterator<Item = (String, String, Value)> {
        let place = self.place;
        self.members.into_iter().map(move |(name, value)| {
            let at = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            (name, at, value)
        })
    }

    /// Puts a member back.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// The members' names in their order.
    pub(super) fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    /// What was not taken.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.members
    }
}
