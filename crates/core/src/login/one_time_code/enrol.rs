//! A new device: its seed, what an authenticator app is told, and the credential it becomes once it showed a code.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{KIND, Policy, base32, judge};
use crate::entropy::Entropy;
use crate::ids::{CredentialId, UserId};
use crate::plan::Write;
use crate::realm::Realm;
use crate::secret::Secret;
use crate::time::Now;
use crate::user::{Credential, User};

/// Bytes of a seed: as many as SHA-1 gives (RFC 4226 §4 R6).
const SEED_BYTES: usize = 20;

/// A new seed, in base32.
#[must_use]
pub fn new_seed(entropy: &dyn Entropy) -> Secret {
    let mut bytes = [0; SEED_BYTES];
    entropy.fill(&mut bytes);
    Secret::new(base32::encode(&bytes))
}

/// The settings of new devices, odd ones replaced by Keycloak's defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// By a counter; else by the clock.
    pub hotp: bool,
    /// `HmacSHA1`, `HmacSHA256` or `HmacSHA512`.
    pub algorithm: &'static str,
    /// 6 or 8.
    pub digits: i64,
    /// Seconds of a step.
    pub period: i64,
    /// The first counter.
    pub counter: i64,
}

impl Terms {
    /// Of a realm's policy.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let algorithm = match policy.algorithm.as_str() {
            "HmacSHA256" => "HmacSHA256",
            "HmacSHA512" => "HmacSHA512",
            _ => "HmacSHA1",
        };
        Self {
            hotp: policy.kind == "hotp",
            algorithm,
            digits: if policy.digits == 8 { 8 } else { 6 },
            period: Some(policy.period).filter(|p| (1..=3600).contains(p)).unwrap_or(30),
            counter: policy.initial_counter.max(0),
        }
    }

    const fn sub_type(self) -> &'static str {
        if self.hotp { "hotp" } else { "totp" }
    }

    fn data(self) -> Value {
        json!({
            "subType": self.sub_type(),
            "digits": self.digits,
            "counter": self.counter,
            "period": self.period,
            "algorithm": self.algorithm,
            "secretEncoding": "BASE32",
        })
    }
}

/// What the picture says to the app (the Key Uri Format of Google Authenticator, as Keycloak 26.4 writes it).
#[must_use]
pub fn uri(realm: &Realm, user: &User, seed: &Secret) -> Secret {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let terms = Terms::of(&realm.settings.otp);
    let shown = realm.settings.display_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&realm.name);
    let (issuer, account) = (encoded(shown), encoded(&user.username));
    let moves = if terms.hotp { format!("counter={}", terms.counter) } else { format!("period={}", terms.period) };
    let algorithm = terms.algorithm.trim_start_matches("Hmac");
    Secret::new(format!(
        "otpauth://{}/{issuer}:{account}?secret={}&digits={}&algorithm={algorithm}&issuer={issuer}&{moves}",
        terms.sub_type(),
        seed.expose(),
        terms.digits,
    ))
}

/// A device that asks to be kept.
#[derive(Clone, Debug)]
pub struct NewDevice<'a> {
    /// The credential's id.
    pub id: CredentialId,
    /// What its owner calls it.
    pub label: &'a str,
    /// In base32.
    pub seed: &'a Secret,
    /// Its place among the user's credentials.
    pub priority: i64,
}

/// What is written for a device that showed a right code: the credential, and that the code is used. `None` for a wrong one.
#[must_use]
pub fn enrol(realm: &Realm, user: &UserId, device: NewDevice<'_>, code: &str, now: Now) -> Option<Vec<Write>> {
    let credential = Credential {
        id: device.id,
        kind: KIND.to_owned(),
        user_label: Some(device.label.to_owned()).filter(|label| !label.is_empty()),
        created_date: now.millis(),
        priority: device.priority,
        secret_data: Secret::new(json!({ "value": device.seed.expose() }).to_string()),
        credential_data: Terms::of(&realm.settings.otp).data().to_string(),
    };
    let add = |credential| Write::AddCredential(realm.id.clone(), user.clone(), credential);
    let used = judge(realm, user, &credential, code, now.secs())?;
    match used.into_iter().next() {
        Some(Write::ReplaceCredential { to, .. }) => Some(vec![add(to)]),
        spent => Some(std::iter::once(add(credential)).chain(spent).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::fixture::{self, Counter};
    use crate::login::one_time_code::Generator;

    fn enrolled(realm: &Realm, step: i64) -> Option<Vec<Write>> {
        let seed = new_seed(&Counter::default());
        let secret = json!({ "value": seed.expose() }).to_string();
        let code = Generator::parse(&secret, &Terms::of(&realm.settings.otp).data().to_string()).unwrap().code(step);
        let device = NewDevice { id: "otp-9".into(), label: "Phone", seed: &seed, priority: 20 };
        enrol(realm, &"user-alice".into(), device, &code, Now::from_secs(3000))
    }

    #[test]
    fn mf_03_the_code_that_enrols_is_used() {
        let totp = fixture::realm(json!({}));
        match enrolled(&totp, 100).unwrap().as_slice() {
            [Write::AddCredential(_, _, kept), Write::Spend { .. }] => {
                assert_eq!((kept.user_label.as_deref(), kept.priority), (Some("Phone"), 20));
                assert!(Generator::read(kept).is_some());
            }
            other => panic!("{other:?}"),
        }
        assert!(enrolled(&totp, 105).is_none());
        let hotp =
            fixture::realm(json!({ "otpPolicyType": "hotp", "otpPolicyInitialCounter": 4, "otpPolicyDigits": 8 }));
        match enrolled(&hotp, 4).unwrap().as_slice() {
            [Write::AddCredential(_, _, kept)] => {
                let data: Value = serde_json::from_str(&kept.credential_data).unwrap();
                assert_eq!((data["counter"].as_i64(), data["digits"].as_i64()), (Some(5), Some(8)));
            }
            other => panic!("{other:?}"),
        }
        assert!(enrolled(&hotp, 3).is_none());
    }

    #[test]
    fn an_app_is_told_the_realms_terms() {
        let seed = Secret::new("GEZDGNBV");
        let mut alice = fixture::user();
        alice.username = "alice@shop".to_owned();
        let plain = uri(&fixture::realm(json!({ "displayName": "A & B" })), &alice, &seed);
        let expected = "otpauth://totp/A%20%26%20B:alice%40shop?secret=GEZDGNBV&digits=6&algorithm=SHA1&issuer=A%20%26%20B&period=30";
        assert_eq!(plain.expose(), expected);
        let other = fixture::realm(
            json!({ "otpPolicyType": "hotp", "otpPolicyAlgorithm": "HmacSHA512", "otpPolicyDigits": 7 }),
        );
        let expected =
            "otpauth://hotp/acme:alice%40shop?secret=GEZDGNBV&digits=6&algorithm=SHA512&issuer=acme&counter=0";
        assert_eq!(uri(&other, &alice, &seed).expose(), expected);
    }

    #[test]
    fn rfc_4226_4_r6_a_seed_has_160_bits_and_never_repeats() {
        let entropy = Counter::default();
        let (one, two) = (new_seed(&entropy), new_seed(&entropy));
        assert_ne!(one, two);
        assert_eq!(base32::decode(one.expose()).map(|bytes| bytes.len()), Some(20));
        assert_eq!(base32::encode(&base32::decode("GEZDGNBVGY3TQOJQ").unwrap()), "GEZDGNBVGY3TQOJQ");
        assert_eq!(format!("{one:?}"), "Secret(..)");
    }
}
