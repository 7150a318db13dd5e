//! A published set of keys (RFC 7517 §5), read with suspicion.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{BadKeySet, Jwk, parse_strict};

/// `{"keys": [..]}`: what we publish, or what is left of a stranger's set after the bad keys are dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JwkSet {
    /// The keys, in order.
    pub keys: Vec<Jwk>,
}

impl JwkSet {
    /// Longest document read, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;
    /// Most keys in a document.
    pub const MAX_KEYS: usize = 100;

    const MAX_DEPTH: usize = 16;

    /// Reads a stranger's key set. `oct`, `use` other than `sig`, unknown `kty` or `alg`, private and broken keys are left
    /// out; of keys sharing a `kid` none is kept, because nobody can say which was meant (JW-20, JW-25).
    ///
    /// # Errors
    /// [`BadKeySet`] if the document as a whole is too large, not strict JSON (JW-22, JW-30) or has no `keys`.
    pub fn parse(document: &[u8]) -> Result<Self, BadKeySet> {
        if document.len() > Self::MAX_BYTES {
            return Err(BadKeySet::TooLong);
        }
        Self::from_value(&parse_strict(document, Self::MAX_DEPTH)?)
    }

    /// The same for JSON already parsed strictly, such as `jwks` in a client registration.
    ///
    /// # Errors
    /// [`BadKeySet::NoKeys`], [`BadKeySet::TooManyKeys`].
    pub fn from_value(document: &Value) -> Result<Self, BadKeySet> {
        let keys = document.get("keys").and_then(Value::as_array).ok_or(BadKeySet::NoKeys)?;
        if keys.len() > Self::MAX_KEYS {
            return Err(BadKeySet::TooManyKeys);
        }
        let candidates: Vec<&Value> = keys.iter().filter(|key| is_candidate(key)).collect();
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for kid in candidates.iter().filter_map(|key| kid(key)) {
            *uses.entry(kid).or_default() += 1;
        }
        let keys = candidates
            .iter()
            .filter(|key| kid(key).is_none_or(|id| uses.get(id) == Some(&1)))
            .filter_map(|key| Jwk::from_value(key).ok())
            .collect();
        Ok(Self { keys })
    }
}

impl<'de> Deserialize<'de> for JwkSet {
    /// Filters like [`JwkSet::from_value`]. Duplicate members cannot be seen here: strangers' bytes go through [`JwkSet::parse`].
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_value(&value).map_err(serde::de::Error::custom)
    }
}

fn kid(key: &Value) -> Option<&str> {
    key.get("kid").and_then(Value::as_str)
}

/// Keys for encryption and of other kinds may share a `kid` with a signing key without harm.
fn is_candidate(key: &Value) -> bool {
    let kty = key.get("kty").and_then(Value::as_str);
    matches!(kty, Some("RSA" | "EC" | "OKP")) && key.get("use").is_none_or(|u| u == "sig")
}
