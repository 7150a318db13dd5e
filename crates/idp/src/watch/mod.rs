//! What operators see of requests: a trace id and a record for every refusal.
//!
//! **Owns** the words of an endpoint ([`Endpoint`]), why an answer is a refusal ([`Why`], [`Halt`]) and the one layer around all
//! routes that makes id, header and record. **Does not own** where records go ([`portcullis_core::refusal::RefusalSink`]), what
//! callers are told ([`crate::respond`]).
//! **Flow** whoever renders a refusal leaves its [`Why`] in the answer's extensions ([`mark`]) -> [`layer`] mints the id, sets
//! `Portcullis-Trace`, hands the record to the sink. An answer of 400 and above that says nothing is recorded by its status.

mod endpoint;
mod halt;
mod layer;
mod why;

use std::fmt;
use std::sync::Arc;

use portcullis_core::refusal::{Record, RefusalSink};

pub use endpoint::Endpoint;
pub(crate) use halt::Halt;
pub(crate) use layer::WatchLayer;
pub(crate) use why::{Why, client, mark, named_client, trace};

/// Who watches an idp.
#[derive(Clone)]
pub struct Watch {
    /// Takes the record of every refusal.
    pub refusals: Arc<dyn RefusalSink>,
}

impl Default for Watch {
    /// Records are logged and not kept.
    fn default() -> Self {
        Self { refusals: Arc::new(Passing) }
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
