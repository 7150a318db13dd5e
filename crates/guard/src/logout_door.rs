//! The door for logout tokens (OIDC Back-Channel Logout 1.0 §2.5 to §2.8): an issuer tells the API that a session ended.
//!
//! Owns: the request's shape, the answers. Does not own: the token's checks ([`portcullis_client::logout_token`]), what is remembered
//! ([`crate::cutoffs`]). Flow: POST with a form -> one `logout_token` -> verified by the guard's own keys -> remembered -> 200.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use portcullis_client::logout_token::of_form;
use portcullis_client::{LogoutFault, LogoutToken};
use portcullis_jose::{KeySet, Reject, jws};

use crate::builder::BuildError;
use crate::cutoffs::Untaken;
use crate::guard::{Guard, Hearing};
use crate::refusal::{About, Reason, refuse_logout};

/// Longest body: a token and room for members that are not read (DS-17).
const LONGEST_BODY: usize = 64 * 1024;

impl Guard {
    /// The route for the issuer's logout messages, when the builder was given [`crate::Builder::backchannel_logout`]. It stands outside
    /// [`Guard::layer`]: the issuer has no access token.
    ///
    /// A message is answered with 200, a bad one with 400 and OAuth's JSON, one that cannot be judged or remembered now with 503. From
    /// then on tokens of the session that ended are refused here, those verified before too.
    ///
    /// # Errors
    /// [`BuildError::NoLogouts`]: the builder was not told whose messages to take.
    pub fn backchannel_logout<S: Clone + Send + Sync + 'static>(&self) -> Result<MethodRouter<S>, BuildError> {
        if self.hearing().is_none() {
            return Err(BuildError::NoLogouts);
        }
        let guard = self.clone();
        Ok(any(move |request: Request| {
            let guard = guard.clone();
            async move { guard.hear(request).await }
        }))
    }

    async fn hear(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        match self.heard(&parts.method, &parts.headers, body).await {
            Ok(()) => done(),
            Err(reason) => {
                let about = About::request(&parts.headers, &parts.extensions);
                refuse_logout(reason, self.issuer(), about, self.sink())
            }
        }
    }

    async fn heard(&self, method: &Method, headers: &HeaderMap, body: Body) -> Result<(), Reason> {
        let hearing = self.hearing().ok_or(Reason::NoLogoutToken)?;
        if method != Method::POST {
            return Err(Reason::LogoutNotPosted);
        }
        if !is_form(headers) {
            return Err(Reason::NoLogoutToken);
        }
        let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| Reason::NoLogoutToken)?;
        let token = of_form(&body).ok_or(Reason::NoLogoutToken)?;
        let verified = self.verified(hearing, &token).await?;
        hearing.logouts.take(&verified, self.now()).map_err(|untaken| match untaken {
            Untaken::Replayed => Reason::LogoutReplayed,
            Untaken::Full => Reason::LogoutsFull,
        })
    }

    /// By the keys at hand, or by newer ones where the token names a key that nobody here has seen (DS-10).
    async fn verified(&self, hearing: &Hearing, token: &str) -> Result<LogoutToken, Reason> {
        let judge = |keys: &KeySet| LogoutToken::verify(token, keys, &hearing.rules, self.now());
        let keys = self.keys_at_hand();
        let judged = judge(keys.as_ref().unwrap_or(&KeySet::default()));
        let unknown = judged == Err(LogoutFault::Token(Reject::UnknownKey));
        if !unknown || !may_be_new(hearing, token, keys.as_ref()) {
            return judged.map_err(Reason::BadLogoutToken);
        }
        let newer = self.fetch().await.map_err(|_| Reason::NoKeys)?;
        judge(&newer).map_err(Reason::BadLogoutToken)
    }
}

/// What the token says of itself, unverified: good for not asking anybody.
fn may_be_new(hearing: &Hearing, token: &str, keys: Option<&KeySet>) -> bool {
    let Ok(parsed) = jws::parse(token, hearing.rules.limits()) else { return false };
    let named = parsed.header().kid.as_deref().is_some_and(|kid| keys.is_none_or(|keys| !keys.has_kid(kid)));
    named && parsed.unverified_issuer() == Some(hearing.rules.issuer())
}

/// Exactly one `Content-Type`, the form's (§2.5).
fn is_form(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let kind = all.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    all.next().is_none() && kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// §2.8.
fn done() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
