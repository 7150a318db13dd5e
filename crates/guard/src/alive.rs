//! Responses that outlive their caller's session break off (LO-06).
//!
//! Owns: the wait for the end ([`Principal::ended`]), the layer that breaks a body off ([`crate::require::alive`]). Does not own: what
//! ends (the cut-offs). Flow: response of the inner service -> body with an end in sight -> its frames, or an error when the end comes.

use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body_util::{BodyStream, StreamBody};
use portcullis_jose::Reject;
use tokio::time::MissedTickBehavior;
use tower::{Layer, Service};

use crate::cutoffs::Standing;
use crate::principal::Principal;
use crate::refusal::{Reason, refuse_unguarded};

/// How often a caller that stays is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A body that is in memory and no longer than this is sent as it is.
const SHORT: u64 = 64 * 1024;

impl Principal {
    /// Waits until this caller may not go on: [`Reason::Ended`] when session, subject, client, key or token was cut off,
    /// [`Reason::Stale`] when nobody knows any more, [`Reason::Token`] when the token is past `exp`. It looks once a second. Runs on tokio.
    ///
    /// ```
    /// # use portcullis_guard::Principal;
    /// async fn serve(caller: Principal, socket: impl Future<Output = ()>) {
    ///     tokio::select! {
    ///         why = caller.ended() => eprintln!("closed: {}", why.name()),
    ///         () = socket => {}
    ///     }
    /// }
    /// ```
    pub async fn ended(&self) -> Reason {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let now = self.now();
            match self.standing(now) {
                Standing::Ended => return Reason::Ended,
                Standing::Unknown => return Reason::Stale,
                Standing::Alive if now >= self.expires_at() => return Reason::Token(Reject::Expired),
                Standing::Alive => {}
            }
        }
    }
}

/// Breaks responses off when their caller's session ends; from [`crate::require::alive`].
#[derive(Clone, Copy, Debug)]
pub struct AliveLayer;

impl<S> Layer<S> for AliveLayer {
    type Service = AliveService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AliveService(inner)
    }
}

/// A service whose responses end with their caller's session.
#[derive(Clone, Debug)]
pub struct AliveService<S>(S);

impl<S, B> Service<Request<B>> for AliveService<S>
where
    S: Service<Request<B>, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(caller) = request.extensions().get::<Principal>().cloned() else {
            return Box::pin(async { Ok(refuse_unguarded(Reason::NoPrincipal, "require::alive")) });
        };
        let inner = self.0.call(request);
        Box::pin(async move {
            let (parts, body) = inner.await?.into_parts();
            Ok(Response::from_parts(parts, while_alive(body, caller)))
        })
    }
}

/// The session behind a response ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the caller's session is over: {}", .0.name())]
struct Over(Reason);

/// The body's frames until the caller's time is over, then an error: a download that was broken off must not look whole.
fn while_alive(body: Body, caller: Principal) -> Body {
    if body.size_hint().exact().is_some_and(|bytes| bytes <= SHORT) {
        return body;
    }
    let over = Box::pin(async move { caller.ended().await });
    let flow = stream::unfold(Some((BodyStream::new(body), over)), async |state| {
        let (mut frames, over) = state?;
        match select(over, frames.next()).await {
            Either::Left((why, _)) => Some((Err(axum::Error::new(Over(why))), None)),
            Either::Right((frame, over)) => frame.map(|frame| (frame, Some((frames, over)))),
        }
    });
    Body::new(StreamBody::new(flow))
}
