//! The process's own clock and random source: the only place of the binary that reads them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis_core::entropy::Entropy;
use portcullis_core::time::{Clock, Now};

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Nanoseconds since the epoch, for the spans of a trace.
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    pub(crate) fn nanos(self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is where random bytes come from")]
    fn fill(&self, out: &mut [u8]) {
        // aws-lc aborts the process rather than hand out weak bytes; an error here is impossible by its contract,
        // and a zeroed secret must never be used.
        if aws_lc_rs::rand::fill(out).is_err() {
            std::process::abort();
        }
    }
}

/// Time since the program started, for the start line and to notice a wall clock that jumps.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
    wall: Now,
}

/// How far the wall clock may drift from the monotonic one before it is not trusted, milliseconds.
const ASTRAY: i64 = 5_000;

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    pub fn start() -> Self {
        Self { started: Instant::now(), wall: SystemClock.now() }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether the wall clock moved against the monotonic one by more than five seconds since the start.
    #[must_use]
    pub fn is_astray(&self) -> bool {
        self.strays(SystemClock.now(), self.elapsed())
    }

    fn strays(&self, wall: Now, elapsed: Duration) -> bool {
        let passed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        (wall.millis() - self.wall.millis() - passed).abs() > ASTRAY
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use portcullis_core::entropy::{token, uuid};

    use super::*;

    #[test]
    fn se_14_ids_are_128_bits_of_the_systems_randomness_and_do_not_repeat() {
        let (mut seen, mut ones, mut zeros) = (HashSet::with_capacity(1_000_000), 0_u128, 0_u128);
        for _ in 0..1_000_000 {
            let mut bytes = [0; 16];
            SystemEntropy.fill(&mut bytes);
            let number = u128::from_be_bytes(bytes);
            assert!(seen.insert(number), "twice: {number:x}");
            ones |= number;
            zeros |= !number;
        }
        assert_eq!((ones, zeros), (u128::MAX, u128::MAX), "every bit is drawn");
        // What is made of them keeps every bit, and another process draws others: there is no seed.
        let mut texts = HashSet::new();
        for _ in 0..20_000 {
            let id = uuid(&SystemEntropy);
            let bits = u128::from_str_radix(&id.replace('-', ""), 16).unwrap();
            assert!(id.len() == 36 && !seen.contains(&bits) && texts.insert(id));
            let handle = token::<32>(&SystemEntropy);
            assert!(handle.len() == 43 && texts.insert(handle));
        }
    }

    #[test]
    fn a_wall_clock_that_jumps_is_noticed() {
        let watch = Stopwatch { started: Stopwatch::start().started, wall: Now::from_secs(1_000) };
        let minute = Duration::from_secs(60);
        assert!(!watch.strays(Now::from_secs(1_060), minute));
        assert!(!watch.strays(Now::from_secs(1_064), minute));
        assert!(watch.strays(Now::from_secs(1_066), minute));
        assert!(watch.strays(Now::from_secs(1_000), minute));
    }
}
