//! What logout tokens said: ended sessions and subjects, and which messages were taken.
//!
//! Owns: both memories, their bounds, what a full one means. Does not own: the token's checks (`portcullis-client`), the door
//! ([`crate::logout_door`]). Flow: a verified message -> [`Logouts::take`] -> the set; each request -> [`Logouts::check`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use portcullis_client::LogoutToken;
use portcullis_jose::digest::sha256;

use super::set::{CutSet, Kind};
use super::{Standing, TokenMark, TokenNames};

/// Seconds that an end outlives the tokens it names, and a `jti` its token: both clocks may be a minute off.
const MARGIN: i64 = 180;

/// Whose logouts a guard hears of (OIDC Back-Channel Logout 1.0), and how much of it is remembered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogoutOptions {
    /// The clients that people log in with and whose `backchannel.logout.url` is this door: one of them stands in the message's `aud`.
    pub clients: Vec<String>,
    /// Longest life of an access token, seconds: so long an end is remembered, and a token that lives longer is refused. Default 86 400.
    pub longest_token: i64,
    /// Most ends remembered (at most 48 bytes each). Default 1,000,000. When there is no room for one, every token from before it is
    /// answered 503; nothing is forgotten.
    pub max_entries: usize,
    /// Most messages remembered by their `jti`, for some minutes each. Default 100,000.
    pub max_messages: usize,
}

impl LogoutOptions {
    /// Of these clients.
    #[must_use]
    pub fn of<C: Into<String>>(clients: impl IntoIterator<Item = C>) -> Self {
        let clients = clients.into_iter().map(Into::into).collect();
        Self { clients, longest_token: 86_400, max_entries: 1_000_000, max_messages: 100_000 }
    }

    /// Another longest life of an access token, seconds.
    #[must_use]
    pub fn longest_token(mut self, seconds: i64) -> Self {
        self.longest_token = seconds;
        self
    }

    /// Other bounds: ends, and messages by `jti`.
    #[must_use]
    pub fn bounds(mut self, max_entries: usize, max_messages: usize) -> Self {
        (self.max_entries, self.max_messages) = (max_entries, max_messages);
        self
    }
}

/// Why a verified message is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Untaken {
    /// Its `jti` came before.
    Replayed,
    /// There is no room for what it ends, or for its `jti`.
    Full,
}

/// The memory of one guard.
pub(crate) struct Logouts {
    set: CutSet,
    kept: i64,
    /// SHA-256 of `jti`, and until when it counts.
    messages: Mutex<HashMap<[u8; 32], i64>>,
    most: usize,
    /// `iat` of the latest message for whose end there was no room.
    lost: AtomicI64,
}

impl Logouts {
    pub(crate) fn new(options: &LogoutOptions) -> Self {
        Self {
            set: CutSet::new(options.max_entries.max(1)),
            kept: options.longest_token.saturating_add(MARGIN),
            messages: Mutex::default(),
            most: options.max_messages.max(1),
            lost: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn mark(&self, token: &TokenNames<'_>) -> TokenMark {
        self.set.mark(token)
    }

    pub(crate) fn check(&self, token: &TokenMark) -> Standing {
        if self.set.is_cut(token) {
            Standing::Ended
        } else if token.issued_at <= self.lost.load(Ordering::Relaxed) {
            Standing::Unknown
        } else {
            Standing::Alive
        }
    }

    /// Remembers what ended: the session where one is named, else all tokens of the subject up to the message's own second
    /// (Back-Channel Logout §2.7).
    pub(crate) fn take(&self, token: &LogoutToken, now: i64) -> Result<(), Untaken> {
        let id = sha256(token.id().as_bytes());
        // Held throughout: of two at once with one `jti` the second is a replay.
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.get(&id).is_some_and(|until| now < *until) {
            return Err(Untaken::Replayed);
        }
        let until = now.saturating_add(self.kept);
        let ended = match (token.session(), token.subject()) {
            (Some(session), _) => self.set.insert(Kind::Session, session, (token.issued_at(), until), now),
            (None, Some(subject)) => self.set.insert(Kind::Subject, subject, (token.issued_at(), until), now),
            (None, None) => Ok(()),
        };
        if ended.is_err() {
            self.lost.fetch_max(token.issued_at(), Ordering::Relaxed);
            return Err(Untaken::Full);
        }
        if messages.len() >= self.most {
            messages.retain(|_, until| now < *until);
        }
        if messages.len() >= self.most {
            return Err(Untaken::Full);
        }
        messages.insert(id, token.expires_at().saturating_add(MARGIN));
        Ok(())
    }
}
