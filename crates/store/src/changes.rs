//! What changed since somebody looked: counters of users, sessions and tokens, so that what was concluded from their rows may be
//! remembered without reading them again.
//!
//! One counter serves many names, so that memory is bounded: a stranger's change costs a second look, never a wrong answer. They
//! count the plans of this process. An engine that several processes write to needs them told by the others.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::sql::{Phase, Step, Table};

/// Counters; a power of two.
const COUNTERS: usize = 1 << 16;

/// A name as it stood when somebody looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Looked {
    counter: usize,
    seen: u64,
}

pub(crate) struct Changes {
    counters: Box<[AtomicU64]>,
    /// Changes that name nothing: all counters are ahead by these.
    of_all: AtomicU64,
    /// The latest second that a cut-off of this process reaches.
    newest_cut: AtomicI64,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            of_all: AtomicU64::new(0),
            newest_cut: AtomicI64::new(i64::MIN),
        }
    }
}

impl Changes {
    pub(crate) fn look(&self, name: &str) -> Looked {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let counter = usize::try_from(hasher.finish() % (COUNTERS as u64)).unwrap_or_default();
        Looked { counter, seen: self.count(counter) }
    }

    pub(crate) fn unchanged(&self, looked: &Looked) -> bool {
        self.count(looked.counter) == looked.seen
    }

    /// Both parts only grow, so an equal sum means that neither changed.
    fn count(&self, counter: usize) -> u64 {
        let own = self.counters.get(counter).map_or(u64::MAX, |c| c.load(Ordering::Acquire));
        own.wrapping_add(self.of_all.load(Ordering::Acquire))
    }

    pub(crate) fn newest_cut(&self) -> i64 {
        self.newest_cut.load(Ordering::Acquire)
    }

    /// After COMMIT and before the answer: whoever sees the answer sees the change.
    pub(crate) fn note(&self, steps: &[Step]) {
        if let Some(cut) = steps.iter().filter_map(|step| step.cuts).max() {
            self.newest_cut.fetch_max(cut, Ordering::AcqRel);
        }
        if steps.iter().any(takes_from_users) {
            self.of_all.fetch_add(1, Ordering::AcqRel);
        }
        for step in steps.iter().filter(|step| counts(step)) {
            match step.place.key() {
                "" => {
                    self.of_all.fetch_add(1, Ordering::AcqRel);
                }
                name => {
                    if let Some(counter) = self.counters.get(self.look(name).counter) {
                        counter.fetch_add(1, Ordering::AcqRel);
                    }
                }
            }
        }
    }
}

/// A removal by whose cascade users lose roles, groups, or are gone themselves, without being named.
fn takes_from_users(step: &Step) -> bool {
    let table =
        matches!(step.place.table, Table::Realms | Table::Clients | Table::Roles | Table::Groups | Table::Users);
    table && step.place.phase() == Phase::Delete
}

/// Whether a step can change what follows from a user, a session or a token.
fn counts(step: &Step) -> bool {
    let table = matches!(
        step.place.table,
        Table::Users | Table::UserParts | Table::UserSessions | Table::ClientSessions | Table::CutOffs
    );
    table && step.place.phase() != Phase::Expect
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Sql;

    fn step(table: Table, phase: Phase, key: &str) -> Step {
        static NOTHING: std::sync::LazyLock<Sql> = std::sync::LazyLock::new(|| Sql::new("SELECT 1"));
        Step::new(table, phase, &NOTHING, Vec::new()).key(key)
    }

    #[test]
    fn what_may_be_remembered_ends_with_the_change_that_names_it_or_nothing() {
        for (table, phase, key, kept) in [
            (Table::UserSessions, Phase::Delete, "s1", false),
            (Table::UserSessions, Phase::Delete, "s2", true),
            (Table::UserSessions, Phase::Delete, "", false),
            (Table::UserSessions, Phase::Expect, "s1", true),
            (Table::UserSessionParts, Phase::Update, "s1", true),
            (Table::ClientSessions, Phase::Create, "s1", false),
            (Table::Users, Phase::Update, "s1", false),
            (Table::UserParts, Phase::Create, "s1", false),
            (Table::CutOffs, Phase::Create, "s1", false),
            (Table::Lineages, Phase::Delete, "s1", true),
            (Table::Roles, Phase::Delete, "r1", false),
            (Table::Groups, Phase::Delete, "g1", false),
            (Table::Clients, Phase::Delete, "c1", false),
            (Table::Realms, Phase::Delete, "", false),
            (Table::Users, Phase::Delete, "s2", false),
            (Table::Roles, Phase::Update, "r1", true),
        ] {
            let changes = Changes::default();
            let looked = changes.look("s1");
            assert!(changes.unchanged(&looked));
            changes.note(&[step(table, phase, key)]);
            assert_eq!(changes.unchanged(&looked), kept, "{table:?} {phase:?} {key}");
        }
    }
}
