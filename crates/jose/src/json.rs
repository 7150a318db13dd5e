//! JSON of strangers: duplicate members and deep nesting are refused, not repaired.
//!
//! `serde_json::Value` keeps the last of two equal members, which lets two readers see two tokens (JW-22).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a JSON text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not JSON, a number out of range, or bytes after the value.
    #[error("malformed")]
    Malformed,
    /// A member name occurs twice in one object.
    #[error("duplicate member")]
    DuplicateMember,
    /// More nested arrays and objects than allowed.
    #[error("nested too deeply")]
    TooDeep,
}

/// Parses JSON, refusing duplicate members at any level and more than `max_depth` nested containers (JW-22, JW-30).
///
/// # Errors
/// [`JsonFault`]. Depth above 127 is refused whatever `max_depth` says.
pub fn parse_strict(text: &[u8], max_depth: usize) -> Result<Value, JsonFault> {
    let fault = Cell::new(JsonFault::Malformed);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let seed = Strict { left: max_depth, fault: &fault };
    let value = seed.deserialize(&mut reader).map_err(|_| fault.get())?;
    reader.end().map_err(|_| JsonFault::Malformed)?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict<'f> {
    left: usize,
    fault: &'f Cell<JsonFault>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => {
                self.fault.set(JsonFault::TooDeep);
                Err(E::custom("too deep"))
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
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                self.fault.set(JsonFault::DuplicateMember);
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(object))
    }
}
