//! The database as others see it: open, apply, close. Reads stand in `reads.rs`.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_core::ids::RealmId;
use portcullis_core::plan::{Lane, Plan};
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::Instrument as _;

use crate::changes::Looked;
use crate::clock::Monotonic;
use crate::error::{ApplyError, OpenError, ReadError};
use crate::identity::{self, cutoffs};
use crate::known_users::KnownUsers;
use crate::lanes::{Job, LaneSizes, Lanes};
use crate::readers::Readers;
use crate::sealing::{Sealer, ServerKeys};
use crate::sql::{Phase, Source, Sql, Step, Table, Value};
use crate::writer::{self, Counters, Stats};
use crate::{open, sqlite};

/// How a database is opened.
#[derive(Clone)]
pub struct OpenOptions {
    /// How many plans may wait.
    pub lanes: LaneSizes,
    /// A plan that has waited longer is dropped before it starts.
    pub plan_deadline: Duration,
    /// Connections for key lookups (at least one).
    pub readers: usize,
    pub(crate) clock: Monotonic,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            lanes: LaneSizes::default(),
            plan_deadline: Duration::from_secs(5),
            readers: 2,
            clock: Monotonic::system(),
        }
    }
}

struct Inner {
    readers: Readers,
    lanes: Arc<Lanes>,
    counters: Arc<Counters>,
    users: KnownUsers,
    /// One search at a time: the wide connection is there for others too (DS-21).
    searches: Semaphore,
    /// The latest second that a cut-off of an earlier process reaches, by realm; read when first asked for.
    cut_at_start: RwLock<HashMap<RealmId, i64>>,
    clock: Monotonic,
    deadline: Duration,
    sealer: Sealer,
    thread: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<File>>,
}

impl Inner {
    /// Lets the writer finish what waits, then gives the folder free.
    fn finish(&self) {
        self.lanes.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writer thread had died");
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.finish();
    }
}

/// One identity database. Clones share it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db(..)")
    }
}

impl Db {
    /// Opens (or makes) the database in `folder`, migrates it and starts its writer.
    ///
    /// # Errors
    /// [`OpenError`] says in one sentence what to do.
    pub fn open(folder: &Path, keys: ServerKeys, options: OpenOptions) -> Result<Self, OpenError> {
        let sealer = sealer(&keys)?;
        let lock = open::lock(folder)?;
        let writer = open::database(folder, &sealer)?;
        let readers = Readers::open(&folder.join(open::FILE), options.readers)?;
        let writer = Arc::new(Mutex::new(writer));
        Self::start(writer, readers, sealer, options, Some(lock))
    }

    /// A database that leaves nothing behind: one connection that readers and the writer share.
    ///
    /// # Errors
    /// [`OpenError::Storage`] when the engine does not start.
    pub fn in_memory(keys: ServerKeys) -> Result<Self, OpenError> {
        Self::in_memory_with(keys, OpenOptions::default())
    }

    /// [`Db::in_memory`] with options.
    ///
    /// # Errors
    /// As [`Db::in_memory`].
    pub fn in_memory_with(keys: ServerKeys, options: OpenOptions) -> Result<Self, OpenError> {
        let sealer = sealer(&keys)?;
        let conn = sqlite::memory().map_err(|e| OpenError::Storage(e.to_string()))?;
        open::prepare(&conn, &sealer)?;
        let conn = Arc::new(Mutex::new(conn));
        let readers = Readers::sharing(&conn);
        Self::start(conn, readers, sealer, options, None)
    }

    fn start(
        writer: Arc<Mutex<Connection>>,
        readers: Readers,
        sealer: Sealer,
        options: OpenOptions,
        lock: Option<File>,
    ) -> Result<Self, OpenError> {
        let lanes = Arc::new(Lanes::new(options.lanes));
        let counters = Arc::new(Counters::default());
        let clock = options.clock;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn({
                let (lanes, counters, clock) = (Arc::clone(&lanes), Arc::clone(&counters), clock.clone());
                move || writer::run(&writer, &lanes, &counters, &clock)
            })
            .map_err(|e| OpenError::Storage(e.to_string()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                readers,
                lanes,
                counters,
                users: KnownUsers::new(),
                searches: Semaphore::new(1),
                cut_at_start: RwLock::default(),
                clock,
                deadline: options.plan_deadline,
                sealer,
                thread: Mutex::new(Some(thread)),
                lock: Mutex::new(lock),
            }),
        })
    }

    /// Commits the whole plan, or nothing of it. When it returns `Ok`, the plan is durable. Dropping the future does not lose it.
    ///
    /// # Errors
    /// [`ApplyError::Gate`] names the expectation that was lost; see there for the others.
    pub async fn apply(&self, plan: Plan) -> Result<(), ApplyError> {
        if plan.is_empty() {
            return Ok(());
        }
        let span = tracing::info_span!(
            target: "portcullis::span",
            "store.apply",
            portcullis.lane = plan.lane.name(),
            portcullis.writes = plan.writes.len(),
        );
        let compiled = identity::compile(&plan.writes, &self.inner.sealer)?;
        self.submit(plan.lane, compiled.steps, compiled.configured).instrument(span).await.map(|_| ())
    }

    /// Queues steps and waits for their commit: the number of rows changed.
    pub(crate) async fn submit(
        &self,
        lane: Lane,
        steps: Vec<Step>,
        configured: Vec<RealmId>,
    ) -> Result<u64, ApplyError> {
        let nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
        if steps.iter().any(|step| step.params.iter().any(nul)) {
            return Err(ApplyError::Storage("text with a NUL character".to_owned()));
        }
        let (reply, answer) = oneshot::channel();
        let job = Job { steps, configured, deadline: self.inner.clock.now() + self.inner.deadline, reply };
        if !self.inner.lanes.push(lane, job) {
            self.inner.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return Err(ApplyError::Busy);
        }
        // The writer answers every plan it takes; a lost answer means that it died in the middle.
        answer.await.unwrap_or(Err(ApplyError::Unknown))
    }

    /// Grows when a committed plan changed configuration (realms, clients, scopes, roles, groups, keys). Read it before loading records.
    #[must_use]
    pub fn config_generation(&self) -> u64 {
        self.inner.counters.generation()
    }

    /// The [`Db::config_generation`] of the latest change to this realm; 0 when there was none since the start.
    #[must_use]
    pub fn realm_generation(&self, realm: &RealmId) -> u64 {
        self.inner.counters.realm_generation(realm)
    }

    /// Changes after each plan of this process that wrote cut-offs. Other processes write without a word: look every 500 ms as well.
    #[must_use]
    pub fn cutoffs_changed(&self) -> watch::Receiver<u64> {
        self.inner.counters.cut.subscribe()
    }

    /// How a user, session or token of this name stands. Look before its rows are read; see [`Db::unchanged`].
    #[must_use]
    pub fn look(&self, name: &str) -> Looked {
        self.inner.counters.changes.look(name)
    }

    /// Whether nothing was committed since that could change what follows from its rows. Time is not asked.
    #[must_use]
    pub fn unchanged(&self, looked: &Looked) -> bool {
        self.inner.counters.changes.unchanged(looked)
    }

    /// Counters for metrics and measurements.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.counters.stats(self.inner.lanes.depths())
    }

    /// Whether plans can be written. After a batch that could not, a trial finds out.
    pub async fn writes(&self) -> bool {
        // A row that stays as it is would not be written at all: SQLite compares before it touches a page.
        static TRIAL: Sql = Sql::new(
            "INSERT INTO meta (name, value) VALUES ('trial', 'a')
             ON CONFLICT (name) DO UPDATE SET value = CASE meta.value WHEN 'a' THEN 'b' ELSE 'a' END",
        );
        if !self.inner.counters.stuck() {
            return true;
        }
        let trial = Step::new(Table::Realms, Phase::Update, &TRIAL, Vec::new());
        self.submit(Lane::Admin, vec![trial], Vec::new()).await.is_ok()
    }

    /// Takes no more plans, writes what waits, empties the write-ahead log and gives the folder free. Reads go on.
    pub async fn close(&self) {
        let inner = Arc::clone(&self.inner);
        if tokio::task::spawn_blocking(move || inner.finish()).await.is_err() {
            tracing::error!("closing the database failed");
        }
    }

    /// The latest second that any cut-off of the realm reaches: no later token need be looked up.
    pub(crate) fn newest_cut(&self, realm: &RealmId) -> Result<i64, ReadError> {
        let known = self.inner.cut_at_start.read().unwrap_or_else(PoisonError::into_inner).get(realm).copied();
        let at_start = match known {
            Some(at_start) => at_start,
            None => {
                let read = self.read(|db| cutoffs::newest(db, realm))?.unwrap_or(i64::MIN);
                let mut all = self.inner.cut_at_start.write().unwrap_or_else(PoisonError::into_inner);
                all.insert(realm.clone(), read);
                read
            }
        };
        Ok(at_start.max(self.inner.counters.changes.newest_cut()))
    }

    pub(crate) fn known_users(&self) -> &KnownUsers {
        &self.inner.users
    }

    pub(crate) fn searches(&self) -> &Semaphore {
        &self.inner.searches
    }

    pub(crate) fn clock(&self) -> &Monotonic {
        &self.inner.clock
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    /// A key lookup of one statement, inline: about 5 µs, less than a hop to another thread costs.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&dyn Source) -> Result<T, ReadError>) -> Result<T, ReadError> {
        read(&*self.inner.readers.point()?)
    }

    /// A key lookup of several statements that see one state.
    pub(crate) fn read_together<T>(
        &self,
        read: impl FnOnce(&dyn Source) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        sqlite::snapshot(&*self.inner.readers.point()?, read)
    }

    /// A read that may take long: on a thread and a connection of its own.
    pub(crate) async fn read_wide<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Self, &dyn Source) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let db = self.clone();
        tokio::task::spawn_blocking(move || {
            let conn = db.inner.readers.wide();
            sqlite::snapshot(&conn, |source| read(&db, source))
        })
        .await
        .unwrap_or_else(|e| Err(ReadError::Storage(e.to_string())))
    }
}

fn sealer(keys: &ServerKeys) -> Result<Sealer, OpenError> {
    Sealer::new(keys).ok_or_else(|| OpenError::Storage("the server key is not usable".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use portcullis_core::plan::Write;

    use super::*;

    fn keys() -> ServerKeys {
        ServerKeys { current: (1, [1; 32]), previous: None }
    }

    fn idle() -> Plan {
        Plan::new(Lane::Gate, vec![Write::EndUserSession("r".into(), "s".into())])
    }

    #[tokio::test]
    async fn a_plan_past_its_deadline_is_dropped_before_it_starts() {
        let (step, seconds) = (Arc::new(AtomicU64::new(1)), AtomicU64::new(0));
        let options = OpenOptions {
            plan_deadline: Duration::from_secs(5),
            clock: Monotonic::from_fn({
                let step = Arc::clone(&step);
                move || {
                    let step = step.load(Ordering::SeqCst);
                    Duration::from_secs(seconds.fetch_add(step, Ordering::SeqCst))
                }
            }),
            ..OpenOptions::default()
        };
        let db = Db::in_memory_with(keys(), options).unwrap();
        assert_eq!(db.apply(idle()).await, Ok(()));
        step.store(5, Ordering::SeqCst);
        let before = db.stats();
        assert_eq!(db.apply(idle()).await, Err(ApplyError::Busy));
        let after = db.stats();
        assert_eq!(after.dropped, before.dropped + 1);
        assert_eq!((after.commits, after.plans), (before.commits, before.plans));
    }

    #[tokio::test]
    async fn a_full_lane_is_busy_at_once() {
        let options = OpenOptions { lanes: LaneSizes { gate: 0, ..LaneSizes::default() }, ..OpenOptions::default() };
        let db = Db::in_memory_with(keys(), options).unwrap();
        assert_eq!(db.apply(idle()).await, Err(ApplyError::Busy));
        assert_eq!(db.stats().dropped, 1);
        let login = Plan { lane: Lane::Login, ..idle() };
        assert_eq!(db.apply(login).await, Ok(()));
    }

    #[tokio::test]
    async fn ds_26_a_read_that_panics_leaves_its_connection_whole() {
        let folder = tempfile::tempdir().unwrap();
        let options = OpenOptions { readers: 2, ..OpenOptions::default() };
        for db in [Db::open(folder.path(), keys(), options).unwrap(), Db::in_memory(keys()).unwrap()] {
            for _ in 0..5 {
                let panics = || db.read_together(|_| -> Result<(), ReadError> { panic!("a row nobody expected") });
                assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
            }
            for _ in 0..5 {
                assert_eq!(db.read_together(|_| Ok(1)), Ok(1));
            }
            assert_eq!(db.realm_names().await, Ok(Vec::new()));
            assert_eq!(db.apply(idle()).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_closed_database_is_busy() {
        let db = Db::in_memory(keys()).unwrap();
        db.close().await;
        assert_eq!(db.apply(idle()).await, Err(ApplyError::Busy));
    }
}
