//! JSON of strangers: duplicate members and deep nesting are refused, not repaired.
//!
//! `serde_json::Value` keeps the last of two equal members, which lets two readers see two tokens (JW-22).

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Why a JSON text is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not JSON, a number out of range, or bytes after the value.
    #[default]
    #[error("malformed")]
    Malformed,
    /// A member name occurs twice in one object.
    #[error("duplicate member")]
    DuplicateMember,
    /// More nested arrays and objects than allowed.
    #[error("nested too deeply")]
    TooDeep,
}

/// Where and how a JSON text is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonRefusal {
    /// Why.
    pub fault: JsonFault,
    /// The member that stands twice.
    pub member: Option<String>,
    /// Line, from 1; 0 when no place is known.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The parser's own words, with the place.
    pub words: String,
}

/// Parses JSON, refusing duplicate members at any level and more than `max_depth` nested containers (JW-22, JW-30).
///
/// # Errors
/// [`JsonFault`]. Depth above 127 is refused whatever `max_depth` says.
pub fn parse_strict(text: &[u8], max_depth: usize) -> Result<Value, JsonFault> {
    parse_located(text, max_depth).map_err(|refusal| refusal.fault)
}

/// [`parse_strict`] for texts whose writer is told where to look.
///
/// # Errors
/// [`JsonRefusal`], under the same conditions.
pub fn parse_located(text: &[u8], max_depth: usize) -> Result<Value, JsonRefusal> {
    let found = RefCell::new((JsonFault::Malformed, None));
    let mut reader = serde_json::Deserializer::from_slice(text);
    let seed = Strict { left: max_depth, found: &found };
    let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let (fault, member) = found.take();
        JsonRefusal { fault, member, line: error.line(), column: error.column(), words: error.to_string() }
    })
}

#[derive(Clone, Copy)]
struct Strict<'f> {
    left: usize,
    found: &'f RefCell<(JsonFault, Option<String>)>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => {
                self.found.replace((JsonFault::TooDeep, None));
                Err(E::custom("nested too deeply"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
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

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match object.entry(name) {
                Entry::Vacant(place) => place.insert(members.next_value_seed(inner)?),
                Entry::Occupied(first) => {
                    self.found.replace((JsonFault::DuplicateMember, Some(first.key().clone())));
                    return Err(A::Error::custom("duplicate member"));
                }
            };
        }
        Ok(Value::Object(object))
    }
}
