//! Public keys as certificates and key files carry them: `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), read into a [`Jwk`].
//!
//! Only the key is taken from a certificate: whoever registered it vouches for it, so names, dates and signature do not matter.

use crate::digest::base64url_encode;
use crate::{BadKey, Curve, Jwk, VerifyingKey};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OID: u8 = 0x06;
/// `[0]`, the certificate's version.
const VERSION: u8 = 0xa0;

/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.3.101.112
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.2.840.10045.3.1.7, 1.3.132.0.34, 1.3.132.0.35
const CURVES: [(&[u8], Curve); 3] = [
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], Curve::P256),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], Curve::P384),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], Curve::P521),
];

impl Jwk {
    /// The key of a certificate (DER). It has neither `kid` nor `alg`.
    ///
    /// # Errors
    /// [`BadKey`]: not a certificate, or no key this house verifies with.
    pub fn from_certificate(der: &[u8]) -> Result<Self, BadKey> {
        let key = certificate_key(der).ok_or(BadKey::Malformed)?;
        from_info(key)
    }

    /// The key of a `SubjectPublicKeyInfo` (DER). It has neither `kid` nor `alg`.
    ///
    /// # Errors
    /// [`BadKey`]: not such a structure, or no key this house verifies with.
    pub fn from_spki(der: &[u8]) -> Result<Self, BadKey> {
        let mut whole = Reader(der);
        let info = whole.take(SEQUENCE).filter(|_| whole.is_empty()).ok_or(BadKey::Malformed)?;
        from_info(info)
    }
}

/// Goes past version, serial number, algorithm, issuer, dates and subject.
fn certificate_key(der: &[u8]) -> Option<&[u8]> {
    let mut certificate = Reader(Reader(der).take(SEQUENCE)?);
    let mut fields = Reader(certificate.take(SEQUENCE)?);
    if fields.0.first() == Some(&VERSION) {
        fields.take(VERSION)?;
    }
    fields.take(INTEGER)?;
    for _ in 0..4 {
        fields.take(SEQUENCE)?;
    }
    fields.take(SEQUENCE)
}

fn from_info(info: &[u8]) -> Result<Jwk, BadKey> {
    let mut info = Reader(info);
    let mut algorithm = Reader(info.take(SEQUENCE).ok_or(BadKey::Malformed)?);
    // No unused bits: keys are whole bytes.
    let key = info.take(BIT_STRING).and_then(|bits| bits.strip_prefix(&[0])).ok_or(BadKey::Malformed)?;
    let jwk = match algorithm.take(OID).ok_or(BadKey::Malformed)? {
        RSA => rsa(key).ok_or(BadKey::Malformed)?,
        EC => ec(algorithm.take(OID), key)?,
        ED25519 => Jwk {
            kty: "OKP".to_owned(),
            crv: Some("Ed25519".to_owned()),
            x: Some(base64url_encode(key)),
            ..Jwk::default()
        },
        _ => return Err(BadKey::UnsupportedType),
    };
    let algorithm = jwk.algorithms().first().copied().ok_or(BadKey::UnsupportedType)?;
    VerifyingKey::from_jwk(&jwk, algorithm)?;
    Ok(jwk)
}

fn rsa(key: &[u8]) -> Option<Jwk> {
    let mut whole = Reader(key);
    let mut numbers = Reader(whole.take(SEQUENCE).filter(|_| whole.is_empty())?);
    // DER integers have a sign: one zero byte before a high bit.
    let mut number = || numbers.take(INTEGER).map(|n| base64url_encode(n.strip_prefix(&[0]).unwrap_or(n)));
    Some(Jwk { kty: "RSA".to_owned(), n: Some(number()?), e: Some(number()?), ..Jwk::default() })
}

fn ec(curve: Option<&[u8]>, point: &[u8]) -> Result<Jwk, BadKey> {
    let curve = CURVES.iter().find(|(oid, _)| Some(*oid) == curve).map(|(_, c)| *c).ok_or(BadKey::UnsupportedType)?;
    // Uncompressed only (SEC 1 §2.3.3).
    let coordinates = point.strip_prefix(&[4]).ok_or(BadKey::Point)?;
    let (x, y) = coordinates.split_at_checked(curve.coordinate_len()).ok_or(BadKey::Point)?;
    Ok(Jwk {
        kty: "EC".to_owned(),
        crv: Some(curve.as_str().to_owned()),
        x: Some(base64url_encode(x)),
        y: Some(base64url_encode(y)),
        ..Jwk::default()
    })
}

/// DER values one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The content of the next value if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_first()?;
        if *first != tag {
            return None;
        }
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match *length {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, SigningKey, certificate};

    fn key(alg: Algorithm) -> SigningKey {
        SigningKey::generate(alg, "k", &mut |bytes| bytes.fill(7)).unwrap().0
    }

    #[test]
    fn rfc_5280_4_1_2_7_the_key_is_the_one_that_was_put_in() {
        for alg in [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::ES512, Algorithm::EdDSA] {
            let key = key(alg);
            let read = Jwk::from_spki(&key.public_key_der().unwrap()).unwrap();
            let made = key.public_jwk().unwrap();
            assert_eq!(
                (&read.kty, &read.n, &read.e, &read.crv, &read.x, &read.y),
                (&made.kty, &made.n, &made.e, &made.crv, &made.x, &made.y),
                "{alg}"
            );
            assert_eq!((read.kid, read.alg), (None, None));
        }
    }

    #[test]
    fn a_certificate_gives_its_key() {
        let key = key(Algorithm::RS256);
        let der = certificate::self_signed(&key, "client", 0, 1_900_000_000).unwrap();
        let (read, made) = (Jwk::from_certificate(&der).unwrap(), key.public_jwk().unwrap());
        assert_eq!((read.n, read.e), (made.n, made.e));
        assert_eq!(Jwk::from_spki(&der), Err(BadKey::Malformed));
    }

    #[test]
    fn jw_19_broken_structures_are_refused_at_every_length() {
        let key = key(Algorithm::ES256);
        let der = key.public_key_der().unwrap();
        for end in 0..der.len() {
            assert!(Jwk::from_spki(der.get(..end).unwrap()).is_err(), "{end}");
            assert!(Jwk::from_certificate(der.get(..end).unwrap()).is_err(), "{end}");
        }
        let mut off = der.clone();
        *off.last_mut().unwrap() ^= 1;
        assert_eq!(Jwk::from_spki(&off), Err(BadKey::Point));
        let more = [der, vec![0]].concat();
        assert_eq!(Jwk::from_spki(&more), Err(BadKey::Malformed));
    }
}
