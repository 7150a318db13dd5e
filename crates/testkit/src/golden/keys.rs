//! Keys of a replay: made anew for every run, except those of the golden set.

use anyhow::{Context as _, Result, anyhow, bail};
use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use aws_lc_rs::{digest, hmac, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// base64url without padding (RFC 7515 §2).
pub(crate) fn b64u(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url, with or without padding.
pub(crate) fn unb64u(text: &str) -> Result<Vec<u8>> {
    Ok(URL_SAFE_NO_PAD.decode(text.trim_end_matches('='))?)
}

/// SHA-256, then base64url: PKCE challenges, `ath`, thumbprints.
pub(crate) fn sha256_b64u(text: &str) -> String {
    b64u(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// A private key and what it signs with when nothing else is asked.
pub(crate) enum Key {
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    /// A new key of `ES256`, `ES384`, `EdDSA`; any other name gives RSA of 2048 bits.
    pub(crate) fn make(kind: &str) -> Result<Self> {
        Ok(match kind {
            "ES256" | "EC" => Self::Es256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)?),
            "ES384" => Self::Es384(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)?),
            "EdDSA" => Self::Ed(Ed25519KeyPair::generate()?),
            _ => Self::Rsa(Box::new(RsaKeyPair::generate(rsa::KeySize::Rsa2048)?)),
        })
    }

    /// An RSA or P-256 key of the golden set.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Ok(Self::Rsa(Box::new(pair)));
        }
        let pair = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, der)?;
        Ok(Self::Es256(pair))
    }

    /// The algorithm it signs with by default.
    pub(crate) fn alg(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Es384(_) => "ES384",
            Self::Ed(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
        }
    }

    /// As a JWK (RFC 7517), with `d` when the private half is asked for (elliptic curves only).
    pub(crate) fn jwk(&self, private: bool) -> Result<Value> {
        match self {
            Self::Es256(pair) => ec_jwk(pair, "P-256", 32, private),
            Self::Es384(pair) => ec_jwk(pair, "P-384", 48, private),
            Self::Ed(pair) => Ok(json!({"kty": "OKP", "crv": "Ed25519", "x": b64u(pair.public_key())})),
            Self::Rsa(_) if private => bail!("no scenario shows a private RSA key"),
            Self::Rsa(pair) => {
                let (n, e) = rsa_public(pair.public_key().as_ref()).context("an RSA public key")?;
                Ok(json!({"kty": "RSA", "n": b64u(n), "e": b64u(e)}))
            }
        }
    }

    /// Thumbprint (RFC 7638): the required members in lexical order, SHA-256.
    pub(crate) fn thumbprint(&self) -> Result<String> {
        let jwk = self.jwk(false)?;
        let mut members: Vec<(&String, &Value)> = jwk.as_object().into_iter().flatten().collect();
        members.sort_by_key(|(name, _)| *name);
        let sorted: Map<String, Value> = members.into_iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(sha256_b64u(&Value::Object(sorted).to_string()))
    }

    fn sign(&self, alg: &str, data: &[u8]) -> Result<Vec<u8>> {
        let rng = SystemRandom::new();
        match self {
            Self::Es256(pair) | Self::Es384(pair) if alg == self.alg() => Ok(pair.sign(&rng, data)?.as_ref().to_vec()),
            Self::Ed(pair) if alg == "EdDSA" => Ok(pair.sign(data).as_ref().to_vec()),
            Self::Rsa(pair) => {
                let scheme: &dyn signature::RsaEncoding = match alg {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    other => bail!("RSA does not sign {other}"),
                };
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(scheme, &rng, data, &mut out)?;
                Ok(out)
            }
            Self::Es256(_) | Self::Es384(_) | Self::Ed(_) => {
                bail!("a key of {} does not sign {alg}", self.alg())
            }
        }
    }
}

fn ec_jwk(pair: &EcdsaKeyPair, curve: &str, len: usize, private: bool) -> Result<Value> {
    let point = pair.public_key().as_ref();
    let (Some(x), Some(y)) = (point.get(1..=len), point.get(len + 1..=2 * len)) else {
        bail!("not an uncompressed point");
    };
    let mut jwk = json!({"kty": "EC", "crv": curve, "x": b64u(x), "y": b64u(y)});
    if let (true, Some(members)) = (private, jwk.as_object_mut()) {
        let d = pair.private_key().as_be_bytes()?;
        members.insert("d".to_owned(), Value::String(b64u(d.as_ref())));
    }
    Ok(jwk)
}

/// Modulus and exponent of a PKCS#1 public key: SEQUENCE { INTEGER, INTEGER }.
fn rsa_public(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, _) = der_value(der, 0x30)?;
    let (n, rest) = der_value(body, 0x02)?;
    let (e, _) = der_value(rest, 0x02)?;
    Some((n.strip_prefix(&[0]).unwrap_or(n), e))
}

fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    if short < 0x80 {
        return rest.split_at_checked(usize::from(short));
    }
    let (length, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
    let length = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

/// What a JWT is signed with.
pub(crate) enum SignWith<'a> {
    Nothing,
    Key(&'a Key),
    Secret(&'a str),
}

/// A compact JWS; `spoil` flips bits of the signature's first byte.
pub(crate) fn jwt(header: &Value, claims: &Value, alg: &str, with: &SignWith<'_>, spoil: bool) -> Result<String> {
    let signed = format!("{}.{}", b64u(header.to_string()), b64u(claims.to_string()));
    let mut signature = if alg == "none" {
        Vec::new()
    } else if alg.starts_with("HS") {
        let SignWith::Secret(secret) = with else {
            bail!("{alg} needs a secret");
        };
        let hash = match alg {
            "HS256" => hmac::HMAC_SHA256,
            "HS384" => hmac::HMAC_SHA384,
            _ => hmac::HMAC_SHA512,
        };
        let key = hmac::Key::new(hash, secret.as_bytes());
        hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
    } else {
        let SignWith::Key(key) = with else {
            bail!("{alg} needs a key");
        };
        key.sign(alg, signed.as_bytes())?
    };
    if let (true, Some(first)) = (spoil, signature.first_mut()) {
        *first ^= 0x55;
    }
    Ok(format!("{signed}.{}", b64u(signature)))
}

/// Header and claims of a compact JWS whose first two parts are JSON objects; the signature is not looked at.
pub(crate) fn decode_jwt(text: &str) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let mut parts = text.split('.');
    let (header, claims) = (parts.next()?, parts.next()?);
    let signature = parts.next()?;
    let url_safe = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if header.len() < 8 || parts.next().is_some() || ![header, claims, signature].into_iter().all(url_safe) {
        return None;
    }
    let object = |part: &str| -> Option<Map<String, Value>> { serde_json::from_slice(&unb64u(part).ok()?).ok() };
    Some((object(header)?, object(claims)?))
}

/// Left half of the hash of an access token (OpenID Connect Core §3.1.3.6).
pub(crate) fn at_hash(alg: &str, token: &str) -> Option<String> {
    let hash = match alg.get(2..) {
        Some("384") => &digest::SHA384,
        Some("512") => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let value = digest::digest(hash, token.as_bytes());
    let half = value.as_ref().get(..value.as_ref().len() / 2)?;
    Some(b64u(half))
}

/// A six-digit code of RFC 6238 over the secret's own bytes, as Keycloak 26.4 takes them.
pub(crate) fn totp(secret: &str, secs: i64) -> Result<String> {
    let counter = u64::try_from(secs.div_euclid(30))?;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let bytes = tag.as_ref();
    let at = bytes.last().map_or(0, |b| usize::from(b & 15));
    let word: [u8; 4] = bytes.get(at..at + 4).and_then(|w| w.try_into().ok()).ok_or_else(|| anyhow!("a short tag"))?;
    Ok(format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6238_appendix_b_codes() {
        // The appendix prints eight digits; six are their tail.
        for (secs, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(totp("12345678901234567890", secs).unwrap(), code);
        }
    }

    #[test]
    fn rfc_7636_appendix_b_challenge() {
        assert_eq!(
            sha256_b64u("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn every_kind_signs_and_decodes() {
        for kind in ["ES256", "ES384", "EdDSA", "RS256"] {
            let key = Key::make(kind).unwrap();
            assert_eq!(key.alg(), kind);
            let text = jwt(&json!({"alg": kind}), &json!({"a": 1}), kind, &SignWith::Key(&key), false).unwrap();
            let (header, claims) = decode_jwt(&text).unwrap();
            assert_eq!((header.get("alg").unwrap(), claims.get("a").unwrap()), (&json!(kind), &json!(1)));
            assert_eq!(key.thumbprint().unwrap().len(), 43);
        }
        assert!(decode_jwt("abcdefgh.e30.x.y").is_none());
        assert!(decode_jwt("not.a.jwt").is_none());
    }
}
