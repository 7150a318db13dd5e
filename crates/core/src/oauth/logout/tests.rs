//! Tests of the logout's law.

use portcullis_jose::{Algorithm, KeySet, SigningKey, jws};
use serde_json::{Value, json};

use super::*;
use crate::claims::fixture::{self, ISSUER};
use crate::role::Roles;

const BASE: &str = "https://login.test";

fn key(fill: u8) -> SigningKey {
    SigningKey::from_hmac(Algorithm::HS512, "k1", &[fill; 64]).unwrap()
}

fn keys() -> KeySet {
    KeySet::new([key(7).verifying_key().clone()])
}

fn token(claims: &Value, fill: u8) -> String {
    jws::encode(&key(fill), Some("JWT"), claims.to_string().as_bytes()).unwrap()
}

fn id_token() -> Value {
    json!({ "iss": ISSUER, "typ": "ID", "azp": "app", "aud": "app", "sub": "user-alice", "sid": "s1", "exp": 1, "iat": 0 })
}

fn records() -> RealmRecords {
    let registered = |id: &str, uris: Option<&str>| {
        let mut client = fixture::client(id, json!({ "publicClient": true }));
        if let Some(uris) = uris {
            client.settings.attributes.insert(POST_LOGOUT_URIS.to_owned(), uris.to_owned());
        }
        client
    };
    let mut old = registered("old", Some("https://app.test/bye"));
    old.settings.attributes.insert(OLD_PARAMETER.to_owned(), "true".to_owned());
    let mut off = registered("off", Some("+"));
    off.settings.enabled = false;
    RealmRecords::new(
        fixture::realm(json!({})),
        vec![],
        Roles::default(),
        crate::group::Groups::default(),
        vec![],
        vec![
            registered("app", Some("https://app.test/bye##https://app.test/out/*")),
            registered("plus", Some("+")),
            registered("minus", Some("-")),
            registered("bare", None),
            old,
            off,
        ],
    )
}

fn judge(pairs: &[(&str, &str)]) -> Result<(Option<String>, Option<String>), Refusal> {
    let records = records();
    let pairs = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let valid = decide(&records, &keys(), ISSUER, BASE, &Params::from_pairs(pairs))?;
    let redirect = valid.redirect.as_ref().map(|r| r.as_str().to_owned());
    Ok((valid.client.map(|c| c.client_id.clone()), redirect))
}

#[test]
fn addresses_after_logout_are_those_registered_for_it() {
    let uri = "post_logout_redirect_uri";
    let bye = "https://app.test/bye";
    for (client, address, ok) in [
        ("app", bye, true),
        ("app", "https://app.test/out/x", true),
        ("app", "https://app.test/cb", false),
        ("app", "https://evil.test/bye", false),
        ("plus", "https://app.test/cb", true),
        ("plus", bye, false),
        ("minus", bye, false),
        ("bare", "https://app.test/cb", false),
        ("off", "https://app.test/cb", false),
        ("nobody", bye, false),
    ] {
        let found = judge(&[("client_id", client), (uri, address)]);
        let expected =
            if ok { Ok((Some(client.to_owned()), Some(address.to_owned()))) } else { Err(Refusal::InvalidRedirect) };
        assert_eq!(found, expected, "{client} {address}");
    }
    assert_eq!(judge(&[(uri, bye)]), Err(Refusal::MissingHint));
    // Without a name it stands for the one client that takes it and registered it.
    assert_eq!(judge(&[("redirect_uri", bye)]), Ok((Some("old".to_owned()), Some(bye.to_owned()))));
    assert_eq!(judge(&[("redirect_uri", "https://evil.test/")]), Ok((None, None)));
    assert_eq!(judge(&[("redirect_uri", bye), ("client_id", "nobody")]), Ok((None, None)));
    assert_eq!(judge(&[("redirect_uri", "https://evil.test/"), ("client_id", "old")]), Err(Refusal::InvalidRedirect));
    assert_eq!(judge(&[("redirect_uri", bye), ("redirect_uri", bye), ("client_id", "old")]), Err(Refusal::Repeated));
    assert_eq!(judge(&[("redirect_uri", bye), ("client_id", "app")]), Ok((Some("app".to_owned()), None)));
    let old = judge(&[("redirect_uri", bye), ("client_id", "old")]);
    assert_eq!(old, Ok((Some("old".to_owned()), Some(bye.to_owned()))));
    assert_eq!(judge(&[("client_id", "app"), ("client_id", "plus")]), Err(Refusal::Repeated));
}

#[test]
fn a_hint_is_an_id_token_of_ours_of_any_age() {
    assert_eq!(judge(&[("id_token_hint", &token(&id_token(), 7))]), Ok((Some("app".to_owned()), None)));
    let with = |name: &str, value: Value| {
        let mut claims = id_token();
        claims[name] = value;
        judge(&[("id_token_hint", &token(&claims, 7)), ("client_id", "app")])
    };
    for (name, value) in
        [("iss", json!("https://evil.test")), ("typ", json!("Bearer")), ("azp", json!("plus")), ("sub", json!(null))]
    {
        assert_eq!(with(name, value), Err(Refusal::InvalidHint), "{name}");
    }
    assert_eq!(judge(&[("id_token_hint", &token(&id_token(), 8))]), Err(Refusal::InvalidHint));
    assert_eq!(judge(&[("id_token_hint", "abc")]), Err(Refusal::InvalidHint));
}

#[test]
fn the_person_is_asked_unless_the_hint_is_of_this_session() {
    let records = records();
    let hint = |sid: &str| {
        Some(Hint { session: Some(sid.into()), user: "user-alice".to_owned(), client_id: "app".to_owned() })
    };
    let client = records.client("app");
    let redirect = client.and_then(|c| post_logout_redirect(&records, c, BASE, "https://app.test/bye"));
    let ask_by = |old_parameter, hint, redirect, browser: Option<&str>| {
        let valid = ValidLogout { client, hint, redirect, old_parameter, state: None, ui_locales: vec![] };
        consent(&valid, browser.map(SessionId::new).as_ref())
    };
    let ask = |hint, redirect, browser| ask_by(false, hint, redirect, browser);
    assert_eq!(ask_by(true, None, redirect.clone(), None), Consent::Needed);
    assert_eq!(ask_by(true, hint("s1"), redirect.clone(), Some("s1")), Consent::Given);
    assert_eq!(ask(hint("s1"), None, Some("s1")), Consent::Given);
    assert_eq!(ask(hint("s1"), None, Some("s2")), Consent::Needed);
    assert_eq!(ask(hint("s1"), redirect.clone(), None), Consent::Given);
    assert_eq!(ask(None, redirect.clone(), Some("s1")), Consent::Needed);
    assert_eq!(ask(None, redirect, None), Consent::Needless);
    assert_eq!(ask(None, None, None), Consent::Needed);
}

#[test]
fn refresh_tokens_are_read_whatever_their_age() {
    let claims = |typ: &str| json!({ "iss": ISSUER, "typ": typ, "azp": "app", "sid": "s1", "exp": 1 });
    let read = |claims: &Value, fill| read_refresh_token(&token(claims, fill), &keys(), ISSUER);
    assert_eq!(read(&claims("Refresh"), 7).map(|t| t.client_id).as_deref(), Some("app"));
    assert!(read(&claims("Offline"), 7).is_some());
    for typ in ["Bearer", "ID", "Serialized-ID"] {
        assert_eq!(read(&claims(typ), 7), None);
    }
    assert_eq!(read(&claims("Refresh"), 8), None);
    assert_eq!(read_refresh_token("abc", &keys(), ISSUER), None);
}
