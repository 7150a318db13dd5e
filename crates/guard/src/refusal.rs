//! Refusals: one named reason, one public answer (RFC 6750 §3, RFC 9457), one line for the operator.

use axum::body::Body;
use axum::response::Response;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use portcullis_client::LogoutFault;
use portcullis_jose::Reject;
use serde_json::json;

use crate::trace::{self, Trace};

/// Carries the trace id of a refusal.
pub(crate) const TRACE: HeaderName = HeaderName::from_static("portcullis-trace");

/// Seconds after which keys or the feed may be there again; the default cool-down between two fetches of keys.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No `Authorization`, or one of another scheme than `Bearer`.
    NoCredential,
    /// More than one `Authorization`, or a second token in the query (TE-26).
    SeveralCredentials,
    /// The token breaks a rule that every token must keep.
    Token(Reject),
    /// A good token of the issuer, but an ID, refresh or other token (TE-25, JW-09).
    NotAnAccessToken,
    /// The token is bound to a key (`cnf`) and bearer alone proves no possession (RFC 9449 §7.1).
    BoundToKey,
    /// The issuer's keys cannot be had.
    NoKeys,
    /// Its session, subject, client, key or itself was cut off (LO-05).
    Ended,
    /// Whether it was cut off cannot be known now: the revocation feed is stale.
    Stale,
    /// The token lacks a role.
    MissingRole,
    /// The token lacks a scope.
    MissingScope,
    /// The login behind the token is of another level than this route takes (RFC 9470).
    LevelTooLow,
    /// The login behind the token is too long ago for this route, or the token does not say when it was (RFC 9470).
    LoginTooOld,
    /// A logout message that is no form with one `logout_token` (LO-11).
    NoLogoutToken,
    /// A logout message by another method than POST (LO-11).
    LogoutNotPosted,
    /// A logout token that breaks a rule of OIDC Back-Channel Logout 1.0 §2.6 (LO-07 to LO-10).
    BadLogoutToken(LogoutFault),
    /// A logout token that came before (LO-11).
    LogoutReplayed,
    /// A logout message for which there is no room. Until tokens are newer than it, they are [`Self::Stale`].
    LogoutsFull,
    /// A [`crate::require`] layer or the [`crate::Principal`] extractor ran without a guard around it.
    NoPrincipal,
}

impl Reason {
    /// Its name in snake case, for metrics and records.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::SeveralCredentials => "several_credentials",
            Self::Token(reject) => reject.name(),
            Self::NotAnAccessToken => "not_an_access_token",
            Self::BoundToKey => "bound_to_key",
            Self::NoKeys => "no_keys",
            Self::Ended => "ended",
            Self::Stale => "stale",
            Self::MissingRole => "missing_role",
            Self::MissingScope => "missing_scope",
            Self::LevelTooLow => "level_too_low",
            Self::LoginTooOld => "login_too_old",
            Self::NoLogoutToken => "no_logout_token",
            Self::LogoutNotPosted => "logout_not_posted",
            Self::BadLogoutToken(fault) => fault.name(),
            Self::LogoutReplayed => "logout_replayed",
            Self::LogoutsFull => "logouts_full",
            Self::NoPrincipal => "no_principal",
        }
    }

    /// What was expected and what came instead, for the operator; nothing of the token is in it.
    #[must_use]
    pub fn expected_got(&self) -> String {
        let (expected, got) = self.facts();
        format!("expected {expected}, got {got}")
    }

    /// The two halves of [`Self::expected_got`].
    #[must_use]
    pub fn facts(&self) -> (String, &'static str) {
        let (expected, got) = match self {
            Self::Token(reject) => return reject.facts(),
            Self::BadLogoutToken(fault) => return fault.facts(),
            Self::NoLogoutToken => ("a form with one logout_token", "none, several or another body"),
            Self::LogoutNotPosted => ("a logout message by POST", "another method"),
            Self::LogoutReplayed => ("a logout token with a jti of its own", "one that came before"),
            Self::LogoutsFull => ("room for a logout", "a full memory"),
            Self::NoCredential => ("a bearer token in Authorization", "none"),
            Self::SeveralCredentials => ("one credential", "several"),
            Self::NotAnAccessToken => ("an access token (at+jwt, or claim typ Bearer)", "another kind"),
            Self::BoundToKey => ("a token without cnf", "one that is bound to a key"),
            Self::NoKeys => ("keys of the issuer", "none"),
            Self::Ended => ("a token that lives", "one that was cut off"),
            Self::Stale => ("to know what ended", "nothing from the revocation feed, or a logout without room"),
            Self::MissingRole => ("a role", "a token without it"),
            Self::MissingScope => ("a scope", "a token without it"),
            Self::LevelTooLow => ("another acr", "a token of a login with less"),
            Self::LoginTooOld => ("a recent auth_time", "an older one or none"),
            Self::NoPrincipal => ("the guard's layer outside", "a request that passed no guard"),
        };
        (expected.to_owned(), got)
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.public().0
    }

    /// Status, `error` of RFC 6750 §3.1, and the only text a caller is told.
    fn public(self) -> (StatusCode, Option<&'static str>, &'static str) {
        match self {
            Self::NoCredential => (StatusCode::UNAUTHORIZED, None, "A bearer token is needed."),
            Self::SeveralCredentials => {
                (StatusCode::BAD_REQUEST, Some("invalid_request"), "The request has more than one credential.")
            }
            Self::Token(_) | Self::NotAnAccessToken | Self::BoundToKey | Self::Ended => {
                (StatusCode::UNAUTHORIZED, Some("invalid_token"), "The access token is not valid here.")
            }
            Self::NoKeys | Self::Stale => {
                (StatusCode::SERVICE_UNAVAILABLE, None, "Tokens cannot be checked at the moment.")
            }
            Self::MissingRole | Self::MissingScope => {
                (StatusCode::FORBIDDEN, Some("insufficient_scope"), "The access token does not allow this.")
            }
            Self::LevelTooLow => (
                StatusCode::UNAUTHORIZED,
                Some("insufficient_user_authentication"),
                "A different authentication level is required.",
            ),
            Self::LoginTooOld => (
                StatusCode::UNAUTHORIZED,
                Some("insufficient_user_authentication"),
                "More recent authentication is required.",
            ),
            Self::NoLogoutToken => {
                (StatusCode::BAD_REQUEST, Some("invalid_request"), "One logout_token is needed, in a form.")
            }
            Self::LogoutNotPosted => {
                (StatusCode::METHOD_NOT_ALLOWED, Some("invalid_request"), "A logout_token comes by POST.")
            }
            Self::BadLogoutToken(_) => {
                (StatusCode::BAD_REQUEST, Some("invalid_request"), "The logout_token is not valid here.")
            }
            Self::LogoutReplayed => {
                (StatusCode::BAD_REQUEST, Some("invalid_request"), "The logout_token was used before.")
            }
            Self::LogoutsFull => (StatusCode::SERVICE_UNAVAILABLE, None, "Logouts cannot be remembered at the moment."),
            Self::NoPrincipal => (StatusCode::INTERNAL_SERVER_ERROR, None, "The server made a mistake."),
        }
    }
}

/// One refusal, for the operator.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Refusal<'a> {
    /// 32 hexadecimal digits, also in the answer's `Portcullis-Trace`.
    pub trace: &'a str,
    /// Why.
    pub reason: Reason,
    /// The issuer that the guard trusts.
    pub issuer: &'a str,
    /// The client that a verified token was given to (`azp`), when only a role or scope is missing.
    pub client: Option<&'a str>,
    /// The role, scope or level of login that was demanded, when it is missing.
    pub demanded: Option<&'a str>,
    /// The request's own `traceparent` as it came: to be linked, never trusted.
    pub traceparent: Option<&'a str>,
}

/// What is known of a refused request besides the reason.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a> {
    pub(crate) client: Option<&'a str>,
    pub(crate) demanded: Option<&'a str>,
    pub(crate) traceparent: Option<&'a str>,
    /// The number that the request has already.
    pub(crate) trace: Option<&'a Trace>,
    /// What a token would have needed (RFC 6750 §3, RFC 9470 §3).
    pub(crate) needed: &'a [(&'static str, String)],
}

impl<'a> About<'a> {
    /// What the request itself says.
    pub(crate) fn request(headers: &'a HeaderMap, extensions: &'a Extensions) -> Self {
        Self { traceparent: traceparent(headers), trace: extensions.get(), ..Self::default() }
    }
}

/// The one `traceparent` of a request.
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all("traceparent").iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

/// Takes every refusal: a log, a counter, a ring. It is called inside the request and must not wait.
pub trait RefusalSink: Send + Sync {
    /// One request was refused.
    fn refused(&self, refusal: &Refusal<'_>);
}

/// One `tracing` event per refusal, level info, target `portcullis_guard`. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRefusals;

impl RefusalSink for LogRefusals {
    fn refused(&self, refusal: &Refusal<'_>) {
        let (trace, issuer, reason) = (refusal.trace, refusal.issuer, refusal.reason.name());
        tracing::info!(target: "portcullis_guard", trace, issuer, reason, "refused: {}", refusal.reason.expected_got());
    }
}

/// Reports a refusal and makes its answer.
pub(crate) fn refuse(reason: Reason, issuer: &str, about: About<'_>, sink: &dyn RefusalSink) -> Response {
    let trace = trace::id(about.trace);
    let About { client, demanded, traceparent, needed, .. } = about;
    sink.refused(&Refusal { trace: &trace, reason, issuer, client, demanded, traceparent });
    let mut response = problem(reason, &trace);
    let (status, error, description) = reason.public();
    if !status.is_server_error() {
        let mut challenge = format!("Bearer realm={}", quoted(issuer));
        if let Some(error) = error {
            challenge.push_str(&format!(", error={}, error_description={}", quoted(error), quoted(description)));
        }
        for (name, value) in needed {
            challenge.push_str(&format!(", {name}={}", quoted(value)));
        }
        let bare = HeaderValue::from_static("Bearer");
        let challenge = HeaderValue::from_str(&challenge).unwrap_or(bare);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    if matches!(reason, Reason::NoKeys | Reason::Stale) {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}

/// The answer to a logout message: OAuth's JSON (OIDC Back-Channel Logout 1.0 §2.8).
pub(crate) fn refuse_logout(reason: Reason, issuer: &str, about: About<'_>, sink: &dyn RefusalSink) -> Response {
    let trace = trace::id(about.trace);
    let About { client, demanded, traceparent, .. } = about;
    sink.refused(&Refusal { trace: &trace, reason, issuer, client, demanded, traceparent });
    let (status, error, description) = reason.public();
    let error = error.unwrap_or("temporarily_unavailable");
    let body = json!({ "error": error, "error_description": description });
    let mut response = answer(status, "application/json", &body.to_string(), &trace);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    if status.is_server_error() {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}

/// The answer where the guard's layer is missing: there is no sink to tell, so it is logged here.
pub(crate) fn refuse_unguarded(reason: Reason, who: &str) -> Response {
    let trace = trace::id(None);
    tracing::error!(target: "portcullis_guard", trace, "{who} needs Guard::layer() around it, added after it");
    problem(reason, &trace)
}

/// RFC 9457.
fn problem(reason: Reason, trace: &str) -> Response {
    let (status, _, detail) = reason.public();
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail, "trace": trace
    });
    answer(status, "application/problem+json", &body.to_string(), trace)
}

fn answer(status: StatusCode, kind: &'static str, body: &str, trace: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(trace) = HeaderValue::from_str(trace) {
        headers.insert(TRACE, trace);
    }
    response
}

/// A quoted-string (RFC 9110 §5.6.4); what cannot stand in one becomes `?`.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn rfc_9110_5_6_4_nothing_ends_the_string_early() {
        for (text, expected) in
            [("a b", "\"a b\""), ("a\"b", "\"a\\\"b\""), ("a\\", "\"a\\\\\""), ("a\r\nb\u{e9}", "\"a??b?\"")]
        {
            assert_eq!(quoted(text), expected);
        }
    }
}
