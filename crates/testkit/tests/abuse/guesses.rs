//! TE-33: guessing client secrets.

use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::response::Response;
use http::{Request, header};
use portcullis_idp::Peer;
use portcullis_jose::{Algorithm, SigningKey, jws};
use portcullis_testkit::server::{Cluster, Options, TestServer};
use serde_json::json;
use tower::ServiceExt as _;

use crate::ground::{House, REALM, edit_client, furnish, open, realm_id};

const GUESSER: &str = "203.0.113.9";
const HOME: &str = "198.51.100.7";
/// So many wrong ones are compared in a minute.
const MOST: usize = 30;

/// A form to a door, as the listener would hand it over for this address.
async fn send(server: &TestServer, ip: &str, door: &str, form: &[(&str, &str)]) -> Result<Response> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let mut request = Request::post(format!("/realms/{REALM}/protocol/openid-connect/{door}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::HOST, server.authority())
        .body(Body::from(body))?;
    request.extensions_mut().insert(Peer { ip: ip.to_owned(), https: true });
    Ok(server.router().oneshot(request).await?)
}

/// The status of a `client_credentials` request of `service`.
async fn service(server: &TestServer, ip: &str, secret: &str) -> Result<u16> {
    let form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", secret)];
    Ok(send(server, ip, "token", &form).await?.status().as_u16())
}

async fn guess(server: &TestServer, ip: &str, times: usize) -> Result<Vec<u16>> {
    let mut told = Vec::with_capacity(times);
    for at in 0..times {
        told.push(service(server, ip, &format!("guess-{at}")).await?);
    }
    Ok(told)
}

fn count(told: &[u16], status: u16) -> usize {
    told.iter().filter(|one| **one == status).count()
}

/// What a resting place is told.
async fn rests(answer: Response, what: &str) -> Result<()> {
    assert_eq!(answer.status(), 429, "{what}");
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!((header("retry-after").as_deref(), header("set-cookie")), (Some("60"), None), "{what}");
    assert_eq!(header("content-type").as_deref(), Some("application/json"), "{what}");
    let body = axum::body::to_bytes(answer.into_body(), 4096).await?;
    let expected =
        json!({ "error": "temporarily_unavailable", "error_description": "Too many requests. Try again later." });
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body)?, expected, "{what}");
    Ok(())
}

#[tokio::test]
async fn te_33_a_thousand_guesses_rest_and_the_real_client_goes_on() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        for round in 0..10 {
            let told = guess(&server, GUESSER, 100).await?;
            let compared = if round == 0 { MOST } else { 0 };
            assert_eq!(
                (count(&told, 401), count(&told, 429)),
                (compared, 100 - compared),
                "{house:?} {round}: {told:?}"
            );
            assert_eq!(service(&server, HOME, "service-secret").await?, 200, "{house:?}: at home, round {round}");
        }
        assert_eq!(service(&server, GUESSER, "service-secret").await?, 429, "{house:?}: not even the right one");
        let form =
            [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", "service-secret")];
        rests(send(&server, GUESSER, "token", &form).await?, "token").await?;
        // Nobody else is kept out: other clients there, other realms' clients of the name, clients without secrets.
        let other = [("client_id", "web"), ("client_secret", "web-secret"), ("token", "x")];
        assert_eq!(send(&server, GUESSER, "token/introspect", &other).await?.status(), 200, "{house:?}");
        let app = [("client_id", "app"), ("token", "x")];
        assert_eq!(send(&server, GUESSER, "revoke", &app).await?.status(), 200, "{house:?}");
        // It was told once, by the address.
        let events = server.db.events(&realm_id(&server).await?, 50).await?;
        let told: Vec<_> = events.iter().filter(|event| event.kind == "CLIENT_LOGIN_ERROR").collect();
        assert_eq!(told.iter().map(|event| event.ip_address.as_str()).collect::<Vec<_>>(), [GUESSER], "{house:?}");
        server.clock.advance(Duration::from_secs(60));
        assert_eq!(service(&server, GUESSER, "service-secret").await?, 200, "{house:?}: after the rest");
    }
    Ok(())
}

#[tokio::test]
async fn te_33_all_doors_count_together_and_all_rest() -> Result<()> {
    let doors: [(&str, &[(&str, &str)]); 6] = [
        ("token", &[("grant_type", "client_credentials")]),
        ("token/introspect", &[("token", "x")]),
        ("revoke", &[("token", "x")]),
        ("auth/device", &[("scope", "openid")]),
        ("ext/par/request", &[("response_type", "code")]),
        ("logout", &[("refresh_token", "x")]),
    ];
    for house in House::BOTH {
        let server = open(house).await?;
        for at in 0..MOST {
            let (door, fields) = doors[at % doors.len()];
            let wrong = format!("guess-{at}");
            let form = [fields, &[("client_id", "service"), ("client_secret", wrong.as_str())]].concat();
            assert_eq!(send(&server, GUESSER, door, &form).await?.status(), 401, "{house:?} {door} {at}");
        }
        for (secret, what) in [("guess", "a wrong one"), ("service-secret", "the right one")] {
            for (door, fields) in doors {
                let form = [fields, &[("client_id", "service"), ("client_secret", secret)]].concat();
                rests(send(&server, GUESSER, door, &form).await?, &format!("{house:?} {door} {what}")).await?;
                assert_ne!(send(&server, HOME, door, &form).await?.status(), 429, "{house:?} {door} at home");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_33_a_place_that_the_client_works_from_is_never_locked() -> Result<()> {
    let server = open(House::Strict).await?;
    assert_eq!(service(&server, HOME, "service-secret").await?, 200);
    for round in 0..5 {
        let told = guess(&server, HOME, 100).await?;
        assert_eq!(count(&told, 401) + count(&told, 429), 100, "{told:?}");
        assert!(count(&told, 429) >= 70, "wrong ones rest there too: {told:?}");
        assert_eq!(service(&server, HOME, "service-secret").await?, 200, "round {round}");
        server.clock.advance(Duration::from_secs(600));
    }
    // An hour without a right one: a place like others.
    server.clock.advance(Duration::from_secs(4000));
    guess(&server, HOME, 100).await?;
    assert_eq!(service(&server, HOME, "service-secret").await?, 429);
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(service(&server, HOME, "service-secret").await?, 200);
    Ok(())
}

#[tokio::test]
async fn te_33_a_place_is_an_address_or_a_household() -> Result<()> {
    let server = open(House::Strict).await?;
    for (guesser, same, other) in [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
        ("203.0.113.20", "::ffff:203.0.113.20", "203.0.113.21"),
    ] {
        let told = guess(&server, guesser, 60).await?;
        assert_eq!((count(&told, 401), count(&told, 429)), (MOST, 60 - MOST), "{guesser}");
        assert_eq!(service(&server, same, "service-secret").await?, 429, "{same}");
        assert_eq!(service(&server, other, "service-secret").await?, 200, "{other}");
    }
    Ok(())
}

#[tokio::test]
async fn te_33_only_secrets_that_were_tried_count() -> Result<()> {
    let server = open(House::Keycloak).await?;
    let grant = ("grant_type", "client_credentials");
    for form in [
        vec![grant, ("client_id", "service")],
        vec![grant, ("client_id", "service"), ("client_secret", "")],
        vec![grant, ("client_id", "nobody"), ("client_secret", "guess")],
        vec![grant, ("client_id", "app"), ("client_secret", "guess")],
        vec![grant, ("client_secret", "guess")],
    ] {
        for _ in 0..2 * MOST {
            assert_eq!(send(&server, GUESSER, "token", &form).await?.status(), 401, "{form:?}");
        }
    }
    assert_eq!(service(&server, GUESSER, "service-secret").await?, 200);
    // Fewer than too many, and the window passes: nothing adds up.
    for _ in 0..3 {
        assert_eq!(count(&guess(&server, GUESSER, MOST).await?, 401), MOST);
        server.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(service(&server, GUESSER, "service-secret").await?, 200);
    Ok(())
}

#[tokio::test]
async fn te_33_a_secret_in_an_assertion_is_guessed_as_slowly() -> Result<()> {
    let server = open(House::Strict).await?;
    let secret = "a-secret-of-thirty-two-characters";
    edit_client(&server, "service", |client| {
        client.settings.client_authenticator_type = "client-secret-jwt".to_owned();
        client.secret = Some(portcullis_core::secret::Secret::new(secret));
    })
    .await?;
    let issuer = format!("https://{}/realms/{REALM}", server.authority());
    let now = portcullis_core::time::Clock::now(&*server.clock).secs();
    let kind = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let mut told = Vec::new();
    for at in 0..=MOST {
        let wrong = format!("{at:>40}");
        for (secret, ip) in [(wrong.as_str(), GUESSER), (secret, HOME)] {
            let key = SigningKey::from_hmac(Algorithm::HS256, "k", secret.as_bytes())?;
            let claims = json!({ "iss": "service", "sub": "service", "aud": issuer, "jti": format!("{at}{ip}"), "exp": now + 60 });
            let assertion = jws::encode(&key, Some("JWT"), claims.to_string().as_bytes())?;
            let form = [("grant_type", "client_credentials"), kind, ("client_assertion", assertion.as_str())];
            let status = send(&server, ip, "token", &form).await?.status().as_u16();
            if ip == HOME {
                assert_eq!(status, 200, "the real client, {at}");
            } else {
                told.push(status);
            }
        }
    }
    assert_eq!((count(&told, 400), told.last()), (MOST, Some(&429)), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn te_33_all_nodes_have_one_count() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await.context("two nodes")?;
    let (first, second) = (cluster.node(0)?, cluster.node(1)?);
    furnish(first, House::Strict).await?;
    assert_eq!(count(&guess(first, GUESSER, MOST).await?, 401), MOST);
    assert_eq!(guess(second, GUESSER, 3).await?, [429; 3]);
    assert_eq!(service(second, GUESSER, "service-secret").await?, 429);
    assert_eq!(service(second, HOME, "service-secret").await?, 200);
    Ok(())
}
