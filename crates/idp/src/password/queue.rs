//! One bounded queue per realm, served in turn, so that a storm in one realm does not starve another (DS-08).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use portcullis_core::ids::RealmId;

/// Most jobs of one realm.
pub(super) const MAX_PER_REALM: usize = 128;
/// Most jobs of all realms together.
pub(super) const MAX_TOTAL: usize = 512;

/// No place in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full;

/// A place in the queue. Whoever claims it first owns the job: a thread (to run it) or the request (to give up).
pub(super) struct Ticket {
    claimed: Arc<AtomicBool>,
}

impl Ticket {
    /// Whether the job was still waiting and now is nobody's.
    pub(super) fn give_up(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }
}

struct Waiting<J> {
    claimed: Arc<AtomicBool>,
    job: J,
}

struct Lines<J> {
    lines: HashMap<RealmId, VecDeque<Waiting<J>>>,
    turn: VecDeque<RealmId>,
    total: usize,
    closed: bool,
}

pub(super) struct Queue<J> {
    lines: Mutex<Lines<J>>,
    wake: Condvar,
}

impl<J> Queue<J> {
    pub(super) fn new() -> Self {
        let lines = Lines { lines: HashMap::new(), turn: VecDeque::new(), total: 0, closed: false };
        Self { lines: Mutex::new(lines), wake: Condvar::new() }
    }

    pub(super) fn push(&self, realm: &RealmId, job: J) -> Result<Ticket, Full> {
        let mut lines = self.lock();
        if lines.total >= MAX_TOTAL || lines.closed {
            lines.forget_given_up();
        }
        if lines.total >= MAX_TOTAL || lines.closed {
            return Err(Full);
        }
        let Lines { lines: by_realm, turn, total, .. } = &mut *lines;
        let line = by_realm.entry(realm.clone()).or_default();
        if line.len() >= MAX_PER_REALM {
            let before = line.len();
            line.retain(|w| !w.claimed.load(Ordering::Acquire));
            *total -= before - line.len();
            if line.len() >= MAX_PER_REALM {
                return Err(Full);
            }
        }
        if line.is_empty() && !turn.contains(realm) {
            turn.push_back(realm.clone());
        }
        let claimed = Arc::new(AtomicBool::new(false));
        line.push_back(Waiting { claimed: Arc::clone(&claimed), job });
        *total += 1;
        drop(lines);
        self.wake.notify_one();
        Ok(Ticket { claimed })
    }

    /// The next job that nobody gave up; waits for one. `None` when the queue is closed.
    pub(super) fn next(&self) -> Option<J> {
        let mut lines = self.lock();
        loop {
            if lines.closed {
                return None;
            }
            match lines.take() {
                Some(waiting) if !waiting.claimed.swap(true, Ordering::AcqRel) => return Some(waiting.job),
                Some(_) => {}
                None => lines = self.wake.wait(lines).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    pub(super) fn waiting(&self) -> u64 {
        u64::try_from(self.lock().total).unwrap_or(u64::MAX)
    }

    pub(super) fn close(&self) {
        let mut lines = self.lock();
        lines.closed = true;
        lines.lines.clear();
        lines.total = 0;
        drop(lines);
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines<J>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> Lines<J> {
    /// The first of the realm whose turn it is; the realm goes to the end of the round.
    fn take(&mut self) -> Option<Waiting<J>> {
        while let Some(realm) = self.turn.pop_front() {
            let Some(line) = self.lines.get_mut(&realm) else { continue };
            let found = line.pop_front();
            if line.is_empty() {
                self.lines.remove(&realm);
            } else {
                self.turn.push_back(realm);
            }
            if found.is_some() {
                self.total -= 1;
                return found;
            }
        }
        None
    }

    fn forget_given_up(&mut self) {
        for line in self.lines.values_mut() {
            line.retain(|w| !w.claimed.load(Ordering::Acquire));
        }
        self.total = self.lines.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ds_08_realms_take_turns() {
        let queue = Queue::new();
        let (storm, calm) = (RealmId::new("storm"), RealmId::new("calm"));
        let mut tickets: Vec<Ticket> = (0..3).map(|n| queue.push(&storm, ("storm", n)).unwrap()).collect();
        tickets.push(queue.push(&calm, ("calm", 0)).unwrap());
        let served: Vec<_> = (0..4).map(|_| queue.next().unwrap()).collect();
        assert_eq!(served, [("storm", 0), ("calm", 0), ("storm", 1), ("storm", 2)]);
    }

    #[test]
    fn ds_08_a_full_line_refuses_and_leaves_room_for_others() {
        let queue = Queue::new();
        let (storm, calm) = (RealmId::new("storm"), RealmId::new("calm"));
        let tickets: Vec<Ticket> = (0..MAX_PER_REALM).map(|n| queue.push(&storm, n).unwrap()).collect();
        assert!(queue.push(&storm, 0).is_err());
        assert!(queue.push(&calm, 0).is_ok());
        drop(tickets);
        let kept = queue.push(&storm, 7).unwrap();
        assert_eq!(queue.next(), Some(7));
        assert!(!kept.give_up());
    }

    #[test]
    fn a_job_given_up_is_never_run() {
        let queue = Queue::new();
        let realm = RealmId::new("r");
        assert!(queue.push(&realm, 1).unwrap().give_up());
        let second = queue.push(&realm, 2).unwrap();
        assert_eq!(queue.next(), Some(2));
        assert!(!second.give_up());
        queue.close();
        assert_eq!((queue.next(), queue.push(&realm, 3).is_err()), (None, true));
    }
}
