//! Abuse cases about keys: JW-02, 03, 13, 19, 20, 22, 25, 26, 30, DS-24.

use portcullis_jose::digest::{base64_encode, base64url_decode, base64url_encode};
use portcullis_jose::{Algorithm, BadKey, BadKeySet, Jwk, JwkSet, KeySet, Reject, SigningKey, VerifyingKey, jws, jwt};
use serde_json::{Value, json};

use crate::common::{NOW, claims, forge, header, key, keys_of, make, profile};

fn published(keys: &[&SigningKey]) -> JwkSet {
    JwkSet { keys: keys.iter().map(|k| k.public_jwk().unwrap()).collect() }
}

fn set(keys: &[Value]) -> JwkSet {
    JwkSet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn kids(set: &JwkSet) -> Vec<&str> {
    set.keys.iter().filter_map(|k| k.kid.as_deref()).collect()
}

fn jwk(alg: Algorithm) -> Value {
    key(alg).public_jwk().unwrap().to_value()
}

fn with(base: Algorithm, member: &str, value: Value) -> Value {
    let mut changed = jwk(base);
    changed[member] = value;
    changed
}

#[test]
fn jw_02_a_public_key_is_no_hmac_secret() {
    for victim in [key(Algorithm::RS256), key(Algorithm::ES256)] {
        let keys = KeySet::from_jwks(&published(&[victim]));
        let der = victim.public_key_der().unwrap();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", base64_encode(&der));
        let forms = [
            der,
            pem.clone().into_bytes(),
            format!("{pem}\n").into_bytes(),
            victim.public_jwk().unwrap().to_value().to_string().into_bytes(),
        ];
        for form in forms {
            for alg in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let forger = SigningKey::from_hmac(alg, victim.kid(), &form).unwrap();
                let token = jws::encode(&forger, Some("JWT"), claims().to_string().as_bytes()).unwrap();
                let both = jwt::verify(&token, &keys, &profile(&[victim.alg(), alg]), NOW).unwrap_err();
                assert_eq!(both, Reject::UnknownKey, "even where the profile allows {alg}");
                let usual = jwt::verify(&token, &keys, &profile(&[victim.alg()]), NOW).unwrap_err();
                assert_eq!(usual, Reject::AlgorithmNotAllowed);
                let jwk = victim.public_jwk().unwrap();
                assert_eq!(VerifyingKey::from_jwk(&jwk, alg).unwrap_err(), BadKey::Symmetric);
            }
        }
        let honest = jws::encode(victim, Some("JWT"), claims().to_string().as_bytes()).unwrap();
        assert!(jwt::verify(&honest, &keys, &profile(&[victim.alg()]), NOW).is_ok());
    }
}

#[test]
fn jw_03_key_and_algorithm_are_bound() {
    let rs256 = key(Algorithm::RS256);
    let all: Vec<Algorithm> = Algorithm::ALL.to_vec();
    let keys = KeySet::from_jwks(&published(&[rs256]));
    for alg in [Algorithm::PS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS512] {
        let token =
            jws::encode(&rs256.with_algorithm(alg).unwrap(), Some("JWT"), claims().to_string().as_bytes()).unwrap();
        let judged = jwt::verify(&token, &keys, &profile(&all), NOW).unwrap_err();
        assert_eq!(judged, Reject::UnknownKey, "the key is published for RS256, not {alg}");
        let relabelled =
            forge(rs256, &json!({"alg": alg, "typ": "JWT", "kid": rs256.kid()}).to_string(), &claims().to_string());
        assert!(jwt::verify(&relabelled, &keys, &profile(&all), NOW).is_err());
        assert_eq!(
            jws::parse(&token, &portcullis_jose::Limits::default()).unwrap().verify(&rs256.verifying_key()),
            Err(Reject::AlgorithmNotAllowed)
        );
        assert_eq!(VerifyingKey::from_jwk(&rs256.public_jwk().unwrap(), alg).unwrap_err(), BadKey::AlgorithmMismatch);
    }
    let mut open = rs256.public_jwk().unwrap();
    open.alg = None;
    let keys = KeySet::from_jwks(&JwkSet { keys: vec![open] });
    let ps256 = jws::encode(key(Algorithm::PS256), Some("JWT"), claims().to_string().as_bytes()).unwrap();
    assert!(
        jwt::verify(&ps256, &keys, &profile(&[Algorithm::PS256]), NOW).is_ok(),
        "a key without alg leaves it to the profile"
    );
    let refused = jwt::verify(&ps256, &keys, &profile(&[Algorithm::RS256]), NOW).unwrap_err();
    assert_eq!(refused, Reject::AlgorithmNotAllowed);
}

#[test]
fn jw_13_short_hmac_secrets_are_refused() {
    for (alg, least) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        for len in [0, 1, least - 1] {
            let secret = vec![7; len];
            assert_eq!(SigningKey::from_hmac(alg, "k", &secret).unwrap_err(), BadKey::SecretTooShort(least));
            assert_eq!(VerifyingKey::from_hmac(alg, None, &secret).unwrap_err(), BadKey::SecretTooShort(least));
        }
        let signing = SigningKey::from_hmac(alg, "k", &vec![7; least]).unwrap();
        let verifying = VerifyingKey::from_hmac(alg, Some("k"), &vec![7; least]).unwrap();
        let tag = signing.sign(b"x").unwrap();
        assert_eq!(verifying.verify(b"x", &tag), Ok(()));
        assert!(verifying.verify(b"x", &tag[..tag.len() / 2]).is_err(), "a truncated tag");
        assert!(verifying.verify(b"x", b"").is_err());
    }
    assert_eq!(SigningKey::from_hmac(Algorithm::RS256, "k", &[7; 64]).unwrap_err(), BadKey::AlgorithmMismatch);
    assert_eq!(VerifyingKey::from_hmac(Algorithm::EdDSA, None, &[7; 64]).unwrap_err(), BadKey::AlgorithmMismatch);
    assert_eq!(SigningKey::from_pkcs8(Algorithm::HS256, "k", &[7; 64]).unwrap_err(), BadKey::Symmetric);
}

#[test]
fn jw_19_ecdsa_zero_der_and_wrong_lengths() {
    for (alg, half) in [(Algorithm::ES256, 32), (Algorithm::ES384, 48), (Algorithm::ES512, 66)] {
        let key = key(alg);
        let good = key.sign(b"x").unwrap();
        assert_eq!(good.len(), 2 * half, "r||s");
        assert_eq!(key.verifying_key().verify(b"x", &good), Ok(()));
        let (r, s) = good.split_at(half);
        let integer = |n: &[u8]| [&[2, u8::try_from(n.len()).unwrap() + 1, 0][..], n].concat();
        let body = [integer(r), integer(s)].concat();
        let der = [&[0x30, u8::try_from(body.len()).unwrap()][..], &body].concat();
        let zeros = vec![0; half];
        for bad in [
            vec![0; 2 * half],
            [r, &zeros].concat(),
            [&zeros[..], s].concat(),
            vec![0xff; 2 * half],
            der,
            good[..2 * half - 1].to_vec(),
            [&good[..], &[0]].concat(),
            [&[0], r, &[0], s].concat(),
            vec![],
        ] {
            assert!(key.verifying_key().verify(b"x", &bad).is_err(), "{alg} {}", bad.len());
        }
    }
}

#[test]
fn jw_19_ed25519_small_order_keys_and_malleable_signatures() {
    let hex = |text: &str| -> Vec<u8> {
        (0..64).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    };
    for point in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        for sign in [0, 0x80] {
            let mut encoded = hex(point);
            encoded[31] |= sign;
            let bad = with(Algorithm::EdDSA, "x", json!(base64url_encode(&encoded)));
            assert_eq!(Jwk::from_value(&bad).unwrap_err(), BadKey::Point, "{point} {sign}");
        }
    }
    for len in [0, 31, 33, 64] {
        let bad = with(Algorithm::EdDSA, "x", json!(base64url_encode(&vec![9; len])));
        assert!(Jwk::from_value(&bad).is_err(), "{len}");
    }
    // S + L verifies the same equation; RFC 8032 §5.1.7 wants S below L.
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let key = key(Algorithm::EdDSA);
    let good = key.sign(b"x").unwrap();
    let mut malleable = good.clone();
    let mut carry = 0_u16;
    for (byte, l) in malleable[32..].iter_mut().zip(&order) {
        let sum = u16::from(*byte) + u16::from(*l) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(key.verifying_key().verify(b"x", &good), Ok(()));
    assert!(key.verifying_key().verify(b"x", &malleable).is_err());
    assert!(key.verifying_key().verify(b"x", &[0; 64]).is_err());
}

#[test]
fn jw_20_and_ds_24_rsa_keys_of_bad_size_or_shape() {
    let good = base64url_decode(jwk(Algorithm::RS256)["n"].as_str().unwrap()).unwrap();
    let mut even = good.clone();
    even[255] &= 0xfe;
    let mut high_cleared = good.clone();
    high_cleared[0] = 0x7f;
    let n = |bytes: &[u8]| with(Algorithm::RS256, "n", json!(base64url_encode(bytes)));
    let e = |bytes: &[u8]| with(Algorithm::RS256, "e", json!(base64url_encode(bytes)));
    let odd = |len: usize| vec![0xff; len];
    let cases = [
        ("512 bits", n(&odd(64)), BadKey::ModulusSize),
        ("1024 bits", n(&odd(128)), BadKey::ModulusSize),
        ("2047 bits", n(&high_cleared), BadKey::ModulusSize),
        ("8200 bits", n(&odd(1025)), BadKey::TooLong),
        ("16384 bits", n(&odd(2048)), BadKey::TooLong),
        ("64 KiB", n(&odd(1 << 16)), BadKey::TooLong),
        ("short behind a zero", n(&[&[0], &odd(128)[..]].concat()), BadKey::Malformed),
        ("even modulus", n(&even), BadKey::ModulusEven),
        ("leading zero", n(&[&[0], &good[..]].concat()), BadKey::Malformed),
        ("empty modulus", n(&[]), BadKey::Malformed),
        ("exponent 1", e(&[1]), BadKey::Exponent),
        ("exponent 2", e(&[2]), BadKey::Exponent),
        ("even exponent", e(&[1, 0, 0]), BadKey::Exponent),
        ("40-bit exponent", e(&[1, 0, 0, 0, 1]), BadKey::Exponent),
        ("zero-led exponent", e(&[0, 1, 0, 1]), BadKey::Malformed),
        ("exponent 0", e(&[0]), BadKey::Malformed),
        ("no exponent", e(&[]), BadKey::Malformed),
        ("padding", with(Algorithm::RS256, "e", json!("AQAB=")), BadKey::Malformed),
        ("number", with(Algorithm::RS256, "e", json!(65537)), BadKey::Malformed),
        ("null", with(Algorithm::RS256, "n", Value::Null), BadKey::Malformed),
    ];
    for (what, bad, reason) in cases {
        assert_eq!(Jwk::from_value(&bad).unwrap_err(), reason, "{what}");
        assert!(set(&[bad]).keys.is_empty(), "{what}: ignored in a set");
    }
    assert!(Jwk::from_value(&jwk(Algorithm::RS256)).is_ok());
}

#[test]
fn jw_20_ec_points_off_the_curve_or_of_wrong_length() {
    for alg in [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512] {
        let len = alg.curve().unwrap().coordinate_len();
        let mut off = base64url_decode(jwk(alg)["y"].as_str().unwrap()).unwrap();
        off[len - 1] ^= 1;
        let bad = |member: &str, bytes: &[u8]| with(alg, member, json!(base64url_encode(bytes)));
        let mut shifted = bad("x", &base64url_decode(jwk(alg)["x"].as_str().unwrap()).unwrap()[..len - 1]);
        let point = ["x", "y"].map(|m| base64url_decode(jwk(alg)[m].as_str().unwrap()).unwrap()).concat();
        shifted["y"] = json!(base64url_encode(&point[len - 1..]));
        let mut infinity = bad("x", &vec![0; len]);
        infinity["y"] = infinity["x"].clone();
        for (what, value) in [
            ("off the curve", bad("y", &off)),
            ("infinity", infinity),
            ("right bytes split at the wrong place", shifted),
            ("too short", bad("x", &vec![1; len - 1])),
            ("too long", bad("x", &vec![1; len + 1])),
            ("beyond the field", bad("x", &vec![0xff; len])),
            ("empty", bad("y", &[])),
        ] {
            assert_eq!(Jwk::from_value(&value).unwrap_err(), BadKey::Point, "{alg} {what}");
        }
        assert!(Jwk::from_value(&jwk(alg)).is_ok());
    }
    let mut open = key(Algorithm::ES256).public_jwk().unwrap();
    open.alg = None;
    assert_eq!(VerifyingKey::from_jwk(&open, Algorithm::ES384).unwrap_err(), BadKey::AlgorithmMismatch);
    assert!(VerifyingKey::from_jwk(&open, Algorithm::ES256).is_ok());
    let mixed = with(Algorithm::ES256, "crv", json!("P-384"));
    assert_eq!(Jwk::from_value(&mixed).unwrap_err(), BadKey::UnsupportedType, "alg and crv disagree");
    let unknown = with(Algorithm::ES256, "crv", json!("secp256k1"));
    assert_eq!(Jwk::from_value(&unknown).unwrap_err(), BadKey::UnsupportedType);
    let x25519 = with(Algorithm::EdDSA, "crv", json!("X25519"));
    assert_eq!(Jwk::from_value(&x25519).unwrap_err(), BadKey::UnsupportedType);
}

#[test]
fn jw_22_and_jw_30_key_sets_are_strict_json() {
    let key = jwk(Algorithm::ES256).to_string();
    let doubled = format!(r#"{{"keys":[{{"x":"AAAA",{}]}}"#, &key[1..]);
    let json_fault = |set: &[u8]| matches!(JwkSet::parse(set), Err(BadKeySet::Json(_)));
    assert!(json_fault(doubled.as_bytes()));
    assert!(json_fault(format!(r#"{{"keys":[],"keys":[{key}]}}"#).as_bytes()));
    assert!(json_fault(format!(r#"{{"keys":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)).as_bytes()));
    assert!(json_fault(b"<html>"));
    assert!(json_fault(&[0xff, 0xfe]));
    for no_keys in ["{}", "[]", "null", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
        assert_eq!(JwkSet::parse(no_keys.as_bytes()), Err(BadKeySet::NoKeys), "{no_keys}");
    }
    let padded = format!(r#"{{"keys":[{key}],"pad":"{}"}}"#, "x".repeat(JwkSet::MAX_BYTES));
    assert_eq!(JwkSet::parse(padded.as_bytes()), Err(BadKeySet::TooLong));
    let many = format!(r#"{{"keys":[{}]}}"#, vec!["{}"; JwkSet::MAX_KEYS + 1].join(","));
    assert_eq!(JwkSet::parse(many.as_bytes()), Err(BadKeySet::TooManyKeys));
    assert_eq!(JwkSet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).unwrap().keys.len(), 1);
}

#[test]
fn jw_25_keys_of_other_kinds_and_doubled_kids_are_ignored() {
    let good = jwk(Algorithm::ES256);
    let encrypting = with(Algorithm::ES256, "use", json!("enc"));
    assert_eq!(Jwk::from_value(&encrypting).unwrap_err(), BadKey::NotForSignatures);
    assert!(Jwk { kty: "oct".to_owned(), ..Jwk::default() }.algorithms().is_empty());
    let oct = json!({"kty": "oct", "kid": "o", "k": base64url_encode(&[7; 64]), "alg": "HS256"});
    let mut enc = jwk(Algorithm::RS256);
    (enc["use"], enc["alg"], enc["kid"]) = (json!("enc"), json!("RSA-OAEP"), json!("e"));
    let mut oaep = enc.clone();
    oaep.as_object_mut().unwrap().remove("use");
    let mut private = jwk(Algorithm::EdDSA);
    private["d"] = json!("AAAA");
    let ignored = [
        oct.clone(),
        enc.clone(),
        oaep,
        private,
        json!({"kty": "AKP", "kid": "a", "alg": "ML-DSA-44", "pub": "AAAA"}),
        json!({"kty": 1, "kid": "n"}),
        json!({}),
        json!("text"),
        with(Algorithm::EdDSA, "kid", json!(7)),
        with(Algorithm::EdDSA, "alg", json!("HS256")),
        with(Algorithm::EdDSA, "alg", json!("none")),
        with(Algorithm::EdDSA, "key_ops", json!(["sign"])),
        with(Algorithm::EdDSA, "k", json!("AAAA")),
        with(Algorithm::EdDSA, "use", json!("SIG")),
    ];
    for bad in &ignored {
        assert_eq!(kids(&set(&[bad.clone(), good.clone()])), ["k-ES256"], "{bad}");
    }
    assert!(KeySet::from_jwks(&set(&ignored)).is_empty());

    let (other, _) = make(Algorithm::ES256, "k-ES256", 1);
    let doubled = set(&[good.clone(), jwk(Algorithm::EdDSA), other.public_jwk().unwrap().to_value()]);
    assert_eq!(kids(&doubled), ["k-EdDSA"], "of two keys with one kid none is trusted");
    let mut enc_same_kid = enc;
    enc_same_kid["kid"] = json!("k-ES256");
    assert_eq!(kids(&set(&[good.clone(), enc_same_kid])), ["k-ES256"], "an encryption key is no rival");
    let with_ops = with(Algorithm::EdDSA, "key_ops", json!(["verify"]));
    assert_eq!(kids(&set(&[with_ops])), ["k-EdDSA"]);

    let hs256 = SigningKey::from_hmac(Algorithm::HS256, "o", &[7; 64]).unwrap();
    let token = jws::encode(&hs256, Some("JWT"), claims().to_string().as_bytes()).unwrap();
    let keys = KeySet::from_jwks(&set(&[oct, good]));
    let judged = jwt::verify(&token, &keys, &profile(&[Algorithm::ES256, Algorithm::HS256]), NOW);
    assert_eq!(judged.unwrap_err(), Reject::UnknownKey, "oct from the network is never used");
}

#[test]
fn jw_26_nothing_private_is_published() {
    for alg in Algorithm::ALL {
        let published = key(alg).public_jwk();
        assert_eq!(published.is_none(), alg.is_symmetric(), "{alg}");
        assert_eq!(key(alg).public_key_der().is_none(), alg.is_symmetric(), "{alg}");
        let Some(jwk) = published else { continue };
        let value = jwk.to_value();
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(value.get(member).is_none(), "{alg} {member}");
        }
        assert!(!format!("{:?}", key(alg)).contains("private"), "{alg}");
    }
}

#[test]
fn jw_27_a_passive_key_verifies_until_it_is_removed() {
    let (old, _) = make(Algorithm::ES256, "old", 1);
    let token = forge(&old, &header(&old), &claims().to_string());
    let rules = profile(&[Algorithm::ES256]);
    assert!(jwt::verify(&token, &keys_of(&[key(Algorithm::ES256), &old]), &rules, NOW).is_ok());
    let removed = jwt::verify(&token, &keys_of(&[key(Algorithm::ES256)]), &rules, NOW).unwrap_err();
    assert_eq!(removed, Reject::UnknownKey);
}
