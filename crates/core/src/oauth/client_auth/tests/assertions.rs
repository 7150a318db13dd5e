//! Client assertions: every fault has its twin that is taken.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_jose::{Algorithm, JwkSet, SigningKey, digest, jws};
use serde_json::{Value, json};

use super::*;
use crate::client::Client;
use crate::secret::Secret;

const SECRET: &str = "a-secret-of-64-characters-a-secret-of-64-characters-a-secret-of-6";
const TOKEN: &str = "https://login.test/realms/acme/protocol/openid-connect/token";

/// A realm whose client `c` is registered for assertions.
struct World {
    records: RealmRecords,
    key: SigningKey,
    fetched: Option<KeySet>,
}

fn signing(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm, "k1", &mut |bytes| bytes.fill(9)).unwrap().0
}

fn client(authenticator: &str, attributes: Value) -> Client {
    let settings = json!({ "clientAuthenticatorType": authenticator, "attributes": attributes });
    Client { secret: Some(Secret::new(SECRET)), ..fixture::client("c", settings) }
}

fn jwks(key: &SigningKey) -> String {
    json!({ "keys": [key.public_jwk().unwrap().to_value()] }).to_string()
}

fn with(strict: bool, client: Client, key: SigningKey) -> World {
    let settings = if strict { json!({ "attributes": { "portcullis.profile": "strict" } }) } else { json!({}) };
    let RealmRecords { realm, scopes, roles, groups, keys, .. } = fixture::records_with(settings);
    let (web, app) = (fixture::records(), fixture::records());
    let others = [web.client("web"), app.client("app")].into_iter().flatten().cloned();
    let clients = others.chain([client]).collect();
    let records = RealmRecords::new(realm, scopes.into_values().collect(), roles, groups, keys, clients);
    World { records, key, fetched: None }
}

fn by_key(strict: bool) -> World {
    let key = signing(Algorithm::ES256);
    let attributes = json!({ "use.jwks.string": "true", "jwks.string": jwks(&key) });
    with(strict, client("client-jwt", attributes), key)
}

fn by_secret(algorithm: Algorithm) -> World {
    let key = SigningKey::from_hmac(algorithm, "k1", SECRET.as_bytes()).unwrap();
    with(false, client("client-secret-jwt", json!({})), key)
}

fn claims() -> Value {
    json!({ "iss": "c", "sub": "c", "aud": fixture::ISSUER, "jti": "j1", "iat": NOW, "exp": NOW + 60 })
}

fn changed(changes: Value) -> Value {
    let mut all = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value.clone();
        }
    }
    all
}

impl World {
    fn sign(&self, claims: &Value) -> String {
        jws::encode(&self.key, Some("JWT"), claims.to_string().as_bytes()).unwrap()
    }

    fn at(&self, now: i64, form: &[(&str, &str)]) -> Result<Once<'_>, Reason> {
        let params = Params::from_pairs(form.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
        let (now, fetched) = (Now::from_secs(now), self.fetched.as_ref());
        let presented = Presented { authorization: &[], params: &params, now, issuer: fixture::ISSUER, fetched };
        match authenticate(&self.records, &presented)? {
            Proven::Once(once) => Ok(once),
            Proven::Now(client) => panic!("{client:?} leaves no mark"),
        }
    }

    fn token(&self, token: &str) -> Result<Once<'_>, Reason> {
        self.at(NOW, &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", token)])
    }

    fn claims(&self, claims: &Value) -> Result<Once<'_>, Reason> {
        self.token(&self.sign(claims))
    }
}

/// The method, or the reason's name.
fn told(outcome: Result<Once<'_>, Reason>) -> &'static str {
    match outcome.map(|once| once.marked().method()) {
        Ok(Method::PrivateKeyJwt) => "key",
        Ok(Method::SecretJwt) => "secret",
        Ok(_) => "another",
        Err(reason) => reason.name(),
    }
}

#[test]
fn te_09_te_10_rfc_7523_3_every_claim_counts() {
    let other = "https://other.test/realms/acme";
    let (introspect, revoke) = (format!("{TOKEN}/introspect"), TOKEN.replace("/token", "/revoke"));
    for (name, changes, lax, strict) in [
        ("as it should be", json!({}), "key", "key"),
        ("token endpoint", json!({ "aud": TOKEN }), "key", "key"),
        ("a list of one", json!({ "aud": [fixture::ISSUER] }), "key", "key"),
        ("introspection endpoint", json!({ "aud": introspect }), "key", "AssertionAudience"),
        ("revocation endpoint", json!({ "aud": revoke }), "AssertionAudience", "AssertionAudience"),
        ("another server", json!({ "aud": other }), "AssertionAudience", "AssertionAudience"),
        (
            "a longer issuer",
            json!({ "aud": format!("{}2", fixture::ISSUER) }),
            "AssertionAudience",
            "AssertionAudience",
        ),
        ("with a stranger", json!({ "aud": [fixture::ISSUER, other] }), "AssertionAudiences", "AssertionAudiences"),
        ("both of ours", json!({ "aud": [fixture::ISSUER, TOKEN] }), "AssertionAudiences", "AssertionAudiences"),
        ("no aud", json!({ "aud": null }), "AssertionAudience", "AssertionAudience"),
        ("no exp", json!({ "exp": null }), "AssertionWithoutExpiry", "AssertionWithoutExpiry"),
        ("exp now", json!({ "exp": NOW }), "AssertionNotActive", "AssertionNotActive"),
        (
            "exp five minutes ago",
            json!({ "exp": NOW - 300, "iat": NOW - 400 }),
            "AssertionNotActive",
            "AssertionNotActive",
        ),
        ("exp as text", json!({ "exp": "soon" }), "AssertionSignature", "AssertionSignature"),
        ("exp a day ahead", json!({ "exp": NOW + 86_400 }), "key", "key"),
        ("without iat too", json!({ "exp": NOW + 86_400, "iat": null }), "AssertionTooLong", "AssertionTooLong"),
        ("no iat", json!({ "iat": null }), "key", "key"),
        ("iat at the edge", json!({ "iat": NOW - 300, "exp": NOW + 9 }), "key", "key"),
        ("iat too old", json!({ "iat": NOW - 301, "exp": NOW + 9 }), "AssertionTooOld", "AssertionTooOld"),
        ("iat within the skew", json!({ "iat": NOW + 15 }), "key", "key"),
        ("iat a minute ahead", json!({ "iat": NOW + 60 }), "AssertionFromFuture", "AssertionFromFuture"),
        ("nbf a minute ahead", json!({ "nbf": NOW + 60 }), "AssertionNotActive", "AssertionNotActive"),
        ("no jti", json!({ "jti": null }), "AssertionWithoutId", "AssertionWithoutId"),
        ("jti empty", json!({ "jti": "" }), "AssertionWithoutId", "AssertionWithoutId"),
        ("no sub", json!({ "sub": null }), "UnknownClient", "UnknownClient"),
        ("no iss", json!({ "iss": null }), "UnknownClient", "UnknownClient"),
        ("iss is not sub", json!({ "iss": "web" }), "UnknownClient", "UnknownClient"),
        ("another client", json!({ "iss": "web", "sub": "web" }), "UnknownClient", "UnknownClient"),
        ("a public client", json!({ "iss": "app", "sub": "app" }), "UnknownClient", "UnknownClient"),
        ("no such client", json!({ "iss": "x", "sub": "x" }), "UnknownClient", "UnknownClient"),
    ] {
        for (house, expected) in [(false, lax), (true, strict)] {
            assert_eq!(told(by_key(house).claims(&changed(changes.clone()))), expected, "{name}, strict: {house}");
        }
    }
}

#[test]
fn te_08_te_11_the_signature_is_the_clients_own_by_its_own_algorithm() {
    let world = by_key(false);
    let good = world.sign(&claims());
    let (head, rest) = good.split_once('.').unwrap();
    let header = |value: Value| format!("{}.{rest}", URL_SAFE_NO_PAD.encode(value.to_string()));
    let unsigned = |value: Value| header(value).rsplit_once('.').unwrap().0.to_owned() + ".";
    let hmac = |secret: &[u8], kid: &str| {
        let key = SigningKey::from_hmac(Algorithm::HS256, kid, secret).unwrap();
        jws::encode(&key, Some("JWT"), claims().to_string().as_bytes()).unwrap()
    };
    let public = world.key.public_key_der().unwrap();
    let stranger = signing(Algorithm::ES256);
    let forged = jws::encode(&stranger, Some("JWT"), claims().to_string().as_bytes()).unwrap();
    let bad = "AssertionSignature";
    for (name, token, expected) in [
        ("as it should be", good.clone(), "key"),
        ("alg none", unsigned(json!({ "alg": "none" })), bad),
        ("no signature", unsigned(json!({ "alg": "ES256", "kid": "k1" })), bad),
        ("only the header is right", format!("{head}.{}", rest.replace('.', ".AA")), bad),
        ("another's key", forged, bad),
        ("HS256 by the public key", hmac(&public, "k1"), bad),
        ("HS256 by the published text", hmac(jwks(&world.key).as_bytes(), "k1"), bad),
        ("HS256 by the secret", hmac(SECRET.as_bytes(), "k1"), bad),
        ("kid of nobody", header(json!({ "alg": "ES256", "kid": "k2" })), "AssertionKeyUnknown"),
        ("another alg than the key's", header(json!({ "alg": "ES384", "kid": "k1" })), bad),
        ("HS256 by nobody's key", hmac(SECRET.as_bytes(), "k2"), "AssertionKeyUnknown"),
        ("a key in the header", header(json!({ "alg": "ES256", "kid": "k1", "jwk": {} })), bad),
        ("crit", header(json!({ "alg": "ES256", "kid": "k1", "crit": ["exp"] })), bad),
        ("garbage", "abc".to_owned(), "UnknownClient"),
        ("empty", String::new(), "UnknownClient"),
        ("too long", format!("{good}{}", "A".repeat(20_000)), "UnknownClient"),
    ] {
        assert_eq!(told(world.token(&token)), expected, "{name}");
    }
    assert_eq!(told(by_key(true).token(&good)), bad, "each world has its own key");
}

#[test]
fn rfc_8725_3_11_a_strict_realm_takes_no_other_kind_of_token() {
    for (typ, lax, strict) in [
        (None, "key", "key"),
        (Some("client-authentication+jwt"), "key", "key"),
        (Some("dpop+jwt"), "key", "AssertionSignature"),
        (Some("oauth-authz-req+jwt"), "key", "AssertionSignature"),
    ] {
        for (house, expected) in [(false, lax), (true, strict)] {
            let world = by_key(house);
            let token = jws::encode(&world.key, typ, claims().to_string().as_bytes()).unwrap();
            assert_eq!(told(world.token(&token)), expected, "{typ:?}, strict: {house}");
        }
    }
}

#[test]
fn oidc_core_9_client_secret_jwt_is_signed_with_the_secret() {
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(told(by_secret(algorithm).claims(&claims())), "secret", "{algorithm}");
    }
    let world = by_secret(Algorithm::HS256);
    let signed = |key: &SigningKey| jws::encode(key, Some("JWT"), claims().to_string().as_bytes()).unwrap();
    let wrong = SigningKey::from_hmac(Algorithm::HS256, "k1", &[3; 32]).unwrap();
    assert_eq!(told(world.token(&signed(&wrong))), "SecretAssertionSignature");
    assert_eq!(told(world.token(&signed(&signing(Algorithm::ES256)))), "SecretAssertionAsymmetric");
    // RFC 7518 §3.2: a secret shorter than the hash signs nothing.
    let mut short = client("client-secret-jwt", json!({}));
    short.secret = Some(Secret::new(&SECRET[..33]));
    let world = with(false, short, SigningKey::from_hmac(Algorithm::HS256, "k1", &SECRET.as_bytes()[..33]).unwrap());
    assert_eq!(told(world.claims(&claims())), "secret");
    let longer = SigningKey::from_hmac(Algorithm::HS512, "k1", SECRET.as_bytes()).unwrap();
    assert_eq!(told(world.token(&signed(&longer))), "SecretAssertionSignature");
}

#[test]
fn te_06_te_11_only_the_registered_method_and_one_name() {
    let world = by_key(false);
    let token = world.sign(&claims());
    let (kind, sent) = (("client_assertion_type", ASSERTION_TYPE), ("client_assertion", token.as_str()));
    let (c, secret) = (("client_id", "c"), ("client_secret", SECRET));
    for (form, lax, strict) in [
        (vec![kind, sent], "key", "key"),
        (vec![kind, sent, c], "key", "key"),
        (vec![kind, sent, ("client_id", "web")], "BadClientCredentials", "BadClientCredentials"),
        (vec![kind, sent, c, secret], "key", "UndecodableClientAuthentication"),
        (vec![c, secret], "AssertionMissing", "AssertionMissing"),
        (vec![sent, c], "AssertionMissing", "AssertionMissing"),
        (vec![sent], "UnknownClient", "UnknownClient"),
        (vec![("client_assertion_type", "urn:x"), sent], "UnknownClient", "UnknownClient"),
        (vec![("client_assertion_type", "urn:x"), sent, c], "AssertionTypeUnknown", "AssertionTypeUnknown"),
        (vec![kind, c], "AssertionAbsent", "AssertionAbsent"),
    ] {
        for (house, expected) in [(false, lax), (true, strict)] {
            // Each world has its own key: sign what is sent by it.
            let world = by_key(house);
            let own = world.sign(&claims());
            let form: Vec<(&str, &str)> =
                form.iter().map(|(n, v)| (*n, if *n == "client_assertion" { own.as_str() } else { *v })).collect();
            assert_eq!(told(world.at(NOW, &form)), expected, "{form:?}, strict: {house}");
        }
    }
    let (a, b) = (by_secret(Algorithm::HS256), by_key(false));
    assert_eq!(told(a.token(&b.sign(&claims()))), "SecretAssertionAsymmetric");
    assert_eq!(told(b.token(&a.sign(&claims()))), "AssertionSignature");
    let mine = changed(json!({ "iss": "web", "sub": "web" }));
    let form = [kind, ("client_assertion", &b.sign(&mine)), c];
    assert_eq!(told(b.at(NOW, &form)), "AssertionOfAnotherClient");
    for authenticator in ["client-x509", "of-a-plugin"] {
        let world = with(false, client(authenticator, json!({})), signing(Algorithm::ES256));
        let form = [kind, ("client_assertion", &world.sign(&claims())), c];
        assert_eq!(told(world.at(NOW, &form)), "BadClientCredentials", "{authenticator}");
    }
}

#[test]
fn keys_stand_where_keycloak_keeps_them() {
    let rsa = signing(Algorithm::RS256);
    let certificate = portcullis_jose::certificate::self_signed(&rsa, "c", NOW, NOW + 60).unwrap();
    let (certificate, bare) = (STANDARD.encode(certificate), STANDARD.encode(rsa.public_key_der().unwrap()));
    let pem = format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n");
    let fetched = KeySet::from_jwks(&JwkSet::parse(jwks(&rsa).as_bytes()).unwrap());
    let at = json!({ "use.jwks.url": "true", "jwks.url": "https://c.test/jwks" });
    for (name, attributes, fetched, expected) in [
        ("certificate", json!({ "jwt.credential.certificate": certificate }), None, "key"),
        ("PEM", json!({ "jwt.credential.certificate": pem }), None, "key"),
        ("public key", json!({ "jwt.credential.public.key": bare }), None, "key"),
        ("broken", json!({ "jwt.credential.certificate": "AAAA" }), None, "AssertionKeyUnknown"),
        ("nothing", json!({}), None, "AssertionKeyUnknown"),
        ("address", at.clone(), Some(fetched.clone()), "key"),
        ("address without answer", at, None, "AssertionKeyUnknown"),
        ("not asked to look there", json!({ "jwks.url": "https://c.test/jwks" }), Some(fetched), "AssertionKeyUnknown"),
        (
            "algorithm",
            json!({ "jwt.credential.public.key": bare, "token.endpoint.auth.signing.alg": "RS256" }),
            None,
            "key",
        ),
        (
            "another algorithm",
            json!({ "jwt.credential.public.key": bare, "token.endpoint.auth.signing.alg": "PS256" }),
            None,
            "AssertionAlgorithm",
        ),
        (
            "longer life",
            json!({ "jwt.credential.public.key": bare, "token.endpoint.auth.signing.max.exp": "10" }),
            None,
            "key",
        ),
    ] {
        let mut world = with(false, client("client-jwt", attributes), rsa.clone());
        world.fetched = fetched;
        assert_eq!(told(world.claims(&claims())), expected, "{name}");
    }
    let attributes = json!({ "jwt.credential.public.key": bare, "token.endpoint.auth.signing.max.exp": "10" });
    let world = with(false, client("client-jwt", attributes), rsa);
    assert_eq!(told(world.claims(&changed(json!({ "iat": NOW - 11 })))), "AssertionTooOld");
}

#[test]
fn te_07_the_mark_outlives_every_second_at_which_the_assertion_would_be_taken() {
    let world = by_key(false);
    for changes in [
        json!({}),
        json!({ "iat": NOW + 15, "exp": NOW + 10_000 }),
        json!({ "iat": NOW - 290, "exp": NOW + 10_000 }),
        json!({ "iat": null, "exp": NOW + 300 }),
    ] {
        let token = world.sign(&changed(changes.clone()));
        let form = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", token.as_str())];
        let once = world.at(NOW, &form).unwrap();
        let Write::Spend { expires_at, kind: SpentKind::ClientAssertion, .. } = once.mark(&"r".into()) else {
            panic!("no mark")
        };
        assert!(world.at(expires_at, &form).is_err(), "{changes}: taken after its mark may go");
        let last = world.at(expires_at - 1, &form).unwrap();
        assert_eq!(last.hash(), once.hash(), "{changes}");
    }
}

#[test]
fn te_07_marks_are_by_client_and_jti() {
    let world = by_key(false);
    let hash = |changes: Value| *world.claims(&changed(changes)).unwrap().hash();
    assert_eq!(hash(json!({})), hash(json!({ "exp": NOW + 30 })));
    assert_ne!(hash(json!({})), hash(json!({ "jti": "j2" })));
    assert_eq!(hash(json!({})), digest::sha256(b"uuid-c\0j1"));
}

#[test]
fn ss_12_keys_are_awaited_only_for_what_could_be_an_assertion_of_that_client() {
    let key = signing(Algorithm::ES256);
    let at = json!({ "use.jwks.url": "true", "jwks.url": "https://c.test/jwks" });
    let world = with(false, client("client-jwt", at.clone()), key);
    let good = world.sign(&claims());
    let about = |changes: Value| world.sign(&changed(changes));
    let hmac = by_secret(Algorithm::HS256).sign(&claims());
    let none = with(false, client("client-jwt", json!({ "jwks.url": "https://c.test/jwks" })), world.key.clone());
    let secret = with(false, client("client-secret-jwt", at), world.key.clone());
    for (name, world, token, expected) in [
        ("an assertion", &world, good.as_str(), true),
        ("of another", &world, &about(json!({ "iss": "web", "sub": "web" })), false),
        ("iss is not sub", &world, &about(json!({ "iss": "web" })), false),
        ("symmetric", &world, &hmac, false),
        ("garbage", &world, "abc", false),
        ("empty", &world, "", false),
        ("not switched on", &none, &good, false),
        ("by secret", &secret, &good, false),
    ] {
        for form in [vec![], vec![("client_id", "c")]] {
            let mut form = form;
            form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", token)]);
            let params = Params::from_pairs(form.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
            let now = Now::from_secs(NOW);
            let presented =
                Presented { authorization: &[], params: &params, now, issuer: fixture::ISSUER, fetched: None };
            let awaited = claim(&world.records, &presented).ok().and_then(|claim| claim.awaited(&presented));
            let there = Awaited { client: "c", url: "https://c.test/jwks", kid: Some("k1".to_owned()) };
            assert_eq!(awaited, expected.then_some(there), "{name}");
        }
    }
}
