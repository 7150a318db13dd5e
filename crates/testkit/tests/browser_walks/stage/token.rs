//! Looking into tokens, and making such that an honest server would not.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::records::RealmRecords;
use portcullis_idp::KeyRing;
use portcullis_jose::{Algorithm, SigningKey, jws};
use serde_json::Value;

fn part(token: &str, at: usize) -> Result<Value> {
    let part = token.split('.').nth(at).context("no such part")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}

/// The JOSE header.
pub(crate) fn header(token: &str) -> Result<Value> {
    part(token, 0)
}

/// The claims, signature unseen.
pub(crate) fn claims(token: &str) -> Result<Value> {
    part(token, 1)
}

/// These claims under the header of `like`, signed by `key`.
pub(crate) fn signed(key: &SigningKey, like: &str, claims: &Value) -> Result<String> {
    let header = header(like)?;
    Ok(jws::encode(key, header["typ"].as_str(), claims.to_string().as_bytes())?)
}

/// The realm's own key that signed `token`.
pub(crate) fn own_key(records: &RealmRecords, token: &str) -> Result<SigningKey> {
    let header = header(token)?;
    let ring = KeyRing::new(records)?;
    let key = ring.by_kid(header["kid"].as_str().context("no kid")?).context("not a key of the realm")?;
    let algorithm = Algorithm::parse(header["alg"].as_str().unwrap_or_default()).context("no algorithm")?;
    key.with_algorithm(algorithm).context("a key of another kind")
}

/// A key that nobody knows, under the id of the one that signed `token`.
pub(crate) fn foreign_key(token: &str) -> Result<SigningKey> {
    let header = header(token)?;
    let algorithm = Algorithm::parse(header["alg"].as_str().unwrap_or_default()).context("no algorithm")?;
    let kid = header["kid"].as_str().unwrap_or_default();
    // RSA and EC keys draw from the library's own generator.
    let (key, _) = SigningKey::generate(algorithm, kid, &mut |bytes| bytes.fill(9))?;
    Ok(key)
}
