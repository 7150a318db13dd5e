//! SS: addresses that clients name. What the door refuses is a table of its own; here is what the whole server makes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use axum::Router;
use axum::routing::get;
use portcullis_core::time::Clock as _;
use portcullis_idp::{IdpConfig, Reach};
use portcullis_jose::{Algorithm, SigningKey, jws};
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::{Options, TestServer};
use serde_json::json;
use tokio::net::TcpListener;

use crate::ground::{House, REALM, edit_client, furnish, refused, tokens};

fn key(kid: &str) -> Result<SigningKey> {
    Ok(SigningKey::generate(Algorithm::ES256, kid, &mut |bytes| bytes.fill(5))?.0)
}

/// A client's site with its keys: `host:port`, and how often it was asked.
async fn site(key: &SigningKey) -> Result<(String, Arc<AtomicUsize>)> {
    let asked = Arc::new(AtomicUsize::new(0));
    let jwks = json!({ "keys": key.public_jwk().map(|jwk| [jwk.to_value()]) }).to_string();
    let count = Arc::clone(&asked);
    let router = Router::new()
        .route(
            "/jwks",
            get(move || {
                count.fetch_add(1, Ordering::SeqCst);
                let jwks = jwks.clone();
                async move { jwks }
            }),
        )
        .route("/moved", get(|| async { (axum::http::StatusCode::FOUND, [("location", "/jwks")]) }))
        .route("/large", get(|| async { "a".repeat(1 << 20) }))
        .route("/text", get(|| async { "root:x:0:0" }));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let site = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((site, asked))
}

async fn open(house: House, hosts: &[&str]) -> Result<TestServer> {
    let outbound_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    let config = IdpConfig { outbound: Reach::PublicOnly, outbound_hosts, ..IdpConfig::default() };
    let server = TestServer::with(Options { config, ..Options::default() }).await?;
    furnish(&server, house).await?;
    Ok(server)
}

async fn publish(server: &TestServer, url: &str) -> Result<()> {
    edit_client(server, "service", |c| {
        c.settings.client_authenticator_type = "client-jwt".to_owned();
        c.settings.attributes.insert("use.jwks.url".to_owned(), "true".to_owned());
        c.settings.attributes.insert("jwks.url".to_owned(), url.to_owned());
    })
    .await
}

async fn ask(server: &TestServer, key: &SigningKey, jti: &str) -> Result<Answer> {
    let now = server.clock.now().secs();
    let issuer = format!("{}/realms/{REALM}", server.base);
    let claims = json!({ "iss": "service", "sub": "service", "aud": issuer, "jti": jti, "iat": now, "exp": now + 60 });
    let assertion = jws::encode(key, Some("JWT"), claims.to_string().as_bytes())?;
    post(server, &assertion).await
}

async fn post(server: &TestServer, assertion: &str) -> Result<Answer> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ];
    let path = format!("/realms/{REALM}/protocol/openid-connect/token");
    server.client()?.send(&Exchange::form(&path, &form)).await
}

/// SS-11: one text, whatever stands at the address.
fn without_keys(answer: &Answer, what: &str) {
    refused(answer, 400, "invalid_client", what);
    assert_eq!(answer.json()["error_description"], "Unable to load public key", "{what}");
}

#[tokio::test]
async fn oidc_core_10_1_keys_at_an_address_of_the_client_are_fetched_once() -> Result<()> {
    for house in House::BOTH {
        let key = key("k1")?;
        let (site, asked) = site(&key).await?;
        let server = open(house, &[&site]).await?;
        publish(&server, &format!("http://{site}/jwks")).await?;
        for jti in ["a", "b", "c"] {
            tokens(&ask(&server, &key, jti).await?)?;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ss_02_ss_04_ss_11_an_inner_address_is_never_dialled_and_says_nothing() -> Result<()> {
    let key = key("k1")?;
    let (site, asked) = site(&key).await?;
    let port = site.rsplit_once(':').map_or("", |(_, port)| port);
    for house in House::BOTH {
        let server = open(house, &["keys.test"]).await?;
        for (at, host) in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"]
            .iter()
            .enumerate()
        {
            for scheme in ["http", "https"] {
                publish(&server, &format!("{scheme}://{host}:{port}/jwks")).await?;
                without_keys(&ask(&server, &key, &format!("{at}{scheme}")).await?, host);
            }
        }
        for (at, url) in ["file:///etc/passwd", "//evil.test/jwks", "http://127.0.0.1:22/", "http://127.0.0.1:1/", "x"]
            .iter()
            .enumerate()
        {
            publish(&server, url).await?;
            without_keys(&ask(&server, &key, &format!("u{at}")).await?, url);
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    Ok(())
}

#[tokio::test]
async fn ss_03_ss_09_ss_11_an_allowed_host_that_answers_something_else_says_nothing() -> Result<()> {
    let key = key("k1")?;
    let (site, asked) = site(&key).await?;
    let server = open(House::Keycloak, &[&site]).await?;
    for path in ["moved", "large", "text", "nothing"] {
        publish(&server, &format!("http://{site}/{path}")).await?;
        let answer = ask(&server, &key, path).await?;
        without_keys(&answer, path);
        assert!(!answer.text().contains("root:"), "{path}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "no redirect was followed");
    // The honest twin: the right address at the same host.
    publish(&server, &format!("http://{site}/jwks")).await?;
    tokens(&ask(&server, &key, "ok").await?)?;
    Ok(())
}

#[tokio::test]
async fn ss_12_strangers_cannot_make_the_server_call() -> Result<()> {
    let own = key("k1")?;
    let (site, asked) = site(&own).await?;
    let server = open(House::Strict, &[&site]).await?;
    publish(&server, &format!("http://{site}/jwks")).await?;
    for assertion in ["", "abc", "a.b.c", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJzZXJ2aWNlIiwic3ViIjoic2VydmljZSJ9."] {
        assert!(post(&server, assertion).await?.status >= 400);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "no assertion, no call");
    for at in 0..20 {
        without_keys(&ask(&server, &key(&format!("unknown{at}"))?, &format!("s{at}")).await?, "a kid of nobody");
    }
    assert!(asked.load(Ordering::SeqCst) <= 1, "unknown kids are fetched for once in a while (DS-10)");
    tokens(&ask(&server, &own, "ok").await?)?;
    Ok(())
}
