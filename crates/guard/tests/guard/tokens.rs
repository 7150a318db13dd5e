//! Tokens that must not pass (JW, TE), and the ones beside them that must.

use axum::body::Body;
use http::Request;
use portcullis_guard::{Algorithm, BuildError, Guard};
use portcullis_jose::SigningKey;
use portcullis_jose::digest::base64url_encode;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{Api, ISSUER, NOW, claims, forge, header, key, signed, with};

/// Changes of the claims with the status they must get.
async fn judge(table: &[(&str, Value, u16)]) {
    let api = Api::new(&["good"]);
    for (case, changes, expected) in table {
        let token = signed("good", &with(changes.clone()));
        assert_eq!(api.status(&token).await, *expected, "{case}: {changes}");
        if *expected == 401 {
            api.refused(&token).await;
        }
    }
}

#[tokio::test]
async fn an_honest_token_tells_who_calls() {
    let api = Api::new(&["good", "ed", "rsa"]);
    for kid in ["good", "ed", "rsa"] {
        let answer = api.get("/me", &signed(kid, &claims())).await;
        assert_eq!(answer.status, 200, "{kid}");
        let expected = json!({
            "subject": "u1", "issuer": ISSUER, "client": "app", "session": "s1", "scopes": ["openid", "orders:read"],
            "roles": ["user", "api:write"], "expires": NOW + 300, "aud": ["other", "api"]
        });
        assert_eq!(answer.body, expected);
    }
    assert_eq!(api.get("/argument", &signed("good", &claims())).await.status, 200);
    assert_eq!(api.source.asked(), 0, "keys were at hand");
}

#[tokio::test]
async fn jw_01_jw_02_jw_03_the_algorithm_belongs_to_the_key() {
    let api = Api::new(&["good", "rsa"]);
    let payload = claims().to_string();
    for alg in ["none", "None", "nOnE"] {
        let unsigned = format!(
            "{}.{}.",
            base64url_encode(json!({"alg": alg, "typ": "JWT", "kid": "good"}).to_string().as_bytes()),
            base64url_encode(payload.as_bytes())
        );
        api.refused(&unsigned).await;
        api.refused(&format!("{unsigned}AA")).await;
    }
    api.refused(&forge(key("good"), r#"{"typ":"JWT","kid":"good"}"#, &payload)).await;
    let public = key("rsa").public_key_der().unwrap();
    for secret in [public.clone(), base64url_encode(&public).into_bytes()] {
        for alg in [Algorithm::HS256, Algorithm::HS512] {
            let hmac = SigningKey::from_hmac(alg, "rsa", &secret).unwrap();
            assert_eq!(api.refused(&forge(&hmac, &header(&hmac, "JWT"), &payload)).await, "algorithm_not_allowed");
        }
    }
    let pss = key("rsa").with_algorithm(Algorithm::PS256).unwrap();
    assert_eq!(api.refused(&forge(&pss, &header(&pss, "JWT"), &payload)).await, "unknown_key");
    let narrow = Api::built(&["good", "rsa"], |b| b.algorithms(&[Algorithm::RS256]));
    assert_eq!(narrow.refused(&signed("good", &claims())).await, "algorithm_not_allowed");
    assert_eq!(narrow.status(&signed("rsa", &claims())).await, 200);
    assert_eq!(api.source.asked(), 0);
}

#[tokio::test]
async fn jw_04_jw_05_jw_06_times_are_numbers_and_hold() {
    let mut table = Vec::new();
    for wrong in [json!("1"), json!([NOW]), json!(-1), json!(1e300), json!({}), json!(true)] {
        for name in ["exp", "iat", "nbf"] {
            table.push(("JW-04", json!({name: wrong}), 401));
        }
    }
    table.extend([
        ("JW-05", json!({"exp": null}), 401),
        ("JW-05", json!({"iat": null}), 401),
        ("JW-06", json!({"exp": NOW - 10}), 401),
        ("JW-06", json!({"exp": NOW - 9}), 200),
        ("JW-06", json!({"nbf": NOW + 61}), 401),
        ("JW-06", json!({"iat": NOW + 61}), 401),
        ("JW-06", json!({"nbf": NOW + 10}), 200),
        ("JW-06", json!({"iat": NOW + 10}), 200),
    ]);
    judge(&table).await;
    let nulls = claims().to_string().replace(&format!("\"exp\":{}", NOW + 300), "\"exp\":null");
    let api = Api::new(&["good"]);
    assert_eq!(api.refused(&forge(key("good"), &header(key("good"), "JWT"), &nulls)).await, "bad_claim_type");
    let strict = Api::built(&["good"], |b| b.leeway(0));
    strict.refused(&signed("good", &with(json!({"exp": NOW})))).await;
    assert_eq!(strict.status(&signed("good", &with(json!({"exp": NOW + 1})))).await, 200);
}

#[tokio::test]
async fn jw_07_the_audience_names_this_api() {
    judge(&[
        ("missing", json!({"aud": null}), 401),
        ("wrong", json!({"aud": "other"}), 401),
        ("empty", json!({"aud": []}), 401),
        ("stranger", json!({"aud": ["other"]}), 401),
        ("prefix", json!({"aud": ["api2", "ap", "API"]}), 401),
        ("type", json!({"aud": {"api": true}}), 401),
        ("mixed", json!({"aud": ["api", 1]}), 401),
        ("string", json!({"aud": "api"}), 200),
        ("list", json!({"aud": ["api"]}), 200),
    ])
    .await;
}

#[test]
fn jw_07_a_guard_without_audience_is_not_built() {
    let base = || Guard::builder().issuer(ISSUER).audience("api").bearer();
    assert!(matches!(base().audience("").build(), Err(BuildError::Audience)));
    assert!(matches!(Guard::builder().issuer(ISSUER).bearer().build(), Err(BuildError::Audience)));
    assert!(matches!(Guard::builder().audience("api").bearer().build(), Err(BuildError::Issuer)));
    for issuer in ["id.example", "https://id.example/a b", "file:///x", "https://id.example/\r\nx"] {
        assert!(matches!(base().issuer(issuer).build(), Err(BuildError::Issuer)), "{issuer}");
    }
    assert!(matches!(Guard::builder().issuer(ISSUER).audience("api").build(), Err(BuildError::Credential)));
    for algorithms in [&[][..], &[Algorithm::ES256, Algorithm::HS256]] {
        assert!(matches!(base().algorithms(algorithms).build(), Err(BuildError::Algorithms)));
    }
    assert!(base().build().is_ok());
}

#[tokio::test]
async fn jw_08_the_issuer_is_exact() {
    judge(&[
        ("realm", json!({"iss": "https://id.example/realms/other"}), 401),
        ("slash", json!({"iss": format!("{ISSUER}/")}), 401),
        ("case", json!({"iss": "https://ID.example/realms/demo"}), 401),
        ("scheme", json!({"iss": "http://id.example/realms/demo"}), 401),
        ("missing", json!({"iss": null}), 401),
        ("type", json!({"iss": [ISSUER]}), 401),
        ("subject", json!({"sub": null}), 401),
        ("honest", json!({"iss": ISSUER}), 200),
    ])
    .await;
    let api = Api::new(&["good"]);
    let stranger = forge(key("new"), &header(key("good"), "JWT"), &claims().to_string());
    assert_eq!(api.refused(&stranger).await, "bad_signature");
}

#[tokio::test]
async fn te_25_jw_09_only_access_tokens_pass() {
    let api = Api::new(&["good"]);
    for (typ, kind, expected) in [
        ("JWT", json!("Bearer"), 200),
        ("JWT", json!("bearer"), 200),
        ("at+jwt", Value::Null, 200),
        ("application/at+jwt", Value::Null, 200),
        ("at+jwt", json!("Bearer"), 200),
        ("JWT", Value::Null, 401),
        ("JWT", json!("ID"), 401),
        ("JWT", json!("Refresh"), 401),
        ("JWT", json!("Offline"), 401),
        ("JWT", json!("Logout"), 401),
        ("JWT", json!("DPoP"), 401),
        ("JWT", json!(["Bearer"]), 401),
        ("JWT", json!("BEARER "), 401),
        ("at+jwt", json!("ID"), 401),
        ("logout+jwt", json!("Bearer"), 401),
        ("dpop+jwt", json!("Bearer"), 401),
        ("oauth-authz-req+jwt", json!("Bearer"), 401),
        ("", json!("Bearer"), 401),
    ] {
        let token = forge(key("good"), &header(key("good"), typ), &with(json!({"typ": kind})).to_string());
        assert_eq!(api.status(&token).await, expected, "{typ} {kind}");
    }
    let untyped = forge(key("good"), r#"{"alg":"ES256","kid":"good"}"#, &claims().to_string());
    assert_eq!(api.refused(&untyped).await, "wrong_type");
    let bound = with(json!({"cnf": {"jkt": "x"}}));
    assert_eq!(api.refused(&signed("good", &bound)).await, "bound_to_key");
}

#[tokio::test]
async fn jw_10_jw_11_jw_12_headers_bring_no_keys_and_no_extensions() {
    let api = Api::new(&["good"]);
    let payload = claims().to_string();
    let jwk = key("new").public_jwk().unwrap().to_value();
    for (extra, value) in [
        ("jwk", jwk.clone()),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MII"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("kid", json!("x".repeat(100_000))),
        ("kid", json!(["good"])),
    ] {
        let mut head = json!({"alg": "ES256", "typ": "JWT", "kid": "good"});
        head.as_object_mut().unwrap().insert(extra.to_owned(), value);
        api.refused(&forge(key("good"), &head.to_string(), &payload)).await;
    }
    assert_eq!(api.source.asked(), 0, "nobody was called");
    for kid in ["../../etc/passwd", "' or 1=1 --", "a\0b"] {
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": kid}).to_string();
        assert_eq!(api.refused(&forge(key("good"), &head, &payload)).await, "unknown_key");
    }
    assert_eq!(api.status(&signed("good", &claims())).await, 200);
    // Without kid the one key of the algorithm is meant; with two of them nobody can say.
    let anonymous = forge(key("good"), r#"{"alg":"ES256","typ":"JWT"}"#, &payload);
    assert_eq!(api.status(&anonymous).await, 200);
    assert_eq!(Api::new(&["good", "new"]).refused(&anonymous).await, "unknown_key");
}

#[tokio::test]
async fn jw_17_jw_18_jw_21_jw_22_shapes_are_exact() {
    let api = Api::new(&["good"]);
    let honest = signed("good", &claims());
    let (input, signature) = honest.rsplit_once('.').unwrap();
    let (head, payload) = input.split_once('.').unwrap();
    for bad in [
        format!("{input}."),
        input.to_owned(),
        format!("{honest}.x"),
        format!("{honest}.x.y"),
        json!({"payload": payload, "protected": head, "signature": signature}).to_string(),
        format!("{honest}="),
        format!("{head}=.{payload}.{signature}"),
        format!("{head}. {payload}.{signature}"),
        format!("{head}.{payload}.{}", signature.replace(['-', '_'], "+")) + "+",
        format!("{honest}, {honest}"),
        ".".repeat(1000),
        "x".repeat(1_000_000),
        String::new(),
    ] {
        api.refused(&bad).await;
    }
    let doubled = claims().to_string().replacen('{', "{\"sub\":\"u1\",", 1);
    assert_eq!(api.refused(&forge(key("good"), &header(key("good"), "JWT"), &doubled)).await, "duplicate_member");
    let twice = r#"{"alg":"ES256","alg":"ES256","typ":"JWT","kid":"good"}"#;
    assert_eq!(api.refused(&forge(key("good"), twice, &claims().to_string())).await, "duplicate_member");
    assert_eq!(api.status(&honest).await, 200);
}

#[tokio::test]
async fn jw_23_every_route_verifies() {
    let api = Api::new(&["good"]);
    let all = with(json!({"realm_access": {"roles": ["admin"]}, "scope": "orders:read orders:write"}));
    let honest = signed("good", &all);
    let tampered = all.to_string().replace("\"u1\"", "\"u2\"");
    let tampered = {
        let mut parts = honest.split('.');
        let (head, signature) = (parts.next().unwrap(), parts.nth(1).unwrap());
        format!("{head}.{}.{signature}", base64url_encode(tampered.as_bytes()))
    };
    for path in ["/me", "/argument", "/admin", "/write", "/read", "/both"] {
        assert_eq!(api.get(path, &honest).await.status, 200, "{path}");
        let answer = api.get(path, &tampered).await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(api.reason(), "bad_signature");
    }
}

#[tokio::test]
async fn te_26_one_credential_in_the_header_only() {
    let api = Api::new(&["good"]);
    let token = signed("good", &claims());
    let request = |uri: String, values: &[String]| {
        let mut request = Request::get(uri);
        for value in values {
            request = request.header("authorization", value);
        }
        request.body(Body::empty()).unwrap()
    };
    let bearer = format!("Bearer {token}");
    let queried = format!("/me?access_token={token}");
    for (uri, values, status, error) in [
        ("/me".to_owned(), vec![bearer.clone()], 200, None),
        ("/me".to_owned(), vec![format!("bEARER  {token}")], 200, None),
        (queried.clone(), vec![], 401, None),
        ("/me".to_owned(), vec![], 401, None),
        ("/me".to_owned(), vec![format!("Basic {token}")], 401, None),
        ("/me".to_owned(), vec![format!("DPoP {token}")], 401, None),
        ("/me".to_owned(), vec![token.clone()], 401, None),
        ("/me".to_owned(), vec![bearer.clone(), bearer.clone()], 400, Some("invalid_request")),
        ("/me".to_owned(), vec![bearer.clone(), "Basic eDp4".to_owned()], 400, Some("invalid_request")),
        (queried, vec![bearer.clone()], 400, Some("invalid_request")),
    ] {
        let answer = api.send(request(uri.clone(), &values)).await;
        assert_eq!(answer.status, status, "{uri:.30} {values:.40?}");
        let challenge = answer.header("www-authenticate");
        match (status, error) {
            (200, _) => assert_eq!(challenge, ""),
            (_, None) => {
                assert_eq!(challenge, format!("Bearer realm=\"{ISSUER}\""), "RFC 6750 §3.1: no error without a token")
            }
            (_, Some(error)) => assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}"),
        }
    }
    let posted = Request::post("/me").header("content-type", "application/x-www-form-urlencoded");
    let posted = posted.body(Body::from(format!("access_token={token}"))).unwrap();
    assert_eq!(api.send(posted).await.status, 401);
}

#[tokio::test]
async fn rfc_6750_3_and_9457_a_refusal_says_little_and_can_be_traced() {
    let api = Api::new(&["good"]);
    let answer = api.get("/me", &signed("good", &with(json!({"aud": "other"})))).await;
    let trace = answer.header("portcullis-trace").to_owned();
    assert!(trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit()), "{trace}");
    let text = "The access token is not valid here.";
    let expected =
        json!({"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": text, "trace": trace});
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let challenge = format!("Bearer realm=\"{ISSUER}\", error=\"invalid_token\", error_description=\"{text}\"");
    assert_eq!(answer.header("www-authenticate"), challenge);
    let heard = api.ears.0.lock().unwrap().clone();
    assert_eq!(heard.len(), 1);
    let (traced, reason, facts) = heard.first().unwrap();
    assert_eq!((traced, *reason), (&trace, "wrong_audience"));
    assert!(facts.contains("got another aud"), "{facts}");
    let again = api.get("/me", "x").await;
    assert_ne!(again.header("portcullis-trace"), trace);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn jw_31_no_mutation_of_a_token_passes_or_breaks_the_server(at in 0.0..1.0_f64, byte in 0x20..0x7f_u8, cut in any::<bool>()) {
        let honest = signed("good", &claims());
        let mut bytes = honest.clone().into_bytes();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the token")]
        let at = (at * bytes.len() as f64) as usize;
        if cut { bytes.truncate(at) } else if let Some(b) = bytes.get_mut(at) { *b = byte }
        let mutated = String::from_utf8(bytes).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let expected = if mutated == honest { 200 } else { 401 };
        prop_assert_eq!(runtime.block_on(Api::new(&["good"]).status(&mutated)), expected);
    }

    #[test]
    fn jw_31_any_bytes_in_the_header_are_refused(value in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut line = b"Bearer ".to_vec();
        line.extend(value);
        if let Ok(line) = http::HeaderValue::from_bytes(&line) {
            let request = Request::get("/me").header("authorization", line).body(Body::empty()).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(runtime.block_on(Api::new(&["good"]).send(request)).status.as_u16(), 401);
        }
    }
}
