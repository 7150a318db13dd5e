//! `GET /realms/{realm}/portcullis/revocations`: the realm's cut-offs as a signed, resumable stream (`docs/reference/revocation-feed.md`).
//!
//! **Owns** who may read, the stream's shape on HTTP, the reader per realm ([`feed`]) and the events ([`frame`]).
//! **Does not own** which cut-offs follow from an end ([`portcullis_core::ending`]), their order (store), what a guard makes of them.
//! **Flow** bearer token of a service account -> cursor -> snapshot or what came since -> live events and a heartbeat each second.

mod feed;
mod frame;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::response::Response;
use futures_util::stream;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use portcullis_core::admin::Standing;
use portcullis_core::cutoff::Cursor;
use portcullis_core::oauth::resource;
use portcullis_jose::Reject;
use tokio::sync::mpsc;

pub use feed::{FeedFigures, Frames};
pub(crate) use feed::{Feeds, open};

use crate::bearer::{self, Refused};
use crate::extract::{self, Base, Peer};
use crate::respond;
use crate::state::{App, RealmView};
use crate::watch::{self, Halt, Why};

/// Events that wait for one connection. Behind them stands the feed's own buffer.
const WAITING: usize = 8;

/// A connection that takes nothing for so long is ended.
const STUCK: Duration = Duration::from_secs(10);

/// Why a stream did not begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FeedRefused {
    /// No such realm.
    #[error("no such realm")]
    NoRealm,
    /// All places are taken, or the node stops.
    #[error("too many readers")]
    TooMany,
    /// The store did not answer.
    #[error("storage does not answer")]
    Unavailable,
}

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    let (parts, _unread) = request.into_parts();
    if parts.method != Method::GET {
        return respond::wrong_method();
    }
    let view = match app.realm(&realm).await {
        Ok(Some(view)) => view,
        Ok(None) => return respond::unknown_realm(),
        Err(_) => return respond::unavailable(),
    };
    let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
    if let Some(reason) = crate::token::closed(&view, &peer) {
        return respond::oauth_error(&reason);
    }
    let base = Base::of(&app.config, &parts.headers, &parts.uri, &peer);
    let issuer = base.issuer(&realm);
    let expires_at = match permitted(&app, &view, &base, &parts.headers).await {
        Ok(expires_at) => expires_at,
        Err(refused) => return refused,
    };
    let Ok(params) = extract::query(&parts.uri) else { return bad_request() };
    let after = match (params.count("after"), params.get("after")) {
        (0, _) | (1, None) => None,
        (1, Some(text)) => match cursor(text) {
            Some(cursor) => Some(cursor),
            None => return bad_request(),
        },
        _ => return bad_request(),
    };
    match feed::open(&app, &realm, &issuer, after).await {
        Ok(frames) => streamed(frames, Arc::clone(&app), expires_at),
        Err(FeedRefused::NoRealm) => respond::unknown_realm(),
        Err(FeedRefused::TooMany | FeedRefused::Unavailable) => respond::unavailable(),
    }
}

fn bad_request() -> Response {
    respond::halted(StatusCode::BAD_REQUEST, "after must be EPOCH.SEQ", Halt::Cursor)
}

/// `EPOCH.SEQ`
fn cursor(text: &str) -> Option<Cursor> {
    let (epoch, sequence) = text.split_once('.')?;
    let number = |text: &str| text.parse::<i64>().ok().filter(|n| *n >= 0);
    Some(Cursor { epoch: number(epoch)?, sequence: number(sequence)? })
}

/// A service account of this realm with the role. Until when its token holds: the stream goes on no longer.
async fn permitted(app: &App, view: &RealmView, base: &Base, headers: &HeaderMap) -> Result<i64, Response> {
    let refused = |status, error: &str, why: Why| {
        let mut response = respond::generic_error(status, error);
        let challenge = HeaderValue::from_str(&format!("Bearer error=\"{error}\""));
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, challenge.unwrap_or_else(|_| HeaderValue::from_static("Bearer")));
        watch::mark(&mut response, why);
        response
    };
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let token = match (all.next().and_then(|v| v.to_str().ok()).and_then(|v| v.split_once(' ')), all.next()) {
        (Some((scheme, token)), None) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(refused(StatusCode::UNAUTHORIZED, "invalid_token", Halt::NoToken.into())),
    };
    let issuer = base.issuer(&view.records.realm.name);
    let caller = match bearer::verify(app, view, &issuer, token, app.now()).await {
        Ok(caller) => caller,
        Err(Refused::Unavailable) => return Err(respond::unavailable()),
        Err(flaw) => return Err(refused(StatusCode::UNAUTHORIZED, "invalid_token", flaw.into())),
    };
    if !resource::opens_this_server(caller.client, caller.claims.aud(), &base.url) {
        return Err(refused(StatusCode::UNAUTHORIZED, "invalid_token", Reject::WrongAudience.into()));
    }
    let standing = Standing::of(&view.records, &caller.user, &caller.client.client_id);
    if standing.may_read_revocations(&caller.user).is_err() {
        let why = Why::from(Halt::NotFeedReader).of_client(Some(&caller.client.client_id));
        return Err(refused(StatusCode::FORBIDDEN, "insufficient_scope", why));
    }
    let endless = || refused(StatusCode::UNAUTHORIZED, "invalid_token", Halt::IncompleteToken.into());
    caller.claims.exp().ok_or_else(endless)
}

/// The answer: server-sent events until the reader hangs up, is too slow, or its token is over.
fn streamed(frames: Frames, app: Arc<App>, expires_at: i64) -> Response {
    let (send, receive) = mpsc::channel(WAITING);
    tokio::spawn(pump(frames, app, expires_at, send));
    let events = stream::unfold(receive, async |mut receive: mpsc::Receiver<Bytes>| {
        let event = receive.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(event), receive))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    respond::shield(headers, respond::Shield::Api);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Reverse proxies must not hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Moves events to a connection. It holds the stream's place, so a connection that takes nothing is given up.
async fn pump(mut frames: Frames, app: Arc<App>, expires_at: i64, send: mpsc::Sender<Bytes>) {
    while app.now().secs() < expires_at {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            () = send.closed() => None,
        };
        let Some(frame) = frame else { return };
        if send.send_timeout(Bytes::from(format!("data: {frame}\n\n")), STUCK).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_two_numbers() {
        assert_eq!(cursor("1.0"), Some(Cursor { epoch: 1, sequence: 0 }));
        assert_eq!(cursor("3.9223372036854775807"), Some(Cursor { epoch: 3, sequence: i64::MAX }));
        for text in ["", "1", "1.", ".1", "1.2.3", "-1.2", "1.-2", "a.b", "1.9223372036854775808"] {
            assert_eq!(cursor(text), None, "{text}");
        }
    }
}
