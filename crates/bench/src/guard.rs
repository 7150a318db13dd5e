//! What the guard adds to a request, measured in process: the same router with and without the layer.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use portcullis_guard::{Guard, KeySource};
use portcullis_jose::{Algorithm, KeySet, SigningKey, jws};
use tower::{Service, ServiceExt};

use crate::calibrate::rate;
use crate::table::{Row, Table, thousands};

struct Fixed(KeySet);

#[async_trait::async_trait]
impl KeySource for Fixed {
    fn keys(&self) -> Option<KeySet> {
        Some(self.0.clone())
    }

    async fn refresh(&self) -> Result<KeySet, portcullis_client::NoKeys> {
        Ok(self.0.clone())
    }
}

fn token(key: &SigningKey) -> Result<String> {
    let claims = serde_json::json!({
        "iss": "https://idp.test/realms/r", "aud": "api", "sub": "user", "typ": "Bearer", "azp": "app",
        "iat": 1_000, "exp": 9_000_000_000_i64, "scope": "openid", "filler": "x".repeat(500)
    });
    Ok(jws::encode(key, Some("JWT"), claims.to_string().as_bytes())?)
}

/// Measures and prints.
///
/// # Errors
/// When the guard cannot be built or refuses its own token.
pub async fn run(table: &mut Table) -> Result<()> {
    let (key, _) = SigningKey::generate(Algorithm::ES256, "k", &mut |bytes| bytes.fill(1))?;
    let token = token(&key)?;
    let keys = KeySet::new([key.verifying_key().clone()]);
    let guard = Guard::builder()
        .issuer("https://idp.test/realms/r")
        .audience("api")
        .bearer()
        .keys(Arc::new(Fixed(keys)))
        .build()?;
    let bare = Router::new().route("/", get(async || "ok"));
    let guarded = bare.clone().layer(guard.layer());
    let without = time(bare, &token).await?;
    let with = time(guarded, &token).await?;
    table.push(Row {
        what: "guard: router call without it".to_owned(),
        rate: thousands(without),
        cpu: format!("{:.2} us", 1e6 / without),
        ..Row::default()
    });
    table.push(Row {
        what: "guard: router call with a cached token".to_owned(),
        rate: thousands(with),
        cpu: format!("{:.2} us", 1e6 / with),
        note: format!("adds {:.2} us (target 2)", 1e6 / with - 1e6 / without),
        ..Row::default()
    });
    Ok(())
}

async fn time(mut router: Router, token: &str) -> Result<f64> {
    let request = || Request::get("/").header("authorization", format!("Bearer {token}")).body(Body::empty());
    let first = <Router as ServiceExt<Request<Body>>>::ready(&mut router).await?.call(request()?).await?;
    ensure!(first.status() == 200, "the guard refused its own token: {}", first.status());
    let calls = rate(|| {
        let Ok(request) = request() else { return };
        // The handler is ready at once, so one poll is the whole call.
        let mut call = std::pin::pin!(router.call(request));
        let waker = std::task::Waker::noop();
        let _ready = std::hint::black_box(call.as_mut().poll(&mut std::task::Context::from_waker(waker)));
    });
    ensure!(calls > 0.0);
    Some(calls).context("a rate")
}
