//! The span of the request that is answered here, where a layer outside opened one: its number, and what is said of it.

use portcullis_core::entropy::Entropy;
use portcullis_core::refusal::TraceId;
use tracing::Span;

/// A request that has a span.
#[derive(Clone)]
pub(super) struct Spanned {
    id: TraceId,
    span: Span,
}

tokio::task_local! {
    static HERE: Spanned;
}

impl Spanned {
    /// Whoever opened a span left its number in the request.
    pub(super) fn of(extensions: &http::Extensions) -> Option<Self> {
        extensions.get::<TraceId>().map(|id| Self { id: *id, span: Span::current() })
    }

    /// Answers inside.
    pub(super) async fn around<T>(self, answer: impl Future<Output = T>) -> T {
        HERE.scope(self, answer).await
    }
}

/// The number of a refusal: the request's, or a new one. They are the same in answer, record and trace.
pub(crate) fn trace_id(entropy: &dyn Entropy) -> TraceId {
    HERE.try_with(|here| here.id).unwrap_or_else(|_| TraceId::mint(entropy))
}

/// Says something of the request in its span. Without one it costs a look.
pub(crate) fn tell(attribute: &'static str, word: &str) {
    // No span: nobody asked.
    let _told = HERE.try_with(|here| {
        here.span.record(attribute, word);
    });
}

/// The client is proven, or known to exist.
pub(crate) fn tell_client(client_id: &str) {
    tell("portcullis.client_id", client_id);
}
