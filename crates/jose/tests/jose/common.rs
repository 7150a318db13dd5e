//! Keys made once for all tests, and a forge for tokens no honest encoder would write.

use std::sync::OnceLock;

use portcullis_jose::digest::base64url_encode;
use portcullis_jose::{
    Algorithm, AudienceRule, KeySet, Profile, Reject, SecretBytes, SigningKey, TypeRule, Verified, jwt,
};
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://id.example/realms/demo";

/// A key of each kind with its stored form; `kid` is `k-` and the algorithm.
pub(crate) fn key_pair(alg: Algorithm) -> &'static (SigningKey, SecretBytes) {
    static KEYS: OnceLock<Vec<(SigningKey, SecretBytes)>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let (rsa, stored) = make(Algorithm::RS256, "k-RS256", 1);
        let mut keys = Vec::new();
        for alg in Algorithm::ALL {
            keys.push(match rsa.with_algorithm(alg) {
                Some(shared) => (shared, stored.clone()),
                None => make(alg, &format!("k-{alg}"), 1),
            });
        }
        keys
    });
    keys.iter().find(|(key, _)| key.alg() == alg).unwrap()
}

pub(crate) fn key(alg: Algorithm) -> &'static SigningKey {
    &key_pair(alg).0
}

/// A fresh key; `seed` makes Ed25519 and HMAC keys differ.
pub(crate) fn make(alg: Algorithm, kid: &str, seed: u8) -> (SigningKey, SecretBytes) {
    SigningKey::generate(alg, kid, &mut |bytes| bytes.fill(seed)).unwrap()
}

pub(crate) fn keys_of(keys: &[&SigningKey]) -> KeySet {
    KeySet::new(keys.iter().map(|key| key.verifying_key()))
}

/// Signs any header and payload text.
pub(crate) fn forge(key: &SigningKey, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", base64url_encode(header.as_bytes()), base64url_encode(payload.as_bytes()));
    let signature = key.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", base64url_encode(&signature))
}

pub(crate) fn header(key: &SigningKey) -> String {
    json!({"alg": key.alg(), "typ": "JWT", "kid": key.kid()}).to_string()
}

pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "api", "sub": "u1", "jti": "j1", "iat": NOW, "exp": NOW + 300})
}

/// The good claims with some replaced; null removes.
pub(crate) fn claims_with(changes: Value) -> String {
    let mut all = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value.clone();
        }
    }
    all.to_string()
}

pub(crate) fn profile(algorithms: &[Algorithm]) -> Profile {
    Profile::new(algorithms, TypeRule::one_of(&["JWT", "at+jwt"]), ISSUER, AudienceRule::contains("api"))
}

/// Judges claims signed with the honest ES256 key.
pub(crate) fn judge(payload: &str, profile: &Profile) -> Result<Verified, Reject> {
    let key = key(Algorithm::ES256);
    jwt::verify(&forge(key, &header(key), payload), &keys_of(&[key]), profile, NOW)
}

/// Judges a token against the honest ES256 key and the plain profile.
pub(crate) fn judge_token(token: &str) -> Result<Verified, Reject> {
    jwt::verify(token, &keys_of(&[key(Algorithm::ES256)]), &profile(&[Algorithm::ES256]), NOW)
}
