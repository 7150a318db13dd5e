//! Following one issuer's feed: what is taken, in which order, and what holds when nothing comes.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use portcullis_jose::{Profile, Reject};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::frame::{self, Frame, Part};
use super::http::{FrameSource, Unreachable};
use super::set::{CutSet, Full, Kind};
use super::{Cutoffs, Standing, TokenMark, TokenNames};
use crate::builder::system_seconds;
use crate::keys::KeySource;

/// Seconds without an event after which the feed is stale: three heartbeats.
const STALE_AFTER: i64 = 3;

/// While the feed is stale, only tokens with less than this many seconds to live pass.
const STALE_LIFE: i64 = 600;

/// A connection that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(4);

/// Pauses between tries to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Settings of a follower.
#[derive(Clone)]
pub struct FeedOptions {
    /// Most cut-offs remembered. A full set is stale, it never forgets. Default 1,000,000 (at most 48 MB).
    pub max_entries: usize,
    /// Refuse everything while the feed is stale. Default: tokens with less than ten minutes to live pass.
    pub closed: bool,
    /// Seconds that the issuer's clock may differ, 0 to 60. Default 10.
    pub leeway: i64,
    /// The clock, seconds since the epoch. Default: the system's. Give the guard the same.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self { max_entries: 1_000_000, closed: false, leeway: 10, clock: Arc::new(system_seconds) }
    }
}

impl std::fmt::Debug for FeedOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedOptions").field("max_entries", &self.max_entries).field("closed", &self.closed).finish()
    }
}

/// How a follower stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedState {
    /// No snapshot yet.
    Starting,
    /// Everything that ended up to the latest heartbeat is known.
    Following,
    /// Nothing was heard for three seconds.
    Stale,
    /// There was no room for a cut-off.
    Full,
}

impl FeedState {
    /// Its name in snake case, for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Following => "following",
            Self::Stale => "stale",
            Self::Full => "full",
        }
    }
}

/// Why an event was not taken. The connection ends, the follower comes back with its cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameFault {
    /// Not an event of this issuer: signature, type, issuer, time or shape.
    #[error("not an event of this issuer: {0}")]
    Rejected(Reject),
    /// Signed too long ago, or before one that was taken.
    #[error("an event of the past")]
    Late,
    /// It speaks of a place before this reader's, or of an older epoch.
    #[error("an event that was overtaken")]
    OutOfOrder,
    /// Something before it is missing.
    #[error("an event is missing")]
    Gap,
    /// No room for a cut-off.
    #[error("the set is full")]
    Full,
}

/// What a follower did so far, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedFigures {
    /// How it stands.
    pub state: FeedState,
    /// Cut-offs remembered, expired ones that were not yet cleared included.
    pub entries: usize,
    /// Events taken.
    pub taken: u64,
    /// Events not taken (see [`FrameFault`]).
    pub faults: u64,
    /// Connections opened.
    pub connections: u64,
    /// Tokens refused because they were cut off.
    pub ended: u64,
    /// Tokens refused because the feed was stale.
    pub unknown: u64,
}

/// Where the reader stands.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Epoch and sequence; `None`: a snapshot is needed.
    cursor: Option<(i64, i64)>,
    /// `iat` of the latest event.
    latest: i64,
    /// The snapshot that is coming in: epoch, sequence, next page.
    snapshot: Option<(i64, i64, u64)>,
}

#[derive(Default)]
struct Counters {
    taken: AtomicU64,
    faults: AtomicU64,
    connections: AtomicU64,
    ended: AtomicU64,
    unknown: AtomicU64,
}

/// An issuer's cut-offs, followed. Give it to [`crate::Builder::cutoffs`] and to [`Self::follow`].
pub struct RevocationFeed {
    profile: Profile,
    keys: Arc<dyn KeySource>,
    options: FeedOptions,
    set: CutSet,
    place: Mutex<Place>,
    ready: AtomicBool,
    full: AtomicBool,
    heard_at: AtomicI64,
    progress: watch::Sender<Option<(i64, i64)>>,
    counters: Counters,
}

impl std::fmt::Debug for RevocationFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RevocationFeed").field("issuer", &self.profile.issuer()).finish_non_exhaustive()
    }
}

impl RevocationFeed {
    /// Of an issuer, exactly as its tokens spell it, whose events these keys verify.
    #[must_use]
    pub fn new(issuer: &str, keys: Arc<dyn KeySource>, options: FeedOptions) -> Arc<Self> {
        Arc::new(Self {
            profile: frame::profile(issuer, options.leeway),
            keys,
            set: CutSet::new(options.max_entries.max(1)),
            options,
            place: Mutex::default(),
            ready: AtomicBool::new(false),
            full: AtomicBool::new(false),
            heard_at: AtomicI64::new(i64::MIN / 2),
            progress: watch::Sender::new(None),
            counters: Counters::default(),
        })
    }

    /// Follows until nobody holds the feed any more. Runs on tokio.
    pub fn follow(self: &Arc<Self>, source: Arc<dyn FrameSource>) -> JoinHandle<()> {
        tokio::spawn(follow(Arc::downgrade(self), source))
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.profile.issuer()
    }

    /// How it stands at this second.
    #[must_use]
    pub fn state(&self, now: i64) -> FeedState {
        let silence = now.saturating_sub(self.heard_at.load(Ordering::Relaxed)).saturating_abs();
        if self.full.load(Ordering::Relaxed) {
            FeedState::Full
        } else if !self.ready.load(Ordering::Acquire) {
            FeedState::Starting
        } else if silence > STALE_AFTER {
            FeedState::Stale
        } else {
            FeedState::Following
        }
    }

    /// What it did so far.
    #[must_use]
    pub fn figures(&self) -> FeedFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FeedFigures {
            state: self.state((self.options.clock)()),
            entries: self.set.entries(),
            taken: read(&self.counters.taken),
            faults: read(&self.counters.faults),
            connections: read(&self.counters.connections),
            ended: read(&self.counters.ended),
            unknown: read(&self.counters.unknown),
        }
    }

    /// Epoch and sequence to resume after; `None` asks for a snapshot.
    #[must_use]
    pub fn cursor(&self) -> Option<(i64, i64)> {
        self.place().cursor
    }

    /// Epoch and sequence of the latest event, heartbeats included; `None` before the first snapshot. A program that must not let
    /// anybody through unasked waits for the first one before it serves.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Option<(i64, i64)>> {
        self.progress.subscribe()
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        // Nothing inside panics halfway through a change.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection: a snapshot that was not finished is worth nothing.
    fn connected(&self) {
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        self.place().snapshot = None;
    }

    /// Takes one event, verified by the keys at hand, or by newer ones if it names an unknown key.
    ///
    /// # Errors
    /// [`FrameFault`]: nothing of it counts; connect again.
    pub async fn take(&self, event: &str) -> Result<(), FrameFault> {
        let taken = self.taken(event).await;
        let counter = if taken.is_ok() { &self.counters.taken } else { &self.counters.faults };
        counter.fetch_add(1, Ordering::Relaxed);
        taken
    }

    async fn taken(&self, event: &str) -> Result<(), FrameFault> {
        let now = (self.options.clock)();
        let keys = self.keys.keys().unwrap_or_default();
        let frame = match frame::read(event, &keys, &self.profile, now) {
            Err(Reject::UnknownKey) => match self.keys.refresh().await {
                Ok(keys) => frame::read(event, &keys, &self.profile, now),
                Err(_) => Err(Reject::UnknownKey),
            },
            read => read,
        };
        self.advance(&frame.map_err(FrameFault::Rejected)?, now)
    }

    /// Judges an event's place, then remembers what it says.
    fn advance(&self, frame: &Frame, now: i64) -> Result<(), FrameFault> {
        let mut place = self.place();
        let oldest = now.saturating_sub(self.options.leeway.clamp(0, 60)).saturating_sub(STALE_AFTER);
        if frame.issued_at < place.latest || frame.issued_at < oldest {
            return Err(FrameFault::Late);
        }
        let at = (frame.epoch, frame.sequence);
        if place.cursor.is_some_and(|cursor| at < cursor) {
            return Err(FrameFault::OutOfOrder);
        }
        match (frame.part, place.cursor) {
            (Part::Page { number: 0, .. }, _) => {}
            (Part::Page { number, .. }, _) if place.snapshot == Some((at.0, at.1, number)) => {}
            (Part::After(after), Some((epoch, sequence))) if epoch == at.0 && after <= sequence => {}
            (Part::Heartbeat, Some(cursor)) if cursor == at => {}
            (Part::Page { .. } | Part::After(_) | Part::Heartbeat, _) => return Err(FrameFault::Gap),
        }
        if self.remember(frame, now).is_err() {
            // What had no place is told again with the next snapshot, when something expired.
            place.cursor = None;
            self.full.store(true, Ordering::Relaxed);
            return Err(FrameFault::Full);
        }
        place.latest = frame.issued_at;
        if let Part::Page { number, last: false } = frame.part {
            place.snapshot = Some((at.0, at.1, number.saturating_add(1)));
            return Ok(());
        }
        if matches!(frame.part, Part::Page { .. }) {
            place.snapshot = None;
            self.full.store(false, Ordering::Relaxed);
        }
        place.cursor = Some(at);
        self.heard_at.store(now, Ordering::Relaxed);
        self.ready.store(true, Ordering::Release);
        self.progress.send_replace(Some(at));
        Ok(())
    }

    fn remember(&self, frame: &Frame, now: i64) -> Result<(), Full> {
        for cut in &frame.cuts {
            match Kind::parse(&cut.kind) {
                Some(kind) => self.set.insert(kind, &cut.value, (cut.before, cut.expires_at), now)?,
                None if cut.kind == "realm" => self.set.cut_realm(cut.before),
                // Of a newer issuer: tokens of the kinds known here cannot be meant.
                None => {}
            }
        }
        Ok(())
    }
}

impl Cutoffs for RevocationFeed {
    fn mark(&self, token: &TokenNames<'_>) -> TokenMark {
        self.set.mark(token)
    }

    fn check(&self, token: &TokenMark, now: i64) -> Standing {
        if self.set.is_cut(token) {
            self.counters.ended.fetch_add(1, Ordering::Relaxed);
            return Standing::Ended;
        }
        let soon_over = || !self.options.closed && token.expires_at.saturating_sub(now) < STALE_LIFE;
        if self.is_fresh(now) || soon_over() {
            return Standing::Alive;
        }
        self.counters.unknown.fetch_add(1, Ordering::Relaxed);
        Standing::Unknown
    }

    fn is_key_cut(&self, kid: &str) -> bool {
        self.set.is_key_cut(kid)
    }

    fn is_fresh(&self, now: i64) -> bool {
        self.state(now) == FeedState::Following
    }
}

/// Connects, takes events, and connects again: at once after a stream that worked, slower and slower while nothing does.
async fn follow(feed: Weak<RevocationFeed>, source: Arc<dyn FrameSource>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(known) = feed.upgrade().map(|feed| feed.cursor()) else { return };
        match source.open(known).await {
            Err(Unreachable(cause)) => tracing::warn!(target: "portcullis_guard", cause, "no revocation feed"),
            Ok(mut events) => {
                if let Some(feed) = feed.upgrade() {
                    feed.connected();
                }
                while let Ok(Some(event)) = tokio::time::timeout(SILENCE, events.next()).await {
                    let Some(feed) = feed.upgrade() else { return };
                    if let Err(fault) = feed.take(&event).await {
                        let issuer = feed.issuer();
                        tracing::warn!(target: "portcullis_guard", issuer, %fault, "an event of the revocation feed is not taken");
                        break;
                    }
                    pause = FIRST_PAUSE;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}
