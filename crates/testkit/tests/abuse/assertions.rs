//! TE-06 to TE-11: clients that prove themselves by assertion (RFC 7523 §3). The single checks are tables of the law; here is what
//! the whole server makes of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use portcullis_idp::IdpConfig;
use portcullis_jose::{Algorithm, SigningKey, jws};
use portcullis_testkit::clock::MovableClock;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::{Cluster, Options, TestServer};
use serde_json::{Value, json};

use crate::forge;
use crate::ground::{BACK, House, REALM, code, edit_client, furnish, open, party, refused, tokens};

const TYPE: (&str, &str) = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// A client's key, and where its assertions go.
struct Signer {
    key: SigningKey,
    client: &'static str,
    issuer: String,
    now: i64,
}

impl Signer {
    /// Registers `client` for `private_key_jwt`.
    async fn register(server: &TestServer, issuer_base: &str, client: &'static str) -> Result<Self> {
        use portcullis_core::time::Clock as _;
        let (key, _) = SigningKey::generate(Algorithm::ES256, "k1", &mut |bytes| bytes.fill(5))?;
        let jwks = json!({ "keys": key.public_jwk().map(|jwk| [jwk.to_value()]) }).to_string();
        edit_client(server, client, |c| {
            c.settings.client_authenticator_type = "client-jwt".to_owned();
            c.settings.attributes.insert("use.jwks.string".to_owned(), "true".to_owned());
            c.settings.attributes.insert("jwks.string".to_owned(), jwks);
        })
        .await?;
        let issuer = format!("{issuer_base}/realms/{REALM}");
        Ok(Self { key, client, issuer, now: server.clock.now().secs() })
    }

    fn claims(&self, jti: &str) -> Value {
        let id = self.client;
        json!({ "iss": id, "sub": id, "aud": self.issuer, "jti": jti, "iat": self.now, "exp": self.now + 60 })
    }

    fn assertion(&self, jti: &str) -> Result<String> {
        Ok(jws::encode(&self.key, Some("JWT"), self.claims(jti).to_string().as_bytes())?)
    }
}

async fn post(server: &TestServer, endpoint: &str, form: &[(&str, &str)]) -> Result<Answer> {
    let path = format!("/realms/{REALM}/protocol/openid-connect/{endpoint}");
    server.client()?.send(&Exchange::form(&path, form)).await
}

fn reused(answer: &Answer, what: &str) {
    refused(answer, 400, "invalid_client", what);
    assert_eq!(answer.json()["error_description"], "Token reuse detected", "{what}");
}

fn options() -> Options {
    let config = IdpConfig { public_url: Some("http://login.test".to_owned()), ..IdpConfig::default() };
    Options { clock: Arc::new(MovableClock::standing()), config, ..Options::default() }
}

#[tokio::test]
async fn te_07_an_assertion_counts_once_at_every_node_and_after_a_restart() -> Result<()> {
    for house in House::BOTH {
        let cluster = Cluster::start(2, Options::default()).await?;
        let (first, second) = (cluster.node(0)?, cluster.node(1)?);
        furnish(first, house).await?;
        let signer = Signer::register(first, &first.base, "service").await?;
        let once = signer.assertion("j1")?;
        let form = [GRANT, TYPE, ("client_assertion", once.as_str())];
        tokens(&post(first, "token", &form).await?)?;
        reused(&post(first, "token", &form).await?, "same node");
        reused(&post(second, "token", &form).await?, "other node");
        tokens(&post(second, "token", &[GRANT, TYPE, ("client_assertion", &signer.assertion("j2")?)]).await?)?;
        // A new jti in an old signature, or another signature over an old jti, is no new assertion.
        let again = signer.assertion("j1")?;
        assert_ne!(again, once);
        reused(&post(first, "token", &[GRANT, TYPE, ("client_assertion", &again)]).await?, "signed again");

        let before = TestServer::with(options()).await?;
        furnish(&before, house).await?;
        let signer = Signer::register(&before, "http://login.test", "service").await?;
        let once = signer.assertion("j1")?;
        let form = [GRANT, TYPE, ("client_assertion", once.as_str())];
        tokens(&post(&before, "token", &form).await?)?;
        let after = before.again(options()).await?;
        reused(&post(&after, "token", &form).await?, "after a restart");
        tokens(&post(&after, "token", &[GRANT, TYPE, ("client_assertion", &signer.assertion("j3")?)]).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn te_07_it_counts_once_over_all_endpoints_and_in_a_race() -> Result<()> {
    let server = open(House::Strict).await?;
    let signer = Signer::register(&server, &server.base, "service").await?;
    let token = tokens(&post(&server, "token", &[GRANT, TYPE, ("client_assertion", &signer.assertion("a")?)]).await?)?;
    let ask = |assertion: String| {
        let (server, access) = (&server, token.access.clone());
        async move { post(server, "token/introspect", &[TYPE, ("client_assertion", &assertion), ("token", &access)]).await }
    };
    assert_eq!(ask(signer.assertion("a")?).await?.status, 401, "used at the token endpoint");
    let answer = ask(signer.assertion("b")?).await?;
    assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)));
    let same = signer.assertion("c")?;
    let (one, two, three) = tokio::join!(ask(same.clone()), ask(same.clone()), ask(same));
    let mut statuses = [one?.status, two?.status, three?.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401]);
    Ok(())
}

#[tokio::test]
async fn te_07_a_used_assertion_touches_no_code_and_no_refresh_token() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let (code, pkce) = code(&mut party(&server, "web")?).await?;
        let signer = Signer::register(&server, &server.base, "web").await?;
        let exchange = |assertion: String| {
            let (server, code, verifier) = (&server, code.clone(), pkce.verifier.clone());
            async move {
                let form = [
                    ("grant_type", "authorization_code"),
                    ("code", code.as_str()),
                    ("redirect_uri", BACK),
                    ("code_verifier", verifier.as_str()),
                    TYPE,
                    ("client_assertion", assertion.as_str()),
                ];
                post(server, "token", &form).await
            }
        };
        assert_eq!(
            post(&server, "token/introspect", &[TYPE, ("client_assertion", &signer.assertion("a")?), ("token", "x")])
                .await?
                .status,
            200
        );
        reused(&exchange(signer.assertion("a")?).await?, "at the code");
        // The honest twin: the code is as good as new.
        let held = tokens(&exchange(signer.assertion("b")?).await?)?;
        let refresh = |assertion: String| {
            let (server, token) = (&server, held.refresh.clone());
            let grant = ("grant_type", "refresh_token");
            async move {
                post(server, "token", &[grant, ("refresh_token", &token), TYPE, ("client_assertion", &assertion)]).await
            }
        };
        reused(&refresh(signer.assertion("b")?).await?, "at the refresh token");
        tokens(&refresh(signer.assertion("c")?).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn te_08_te_11_a_forged_or_late_assertion_is_no_client() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let signer = Signer::register(&server, &server.base, "service").await?;
        let payload = signer.claims("f").to_string();
        let secret = ("client_secret", "service-secret");
        let (none, hs) = (r#"{"alg":"none","kid":"k1"}"#, r#"{"alg":"HS256","kid":"k1"}"#);
        let public = signer.key.public_key_der().unwrap_or_default();
        let signed = "Client authentication with signed JWT failed: Signature on JWT token failed validation";
        for (name, token) in [
            ("none", forge::signed(none, &payload, |_| Ok(Vec::new()))?),
            ("none with a signature", forge::under(&signer.key, none, &payload)?),
            ("by the public key", forge::hs256(&public, hs, &payload)?),
            ("by the secret", forge::hs256(b"service-secret", hs, &payload)?),
        ] {
            let answer = post(&server, "token", &[GRANT, TYPE, ("client_assertion", &token)]).await?;
            refused(&answer, 400, "invalid_client", name);
            assert_eq!(answer.json()["error_description"], signed, "{house:?} {name}");
        }
        let answer = post(&server, "token", &[GRANT, ("client_id", "service"), secret]).await?;
        refused(&answer, 400, "invalid_client", "the secret of a client that has a key");
        let good = signer.assertion("g")?;
        let form = [GRANT, TYPE, ("client_assertion", good.as_str())];
        server.clock.advance(Duration::from_secs(61));
        refused(&post(&server, "token", &form).await?, 400, "invalid_client", "late");
        let now = Signer { now: signer.now + 61, ..signer };
        tokens(&post(&server, "token", &[GRANT, TYPE, ("client_assertion", &now.assertion("h")?)]).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn te_02_te_06_an_assertion_beside_another_method_or_name() -> Result<()> {
    let server = open(House::Strict).await?;
    let signer = Signer::register(&server, &server.base, "service").await?;
    for (at, (name, extra, status)) in [
        ("a secret", ("client_secret", "service-secret"), 400),
        ("another's name", ("client_id", "web"), 401),
        ("a public client's name", ("client_id", "nobody"), 401),
    ]
    .into_iter()
    .enumerate()
    {
        let assertion = signer.assertion(&format!("n{at}"))?;
        let answer = post(&server, "token", &[GRANT, TYPE, ("client_assertion", &assertion), extra]).await?;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        // The honest twin: nothing was used up.
        tokens(&post(&server, "token", &[GRANT, TYPE, ("client_assertion", &assertion)]).await?)?;
    }
    let assertion = signer.assertion("b")?;
    let form = [GRANT, TYPE, ("client_assertion", assertion.as_str())];
    let path = format!("/realms/{REALM}/protocol/openid-connect/token");
    let basic = Exchange::form(&path, &form).header("Authorization", "Basic c2VydmljZTpzZXJ2aWNlLXNlY3JldA==");
    refused(&server.client()?.send(&basic).await?, 400, "unauthorized_client", "Basic and an assertion");
    tokens(&post(&server, "token", &form).await?)?;
    Ok(())
}

#[tokio::test]
async fn te_10_rfc_7523_3_a_claim_amiss_is_no_client_and_uses_nothing_up() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let signer = Signer::register(&server, &server.base, "service").await?;
        let now = signer.now;
        let unknown = "Invalid client or Invalid client credentials";
        for (name, changes, status, text) in [
            ("exp five minutes ago", json!({ "exp": now - 300, "iat": now - 360 }), 400, "Token is not active"),
            ("no exp", json!({ "exp": null }), 400, "Token exp claim is required"),
            ("no sub", json!({ "sub": null }), 401, unknown),
            ("iss is not sub", json!({ "iss": "web" }), 401, unknown),
            ("sub is not iss", json!({ "sub": "web" }), 401, unknown),
            ("iat a minute ahead", json!({ "iat": now + 60, "exp": now + 120 }), 400, "Token was issued in the future"),
            ("nbf a minute ahead", json!({ "nbf": now + 60 }), 400, "Token is not active"),
        ] {
            let mut claims = signer.claims(name);
            for (member, value) in changes.as_object().into_iter().flatten() {
                claims[member] = value.clone();
            }
            if let Some(members) = claims.as_object_mut() {
                members.retain(|_, value| !value.is_null());
            }
            let assertion = jws::encode(&signer.key, Some("JWT"), claims.to_string().as_bytes())?;
            let proof = ("client_assertion", assertion.as_str());
            let answer = post(&server, "token", &[GRANT, TYPE, proof]).await?;
            refused(&answer, status, "invalid_client", &format!("{house:?} {name}"));
            assert_eq!(answer.json()["error_description"], text, "{house:?} {name}");
            for door in ["token/introspect", "revoke", "ext/par/request", "logout", "auth/device"] {
                let answer = post(&server, door, &[TYPE, proof, ("token", "x"), ("refresh_token", "x")]).await?;
                assert!(matches!(answer.status, 400 | 401), "{house:?} {name} {door}: {}", answer.status);
                assert!(!answer.text().contains("active\":"), "{house:?} {name} {door}: {}", answer.text());
            }
            // The honest twin, by the same `jti`.
            tokens(&post(&server, "token", &[GRANT, TYPE, ("client_assertion", &signer.assertion(name)?)]).await?)?;
        }
    }
    Ok(())
}
