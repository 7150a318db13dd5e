//! The span of each request: opened outside everything a face has, so that a panic and a missing path have one too.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use http::{HeaderMap, Method, Version};
use portcullis_core::entropy::Entropy;
use portcullis_core::refusal::{TraceId, traceparent};
use portcullis_guard::Trace;
use portcullis_idp::Peer;
use portcullis_idp::watch::Endpoint;
use tower::{Layer, Service};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::Callers;

/// Which face a listener shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// The identity provider, or its public part.
    Idp,
    /// `/admin` and the master realm.
    Admin,
    /// The demo's page.
    App,
    /// The demo's API behind the guard.
    Api,
}

impl Face {
    const fn name(self) -> &'static str {
        match self {
            Self::Idp => "idp",
            Self::Admin => "admin",
            Self::App => "app",
            Self::Api => "api",
        }
    }
}

/// Opens spans for the requests of listeners.
#[derive(Clone)]
pub struct Faces {
    callers: Callers,
    entropy: Arc<dyn Entropy>,
}

impl Faces {
    pub(super) fn new(callers: Callers, entropy: Arc<dyn Entropy>) -> Self {
        Self { callers, entropy }
    }

    /// The layer of one face's router.
    #[must_use]
    pub fn layer(&self, face: Face) -> SpanLayer {
        SpanLayer { faces: self.clone(), face }
    }

    /// A request's span, and the number that a refusal of it gets.
    fn open(&self, face: Face, request: &Request) -> (Span, TraceId) {
        let id = TraceId::mint(&*self.entropy);
        let (method, route) = (method(request.method()), request.extensions().get::<MatchedPath>());
        let route = route.map(MatchedPath::as_str);
        let endpoint = match face {
            Face::Idp | Face::Admin => Endpoint::of(request.uri().path()).0.name(),
            Face::App => "app",
            // A handful of routes, written in this program.
            Face::Api => route.unwrap_or("other"),
        };
        let caller = caller(request.headers());
        let (continued, linked) = match self.callers {
            Callers::Continue => (caller, None),
            Callers::Link => (None, caller),
        };
        let verb = if method == "_OTHER" { "HTTP" } else { method };
        let https = request.extensions().get::<Peer>().is_some_and(|peer| peer.https);
        let span = tracing::info_span!(
            target: "portcullis::span",
            parent: None,
            "request",
            span.name = format!("{verb} {endpoint}"),
            span.kind = "server",
            span.failed = Empty,
            trace.id = id.text(),
            trace.caller = continued,
            trace.link = linked,
            http.request.method = method,
            http.route = route,
            http.response.status_code = Empty,
            url.scheme = if https { "https" } else { "http" },
            network.protocol.version = version(request.version()),
            "error.type" = Empty,
            portcullis.face = face.name(),
            portcullis.endpoint = endpoint,
            portcullis.realm = Empty,
            portcullis.client_id = Empty,
            portcullis.outcome = Empty,
            portcullis.reason = Empty,
            portcullis.class = Empty,
            portcullis.trace = Empty,
            portcullis.grant = Empty,
        );
        (span, id)
    }
}

/// The one whole `traceparent` of a request.
fn caller(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all("traceparent").iter();
    let first = all.next()?.to_str().ok()?;
    if all.next().is_some() { None } else { traceparent(first) }
}

/// Methods that HTTP names (OpenTelemetry semantic conventions, `http.request.method`).
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// Puts [`Spanned`] around a route; from [`Faces::layer`].
#[derive(Clone)]
pub struct SpanLayer {
    faces: Faces,
    face: Face,
}

impl<S> Layer<S> for SpanLayer {
    type Service = Spanned<S>;

    fn layer(&self, inner: S) -> Spanned<S> {
        Spanned { inner, faces: self.faces.clone(), face: self.face }
    }
}

/// A route whose requests have spans.
#[derive(Clone)]
pub struct Spanned<S> {
    inner: S,
    faces: Faces,
    face: Face,
}

impl<S> Service<Request> for Spanned<S>
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

    fn call(&mut self, mut request: Request) -> Self::Future {
        let (span, id) = self.faces.open(self.face, &request);
        // Each face takes its own: a refusal is found by the same number in the answer, the ring and the trace.
        request.extensions_mut().insert(id);
        if let Some(trace) = Trace::parse(&id.text()) {
            request.extensions_mut().insert(trace);
        }
        let answer = span.in_scope(|| self.inner.call(request)).instrument(span.clone());
        Box::pin(async move {
            let response = answer.await?;
            answered(&span, &response);
            Ok(response)
        })
    }
}

fn answered(span: &Span, response: &Response) {
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("span.failed", true).record("error.type", status.to_string());
    }
    let trace = response.headers().get("portcullis-trace").and_then(|value| value.to_str().ok());
    if let Some(trace) = trace {
        span.record("portcullis.trace", trace);
    }
    span.record("portcullis.outcome", if trace.is_some() { "refused" } else { "answered" });
}
