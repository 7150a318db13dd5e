//! Compact JWS (RFC 7515 §7.1): writing, and taking apart without trusting anything.
//!
//! Owns the shape: three canonical parts, a header this house understands, JSON objects with unique members.
//! Does not own: whether the content is acceptable (`jwt`). What [`parse`] returns is unverified.

use serde_json::{Map, Value};

use crate::digest::{base64url_decode, base64url_encode, encode_onto};
use crate::{Algorithm, Reject, SignError, SigningKey, VerifyingKey, parse_strict};

/// Bounds on a token, checked before any decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest token in bytes.
    pub max_bytes: usize,
    /// Most nested arrays and objects in header or payload; 127 at most.
    pub max_depth: usize,
}

impl Default for Limits {
    /// 32 KiB, which is beyond what fits into common HTTP header limits, and 32 levels.
    fn default() -> Self {
        Self { max_bytes: 32 * 1024, max_depth: 32 }
    }
}

/// Longest `kid`, `typ` or `cty` read (JW-10).
const MAX_NAME: usize = 512;

/// A JOSE header after the shape check: `crit`, `b64`, `zip` and `enc` are refused by [`parse`] and cannot occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Signature algorithm.
    pub alg: Algorithm,
    /// Key id. Compared with known keys only, never used as a path or query.
    pub kid: Option<String>,
    /// Media type of the token.
    pub typ: Option<String>,
    /// Media type of the payload.
    pub cty: Option<String>,
    /// `jwk` is present.
    pub has_jwk: bool,
    /// `jku` is present.
    pub has_jku: bool,
    /// `x5u` is present.
    pub has_x5u: bool,
    /// `x5c` is present.
    pub has_x5c: bool,
}

/// A well-shaped token, NOT verified.
#[derive(Clone, Debug)]
pub struct Parsed<'a> {
    header: Header,
    claims: Map<String, Value>,
    payload: Vec<u8>,
    signing_input: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parsed<'a> {
    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The payload's bytes as they were signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as JSON. Anybody can have written it: only for choosing whose keys to verify with.
    #[must_use]
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// `iss`, to choose the key set by.
    #[must_use]
    pub fn unverified_issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// `header.payload`, what the signature covers.
    #[must_use]
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// The raw signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Checks the signature alone. The key must be for the header's algorithm.
    ///
    /// # Errors
    /// [`Reject::AlgorithmNotAllowed`], [`Reject::BadSignature`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), Reject> {
        if key.alg() != self.header.alg {
            return Err(Reject::AlgorithmNotAllowed);
        }
        key.verify(self.signing_input.as_bytes(), &self.signature).map_err(|_| Reject::BadSignature)
    }

    pub(crate) fn into_parts(self) -> (Header, Map<String, Value>) {
        (self.header, self.claims)
    }
}

/// Takes a compact JWS apart.
///
/// # Errors
/// [`Reject`] for every shape RFC 7515 does not allow or this house does not take.
pub fn parse<'a>(token: &'a str, limits: &Limits) -> Result<Parsed<'a>, Reject> {
    if token.len() > limits.max_bytes {
        return Err(Reject::TooLong);
    }
    // Four at most, so a token of dots costs nothing (JW-17).
    let mut parts = token.splitn(4, '.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Reject::NotThreeParts);
    };
    let signing_input = token.get(..header.len() + 1 + payload.len()).ok_or(Reject::NotThreeParts)?;
    let header = base64url_decode(header).ok_or(Reject::BadBase64)?;
    let header = read_header(&object(&header, limits)?)?;
    if signature.is_empty() {
        return Err(Reject::Unsigned);
    }
    let payload = base64url_decode(payload).ok_or(Reject::BadBase64)?;
    let signature = base64url_decode(signature).ok_or(Reject::BadBase64)?;
    let claims = object(&payload, limits)?;
    Ok(Parsed { header, claims, payload, signing_input, signature })
}

fn object(text: &[u8], limits: &Limits) -> Result<Map<String, Value>, Reject> {
    match parse_strict(text, limits.max_depth)? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Reject::NotJsonObject)
        }
    }
}

fn read_header(header: &Map<String, Value>) -> Result<Header, Reject> {
    let refused = [
        ("crit", Reject::Critical),
        ("b64", Reject::UnencodedPayload),
        ("enc", Reject::Encrypted),
        ("zip", Reject::Compressed),
    ];
    if let Some((_, reason)) = refused.into_iter().find(|(name, _)| header.contains_key(*name)) {
        return Err(reason);
    }
    let alg = name(header, "alg")?.ok_or(Reject::MissingAlgorithm)?;
    if alg.eq_ignore_ascii_case("none") {
        return Err(Reject::AlgorithmNone);
    }
    Ok(Header {
        alg: Algorithm::parse(&alg).ok_or(Reject::AlgorithmNotAllowed)?,
        kid: name(header, "kid")?,
        typ: name(header, "typ")?,
        cty: name(header, "cty")?,
        has_jwk: header.contains_key("jwk"),
        has_jku: header.contains_key("jku"),
        has_x5u: header.contains_key("x5u"),
        has_x5c: header.contains_key("x5c"),
    })
}

fn name(header: &Map<String, Value>, member: &'static str) -> Result<Option<String>, Reject> {
    match header.get(member) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_NAME => Ok(Some(text.clone())),
        Some(_) => Err(Reject::BadHeader(member)),
    }
}

/// Signs `payload` into a compact JWS. Header members come in Keycloak 26.4's order: alg, typ, kid.
///
/// # Errors
/// [`SignError`] if the key refuses.
pub fn encode(key: &SigningKey, typ: Option<&str>, payload: &[u8]) -> Result<String, SignError> {
    let made;
    let header = match key.headers().get(typ) {
        Some(header) => header,
        None => {
            made = header_text(key.alg(), typ, key.kid());
            &made
        }
    };
    // 1366 characters hold the largest signature (RSA-8192); most are 342 or less.
    let mut token = String::with_capacity(header.len() + payload.len().div_ceil(3) * 4 + 2 + 344);
    token.push_str(header);
    token.push('.');
    encode_onto(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    encode_onto(&signature, &mut token);
    Ok(token)
}

fn header_text(alg: Algorithm, typ: Option<&str>, kid: &str) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let typ = typ.map(|t| format!(r#","typ":{}"#, quoted(t))).unwrap_or_default();
    base64url_encode(format!(r#"{{"alg":"{alg}"{typ},"kid":{}}}"#, quoted(kid)).as_bytes())
}

/// The encoded headers a key writes all the time.
pub(crate) struct HeaderCache {
    jwt: String,
    at_jwt: String,
}

impl HeaderCache {
    pub(crate) fn new(alg: Algorithm, kid: &str) -> Self {
        Self { jwt: header_text(alg, Some("JWT"), kid), at_jwt: header_text(alg, Some("at+jwt"), kid) }
    }

    fn get(&self, typ: Option<&str>) -> Option<&str> {
        match typ {
            Some("JWT") => Some(&self.jwt),
            Some("at+jwt") => Some(&self.at_jwt),
            Some(_) | None => None,
        }
    }
}
