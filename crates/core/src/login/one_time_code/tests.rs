//! RFC vectors, and what a code may not do twice.

use serde_json::json;

use super::*;
use crate::claims::fixture;
use crate::secret::Secret;

const SEED: &str = "12345678901234567890";

fn device(id: &str, seed: &str, data: Value) -> Credential {
    Credential {
        id: id.into(),
        kind: KIND.to_owned(),
        user_label: None,
        created_date: 0,
        priority: 10,
        secret_data: Secret::new(json!({ "value": seed }).to_string()),
        credential_data: data.to_string(),
    }
}

fn judged(settings: Value, device: &Credential, code: &str, now: i64) -> Option<Vec<Write>> {
    judge(&fixture::realm(settings), &"user-alice".into(), device, code, now)
}

fn totp() -> Credential {
    device("otp-1", SEED, json!({ "subType": "totp", "digits": 8, "period": 30, "algorithm": "HmacSHA1" }))
}

/// A code of the device so many seconds from `now`.
fn code_at(device: &Credential, second: i64) -> String {
    Generator::read(device).unwrap().code(second / 30)
}

#[test]
fn rfc_4226_appendix_d_the_first_ten_codes() {
    let generator = Generator::read(&device("d", SEED, json!({ "subType": "hotp" }))).unwrap();
    let expected = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
    for (counter, code) in (0..).zip(expected) {
        assert_eq!(generator.code(counter), code, "{counter}");
    }
}

#[test]
fn rfc_6238_appendix_b_three_hashes_at_six_times() {
    let seeds = [SEED.to_owned(), SEED.repeat(2)[..32].to_owned(), SEED.repeat(4)[..64].to_owned()];
    for (time, expected) in [
        (59, ["94287082", "46119246", "90693936"]),
        (1_111_111_109, ["07081804", "68084774", "25091201"]),
        (1_111_111_111, ["14050471", "67062674", "99943326"]),
        (1_234_567_890, ["89005924", "91819424", "93441116"]),
        (2_000_000_000, ["69279037", "90698825", "38618901"]),
        (20_000_000_000, ["65353130", "77737706", "47863826"]),
    ] {
        for ((name, seed), code) in ["HmacSHA1", "HmacSHA256", "HmacSHA512"].iter().zip(&seeds).zip(expected) {
            let made = device("d", seed, json!({ "subType": "totp", "digits": 8, "period": 30, "algorithm": name }));
            assert_eq!(code_at(&made, time), code, "{name} {time}");
            assert!(judged(json!({}), &made, code, time).is_some(), "{name} {time}");
        }
    }
}

#[test]
fn rfc_4648_seeds_in_base32_are_the_same_bytes() {
    let plain = Generator::read(&device("d", SEED, json!({ "subType": "hotp" }))).unwrap();
    for text in [
        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
        "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ",
    ] {
        let data = json!({ "subType": "hotp", "secretEncoding": "BASE32" });
        assert_eq!(Generator::read(&device("d", text, data)).unwrap().code(3), plain.code(3), "{text}");
    }
    for broken in ["GEZD1", "", "====", "ÄÖ"] {
        let data = json!({ "subType": "hotp", "secretEncoding": "BASE32" });
        assert!(Generator::read(&device("d", broken, data)).is_none(), "{broken}");
    }
}

#[test]
fn mf_04_a_code_of_another_step_is_refused() {
    let (made, now) = (totp(), 1_000_000_005);
    for (settings, window) in [
        (json!({}), 1),
        (json!({ "otpPolicyLookAheadWindow": 0 }), 0),
        (json!({ "otpPolicyLookAheadWindow": 3 }), 3),
        (json!({ "otpPolicyLookAheadWindow": 9, "attributes": { "portcullis.profile": "strict" } }), 1),
    ] {
        for away in -4..=4 {
            let code = code_at(&made, now + 30 * away);
            let taken = judged(settings.clone(), &made, &code, now).is_some();
            assert_eq!(taken, away.abs() <= window, "{settings} {away}");
        }
    }
    for odd in ["", "1", "0", "00000000", " ", "٠٧٠٨١٨٠٤"] {
        assert!(judged(json!({}), &made, odd, now).is_none(), "{odd}");
    }
}

#[test]
fn mf_03_a_step_is_spent_and_each_device_has_its_own() {
    let spent = |device: &Credential, code: &str, now| match judged(json!({}), device, code, now).unwrap().as_slice() {
        [Write::Spend { kind: SpentKind::OneTimeCode, hash, expires_at, .. }] => (*hash, *expires_at),
        other => panic!("{other:?}"),
    };
    let (made, now) = (totp(), 1_000_000_005);
    let code = code_at(&made, now);
    let (first, until) = spent(&made, &code, now);
    assert_eq!(spent(&made, &code, now + 29), (first, until), "the same step later");
    assert!(judged(json!({}), &made, &code, until - 1).is_some(), "the mark outlives the window");
    assert!(judged(json!({}), &made, &code, until).is_none());
    assert_ne!(spent(&made, &code_at(&made, now + 30), now).0, first);
    let other = Credential { id: "otp-2".into(), ..made.clone() };
    assert_ne!(spent(&other, &code, now).0, first);
}

#[test]
fn mf_03_only_a_keycloak_realm_may_take_a_code_again() {
    let made = totp();
    let code = code_at(&made, 1000);
    for (settings, reusable) in [
        (json!({ "otpPolicyCodeReusable": true }), true),
        (json!({ "attributes": { "realmReusableOtpCode": "true" } }), true),
        (json!({}), false),
        (json!({ "otpPolicyCodeReusable": true, "attributes": { "portcullis.profile": "strict" } }), false),
    ] {
        let writes = judged(settings.clone(), &made, &code, 1000).unwrap();
        assert_eq!(writes.is_empty(), reusable, "{settings}");
    }
}

#[test]
fn rfc_4226_7_2_a_counter_moves_past_the_code_it_took() {
    let made = device("otp-1", SEED, json!({ "subType": "hotp", "digits": 6, "counter": 2, "algorithm": "HmacSHA1" }));
    let settings = json!({ "otpPolicyType": "hotp", "otpPolicyLookAheadWindow": 3 });
    for (counter, moved) in [(0, None), (1, None), (2, Some(3)), (4, Some(5)), (5, Some(6)), (6, None)] {
        let code = Generator::read(&made).unwrap().code(counter);
        let found = judged(settings.clone(), &made, &code, 0).map(|writes| match writes.as_slice() {
            [Write::ReplaceCredential { from, to, .. }] => {
                assert_eq!(from.credential_data, made.credential_data);
                assert_eq!(to.secret_data, made.secret_data);
                let data: Value = serde_json::from_str(&to.credential_data).unwrap();
                data["counter"].as_i64().unwrap()
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(found, moved, "{counter}");
    }
}

#[test]
fn mf_10_a_form_chooses_among_the_users_own_devices() {
    let password = Credential { kind: "password".to_owned(), ..device("pw", "x", json!({})) };
    let own = [password, totp(), device("otp-2", SEED, json!({}))];
    let chosen = |selected| choose(&own, selected).map(|c| c.id.as_str());
    assert_eq!(chosen(None), Some("otp-1"));
    assert_eq!(chosen(Some("")), Some("otp-1"));
    assert_eq!(chosen(Some("otp-2")), Some("otp-2"));
    assert_eq!(chosen(Some("otp-of-somebody-else")), None);
    assert_eq!(chosen(Some("pw")), None);
    assert!(is_owed(&own) && !is_owed(&own[..1]));
}

#[test]
fn mf_15_a_device_that_makes_no_codes_is_owed_and_takes_none() {
    for data in [
        json!({ "subType": "sms" }),
        json!({ "digits": 4 }),
        json!({ "digits": "6" }),
        json!({ "period": 0 }),
        json!({ "algorithm": "HmacMD5" }),
        json!({ "secretEncoding": "HEX" }),
        json!({ "subType": "hotp", "counter": -1 }),
    ] {
        let odd = device("otp-1", SEED, data.clone());
        assert!(is_owed(std::slice::from_ref(&odd)));
        assert!(judged(json!({}), &odd, "755224", 0).is_none(), "{data}");
    }
}
