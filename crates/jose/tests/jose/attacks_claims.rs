//! Abuse cases about claims: JW-04..08, P-04, P-13.

use portcullis_jose::{Algorithm, AudienceRule, Profile, Reject, TypeRule};
use serde_json::{Value, json};

use crate::common::{ISSUER, NOW, claims, claims_with, judge, profile};

fn plain() -> Profile {
    profile(&[Algorithm::ES256])
}

fn with_audience(rule: AudienceRule) -> Profile {
    Profile::new(&[Algorithm::ES256], TypeRule::Any, ISSUER, rule)
}

fn verdict(changes: Value, profile: &Profile) -> Result<(), Reject> {
    judge(&claims_with(changes), profile).map(|_| ())
}

#[test]
fn jw_04_a_date_of_the_wrong_type_is_never_absent() {
    let lenient = plain().exp_optional().iat_optional();
    for name in ["exp", "nbf", "iat"] {
        for wrong in [
            r#""1800000300""#,
            "null",
            "[]",
            "[1800000300]",
            "{}",
            "true",
            "-1",
            "-0.5",
            "1e300",
            "253402300800",
            "18446744073709551615",
        ] {
            let mut payload = claims();
            payload.as_object_mut().unwrap().remove(name);
            let text = format!(r#"{{"{name}":{wrong},{}"#, &payload.to_string()[1..]);
            for rules in [&plain(), &lenient] {
                assert_eq!(judge(&text, rules).unwrap_err(), Reject::BadClaimType(name), "{name} {wrong}");
            }
        }
        let text = format!(r#"{{"x":1,"{name}":1e400}}"#);
        assert_eq!(judge(&text, &plain()).unwrap_err(), Reject::NotJsonObject, "{name} 1e400");
    }
}

#[test]
fn jw_04_twin_numbers_with_a_fraction_are_dates() {
    let verified =
        judge(&claims_with(json!({"exp": 1_800_000_300.75, "iat": 1_800_000_000.0, "nbf": 0})), &plain()).unwrap();
    assert_eq!((verified.exp(), verified.iat(), verified.nbf()), (Some(NOW + 300), Some(NOW), Some(0)));
}

#[test]
fn jw_04_strings_of_the_wrong_type() {
    for name in ["iss", "sub", "jti"] {
        for wrong in [json!(1), json!(["x"]), json!({}), json!(true)] {
            let mut changes = json!({});
            changes[name] = wrong;
            assert_eq!(verdict(changes, &plain()), Err(Reject::BadClaimType(name)), "{name}");
        }
    }
    let with_null = claims().to_string().replace(r#""u1""#, "null");
    assert_eq!(judge(&with_null, &plain()).unwrap_err(), Reject::BadClaimType("sub"));
}

#[test]
fn jw_05_exp_and_iat_are_required() {
    let none = Value::Null;
    assert_eq!(verdict(json!({"exp": none}), &plain()), Err(Reject::MissingClaim("exp")));
    assert_eq!(verdict(json!({"iat": none}), &plain()), Err(Reject::MissingClaim("iat")));
    assert_eq!(verdict(json!({"iss": none}), &plain()), Err(Reject::MissingClaim("iss")));
    assert_eq!(verdict(json!({"jti": none}), &plain()), Ok(()));
    assert_eq!(verdict(json!({"jti": none}), &plain().require(&["sub", "jti"])), Err(Reject::MissingClaim("jti")));
    assert_eq!(verdict(json!({}), &plain().require(&["sub", "jti"])), Ok(()));
    assert_eq!(verdict(json!({"exp": none}), &plain().exp_optional()), Ok(()));
    assert_eq!(verdict(json!({"iat": none}), &plain().iat_optional()), Ok(()));
    assert_eq!(verdict(json!({"exp": NOW - 11}), &plain().exp_optional()), Err(Reject::Expired));
    assert_eq!(verdict(json!({"iat": NOW + 11}), &plain().iat_optional()), Err(Reject::IssuedInFuture));
}

#[test]
fn jw_06_and_p_04_clocks_may_differ_by_ten_seconds() {
    let (strict, wide) = (plain().leeway(0), plain().leeway(1_000));
    let own_clock = plain().expiry_leeway(0);
    let cases = [
        (&plain(), json!({"exp": NOW - 9}), Ok(())),
        (&plain(), json!({"exp": NOW - 10}), Err(Reject::Expired)),
        (&strict, json!({"exp": NOW + 1}), Ok(())),
        (&strict, json!({"exp": NOW}), Err(Reject::Expired)),
        (&wide, json!({"exp": NOW - 59}), Ok(())),
        (&wide, json!({"exp": NOW - 60}), Err(Reject::Expired)),
        (&plain(), json!({"exp": 0}), Err(Reject::Expired)),
        (&own_clock, json!({"exp": NOW}), Err(Reject::Expired)),
        (&own_clock, json!({"iat": NOW + 10}), Ok(())),
        (&plain(), json!({"iat": NOW + 10}), Ok(())),
        (&plain(), json!({"iat": NOW + 11}), Err(Reject::IssuedInFuture)),
        (&plain(), json!({"nbf": NOW + 10}), Ok(())),
        (&plain(), json!({"nbf": NOW + 11}), Err(Reject::NotYetValid)),
        (&wide, json!({"nbf": NOW + 60}), Ok(())),
        (&wide, json!({"nbf": NOW + 61}), Err(Reject::NotYetValid)),
        (&wide, json!({"iat": NOW + 61}), Err(Reject::IssuedInFuture)),
        (&strict, json!({"nbf": NOW + 1}), Err(Reject::NotYetValid)),
    ];
    for (rules, changes, expected) in cases {
        assert_eq!(verdict(changes.clone(), rules), expected, "{changes}");
    }
}

#[test]
fn rfc_7523_3_a_lifetime_can_be_bounded() {
    let rules = plain().max_lifetime(300);
    assert_eq!(verdict(json!({}), &rules), Ok(()));
    assert_eq!(verdict(json!({"exp": NOW + 301}), &rules), Err(Reject::LifetimeTooLong));
    assert_eq!(verdict(json!({"iat": NOW - 1}), &rules), Err(Reject::LifetimeTooLong));
    let no_iat = json!({"iat": null, "exp": NOW + 301});
    assert_eq!(verdict(no_iat, &rules.clone().iat_optional()), Err(Reject::LifetimeTooLong));
    assert_eq!(verdict(json!({"iat": null}), &rules.iat_optional()), Ok(()));
}

#[test]
fn jw_07_and_p_13_audience() {
    let contains = with_audience(AudienceRule::contains("api"));
    let exactly = with_audience(AudienceRule::exactly("api"));
    let several = with_audience(AudienceRule::Exactly(vec!["api".into(), "https://id.example".into()]));
    let any = with_audience(AudienceRule::Any);
    let wrong = Err(Reject::WrongAudience);
    let ill_typed = Err(Reject::BadClaimType("aud"));
    // columns: contains api, exactly api, exactly one of two, any
    let cases = [
        (json!("api"), [Ok(()), Ok(()), Ok(()), Ok(())]),
        (json!(["api"]), [Ok(()), Ok(()), Ok(()), Ok(())]),
        (json!(["other", "api"]), [Ok(()), wrong, wrong, Ok(())]),
        (json!(["api", "api"]), [Ok(()), wrong, wrong, Ok(())]),
        (json!("https://id.example"), [wrong, wrong, Ok(()), Ok(())]),
        (json!(["stranger"]), [wrong, wrong, wrong, Ok(())]),
        (json!("API"), [wrong, wrong, wrong, Ok(())]),
        (json!("api "), [wrong, wrong, wrong, Ok(())]),
        (json!("api2"), [wrong, wrong, wrong, Ok(())]),
        (json!(""), [wrong, wrong, wrong, Ok(())]),
        (json!([]), [wrong, wrong, wrong, Ok(())]),
        (Value::Null, [wrong, wrong, wrong, Ok(())]),
        (json!(1), [ill_typed; 4]),
        (json!({"api": true}), [ill_typed; 4]),
        (json!(["api", 1]), [ill_typed; 4]),
        (json!(["api", ["api"]]), [ill_typed; 4]),
    ];
    for (aud, expected) in cases {
        let judged = [&contains, &exactly, &several, &any].map(|rules| verdict(json!({"aud": aud}), rules));
        assert_eq!(judged, expected, "{aud}");
    }
    let with_null = claims().to_string().replace(r#""api""#, "null");
    assert_eq!(judge(&with_null, &any).unwrap_err(), Reject::BadClaimType("aud"));
}

#[test]
fn jw_08_the_issuer_is_compared_character_by_character() {
    for issuer in [
        "https://id.example/realms/demo/",
        "https://id.example/realms/other",
        "https://ID.example/realms/demo",
        "https://id.example/realms/Demo",
        "http://id.example/realms/demo",
        "https://id.example:443/realms/demo",
        "https://id.example/realms/%64emo",
        " https://id.example/realms/demo",
        "",
    ] {
        assert_eq!(verdict(json!({"iss": issuer}), &plain()), Err(Reject::WrongIssuer), "{issuer}");
    }
    assert_eq!(verdict(json!({"iss": ISSUER}), &plain()), Ok(()));
    assert_eq!(plain().issuer(), ISSUER);
}

#[test]
fn lg_02_a_refusal_tells_nothing_of_the_token() {
    let text = verdict(json!({"iss": "https://secret.example"}), &plain()).unwrap_err();
    assert_eq!(text.expected_got(), "expected the configured issuer, character by character, got another iss");
    assert_eq!(text.name(), "wrong_issuer");
    assert_eq!(Reject::MissingClaim("exp").expected_got(), "expected claim exp, got none");
}
