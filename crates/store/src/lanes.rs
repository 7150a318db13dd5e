//! Bounded lanes of plans before the writer. Earlier lanes go first; every lane gets a share of each batch, so none starves.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_core::ids::RealmId;
use portcullis_core::plan::Lane;
use tokio::sync::oneshot;

use crate::error::ApplyError;
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

    /// Closes and answers what still waits: the writer is gone.
    pub(crate) fn abandon(&self) {
        self.close();
        let mut state = self.state();
        for job in state.lanes.iter_mut().flat_map(|lane| lane.drain(..)) {
            let _ = job.reply.send(Err(ApplyError::Busy));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Phase, Sql, Step, Table};

    static NOTHING: Sql = Sql::new("SELECT 1");

    fn job(lane: Lane, steps: usize) -> Job {
        let step = || Step::new(Table::Events, Phase::Create, &NOTHING, Vec::new());
        Job {
            steps: (0..steps).map(|_| step()).collect(),
            configured: vec![RealmId::new(format!("{lane:?}"))],
            deadline: Duration::ZERO,
            reply: oneshot::channel().0,
        }
    }

    fn filled(plans: &[(Lane, usize, usize)]) -> Lanes {
        let lanes = Lanes::new(LaneSizes::default());
        for (lane, count, steps) in plans {
            for _ in 0..*count {
                assert!(lanes.push(*lane, job(*lane, *steps)));
            }
        }
        lanes
    }

    fn count(batch: &[Job], lane: Lane) -> usize {
        let name = RealmId::new(format!("{lane:?}"));
        batch.iter().filter(|j| j.configured[0] == name).count()
    }

    #[test]
    fn an_administrators_flood_does_not_starve_gates() {
        let lanes = filled(&[(Lane::Admin, 1000, 500), (Lane::Gate, 100, 2)]);
        let batch = lanes.take().unwrap();
        assert_eq!(count(&batch, Lane::Gate), 100);
        assert_eq!(batch[0].configured[0], RealmId::new("Gate"), "gates first");
        let steps: usize = batch.iter().map(|j| j.steps.len()).sum();
        assert!(steps <= STEPS_PER_BATCH, "{steps}");
    }

    #[test]
    fn a_flood_of_gates_does_not_starve_the_others() {
        let all = [Lane::Gate, Lane::Login, Lane::Admin, Lane::Sweep];
        let lanes =
            filled(&[(Lane::Gate, 5000, 1), (Lane::Login, 1000, 1), (Lane::Admin, 100, 1), (Lane::Sweep, 10, 1)]);
        let batch = lanes.take().unwrap();
        assert_eq!(batch.len(), PLANS_PER_BATCH);
        assert_eq!(all.map(|lane| count(&batch, lane)), [256 + 119, 128, 8, 1]);
        assert_eq!(lanes.depths(), [5000 - 375, 1000 - 128, 92, 9]);
    }

    #[test]
    fn a_plan_larger_than_a_batch_goes_alone() {
        let lanes = filled(&[(Lane::Admin, 2, STEPS_PER_BATCH + 1)]);
        assert_eq!(lanes.take().unwrap().len(), 1);
        assert_eq!(lanes.take().unwrap().len(), 1);
    }

    #[test]
    fn a_closed_queue_is_emptied_and_takes_nothing() {
        let lanes = filled(&[(Lane::Login, 3, 1)]);
        lanes.close();
        assert!(!lanes.push(Lane::Gate, job(Lane::Gate, 1)));
        assert_eq!(lanes.take().unwrap().len(), 3);
        assert!(lanes.take().is_none());
    }

    #[test]
    fn an_abandoned_queue_answers_what_waits() {
        let lanes = Lanes::new(LaneSizes::default());
        let (reply, mut answer) = oneshot::channel();
        let waiting = Job { reply, ..job(Lane::Login, 1) };
        assert!(lanes.push(Lane::Login, waiting));
        lanes.abandon();
        assert_eq!(answer.try_recv().unwrap(), Err(ApplyError::Busy));
        assert!(lanes.take().is_none());
    }

    #[test]
    fn lanes_are_bounded_each_by_itself() {
        let lanes = Lanes::new(LaneSizes { gate: 1, login: 2, admin: 0, sweep: 0 });
        assert!(lanes.push(Lane::Gate, job(Lane::Gate, 1)));
        assert!(!lanes.push(Lane::Gate, job(Lane::Gate, 1)));
        assert!(lanes.push(Lane::Login, job(Lane::Login, 1)));
        assert!(!lanes.push(Lane::Admin, job(Lane::Admin, 1)));
    }
}
