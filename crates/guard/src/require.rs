//! What a route demands of the caller. A demand stands inside the guard: it is added before `guard.layer()`.
//!
//! Owns: roles and scopes by exact word, 403 with `insufficient_scope`. Does not own: verification (the guard), rules about your data.
//! Flow: [`Principal`] of the request -> demand met -> inner service, else a refusal.
//!
//! ```
//! use axum::{Router, routing::get};
//! use portcullis_guard::require;
//!
//! let app: Router = Router::new()
//!     .route("/orders", get(async || "orders"))
//!     .layer(require::scope("orders:read"))
//!     .layer(require::any_role(["clerk", "admin"]));
//! # let _ = app;
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::Response;
use futures_util::future::{Either, Ready, ready};
use http::Request;
use tower::{Layer, Service};

use crate::principal::Principal;
use crate::refusal::{Reason, refuse, refuse_unguarded};

/// The caller must have this role: a realm role by its name, a client's role as `client:role`.
#[must_use]
pub fn role(name: impl Into<String>) -> Require {
    any_role([name.into()])
}

/// The caller must have at least one of these roles. An empty list lets nobody in.
#[must_use]
pub fn any_role<R: Into<String>>(names: impl IntoIterator<Item = R>) -> Require {
    Require(Arc::new(Demand::AnyRole(names.into_iter().map(Into::into).collect())))
}

/// The token must have this scope, as one whole word (JW-32).
#[must_use]
pub fn scope(name: impl Into<String>) -> Require {
    all_scopes([name.into()])
}

/// The token must have all of these scopes. An empty list lets nobody in.
#[must_use]
pub fn all_scopes<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Require {
    Require(Arc::new(Demand::AllScopes(names.into_iter().map(Into::into).collect())))
}

#[derive(Debug)]
enum Demand {
    AnyRole(Vec<String>),
    AllScopes(Vec<String>),
}

impl Demand {
    fn is_met(&self, caller: &Principal) -> bool {
        match self {
            Self::AnyRole(names) => names.iter().any(|n| caller.has_role(n)),
            // A list computed as empty is a mistake, no permission.
            Self::AllScopes(names) => !names.is_empty() && names.iter().all(|n| caller.has_scope(n)),
        }
    }

    fn refuse(&self, caller: &Principal) -> Response {
        let (reason, scope) = match self {
            Self::AnyRole(_) => (Reason::MissingRole, None),
            Self::AllScopes(names) => (Reason::MissingScope, Some(names.join(" "))),
        };
        refuse(reason, caller.issuer(), scope.as_deref(), caller.sink())
    }

    fn who(&self) -> String {
        match self {
            Self::AnyRole(names) => format!("require::role {names:?}"),
            Self::AllScopes(names) => format!("require::scope {names:?}"),
        }
    }
}

/// A demand as a tower layer; see [`role`], [`any_role`], [`scope`], [`all_scopes`].
#[derive(Clone, Debug)]
pub struct Require(Arc<Demand>);

impl<S> Layer<S> for Require {
    type Service = Required<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Required { inner, demand: Arc::clone(&self.0) }
    }
}

/// A service behind a demand.
#[derive(Clone, Debug)]
pub struct Required<S> {
    inner: S,
    demand: Arc<Demand>,
}

impl<S, B> Service<Request<B>> for Required<S>
where
    S: Service<Request<B>, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let refusal = match request.extensions().get::<Principal>() {
            None => refuse_unguarded(Reason::NoPrincipal, &self.demand.who()),
            Some(caller) if !self.demand.is_met(caller) => self.demand.refuse(caller),
            Some(_) => return Either::Left(self.inner.call(request)),
        };
        Either::Right(ready(Ok(refusal)))
    }
}
