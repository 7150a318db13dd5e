//! Both directions against the crate jsonwebtoken, for every algorithm it has (all but ES512).

use jsonwebtoken as other;
use portcullis_jose::{Algorithm, AudienceRule, Profile, SigningKey, TypeRule, jws, jwt};
use serde_json::Value;

use crate::common::{ISSUER, NOW, claims, key_pair, keys_of};

fn theirs(alg: Algorithm) -> Option<other::Algorithm> {
    alg.as_str().parse().ok()
}

fn pem(der: &[u8]) -> Vec<u8> {
    let text = portcullis_jose::digest::base64_encode(der);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n").into_bytes()
}

fn encoding(alg: Algorithm, stored: &[u8]) -> other::EncodingKey {
    match alg.as_str().get(..2).unwrap() {
        "HS" => other::EncodingKey::from_secret(stored),
        "RS" | "PS" => other::EncodingKey::from_rsa_pem(&pem(stored)).unwrap(),
        "ES" => other::EncodingKey::from_ec_der(stored),
        _ => other::EncodingKey::from_ed_der(stored),
    }
}

fn decoding(key: &SigningKey, stored: &[u8]) -> other::DecodingKey {
    match key.public_jwk() {
        None => other::DecodingKey::from_secret(stored),
        Some(jwk) => {
            let jwk: other::jwk::Jwk = serde_json::from_value(jwk.to_value()).unwrap();
            other::DecodingKey::from_jwk(&jwk).unwrap()
        }
    }
}

#[test]
fn jsonwebtoken_reads_what_we_write() {
    let mut count = 0;
    for alg in Algorithm::ALL {
        let Some(their_alg) = theirs(alg) else { continue };
        let (key, stored) = key_pair(alg);
        let token = jws::encode(key, Some("JWT"), claims().to_string().as_bytes()).unwrap();
        let mut rules = other::Validation::new(their_alg);
        rules.validate_exp = false;
        rules.set_audience(&["api"]);
        rules.set_issuer(&[ISSUER]);
        let read = other::decode::<Value>(&token, &decoding(key, stored.expose()), &rules).unwrap();
        assert_eq!(read.claims, claims(), "{alg}");
        assert_eq!(read.header.kid.as_deref(), Some(key.kid()), "{alg}");
        count += 1;
    }
    assert_eq!(count, 12);
}

#[test]
fn we_read_what_jsonwebtoken_writes() {
    let mut count = 0;
    for alg in Algorithm::ALL {
        let Some(their_alg) = theirs(alg) else { continue };
        let (key, stored) = key_pair(alg);
        let mut header = other::Header::new(their_alg);
        header.kid = Some(key.kid().to_owned());
        let token = other::encode(&header, &claims(), &encoding(alg, stored.expose())).unwrap();
        let rules = Profile::new(&[alg], TypeRule::one_of(&["JWT"]), ISSUER, AudienceRule::exactly("api"));
        let read = jwt::verify(&token, &keys_of(&[key]), &rules, NOW).unwrap();
        assert_eq!(Value::Object(read.into_claims()), claims(), "{alg}");
        count += 1;
    }
    assert_eq!(count, 12);
}
