//! Public keys and HMAC secrets, parsed once and bound to one algorithm (RFC 8725 §3.1).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RsaPublicKeyComponents};

use crate::{Algorithm, BadKey, BadSignature, Jwk, KeyType};

/// A key that checks signatures of exactly one algorithm. Cloning shares the parsed key.
#[derive(Clone)]
pub struct VerifyingKey(Arc<Inner>);

struct Inner {
    alg: Algorithm,
    kid: Option<String>,
    check: Check,
}

enum Check {
    Public(ParsedPublicKey),
    Secret(Arc<hmac::Key>),
}

impl VerifyingKey {
    /// Reads a public JWK for one algorithm.
    ///
    /// # Errors
    /// [`BadKey`]: another `alg`, `use` or `kty` than asked for, any symmetric algorithm (JW-02), RSA outside
    /// 2048..=8192 bits, even or exponent 1, points off the curve or of small order, wrong lengths (JW-19, JW-20, DS-24).
    pub fn from_jwk(jwk: &Jwk, alg: Algorithm) -> Result<Self, BadKey> {
        if alg.is_symmetric() || jwk.kty == KeyType::Oct.as_str() {
            return Err(BadKey::Symmetric);
        }
        if jwk.use_.as_deref().is_some_and(|u| u != "sig") {
            return Err(BadKey::NotForSignatures);
        }
        if jwk.alg.as_deref().is_some_and(|a| a != alg.as_str()) || jwk.kty != alg.key_type().as_str() {
            return Err(BadKey::AlgorithmMismatch);
        }
        let key = match alg.key_type() {
            KeyType::Rsa => rsa_key(&jwk.member(&jwk.n)?, &jwk.member(&jwk.e)?, alg)?,
            KeyType::Ec => {
                let curve = alg.curve().ok_or(BadKey::UnsupportedType)?;
                if jwk.crv.as_deref() != Some(curve.as_str()) {
                    return Err(BadKey::AlgorithmMismatch);
                }
                let (x, y) = (jwk.member(&jwk.x)?, jwk.member(&jwk.y)?);
                if x.len() != curve.coordinate_len() || y.len() != curve.coordinate_len() {
                    return Err(BadKey::Point);
                }
                let point = [&[4_u8][..], &x, &y].concat();
                ec_key(&point, alg)?
            }
            KeyType::Okp => {
                if jwk.crv.as_deref() != Some("Ed25519") {
                    return Err(BadKey::UnsupportedType);
                }
                ed25519_key(&jwk.member(&jwk.x)?)?
            }
            KeyType::Oct => return Err(BadKey::Symmetric),
        };
        Ok(Self::new(alg, jwk.kid.clone(), Check::Public(key)))
    }

    /// Takes a shared secret.
    ///
    /// # Errors
    /// [`BadKey::SecretTooShort`] below the hash's size (RFC 7518 §3.2, JW-13); [`BadKey::AlgorithmMismatch`] unless `alg` is HMAC.
    pub fn from_hmac(alg: Algorithm, kid: Option<&str>, secret: &[u8]) -> Result<Self, BadKey> {
        Ok(Self::new(alg, kid.map(str::to_owned), Check::Secret(hmac_key(alg, secret)?)))
    }

    pub(crate) fn from_hmac_key(alg: Algorithm, kid: &str, key: Arc<hmac::Key>) -> Self {
        Self::new(alg, Some(kid.to_owned()), Check::Secret(key))
    }

    pub(crate) fn from_public(alg: Algorithm, kid: &str, key: ParsedPublicKey) -> Self {
        Self::new(alg, Some(kid.to_owned()), Check::Public(key))
    }

    fn new(alg: Algorithm, kid: Option<String>, check: Check) -> Self {
        Self(Arc::new(Inner { alg, kid, check }))
    }

    /// The only algorithm this key verifies.
    #[must_use]
    pub fn alg(&self) -> Algorithm {
        self.0.alg
    }

    /// The key's id, if it was published with one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// Checks a raw JOSE signature (r||s for ECDSA).
    ///
    /// # Errors
    /// [`BadSignature`], whatever was wrong with it.
    pub fn verify(&self, input: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match &self.0.check {
            Check::Public(key) => key.verify_sig(input, signature),
            Check::Secret(key) => hmac::verify(key, input, signature),
        }
        .map_err(|_| BadSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("alg", &self.0.alg).field("kid", &self.0.kid).finish_non_exhaustive()
    }
}

pub(crate) fn hmac_key(alg: Algorithm, secret: &[u8]) -> Result<Arc<hmac::Key>, BadKey> {
    let (Some(hash), Some(least)) = (alg.hmac(), alg.min_secret_len()) else {
        return Err(BadKey::AlgorithmMismatch);
    };
    if secret.len() < least {
        return Err(BadKey::SecretTooShort(least));
    }
    Ok(Arc::new(hmac::Key::new(hash, secret)))
}

/// Size and shape are judged before any arithmetic (DS-24). Both numbers must be minimal (RFC 7518 §2, Base64urlUInt).
pub(crate) fn rsa_key(n: &[u8], e: &[u8], alg: Algorithm) -> Result<ParsedPublicKey, BadKey> {
    let (_, params) = alg.rsa().ok_or(BadKey::AlgorithmMismatch)?;
    let (Some(&high), Some(&low)) = (n.first(), n.last()) else {
        return Err(BadKey::Malformed);
    };
    if high == 0 || e.first().is_none_or(|b| *b == 0) {
        return Err(BadKey::Malformed);
    }
    let bits = n.len().saturating_mul(8).saturating_sub(high.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err(BadKey::ModulusSize);
    }
    if low.is_multiple_of(2) {
        return Err(BadKey::ModulusEven);
    }
    if e.len() > 4 || e == [1] || e.last().is_none_or(|b| b.is_multiple_of(2)) {
        return Err(BadKey::Exponent);
    }
    RsaPublicKeyComponents { n, e }.to_parsed_public_key(params).map_err(|_| BadKey::Malformed)
}

pub(crate) fn ec_key(point: &[u8], alg: Algorithm) -> Result<ParsedPublicKey, BadKey> {
    let curve = alg.curve().ok_or(BadKey::AlgorithmMismatch)?;
    ParsedPublicKey::new(curve.verifying(), point).map_err(|_| BadKey::Point)
}

/// Points of order 1, 2, 4 and 8 in their possible encodings, sign bit cleared. Under such a key one signature fits many
/// messages (JW-19).
const SMALL_ORDER: [[u8; 32]; 7] = [
    low(0x00, 0x00, 0x00),
    low(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    low(0xec, 0xff, 0x7f),
    low(0xed, 0xff, 0x7f),
    low(0xee, 0xff, 0x7f),
];

const fn low(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut point = [middle; 32];
    let [head, .., tail] = &mut point;
    *head = first;
    *tail = last;
    point
}

pub(crate) fn ed25519_key(public: &[u8]) -> Result<ParsedPublicKey, BadKey> {
    let mut unsigned: [u8; 32] = public.try_into().map_err(|_| BadKey::Point)?;
    if let Some(last) = unsigned.last_mut() {
        *last &= 0x7f;
    }
    if SMALL_ORDER.contains(&unsigned) {
        return Err(BadKey::Point);
    }
    ParsedPublicKey::new(&ED25519, public).map_err(|_| BadKey::Point)
}
