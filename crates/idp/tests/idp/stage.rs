//! A clock that is moved by hand, numbers that count, a session of somebody.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use portcullis_core::entropy::Entropy;
use portcullis_core::ids::{SessionId, UserId};
use portcullis_core::session::UserSession;
use portcullis_core::time::{Clock, Now};
use portcullis_store::ServerKeys;

/// When every test begins.
pub(crate) const START: i64 = 1_790_000_000;

pub(crate) struct Hand(pub(crate) AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Now {
        Now::from_secs(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Default)]
pub(crate) struct Counter(pub(crate) AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let n = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            chunk.copy_from_slice(&n[..chunk.len()]);
        }
    }
}

pub(crate) fn keys() -> ServerKeys {
    ServerKeys { current: (1, [7; 32]), previous: None }
}

pub(crate) fn user_session(id: &SessionId, user: &UserId, now: i64) -> UserSession {
    UserSession {
        id: id.clone(),
        user: user.clone(),
        started: now,
        auth_time: now,
        remember_me: false,
        offline: false,
        ip_address: "127.0.0.1".to_owned(),
        last_seen: now,
        notes: BTreeMap::new(),
    }
}
