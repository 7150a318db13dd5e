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
    admin, authorize, device, introspect, login, logout, out_of_band, par, public, respond, revocations, revoke, token,
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
    let mut router = realm(Router::new(), "/realms/{realm}")
        .route("/.well-known/oauth-authorization-server/realms/{realm}", any(public::discovery));
    if legacy {
        router = realm(router, "/auth/realms/{realm}");
    }
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
    // Outside everything: whatever refuses, also a missing path or a panic, gets its trace id here. One layer, because each is
    // an allocation and two virtual calls for every request.
    router.layer((DefaultBodyLimit::max(MAX_BODY), WatchLayer::new(Arc::clone(&app)))).with_state(app)
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

type Routes = Router<Arc<App>>;

/// The paths of one realm, each with and without a slash at its end (Keycloak 26.4).
fn realm(router: Routes, prefix: &str) -> Routes {
    let at = |path: &str| format!("{prefix}{path}");
    let router = router.route(&at("/protocol/{protocol}/{*rest}"), any(public::unknown_protocol));
    let router = login::routes(router, &at("/login-actions"));
    ["", "/"].into_iter().fold(router, |router, end| paths(router, prefix, end))
}

/// They are written whole: a nested router would take every address apart once more for each request.
fn paths(router: Routes, prefix: &str, end: &str) -> Routes {
    let at = |path: &str| format!("{prefix}{path}{end}");
    let router = router
        .route(&at(""), any(public::realm_info))
        .route(&at("/.well-known/openid-configuration"), any(public::discovery))
        .route(&at("/.well-known/oauth-authorization-server"), any(public::discovery))
        .route(&at("/portcullis/revocations"), any(revocations::endpoint))
        .route(&at("/device"), any(device::verification))
        .route(&at("/device/status"), any(device::status));
    protocol(router, &format!("{prefix}/protocol/openid-connect"), end)
}

fn protocol(router: Routes, prefix: &str, end: &str) -> Routes {
    let at = |path: &str| format!("{prefix}{path}{end}");
    router
        .route(&at("/auth"), any(authorize::endpoint))
        .route(&at("/auth/device"), any(device::authorization))
        .route(&at("/ext/par/request"), any(par::endpoint))
        .route(&at("/oauth/oob"), any(out_of_band::endpoint))
        .route(&at("/token"), any(token::endpoint))
        .route(&at("/token/introspect"), any(introspect::endpoint))
        .route(&at("/revoke"), any(revoke::endpoint))
        .route(&at("/certs"), any(public::certs))
        .route(&at("/userinfo"), any(userinfo::endpoint))
        .route(&at("/logout"), any(logout::endpoint))
        .route(&at("/logout/logout-confirm"), any(logout::confirm))
        .route(&at("/login-status-iframe.html"), any(public::status_iframe))
        .route(&at("/login-status-iframe.html/init"), any(public::status_iframe_init))
        .route(&at("/3p-cookies/step1.html"), any(public::cookies_step1))
        .route(&at("/3p-cookies/step2.html"), any(public::cookies_step2))
}

/// Outside every room. Keycloak 26.4 has other words, and none of its security headers, where it serves nothing at all.
async fn not_found(uri: Uri) -> Response {
    let inside = |prefix| uri.path().strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    let document = uri.path().starts_with("/.well-known/") && uri.path().contains("/realms/");
    if document || inside("/realms/") || inside("/admin/") {
        return respond::generic_error(StatusCode::NOT_FOUND, "HTTP 404 Not Found");
    }
    let mut response = respond::generic_error(StatusCode::NOT_FOUND, "Unable to find matching target resource method");
    respond::unshield(response.headers_mut());
    response
}
