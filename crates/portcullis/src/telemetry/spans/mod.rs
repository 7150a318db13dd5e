//! Traces: what the rooms say by `tracing` spans, sent to a collector as OTLP (HTTP, protobuf).
//!
//! **Owns** which spans and attributes leave at all ([`table`]), the span of each request ([`Faces`]), ids and sampling ([`Collector`]),
//! the bounded queue and its sender ([`Exporter`]). **Does not own** what the rooms time (each opens its own spans with the target
//! [`TARGET`]), the outbound call (`portcullis-client`). **Flow** a listener's layer opens the request's span -> rooms open children
//! -> closed ones go into the queue, or are counted when it is full -> batches -> `POST /v1/traces`.
//!
//! Without a collector nothing of it is installed: a span of ours is then one look at an atomic.

mod collect;
mod encode;
mod faces;
mod send;
mod settings;
mod table;

pub use collect::{Collector, traceparent};
pub use faces::{Face, Faces, Spanned};
pub use send::Exporter;
pub use settings::{Callers, Settings};
pub use table::reference;

use std::sync::Arc;

use portcullis_core::entropy::Entropy;

use crate::clock::Stopwatch;
use crate::failure::Failure;

/// The target of spans that are sent.
pub const TARGET: &str = "portcullis::span";

/// Spans that wait to be sent; what comes beyond is counted and dropped.
const WAITING: usize = 2048;

/// Everything that a process with a collector has.
pub struct Spans {
    /// For the subscriber.
    pub collector: Collector,
    /// For a task of its own.
    pub exporter: Exporter,
    /// For the listeners.
    pub faces: Faces,
}

impl Spans {
    /// Sets out for a collector; nothing is called yet.
    ///
    /// # Errors
    /// One line: headers that cannot be read, a system without TLS roots.
    pub fn open(settings: &Settings, clock: Stopwatch, entropy: Arc<dyn Entropy>) -> Result<Self, Failure> {
        let (sender, receiver) = tokio::sync::mpsc::channel(WAITING);
        let exporter = Exporter::new(settings, receiver)?;
        let faces = Faces::new(settings.callers, Arc::clone(&entropy));
        Ok(Self { collector: Collector::new(sender, settings.sample, clock, entropy), exporter, faces })
    }
}
