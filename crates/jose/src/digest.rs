//! Hashes, MACs, comparison in constant time and strict base64url, shared by every room.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::Algorithm;

/// SHA-256 of `data`.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    out
}

/// HMAC-SHA256 of `data`. Any key length is taken: callers own their secrets' strength.
#[must_use]
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref());
    out
}

/// The hash inside an HMAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MacHash {
    /// SHA-1, which one-time codes are made with (RFC 4226 §5.1); for nothing else.
    Sha1,
    /// SHA-256
    Sha256,
    /// SHA-512
    Sha512,
}

/// HMAC of `data` (RFC 2104).
#[must_use]
pub fn hmac(hash: MacHash, key: &[u8], data: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        MacHash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        MacHash::Sha256 => hmac::HMAC_SHA256,
        MacHash::Sha512 => hmac::HMAC_SHA512,
    };
    hmac::sign(&hmac::Key::new(algorithm, key), data).as_ref().to_vec()
}

/// Equality without early exit. Only the lengths may leak (ST-04).
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// base64url without padding (RFC 7515 §2).
#[must_use]
pub fn base64url_encode(data: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(data)
}

/// Strict base64url: no padding, no blanks, no `+/`, trailing bits zero. One text per value, so nothing can be respelled (JW-21).
#[must_use]
pub fn base64url_decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Standard base64 with padding, as in `x5c` and Keycloak's realm `public_key`.
#[must_use]
pub fn base64_encode(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// `at_hash`, `c_hash` and `s_hash`: the left half of the hash that belongs to `alg`, in base64url
/// (OIDC Core §3.1.3.6). EdDSA hashes with SHA-512, as Ed25519 does inside (Keycloak 26.4 too).
#[must_use]
pub fn at_hash(alg: Algorithm, token: &str) -> String {
    let hash = match alg {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 | Algorithm::HS256 => &digest::SHA256,
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 | Algorithm::HS384 => &digest::SHA384,
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::ES512 | Algorithm::HS512 | Algorithm::EdDSA => &digest::SHA512,
    };
    let full = digest::digest(hash, token.as_bytes());
    let full = full.as_ref();
    base64url_encode(full.get(..full.len() / 2).unwrap_or(full))
}

pub(crate) fn encode_onto(data: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(data, out);
}
