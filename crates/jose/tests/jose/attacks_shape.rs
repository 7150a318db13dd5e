//! Abuse cases about a token's shape and header: JW-01, 09..12, 14..18, 21, 22, 30.

use portcullis_jose::digest::base64url_encode;
use portcullis_jose::{Algorithm, AudienceRule, Limits, Profile, Reject, TypeRule, jws, jwt};
use serde_json::{Value, json};

use crate::common::{ISSUER, NOW, claims, forge, header, judge_token, key, keys_of, make};

fn b64(text: &str) -> String {
    base64url_encode(text.as_bytes())
}

/// The good header of the honest ES256 key with members added or replaced.
fn header_with(changes: Value) -> String {
    let mut all: Value = serde_json::from_str(&header(key(Algorithm::ES256))).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        all[name] = value.clone();
    }
    all.to_string()
}

/// Signed by the honest key under a doctored header.
fn under(head: &str) -> Result<(), Reject> {
    judge_token(&forge(key(Algorithm::ES256), head, &claims().to_string())).map(|_| ())
}

#[test]
fn jw_twin_the_honest_token_passes() {
    let verified = judge_token(&forge(key(Algorithm::ES256), &header_with(json!({})), &claims().to_string())).unwrap();
    assert_eq!((verified.iss(), verified.sub(), verified.jti()), (Some(ISSUER), Some("u1"), Some("j1")));
    assert_eq!((verified.exp(), verified.iat(), verified.nbf()), (Some(NOW + 300), Some(NOW), None));
    assert_eq!(verified.aud(), ["api"]);
    assert_eq!(verified.header().alg, Algorithm::ES256);
    assert_eq!(verified.claims().keys().collect::<Vec<_>>(), ["iss", "aud", "sub", "jti", "iat", "exp"]);
}

#[test]
fn keycloak_26_4_header_order_is_alg_typ_kid() {
    let token = jws::encode(key(Algorithm::ES256), Some("JWT"), b"{}").unwrap();
    assert!(token.starts_with(&b64(r#"{"alg":"ES256","typ":"JWT","kid":"k-ES256"}"#)));
    let token = jws::encode(key(Algorithm::HS512), Some("logout+jwt"), b"{}").unwrap();
    assert!(token.starts_with(&b64(r#"{"alg":"HS512","typ":"logout+jwt","kid":"k-HS512"}"#)));
    let token = jws::encode(key(Algorithm::EdDSA), None, b"{}").unwrap();
    assert!(token.starts_with(&b64(r#"{"alg":"EdDSA","kid":"k-EdDSA"}"#)));
}

#[test]
fn jw_01_none_in_any_spelling_and_missing_alg() {
    for alg in ["none", "None", "NONE", "nOnE"] {
        let head = b64(&header_with(json!({"alg": alg})));
        let body = b64(&claims().to_string());
        for signature in ["", "AA"] {
            let refused = judge_token(&format!("{head}.{body}.{signature}")).unwrap_err();
            assert_eq!(refused, Reject::AlgorithmNone, "{alg} {signature:?}");
        }
    }
    assert_eq!(under(r#"{"typ":"JWT","kid":"k-ES256"}"#), Err(Reject::MissingAlgorithm));
    for alg in [json!(null), json!(1), json!(["ES256"]), json!({"a": 1})] {
        assert_eq!(under(&header_with(json!({"alg": alg}))), Err(Reject::BadHeader("alg")), "{alg}");
    }
    for alg in ["es256", "ES256 ", "ES256K", "", "RSA-OAEP", "dir"] {
        assert_eq!(under(&header_with(json!({"alg": alg}))), Err(Reject::AlgorithmNotAllowed), "{alg}");
    }
}

#[test]
fn jw_09_the_type_must_be_one_the_profile_names() {
    let strict = TypeRule::one_of(&["at+jwt"]);
    let other = TypeRule::one_of(&["text/at+jwt"]);
    let either = TypeRule::one_of(&["JWT", "at+jwt"]);
    let absent_too = TypeRule::one_of_or_absent(&["JWT"]);
    let cases = [
        (&strict, Some("at+jwt"), true),
        (&strict, Some("AT+JWT"), true),
        (&strict, Some("application/at+jwt"), true),
        (&strict, Some("Application/At+Jwt"), true),
        (&strict, Some("JWT"), false),
        (&strict, Some("dpop+jwt"), false),
        (&strict, Some("logout+jwt"), false),
        (&strict, Some("oauth-authz-req+jwt"), false),
        (&strict, Some("at+jwt "), false),
        (&strict, Some("application/x/at+jwt"), false),
        (&strict, Some("text/at+jwt"), false),
        (&strict, Some("applicatiox/at+jwt"), false),
        (&strict, Some(""), false),
        (&strict, None, false),
        (&other, Some("text/at+jwt"), true),
        (&other, Some("application/text/at+jwt"), false),
        (&either, Some("jwt"), true),
        (&either, Some("ID"), false),
        (&either, None, false),
        (&absent_too, None, true),
        (&absent_too, Some("JWT"), true),
        (&absent_too, Some("at+jwt"), false),
        (&TypeRule::Any, None, true),
        (&TypeRule::Any, Some("anything"), true),
    ];
    let key = key(Algorithm::ES256);
    for (rule, typ, good) in cases {
        let rules = Profile::new(&[Algorithm::ES256], rule.clone(), ISSUER, AudienceRule::contains("api"));
        let token = jws::encode(key, typ, claims().to_string().as_bytes()).unwrap();
        let judged = jwt::verify(&token, &keys_of(&[key]), &rules, NOW).map(|_| ());
        assert_eq!(judged, if good { Ok(()) } else { Err(Reject::WrongType) }, "{rule:?} {typ:?}");
    }
    for typ in [json!(null), json!(7), json!(["JWT"])] {
        assert_eq!(under(&header_with(json!({"typ": typ}))), Err(Reject::BadHeader("typ")), "{typ}");
    }
}

#[test]
fn jw_10_kid_unknown_missing_duplicate_huge_or_nasty() {
    for kid in ["other", "../../etc/passwd", "' OR 1=1 --", "k-ES256\0", "", "K-ES256", "k-ES256 "] {
        assert_eq!(under(&header_with(json!({"kid": kid}))), Err(Reject::UnknownKey), "{kid:?}");
    }
    for kid in [json!("x".repeat(20_000)), json!(1), json!(null), json!(["k-ES256"])] {
        assert_eq!(under(&header_with(json!({"kid": kid}))), Err(Reject::BadHeader("kid")));
    }
    assert_eq!(under(&header_with(json!({"kid": "x".repeat(100_000)}))), Err(Reject::TooLong));

    let bare = r#"{"alg":"ES256","typ":"JWT"}"#;
    assert_eq!(under(bare), Ok(()), "one key fits the algorithm");
    let honest = key(Algorithm::ES256);
    let (second, _) = make(Algorithm::ES256, "second", 1);
    let (same_kid, _) = make(Algorithm::ES256, honest.kid(), 1);
    let rules = crate::common::profile(&[Algorithm::ES256]);
    let judged = |head: &str, keys| {
        let token = forge(honest, head, &claims().to_string());
        jwt::verify(&token, &keys, &rules, NOW).map(|_| ())
    };
    let named = header(honest);
    assert_eq!(judged(bare, keys_of(&[honest, &second])), Err(Reject::UnknownKey), "two keys fit, none is named");
    assert_eq!(judged(&named, keys_of(&[honest, &second])), Ok(()));
    assert_eq!(judged(bare, keys_of(&[honest, key(Algorithm::RS256)])), Ok(()), "the other has another algorithm");
    assert_eq!(judged(&named, keys_of(&[honest, &same_kid])), Err(Reject::UnknownKey), "two keys share the kid");
    assert_eq!(judged(&named, keys_of(&[])), Err(Reject::UnknownKey));
}

#[test]
fn jw_11_a_key_in_the_header_is_refused_whoever_signed() {
    let (attacker, _) = make(Algorithm::ES256, "k-ES256", 9);
    let embedded = [
        ("jwk", json!(attacker.public_jwk().unwrap())),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
    ];
    for (name, value) in embedded {
        let mut head = serde_json::Map::new();
        head.insert(name.to_owned(), value);
        let head = header_with(Value::Object(head));
        for signer in [&attacker, key(Algorithm::ES256)] {
            let refused = judge_token(&forge(signer, &head, &claims().to_string())).unwrap_err();
            assert_eq!(refused, Reject::EmbeddedKey(name));
        }
    }
    let refused = judge_token(&forge(&attacker, &header_with(json!({})), &claims().to_string()));
    assert_eq!(refused.unwrap_err(), Reject::BadSignature, "and without the hint the key is simply wrong");
}

#[test]
fn jw_12_crit_and_b64_are_refused() {
    for crit in [json!(["exp"]), json!([]), json!(["b64"]), json!(null), json!("x")] {
        assert_eq!(under(&header_with(json!({"crit": crit}))), Err(Reject::Critical), "{crit}");
    }
    for b64 in [json!(false), json!(true), json!("x")] {
        assert_eq!(under(&header_with(json!({"b64": b64}))), Err(Reject::UnencodedPayload), "{b64}");
    }
    assert_eq!(under(&header_with(json!({"unknown": 1}))), Ok(()), "other unknown members are ignored, RFC 7515 §4");
}

#[test]
fn jw_14_jw_15_jw_16_encrypted_or_compressed_is_not_signed() {
    let part = "AAAA";
    let jwe = format!("{}.{part}.{part}.{part}.{part}", b64(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#));
    assert_eq!(judge_token(&jwe).unwrap_err(), Reject::NotThreeParts);
    assert_eq!(under(&header_with(json!({"enc": "A256GCM"}))), Err(Reject::Encrypted));
    let pbes2 = json!({"alg": "PBES2-HS256+A128KW", "p2c": 2_147_483_647, "p2s": "AAAA"});
    assert_eq!(under(&header_with(pbes2)), Err(Reject::AlgorithmNotAllowed));
    assert_eq!(under(&header_with(json!({"zip": "DEF"}))), Err(Reject::Compressed));
    let jws_inside = forge(key(Algorithm::ES256), &header_with(json!({"cty": "JWT"})), "\"a.b.c\"");
    assert_eq!(judge_token(&jws_inside).unwrap_err(), Reject::NotJsonObject);
}

#[test]
fn jw_17_a_million_dots_or_a_megabyte_header() {
    assert_eq!(judge_token(&".".repeat(1_000_000)).unwrap_err(), Reject::TooLong);
    let wide = Limits { max_bytes: 10_000_000, ..Limits::default() };
    assert_eq!(jws::parse(&".".repeat(1_000_000), &wide).unwrap_err(), Reject::NotThreeParts);
    assert_eq!(under(&header_with(json!({"pad": "x".repeat(1_000_000)}))), Err(Reject::TooLong));
    let token = forge(key(Algorithm::ES256), &header_with(json!({})), &claims().to_string());
    let exact = Limits { max_bytes: token.len(), ..Limits::default() };
    assert!(jws::parse(&token, &exact).is_ok());
    let short = Limits { max_bytes: token.len() - 1, ..Limits::default() };
    assert_eq!(jws::parse(&token, &short).unwrap_err(), Reject::TooLong);
}

#[test]
fn jw_18_signature_removed_parts_cut_or_added() {
    let good = forge(key(Algorithm::ES256), &header_with(json!({})), &claims().to_string());
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = unsigned.split_once('.').unwrap();
    let cases = [
        (format!("{unsigned}."), Reject::Unsigned),
        (unsigned.to_owned(), Reject::NotThreeParts),
        (head.to_owned(), Reject::NotThreeParts),
        (String::new(), Reject::NotThreeParts),
        (format!("{good}.{signature}"), Reject::NotThreeParts),
        (format!("{good}."), Reject::NotThreeParts),
        (format!(".{body}.{signature}"), Reject::NotJsonObject),
        (format!("{head}..{signature}"), Reject::NotJsonObject),
        (json!({"protected": head, "payload": body, "signature": signature}).to_string(), Reject::NotThreeParts),
        (
            json!({"payload": body, "signatures": [{"protected": head, "signature": signature}]}).to_string(),
            Reject::NotThreeParts,
        ),
        (format!("{head}.{body}.{}", &signature[..signature.len() - 2]), Reject::BadSignature),
    ];
    for (token, reason) in cases {
        assert_eq!(judge_token(&token).unwrap_err(), reason, "{token}");
    }
}

type Spoil = fn(&str) -> String;

#[test]
fn jw_21_only_canonical_base64url() {
    let good = forge(key(Algorithm::ES256), &header_with(json!({})), &claims().to_string());
    let parts: Vec<&str> = good.split('.').collect();
    let spoil: [(&str, Spoil); 9] = [
        ("padding", |p| format!("{p}=")),
        ("double padding", |p| format!("{p}==")),
        ("leading blank", |p| format!(" {p}")),
        ("trailing blank", |p| format!("{p} ")),
        ("line end", |p| format!("{p}\n")),
        ("plus", |p| format!("+{}", &p[1..])),
        ("slash", |p| format!("/{}", &p[1..])),
        ("illegal", |p| format!("!{}", &p[1..])),
        ("not ascii", |p| format!("é{}", &p[1..])),
    ];
    for at in 0..3 {
        for (what, change) in &spoil {
            let mut changed: Vec<String> = parts.iter().map(ToString::to_string).collect();
            changed[at] = change(parts[at]);
            assert_eq!(judge_token(&changed.join(".")).unwrap_err(), Reject::BadBase64, "{what} in part {at}");
        }
    }
    // A 64-byte signature leaves four unused bits in its last character; setting one respells the same bytes.
    let respelled = format!("{}{}", &good[..good.len() - 1], next(good.as_bytes()[good.len() - 1]));
    assert_eq!(judge_token(&respelled).unwrap_err(), Reject::BadBase64, "trailing bits");
}

fn next(symbol: u8) -> char {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.iter().position(|s| *s == symbol).unwrap();
    char::from(alphabet[at + 1])
}

#[test]
fn jw_22_duplicate_members_anywhere() {
    let key = key(Algorithm::ES256);
    let head = header(key);
    let tail = &head[1..];
    for doubled in [r#""alg":"ES256","#, r#""kid":"evil","#, r#""\u0061lg":"none","#] {
        assert_eq!(under(&format!("{{{doubled}{tail}")), Err(Reject::DuplicateMember), "{doubled}");
    }
    assert_eq!(under(&format!(r#"{{"x":{{"a":1,"a":2}},{tail}"#)), Err(Reject::DuplicateMember));
    let body = claims().to_string();
    for doubled in [
        r#""sub":"admin","#,
        r#""s\u0075b":"admin","#,
        r#""x":{"roles":[],"roles":["admin"]},"#,
        r#""x":[[{"a":1,"a":1}]],"#,
    ] {
        let token = forge(key, &head, &format!("{{{doubled}{}", &body[1..]));
        assert_eq!(judge_token(&token).unwrap_err(), Reject::DuplicateMember, "{doubled}");
    }
    let twin = forge(key, &head, &format!(r#"{{"x":{{"a":1}},"y":{{"a":1}},{}"#, &body[1..]));
    assert!(judge_token(&twin).is_ok(), "the same name in different objects is honest");
}

#[test]
fn jw_30_deep_nesting() {
    let key = key(Algorithm::ES256);
    let body = claims().to_string();
    let nested = |depth: usize| format!(r#"{{"x":{}{},{}"#, "[".repeat(depth), "]".repeat(depth), &body[1..]);
    let limits = Limits { max_bytes: 1_000_000, max_depth: 32 };
    let rules = crate::common::profile(&[Algorithm::ES256]).with_limits(limits);
    for (depth, good) in [(31, true), (32, false), (127, false), (128, false), (100_000, false)] {
        let token = forge(key, &header(key), &nested(depth));
        let judged = jwt::verify(&token, &keys_of(&[key]), &rules, NOW);
        assert_eq!(judged.is_ok(), good, "{depth}");
    }
    let unbounded = Limits { max_bytes: 1_000_000, max_depth: usize::MAX };
    let token = forge(key, &header(key), &nested(100_000));
    assert!(jws::parse(&token, &unbounded).is_err(), "no setting allows a stack overflow");
}

#[test]
fn jw_31_payloads_that_are_no_object() {
    for body in
        ["", "null", "[]", "1", "\"x\"", "{", "{}x", "{\"a\":1e400}", "{\"a\":NaN}", "\u{feff}{}", "{\"a\":\"\u{1}\"}"]
    {
        let token = forge(key(Algorithm::ES256), &header_with(json!({})), body);
        assert_eq!(judge_token(&token).unwrap_err(), Reject::NotJsonObject, "{body}");
    }
}
