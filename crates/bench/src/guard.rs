//! What the guard adds to a request, measured in process: the same router with and without the layer.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use portcullis_guard::{Cutoffs as _, FeedOptions, Guard, KeySource, RevocationFeed, Standing, TokenMark, TokenNames};
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
        .keys(Arc::new(Fixed(keys.clone())))
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
    cutoffs(&key, keys, table).await
}

/// What asking for a cut-off adds to a request: a set of 300,000, a token that none of them means.
async fn cutoffs(key: &SigningKey, keys: KeySet, table: &mut Table) -> Result<()> {
    const ENTRIES: usize = 300_000;
    const PAGE: usize = 1_000;
    let issuer = "https://idp.test/realms/r";
    let options = FeedOptions { clock: Arc::new(|| 1_000), ..FeedOptions::default() };
    let feed = RevocationFeed::new(issuer, Arc::new(Fixed(keys)), options);
    for page in 0..ENTRIES / PAGE {
        let cut =
            |n| serde_json::json!({ "kind": "sid", "value": format!("session-{page}-{n}"), "before": 1, "exp": 2_000 });
        let cuts: Vec<_> = (0..PAGE).map(cut).collect();
        let last = (page + 1) * PAGE == ENTRIES;
        let event = serde_json::json!({
            "iss": issuer, "iat": 1_000, "epoch": 1, "seq": 1, "page": page, "last": last, "cuts": cuts
        });
        feed.take(&jws::encode(key, Some("revocation+jwt"), event.to_string().as_bytes())?).await?;
    }
    let marks: Vec<TokenMark> = (0..1_000)
        .map(|n| {
            let session = format!("other-{n}");
            let names = TokenNames {
                session: Some(&session),
                subject: "user",
                issued_at: 900,
                expires_at: 1_200,
                ..TokenNames::default()
            };
            feed.mark(&names)
        })
        .collect();
    ensure!(marks.iter().all(|mark| feed.check(mark, 1_000) == Standing::Alive));
    let mut next = 0usize;
    let checks = rate(|| {
        for _ in 0..1_000 {
            next = (next + 1) % marks.len();
            if let Some(mark) = marks.get(next) {
                std::hint::black_box(feed.check(mark, 1_000));
            }
        }
    }) * 1_000.0;
    table.push(Row {
        what: "guard: is a remembered token cut off? (300,000 cut-offs known)".to_owned(),
        rate: thousands(checks),
        cpu: format!("{:.1} ns", 1e9 / checks),
        note: "target 50 ns".to_owned(),
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
