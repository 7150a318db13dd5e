//! Bounded lanes of plans before the writer. Earlier lanes go first; every lane gets a share of each batch, so none starves.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_core::ids::RealmId;
use portcullis_core::plan::Lane;
use tokio::sync::oneshot;

use crate::sql::Step;
use crate::sqlite::Outcome;

/// Most plans in one transaction.
pub(crate) const PLANS_PER_BATCH: usize = 512;

/// Most steps in one transaction: a batch of imports must not hold gates up for long.
const STEPS_PER_BATCH: usize = 4096;

/// How many plans each lane can hold, in the order of [`Lane`].
#[derive(Clone, Copy, Debug)]
pub struct LaneSizes {
    /// Single-use gates, refreshes, logouts.
    pub gate: usize,
    /// Logins and failures.
    pub login: usize,
    /// Administration and imports.
    pub admin: usize,
    /// Clean-up.
    pub sweep: usize,
}

impl Default for LaneSizes {
    fn default() -> Self {
        Self { gate: 8192, login: 4096, admin: 1024, sweep: 64 }
    }
}

const LANES: usize = 4;

/// What each lane may take of a batch before the rest is given by priority.
const SHARES: [usize; LANES] = [256, 128, 8, 1];

const fn index(lane: Lane) -> usize {
    match lane {
        Lane::Gate => 0,
        Lane::Login => 1,
        Lane::Admin => 2,
        Lane::Sweep => 3,
    }
}

/// A compiled plan that waits.
pub(crate) struct Job {
    pub(crate) steps: Vec<Step>,
    pub(crate) configured: Vec<RealmId>,
    /// Monotonic; past it the plan is dropped before it starts.
    pub(crate) deadline: Duration,
    pub(crate) reply: oneshot::Sender<Outcome>,
}

struct State {
    lanes: [VecDeque<Job>; LANES],
    closed: bool,
}

/// The queue between callers and the writer thread.
pub(crate) struct Lanes {
    state: Mutex<State>,
    wake: Condvar,
    sizes: [usize; LANES],
}

impl Lanes {
    pub(crate) fn new(sizes: LaneSizes) -> Self {
        Self {
            state: Mutex::new(State { lanes: std::array::from_fn(|_| VecDeque::new()), closed: false }),
            wake: Condvar::new(),
            sizes: [sizes.gate, sizes.login, sizes.admin, sizes.sweep],
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a plan; `false` when its lane is full or the queue is closed.
    pub(crate) fn push(&self, lane: Lane, job: Job) -> bool {
        let at = index(lane);
        let mut state = self.state();
        let limit = self.sizes.get(at).copied().unwrap_or(0);
        let closed = state.closed;
        let Some(queue) = state.lanes.get_mut(at) else {
            return false;
        };
        if closed || queue.len() >= limit {
            return false;
        }
        queue.push_back(job);
        drop(state);
        self.wake.notify_one();
        true
    }

    /// No more plans are taken; what waits is still written.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.wake.notify_all();
    }

    /// Waits for plans and takes a batch; `None` when closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.state();
        loop {
            if state.lanes.iter().any(|lane| !lane.is_empty()) {
                return Some(batch(&mut state.lanes));
            }
            if state.closed {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Plans waiting in each lane, in the order of [`Lane`].
    pub(crate) fn depths(&self) -> [usize; LANES] {
        let state = self.state();
        std::array::from_fn(|at| state.lanes.get(at).map_or(0, VecDeque::len))
    }
}

/// First each lane's share, then the rest by priority, at most so many plans and steps (but one plan at least).
fn batch(lanes: &mut [VecDeque<Job>; LANES]) -> Vec<Job> {
    let mut taken: [Vec<Job>; LANES] = std::array::from_fn(|_| Vec::new());
    let (mut plans, mut steps) = (0, 0);
    for limits in [SHARES, [PLANS_PER_BATCH; LANES]] {
        for ((lane, out), limit) in lanes.iter_mut().zip(&mut taken).zip(limits) {
            let mut left = limit;
            while left > 0 && plans < PLANS_PER_BATCH {
                let Some(next) = lane.front().map(|job| job.steps.len()) else {
                    break;
                };
                if plans > 0 && steps + next > STEPS_PER_BATCH {
                    break;
                }
                out.extend(lane.pop_front());
                plans += 1;
                steps += next;
                left -= 1;
            }
        }
    }
    taken.into_iter().flatten().collect()
}
