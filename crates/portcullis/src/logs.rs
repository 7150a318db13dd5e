//! Logs: readable lines for a person, JSON for machines; never a secret (secrets redact themselves).
//!
//! **Owns** where lines go, which are written, how many of the same ([`Cap`]), what is said of a panic. **Does not own** what
//! the rooms say. **Flow** an event -> filter -> cap -> format -> standard error.

mod cap;

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::sync::Arc;

use tracing::{Dispatch, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::clock::Stopwatch;
use crate::config::LogFormat;
use crate::telemetry::spans;

pub use cap::Cap;

/// What is written unless somebody says otherwise.
pub const FILTER: &str = "warn,portcullis=info,portcullis_idp=info";

/// A filter such as `info` or `warn,portcullis_idp=debug`.
///
/// # Errors
/// The filter and what is wrong with it.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|e| format!("`{text}`: {e}; write it like info or warn,portcullis_idp=debug"))
}

/// Starts logging to standard error, and collecting spans where they have somewhere to go. A second call changes nothing. The cap
/// tells what it dropped when it is asked to.
pub fn start(format: LogFormat, filter: EnvFilter, clock: Stopwatch, collector: Option<spans::Collector>) -> Arc<Cap> {
    let cap = Arc::new(Cap::new(move || clock.elapsed()));
    if dispatch(format, filter, &cap, collector).try_init().is_ok() {
        std::panic::set_hook(Box::new(panicked));
    }
    cap
}

/// Whatever the filter says, a log line tells nothing of spans that are sent; where none are sent, none is made.
fn dispatch(format: LogFormat, filter: EnvFilter, cap: &Arc<Cap>, collector: Option<spans::Collector>) -> Dispatch {
    let no_span = filter_fn(|metadata| metadata.target() != spans::TARGET);
    let registry = tracing_subscriber::registry();
    match collector {
        None => registry.with(filter).with(no_span).with(lines(format, cap)).into(),
        Some(collector) => {
            let ours = Targets::new().with_target(spans::TARGET, LevelFilter::INFO);
            let lines = lines(format, cap).with_filter(filter).with_filter(no_span);
            registry.with(collector.with_filter(ours)).with(lines).into()
        }
    }
}

/// The lines themselves, capped.
fn lines<S>(format: LogFormat, cap: &Arc<Cap>) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.compact().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    lines.with_filter(cap::Capped(Arc::clone(cap)))
}

/// Where a panic happened, as one line like any other. What it said is written only where the program's text is all of it: a
/// message made at run time may hold a request's data (LG-05).
fn panicked(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string);
    let said = info.payload().downcast_ref::<&'static str>();
    let thread = std::thread::current();
    tracing::error!(at, said, thread = thread.name(), "panicked");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    #[test]
    fn spans_are_made_where_they_have_somewhere_to_go_whatever_the_filter_says() {
        let clock = Stopwatch::start();
        let cap = Arc::new(Cap::new(move || clock.elapsed()));
        for filter in ["trace", "off", "portcullis=info", "warn"] {
            for wanted in [false, true] {
                let settings = spans::Settings::to("http://127.0.0.1:4318").unwrap();
                let open = spans::Spans::open(&settings, clock, Arc::new(SystemEntropy)).unwrap();
                let filter = EnvFilter::new(filter);
                let dispatch = dispatch(LogFormat::Text, filter, &cap, wanted.then_some(open.collector));
                tracing::dispatcher::with_default(&dispatch, || {
                    let span = tracing::info_span!(target: "portcullis::span", "request", trace.id = "");
                    assert_eq!(span.is_disabled(), !wanted);
                    assert_eq!(span.in_scope(spans::traceparent).is_some(), wanted);
                });
            }
        }
    }
}
