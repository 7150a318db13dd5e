//! Tokens that no server made: any header, any payload, any signature.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::key::{KeyStatus, RealmKey};
use portcullis_jose::{Algorithm, SigningKey, digest};
use portcullis_testkit::server::TestServer;
use serde_json::Value;

use crate::ground::records;

/// Base64url without padding.
pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The parts of a compact JWS.
pub(crate) fn parts(token: &str) -> Result<(String, String, String)> {
    let mut parts = token.split('.').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature)) => Ok((header, payload, signature)),
        _ => anyhow::bail!("not a compact JWS"),
    }
}

fn decoded(part: &str) -> Result<String> {
    Ok(String::from_utf8(URL_SAFE_NO_PAD.decode(part)?)?)
}

/// A token's header and payload as JSON texts.
pub(crate) fn texts(token: &str) -> Result<(String, String)> {
    let (header, payload, _) = parts(token)?;
    Ok((decoded(&header)?, decoded(&payload)?))
}

/// A token's claims.
pub(crate) fn claims(token: &str) -> Result<Value> {
    Ok(serde_json::from_str(&texts(token)?.1)?)
}

/// The stored key that signs with an algorithm.
pub(crate) async fn stored_key(server: &TestServer, realm: &str, algorithm: &str) -> Result<RealmKey> {
    let keys = records(server, realm).await?.keys;
    let fits = |key: &&RealmKey| key.status == KeyStatus::Active && key.algorithm == algorithm;
    keys.iter().filter(fits).max_by_key(|key| key.priority).cloned().context("no such key")
}

/// The realm's own RS256 key: what a thief of the key, or a bug in the server, could sign with.
pub(crate) async fn realm_key(server: &TestServer, realm: &str) -> Result<SigningKey> {
    let key = stored_key(server, realm, "RS256").await?;
    Ok(SigningKey::from_pkcs8(Algorithm::RS256, key.kid.as_str(), key.private.expose())?)
}

/// A compact JWS over exactly these texts.
pub(crate) fn signed(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<String> {
    let input = format!("{}.{}", b64(header.as_bytes()), b64(payload.as_bytes()));
    let signature = sign(input.as_bytes())?;
    Ok(format!("{input}.{}", b64(&signature)))
}

/// The same under a key.
pub(crate) fn under(key: &SigningKey, header: &str, payload: &str) -> Result<String> {
    signed(header, payload, |input| Ok(key.sign(input)?))
}

/// HMAC-SHA-256 with any bytes as the key.
pub(crate) fn hs256(secret: &[u8], header: &str, payload: &str) -> Result<String> {
    signed(header, payload, |input| Ok(digest::hmac_sha256(secret, input).to_vec()))
}

/// The payload with one member replaced (or added) by a JSON text that need not be a sane value.
pub(crate) fn with_member(payload: &str, name: &str, text: &str) -> Result<String> {
    let mut claims: serde_json::Map<String, Value> = serde_json::from_str(payload)?;
    claims.remove(name);
    let rest = serde_json::to_string(&claims)?;
    let rest = rest.strip_prefix('{').context("an object")?;
    let comma = if rest == "}" { "" } else { "," };
    Ok(format!("{{\"{name}\":{text}{comma}{rest}"))
}

/// The payload without a member.
pub(crate) fn without_member(payload: &str, name: &str) -> Result<String> {
    let mut claims: serde_json::Map<String, Value> = serde_json::from_str(payload)?;
    claims.remove(name).context("no such member")?;
    Ok(serde_json::to_string(&claims)?)
}
