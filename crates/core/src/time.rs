//! Time as a value. A request reads the clock once and passes [`Now`] on.

/// One instant of the wall clock, read once per request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Now {
    millis: i64,
}

impl Now {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self { millis }
    }

    /// From seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self { millis: secs * 1000 }
    }

    /// Seconds since the epoch (`exp`, `iat`, stored times).
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.millis.div_euclid(1000)
    }

    /// Milliseconds since the epoch (Keycloak's `createdTimestamp`).
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.millis
    }
}

/// Where `Now` comes from. The binary has the system's clock, tests a movable one.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Now;
}
