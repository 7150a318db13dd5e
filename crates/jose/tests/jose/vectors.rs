//! Published examples: RFC 7515 appendix A, RFC 7520 §4, RFC 7638 §3.1, RFC 8037 appendix A.

use portcullis_jose::digest::{at_hash, base64url_decode, base64url_encode, hmac_sha256, sha256};
use portcullis_jose::{Algorithm, Jwk, Limits, Reject, SigningKey, VerifyingKey, jws};
use serde_json::{Value, json};

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    base64url_decode(value.as_str().unwrap()).unwrap()
}

fn verifying(vector: &Value, alg: Algorithm) -> VerifyingKey {
    match vector.get("secret") {
        Some(secret) => VerifyingKey::from_hmac(alg, None, &bytes(secret)).unwrap(),
        None => VerifyingKey::from_jwk(&Jwk::from_value(&vector["jwk"]).unwrap(), alg).unwrap(),
    }
}

#[test]
fn rfc_7515_a_and_rfc_7520_4_and_rfc_8037_a_signatures_verify() {
    let mut count = 0;
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let alg = Algorithm::parse(vector["alg"].as_str().unwrap()).unwrap();
        let (input, signature) = vector["token"].as_str().unwrap().rsplit_once('.').unwrap();
        let signature = base64url_decode(signature).unwrap();
        let key = verifying(&vector, alg);
        assert_eq!(key.verify(input.as_bytes(), &signature), Ok(()), "{name}");
        assert!(key.verify(format!("{input}A").as_bytes(), &signature).is_err(), "{name}: changed input");
        count += 1;
    }
    assert_eq!(count, 9);
}

#[test]
fn rfc_7520_4_1_4_4_and_rfc_8037_a_4_signatures_are_reproduced() {
    let mut count = 0;
    for vector in vectors().iter().filter(|v| v["reproducible"] == true) {
        let name = vector["name"].as_str().unwrap();
        let alg = Algorithm::parse(vector["alg"].as_str().unwrap()).unwrap();
        let key = match vector.get("secret") {
            Some(secret) => SigningKey::from_hmac(alg, "k", &bytes(secret)).unwrap(),
            None => SigningKey::from_pkcs8(alg, "k", &bytes(&vector["pkcs8"])).unwrap(),
        };
        let (input, signature) = vector["token"].as_str().unwrap().rsplit_once('.').unwrap();
        assert_eq!(base64url_encode(&key.sign(input.as_bytes()).unwrap()), signature, "{name}");
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn rfc_7515_a_tokens_parse_and_non_json_payloads_do_not() {
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let parsed = jws::parse(vector["token"].as_str().unwrap(), &Limits::default());
        if ["RFC 7515 A.1", "RFC 7515 A.2", "RFC 7515 A.3"].contains(&name) {
            let parsed = parsed.unwrap();
            assert_eq!(parsed.unverified_issuer(), Some("joe"), "{name}");
            assert_eq!(parsed.unverified_claims()["exp"], 1_300_819_380, "{name}");
            let key = verifying(&vector, parsed.header().alg);
            assert_eq!(parsed.verify(&key), Ok(()), "{name}");
        } else {
            assert_eq!(parsed.unwrap_err(), Reject::NotJsonObject, "{name}");
        }
    }
}

#[test]
fn rfc_7638_3_1_and_rfc_8037_a_3_thumbprints() {
    let rsa = json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    });
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let ec = json!({
        "kty": "EC", "crv": "P-256", "kid": "ignored",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let print = |key: &Value| Jwk::from_value(key).unwrap().thumbprint().unwrap();
    assert_eq!(print(&rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(print(&ed), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let canonical = r#"{"crv":"P-256","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    assert_eq!(print(&ec), base64url_encode(&sha256(canonical.as_bytes())));
    assert_eq!(Jwk { kty: "oct".to_owned(), ..Jwk::default() }.thumbprint(), None);
}

#[test]
fn rfc_4231_hmac_and_fips_180_sha256() {
    let hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(
        hex(&hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn oidc_core_a_3_at_hash_is_the_left_half() {
    // OpenID Connect Core 1.0 appendix A.3 and A.4: an RS256 ID token for this access token.
    assert_eq!(at_hash(Algorithm::RS256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
    let lengths = |alg| base64url_decode(&at_hash(alg, "t")).unwrap().len();
    assert_eq!([Algorithm::ES256, Algorithm::PS384, Algorithm::RS512, Algorithm::EdDSA].map(lengths), [16, 24, 32, 32]);
}
