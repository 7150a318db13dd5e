//! What a route demands of the caller. A demand stands inside the guard: it is added before `guard.layer()`.
//!
//! Owns: roles and scopes by exact word, 403 with `insufficient_scope`; level and age of the login, 401 with
//! `insufficient_user_authentication` (RFC 9470). Does not own: verification (the guard), rules about your data.
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

use crate::alive::AliveLayer;
use crate::principal::Principal;
use crate::refusal::{About, Reason, refuse, refuse_unguarded};

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

/// The login behind the token must have one of these levels, by exact name (`acr`; RFC 9470). An empty list lets nobody in.
///
/// The answer is 401 with `error="insufficient_user_authentication"` and `acr_values`: the application sends the person to the
/// authorization endpoint with the same `acr_values`, gets a token of that login, and asks again.
///
/// ```
/// use axum::{Router, routing::post};
/// use portcullis_guard::require;
///
/// let app: Router = Router::new()
///     .route("/transfer", post(async || "done"))
///     .layer(require::acr(["2"]));
/// # let _ = app;
/// ```
#[must_use]
pub fn acr<A: Into<String>>(values: impl IntoIterator<Item = A>) -> Require {
    login(Some(values.into_iter().map(Into::into).collect()), None)
}

/// Both [`acr`] and [`max_age`], named in one answer: one more login satisfies them.
#[must_use]
pub fn acr_within<A: Into<String>>(values: impl IntoIterator<Item = A>, seconds: u32) -> Require {
    login(Some(values.into_iter().map(Into::into).collect()), Some(seconds))
}

/// The person behind the token must have logged in at most so many seconds ago (`auth_time`; RFC 9470). A token that does not say
/// when is refused. The answer is 401 as that of [`acr`], with `max_age`.
#[must_use]
pub fn max_age(seconds: u32) -> Require {
    login(None, Some(seconds))
}

fn login(acr: Option<Vec<String>>, max_age: Option<u32>) -> Require {
    Require(Arc::new(Demand::Login { acr, max_age }))
}

/// The token must have all of these scopes. An empty list lets nobody in.
#[must_use]
pub fn all_scopes<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Require {
    Require(Arc::new(Demand::AllScopes(names.into_iter().map(Into::into).collect())))
}

/// The guard must know of ends up to this very moment: while its revocation feed is stale, or without one, the route answers 503.
#[must_use]
pub fn fresh() -> Require {
    Require(Arc::new(Demand::Fresh))
}

/// The caller must stay: a response that still flows when its session is cut off, its token is over, or nobody knows any more, breaks
/// off within two seconds (LO-06). For event streams and long downloads; a WebSocket's handler waits for [`Principal::ended`] itself.
///
/// ```
/// use axum::{Router, routing::get};
/// use portcullis_guard::require;
///
/// let app: Router = Router::new()
///     .route("/events", get(async || "a long stream"))
///     .layer(require::alive());
/// # let _ = app;
/// ```
#[must_use]
pub fn alive() -> AliveLayer {
    AliveLayer
}

#[derive(Debug)]
enum Demand {
    Fresh,
    AnyRole(Vec<String>),
    AllScopes(Vec<String>),
    Login { acr: Option<Vec<String>>, max_age: Option<u32> },
}

/// Seconds that the issuer's clock may be ahead: an `auth_time` beyond that is no time of a login.
const AHEAD: i64 = 60;

fn is_recent(caller: &Principal, max_age: u32) -> bool {
    let age = caller.authenticated_at().and_then(|at| caller.now().checked_sub(at));
    age.is_some_and(|age| (-AHEAD..=i64::from(max_age)).contains(&age))
}

fn has_level(caller: &Principal, values: &[String]) -> bool {
    caller.acr().is_some_and(|acr| values.iter().any(|v| v == acr))
}

impl Demand {
    /// What the caller lacks.
    fn unmet(&self, caller: &Principal) -> Option<Reason> {
        match self {
            Self::Fresh => (!caller.is_fresh()).then_some(Reason::Stale),
            Self::AnyRole(names) => (!names.iter().any(|n| caller.has_role(n))).then_some(Reason::MissingRole),
            // A list computed as empty is a mistake, no permission.
            Self::AllScopes(names) => {
                let met = !names.is_empty() && names.iter().all(|n| caller.has_scope(n));
                (!met).then_some(Reason::MissingScope)
            }
            Self::Login { acr: Some(values), .. } if !has_level(caller, values) => Some(Reason::LevelTooLow),
            Self::Login { max_age: Some(age), .. } if !is_recent(caller, *age) => Some(Reason::LoginTooOld),
            Self::Login { .. } => None,
        }
    }

    fn refuse<B>(&self, reason: Reason, caller: &Principal, request: &Request<B>) -> Response {
        let needed: Vec<(&'static str, String)> = match self {
            Self::AnyRole(_) | Self::Fresh => vec![],
            Self::AllScopes(names) => vec![("scope", names.join(" "))],
            // RFC 9470 §3: all that the next login must satisfy, so that one is enough.
            Self::Login { acr, max_age } => {
                let acr = acr.as_ref().map(|values| ("acr_values", values.join(" ")));
                acr.into_iter().chain(max_age.map(|age| ("max_age", age.to_string()))).collect()
            }
        };
        let demanded = match self {
            Self::AnyRole(names) => names.join(" or "),
            Self::AllScopes(_) | Self::Login { .. } | Self::Fresh => {
                needed.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
            }
        };
        let about = About::request(request.headers(), request.extensions());
        let about = About { client: caller.client(), demanded: Some(&demanded), needed: &needed, ..about };
        refuse(reason, caller.issuer(), about, caller.sink())
    }

    fn who(&self) -> String {
        match self {
            Self::Fresh => "require::fresh".to_owned(),
            Self::AnyRole(names) => format!("require::role {names:?}"),
            Self::AllScopes(names) => format!("require::scope {names:?}"),
            Self::Login { acr, max_age } => format!("require::acr {acr:?} max_age {max_age:?}"),
        }
    }
}

/// A demand as a tower layer; see [`role`], [`any_role`], [`scope`], [`all_scopes`], [`acr`], [`max_age`], [`acr_within`], [`fresh`].
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
            Some(caller) => match self.demand.unmet(caller) {
                Some(reason) => self.demand.refuse(reason, caller, &request),
                None => return Either::Left(self.inner.call(request)),
            },
        };
        Either::Right(ready(Ok(refusal)))
    }
}
