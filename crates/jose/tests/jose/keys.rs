//! Keys: storing and loading, sharing, publishing in Keycloak's shape, certificates.

use portcullis_jose::certificate::{self, CertificateError};
use portcullis_jose::digest::{base64_encode, base64url_encode, constant_time_eq, sha256};
use portcullis_jose::{Algorithm, BadKey, Jwk, JwkSet, KeySet, KeyType, SigningKey};
use serde_json::json;

use crate::common::{key, key_pair, make};

#[test]
fn every_algorithm_round_trips_through_its_stored_form() {
    for alg in Algorithm::ALL {
        let (made, stored) = key_pair(alg);
        let loaded = match alg.key_type() {
            KeyType::Oct => SigningKey::from_hmac(alg, "again", stored.expose()),
            KeyType::Rsa | KeyType::Ec | KeyType::Okp => SigningKey::from_pkcs8(alg, "again", stored.expose()),
        }
        .unwrap();
        assert_eq!((loaded.alg(), loaded.kid()), (alg, "again"));
        assert_eq!(loaded.verifying_key().kid(), Some("again"));
        let signature = loaded.sign(b"x").unwrap();
        assert_eq!(made.verifying_key().verify(b"x", &signature), Ok(()), "{alg}");
        assert!(made.verifying_key().verify(b"y", &signature).is_err(), "{alg}");
        assert_eq!(Algorithm::parse(alg.as_str()), Some(alg));
        assert_eq!(serde_json::from_value::<Algorithm>(json!(alg)).unwrap(), alg);
    }
}

#[test]
fn a_stored_key_loads_for_its_own_kind_only() {
    for alg in [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let stored = key_pair(alg).1.expose();
        for other in Algorithm::ALL.into_iter().filter(|a| !a.is_symmetric()) {
            let fits = other == alg || (alg == Algorithm::RS256 && other.key_type() == KeyType::Rsa);
            assert_eq!(SigningKey::from_pkcs8(other, "k", stored).is_ok(), fits, "{alg} as {other}");
        }
        assert_eq!(SigningKey::from_pkcs8(alg, "k", &stored[..stored.len() - 1]).unwrap_err(), BadKey::PrivateKey);
        assert_eq!(SigningKey::from_pkcs8(alg, "k", b"").unwrap_err(), BadKey::PrivateKey);
    }
}

#[test]
fn one_rsa_key_serves_all_rsa_algorithms_and_no_other() {
    let rsa = key(Algorithm::RS256);
    for alg in Algorithm::ALL {
        let shared = rsa.with_algorithm(alg);
        assert_eq!(shared.is_some(), alg.key_type() == KeyType::Rsa, "{alg}");
        if let Some(shared) = shared {
            assert_eq!((shared.alg(), shared.kid()), (alg, rsa.kid()));
            let signature = shared.sign(b"x").unwrap();
            assert_eq!(shared.verifying_key().verify(b"x", &signature), Ok(()));
            assert_eq!(rsa.verifying_key().verify(b"x", &signature).is_ok(), alg == Algorithm::RS256);
        }
    }
    for alg in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256] {
        assert!(key(alg).with_algorithm(alg).is_some());
        assert!(key(alg).with_algorithm(Algorithm::HS512).is_none());
    }
}

#[test]
fn keycloak_26_4_order_of_jwk_members() {
    let mut rsa = key(Algorithm::RS256).public_jwk().unwrap();
    let der = certificate::self_signed(key(Algorithm::RS256), "demo", 0, 1).unwrap();
    rsa.set_certificate(&der);
    let members = |jwk: &Jwk| jwk.to_value().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&rsa), ["kid", "kty", "alg", "use", "x5c", "x5t", "x5t#S256", "n", "e"]);
    let ec = key(Algorithm::ES384).public_jwk().unwrap();
    assert_eq!(members(&ec), ["kid", "kty", "alg", "use", "crv", "x", "y"]);
    let okp = key(Algorithm::EdDSA).public_jwk().unwrap();
    assert_eq!(members(&okp), ["kid", "kty", "alg", "use", "crv", "x"]);
    let mut oaep = rsa.clone();
    oaep.set_use("enc", "RSA-OAEP");
    assert_eq!((oaep.alg.as_deref(), oaep.use_.as_deref()), (Some("RSA-OAEP"), Some("enc")));
    assert_eq!(members(&oaep), members(&rsa), "recorded: the encryption key has the same members");
    assert_eq!(rsa.e.as_deref(), Some("AQAB"));
    assert_eq!(rsa.n.as_ref().map(String::len), Some(342), "2048 bits without a leading zero");

    let set = JwkSet { keys: vec![rsa, ec, okp] };
    let text = serde_json::to_string(&set).unwrap();
    assert!(text.starts_with(r#"{"keys":[{"kid":"k-RS256","kty":"RSA","alg":"RS256","use":"sig","x5c":[""#));
    assert_eq!(JwkSet::parse(text.as_bytes()).unwrap(), set, "what we publish we read");
    assert_eq!(serde_json::from_str::<JwkSet>(&text).unwrap(), set);
}

#[test]
fn a_published_key_verifies_what_the_private_key_signed() {
    for alg in Algorithm::ALL.into_iter().filter(|a| !a.is_symmetric()) {
        let set = JwkSet { keys: vec![key(alg).public_jwk().unwrap()] };
        let keys = KeySet::from_jwks(&set);
        assert_eq!(keys.keys().len(), 1, "{alg}");
        assert!(keys.has_kid(key(alg).kid()));
        assert!(!keys.has_kid("other"));
        let found = keys.find(Some(key(alg).kid()), alg).unwrap();
        assert_eq!(found.verify(b"x", &key(alg).sign(b"x").unwrap()), Ok(()), "{alg}");
        assert_eq!(set.keys[0].algorithms(), [alg]);
    }
    let mut open = key(Algorithm::RS256).public_jwk().unwrap();
    open.alg = None;
    assert_eq!(open.algorithms().len(), 6);
}

#[test]
fn the_realm_document_shows_subject_public_key_info() {
    let text = base64_encode(&key(Algorithm::RS256).public_key_der().unwrap());
    assert!(text.starts_with("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"), "as every RSA-2048 key of Keycloak");
    assert!(text.ends_with("IDAQAB"));
    let ed = key(Algorithm::EdDSA).public_key_der().unwrap();
    assert_eq!(ed.len(), 44);
    let ec = key(Algorithm::ES256).public_key_der().unwrap();
    assert_eq!(ec.len(), 91);
}

#[test]
fn hmac_and_ed25519_keys_come_from_the_callers_randomness() {
    for alg in [Algorithm::HS512, Algorithm::EdDSA] {
        let stored = |seed| make(alg, "k", seed).1.expose().to_vec();
        assert_eq!(stored(1), stored(1), "{alg}");
        assert_ne!(stored(1), stored(2), "{alg}");
    }
    assert_eq!(make(Algorithm::HS256, "k", 1).1.expose(), [1; 64]);
}

#[test]
fn lg_02_keys_and_secrets_do_not_print_themselves() {
    let (hmac, stored) = make(Algorithm::HS256, "k", 0x41);
    for text in [format!("{hmac:?}"), format!("{stored:?}"), format!("{:?}", hmac.verifying_key())] {
        assert!(!text.contains("65") && !text.contains("AAAA"), "{text}");
    }
    assert_eq!(format!("{hmac:?}"), r#"SigningKey { alg: HS256, kid: "k", .. }"#);
}

#[test]
fn st_04_comparison() {
    assert!(constant_time_eq(b"abc", b"abc"));
    assert!(!constant_time_eq(b"abc", b"abd"));
    assert!(!constant_time_eq(b"abc", b"ab"));
    assert!(constant_time_eq(b"", b""));
}

/// One DER value: its content, the whole of it, and the rest.
fn der(input: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (head, len) = match input[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x80 | 0x81 => (3, usize::from(input[2])),
        _ => (4, usize::from(input[2]) * 256 + usize::from(input[3])),
    };
    (&input[head..head + len], &input[..head + len], &input[head + len..])
}

#[test]
fn a_certificate_is_signed_by_its_own_key_and_names_the_realm() {
    // 2026-01-01 and 2036-01-01
    let (from, to) = (1_767_225_600, 2_082_758_400);
    for alg in [Algorithm::RS256, Algorithm::PS512] {
        let cert = certificate::self_signed(key(alg), "demo realm", from, to).unwrap();
        let (body, whole, rest) = der(&cert);
        assert_eq!((whole.len(), rest.len()), (cert.len(), 0));
        let (_, to_be_signed, rest) = der(body);
        let (_, _, rest) = der(rest);
        let (signature, _, _) = der(rest);
        let rs256 = key(Algorithm::RS256).verifying_key();
        assert_eq!(rs256.verify(to_be_signed, &signature[1..]), Ok(()), "{alg}");
        let holds = |part: &[u8]| to_be_signed.windows(part.len()).any(|w| w == part);
        assert!(holds(&key(alg).public_key_der().unwrap()));
        assert!(holds(b"demo realm"));
        assert!(holds(b"260101000000Z") && holds(b"360101000000Z"));
    }
}

#[test]
fn certificates_are_for_rsa_keys_and_sane_dates() {
    let rsa = key(Algorithm::RS256);
    assert_eq!(certificate::self_signed(key(Algorithm::ES256), "x", 0, 1), Err(CertificateError::NotRsa));
    for (from, to) in [(-1, 1), (2, 1), (0, 253_402_300_800), (0, i64::MAX), (i64::MIN, 0)] {
        assert_eq!(certificate::self_signed(rsa, "x", from, to), Err(CertificateError::Validity), "{from} {to}");
    }
    assert!(certificate::self_signed(rsa, "日本 \"quoted\"", 0, 253_402_300_799).is_ok());
}

#[test]
fn rfc_7517_4_8_and_4_9_certificate_thumbprints() {
    assert_eq!(certificate::x5t(b"abc"), "qZk-NkcGgWq6PiVxeFDCbJzQ2J0");
    assert_eq!(certificate::x5t_s256(b"abc"), base64url_encode(&sha256(b"abc")));
    let mut jwk = Jwk::default();
    jwk.set_certificate(b"abc");
    assert_eq!(jwk.x5c, Some(vec!["YWJj".to_owned()]));
}
