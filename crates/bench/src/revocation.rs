//! From the answer to a logout to the refusal at an API behind a guard that follows the feed over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use http::Request;
use portcullis_client::{Door, IssuerKeys, KeyPolicy, Reach, ServiceAccount};
use portcullis_guard::{FeedOptions, Guard, HttpFrames, KeySource, RevocationFeed};
use portcullis_testkit::http1::{Connection, Exchange};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::realm::{self, USERS};
use crate::server::Server;
use crate::table::{Row, Table};
use crate::work::Load;

const LOGOUTS: usize = 1_000;
const WORKERS: usize = 8;
const TOKEN: &str = "/realms/followed/protocol/openid-connect/token";
const LOGOUT: &str = "/realms/followed/protocol/openid-connect/logout";
const CLIENT: [(&str, &str); 2] = [("client_id", "web"), ("client_secret", "bench-secret")];

fn password_grant(user: usize) -> Exchange {
    let name = format!("user{}", user % USERS);
    let more = [("grant_type", "password"), ("username", name.as_str()), ("password", "bench-password")];
    Exchange::form(TOKEN, &[&CLIENT[..], &more].concat())
}

/// Access and refresh token of a session of its own.
async fn login(connection: &mut Connection, user: usize) -> Result<(String, String)> {
    let answer = connection.send(&password_grant(user)).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let json = answer.json();
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned).context("a token");
    Ok((text("access_token")?, text("refresh_token")?))
}

async fn status(api: &Router, token: &str) -> Result<u16> {
    let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(Body::empty())?;
    Ok(api.clone().oneshot(request).await?.status().as_u16())
}

/// Logs out and waits for the refusal: how long it took from the answer on.
#[expect(clippy::disallowed_methods, reason = "measuring is this crate's job")]
async fn ended(connection: &mut Connection, api: &Router, (access, refresh): &(String, String)) -> Result<Duration> {
    ensure!(status(api, access).await? == 200, "the guard refuses a good token");
    let form = [&CLIENT[..], &[("refresh_token", refresh.as_str())]].concat();
    let answer = connection.send(&Exchange::form(LOGOUT, &form)).await?;
    ensure!(answer.status == 204, "{}", answer.text());
    let answered = Instant::now();
    while status(api, access).await? == 200 {
        ensure!(answered.elapsed() < Duration::from_secs(30), "the guard never heard");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(answered.elapsed())
}

/// Measures and prints.
///
/// # Errors
/// When a logout or the feed fails.
pub async fn run(load: &Load, table: &mut Table) -> Result<()> {
    let data = tempfile::tempdir()?;
    let file = data.path().join("followed.json");
    std::fs::write(&file, realm::followed())?;
    let server = Server::start(&load.server, &data.path().join("data"), Some(&file), &password_grant(0)).await?;
    let issuer = format!("{}/realms/followed", server.base());
    let door = Door::new(Reach::Configured)?;
    let keys: Arc<dyn KeySource> = Arc::new(IssuerKeys::new(&*issuer, door.clone(), KeyPolicy::default()));
    let feed = RevocationFeed::new(&issuer, Arc::clone(&keys), FeedOptions::default());
    let account = ServiceAccount::new(&*issuer, "follower", "bench-secret");
    let following = feed.follow(Arc::new(HttpFrames::new(&issuer, door, account)));
    let guard = Guard::builder().issuer(&*issuer).audience("api").bearer().keys(keys).cutoffs(feed.clone()).build()?;
    let api = Router::new().route("/", get(async || "ok")).layer(guard.layer());
    feed.progress().wait_for(Option::is_some).await?;
    let workers = (0..WORKERS).map(|worker| {
        let (api, base) = (api.clone(), server.base().to_owned());
        async move {
            let mut connection = Connection::to(&base)?;
            let mut times = Vec::new();
            for _ in 0..LOGOUTS / WORKERS {
                let held = login(&mut connection, worker).await?;
                times.push(ended(&mut connection, &api, &held).await?);
            }
            anyhow::Ok(times)
        }
    });
    let all: Result<Vec<Vec<Duration>>> = join_all(workers).await.into_iter().collect();
    let mut histogram = Histogram::<u64>::new(3)?;
    for time in all?.into_iter().flatten() {
        histogram.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))?;
    }
    following.abort();
    let millis = |q: f64| {
        #[expect(clippy::cast_precision_loss, reason = "microseconds are small")]
        let micros = histogram.value_at_quantile(q) as f64;
        micros / 1000.0
    };
    table.push(Row {
        what: format!("logout answered to token refused at a guard, {} times beside logins", histogram.len()),
        latency: format!("{:.1} / {:.1} ms", millis(0.5), millis(0.99)),
        note: format!("worst {:.1} ms (target: p99 below 1,000 ms)", millis(1.0)),
        ..Row::default()
    });
    Ok(())
}
