//! What can go wrong with keys, key sets and signing. Refused tokens are `Reject`.

use crate::json::JsonFault;

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The `kty`, `crv` or kind of key is none this house verifies with.
    #[error("unsupported key type or curve")]
    UnsupportedType,
    /// The key says, or is made for, another algorithm.
    #[error("key does not fit the algorithm")]
    AlgorithmMismatch,
    /// `use` or `key_ops` say it is not for signatures.
    #[error("key is not for verifying signatures")]
    NotForSignatures,
    /// A shared secret where only public keys belong.
    #[error("symmetric key where a public key is expected")]
    Symmetric,
    /// Private members in a public key.
    #[error("private key where a public key is expected")]
    Private,
    /// A member is missing, of the wrong type or not canonical base64url.
    #[error("malformed key member")]
    Malformed,
    /// A member longer than any usable key (DS-24).
    #[error("key member is too long")]
    TooLong,
    /// RSA modulus under 2048 bits (RFC 7518 §3.3) or over 8192.
    #[error("RSA modulus must have 2048 to 8192 bits")]
    ModulusSize,
    /// RSA modulus divisible by two.
    #[error("RSA modulus is even")]
    ModulusEven,
    /// RSA exponent even, 1, or above 32 bits.
    #[error("RSA exponent must be odd, at least 3 and at most 32 bits")]
    Exponent,
    /// Coordinates of the wrong length, not on the curve, or of small order.
    #[error("not a usable point of the curve")]
    Point,
    /// HMAC secret shorter than its hash (RFC 7518 §3.2).
    #[error("secret must have at least {0} bytes")]
    SecretTooShort(usize),
    /// PKCS#8 could not be read as a private key of this algorithm.
    #[error("private key rejected")]
    PrivateKey,
    /// A key could not be made.
    #[error("key generation failed")]
    Generation,
    /// Two sealing keys share one id.
    #[error("duplicate key id")]
    DuplicateId,
}

/// Why a JWKS document as a whole is refused. Single bad keys are only left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// More bytes than [`crate::JwkSet::MAX_BYTES`].
    #[error("key set is too long")]
    TooLong,
    /// More keys than [`crate::JwkSet::MAX_KEYS`].
    #[error("key set has too many keys")]
    TooManyKeys,
    /// Not JSON, duplicate members, or nested too deeply.
    #[error("key set is not acceptable JSON: {0}")]
    Json(#[from] JsonFault),
    /// No object with an array `keys`.
    #[error("key set has no array `keys`")]
    NoKeys,
}

/// The private key refused to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signing failed")]
pub struct SignError;

/// The signature does not fit key and input. It says no more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad signature")]
pub struct BadSignature;
