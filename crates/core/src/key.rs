//! Realm keys as stored. Parsing and signing are the idp's (`Signer`); which key is active is decided here.

use crate::ids::KeyId;
use crate::secret::SecretBytes;

/// What a key is for (RFC 7517 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyUse {
    /// `sig`
    Signature,
    /// `enc`
    Encryption,
}

/// Whether a key signs (active), only verifies (passive), or neither.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyStatus {
    /// Signs and verifies.
    Active,
    /// Verifies what it signed; published.
    Passive,
    /// Not used, not published.
    Disabled,
}

/// A stored realm key.
#[derive(Clone, Debug)]
pub struct RealmKey {
    /// `kid`.
    pub kid: KeyId,
    /// Keycloak's provider id: `rsa-generated`, `rsa-enc-generated`, `hmac-generated-hs512`, `aes-generated`, `ecdsa-generated`, `eddsa-generated`.
    pub provider: String,
    /// JOSE algorithm: `RS256`, `RSA-OAEP`, `HS512`, `AES`, `ES256`, `EdDSA`.
    pub algorithm: String,
    /// What for.
    pub key_use: KeyUse,
    /// Whether it signs.
    pub status: KeyStatus,
    /// Highest wins among active keys of one algorithm.
    pub priority: i64,
    /// Private key (PKCS#8 DER) or symmetric key; sealed at rest.
    pub private: SecretBytes,
    /// Self-signed certificate (DER) for `x5c`; RSA only.
    pub certificate: Option<Vec<u8>>,
    /// When made, seconds.
    pub created: i64,
}
