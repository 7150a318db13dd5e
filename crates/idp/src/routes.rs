//! The table of contents: every path of the idp and the file that answers it.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::{any, get};
use http::{StatusCode, Uri};

use crate::state::App;
use crate::watch::{self, Halt, WatchLayer};
use crate::{
    admin, authorize, device, introspect, login, logout, panics, par, public, respond, revocations, revoke, token,
    userinfo,
};

/// Largest body of any idp route, bytes (DS-01). Realm files have a larger limit of their own.
const MAX_BODY: usize = 64 * 1024;

/// Which part of the face a listener shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Everything.
    Whole,
    /// What users and applications need: neither `/admin` nor the master realm.
    Public,
    /// `/admin` and the master realm, for a listener of their own.
    Admin,
}

pub(crate) fn router(app: Arc<App>, part: Part) -> Router {
    let legacy = app.config.legacy_auth_prefix;
    let mut router = Router::new()
        .nest("/realms/{realm}", realm())
        .route("/realms/{realm}/", any(public::realm_info))
        .route("/.well-known/oauth-authorization-server/realms/{realm}", any(public::discovery));
    if legacy {
        router = router.nest("/auth/realms/{realm}", realm());
    }
    router = router.layer(DefaultBodyLimit::max(MAX_BODY));
    if part != Part::Public {
        router = router.nest("/admin", admin::routes());
        if legacy {
            router = router.nest("/auth/admin", admin::routes());
        }
    }
    router = router
        .route("/resources/{version}/login/{*path}", get(public::resource))
        .route("/", get(public::front))
        .fallback(not_found);
    if part != Part::Whole {
        router = router.layer(axum::middleware::from_fn(move |request, next| only(part, request, next)));
    }
    // DS-26: outside of every handler, fallback and layer of the face, so that none of them takes the connection (and the
    // other streams of HTTP/2 on it) down with itself; inside what the listener adds, which sees an ordinary 500.
    router = router.layer(axum::middleware::from_fn_with_state(Arc::clone(&app), panics::caught));
    // Outside everything: whatever refuses, also a missing path, gets its trace id here.
    router.layer(WatchLayer::new(Arc::clone(&app))).with_state(app)
}

/// The master realm answers on the admin part only, other realms on the public part only.
async fn only(part: Part, request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let path = request.uri().path();
    let realm = path
        .strip_prefix("/auth")
        .unwrap_or(path)
        .strip_prefix("/realms/")
        .or_else(|| path.strip_prefix("/.well-known/oauth-authorization-server/realms/"))
        .map(|rest| rest.split('/').next().unwrap_or(rest));
    // A percent-encoded name never equals a plain one here, so it is judged by what it decodes to.
    let master = realm.map(|r| percent_encoding::percent_decode_str(r).decode_utf8_lossy() == "master");
    match (part, master) {
        (Part::Public, Some(true)) | (Part::Admin, Some(false)) => {
            let mut response = respond::generic_error(StatusCode::NOT_FOUND, "Realm does not exist");
            watch::mark(&mut response, Halt::OtherListener);
            response
        }
        _ => next.run(request).await,
    }
}

fn realm() -> Router<Arc<App>> {
    Router::new()
        .route("/", any(public::realm_info))
        .route("/.well-known/openid-configuration", any(public::discovery))
        .route("/.well-known/oauth-authorization-server", any(public::discovery))
        .nest("/protocol/openid-connect", protocol())
        .route("/protocol/{protocol}/{*rest}", any(public::unknown_protocol))
        .route("/portcullis/revocations", any(revocations::endpoint))
        .route("/device", any(device::verification))
        .route("/device/status", any(device::status))
        .nest("/login-actions", login::routes())
}

fn protocol() -> Router<Arc<App>> {
    Router::new()
        .route("/auth", any(authorize::endpoint))
        .route("/auth/device", any(device::authorization))
        .route("/ext/par/request", any(par::endpoint))
        .route("/token", any(token::endpoint))
        .route("/token/introspect", any(introspect::endpoint))
        .route("/revoke", any(revoke::endpoint))
        .route("/certs", any(public::certs))
        .route("/userinfo", any(userinfo::endpoint))
        .route("/logout", any(logout::endpoint))
        .route("/logout/logout-confirm", any(logout::confirm))
        .route("/login-status-iframe.html", get(public::status_iframe))
        .route("/login-status-iframe.html/init", get(public::status_iframe_init))
        .route("/3p-cookies/step1.html", get(public::cookies_step1))
        .route("/3p-cookies/step2.html", get(public::cookies_step2))
}

/// Outside every room. Keycloak 26.4 has other words, and none of its security headers, where it serves nothing at all:
/// under the old prefix.
async fn not_found(uri: Uri) -> Response {
    if !uri.path().starts_with("/auth/") {
        return respond::generic_error(StatusCode::NOT_FOUND, "HTTP 404 Not Found");
    }
    let mut response = respond::generic_error(StatusCode::NOT_FOUND, "Unable to find matching target resource method");
    respond::unshield(response.headers_mut());
    response
}
