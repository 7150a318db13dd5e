//! One reader of the store per realm, and its subscribers: each event is signed once for all of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use portcullis_core::cutoff::Cursor;
use portcullis_core::ids::RealmId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::FeedRefused;
use super::frame::{self, Part};
use crate::state::{App, Unavailable};

/// Streams of this node, and feeds (realm and issuer).
const MAX_STREAMS: usize = 256;

/// Events a slow subscriber may lag behind. It is dropped then, and resumes by its cursor.
const BUFFER: usize = 512;

/// Cut-offs of one event.
const PAGE: i64 = 200;

/// A reader further behind gets everything in force instead of everything since.
const MOST_BEHIND: i64 = 2_000;

/// Between two looks at the store when nobody woke the reader (another node wrote).
const POLL: Duration = Duration::from_millis(500);

/// Between two events under load: what comes meanwhile travels together.
const GATHER: Duration = Duration::from_millis(20);

/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(1);

/// How long a feed without subscribers goes on.
const LINGER: Duration = Duration::from_secs(10);

/// An event as all subscribers get it.
#[derive(Clone)]
struct Event {
    /// Where the reader stood before, and stands afterwards. Equal for a heartbeat.
    from: i64,
    to: Cursor,
    text: Arc<str>,
}

/// What the feeds of this node did so far, for metrics.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct FeedFigures {
    /// Streams open now.
    pub streams: u64,
    /// Streams opened since start.
    pub opened: u64,
    /// Events signed, heartbeats and pages of snapshots included.
    pub signed: u64,
    /// Cut-offs sent in events for all subscribers.
    pub cuts: u64,
    /// Streams ended because they were too slow.
    pub slow: u64,
    /// Streams refused because there were too many.
    pub refused: u64,
}

#[derive(Default)]
struct Counters {
    opened: AtomicU64,
    signed: AtomicU64,
    cuts: AtomicU64,
    slow: AtomicU64,
    refused: AtomicU64,
}

type Key = (RealmId, String);

/// The feeds of a node.
pub(crate) struct Feeds {
    running: Mutex<HashMap<Key, broadcast::Sender<Event>>>,
    places: Arc<Semaphore>,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
}

impl Default for Feeds {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_STREAMS)),
            counters: Arc::default(),
            stop: watch::Sender::new(false),
        }
    }
}

impl Feeds {
    pub(crate) fn figures(&self) -> FeedFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let free = self.places.available_permits();
        FeedFigures {
            streams: u64::try_from(MAX_STREAMS.saturating_sub(free)).unwrap_or_default(),
            opened: read(&self.counters.opened),
            signed: read(&self.counters.signed),
            cuts: read(&self.counters.cuts),
            slow: read(&self.counters.slow),
            refused: read(&self.counters.refused),
        }
    }

    /// No stream goes on, and none begins.
    pub(crate) fn close(&self) {
        self.stop.send_replace(true);
        self.running().clear();
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<Key, broadcast::Sender<Event>>> {
        // Nothing inside panics halfway through a change.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events of a realm from now on; its reader is started when there is none.
    fn listen(&self, app: &Arc<App>, realm: (&RealmId, &str), issuer: &str) -> broadcast::Receiver<Event> {
        let key = (realm.0.clone(), issuer.to_owned());
        let mut running = self.running();
        if let Some(feed) = running.get(&key) {
            return feed.subscribe();
        }
        let (feed, events) = broadcast::channel(BUFFER);
        running.insert(key.clone(), feed);
        tokio::spawn(Reader { app: Arc::downgrade(app), key, name: realm.1.to_owned() }.run());
        events
    }
}

/// Reads a realm's cut-offs and sends them on.
struct Reader {
    app: Weak<App>,
    key: Key,
    name: String,
}

impl Reader {
    async fn run(self) {
        if self.follow().await.is_err() {
            tracing::warn!(realm = self.name, "a revocation feed ended; its readers come back");
        }
        if let Some(app) = self.app.upgrade() {
            // Without the sender every stream ends.
            app.feeds.running().remove(&self.key);
        }
    }

    async fn follow(&self) -> Result<(), Unavailable> {
        let (mut woken, mut at) = {
            let app = self.app.upgrade().ok_or(Unavailable)?;
            let woken = app.db.cutoffs_changed();
            (woken, app.db.cutoff_cursor(&self.key.0).await.map_err(|_| Unavailable)?)
        };
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_heard = Instant::now();
        loop {
            let due = tokio::select! {
                _ = beat.tick() => true,
                changed = woken.changed() => { changed.map_err(|_| Unavailable)?; false }
                () = tokio::time::sleep(POLL) => false,
            };
            let Some(app) = self.app.upgrade() else { return Ok(()) };
            let Some(feed) = app.feeds.running().get(&self.key).cloned() else { return Ok(()) };
            if feed.receiver_count() > 0 {
                last_heard = Instant::now();
            } else if last_heard.elapsed() > LINGER {
                return Ok(());
            }
            let sent = self.send_new(&app, &feed, &mut at).await?;
            if due {
                self.send(&app, &feed, at, Part::Heartbeat, &[]).await?;
            }
            drop(app);
            if sent {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Sends what is new. Whether there was something.
    async fn send_new(
        &self,
        app: &Arc<App>,
        feed: &broadcast::Sender<Event>,
        at: &mut Cursor,
    ) -> Result<bool, Unavailable> {
        let now = app.db.cutoff_cursor(&self.key.0).await.map_err(|_| Unavailable)?;
        if now.epoch != at.epoch || now.sequence < at.sequence {
            // Another history: everybody starts over.
            return Err(Unavailable);
        }
        let mut sent = false;
        while at.sequence < now.sequence {
            let cuts = app.db.cutoffs_after(&self.key.0, at.sequence, PAGE).await.map_err(|_| Unavailable)?;
            let Some((last, _)) = cuts.last() else { break };
            let from = at.sequence;
            at.sequence = *last;
            self.send(app, feed, *at, Part::After(from), &cuts).await?;
            app.feeds.counters.cuts.fetch_add(u64::try_from(cuts.len()).unwrap_or_default(), Ordering::Relaxed);
            sent = true;
        }
        Ok(sent)
    }

    async fn send(
        &self,
        app: &Arc<App>,
        feed: &broadcast::Sender<Event>,
        to: Cursor,
        part: Part,
        cuts: &[(i64, portcullis_core::cutoff::CutOff)],
    ) -> Result<(), Unavailable> {
        let view = app.realm(&self.name).await?.filter(|v| v.records.realm.id == self.key.0).ok_or(Unavailable)?;
        let text = frame::sign(app, (&view, &self.key.1), to, part, cuts).await?;
        app.feeds.counters.signed.fetch_add(1, Ordering::Relaxed);
        let from = if let Part::After(from) = part { from } else { to.sequence };
        // Nobody listening is no fault.
        let _ = feed.send(Event { from, to, text: text.into() });
        Ok(())
    }
}

/// Where a subscriber stands.
enum Stage {
    /// Reads everything in force: rows after `row` are to come, in page `page`.
    Snapshot { at: Cursor, row: i64, page: u64 },
    /// Reads what came since.
    CatchUp(Cursor),
    /// Gets what all others get.
    Live(Cursor),
}

/// The events of a realm for one reader, in order and without gaps. It ends when the reader was too slow, the node stops or the
/// realm is gone; the reader then comes again with its cursor.
pub struct Frames {
    app: Arc<App>,
    realm: RealmId,
    name: String,
    issuer: String,
    stage: Stage,
    live: broadcast::Receiver<Event>,
    stop: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Opens a stream. Without a cursor, with one of another epoch, one ahead of the store or one far behind it begins with a snapshot.
pub(crate) async fn open(
    app: &Arc<App>,
    name: &str,
    issuer: &str,
    after: Option<Cursor>,
) -> Result<Frames, FeedRefused> {
    let view = app.realm(name).await.map_err(|_| FeedRefused::Unavailable)?.ok_or(FeedRefused::NoRealm)?;
    let feeds = &app.feeds;
    let place = Arc::clone(&feeds.places).try_acquire_owned();
    let Some(place) = place.ok().filter(|_| !*feeds.stop.borrow()) else {
        feeds.counters.refused.fetch_add(1, Ordering::Relaxed);
        return Err(FeedRefused::TooMany);
    };
    let realm = view.records.realm.id.clone();
    // Before the rows are read, so that nothing falls between them and the live events.
    let live = feeds.listen(app, (&realm, name), issuer);
    let now = app.db.cutoff_cursor(&realm).await.map_err(|_| FeedRefused::Unavailable)?;
    let near = |cursor: &Cursor| {
        let behind = now.sequence.saturating_sub(cursor.sequence);
        cursor.epoch == now.epoch && (0..=MOST_BEHIND).contains(&behind) && cursor.sequence >= 0
    };
    let stage = match after.filter(near) {
        Some(cursor) => Stage::CatchUp(cursor),
        None => Stage::Snapshot { at: now, row: 0, page: 0 },
    };
    feeds.counters.opened.fetch_add(1, Ordering::Relaxed);
    let stop = feeds.stop.subscribe();
    let app = Arc::clone(app);
    Ok(Frames { app, realm, name: name.to_owned(), issuer: issuer.to_owned(), stage, live, stop, _place: place })
}

impl Frames {
    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            let step = match self.stage {
                Stage::Snapshot { at, row, page } => self.page(at, row, page).await,
                Stage::CatchUp(cursor) => self.catch_up(cursor).await,
                Stage::Live(cursor) => self.live(cursor).await,
            };
            match step {
                Ok(Some(text)) => return Some(text),
                Ok(None) => {}
                Err(Unavailable) => return None,
            }
        }
    }

    async fn signed(
        &self,
        at: Cursor,
        part: Part,
        cuts: &[(i64, portcullis_core::cutoff::CutOff)],
    ) -> Result<Option<Arc<str>>, Unavailable> {
        let view = self.app.realm(&self.name).await?.ok_or(Unavailable)?;
        self.app.feeds.counters.signed.fetch_add(1, Ordering::Relaxed);
        frame::sign(&self.app, (&view, &self.issuer), at, part, cuts).await.map(|text| Some(text.into()))
    }

    async fn page(&mut self, at: Cursor, row: i64, page: u64) -> Result<Option<Arc<str>>, Unavailable> {
        let now = self.app.now().secs();
        let cuts = self.app.db.cutoffs_live(&self.realm, row, now, PAGE).await.map_err(|_| Unavailable)?;
        let full = i64::try_from(cuts.len()).is_ok_and(|n| n >= PAGE);
        self.stage = match cuts.last() {
            Some((row, _)) if full => Stage::Snapshot { at, row: *row, page: page + 1 },
            Some(_) | None => Stage::CatchUp(at),
        };
        self.signed(at, Part::Page(page, !full), &cuts).await
    }

    async fn catch_up(&mut self, cursor: Cursor) -> Result<Option<Arc<str>>, Unavailable> {
        let cuts = self.app.db.cutoffs_after(&self.realm, cursor.sequence, PAGE).await.map_err(|_| Unavailable)?;
        let Some((last, _)) = cuts.last() else {
            self.stage = Stage::Live(cursor);
            // At once, so that a reader that missed nothing knows so.
            return self.signed(cursor, Part::Heartbeat, &[]).await;
        };
        let to = Cursor { sequence: *last, ..cursor };
        self.stage = Stage::CatchUp(to);
        self.signed(to, Part::After(cursor.sequence), &cuts).await
    }

    async fn live(&mut self, cursor: Cursor) -> Result<Option<Arc<str>>, Unavailable> {
        let event = tokio::select! {
            event = self.live.recv() => event,
            _ = self.stop.wait_for(|stop| *stop) => return Err(Unavailable),
        };
        match event {
            Ok(event) if event.to.epoch != cursor.epoch => Err(Unavailable),
            // Read from the store already.
            Ok(event) if event.to.sequence < cursor.sequence => Ok(None),
            Ok(event) if event.from < event.to.sequence && event.to.sequence == cursor.sequence => Ok(None),
            Ok(event) if event.from > cursor.sequence => {
                self.stage = Stage::CatchUp(cursor);
                Ok(None)
            }
            Ok(event) => {
                self.stage = Stage::Live(event.to);
                Ok(Some(event.text))
            }
            Err(broadcast::error::RecvError::Closed) => Err(Unavailable),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                self.app.feeds.counters.slow.fetch_add(1, Ordering::Relaxed);
                Err(Unavailable)
            }
        }
    }
}
