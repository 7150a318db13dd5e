//! Private keys, parsed once. Parsing an RSA key costs more than half a signature, so it never happens per call.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};

use crate::digest::base64url_encode;
use crate::jws::HeaderCache;
use crate::verifying_key::{ec_key, ed25519_key, hmac_key, rsa_key};
use crate::{Algorithm, BadKey, Jwk, KeyType, SecretBytes, SignError, VerifyingKey};

/// A key that signs with one algorithm under one `kid`. Cloning shares the parsed key.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    alg: Algorithm,
    kid: String,
    private: Arc<Private>,
    verifying: VerifyingKey,
    headers: HeaderCache,
}

enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Hmac(Arc<hmac::Key>),
}

impl SigningKey {
    /// Parses an unencrypted PKCS#8 private key (RFC 5958) for one algorithm.
    ///
    /// # Errors
    /// [`BadKey::PrivateKey`] if it is no key of this algorithm or its parts do not agree; [`BadKey::Symmetric`] for HMAC.
    pub fn from_pkcs8(alg: Algorithm, kid: impl Into<String>, der: &[u8]) -> Result<Self, BadKey> {
        let private = match alg.key_type() {
            KeyType::Rsa => Private::Rsa(RsaKeyPair::from_pkcs8(der).map_err(|_| BadKey::PrivateKey)?),
            KeyType::Ec => {
                let curve = alg.curve().ok_or(BadKey::UnsupportedType)?;
                Private::Ec(EcdsaKeyPair::from_pkcs8(curve.signing(), der).map_err(|_| BadKey::PrivateKey)?)
            }
            KeyType::Okp => Private::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(|_| BadKey::PrivateKey)?),
            KeyType::Oct => return Err(BadKey::Symmetric),
        };
        Self::new(alg, kid.into(), Arc::new(private))
    }

    /// Takes a shared secret.
    ///
    /// # Errors
    /// [`BadKey::SecretTooShort`] below the hash's size (RFC 7518 §3.2, JW-13); [`BadKey::AlgorithmMismatch`] unless `alg` is HMAC.
    pub fn from_hmac(alg: Algorithm, kid: impl Into<String>, secret: &[u8]) -> Result<Self, BadKey> {
        Self::new(alg, kid.into(), Arc::new(Private::Hmac(hmac_key(alg, secret)?)))
    }

    /// Makes a new key: RSA-2048, the algorithm's curve, Ed25519, or 64 HMAC bytes. Returns it with what to store:
    /// PKCS#8 for [`Self::from_pkcs8`], or the secret for [`Self::from_hmac`].
    /// `fill` supplies the bytes of HMAC secrets and Ed25519 seeds; RSA and EC keys draw from the library's own generator.
    ///
    /// # Errors
    /// [`BadKey::Generation`] if the library cannot make the key.
    pub fn generate(
        alg: Algorithm,
        kid: impl Into<String>,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(Self, SecretBytes), BadKey> {
        let stored = match alg.key_type() {
            KeyType::Rsa => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| BadKey::Generation)?;
                pair.as_der().map_err(|_| BadKey::Generation)?.as_ref().to_vec()
            }
            KeyType::Ec => {
                let curve = alg.curve().ok_or(BadKey::UnsupportedType)?;
                let pair = EcdsaKeyPair::generate(curve.signing()).map_err(|_| BadKey::Generation)?;
                pair.to_pkcs8v1().map_err(|_| BadKey::Generation)?.as_ref().to_vec()
            }
            KeyType::Okp => {
                let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
                fill(seed.as_mut());
                let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| BadKey::Generation)?;
                pair.to_pkcs8v1().map_err(|_| BadKey::Generation)?.as_ref().to_vec()
            }
            KeyType::Oct => {
                let mut secret = vec![0; 64];
                fill(&mut secret);
                secret
            }
        };
        let stored = SecretBytes::new(stored);
        let key = match alg.key_type() {
            KeyType::Oct => Self::from_hmac(alg, kid, stored.expose())?,
            KeyType::Rsa | KeyType::Ec | KeyType::Okp => Self::from_pkcs8(alg, kid, stored.expose())?,
        };
        Ok((key, stored))
    }

    fn new(alg: Algorithm, kid: String, private: Arc<Private>) -> Result<Self, BadKey> {
        let verifying = match &*private {
            Private::Rsa(pair) => {
                let (n, e) = rsa_numbers(pair.public_key().as_ref()).ok_or(BadKey::Malformed)?;
                VerifyingKey::from_public(alg, &kid, rsa_key(n, e, alg)?)
            }
            Private::Ec(pair) => VerifyingKey::from_public(alg, &kid, ec_key(pair.public_key().as_ref(), alg)?),
            Private::Ed25519(pair) => VerifyingKey::from_public(alg, &kid, ed25519_key(pair.public_key().as_ref())?),
            Private::Hmac(key) => VerifyingKey::from_hmac_key(alg, &kid, Arc::clone(key)),
        };
        let headers = HeaderCache::new(alg, &kid);
        Ok(Self(Arc::new(Inner { alg, kid, private, verifying, headers })))
    }

    /// The same RSA key under another RSA algorithm, sharing the parsed key. None if the key cannot serve `alg`: EC and OKP
    /// keys have one algorithm, and an HMAC secret must be loaded for each hash by itself.
    #[must_use]
    pub fn with_algorithm(&self, alg: Algorithm) -> Option<Self> {
        if alg == self.0.alg {
            return Some(self.clone());
        }
        match &*self.0.private {
            Private::Rsa(_) if alg.key_type() == KeyType::Rsa => {
                Self::new(alg, self.0.kid.clone(), Arc::clone(&self.0.private)).ok()
            }
            Private::Rsa(_) | Private::Ec(_) | Private::Ed25519(_) | Private::Hmac(_) => None,
        }
    }

    /// The algorithm it signs with.
    #[must_use]
    pub fn alg(&self) -> Algorithm {
        self.0.alg
    }

    /// The key's id, put into every header.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// Signs `input`; ECDSA gives raw r||s (RFC 7518 §3.4).
    ///
    /// # Errors
    /// [`SignError`] if the library refuses.
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignError> {
        match &*self.0.private {
            Private::Rsa(pair) => {
                let (scheme, _) = self.0.alg.rsa().ok_or(SignError)?;
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(scheme, &SystemRandom::new(), input, &mut out).map_err(|_| SignError)?;
                Ok(out)
            }
            Private::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), input).map_err(|_| SignError)?;
                Ok(signature.as_ref().to_vec())
            }
            Private::Ed25519(pair) => Ok(pair.try_sign(input).map_err(|_| SignError)?.as_ref().to_vec()),
            Private::Hmac(key) => Ok(hmac::sign(key, input).as_ref().to_vec()),
        }
    }

    /// The other half, already parsed and shared.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.0.verifying.clone()
    }

    /// The public key in Keycloak's shape (`use` is `sig`); None for symmetric keys, which are never published (JW-26).
    #[must_use]
    pub fn public_jwk(&self) -> Option<Jwk> {
        let mut jwk = Jwk {
            kid: Some(self.0.kid.clone()),
            kty: self.0.alg.key_type().as_str().to_owned(),
            alg: Some(self.0.alg.as_str().to_owned()),
            use_: Some("sig".to_owned()),
            ..Jwk::default()
        };
        match &*self.0.private {
            Private::Rsa(pair) => {
                let (n, e) = rsa_numbers(pair.public_key().as_ref())?;
                jwk.n = Some(base64url_encode(n));
                jwk.e = Some(base64url_encode(e));
            }
            Private::Ec(pair) => {
                let curve = self.0.alg.curve()?;
                let point = pair.public_key().as_ref().get(1..)?;
                let (x, y) = point.split_at_checked(curve.coordinate_len())?;
                jwk.crv = Some(curve.as_str().to_owned());
                jwk.x = Some(base64url_encode(x));
                jwk.y = Some(base64url_encode(y));
            }
            Private::Ed25519(pair) => {
                jwk.crv = Some("Ed25519".to_owned());
                jwk.x = Some(base64url_encode(pair.public_key().as_ref()));
            }
            Private::Hmac(_) => return None,
        }
        Some(jwk)
    }

    /// SubjectPublicKeyInfo DER (RFC 5280 §4.1). Keycloak's realm document shows it in standard base64 as `public_key`.
    /// None for symmetric keys.
    #[must_use]
    pub fn public_key_der(&self) -> Option<Vec<u8>> {
        let der = match &*self.0.private {
            Private::Rsa(pair) => pair.public_key().as_der(),
            Private::Ec(pair) => pair.public_key().as_der(),
            Private::Ed25519(pair) => pair.public_key().as_der(),
            Private::Hmac(_) => return None,
        };
        Some(der.ok()?.as_ref().to_vec())
    }

    pub(crate) fn headers(&self) -> &HeaderCache {
        &self.0.headers
    }

    /// PKCS#1 `RSAPublicKey` DER, for certificates.
    pub(crate) fn rsa_public_der(&self) -> Option<&[u8]> {
        match &*self.0.private {
            Private::Rsa(pair) => Some(pair.public_key().as_ref()),
            Private::Ec(_) | Private::Ed25519(_) | Private::Hmac(_) => None,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("alg", &self.0.alg).field("kid", &self.0.kid).finish_non_exhaustive()
    }
}

/// Modulus and exponent of a PKCS#1 `RSAPublicKey` (RFC 8017 A.1.1), without sign octets.
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (numbers, _) = der_value(der, 0x30)?;
    let (n, rest) = der_value(numbers, 0x02)?;
    let (e, _) = der_value(rest, 0x02)?;
    Some((n.strip_prefix(&[0]).unwrap_or(n), e.strip_prefix(&[0]).unwrap_or(e)))
}

/// One DER value with the given tag, and what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    if first != tag {
        return None;
    }
    let (&len, rest) = rest.split_first()?;
    if len < 0x80 {
        return rest.split_at_checked(len.into());
    }
    let (len, rest) = rest.split_at_checked((len & 0x7f).into())?;
    let len = len.iter().try_fold(0_usize, |all, b| Some(all.checked_mul(256)? + usize::from(*b)))?;
    rest.split_at_checked(len)
}
