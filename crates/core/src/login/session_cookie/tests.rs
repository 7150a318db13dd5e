//! Tests of the single sign-on cookie.

use portcullis_jose::{Algorithm, KeySet, SigningKey, jws};
use serde_json::json;

use super::*;
use crate::claims::fixture::{self, ISSUER};

fn key(fill: u8) -> SigningKey {
    SigningKey::from_hmac(Algorithm::HS512, "k1", &[fill; 64]).unwrap()
}

fn identity(issued_at: i64) -> Identity {
    Identity { session: "session-1".into(), user: "user-alice".into(), issued_at, state_checker: "sc".to_owned() }
}

fn cookie(change: impl FnOnce(&mut serde_json::Map<String, Value>), signer: &SigningKey) -> String {
    let mut claims = claims(&identity(1000), ISSUER, "jti-1", 2000);
    change(claims.as_object_mut().unwrap());
    jws::encode(signer, Some("JWT"), claims.to_string().as_bytes()).unwrap()
}

#[test]
fn se_13_se_15_only_our_own_cookie_of_this_realm_is_read() {
    let keys = KeySet::new([key(7).verifying_key().clone()]);
    let good = cookie(|_| (), &key(7));
    assert_eq!(read(&good, &keys, ISSUER, 1500), Some(identity(1000)));
    assert_eq!(read(&good, &keys, ISSUER, 2000), None);
    assert_eq!(read(&good, &keys, "https://login.test/realms/other", 1500), None);
    assert_eq!(read(&good[..good.len() - 3], &keys, ISSUER, 1500), None);
    assert_eq!(read(&cookie(|_| (), &key(8)), &keys, ISSUER, 1500), None);
    for (name, value) in [("typ", json!("Refresh")), ("sid", json!(null)), ("sub", json!(7)), ("exp", json!(null))] {
        let bad = cookie(|claims| _ = claims.insert(name.to_owned(), value), &key(7));
        assert_eq!(read(&bad, &keys, ISSUER, 1500), None, "{name}");
    }
}

#[test]
fn se_15_se_34_a_cookie_is_worth_what_its_session_and_account_are() {
    let settings = json!({ "ssoSessionIdleTimeout": 1800, "ssoSessionMaxLifespan": 36_000 });
    let realm = fixture::realm(settings);
    let (session, user) = (fixture::session(1000), fixture::user());
    let ok = |identity: &Identity, session: &UserSession, user: &User, realm: &Realm, now| {
        accepts(identity, session, &[], user, realm, now)
    };
    let mine = identity(1000);
    assert!(ok(&mine, &session, &user, &realm, 2799));
    assert!(!ok(&mine, &session, &user, &realm, 2800));
    let child = ClientSession {
        session: session.id.clone(),
        client: "uuid-app".into(),
        started: 1000,
        grant: fixture::grant("openid"),
        last_refresh: 2700,
    };
    assert!(accepts(&mine, &session, &[child], &user, &realm, 4000));
    let changed_user = |change: fn(&mut User)| {
        let mut user = user.clone();
        change(&mut user);
        ok(&mine, &session, &user, &realm, 1001)
    };
    assert!(!changed_user(|u| u.enabled = false));
    assert!(!changed_user(|u| u.id = "user-bob".into()));
    assert!(!changed_user(|u| u.not_before = 1001));
    let changed_session = |change: fn(&mut UserSession)| {
        let mut session = session.clone();
        change(&mut session);
        ok(&mine, &session, &user, &realm, 1001)
    };
    assert!(!changed_session(|s| s.user = "user-bob".into()));
    assert!(!changed_session(|s| s.offline = true));
    assert!(!changed_session(|s| s.remember_me = true), "the realm does not remember any more");
    let mut cut = realm.clone();
    cut.settings.not_before = 1001;
    assert!(!ok(&mine, &session, &user, &cut, 1002));
    // Each of the two dates counts: the session's, however young its cookie is, and the cookie's.
    let younger = UserSession { started: 1001, ..session.clone() };
    assert!(!ok(&identity(1001), &session, &user, &cut, 1002), "a session from before, a cookie from after");
    assert!(!ok(&mine, &younger, &user, &cut, 1002), "a cookie from before, a session from after");
    assert!(ok(&identity(1001), &younger, &user, &cut, 1002), "the honest twin");
    let mut remembering = realm.clone();
    remembering.settings.remember_me = true;
    let long = UserSession { remember_me: true, ..session };
    assert!(ok(&mine, &long, &user, &remembering, 1002) && !ok(&mine, &long, &user, &realm, 1002));
}

#[test]
fn the_session_digest_is_keycloaks() {
    // SHA-256 of "abc" (FIPS 180-4) in base64url.
    assert_eq!(session_digest(&"abc".into()), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
}
