//! Which keys a realm shall have: made new, or brought by the file.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_jose::{Algorithm, SigningKey};

use crate::ids::KeyId;
use crate::key::{KeyStatus, KeyUse};
use crate::secret::SecretBytes;

/// A key that a realm shall have. `idp::import` turns it into a [`crate::key::RealmKey`].
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// Keycloak's provider id, as in [`crate::key::RealmKey::provider`].
    pub provider: String,
    /// JOSE algorithm.
    pub algorithm: String,
    /// What for.
    pub key_use: KeyUse,
    /// Whether it signs.
    pub status: KeyStatus,
    /// Highest wins.
    pub priority: i64,
    /// Where it comes from.
    pub source: KeySource,
}

/// Where a key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Made at import.
    Generate,
    /// A private key of the file (PKCS#8 DER), its `kid` (Keycloak: hash of the public key), its certificate (DER).
    Private {
        /// `kid`.
        kid: KeyId,
        /// PKCS#8 DER.
        pkcs8: SecretBytes,
        /// X.509 DER.
        certificate: Option<Vec<u8>>,
    },
    /// A symmetric key of the file.
    Symmetric {
        /// `kid`.
        kid: KeyId,
        /// The key.
        secret: SecretBytes,
    },
}

/// Priority of the keys of a fresh realm (Keycloak 26.4).
pub const DEFAULT_PRIORITY: i64 = 100;

impl KeySpec {
    fn generated(provider: &str, algorithm: &str, key_use: KeyUse) -> Self {
        Self {
            provider: provider.to_owned(),
            algorithm: algorithm.to_owned(),
            key_use,
            status: KeyStatus::Active,
            priority: DEFAULT_PRIORITY,
            source: KeySource::Generate,
        }
    }
}

/// The file's keys, and new ones for what a realm cannot be without: RS256, RSA-OAEP, HS512, AES; ES256 when strict.
#[must_use]
pub fn complete(mut keys: Vec<KeySpec>, strict: bool) -> Vec<KeySpec> {
    let mut needed = vec![
        KeySpec::generated("rsa-generated", "RS256", KeyUse::Signature),
        KeySpec::generated("rsa-enc-generated", "RSA-OAEP", KeyUse::Encryption),
        KeySpec::generated("hmac-generated-hs512", "HS512", KeyUse::Signature),
        KeySpec::generated("aes-generated", "AES", KeyUse::Encryption),
    ];
    if strict {
        needed.push(KeySpec::generated("ecdsa-generated", "ES256", KeyUse::Signature));
    }
    for need in needed {
        let there = keys.iter().any(|k| k.algorithm == need.algorithm && k.status == KeyStatus::Active);
        if !there {
            keys.push(need);
        }
    }
    keys
}

/// The signature algorithm by which a key of `algorithm` is parsed: RSA encryption keys are RSA keys.
#[must_use]
pub fn parsed_as(algorithm: &str) -> Option<Algorithm> {
    match algorithm {
        "RSA-OAEP" | "RSA-OAEP-256" | "RSA1_5" => Some(Algorithm::RS256),
        name => Algorithm::parse(name),
    }
}

/// Keycloak's `kid` of a PKCS#8 private key for `algorithm`: SHA-256 of the public key (SubjectPublicKeyInfo DER),
/// base64url. `None` when it is no such key.
#[must_use]
pub fn kid_of_private(algorithm: &str, pkcs8: &[u8]) -> Option<KeyId> {
    let key = SigningKey::from_pkcs8(parsed_as(algorithm)?, "", pkcs8).ok()?;
    let spki = key.public_key_der()?;
    Some(KeyId::new(URL_SAFE_NO_PAD.encode(digest(&SHA256, &spki).as_ref())))
}

/// Whether `secret` may be the key of an HMAC `algorithm` (RFC 7518 §3.2 bounds its length).
#[must_use]
pub fn is_hmac_key(algorithm: &str, secret: &[u8]) -> bool {
    Algorithm::parse(algorithm).is_some_and(|alg| SigningKey::from_hmac(alg, "", secret).is_ok())
}

/// DER of a length and what follows (X.690 §8.1.3).
fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let len = body.len();
    if len < 128 {
        out.push(u8::try_from(len).unwrap_or(0));
    } else {
        let bytes: Vec<u8> = len.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
        out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
        out.extend(bytes);
    }
    out.extend_from_slice(body);
    out
}

/// PKCS#1 (RFC 8017 A.1.2) wrapped as PKCS#8 (RFC 5208).
#[must_use]
pub fn pkcs8_of_pkcs1(pkcs1: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let mut body = vec![0x02, 0x01, 0x00];
    body.extend_from_slice(RSA_ENCRYPTION);
    body.extend(tlv(0x04, pkcs1));
    tlv(0x30, &body)
}
