//! The demo's API: three routes behind the guard, as an application would write them.

use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Json, Router};
use http::{HeaderValue, Method, header};
use portcullis_client::{Door, IssuerKeys, KeyPolicy, Reach, Traces};
use portcullis_guard::{Cutoffs, FeedOptions, Guard, KeySource, Principal, RevocationFeed, require};
use portcullis_idp::Idp;
use serde_json::{Value, json};

use super::Addresses;
use super::seed::REALM;
use crate::failure::Failure;
use crate::feed::InProcess;
use crate::telemetry::GuardRefusals;

/// The routes of port 8000, and what their guard follows.
///
/// # Errors
/// A guard that cannot be built.
pub(super) fn router(
    addresses: &Addresses,
    idp: &Idp,
    refusals: GuardRefusals,
    traces: Option<Traces>,
) -> Result<(Router, Arc<RevocationFeed>), Failure> {
    let issuer = addresses.issuer();
    let door = Door::new(Reach::Configured).map_err(|e| Failure::failed(format!("guard: {e}")))?;
    let door = door.traced(traces);
    let keys: Arc<dyn KeySource> = Arc::new(IssuerKeys::new(&*issuer, door, KeyPolicy::default()));
    // Who logs out at the identity provider is out here as well, within a second.
    let feed = RevocationFeed::new(&issuer, Arc::clone(&keys), FeedOptions::default());
    drop(feed.follow(Arc::new(InProcess::new(idp.clone(), REALM, &*issuer))));
    let guard = Guard::builder()
        .issuer(issuer)
        .audience("demo-api")
        .bearer()
        .keys(keys)
        .cutoffs(Arc::clone(&feed) as Arc<dyn Cutoffs>)
        .refusals(Arc::new(refusals))
        .build()
        .map_err(|e| Failure::failed(format!("guard: {e}")))?;
    let admin = Router::new().route("/admin", get(admin)).layer(require::role("admin"));
    let protected = Router::new()
        .route("/me", get(me))
        .merge(admin)
        // Outside the roles, inside CORS: a refusal must be readable by the page.
        .layer(guard.layer());
    let router = Router::new().route("/public", get(public)).merge(protected);
    Ok((router.layer(axum::middleware::from_fn_with_state(origin(addresses)?, cors)), feed))
}

async fn public() -> Json<Value> {
    Json(json!({ "message": "Anyone may read this." }))
}

async fn me(Extension(principal): Extension<Principal>) -> Json<Value> {
    Json(json!({
        "message": "A valid token was shown.",
        "subject": principal.subject(),
        "name": principal.claim("name"),
        "roles": principal.roles(),
        "scopes": principal.scopes()
    }))
}

async fn admin(Extension(principal): Extension<Principal>) -> Json<Value> {
    Json(json!({ "message": "The token carries the role admin.", "name": principal.claim("name") }))
}

fn origin(addresses: &Addresses) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(&addresses.app).map_err(|e| Failure::failed(format!("app address: {e}")))
}

/// The page on port 3000 may call and read; nobody else's may.
async fn cors(
    axum::extract::State(allowed): axum::extract::State<HeaderValue>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let from_page = request.headers().get(header::ORIGIN) == Some(&allowed);
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight { axum::response::Response::default() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if from_page {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("WWW-Authenticate"));
        if preflight {
            headers
                .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Authorization, Content-Type"));
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
        }
    }
    response
}
