//! Self-signed certificates as Keycloak publishes them for its RSA keys (`x5c`, `x5t`, `x5t#S256`).

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rcgen::{CertificateParams, DnType, Error, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, date_time_ymd};

use crate::digest::{base64url_encode, sha256};
use crate::{Algorithm, SigningKey};

/// No certificate was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Only RSA keys carry certificates (Keycloak 26.4).
    #[error("not an RSA key")]
    NotRsa,
    /// A date before 1970 or past year 9999, or an end before the start.
    #[error("validity out of range")]
    Validity,
    /// The encoder refused, for example the name.
    #[error("certificate could not be built")]
    Encoding,
}

/// A certificate for `key`, signed by itself with RSA-SHA256: `CN=common_name`, valid from `not_before` to `not_after`
/// (epoch seconds). Returns DER.
///
/// # Errors
/// [`CertificateError`].
pub fn self_signed(
    key: &SigningKey,
    common_name: &str,
    not_before: i64,
    not_after: i64,
) -> Result<Vec<u8>, CertificateError> {
    let key = key.with_algorithm(Algorithm::RS256).ok_or(CertificateError::NotRsa)?;
    let public = key.rsa_public_der().ok_or(CertificateError::NotRsa)?.to_vec();
    if not_after < not_before {
        return Err(CertificateError::Validity);
    }
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(not_before)?;
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(not_after)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let certificate = params.self_signed(&Signer { key, public }).map_err(|_| CertificateError::Encoding)?;
    Ok(certificate.der().to_vec())
}

/// SHA-1 thumbprint of a certificate (RFC 7517 §4.8); for display, nothing is decided by it.
#[must_use]
pub fn x5t(der: &[u8]) -> String {
    base64url_encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref())
}

/// SHA-256 thumbprint of a certificate (RFC 7517 §4.9), also the `cnf` value of RFC 8705 §3.1.
#[must_use]
pub fn x5t_s256(der: &[u8]) -> String {
    base64url_encode(&sha256(der))
}

/// 9999-12-31T23:59:59Z, the last second a certificate can name (RFC 5280 §4.1.2.5).
const LAST_SECOND: u64 = 253_402_300_799;

fn since_epoch(seconds: i64) -> Result<Duration, CertificateError> {
    let seconds = u64::try_from(seconds).map_err(|_| CertificateError::Validity)?;
    if seconds > LAST_SECOND {
        return Err(CertificateError::Validity);
    }
    Ok(Duration::from_secs(seconds))
}

struct Signer {
    key: SigningKey,
    public: Vec<u8>,
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.key.sign(message).map_err(|_| Error::RemoteKeyError)
    }
}
