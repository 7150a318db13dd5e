//! The writer thread: takes a batch from the lanes, runs it as one transaction, and answers after COMMIT.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use portcullis_core::ids::RealmId;
use rusqlite::Connection;
use tokio::sync::watch;

use crate::changes::Changes;
use crate::clock::Monotonic;
use crate::error::ApplyError;
use crate::lanes::{Job, Lanes};
use crate::sql::{Step, Table};
use crate::sqlite;

/// Counters of the writer since start, and the queue now.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Transactions committed; each is one fsync of the write-ahead log.
    pub commits: u64,
    /// Plans that committed.
    pub plans: u64,
    /// Plans that lost a gate or failed; nothing of them was written.
    pub refused: u64,
    /// Plans dropped because their lane was full or their deadline had passed.
    pub dropped: u64,
    /// Rows changed by committed plans (rows removed by cascade are not counted).
    pub rows: u64,
    /// Plans waiting in the lanes gate, login, admin, sweep.
    pub depths: [usize; 4],
}

#[derive(Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    plans: AtomicU64,
    refused: AtomicU64,
    pub(crate) dropped: AtomicU64,
    rows: AtomicU64,
    generation: AtomicU64,
    /// Plans with cut-offs so far.
    pub(crate) cut: watch::Sender<u64>,
    by_realm: RwLock<HashMap<RealmId, u64>>,
    /// The engine refused the whole of the last batch: a full disk, a file system that went away.
    stuck: AtomicBool,
    pub(crate) changes: Changes,
}

impl Counters {
    pub(crate) fn stats(&self, depths: [usize; 4]) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            commits: read(&self.commits),
            plans: read(&self.plans),
            refused: read(&self.refused),
            dropped: read(&self.dropped),
            rows: read(&self.rows),
            depths,
        }
    }

    pub(crate) fn stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn realm_generation(&self, realm: &RealmId) -> u64 {
        let map = self.by_realm.read().unwrap_or_else(PoisonError::into_inner);
        map.get(realm).copied().unwrap_or(0)
    }

    /// After COMMIT and before the answer: whoever sees the answer sees the new generation.
    fn configured(&self, realms: Vec<RealmId>) {
        if realms.is_empty() {
            return;
        }
        let mut map = self.by_realm.write().unwrap_or_else(PoisonError::into_inner);
        let next = self.generation.load(Ordering::Relaxed) + 1;
        for realm in realms {
            map.insert(realm, next);
        }
        self.generation.store(next, Ordering::Release);
    }
}

/// A batch of so many plans says that more are on their way: the next one waits for them.
const BUSY: usize = 4;

/// How long it waits: about as long as a disk takes to make a batch durable.
const GATHER: Duration = Duration::from_micros(1500);

/// However the thread ends, a panic included, nobody waits for it for ever.
struct Abandon<'a>(&'a Lanes);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Runs until the lanes are closed and empty, then empties the write-ahead log.
pub(crate) fn run(conn: &Mutex<Connection>, lanes: &Arc<Lanes>, counters: &Counters, clock: &Monotonic) {
    let _abandon = Abandon(lanes);
    let mut last = 0;
    loop {
        // Under load fewer and larger commits: the processor is busy with those requests meanwhile. A lone plan never waits.
        if last >= BUSY {
            std::thread::sleep(GATHER);
        }
        let Some(jobs) = lanes.take() else { break };
        last = jobs.len();
        let now = clock.now();
        let (due, late): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.deadline > now);
        for job in late {
            counters.dropped.fetch_add(1, Ordering::Relaxed);
            let _ = job.reply.send(Err(ApplyError::Busy));
        }
        if due.is_empty() {
            continue;
        }
        let outcomes = {
            let conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
            let plans: Vec<&[Step]> = due.iter().map(|job| job.steps.as_slice()).collect();
            sqlite::batch(&conn, &plans)
        };
        answer(due, outcomes, counters);
    }
    let conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = sqlite::checkpoint(&conn) {
        tracing::warn!(%error, "the write-ahead log was not emptied; the next start reads it");
    }
}

fn answer(jobs: Vec<Job>, outcomes: Vec<sqlite::Outcome>, counters: &Counters) {
    if outcomes.iter().any(Result::is_ok) {
        counters.commits.fetch_add(1, Ordering::Relaxed);
    }
    let failed = |outcome: &sqlite::Outcome| matches!(outcome, Err(ApplyError::Unknown | ApplyError::Storage(_)));
    counters.stuck.store(outcomes.iter().all(failed), Ordering::Relaxed);
    for (job, outcome) in jobs.into_iter().zip(outcomes) {
        match &outcome {
            Ok(rows) => {
                counters.plans.fetch_add(1, Ordering::Relaxed);
                counters.rows.fetch_add(*rows, Ordering::Relaxed);
                counters.changes.note(&job.steps);
                if job.steps.iter().any(|step| step.place.table == Table::CutOffs) {
                    counters.cut.send_modify(|plans| *plans += 1);
                }
                counters.configured(job.configured);
            }
            // Perhaps it was written: caches must look again.
            Err(ApplyError::Unknown) => {
                counters.changes.note(&job.steps);
                counters.configured(job.configured);
            }
            Err(ApplyError::Gate(_) | ApplyError::Busy | ApplyError::Storage(_)) => {
                counters.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        // A caller that hung up is no reason to do anything: the plan is written.
        let _ = job.reply.send(outcome);
    }
}
