//! The table of contents: every path of the idp and the file that answers it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::{any, get};
use http::{HeaderMap, Method, StatusCode};

use crate::state::App;
use crate::{admin, authorize, login, logout, public, respond, token, userinfo};

/// Largest body of any idp route, bytes (DS-01). Realm files have a larger limit of their own.
const MAX_BODY: usize = 64 * 1024;

pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new().nest("/realms/{realm}", realm());
    router = router.route("/.well-known/oauth-authorization-server/realms/{realm}", any(public::discovery));
    if app.config.legacy_auth_prefix {
        router = router.nest("/auth/realms/{realm}", realm());
    }
    router = router.layer(DefaultBodyLimit::max(MAX_BODY));
    if app.config.serve_admin {
        router = router.nest("/admin", admin::routes());
        if app.config.legacy_auth_prefix {
            router = router.nest("/auth/admin", admin::routes());
        }
    }
    router.route("/resources/{version}/{*path}", get(public::resource)).route("/", get(public::front)).fallback(not_found).with_state(app)
}

fn realm() -> Router<Arc<App>> {
    Router::new()
        .route("/", any(public::realm_info))
        .route("/.well-known/openid-configuration", any(public::discovery))
        .route("/.well-known/oauth-authorization-server", any(public::discovery))
        .nest("/protocol/openid-connect", protocol())
        .nest("/login-actions", login::routes())
}

fn protocol() -> Router<Arc<App>> {
    Router::new()
        .route("/auth", any(authorize::endpoint))
        .route("/token", any(token::endpoint))
        .route("/certs", any(public::certs))
        .route("/userinfo", any(userinfo::endpoint))
        .route("/logout", any(logout::endpoint))
        .route("/logout/logout-confirm", any(logout::confirm))
        .route("/login-status-iframe.html", get(public::status_iframe))
        .route("/login-status-iframe.html/init", get(public::status_iframe_init))
        .route("/3p-cookies/step1.html", get(public::cookies_step1))
        .route("/3p-cookies/step2.html", get(public::cookies_step2))
}

async fn not_found(State(_): State<Arc<App>>, _: Method, _: HeaderMap) -> Response {
    respond::generic_error(StatusCode::NOT_FOUND, "HTTP 404 Not Found")
}
