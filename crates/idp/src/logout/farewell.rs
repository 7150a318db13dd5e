//! Where a logout ends: at the client, on the page that tells clients by frames, or on a page of ours.

use axum::response::Response;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use portcullis_core::oauth::backchannel::Frame;
use portcullis_core::oauth::redirect_uri::MatchedRedirectUri;

use crate::login::{self, Cx};
use crate::pages::{ErrorPage, FrontChannelClient, FrontChannelLogoutPage, InfoPage, Page, Text};
use crate::respond;
use crate::respond::html::Surroundings;
use crate::watch::Halt;

/// Pages of the logout may be kept but are asked for anew (Keycloak 26.4).
pub(super) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// What comes after the end of a session.
pub(super) struct Farewell<'a> {
    /// Where to go.
    pub(super) to: Option<MatchedRedirectUri>,
    /// `state` to give back there.
    pub(super) state: Option<String>,
    /// Who is told on the way.
    pub(super) frames: Vec<Frame>,
    /// The languages wanted.
    pub(super) locales: &'a [String],
}

/// The answer.
pub(super) fn gone(cx: &Cx<'_>, farewell: Farewell<'_>, jar: HeaderMap) -> Response {
    let to = farewell.to.map(|to| match &farewell.state {
        Some(state) => {
            let separator = if to.as_str().contains('?') { '&' } else { '?' };
            format!("{}{separator}state={}", to.as_str(), login::encoded(state))
        }
        None => to.as_str().to_owned(),
    });
    let response = match to {
        to if !farewell.frames.is_empty() => framed(cx, farewell.frames, to, farewell.locales),
        None => page(cx, farewell.locales, StatusCode::OK, &InfoPage::new(Text::key("successLogout"))),
        Some(to) => {
            let mut response = respond::empty(StatusCode::FOUND);
            response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
            if let Ok(value) = HeaderValue::from_str(&to) {
                response.headers_mut().insert(LOCATION, value);
            }
            response
        }
    };
    login::with_cookies(response, jar)
}

fn framed(cx: &Cx<'_>, frames: Vec<Frame>, continue_url: Option<String>, locales: &[String]) -> Response {
    let client = |frame: Frame| FrontChannelClient { name: Text::reference(frame.name), url: frame.url };
    let page = FrontChannelLogoutPage { clients: frames.into_iter().map(client).collect(), continue_url };
    let mut response = around(cx, locales).front_channel(&page);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

/// A page of the logout.
pub(super) fn page<P: Page>(cx: &Cx<'_>, locales: &[String], status: StatusCode, page: &P) -> Response {
    let mut response = around(cx, locales).page(status, page);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

/// An error page of the logout.
pub(super) fn error(cx: &Cx<'_>, locales: &[String], status: StatusCode, page: &ErrorPage, halt: Halt) -> Response {
    let mut response = around(cx, locales).error(status, page, halt);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

fn around<'a>(cx: &'a Cx<'_>, locales: &'a [String]) -> Surroundings<'a> {
    Surroundings::of(cx.app, cx.view, locales.iter().map(String::as_str))
}
