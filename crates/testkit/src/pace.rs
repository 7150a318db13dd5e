//! The time and the randomness of the tests themselves.
//!
//! **Owns** the one place of the testkit that reads the system's clock and random source.
//!
//! **Does not own** the clock of the server under test.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// What a waiting step is: a future that ends when the pause is over.
pub type Pause<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The time a replay runs in: a real server's, or that of a server whose clock the test moves.
pub trait Pace: Send + Sync {
    /// Milliseconds since the epoch, as the server under test sees them.
    fn millis(&self) -> i64;
    /// Lets that much time go by.
    fn pause(&self, span: Duration) -> Pause<'_>;
    /// Seconds since the epoch.
    fn secs(&self) -> i64 {
        self.millis().div_euclid(1000)
    }
}

/// Real time, for a server in another process.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallPace;

impl Pace for WallPace {
    fn millis(&self) -> i64 {
        wall_millis()
    }

    fn pause(&self, span: Duration) -> Pause<'_> {
        Box::pin(tokio::time::sleep(span))
    }
}

/// Milliseconds since the epoch by the system's clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own clock starts here; everything else takes it as an argument"
)]
pub fn wall_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `n` random bytes from the system.
///
/// # Errors
/// When the system has none.
pub fn random(n: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; n];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("no randomness"))?;
    Ok(bytes)
}
