//! Logout tokens as their receiver reads them (OIDC Back-Channel Logout 1.0 §2.4 to §2.6).
//!
//! **Owns** the form that carries one, every check of the token, the proof that they passed ([`LogoutToken`]). **Does not own** key
//! fetching ([`crate::IssuerKeys`]), the memory of `jti`, and what a logout ends. **Flow** form -> [`of_form`] -> [`LogoutToken::verify`].

use portcullis_jose::{Algorithm, AudienceRule, KeySet, Profile, Reject, TypeRule, Verified, jwt};
use serde_json::Value;
use url::form_urlencoded;

/// The member of `events` that makes a token a logout token (Back-Channel Logout §2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Most seconds between `iat` and `exp`: §4 asks for two minutes at most, and Keycloak 26.4 gives two.
const LONGEST_LIFE: i64 = 600;

/// Whose logout tokens count here: one issuer's, for certain clients.
#[derive(Clone, Debug)]
pub struct LogoutRules(Profile);

impl LogoutRules {
    /// Tokens of `issuer`, spelled exactly as in `iss`, that name one of `clients` in `aud`; header `typ` is `logout+jwt`, signed by an
    /// asymmetric key of the issuer.
    #[must_use]
    pub fn new<I: Into<String>>(issuer: impl Into<String>, clients: impl IntoIterator<Item = I>) -> Self {
        let asymmetric: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|a| !a.is_symmetric()).collect();
        let kind = TypeRule::one_of(&["logout+jwt"]);
        let audience = AudienceRule::Contains(clients.into_iter().map(Into::into).collect());
        let profile = Profile::new(&asymmetric, kind, issuer, audience);
        Self(profile.max_lifetime(LONGEST_LIFE).require(&["jti", "events"]))
    }

    /// Seconds that the issuer's clock may differ, 0 to 60. Default 10.
    #[must_use]
    pub fn leeway(mut self, seconds: i64) -> Self {
        self.0 = self.0.leeway(seconds);
        self
    }

    /// The issuer expected.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.0.issuer()
    }

    /// The bounds on a token.
    #[must_use]
    pub fn limits(&self) -> &portcullis_jose::Limits {
        self.0.limits()
    }
}

/// Why a logout token is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("expected {}, got {}", self.facts().0, self.facts().1)]
pub enum LogoutFault {
    /// It breaks a rule that every token must keep: signature, type, issuer, audience, times.
    Token(Reject),
    /// Its claim `typ` names another kind (Keycloak writes `Logout`).
    OtherKind,
    /// `events` is no object, or lacks the back-channel logout member.
    NoLogoutEvent,
    /// It has a `nonce`: an ID token may be on its way as a logout token.
    Nonce,
    /// It names neither `sub` nor `sid`.
    Nobody,
}

impl LogoutFault {
    /// Its name in snake case, for metrics and records.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Token(reject) => reject.name(),
            Self::OtherKind => "not_a_logout_token",
            Self::NoLogoutEvent => "no_logout_event",
            Self::Nonce => "nonce_in_logout_token",
            Self::Nobody => "logout_of_nobody",
        }
    }

    /// What was expected and what came instead; nothing of the token is in it.
    #[must_use]
    pub fn facts(&self) -> (String, &'static str) {
        let (expected, got) = match self {
            Self::Token(reject) => return reject.facts(),
            Self::OtherKind => ("claim typ Logout or none", "another kind of token"),
            Self::NoLogoutEvent => ("the back-channel logout member in events", "events without it"),
            Self::Nonce => ("no nonce", "one"),
            Self::Nobody => ("sub, sid or both", "neither"),
        };
        (expected.to_owned(), got)
    }
}

/// A logout token that passed every check of §2.6. Whether its `jti` came before is the receiver's to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogoutToken {
    id: String,
    subject: Option<String>,
    session: Option<String>,
    issued_at: i64,
    expires_at: i64,
}

impl LogoutToken {
    /// Verifies a token. `now` is epoch seconds.
    ///
    /// # Errors
    /// The first [`LogoutFault`]; claims are looked at only once the signature has verified.
    pub fn verify(token: &str, keys: &KeySet, rules: &LogoutRules, now: i64) -> Result<Self, LogoutFault> {
        let verified = jwt::verify(token, keys, &rules.0, now).map_err(LogoutFault::Token)?;
        if verified.get("typ").is_some_and(|kind| kind.as_str() != Some("Logout")) {
            return Err(LogoutFault::OtherKind);
        }
        let event = verified.get("events").and_then(|events| events.get(EVENT));
        if !event.is_some_and(Value::is_object) {
            return Err(LogoutFault::NoLogoutEvent);
        }
        if verified.get("nonce").is_some() {
            return Err(LogoutFault::Nonce);
        }
        let (subject, session) = (name(&verified, "sub")?, name(&verified, "sid")?);
        if subject.is_none() && session.is_none() {
            return Err(LogoutFault::Nobody);
        }
        let missing = |claim| LogoutFault::Token(Reject::MissingClaim(claim));
        Ok(Self {
            id: name(&verified, "jti")?.ok_or(missing("jti"))?,
            subject,
            session,
            issued_at: verified.iat().ok_or(missing("iat"))?,
            expires_at: verified.exp().ok_or(missing("exp"))?,
        })
    }

    /// `jti`
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `sub`
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// `sid`: only this session of the subject ended.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// `iat`, seconds, by the issuer's clock.
    #[must_use]
    pub fn issued_at(&self) -> i64 {
        self.issued_at
    }

    /// `exp`, seconds: until then (and the leeway) its `jti` has to be remembered.
    #[must_use]
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }
}

/// A name is text with something in it, or absent.
fn name(token: &Verified, claim: &'static str) -> Result<Option<String>, LogoutFault> {
    match token.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(LogoutFault::Token(Reject::BadClaimType(claim))),
    }
}

/// The one `logout_token` of a form (§2.5); other members are not read. `None`: none, several, or no form.
#[must_use]
pub fn of_form(body: &[u8]) -> Option<String> {
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let (_, token) = tokens.next()?;
    (tokens.next().is_none() && !token.is_empty()).then(|| token.into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use portcullis_jose::{SigningKey, jws};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://id.example/realms/demo";

    fn key(kid: &str) -> &'static SigningKey {
        static KEYS: OnceLock<[SigningKey; 2]> = OnceLock::new();
        let make = |kid| SigningKey::generate(Algorithm::ES256, kid, &mut |b| b.fill(7)).unwrap().0;
        let [good, other] = KEYS.get_or_init(|| [make("good"), make("other")]);
        if kid == "good" { good } else { other }
    }

    /// A token as Keycloak 26.4 sends it, with some claims replaced; null removes.
    fn claims(changes: &Value) -> Value {
        let mut all = json!({
            "exp": NOW + 120, "iat": NOW, "jti": "j1", "iss": ISSUER, "aud": "shop-app", "sub": "u1", "typ": "Logout", "sid": "s1",
            "events": { EVENT: {} }
        });
        for (name, value) in changes.as_object().unwrap() {
            let members = all.as_object_mut().unwrap();
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        all
    }

    fn signed(typ: &str, changes: &Value) -> String {
        jws::encode(key("good"), Some(typ), claims(changes).to_string().as_bytes()).unwrap()
    }

    fn judge(token: &str) -> Result<LogoutToken, &'static str> {
        let keys = KeySet::new([key("good").verifying_key()]);
        let rules = LogoutRules::new(ISSUER, ["shop-app", "mobile"]);
        LogoutToken::verify(token, &keys, &rules, NOW).map_err(|fault| fault.name())
    }

    #[test]
    fn p_17_subject_session_or_both() {
        for (changes, subject, session) in [
            (json!({}), Some("u1"), Some("s1")),
            (json!({ "sid": null }), Some("u1"), None),
            (json!({ "sub": null }), None, Some("s1")),
            (json!({ "typ": null, "aud": ["x", "mobile"] }), Some("u1"), Some("s1")),
            (json!({ "events": { EVENT: {}, "revoke_offline_access": true } }), Some("u1"), Some("s1")),
            (json!({ "iat": NOW + 10, "exp": NOW + 130 }), Some("u1"), Some("s1")),
            (json!({ "iat": NOW - 120, "exp": NOW - 9 }), Some("u1"), Some("s1")),
        ] {
            for typ in ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt"] {
                let token = judge(&signed(typ, &changes)).unwrap();
                assert_eq!((token.subject(), token.session(), token.id()), (subject, session, "j1"), "{typ} {changes}");
            }
        }
    }

    #[test]
    fn lo_08_issuer_audience_and_times() {
        for (changes, name) in [
            (json!({ "iss": "https://id.example/realms/other" }), "wrong_issuer"),
            (json!({ "iss": format!("{ISSUER}/") }), "wrong_issuer"),
            (json!({ "iss": null }), "missing_claim"),
            (json!({ "aud": "another-app" }), "wrong_audience"),
            (json!({ "aud": [] }), "wrong_audience"),
            (json!({ "aud": null }), "wrong_audience"),
            (json!({ "aud": 1 }), "bad_claim_type"),
            (json!({ "iat": null }), "missing_claim"),
            (json!({ "iat": NOW + 11, "exp": NOW + 120 }), "issued_in_future"),
            (json!({ "exp": null }), "missing_claim"),
            (json!({ "exp": NOW - 10 }), "expired"),
            (json!({ "exp": NOW + 601 }), "lifetime_too_long"),
            (json!({ "iat": NOW - 600, "exp": NOW + 1 }), "lifetime_too_long"),
            (json!({ "exp": "later" }), "bad_claim_type"),
            (json!({ "nbf": NOW + 11 }), "not_yet_valid"),
            (json!({ "jti": null }), "missing_claim"),
            (json!({ "jti": "" }), "bad_claim_type"),
        ] {
            assert_eq!(judge(&signed("logout+jwt", &changes)), Err(name), "{changes}");
        }
    }

    #[test]
    fn lo_09_somebody_an_event_and_no_nonce() {
        for (changes, name) in [
            (json!({ "sub": null, "sid": null }), "logout_of_nobody"),
            (json!({ "sub": "", "sid": null }), "bad_claim_type"),
            (json!({ "sid": 1 }), "bad_claim_type"),
            (json!({ "sid": "" }), "bad_claim_type"),
            (json!({ "sub": ["u1"] }), "bad_claim_type"),
            (json!({ "events": null }), "missing_claim"),
            (json!({ "events": EVENT }), "no_logout_event"),
            (json!({ "events": [EVENT] }), "no_logout_event"),
            (json!({ "events": {} }), "no_logout_event"),
            (json!({ "events": { EVENT: true } }), "no_logout_event"),
            (
                json!({ "events": { "http://schemas.openid.net/secevent/risc/event-type/account-disabled": {} } }),
                "no_logout_event",
            ),
            (json!({ "nonce": "n" }), "nonce_in_logout_token"),
            (json!({ "nonce": "" }), "nonce_in_logout_token"),
            (json!({ "typ": "ID" }), "not_a_logout_token"),
            (json!({ "typ": 1 }), "not_a_logout_token"),
        ] {
            assert_eq!(judge(&signed("logout+jwt", &changes)), Err(name), "{changes}");
        }
    }

    #[test]
    fn lo_10_other_kinds_of_token() {
        for typ in ["JWT", "at+jwt", "dpop+jwt", "logout", "jwt+logout", ""] {
            assert_eq!(judge(&signed(typ, &json!({}))), Err("wrong_type"), "{typ}");
        }
        let bare = json!({ "alg": "ES256", "kid": "good" }).to_string();
        assert_eq!(
            judge(&forged(&bare, &claims(&json!({})), |input| key("good").sign(input).unwrap())),
            Err("wrong_type")
        );
        let access = json!({ "typ": "Bearer", "events": null, "azp": "shop-app" });
        assert_eq!(judge(&signed("JWT", &access)), Err("wrong_type"));
    }

    fn forged(header: &str, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        use portcullis_jose::digest::base64url_encode as part;
        let input = format!("{}.{}", part(header.as_bytes()), part(claims.to_string().as_bytes()));
        format!("{input}.{}", part(&sign(input.as_bytes())))
    }

    #[test]
    fn lo_07_nobody_else_signs() {
        let header = |alg: &str, kid: &str| json!({ "alg": alg, "typ": "logout+jwt", "kid": kid }).to_string();
        let said = claims(&json!({}));
        let good = |input: &[u8]| key("good").sign(input).unwrap();
        let public = key("good").public_jwk().unwrap().to_value().to_string();
        let mac = |input: &[u8]| portcullis_jose::digest::hmac_sha256(public.as_bytes(), input).to_vec();
        for (name, token, expected) in [
            ("honest", forged(&header("ES256", "good"), &said, good), None),
            ("none", forged(&header("none", "good"), &said, |_| Vec::new()), Some("algorithm_none")),
            ("none, signed", forged(&header("none", "good"), &said, good), Some("algorithm_none")),
            ("None", forged(&header("None", "good"), &said, good), Some("algorithm_none")),
            ("no signature", forged(&header("ES256", "good"), &said, |_| Vec::new()), Some("unsigned")),
            ("HS256 under the public key", forged(&header("HS256", "good"), &said, mac), Some("algorithm_not_allowed")),
            ("another algorithm", forged(&header("RS256", "good"), &said, good), Some("unknown_key")),
            (
                "another key",
                forged(&header("ES256", "other"), &said, |i| key("other").sign(i).unwrap()),
                Some("unknown_key"),
            ),
            (
                "another key under the name",
                forged(&header("ES256", "good"), &said, |i| key("other").sign(i).unwrap()),
                Some("bad_signature"),
            ),
        ] {
            assert_eq!(judge(&token).err(), expected, "{name}");
        }
        let embedded = json!({ "alg": "ES256", "typ": "logout+jwt", "kid": "good", "jwk": {} }).to_string();
        assert_eq!(judge(&forged(&embedded, &said, good)), Err("embedded_key"));
    }

    #[test]
    fn lo_11_one_token_in_a_form() {
        for (body, expected) in [
            ("logout_token=a.b.c", Some("a.b.c")),
            ("state=1&logout_token=a.b.c&x", Some("a.b.c")),
            ("logout%5Ftoken=a%2Eb.c", Some("a.b.c")),
            ("", None),
            ("logout_token=", None),
            ("logout_token", None),
            ("logout_token=a&logout_token=b", None),
            ("Logout_Token=a", None),
            ("{\"logout_token\":\"a.b.c\"}", None),
        ] {
            assert_eq!(of_form(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
