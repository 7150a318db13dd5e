//! What operators see of requests: a trace id and a record for every refusal.
//!
//! Counters for metrics stand in [`Figures`].
//!
//! **Owns** the words of an endpoint ([`Endpoint`]), why an answer is a refusal ([`Why`], [`Halt`]) and the one layer around all
//! routes that makes id, header and record. **Does not own** where records go ([`portcullis_core::refusal::RefusalSink`]), what
//! callers are told ([`crate::respond`]).
//! **Flow** whoever renders a refusal leaves its [`Why`] in the answer's extensions ([`mark`]) -> [`layer`] mints the id, sets
//! `Portcullis-Trace`, hands the record to the sink. An answer of 400 and above that says nothing is recorded by its status.

mod endpoint;
mod figures;
mod halt;
mod layer;
mod span;
mod why;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_client::Traces;
use portcullis_core::refusal::{Record, RefusalSink};

pub use endpoint::Endpoint;
pub(crate) use figures::Kind;
pub use figures::{Alarm, BOUNDS, Block, Entry, Figures, Login, METHOD_WORDS, STATUS_WORDS};
pub(crate) use halt::Halt;
pub(crate) use layer::WatchLayer;
pub(crate) use span::{tell, tell_client, trace_id};
pub(crate) use why::{Why, client, mark, named_client, trace};

/// Who watches an idp.
#[derive(Clone)]
pub struct Watch {
    /// Takes the record of every refusal.
    pub refusals: Arc<dyn RefusalSink>,
    /// Counts.
    pub figures: Arc<Figures>,
    /// Time since some start, for durations.
    pub elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Where outbound calls are spans of a trace.
    pub traces: Option<Traces>,
}

impl Default for Watch {
    /// Records are logged and not kept; durations are not measured.
    fn default() -> Self {
        Self {
            refusals: Arc::new(Passing),
            figures: Arc::default(),
            elapsed: Arc::new(|| Duration::ZERO),
            traces: None,
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Keeps nothing.
struct Passing;

impl RefusalSink for Passing {
    fn refused(&self, _: Record) -> bool {
        true
    }
}
