//! The targets. Each says what must hold of whatever was accepted.

use std::sync::LazyLock;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::ids::SessionId;
use portcullis_core::login::{cookie_header, flow, session_cookie};
use portcullis_core::oauth::authorize::{Refusal, decide, revalidate};
use portcullis_core::oauth::params::{MAX_PARAMETERS, Params};
use portcullis_core::oauth::redirect_uri::{MAX_LENGTH, Matching};
use portcullis_core::realm::Profile;
use portcullis_core::realm_file::{RealmFile, assemble};
use portcullis_core::records::RealmRecords;
use portcullis_core::time::Now;
use portcullis_jose::digest::base64url_encode;
use portcullis_jose::{
    Algorithm, AudienceRule, Jwk, JwkSet, KeySet, Limits, Profile as TokenProfile, TypeRule, jws, jwt,
};
use url::Url;

use crate::fixture::{BASE, Counting, HOSTS, ISSUER, NOW, client, key, realm};

static KEYCLOAK: LazyLock<RealmRecords> = LazyLock::new(|| realm(Profile::Keycloak));
static STRICT: LazyLock<RealmRecords> = LazyLock::new(|| realm(Profile::Strict));

/// Compact JWS: what parses has one spelling only, and what verifies was signed by the key.
pub fn jws(input: &[u8]) {
    let Ok(token) = str::from_utf8(input) else { return };
    let limits = Limits::default();
    let parsed = jws::parse(token, &limits);
    if let Ok(parsed) = &parsed {
        assert!(token.len() <= limits.max_bytes, "longer than the limit");
        let again = format!("{}.{}", parsed.signing_input(), base64url_encode(parsed.signature()));
        assert_eq!(again, token, "two spellings of one token");
        let (_, payload) = parsed.signing_input().split_once('.').unwrap_or_default();
        assert_eq!(base64url_encode(parsed.payload()), payload);
    }
    let key = key();
    let keys = KeySet::new([key.verifying_key()]);
    let profile = TokenProfile::new(&Algorithm::ALL, TypeRule::Any, ISSUER, AudienceRule::Any);
    if let Ok(verified) = jwt::verify(token, &keys, &profile, NOW) {
        let parsed = parsed.expect("what verifies also parses");
        let signed = key.sign(parsed.signing_input().as_bytes()).expect("HMAC signs anything");
        assert_eq!(signed, parsed.signature(), "accepted without the key's signature");
        assert_eq!((verified.iss(), verified.header().alg), (Some(ISSUER), Algorithm::HS512));
        assert!(verified.exp().is_some_and(|exp| exp + 10 > NOW), "accepted after its end");
    }
}

/// Key sets from the network: bounded, no symmetric key ever becomes usable, each key survives a round trip.
pub fn jwks(input: &[u8]) {
    let Ok(set) = JwkSet::parse(input) else { return };
    assert!(input.len() <= JwkSet::MAX_BYTES && set.keys.len() <= JwkSet::MAX_KEYS);
    for key in KeySet::from_jwks(&set).keys() {
        assert!(!key.alg().is_symmetric(), "a shared secret from the network");
    }
    for jwk in &set.keys {
        let again = Jwk::from_value(&jwk.to_value()).expect("what was read can be read again");
        assert_eq!(&again, jwk);
        assert_eq!(again.thumbprint(), jwk.thumbprint());
    }
}

/// Form parameters: bounded, free of NUL, and the same after being written again.
pub fn params(input: &[u8]) {
    let Ok(params) = Params::parse(input) else { return };
    assert!(params.iter().count() <= MAX_PARAMETERS);
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    // A trailing `=` keeps an empty pair alive.
    let text: Vec<String> = params.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
    let again = Params::parse(text.join("&").as_bytes()).expect("our own spelling is right");
    assert!(params.iter().eq(again.iter()), "changed by being written again");
    for (name, value) in params.iter() {
        assert!(!name.contains('\0') && !value.contains('\0'));
        assert!(params.has(name) && params.count(name) >= 1);
    }
    assert_eq!(params.repeated().is_some(), params.iter().any(|(n, _)| params.count(n) > 1));
}

/// An accepted redirect URI stays with a registered host, for our reading and for a browser's.
fn stays_home(uri: &str, hosts: &[&str]) {
    assert!(uri.len() <= MAX_LENGTH + BASE.len() && uri.bytes().all(|b| b.is_ascii_graphic()), "{uri:?}");
    let parsed = Url::parse(uri).expect("accepted and yet no URL");
    assert!(parsed.username().is_empty() && parsed.password().is_none(), "user information: {uri}");
    match parsed.scheme() {
        "http" | "https" => assert!(parsed.host_str().is_some_and(|h| hosts.contains(&h)), "left home: {uri}"),
        scheme => assert_eq!((scheme, parsed.host_str()), ("com.example.app", None), "{uri}"),
    }
}

/// Redirect URIs against exact, wildcard, loopback, private-use and relative registrations, in both profiles.
pub fn redirect_uri(input: &[u8]) {
    let Ok(uri) = str::from_utf8(input) else { return };
    static CLIENT: LazyLock<portcullis_core::client::Client> = LazyLock::new(|| client(&KEYCLOAK));
    for profile in [Profile::Keycloak, Profile::Strict] {
        let found = Matching { client: &CLIENT, profile, base: BASE }.find(uri);
        let Some(found) = found else { continue };
        stays_home(found.as_str(), &HOSTS);
        assert!(found.as_str() == uri || (profile == Profile::Keycloak && uri.starts_with('/')), "rewritten: {uri}");
        if profile == Profile::Strict {
            assert!(!uri.contains(['#', '*']), "{uri}");
        }
    }
}

/// Cookies that we signed: nothing else is read, and what is read is what was signed. The header they come in: one of a name, or none.
pub fn cookies(input: &[u8]) {
    let Ok(value) = str::from_utf8(input) else { return };
    if let Some(found) = cookie_header::find([value], "KEYCLOAK_IDENTITY") {
        assert!(value.contains(&format!("KEYCLOAK_IDENTITY={found}")) && !found.contains(';'));
        assert!(cookie_header::find([value, "KEYCLOAK_IDENTITY=x"], "KEYCLOAK_IDENTITY").is_none(), "two count as one");
    }
    const MAC: &[u8] = &[7; 32];
    if let Some(id) = flow::read_browser_cookie(value, MAC) {
        let signed = value.split('.').next().unwrap_or(value);
        assert_eq!(flow::browser_cookie(&id, MAC), signed, "another spelling or a forged value");
    }
    let keys = KeySet::new([key().verifying_key()]);
    if let Some(identity) = session_cookie::read(value, &keys, ISSUER, NOW) {
        assert_eq!(identity.session, SessionId::new("s1"), "nothing else was ever signed");
        assert!(session_cookie::read(value, &keys, "https://id.test/realms/other", NOW).is_none());
        assert!(session_cookie::read(value, &keys, ISSUER, NOW + 100_000_000).is_none(), "it never ends");
    }
}

/// The authorization endpoint: who is told goes to a registered URI only, and what was accepted is accepted again.
pub fn authorize(input: &[u8]) {
    let Ok(params) = Params::parse(input) else { return };
    for records in [&*KEYCLOAK, &*STRICT] {
        match decide(records, BASE, &params) {
            Ok(valid) => {
                stays_home(valid.redirect().as_str(), &["app.test"]);
                assert_eq!(valid.request().client_id, "app");
                assert!(params.repeated().is_none(), "a parameter twice");
                let again = revalidate(records, BASE, valid.request()).expect("accepted once, refused as kept");
                assert_eq!(again.redirect(), valid.redirect());
                assert_eq!(again.request(), valid.request());
            }
            Err(Refusal::Redirect { to, .. }) => stays_home(to.as_str(), &["app.test"]),
            Err(Refusal::Page(_)) => {}
        }
    }
}

/// Realm files: what is read becomes a realm whose parts know each other, or is refused with a place.
pub fn realm_file(input: &[u8]) {
    let made = RealmFile::read(input).and_then(|file| assemble(file, &Counting, Now::from_secs(NOW)));
    let made = match made {
        Ok(made) => made,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            return;
        }
    };
    assert!(!made.realm.name.is_empty() && !made.realm.name.contains(['/', '\0']));
    for client in &made.clients {
        assert_eq!(made.client(&client.client_id).map(|c| &c.id), Some(&client.id), "two clients of one name");
        for scope in client.default_scopes.iter().chain(&client.optional_scopes) {
            assert!(made.scopes.iter().any(|s| s.id == *scope), "a scope that is not there");
        }
    }
    for role in &made.roles {
        assert_eq!(made.role(role.client.as_ref(), &role.name).map(|r| &r.id), Some(&role.id), "two roles of one name");
    }
}
