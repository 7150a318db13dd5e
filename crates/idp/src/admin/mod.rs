//! The Admin REST API: `/admin/realms/...`.
//!
//! **Owns** the routes, who calls ([`caller`]), and what each endpoint needs (a check table at the top of each file).
//!
//! **Does not own** rights ([`portcullis_core::admin`]), realm files ([`portcullis_core::realm_file`]), imports
//! ([`crate::import`]).
//!
//! **Flow** bearer token -> [`caller::Caller`] (realm, user from the store) -> rights from the store -> records ->
//! plan -> `apply` -> answer.

mod caller;
mod clients;
mod consents;
mod cors;
mod desk;
mod realms;
mod sessions;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::Response;
use axum::routing::any;
use http::{HeaderValue, StatusCode};
use portcullis_core::admin::Reason;
use portcullis_core::realm_file;
use portcullis_core::user::profile::Fault;
use serde::Serialize;

use crate::respond;
use crate::state::App;
use crate::watch::{self, Halt, Why};

/// Largest realm file over HTTP, bytes.
const MAX_REALM_FILE: usize = 64 * 1024 * 1024;

/// Everything below `/admin`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/realms", any(realms::collection))
        .route("/realms/", any(realms::collection))
        .route("/realms/{realm}", any(realms::one))
        .route("/realms/{realm}/", any(realms::one))
        .route("/realms/{realm}/users/{id}/consents", any(consents::list))
        .route("/realms/{realm}/users/{id}/consents/{client}", any(consents::one))
        .route("/realms/{realm}/users", any(users::collection))
        .route("/realms/{realm}/users/count", any(users::count))
        .route("/realms/{realm}/users/{id}", any(users::one))
        .route("/realms/{realm}/users/{id}/sessions", any(sessions::of_user))
        .route("/realms/{realm}/users/{id}/offline-sessions/{client}", any(sessions::offline_of_user))
        .route("/realms/{realm}/users/{id}/logout", any(sessions::log_out_user))
        .route("/realms/{realm}/clients", any(clients::collection))
        .route("/realms/{realm}/clients/{id}", any(clients::one))
        .route("/realms/{realm}/clients/{id}/session-count", any(clients::session_count))
        .route("/realms/{realm}/clients/{id}/user-sessions", any(clients::user_sessions))
        .route("/realms/{realm}/clients/{id}/offline-session-count", any(clients::offline_session_count))
        .route("/realms/{realm}/clients/{id}/offline-sessions", any(clients::offline_sessions))
        .route("/realms/{realm}/client-session-stats", any(clients::session_stats))
        .route("/realms/{realm}/sessions/{sid}", any(sessions::delete))
        .route("/realms/{realm}/logout-all", any(sessions::log_out_all))
        .fallback(unknown)
        .layer(DefaultBodyLimit::disable())
        // Outside every door: preflights are answered, and whatever answers tells the caller's own pages that they may read it.
        .layer(axum::middleware::from_fn(cors::apply))
}

/// No such path: told only to those who are logged in (Keycloak 26.4 answers 401 before 404).
async fn unknown(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match caller::Caller::of(&app, &parts).await {
        Err(refused) => refused.answer(),
        Ok(_) => respond::generic_error(StatusCode::NOT_FOUND, "HTTP 404 Not Found"),
    }
}

/// Why a call ends early.
#[derive(Debug)]
enum Refused {
    /// No token, or one that is no proof: 401.
    Unauthorized(Box<Why>),
    /// Not enough rights: 403.
    Forbidden(Reason),
    /// No such realm: 404.
    NoRealm,
    /// Nothing else of that name: 404, by its text.
    NotFound(&'static str),
    /// No such method: 405.
    Method,
    /// Not JSON by its own word: 415.
    MediaType,
    /// Too many bytes: 413.
    TooLarge,
    /// A body that is not what the endpoint takes: 400 in the OAuth family.
    Unparsable,
    /// The generic family, 400.
    Generic(String),
    /// Values that the realm's user profile does not take, 400.
    Profile(Vec<Fault>),
    /// The admin family: status and text.
    Admin(StatusCode, String),
    /// The store did not answer: 503.
    Unavailable,
}

/// A member that no document of its kind has is named with the place where Keycloak's parser stands behind it.
fn unknown_member(refusal: &realm_file::Refusal, name: &str, body: &[u8]) -> Refused {
    let (line, column) = realm_file::json::behind_member(body, name).unwrap_or((1, 1));
    Refused::Generic(format!("{} at line {line} column {column}.", refusal.reason))
}

impl Refused {
    fn answer(self) -> Response {
        let generic = |status, text: &str| respond::generic_error(status, text);
        let why = self.why();
        let mut response = match self {
            Self::Unauthorized(_) => generic(StatusCode::UNAUTHORIZED, "HTTP 401 Unauthorized"),
            Self::Forbidden(_) => generic(StatusCode::FORBIDDEN, "HTTP 403 Forbidden"),
            Self::NoRealm => generic(StatusCode::NOT_FOUND, "Realm not found."),
            Self::NotFound(text) => generic(StatusCode::NOT_FOUND, text),
            Self::Method => generic(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed"),
            Self::MediaType => generic(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The content-type header value did not match the value in @Consumes",
            ),
            Self::TooLarge => generic(StatusCode::PAYLOAD_TOO_LARGE, "HTTP 413 Request Entity Too Large"),
            Self::Unparsable => respond::json(
                StatusCode::BAD_REQUEST,
                &serde_json::json!({"error": "invalid_request", "error_description": "Cannot parse the JSON"}),
            ),
            Self::Generic(text) => generic(StatusCode::BAD_REQUEST, &text),
            Self::Profile(faults) => respond::json(StatusCode::BAD_REQUEST, &users::told(&faults)),
            Self::Admin(status, text) => respond::admin_error(status, &text),
            Self::Unavailable => respond::unavailable(),
        };
        watch::mark(&mut response, why);
        response
    }

    fn why(&self) -> Why {
        Why::from(match self {
            Self::Unauthorized(why) => return Why::clone(why),
            Self::Unavailable => return Why::from(&portcullis_core::oauth::error::Reason::Unavailable),
            Self::Forbidden(Reason::NotAllowed) => Halt::MissingRight,
            Self::Forbidden(Reason::OtherRealm) => Halt::OtherRealm,
            Self::Forbidden(Reason::Outranked) => Halt::Outranked,
            Self::NoRealm => Halt::UnknownRealm,
            Self::NotFound(_) => Halt::UnknownPath,
            Self::Method => Halt::Method,
            Self::MediaType => Halt::MediaType,
            Self::TooLarge => Halt::BodyTooLarge,
            Self::Admin(StatusCode::CONFLICT, _) => Halt::Conflict,
            Self::Unparsable | Self::Generic(_) | Self::Profile(_) | Self::Admin(..) => Halt::BadDocument,
        })
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self::Forbidden(reason)
    }
}

impl From<crate::state::Unavailable> for Refused {
    fn from(_: crate::state::Unavailable) -> Self {
        Self::Unavailable
    }
}

/// A document: JSON with the charset and caching of Keycloak's admin reads.
fn document(body: &impl Serialize) -> Response {
    let mut response = respond::json(StatusCode::OK, body);
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
