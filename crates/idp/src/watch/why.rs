//! Why an answer is a refusal: left in the answer's extensions by whoever renders it.

use std::borrow::Cow;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::params::Params;
use portcullis_core::refusal::{Class, Explained, Shown, TraceId};
use portcullis_jose::Reject;

use super::Halt;
use crate::bearer::{Flaw, Refused};

/// The reason of a refusal, with what may be told of the request.
#[derive(Clone, Debug)]
pub(crate) struct Why {
    pub(super) reason: &'static str,
    pub(super) explained: Explained,
    pub(super) client: Option<Shown>,
    pub(super) trace: Option<TraceId>,
}

impl Why {
    const fn new(reason: &'static str, explained: Explained) -> Self {
        Self { reason, explained, client: None, trace: None }
    }

    /// By the status alone.
    pub(super) fn of_status(status: StatusCode) -> Self {
        Self::from(match status {
            StatusCode::NOT_FOUND => Halt::UnknownPath,
            StatusCode::METHOD_NOT_ALLOWED => Halt::Method,
            StatusCode::PAYLOAD_TOO_LARGE => Halt::BodyTooLarge,
            StatusCode::REQUEST_TIMEOUT => Halt::BodyTooSlow,
            _ if status.is_server_error() => Halt::Failed,
            _ => Halt::Unnamed,
        })
    }

    /// Adds what was received, where it is no secret.
    #[must_use]
    pub(crate) fn received(mut self, text: &Shown) -> Self {
        if !text.as_str().is_empty() {
            self.explained.got = Cow::Owned(format!("{}: {}", self.explained.got, text.as_str()));
        }
        self
    }

    /// Names the client.
    #[must_use]
    pub(crate) fn of_client(mut self, client_id: Option<&str>) -> Self {
        self.client = client_id.filter(|id| !id.is_empty()).map(Shown::identifier);
        self
    }

    /// The id that a page shows already.
    #[must_use]
    pub(crate) fn shown_as(mut self, trace: TraceId) -> Self {
        self.trace = Some(trace);
        self
    }
}

impl From<Halt> for Why {
    fn from(halt: Halt) -> Self {
        Self::new(halt.name(), halt.explain())
    }
}

impl From<&Reason> for Why {
    fn from(reason: &Reason) -> Self {
        let why = Self::new(reason.name(), reason.explain());
        match reason.detail() {
            Some(text) => why.received(&text),
            None => why,
        }
    }
}

impl From<Reject> for Why {
    fn from(reject: Reject) -> Self {
        let (expected, got) = reject.facts();
        let advice = "Use a token of this realm, unchanged and before its end; issuer and clock must agree.";
        let (check, got) = ("token verification", Cow::Borrowed(got));
        Self::new(reject.name(), Explained { class: Class::Token, check, expected: Cow::Owned(expected), got, advice })
    }
}

impl From<Refused> for Why {
    fn from(refused: Refused) -> Self {
        Self::from(match refused {
            Refused::Token(Flaw::Rejected(reject)) => return Self::from(reject),
            Refused::Token(Flaw::NotBearer) => Halt::NotBearer,
            Refused::Token(Flaw::Bound) => Halt::BoundToken,
            Refused::Token(Flaw::Incomplete) => Halt::IncompleteToken,
            Refused::Token(Flaw::NoClient) => Halt::TokenOfNoClient,
            Refused::Token(Flaw::TooOld) => Halt::TokenTooOld,
            Refused::Token(Flaw::Revoked) => Halt::TokenRevoked,
            Refused::Token(Flaw::AnotherUser) => Halt::TokenOfAnotherUser,
            Refused::Token(Flaw::NoServiceAccount) => Halt::NoServiceAccount,
            Refused::ClientDisabled => Halt::ClientOff,
            Refused::UserDisabled => Halt::UserOff,
            Refused::SessionGone => Halt::SessionGone,
            Refused::Unavailable => return Self::from(&Reason::Unavailable),
        })
    }
}

/// Leaves the reason in an answer. A later, finer one replaces an earlier one; an id that a page shows stays.
pub(crate) fn mark(response: &mut Response, why: impl Into<Why>) {
    let mut why = why.into();
    if let Some(before) = response.extensions_mut().remove::<Why>() {
        why.trace = why.trace.or(before.trace);
        why.client = why.client.or(before.client);
    }
    response.extensions_mut().insert(why);
}

/// The id that a refusal has already.
pub(crate) fn trace(response: &Response) -> Option<String> {
    response.extensions().get::<Why>()?.trace.map(|id| id.text())
}

/// Names the client of a refusal; an answer that is none stays as it is.
pub(crate) fn client(response: &mut Response, client_id: impl FnOnce() -> Option<String>) {
    if let Some(why) = response.extensions_mut().get_mut::<Why>()
        && why.client.is_none()
    {
        why.client = client_id().filter(|id| !id.is_empty()).map(|id| Shown::identifier(&id));
    }
}

/// The client as a request names itself: `client_id`, or the name in `Authorization: Basic`. Nothing is proven by it.
pub(crate) fn named_client(headers: &HeaderMap, params: &Params) -> Option<String> {
    if let Some(id) = params.get("client_id") {
        return Some(id.to_owned());
    }
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    // Without a colon the whole might be a secret.
    pair.split_once(':').map(|(id, _)| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lg_02_a_header_that_is_no_pair_names_nobody() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, format!("Basic {}", STANDARD.encode(text)).parse().unwrap());
            named_client(&headers, &Params::default())
        };
        assert_eq!(read("app:secret").as_deref(), Some("app"));
        assert_eq!(read("secret"), None);
    }

    #[test]
    fn a_finer_reason_replaces_one_and_keeps_the_id_of_the_page() {
        struct Ones;
        impl portcullis_core::entropy::Entropy for Ones {
            fn fill(&self, out: &mut [u8]) {
                out.fill(1);
            }
        }
        let mut response = Response::default();
        let id = TraceId::mint(&Ones);
        mark(&mut response, Why::from(&Reason::InvalidUserCredentials).of_client(Some("app")).shown_as(id));
        mark(&mut response, Halt::AccountRests);
        let why = response.extensions().get::<Why>().unwrap();
        assert_eq!((why.reason, why.trace), ("AccountRests", Some(id)));
        assert_eq!(why.client.as_ref().unwrap().as_str(), "app");
    }
}
