//! Outbound calls as spans of a trace (OpenTelemetry semantic conventions, HTTP client spans).

use std::fmt;
use std::sync::Arc;

use tracing::Instrument as _;
use tracing::field::Empty;

/// What a program that traces gives a door: the `traceparent` (W3C Trace Context) of what is under way, if it belongs to a trace.
#[derive(Clone)]
pub struct Traces(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces(..)")
    }
}

impl Traces {
    /// Asked inside the span of each call.
    #[must_use]
    pub fn new(traceparent: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(traceparent))
    }

    /// Sends in a span of its own: the host stands in it, path and query do not. `told`: the other side gets the `traceparent`.
    pub(super) async fn send(
        &self,
        (method, host, port): (&'static str, &str, u16),
        mut request: reqwest::RequestBuilder,
        told: bool,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let span = tracing::info_span!(
            target: "portcullis::span",
            "call",
            span.name = method,
            span.kind = "client",
            span.failed = Empty,
            http.request.method = method,
            server.address = host,
            server.port = port,
            http.response.status_code = Empty,
            "error.type" = Empty,
        );
        if let Some(parent) = span.in_scope(|| (self.0)()).filter(|_| told) {
            request = request.header("traceparent", parent);
        }
        let answer = request.send().instrument(span.clone()).await;
        match &answer {
            Ok(answer) => {
                let status = answer.status().as_u16();
                span.record("http.response.status_code", status);
                if status >= 400 {
                    span.record("span.failed", true).record("error.type", status.to_string());
                }
            }
            Err(error) => {
                let word = match (error.is_timeout(), error.is_connect()) {
                    (true, _) => "timeout",
                    (false, true) => "connect",
                    (false, false) => "call",
                };
                span.record("span.failed", true).record("error.type", word);
            }
        }
        answer
    }
}
