//! Our own thin JOSE over aws-lc-rs: keys, signatures, tokens, key sets.
//!
//! Owns: algorithms and parsed keys, JWK and JWKS, compact JWS, JWT judged by a profile,
//! thumbprints, realm certificates, digests, sealed bytes.
//! Does not own: clocks, randomness, the network, storage, what a claim means to OAuth.
//! Flow: `SigningKey` -> [`jws::encode`] -> token -> [`jws::parse`] (shape) -> [`KeySet::find`]
//! (key bound to its algorithm) -> [`jwt::verify`] (signature, then the [`Profile`]) -> [`Verified`].
//! Every refusal is one [`Reject`]; keys are parsed once and shared, never per call.

pub mod aead;
mod algorithm;
pub mod certificate;
pub mod digest;
mod error;
mod json;
mod jwk;
mod jwk_set;
pub mod jws;
pub mod jwt;
mod key_set;
mod reject;
mod secret;
mod signing_key;
mod spki;
mod verifying_key;

pub use algorithm::{Algorithm, Curve, KeyType};
pub use error::{BadKey, BadKeySet, BadSignature, SignError};
pub use json::{JsonFault, JsonRefusal, parse_located, parse_strict};
pub use jwk::Jwk;
pub use jwk_set::JwkSet;
pub use jws::{Header, Limits, Parsed};
pub use jwt::{AudienceRule, Profile, TypeRule, Verified};
pub use key_set::KeySet;
pub use reject::Reject;
pub use secret::SecretBytes;
pub use signing_key::SigningKey;
pub use verifying_key::VerifyingKey;
