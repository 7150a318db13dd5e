//! Properties: what is written is read, what is changed is refused, and nothing a stranger sends panics (JW-31).

use portcullis_jose::digest::{base64url_decode, base64url_encode};
use portcullis_jose::{Algorithm, JwkSet, Limits, jws, jwt, parse_strict};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::common::{NOW, claims, forge, header, judge_token, key, keys_of, profile};

fn json(depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,6}", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_object_round_trips_through_every_cheap_algorithm(
        members in prop::collection::hash_map("[a-z]{3,9}", json(3), 0..6),
        alg in prop::sample::select(vec![Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256, Algorithm::HS512]),
        typ in prop::option::of(".{1,20}"),
    ) {
        let payload = Value::Object(members.into_iter().collect());
        let text = payload.to_string();
        let token = jws::encode(key(alg), typ.as_deref(), text.as_bytes()).unwrap();
        let parsed = jws::parse(&token, &Limits::default()).unwrap();
        prop_assert_eq!(parsed.header().typ.as_deref(), typ.as_deref());
        prop_assert_eq!(parsed.header().kid.as_deref(), Some(key(alg).kid()));
        prop_assert_eq!(parsed.payload(), text.as_bytes());
        prop_assert_eq!(&Value::Object(parsed.unverified_claims().clone()), &payload);
        prop_assert_eq!(parsed.verify(&key(alg).verifying_key()), Ok(()));
    }

    #[test]
    fn jw_31_arbitrary_text_never_panics(text in ".{0,200}") {
        prop_assert!(judge_token(&text).is_err());
    }

    #[test]
    fn jw_31_three_arbitrary_parts_never_panic(
        head in prop::collection::vec(any::<u8>(), 0..60),
        body in prop::collection::vec(any::<u8>(), 0..60),
        tail in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let token = [head, body, tail].map(|part| base64url_encode(&part)).join(".");
        prop_assert!(judge_token(&token).is_err());
    }

    #[test]
    fn jw_31_arbitrary_json_parts_never_panic(head in json(3), body in json(3)) {
        let token = forge(key(Algorithm::ES256), &head.to_string(), &body.to_string());
        prop_assert!(judge_token(&token).is_err());
    }

    #[test]
    fn jw_31_signed_claims_of_any_shape_never_panic(
        name in prop::sample::select(vec!["iss", "aud", "sub", "jti", "iat", "nbf", "exp"]),
        value in json(2),
    ) {
        let mut payload = claims();
        payload[name] = value;
        let key = key(Algorithm::ES256);
        let token = forge(key, &header(key), &payload.to_string());
        let judged = jwt::verify(&token, &keys_of(&[key]), &profile(&[Algorithm::ES256]), NOW);
        if let Ok(verified) = judged {
            prop_assert!(verified.exp().unwrap() > NOW - 10);
            prop_assert_eq!(verified.aud(), ["api"]);
        }
    }

    #[test]
    fn jw_31_arbitrary_key_sets_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), value in json(4)) {
        let _ = JwkSet::parse(&bytes);
        let set = format!(r#"{{"keys":[{value},{{"kty":"EC","crv":{value},"x":{value},"y":"AA"}}]}}"#);
        prop_assert_eq!(JwkSet::parse(set.as_bytes()).map_or(0, |s| s.keys.len()), 0);
    }

    #[test]
    fn strict_json_agrees_with_serde_json_on_unique_members(value in json(5)) {
        prop_assert_eq!(parse_strict(value.to_string().as_bytes(), 64), Ok(value));
    }

    #[test]
    fn base64url_has_one_text_per_value(bytes in prop::collection::vec(any::<u8>(), 0..100), text in "[A-Za-z0-9_-]{0,24}") {
        prop_assert_eq!(base64url_decode(&base64url_encode(&bytes)), Some(bytes));
        if let Some(decoded) = base64url_decode(&text) {
            prop_assert_eq!(base64url_encode(&decoded), text);
        }
    }
}

#[test]
fn jw_23_every_changed_byte_is_refused() {
    for alg in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256] {
        let key = key(alg);
        let (keys, rules) = (keys_of(&[key]), profile(&[alg]));
        let token = jws::encode(key, Some("JWT"), claims().to_string().as_bytes()).unwrap();
        assert!(jwt::verify(&token, &keys, &rules, NOW).is_ok(), "{alg}: the honest twin");
        for at in 0..token.len() {
            for flip in [1, 2, 4, 8, 16, 32] {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= flip;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(jwt::verify(&changed, &keys, &rules, NOW).is_err(), "{alg}: byte {at} ^ {flip}");
            }
        }
    }
}
