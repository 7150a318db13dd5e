//! A realm's keys, parsed once: which one signs, which ones verify, and the documents that publish them.

use std::cmp::Reverse;
use std::collections::HashMap;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::key::{KeyStatus, KeyUse, RealmKey};
use portcullis_core::records::RealmRecords;
use portcullis_jose::{Algorithm, Jwk, KeySet, SigningKey};

/// Parsed keys of one realm.
pub struct KeyRing {
    signing: HashMap<Algorithm, SigningKey>,
    by_kid: HashMap<String, SigningKey>,
    verifying: KeySet,
    jwks: Bytes,
    public_key: String,
}

/// A stored key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("key {kid} ({algorithm}): {cause}")]
pub struct BadKey {
    kid: String,
    algorithm: String,
    cause: String,
}

impl KeyRing {
    /// Parses the keys of a realm.
    ///
    /// # Errors
    /// A stored key that does not parse.
    pub fn new(records: &RealmRecords) -> Result<Self, BadKey> {
        let mut signing: HashMap<Algorithm, (i64, SigningKey)> = HashMap::new();
        let mut by_kid = HashMap::new();
        let mut published: Vec<(bool, Reverse<i64>, Jwk)> = Vec::new();
        let mut verifying = Vec::new();
        let mut public_key = String::new();
        for key in records.keys.iter().filter(|k| k.status != KeyStatus::Disabled) {
            let Some(parsed) = parse(key)? else { continue };
            if let Some(mut jwk) = parsed.public_jwk() {
                if let Some(der) = &key.certificate {
                    jwk.set_certificate(der);
                }
                if key.key_use == KeyUse::Encryption {
                    jwk.set_use("enc", &key.algorithm);
                }
                published.push((key.key_use == KeyUse::Signature, Reverse(key.priority), jwk));
            }
            if key.key_use == KeyUse::Encryption {
                continue;
            }
            verifying.push(parsed.verifying_key().clone());
            by_kid.insert(key.kid.as_str().to_owned(), parsed.clone());
            if key.status != KeyStatus::Active {
                continue;
            }
            let best = signing.get(&parsed.alg()).is_none_or(|(priority, _)| *priority < key.priority);
            if best {
                if parsed.alg() == Algorithm::RS256 {
                    public_key = parsed.public_key_der().map(|der| STANDARD.encode(der)).unwrap_or_default();
                }
                signing.insert(parsed.alg(), (key.priority, parsed));
            }
        }
        // Encryption first, then by priority, so that every node publishes the same text.
        published.sort_by(|a, b| (a.0, a.1, &a.2.kid).cmp(&(b.0, b.1, &b.2.kid)));
        let published: Vec<Jwk> = published.into_iter().map(|(.., jwk)| jwk).collect();
        let jwks = serde_json::to_vec(&serde_json::json!({ "keys": published })).unwrap_or_default();
        Ok(Self {
            signing: signing.into_iter().map(|(alg, (_, key))| (alg, key)).collect(),
            by_kid,
            verifying: KeySet::new(verifying),
            jwks: Bytes::from(jwks),
            public_key,
        })
    }

    /// The active key of an algorithm. A key serves the one algorithm it was made for: readers of the JWK set hold a token's `alg`
    /// against the key's (RFC 7517 §4.4).
    #[must_use]
    pub fn signer(&self, algorithm: Algorithm) -> Option<SigningKey> {
        self.signing.get(&algorithm).cloned()
    }

    /// The key that signs refresh tokens and cookies (Keycloak: HS512).
    #[must_use]
    pub fn hmac(&self) -> Option<&SigningKey> {
        self.signing.get(&Algorithm::HS512)
    }

    /// A key by its `kid`, active or passive.
    #[must_use]
    pub fn by_kid(&self, kid: &str) -> Option<&SigningKey> {
        self.by_kid.get(kid)
    }

    /// All keys that may verify a token of this realm.
    #[must_use]
    pub fn verifying(&self) -> &KeySet {
        &self.verifying
    }

    /// The published JWK set, prebuilt.
    #[must_use]
    pub fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }

    /// Base64 of the active RS256 key (SPKI DER), as the realm document shows it.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }
}

fn parse(key: &RealmKey) -> Result<Option<SigningKey>, BadKey> {
    let bad = |cause: String| BadKey { kid: key.kid.as_str().to_owned(), algorithm: key.algorithm.clone(), cause };
    let algorithm = match (key.key_use, key.algorithm.as_str()) {
        // Encryption keys are published; their private half is not used for signatures.
        (KeyUse::Encryption, "RSA-OAEP" | "RSA-OAEP-256" | "RSA1_5") => Algorithm::RS256,
        (KeyUse::Encryption, _) => return Ok(None),
        (KeyUse::Signature, name) => Algorithm::parse(name).ok_or_else(|| bad("unknown algorithm".to_owned()))?,
    };
    let bytes = key.private.expose();
    let parsed = if algorithm.is_symmetric() {
        SigningKey::from_hmac(algorithm, key.kid.as_str(), bytes).map_err(|e| bad(e.to_string()))?
    } else {
        SigningKey::from_pkcs8(algorithm, key.kid.as_str(), bytes).map_err(|e| bad(e.to_string()))?
    };
    Ok(Some(parsed))
}
