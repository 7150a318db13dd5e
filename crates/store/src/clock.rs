//! The crate's one clock: a monotonic reading, used only to drop plans that waited too long. Stored times come from the callers.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time since some fixed moment; never goes back.
#[derive(Clone)]
pub(crate) struct Monotonic(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Monotonic {
    /// The system's.
    #[expect(clippy::disallowed_methods, reason = "the crate's one monotonic clock: deadlines of queued plans")]
    pub(crate) fn system() -> Self {
        let start = Instant::now();
        Self(Arc::new(move || start.elapsed()))
    }

    /// One that a test moves.
    #[cfg(test)]
    pub(crate) fn from_fn(read: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The reading.
    pub(crate) fn now(&self) -> Duration {
        (self.0)()
    }
}
