//! The time and the randomness given to a server under test: a clock that the test moves, bytes that a seed decides.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_core::entropy::Entropy;
use portcullis_core::time::{Clock, Now};

use crate::pace::{Pace, Pause, wall_millis};

/// A clock that goes only when it is told to, or with the wall clock and a lead over it.
#[derive(Debug)]
pub struct MovableClock {
    lead: AtomicI64,
    running: bool,
}

impl MovableClock {
    /// Standing at this many milliseconds since the epoch.
    #[must_use]
    pub const fn standing_at(millis: i64) -> Self {
        Self { lead: AtomicI64::new(millis), running: false }
    }

    /// Standing at the present, for programs that look at their own clock as well (a browser, another library).
    #[must_use]
    pub fn standing() -> Self {
        Self::standing_at(wall_millis())
    }

    /// Going with the wall clock; [`MovableClock::advance`] jumps ahead.
    #[must_use]
    pub const fn running() -> Self {
        Self { lead: AtomicI64::new(0), running: true }
    }

    /// Lets this much time go by at once.
    pub fn advance(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.lead.fetch_add(millis, Ordering::SeqCst);
    }

    /// Moves by seconds, back as well: for clocks that jump.
    pub fn shift_secs(&self, secs: i64) {
        self.lead.fetch_add(secs.saturating_mul(1000), Ordering::SeqCst);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Now {
        let base = if self.running { wall_millis() } else { 0 };
        Now::from_millis(base.saturating_add(self.lead.load(Ordering::SeqCst)))
    }
}

/// A replay in this time does not wait: it advances the server's clock.
impl Pace for MovableClock {
    fn millis(&self) -> i64 {
        self.now().millis()
    }

    fn pause(&self, span: Duration) -> Pause<'_> {
        self.advance(span);
        Box::pin(std::future::ready(()))
    }
}

/// The same bytes for the same seed and the same order of calls: SHA-256 of seed and counter.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededEntropy {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = self.drawn.fetch_add(1, Ordering::SeqCst);
            let mut input = self.seed.to_be_bytes().to_vec();
            input.extend_from_slice(&block.to_be_bytes());
            let bytes = digest(&SHA256, &input);
            for (to, from) in chunk.iter_mut().zip(bytes.as_ref()) {
                *to = *from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_clock_moves_only_when_told() {
        let clock = MovableClock::standing_at(5_000);
        assert_eq!(Clock::now(&clock).secs(), 5);
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.millis(), 6_500);
        clock.shift_secs(-6);
        assert_eq!(clock.millis(), 500);
        let running = MovableClock::running();
        running.advance(Duration::from_secs(3600));
        assert!(running.millis() >= wall_millis() + 3_599_000);
    }

    #[test]
    fn a_seed_decides_the_bytes() {
        let draw = |seed| {
            let entropy = SeededEntropy::new(seed);
            let mut bytes = [0u8; 70];
            entropy.fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let bytes = draw(1);
        assert_ne!(bytes[..32], bytes[32..64]);
    }
}
