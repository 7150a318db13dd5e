//! Answers: OAuth JSON, Keycloak's error families, pages, redirects, and the security headers that go with each.
//!
//! **Owns** status, headers and bytes. **Does not own** which refusal it is ([`portcullis_core::oauth::error`]) nor the pages' text.

pub(crate) mod cookies;
pub(crate) mod cors;
pub(crate) mod html;

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use portcullis_core::oauth::error::Reason;
use serde::Serialize;

use self::cors::Allowed;
use crate::rate;
use crate::watch::{self, Halt};

/// Which security headers an answer carries (profiles of the recordings, Keycloak 26.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shield {
    /// JSON: frame options, nosniff, HSTS, referrer.
    Api,
    /// `Api` without frame options: redirects of `/auth`, 204, preflights.
    Bare,
}

const FRAME: (&str, &str) = ("x-frame-options", "SAMEORIGIN");
const BARE: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("referrer-policy", "no-referrer"),
];

/// Adds the security headers of a profile.
pub(crate) fn shield(headers: &mut HeaderMap, kind: Shield) {
    let mut put = |(name, value): (&'static str, &'static str)| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    };
    if kind == Shield::Api {
        put(FRAME);
    }
    BARE.into_iter().for_each(put);
}

/// Takes the security headers of a profile away again.
pub(crate) fn unshield(headers: &mut HeaderMap) {
    headers.remove(FRAME.0);
    for (name, _) in BARE {
        headers.remove(name);
    }
}

/// A JSON answer with the `api` headers and nothing about caching.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    raw_json(status, serde_json::to_vec(body).unwrap_or_default())
}

/// A JSON answer from bytes.
pub(crate) fn raw_json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    // Room for what follows (CORS, caching), so that the map does not grow while the answer is made.
    *response.headers_mut() = HeaderMap::with_capacity(12);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    shield(response.headers_mut(), Shield::Api);
    response
}

/// RFC 6749 §5.1: a JSON answer that nobody may keep.
pub(crate) fn oauth_json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = json(status, body);
    no_store(response.headers_mut());
    response
}

/// `Cache-Control: no-store` and `Pragma: no-cache`.
pub(crate) fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
}

/// A row of the error table as an OAuth answer.
pub(crate) fn oauth_error(reason: &Reason) -> Response {
    let wire = reason.wire();
    let mut body = serde_json::Map::new();
    body.insert("error".to_owned(), wire.error.into());
    if let Some(text) = wire.description {
        body.insert("error_description".to_owned(), text.into_owned().into());
    }
    let mut response =
        oauth_json(StatusCode::from_u16(wire.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body);
    if let Some(seconds) = rests(reason) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    watch::mark(&mut response, reason);
    response
}

/// The same without a word about caching, as Keycloak 26.4 answers at endpoints of clients other than the token endpoint. That the
/// server is busy is not kept.
pub(crate) fn uncached_error(reason: &Reason) -> Response {
    let mut response = oauth_error(reason);
    if *reason != Reason::Unavailable {
        response.headers_mut().remove(CACHE_CONTROL);
        response.headers_mut().remove(PRAGMA);
    }
    response
}

/// The same for whoever may read it from another origin.
pub(crate) fn refused(request: &HeaderMap, reason: &Reason, allowed: &Allowed) -> Response {
    let mut response = uncached_error(reason);
    cors::add(&mut response, request, allowed, Some(cors::EXPOSED));
    response
}

/// `OPTIONS` where no browser calls: says what there is, and nothing about origins (Keycloak 26.4).
pub(crate) fn options() -> Response {
    let mut response = empty(StatusCode::OK);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("HEAD, POST, OPTIONS"));
    response
}

/// Seconds after which another try makes sense.
fn rests(reason: &Reason) -> Option<i64> {
    if *reason == Reason::Unavailable {
        return Some(1);
    }
    (reason.wire().status == StatusCode::TOO_MANY_REQUESTS).then_some(rate::WINDOW)
}

/// Keycloak's generic family: `{"error": text}`.
pub(crate) fn generic_error(status: StatusCode, text: &str) -> Response {
    json(status, &serde_json::json!({ "error": text }))
}

/// The path is there, the method is not.
pub(crate) fn wrong_method() -> Response {
    halted(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed", Halt::Method)
}

/// The body is no form, where only forms are read (Keycloak 26.4).
pub(crate) fn other_media() -> Response {
    let text = "The content-type header value did not match the value in @Consumes";
    halted(StatusCode::UNSUPPORTED_MEDIA_TYPE, text, Halt::Unreadable)
}

/// The generic family with its reason.
pub(crate) fn halted(status: StatusCode, text: &str, halt: Halt) -> Response {
    let mut response = generic_error(status, text);
    watch::mark(&mut response, halt);
    response
}

/// No such realm: Keycloak's words.
pub(crate) fn unknown_realm() -> Response {
    halted(StatusCode::NOT_FOUND, "Realm does not exist", Halt::UnknownRealm)
}

/// Keycloak's admin family: `{"errorMessage": text}`.
pub(crate) fn admin_error(status: StatusCode, text: &str) -> Response {
    json(status, &serde_json::json!({ "errorMessage": text }))
}

/// An empty answer with the `bare` headers.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    shield(response.headers_mut(), Shield::Bare);
    response
}

/// The store did not answer: 503 with `Retry-After`.
pub(crate) fn unavailable() -> Response {
    oauth_error(&Reason::Unavailable)
}
