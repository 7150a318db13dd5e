//! A token whose signature and profile hold. Only `jwt::verify` makes one.

use serde_json::{Map, Value};

use crate::{Header, Reject};

/// A verified token: its registered claims have their registered types (RFC 7519 §4.1).
#[derive(Clone, Debug)]
pub struct Verified {
    header: Header,
    claims: Map<String, Value>,
    aud: Vec<String>,
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
}

impl Verified {
    /// Checks the types of registered claims; a wrong type is an error and never "absent" (JW-04).
    pub(crate) fn read(header: Header, claims: Map<String, Value>) -> Result<Self, Reject> {
        for name in ["iss", "sub", "jti"] {
            if claims.get(name).is_some_and(|value| !value.is_string()) {
                return Err(Reject::BadClaimType(name));
            }
        }
        Ok(Self {
            aud: audience(claims.get("aud"))?,
            exp: numeric_date(&claims, "exp")?,
            nbf: numeric_date(&claims, "nbf")?,
            iat: numeric_date(&claims, "iat")?,
            header,
            claims,
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All claims, in the order they were sent.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// All claims, owned.
    #[must_use]
    pub fn into_claims(self) -> Map<String, Value> {
        self.claims
    }

    /// `iss`; the profile has compared it.
    #[must_use]
    pub fn iss(&self) -> Option<&str> {
        self.str("iss")
    }

    /// `sub`.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        self.str("sub")
    }

    /// `aud` as a list; empty if absent.
    #[must_use]
    pub fn aud(&self) -> &[String] {
        &self.aud
    }

    /// `exp` in epoch seconds, rounded down.
    #[must_use]
    pub fn exp(&self) -> Option<i64> {
        self.exp
    }

    /// `nbf` in epoch seconds, rounded down.
    #[must_use]
    pub fn nbf(&self) -> Option<i64> {
        self.nbf
    }

    /// `iat` in epoch seconds, rounded down.
    #[must_use]
    pub fn iat(&self) -> Option<i64> {
        self.iat
    }

    /// `jti`.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.str("jti")
    }

    /// Any claim.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// Any claim that is a string.
    #[must_use]
    pub fn str(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }
}

/// 9999-12-31T23:59:59Z; what lies beyond is no date but an attack on arithmetic.
const LAST_SECOND: i64 = 253_402_300_799;

/// RFC 7519 §2: a JSON number, perhaps with a fraction.
fn numeric_date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, Reject> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let whole = value.as_i64().or_else(|| value.as_f64().and_then(floor));
    match whole {
        Some(seconds) if (0..=LAST_SECOND).contains(&seconds) => Ok(Some(seconds)),
        Some(_) | None => Err(Reject::BadClaimType(name)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked just before")]
fn floor(seconds: f64) -> Option<i64> {
    (0.0..1e12).contains(&seconds).then_some(seconds as i64)
}

/// A string or an array of strings (RFC 7519 §4.1.3).
fn audience(value: Option<&Value>) -> Result<Vec<String>, Reject> {
    let one = |v: &Value| v.as_str().map(str::to_owned).ok_or(Reject::BadClaimType("aud"));
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(one).collect(),
        Some(single) => Ok(vec![one(single)?]),
    }
}
