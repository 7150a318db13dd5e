//! Keycloak's JSON forms of a password credential (`secretData`, `credentialData`, Keycloak 26.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::secret::Secret;
use serde_json::{Value, json};

use super::kdf::{self, Kdf};

/// A password as it is stored.
#[derive(Clone, Debug)]
pub struct HashedPassword {
    /// `secretData`: hash and salt.
    pub secret_data: Secret,
    /// `credentialData`: algorithm and parameters.
    pub credential_data: String,
}

/// Why a stored password cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum BadCredential {
    /// Not the JSON of a password credential.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// An algorithm that is not known here.
    #[error("unknown algorithm {0:?}")]
    UnknownAlgorithm(String),
    /// Parameters that would stall the server.
    #[error("absurd parameters: {0}")]
    Absurd(&'static str),
}

/// Whether a password credential can be verified here: asked at import.
///
/// # Errors
/// [`BadCredential`].
pub(crate) fn check_stored(secret_data: &str, credential_data: &str) -> Result<(), BadCredential> {
    Stored::parse(secret_data, credential_data).map(|_| ())
}

/// A stored password, read.
pub(super) struct Stored {
    pub(super) kdf: Kdf,
    pub(super) salt: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

impl Stored {
    pub(super) fn parse(secret_data: &str, credential_data: &str) -> Result<Self, BadCredential> {
        let secret: Value = serde_json::from_str(secret_data).map_err(|_| BadCredential::Malformed("secretData"))?;
        let data: Value =
            serde_json::from_str(credential_data).map_err(|_| BadCredential::Malformed("credentialData"))?;
        let bytes = |name, what| {
            let text = secret.get(name).and_then(Value::as_str).ok_or(BadCredential::Malformed(what))?;
            STANDARD.decode(text).map_err(|_| BadCredential::Malformed(what))
        };
        let (hash, salt) = (bytes("value", "hash")?, bytes("salt", "salt")?);
        if !(16..=128).contains(&hash.len()) || salt.is_empty() || salt.len() > 128 {
            return Err(BadCredential::Absurd("length of hash or salt"));
        }
        let kdf = kdf_of(&data, salt.len())?;
        Ok(Self { kdf, salt, hash })
    }

    /// Whether it was made with today's parameters.
    pub(super) fn is_current(&self) -> bool {
        self.kdf == Kdf::CURRENT && self.hash.len() == kdf::HASH_LENGTH && self.salt.len() >= 16
    }
}

fn kdf_of(data: &Value, salt: usize) -> Result<Kdf, BadCredential> {
    let iterations =
        data.get("hashIterations").and_then(Value::as_u64).ok_or(BadCredential::Malformed("iterations"))?;
    let iterations = u32::try_from(iterations).map_err(|_| BadCredential::Absurd("iterations"))?;
    let algorithm = data.get("algorithm").and_then(Value::as_str).unwrap_or_default();
    let found = match algorithm {
        "argon2" => argon2(data, iterations)?,
        "pbkdf2" => Kdf::Pbkdf2 { digest: kdf::Digest::Sha1, iterations },
        "pbkdf2-sha256" => Kdf::Pbkdf2 { digest: kdf::Digest::Sha256, iterations },
        "pbkdf2-sha512" => Kdf::Pbkdf2 { digest: kdf::Digest::Sha512, iterations },
        other => return Err(BadCredential::UnknownAlgorithm(other.chars().take(40).collect())),
    };
    found.refuse_absurd(salt)?;
    Ok(found)
}

fn argon2(data: &Value, iterations: u32) -> Result<Kdf, BadCredential> {
    let text = |name| data.pointer(&format!("/additionalParameters/{name}/0")).and_then(Value::as_str);
    let number = |name, default: u32| match text(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| BadCredential::Malformed("argon2 parameters")),
    };
    let variant = match text("type") {
        None | Some("id") => kdf::Variant::Id,
        Some("i") => kdf::Variant::I,
        Some("d") => kdf::Variant::D,
        Some(_) => return Err(BadCredential::Malformed("argon2 type")),
    };
    let version_13 = match text("version") {
        None | Some("1.3") => true,
        Some("1.0") => false,
        Some(_) => return Err(BadCredential::Malformed("argon2 version")),
    };
    let (memory, lanes) = (number("memory", kdf::MEMORY)?, number("parallelism", kdf::LANES)?);
    Ok(Kdf::Argon2 { variant, version_13, memory, iterations, lanes })
}

/// The JSON of a password hashed with today's parameters.
pub(super) fn current(salt: &[u8], hash: &[u8]) -> HashedPassword {
    let secret = json!({ "value": STANDARD.encode(hash), "salt": STANDARD.encode(salt), "additionalParameters": {} });
    let data = json!({
        "hashIterations": kdf::ITERATIONS,
        "algorithm": "argon2",
        "additionalParameters": {
            "hashLength": [kdf::HASH_LENGTH.to_string()],
            "memory": [kdf::MEMORY.to_string()],
            "type": ["id"],
            "version": ["1.3"],
            "parallelism": [kdf::LANES.to_string()],
        },
    });
    HashedPassword { secret_data: Secret::new(secret.to_string()), credential_data: data.to_string() }
}
