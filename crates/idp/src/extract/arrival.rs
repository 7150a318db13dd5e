//! A request at the door of a realm: its body read within the limit, its peer known, its realm found.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;

use super::{Base, MAX_FORM, Peer};
use crate::respond::{self, html};
use crate::state::{App, RealmView};
use crate::watch::Halt;

/// How long a form of at most 64 KB may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(15);

/// What every endpoint of a realm begins with.
pub(crate) struct Arrival {
    /// Method, address, headers.
    pub(crate) parts: Parts,
    /// The whole body.
    pub(crate) body: Bytes,
    /// Who called.
    pub(crate) peer: Peer,
    /// The realm.
    pub(crate) view: Arc<RealmView>,
}

/// Why a request got no further than the door.
pub(crate) enum Turned {
    /// DS-01: the body is over the limit.
    TooLarge,
    /// DS-06: the body did not come in time.
    TooSlow,
    /// No such realm, in the words of whoever asks.
    UnknownRealm(Box<Response>),
    /// The store did not answer.
    Unavailable,
}

impl Arrival {
    /// Reads a request.
    pub(crate) async fn read(app: &App, realm: &str, request: Request) -> Result<Self, Turned> {
        let (parts, body) = request.into_parts();
        let body = whole(body).await?;
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
        match app.realm(realm).await {
            Ok(Some(view)) => Ok(Self { parts, body, peer, view }),
            Ok(None) => Err(Turned::UnknownRealm(Box::new(html::unknown_realm(app, &parts.headers)))),
            Err(_) => Err(Turned::Unavailable),
        }
    }

    /// The server's own address as this request sees it.
    pub(crate) fn base(&self, app: &App) -> Base {
        Base::of(&app.config, &self.parts.headers, &self.parts.uri, &self.peer)
    }
}

/// The whole body, within size and time.
async fn whole(body: Body) -> Result<Bytes, Turned> {
    match tokio::time::timeout(BODY_DEADLINE, axum::body::to_bytes(body, MAX_FORM)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Turned::TooLarge),
        Err(_) => Err(Turned::TooSlow),
    }
}

impl From<Turned> for Response {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::TooLarge => {
                respond::halted(StatusCode::PAYLOAD_TOO_LARGE, "HTTP 413 Request Entity Too Large", Halt::BodyTooLarge)
            }
            Turned::TooSlow => {
                respond::halted(StatusCode::REQUEST_TIMEOUT, "HTTP 408 Request Timeout", Halt::BodyTooSlow)
            }
            Turned::UnknownRealm(response) => *response,
            Turned::Unavailable => respond::unavailable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ds_06_a_body_that_never_ends_is_given_up() {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        assert!(matches!(whole(Body::from_stream(never)).await, Err(Turned::TooSlow)));
        assert!(matches!(whole(Body::from(vec![b'a'; MAX_FORM + 1])).await, Err(Turned::TooLarge)));
        assert!(matches!(whole(Body::from("a=b")).await, Ok(bytes) if bytes == "a=b"));
    }
}
