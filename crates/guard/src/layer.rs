//! The guard as a tower layer.

use std::mem;
use std::task::{Context, Poll};

use axum::response::Response;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use http::Request;
use tower::{Layer, Service};

use crate::credential;
use crate::guard::{Guard, Verdict};
use crate::principal::Principal;
use crate::refusal::Reason;

/// Puts a [`Guard`] around a service; from [`Guard::layer`].
#[derive(Clone, Debug)]
pub struct GuardLayer {
    pub(crate) guard: Guard,
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, guard: self.guard.clone() }
    }
}

/// A service that only verified callers reach. It works on any request body and answers with axum's.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

/// Answered at once, or after the keys were fetched: only the latter costs an allocation.
type Refused<E> = Either<Ready<Result<Response, E>>, BoxFuture<'static, Result<Response, E>>>;

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, Refused<S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Whatever came with the request, only the guard says who calls.
        request.extensions_mut().remove::<Principal>();
        let verdict = match credential::bearer(request.headers(), request.uri()) {
            Ok(token) => self.guard.judge(token),
            Err(reason) => Verdict::Refuse(reason),
        };
        match verdict {
            Verdict::Pass(principal) => {
                request.extensions_mut().insert(principal);
                Either::Left(self.inner.call(request))
            }
            Verdict::Refuse(reason) => {
                let response = self.guard.refuse(reason, &request);
                Either::Right(Either::Left(ready(Ok(response))))
            }
            Verdict::Fetch => {
                let spare = self.inner.clone();
                // The service that said it was ready must be the one that is called.
                let inner = mem::replace(&mut self.inner, spare);
                let waiting = after_fetch(inner, self.guard.clone(), request);
                Either::Right(Either::Right(Box::pin(waiting)))
            }
        }
    }
}

async fn after_fetch<S, B>(mut inner: S, guard: Guard, mut request: Request<B>) -> Result<Response, S::Error>
where
    S: Service<Request<B>, Response = Response>,
{
    let found = match guard.fetch().await {
        Err(_) => Err(Reason::NoKeys),
        Ok(keys) => credential::bearer(request.headers(), request.uri()).and_then(|t| guard.judge_with(t, &keys)),
    };
    match found {
        Err(reason) => Ok(guard.refuse(reason, &request)),
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            inner.call(request).await
        }
    }
}
