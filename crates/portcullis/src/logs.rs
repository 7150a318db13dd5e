//! Logs: readable lines for a person, JSON for machines; never a secret (secrets redact themselves).
//!
//! **Owns** where lines go, which are written, how many of the same ([`Cap`]), what is said of a panic. **Does not own** what
//! the rooms say. **Flow** an event -> filter -> cap -> format -> standard error.

mod cap;

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::clock::Stopwatch;
use crate::config::LogFormat;

pub use cap::Cap;

/// Starts logging to standard error. A second call changes nothing. The cap tells what it dropped when it is asked to.
pub fn start(format: LogFormat, filter: Option<&str>, clock: Stopwatch) -> Arc<Cap> {
    let filter = EnvFilter::try_new(filter.unwrap_or("warn,portcullis=info,portcullis_idp=info"))
        .unwrap_or_else(|_| EnvFilter::new("warn"));
    let cap = Arc::new(Cap::new(move || clock.elapsed()));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.compact().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let capped = lines.with_filter(cap::Capped(Arc::clone(&cap)));
    if tracing_subscriber::registry().with(filter).with(capped).try_init().is_ok() {
        std::panic::set_hook(Box::new(panicked));
    }
    cap
}

/// Where a panic happened, as one line like any other. What it said is written only where the program's text is all of it: a
/// message made at run time may hold a request's data (LG-05).
fn panicked(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string);
    let said = info.payload().downcast_ref::<&'static str>();
    let thread = std::thread::current();
    tracing::error!(at, said, thread = thread.name(), "panicked");
}
