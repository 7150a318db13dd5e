//! The signature algorithms of RFC 7518 §3.1 and RFC 8037 that this house speaks, and what each demands of a key.

use std::fmt;

use aws_lc_rs::{hmac, signature as sig};

/// A JWS signature algorithm. There is no `none` and no way to spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// Ed25519 (RFC 8037 §3.1). Ed448 is not offered.
    EdDSA,
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
}

/// The `kty` of a key (RFC 7518 §6.1, RFC 8037 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `RSA`.
    Rsa,
    /// `EC`.
    Ec,
    /// `OKP`.
    Okp,
    /// `oct`: a shared secret.
    Oct,
}

/// The NIST curves of RFC 7518 §6.2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// `P-256`.
    P256,
    /// `P-384`.
    P384,
    /// `P-521`.
    P521,
}

impl Algorithm {
    /// All algorithms, RSA first, symmetric last.
    pub const ALL: [Algorithm; 13] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
        Self::HS256,
        Self::HS384,
        Self::HS512,
    ];

    /// The `alg` value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    /// Reads an `alg` value; case matters (RFC 7515 §4.1.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == name)
    }

    /// True for HMAC: whoever verifies can also sign.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self.key_type(), KeyType::Oct)
    }

    /// The kind of key this algorithm works with.
    #[must_use]
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => KeyType::Rsa,
            Self::ES256 | Self::ES384 | Self::ES512 => KeyType::Ec,
            Self::EdDSA => KeyType::Okp,
            Self::HS256 | Self::HS384 | Self::HS512 => KeyType::Oct,
        }
    }

    /// The curve of an ECDSA algorithm; each has exactly one (RFC 7518 §3.4).
    #[must_use]
    pub const fn curve(self) -> Option<Curve> {
        match self {
            Self::ES256 => Some(Curve::P256),
            Self::ES384 => Some(Curve::P384),
            Self::ES512 => Some(Curve::P521),
            Self::RS256
            | Self::RS384
            | Self::RS512
            | Self::PS256
            | Self::PS384
            | Self::PS512
            | Self::EdDSA
            | Self::HS256
            | Self::HS384
            | Self::HS512 => None,
        }
    }

    /// The shortest HMAC secret in bytes: the size of the hash (RFC 7518 §3.2). None for asymmetric algorithms.
    #[must_use]
    pub const fn min_secret_len(self) -> Option<usize> {
        match self {
            Self::HS256 => Some(32),
            Self::HS384 => Some(48),
            Self::HS512 => Some(64),
            Self::RS256
            | Self::RS384
            | Self::RS512
            | Self::PS256
            | Self::PS384
            | Self::PS512
            | Self::ES256
            | Self::ES384
            | Self::ES512
            | Self::EdDSA => None,
        }
    }

    pub(crate) fn hmac(self) -> Option<hmac::Algorithm> {
        match self.min_secret_len()? {
            32 => Some(hmac::HMAC_SHA256),
            48 => Some(hmac::HMAC_SHA384),
            _ => Some(hmac::HMAC_SHA512),
        }
    }

    /// Signing scheme and verifying parameters of the RSA algorithms. Verifying refuses keys outside 2048..=8192 bits.
    pub(crate) fn rsa(self) -> Option<(&'static sig::RsaSignatureEncoding, &'static sig::RsaParameters)> {
        match self {
            Self::RS256 => Some((&sig::RSA_PKCS1_SHA256, &sig::RSA_PKCS1_2048_8192_SHA256)),
            Self::RS384 => Some((&sig::RSA_PKCS1_SHA384, &sig::RSA_PKCS1_2048_8192_SHA384)),
            Self::RS512 => Some((&sig::RSA_PKCS1_SHA512, &sig::RSA_PKCS1_2048_8192_SHA512)),
            Self::PS256 => Some((&sig::RSA_PSS_SHA256, &sig::RSA_PSS_2048_8192_SHA256)),
            Self::PS384 => Some((&sig::RSA_PSS_SHA384, &sig::RSA_PSS_2048_8192_SHA384)),
            Self::PS512 => Some((&sig::RSA_PSS_SHA512, &sig::RSA_PSS_2048_8192_SHA512)),
            Self::ES256 | Self::ES384 | Self::ES512 | Self::EdDSA | Self::HS256 | Self::HS384 | Self::HS512 => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Algorithm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Algorithm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom("unknown signature algorithm"))
    }
}

impl KeyType {
    /// The `kty` value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Ec => "EC",
            Self::Okp => "OKP",
            Self::Oct => "oct",
        }
    }
}

impl Curve {
    /// The `crv` value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of one coordinate, and of half a raw signature (RFC 7518 §3.4, §6.2.1.2).
    #[must_use]
    pub const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The one algorithm that uses this curve.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::ES256,
            Self::P384 => Algorithm::ES384,
            Self::P521 => Algorithm::ES512,
        }
    }

    /// Reads a `crv` value.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521].into_iter().find(|c| c.as_str() == name)
    }

    /// `_FIXED` everywhere: JOSE signatures are r||s, never DER (RFC 7518 §3.4).
    pub(crate) fn signing(self) -> &'static sig::EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &sig::ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &sig::ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &sig::ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }

    pub(crate) fn verifying(self) -> &'static sig::EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &sig::ECDSA_P256_SHA256_FIXED,
            Self::P384 => &sig::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &sig::ECDSA_P521_SHA512_FIXED,
        }
    }
}
