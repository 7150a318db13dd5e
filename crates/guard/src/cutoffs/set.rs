//! The compact set: fingerprints in one flat table. Reading takes no lock; one writer at a time.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{TokenMark, TokenNames};

/// Kinds of cut-offs in the set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Session,
    Subject,
    Token,
    Client,
    SessionClient,
    Key,
}

impl Kind {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "sid" => Self::Session,
            "sub" => Self::Subject,
            "jti" => Self::Token,
            "client" => Self::Client,
            "session-client" => Self::SessionClient,
            "kid" => Self::Key,
            _ => return None,
        })
    }

    /// Whether only tokens up to a second are meant.
    const fn is_dated(self) -> bool {
        match self {
            Self::Subject | Self::Client | Self::SessionClient => true,
            Self::Session | Self::Token | Self::Key => false,
        }
    }
}

/// What each print of a mark stands for. A token's key is asked by its name: it is rarely cut.
const PLACES: [Kind; 5] = [Kind::Session, Kind::Subject, Kind::Token, Kind::Client, Kind::SessionClient];

/// The smallest table.
const SMALLEST: usize = 1024;

#[derive(Default)]
struct Slot {
    /// 0: free.
    print: AtomicU64,
    before: AtomicI64,
    expires_at: AtomicI64,
}

struct Table {
    slots: Box<[Slot]>,
}

impl Table {
    /// Room for so many at most half full; a power of two.
    fn with_room(entries: usize) -> Self {
        let size = entries.saturating_mul(2).next_power_of_two().max(SMALLEST);
        Self { slots: (0..size).map(|_| Slot::default()).collect() }
    }

    /// The slot of a print, or the free one where it would stand.
    fn slot(&self, print: u64) -> Option<(&Slot, bool)> {
        let mask = self.slots.len().saturating_sub(1);
        let start = usize::try_from(print).unwrap_or_default();
        for step in 0..self.slots.len() {
            let slot = self.slots.get(start.wrapping_add(step) & mask)?;
            match slot.print.load(Ordering::Acquire) {
                0 => return Some((slot, false)),
                found if found == print => return Some((slot, true)),
                _ => {}
            }
        }
        None
    }

    fn put(&self, print: u64, before: i64, expires_at: i64) -> Option<bool> {
        let (slot, known) = self.slot(print)?;
        if known {
            slot.before.fetch_max(before, Ordering::Relaxed);
            slot.expires_at.fetch_max(expires_at, Ordering::Relaxed);
        } else {
            slot.before.store(before, Ordering::Relaxed);
            slot.expires_at.store(expires_at, Ordering::Relaxed);
            // Readers that see the print see the rest.
            slot.print.store(print, Ordering::Release);
        }
        Some(known)
    }
}

/// There is no room and nothing that expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full;

/// Cut-offs by fingerprint: 64 bits under a key of this process, so that nobody can choose two names that meet.
pub(super) struct CutSet {
    table: ArcSwap<Table>,
    /// Entries in the table, expired ones included.
    used: Mutex<usize>,
    entries: AtomicUsize,
    most: usize,
    /// How many of each kind came so far: what nobody cut is not looked for.
    seen: [AtomicUsize; 5],
    keys_seen: AtomicUsize,
    realm_before: AtomicI64,
    hasher: RandomState,
}

impl CutSet {
    pub(super) fn new(most: usize) -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::with_room(0)),
            used: Mutex::new(0),
            entries: AtomicUsize::new(0),
            most,
            seen: Default::default(),
            keys_seen: AtomicUsize::new(0),
            realm_before: AtomicI64::new(i64::MIN),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    pub(super) fn mark(&self, token: &TokenNames<'_>) -> TokenMark {
        let print = |kind: Kind, value: Option<&str>| value.map_or(0, |value| self.print(kind, value));
        let both = token.session.zip(token.client).map(|(session, client)| format!("{session} {client}"));
        TokenMark {
            prints: [
                print(Kind::Session, token.session),
                print(Kind::Subject, Some(token.subject)),
                print(Kind::Token, token.id),
                print(Kind::Client, token.client),
                print(Kind::SessionClient, both.as_deref()),
            ],
            issued_at: token.issued_at,
            expires_at: token.expires_at,
        }
    }

    pub(super) fn is_cut(&self, token: &TokenMark) -> bool {
        if token.issued_at <= self.realm_before.load(Ordering::Relaxed) {
            return true;
        }
        if self.entries.load(Ordering::Acquire) == 0 {
            return false;
        }
        let table = self.table.load();
        token.prints.iter().zip(PLACES).zip(&self.seen).any(|((print, kind), seen)| {
            *print != 0
                && seen.load(Ordering::Relaxed) > 0
                && table.slot(*print).is_some_and(|(slot, known)| {
                    known && (!kind.is_dated() || token.issued_at <= slot.before.load(Ordering::Relaxed))
                })
        })
    }

    pub(super) fn is_key_cut(&self, kid: &str) -> bool {
        self.keys_seen.load(Ordering::Relaxed) > 0
            && self.table.load().slot(self.print(Kind::Key, kid)).is_some_and(|(_, known)| known)
    }

    /// All tokens up to this second.
    pub(super) fn cut_realm(&self, before: i64) {
        self.realm_before.fetch_max(before, Ordering::Relaxed);
    }

    pub(super) fn insert(
        &self,
        kind: Kind,
        value: &str,
        (before, expires_at): (i64, i64),
        now: i64,
    ) -> Result<(), Full> {
        if expires_at <= now {
            return Ok(());
        }
        let print = self.print(kind, value);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table.load_full();
        let crowded = used.saturating_add(1).saturating_mul(4) > table.slots.len().saturating_mul(3);
        let known = table.slot(print).is_some_and(|(_, known)| known);
        let table =
            if !known && (crowded || *used >= self.most) { self.rebuilt(&table, &mut used, now)? } else { table };
        let seen = match PLACES.iter().position(|k| *k == kind) {
            Some(at) => self.seen.get(at).unwrap_or(&self.keys_seen),
            None => &self.keys_seen,
        };
        // Before the entry: a reader that looks for it looks for its kind.
        seen.fetch_add(1, Ordering::Relaxed);
        match table.put(print, before, expires_at) {
            None => return Err(Full),
            Some(true) => {}
            Some(false) => *used = used.saturating_add(1),
        }
        self.entries.store(*used, Ordering::Release);
        Ok(())
    }

    /// A table without what expired, with room to grow. Readers go over to it between two looks.
    fn rebuilt(&self, old: &Table, used: &mut usize, now: i64) -> Result<Arc<Table>, Full> {
        let live =
            |slot: &&Slot| slot.print.load(Ordering::Relaxed) != 0 && slot.expires_at.load(Ordering::Relaxed) > now;
        let kept = old.slots.iter().filter(live).count();
        if kept >= self.most {
            return Err(Full);
        }
        let table = Table::with_room(kept.saturating_mul(2).min(self.most));
        for slot in old.slots.iter().filter(live) {
            let entry = (slot.before.load(Ordering::Relaxed), slot.expires_at.load(Ordering::Relaxed));
            table.put(slot.print.load(Ordering::Relaxed), entry.0, entry.1).ok_or(Full)?;
        }
        let table = Arc::new(table);
        self.table.store(Arc::clone(&table));
        *used = kept;
        Ok(table)
    }

    fn print(&self, kind: Kind, value: &str) -> u64 {
        // 0 means none.
        self.hasher.hash_one((kind as u8, value)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<'a>(session: &'a str, subject: &'a str, issued_at: i64) -> TokenNames<'a> {
        let (id, client, key) = (Some("j"), Some("app"), Some("k"));
        TokenNames { session: Some(session), subject, id, client, key, issued_at, expires_at: issued_at + 300 }
    }

    #[test]
    fn each_kind_means_its_own_tokens_up_to_its_second() {
        for (kind, value, dated) in [
            (Kind::Session, "s", false),
            (Kind::Subject, "u", true),
            (Kind::Token, "j", false),
            (Kind::Client, "app", true),
            (Kind::SessionClient, "s app", true),
        ] {
            let set = CutSet::new(100);
            set.insert(kind, value, (100, 500), 0).unwrap();
            let cut = |session: &str, subject: &str, iat: i64| set.is_cut(&set.mark(&names(session, subject, iat)));
            assert!(cut("s", "u", 99) && cut("s", "u", 100), "{kind:?}");
            assert_eq!(cut("s", "u", 101), !dated, "{kind:?}: a later token");
            let other =
                TokenNames { session: Some("x"), subject: "x", id: Some("x"), client: Some("x"), ..names("", "", 1) };
            assert!(!set.is_cut(&set.mark(&other)), "{kind:?}: another token");
            let bare = TokenNames { subject: "x", issued_at: 1, ..TokenNames::default() };
            assert!(!set.is_cut(&set.mark(&bare)), "{kind:?}: a token without names");
        }
        let set = CutSet::new(100);
        set.insert(Kind::Key, "k", (0, 500), 0).unwrap();
        assert!(set.is_key_cut("k") && !set.is_key_cut("x"));
        set.cut_realm(100);
        set.cut_realm(50);
        assert!(set.is_cut(&set.mark(&names("s", "u", 100))) && !set.is_cut(&set.mark(&names("s", "u", 101))));
    }

    #[test]
    fn the_latest_second_and_the_longest_memory_count() {
        let set = CutSet::new(2);
        set.insert(Kind::Subject, "u", (100, 500), 0).unwrap();
        set.insert(Kind::Subject, "u", (90, 900), 0).unwrap();
        assert!(set.is_cut(&set.mark(&names("s", "u", 100))));
        // Full at 600 only if the entry is still remembered.
        set.insert(Kind::Token, "a", (0, 900), 600).unwrap();
        assert_eq!(set.insert(Kind::Token, "b", (0, 900), 600), Err(Full));
    }

    #[test]
    fn ds_14_a_full_set_says_so_and_forgets_only_what_expired() {
        for most in [1, 10, 1000, 5000] {
            let set = CutSet::new(most);
            let value = |n: usize| format!("s{n}");
            for n in 0..most {
                set.insert(Kind::Session, &value(n), (0, if n % 2 == 0 { 100 } else { 200 }), 0).unwrap();
            }
            assert_eq!(set.insert(Kind::Session, "more", (0, 200), 99), Err(Full), "{most}");
            let cut = |n: usize| set.is_cut(&set.mark(&names(&value(n), "u", 1)));
            assert!((0..most).all(cut), "{most}");
            // What is known may be told again.
            set.insert(Kind::Session, &value(0), (0, 100), 99).unwrap();
            set.insert(Kind::Session, "more", (0, 200), 100).unwrap();
            assert!(set.is_cut(&set.mark(&names("more", "u", 1))));
            assert!((0..most).filter(|n| n % 2 == 1).all(cut), "{most}");
            assert!(set.entries() <= most);
        }
    }

    #[test]
    fn readers_see_every_entry_while_the_table_grows() {
        let set = Arc::new(CutSet::new(20_000));
        set.insert(Kind::Session, "first", (0, 10), 0).unwrap();
        let writer = std::thread::spawn({
            let set = Arc::clone(&set);
            move || (0..10_000).for_each(|n| set.insert(Kind::Session, &format!("s{n}"), (0, 10), 0).unwrap())
        });
        let first = set.mark(&names("first", "u", 1));
        while !writer.is_finished() {
            assert!(set.is_cut(&first));
        }
        writer.join().unwrap();
        assert!((0..10_000).all(|n| set.is_cut(&set.mark(&names(&format!("s{n}"), "u", 1)))));
    }
}
