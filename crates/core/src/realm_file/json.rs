//! JSON as strict as a realm file needs it: no member twice, bounded depth, bounded size.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::refusal::{Reason, Refusal};

/// Largest realm file, bytes.
pub const MAX_BYTES: usize = 512 * 1024 * 1024;
/// Deepest nesting (a group tree needs two levels per group).
pub const MAX_DEPTH: usize = 100;

const TWICE: &str = "portcullis:twice:";

/// Reads one JSON value.
///
/// # Errors
/// [`Reason::TooLarge`], [`Reason::Duplicate`], or [`Reason::Syntax`] with line and column.
pub fn strict(bytes: &[u8]) -> Result<Value, Refusal> {
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::at("", Reason::TooLarge(MAX_BYTES)));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| refused(&error))
}

fn refused(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    match text.strip_prefix(TWICE) {
        Some(rest) => {
            let name = rest.rsplit_once(" at line ").map_or(rest, |(name, _)| name);
            let place = format!("line {} column {}", error.line(), error.column());
            Refusal::at(place, Reason::Duplicate(name.to_owned()))
        }
        None => Refusal::at("", Reason::Syntax(text)),
    }
}

struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(self.deeper()?)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom(format!("{TWICE}{name}")));
            }
            let value = access.next_value_seed(self.deeper()?)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// Line and column (both from 1) where Keycloak's parser stands when it refuses the top-level member `name`: behind the
/// first token of its value. For valid JSON; `None` when there is no such member.
#[must_use]
pub fn behind_member(bytes: &[u8], name: &str) -> Option<(usize, usize)> {
    let at = |i: usize| bytes.get(i).copied();
    let skip = |mut i: usize| {
        while at(i).is_some_and(|b| b.is_ascii_whitespace()) {
            i += 1;
        }
        i
    };
    let (mut i, mut depth) = (0, 0_usize);
    loop {
        match at(i)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = string_end(bytes, i)?;
                let colon = skip(end);
                let named = bytes.get(i + 1..end - 1) == Some(name.as_bytes());
                if depth == 1 && named && at(colon) == Some(b':') {
                    return Some(position(bytes, token_end(bytes, skip(colon + 1))?));
                }
                i = end;
                continue;
            }
            _ => {}
        }
        i += 1;
    }
}

/// The index behind the closing quote of the string that opens at `start`.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut i = start + 1;
    loop {
        match bytes.get(i)? {
            b'"' => return Some(i + 1),
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
}

/// Behind a bracket or an opening quote (strings are read lazily), else behind the whole token.
fn token_end(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'{' | b'[' | b'"' => Some(start + 1),
        _ => {
            let rest = bytes.get(start..)?;
            let len = rest.iter().position(|b| b",]}".contains(b) || b.is_ascii_whitespace()).unwrap_or(rest.len());
            Some(start + len)
        }
    }
}

fn position(bytes: &[u8], index: usize) -> (usize, usize) {
    let before = bytes.get(..index).unwrap_or(bytes);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    (line, index - start + 1)
}
