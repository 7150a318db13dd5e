//! The demo's app page: static files and the SDK, as they ship.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode, Uri};
use rust_embed::RustEmbed;
use serde_json::json;

use super::Addresses;

#[derive(RustEmbed)]
#[folder = "demo/"]
struct Page;

#[derive(RustEmbed)]
#[folder = "../../sdk/src/"]
struct Sdk;

/// The routes of port 3000.
pub(super) fn router(addresses: &Addresses) -> Router {
    let config = json!({ "issuer": addresses.issuer(), "clientId": "demo-app", "api": addresses.api }).to_string();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' {} {}; base-uri 'none'; frame-ancestors 'none'",
        addresses.idp, addresses.api
    );
    Router::new().fallback(get(file)).with_state(Arc::new(Site { config, policy }))
}

struct Site {
    config: String,
    policy: String,
}

async fn file(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let found = match path {
        "config.json" => Some(site.config.clone().into_bytes()),
        "" | "callback" => Page::get("index.html").map(|f| f.data.into_owned()),
        _ => match path.strip_prefix("sdk/") {
            Some(module) => Sdk::get(module).map(|f| f.data.into_owned()),
            None => Page::get(path).map(|f| f.data.into_owned()),
        },
    };
    let (status, bytes) = match found {
        Some(bytes) => (StatusCode::OK, bytes),
        None => (StatusCode::NOT_FOUND, b"There is no such page.\n".to_vec()),
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(path, status)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::from_str(&site.policy) {
        headers.insert("content-security-policy", policy);
    }
    response
}

fn media_type(path: &str, status: StatusCode) -> &'static str {
    if status != StatusCode::OK {
        return "text/plain;charset=utf-8";
    }
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript;charset=utf-8",
        Some("css") => "text/css;charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "text/html;charset=utf-8",
    }
}
