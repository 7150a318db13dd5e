//! A public key as JSON (RFC 7517), members in Keycloak's order.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::certificate::{x5t, x5t_s256};
use crate::digest::{base64_encode, base64url_decode, base64url_encode, sha256};
use crate::{Algorithm, BadKey, Curve, VerifyingKey};

/// A public JWK. It has no place for private or symmetric members, so it cannot leak any (JW-26).
///
/// Order on the wire as Keycloak 26.4: kid, kty, alg, use, x5c, x5t, x5t#S256, n, e; EC and OKP: kid, kty, alg, use, crv, x, y.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Key id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// `RSA`, `EC` or `OKP`.
    pub kty: String,
    /// The algorithm the key is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig` or `enc`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_: Option<String>,
    /// Certificate chain, standard base64 of DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5c: Option<Vec<String>>,
    /// SHA-1 of the certificate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5t: Option<String>,
    /// SHA-256 of the certificate, base64url.
    #[serde(default, rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub x5t_s256: Option<String>,
    /// RSA modulus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA public exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// First coordinate, or the Ed25519 public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Second coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
}

impl Jwk {
    /// Reads one public key of a stranger from strictly parsed JSON (see [`crate::parse_strict`]).
    ///
    /// # Errors
    /// [`BadKey`]: symmetric, with private members, not for signatures, or no usable key of any algorithm.
    pub fn from_value(value: &Value) -> Result<Self, BadKey> {
        let object = value.as_object().ok_or(BadKey::Malformed)?;
        if object.get("kty").and_then(Value::as_str) == Some("oct") || object.contains_key("k") {
            return Err(BadKey::Symmetric);
        }
        if ["d", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|m| object.contains_key(*m)) {
            return Err(BadKey::Private);
        }
        if let Some(operations) = object.get("key_ops") {
            let operations = operations.as_array().ok_or(BadKey::Malformed)?;
            if !operations.iter().any(|o| o == "verify") {
                return Err(BadKey::NotForSignatures);
            }
        }
        let jwk = Self::deserialize(value).map_err(|_| BadKey::Malformed)?;
        let alg = jwk.algorithms().first().copied().ok_or(BadKey::UnsupportedType)?;
        VerifyingKey::from_jwk(&jwk, alg)?;
        Ok(jwk)
    }

    /// Publishes a certificate (DER) with the key: `x5c`, `x5t` (SHA-1) and `x5t#S256`.
    pub fn set_certificate(&mut self, der: &[u8]) {
        self.x5c = Some(vec![base64_encode(der)]);
        self.x5t = Some(x5t(der));
        self.x5t_s256 = Some(x5t_s256(der));
    }

    /// Publishes the key for another purpose, such as `enc` with `RSA-OAEP`.
    pub fn set_use(&mut self, use_: &str, alg: &str) {
        self.use_ = Some(use_.to_owned());
        self.alg = Some(alg.to_owned());
    }

    /// The algorithms this key may verify: its own `alg`; without one what curve or type allow (all six for RSA). Never HMAC.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let fits = |a: &Algorithm| {
            !a.is_symmetric()
                && a.key_type().as_str() == self.kty
                && a.curve().is_none_or(|c| self.crv.as_deref().and_then(Curve::parse) == Some(c))
        };
        match &self.alg {
            Some(name) => Algorithm::parse(name).filter(fits).into_iter().collect(),
            None => Algorithm::ALL.into_iter().filter(fits).collect(),
        }
    }

    /// RFC 7638 thumbprint: base64url SHA-256 of the required members in lexical order. None if a member is missing or the
    /// key type has no public form.
    #[must_use]
    pub fn thumbprint(&self) -> Option<String> {
        let text = |s: &str| Value::from(s).to_string();
        let member = |m: &Option<String>| m.as_deref().map(text);
        let canonical = match self.kty.as_str() {
            "RSA" => format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, member(&self.e)?, member(&self.n)?),
            "EC" => format!(
                r#"{{"crv":{},"kty":"EC","x":{},"y":{}}}"#,
                member(&self.crv)?,
                member(&self.x)?,
                member(&self.y)?
            ),
            "OKP" => format!(r#"{{"crv":{},"kty":"OKP","x":{}}}"#, member(&self.crv)?, member(&self.x)?),
            _ => return None,
        };
        Some(base64url_encode(&sha256(canonical.as_bytes())))
    }

    /// The JSON form.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|_| json!({}))
    }

    pub(crate) fn member(&self, member: &Option<String>) -> Result<Vec<u8>, BadKey> {
        let text = member.as_deref().ok_or(BadKey::Malformed)?;
        // An 8192-bit modulus is 1366 characters; nothing longer is worth decoding (DS-24).
        if text.len() > 1366 {
            return Err(BadKey::TooLong);
        }
        base64url_decode(text).ok_or(BadKey::Malformed)
    }
}
