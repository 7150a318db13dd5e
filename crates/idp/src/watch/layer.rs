//! The one layer around all routes: a refusal gets its id, its header and its record here, whoever refused; a panic becomes one.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderValue, Uri};
use portcullis_core::refusal::{Record, Shown, traceparent};
use tower::{Layer, Service};

use super::span::{Spanned, tell, tell_client, trace_id};
use super::{Endpoint, Halt, Kind, Why};
use crate::panics;
use crate::respond::html;
use crate::respond::html::TRACE;
use crate::state::App;

/// Puts [`Watched`] around a route.
#[derive(Clone)]
pub(crate) struct WatchLayer(Arc<App>);

impl WatchLayer {
    /// For the routes of an idp.
    pub(crate) const fn new(app: Arc<App>) -> Self {
        Self(app)
    }
}

impl<S> Layer<S> for WatchLayer {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, app: Arc::clone(&self.0) }
    }
}

/// A route that is watched.
#[derive(Clone)]
pub(crate) struct Watched<S> {
    inner: S,
    app: Arc<App>,
}

impl<S> Service<Request> for Watched<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // Kept for a refusal only: counted references, no copies.
        let seen = Seen { uri: request.uri().clone(), parent: request.headers().get("traceparent").cloned() };
        let app = Arc::clone(&self.app);
        let method = request.method().clone();
        let to_person = html::is_wanted(request.headers());
        let began = (app.watch.elapsed)();
        let spanned = Spanned::of(request.extensions());
        let spanned_here = spanned.is_some();
        // DS-26: inside of this every handler, fallback and layer of the face, so that none of them takes the connection (and the
        // other streams of HTTP/2 on it) down with itself. What handlers share survives an unwinding: locks forgive poison, the
        // rest is atomic or swapped whole.
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        let answered = async move {
            let mut response = match answer.await {
                Ok(answered) => answered?,
                // What it said may hold data of the request (LG-05): it is dropped unread.
                Err(_said) => panics::sorry(&app, to_person),
            };
            let (endpoint, segment) = Endpoint::of(seen.uri.path());
            if spanned_here {
                tell_realm(&app, segment);
            }
            if response.status().as_u16() >= 400 || response.extensions().get::<Why>().is_some() {
                refused(&app, (endpoint, segment), seen.parent.as_ref(), &mut response);
            }
            let took = (app.watch.elapsed)().saturating_sub(began);
            let block = app.watch.figures.of(segment);
            block.answered(Kind::of(endpoint, &method), response.status(), took);
            Ok(response)
        };
        match spanned {
            None => Box::pin(answered),
            Some(spanned) => Box::pin(spanned.around(answered)),
        }
    }
}

/// What is kept of a request while it is answered.
struct Seen {
    uri: Uri,
    parent: Option<HeaderValue>,
}

/// A realm that is there; another name is a stranger's text.
fn tell_realm(app: &App, segment: Option<&str>) {
    let named = segment.map(|s| percent_encoding::percent_decode_str(s).decode_utf8_lossy());
    if let Some(name) = named.filter(|name| app.knows_realm(name)) {
        tell("portcullis.realm", &name);
    }
}

fn refused(
    app: &App,
    (endpoint, segment): (Endpoint, Option<&str>),
    parent: Option<&HeaderValue>,
    response: &mut Response,
) {
    let status = response.status();
    let why = response.extensions_mut().remove::<Why>().unwrap_or_else(|| Why::of_status(status));
    let trace = why.trace.unwrap_or_else(|| trace_id(app.entropy.as_ref())).text();
    if let Ok(value) = HeaderValue::from_str(&trace) {
        response.headers_mut().insert(TRACE, value);
    }
    let named = segment.map(|s| percent_encoding::percent_decode_str(s).decode_utf8_lossy());
    let realm = named.as_deref().filter(|name| app.knows_realm(name)).map(str::to_owned);
    let why = match &named {
        Some(name) if why.reason == Halt::UnknownRealm.name() => why.received(&Shown::identifier(name)),
        Some(_) | None => why,
    };
    app.watch.figures.of(segment).refused(endpoint, why.explained.class);
    tell("portcullis.reason", why.reason);
    tell("portcullis.class", why.explained.class.name());
    if let Some(client) = &why.client {
        tell_client(client.as_str());
    }
    let record = Record {
        trace,
        time: app.now().millis(),
        source: "idp".to_owned(),
        realm,
        client_id: why.client.map(Shown::into_string),
        endpoint: endpoint.name().to_owned(),
        status: status.as_u16(),
        reason: why.reason.to_owned(),
        check: why.explained.check.to_owned(),
        expected: why.explained.expected.into_owned(),
        got: why.explained.got.into_owned(),
        advice: why.explained.advice.to_owned(),
        traceparent: parent.and_then(|v| traceparent(v.to_str().ok()?)).map(str::to_owned),
    };
    report(app, record);
}

/// One log line for each record that is kept: what floods the sink does not flood the log.
fn report(app: &App, record: Record) {
    let line = record.clone();
    if app.watch.refusals.refused(record) {
        tracing::info!(
            trace = line.trace,
            realm = line.realm,
            client_id = line.client_id,
            endpoint = line.endpoint,
            status = line.status,
            reason = line.reason,
            check = line.check,
            expected = line.expected,
            got = line.got,
            traceparent = line.traceparent,
            "refused"
        );
    }
}
