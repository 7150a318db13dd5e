//! # Ephemeral: what may be lost
//!
//! **Owns** the trait over values between requests and its machine in process memory. **Does not own** anything whose loss
//! would allow something: used codes, lock-outs and sessions are rows. **Flow** typed [`Key`] -> shard -> value with an end;
//! every end is compared with the caller's `now`.

use async_trait::async_trait;
use portcullis_core::ids::RealmId;
use portcullis_core::time::Now;
use tokio::sync::broadcast;

pub(crate) mod memory;

/// What a value is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A login in progress.
    LoginFlow,
    /// An authorization code, under its hash.
    Code,
    /// Login attempts in flight of one name.
    LoginSlot,
    /// A `jti` that was seen (RFC 9449 §11.1).
    Replay,
    /// A rate.
    Rate,
    /// Somebody's turn.
    Lease,
    /// A request to start over.
    Restart,
}

/// The name of a value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key {
    /// What for.
    pub kind: Kind,
    /// Where.
    pub realm: RealmId,
    /// Which.
    pub id: String,
}

impl Key {
    /// A key.
    pub fn new(kind: Kind, realm: RealmId, id: impl Into<String>) -> Self {
        Self { kind, realm, id: id.into() }
    }
}

/// Why an operation did not happen. Callers fail closed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EphemeralError {
    /// The machine does not answer.
    #[error("ephemeral storage: {0}")]
    Unavailable(String),
    /// No room, and what is there must not be dropped before its end (seen `jti`s, leases).
    #[error("ephemeral storage is full")]
    Full,
}

/// Values between requests. All times are seconds; a value is gone from `expires_at` on, by the caller's `now`.
#[async_trait]
pub trait Ephemeral: Send + Sync {
    /// Stores a value if none stands there: `true` for exactly one of many callers.
    async fn put_new(&self, key: &Key, value: Vec<u8>, expires_at: i64, now: Now) -> Result<bool, EphemeralError>;

    /// Stores or replaces.
    async fn put(&self, key: &Key, value: Vec<u8>, expires_at: i64, now: Now) -> Result<(), EphemeralError>;

    /// The value.
    async fn get(&self, key: &Key, now: Now) -> Result<Option<Vec<u8>>, EphemeralError>;

    /// The value, removed: one of many callers gets it.
    async fn take(&self, key: &Key, now: Now) -> Result<Option<Vec<u8>>, EphemeralError>;

    /// Moves the end; `false` when it is not there.
    async fn touch(&self, key: &Key, expires_at: i64, now: Now) -> Result<bool, EphemeralError>;

    /// Adds to a counter and returns it. A new one starts at `delta` and ends at `expires_at`; an old one keeps its end.
    async fn bump(&self, key: &Key, delta: i64, expires_at: i64, now: Now) -> Result<i64, EphemeralError>;

    /// Takes or renews a turn: its fencing number, which is higher for every new holder; `None` while another holds it.
    async fn lease(&self, key: &Key, holder: &str, expires_at: i64, now: Now) -> Result<Option<u64>, EphemeralError>;

    /// Gives a turn back; `false` when another holds it.
    async fn release(&self, key: &Key, holder: &str) -> Result<bool, EphemeralError>;

    /// Wakes the subscribers of a topic, wherever they run.
    async fn wake(&self, topic: &str) -> Result<(), EphemeralError>;

    /// Wake-ups of a topic from now on. They may be lost: subscribers also look by themselves.
    async fn subscribe(&self, topic: &str) -> Result<broadcast::Receiver<()>, EphemeralError>;

    /// A mark that changes when values may have been lost (restart, failover, flush).
    async fn generation(&self) -> Result<String, EphemeralError>;
}
