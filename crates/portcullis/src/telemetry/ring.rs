//! The last hour's refusals, in memory, bounded: a flood is counted, not kept.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_core::refusal::{self, Record, Shown};
use portcullis_core::time::{Clock, Now};
use portcullis_guard::{Reason, Refusal, RefusalSink as GuardSink};

/// How long a record is kept, milliseconds.
const KEPT: i64 = 60 * 60 * 1000;

/// Records of one realm.
const PER_REALM: usize = 4096;

/// Records of all realms together.
const ALL: usize = 4 * PER_REALM;

/// Records of one kind (endpoint and reason) of one realm that may come at once.
const BURST: f64 = 60.0;

/// Records of one kind that may go on coming, per second. One kind that floods neither hides nor pushes out the others.
const STEADY: f64 = 0.5;

/// Kinds told apart in one realm; what is more shares a rate.
const KINDS: usize = 256;

/// A bounded memory of refusals.
#[derive(Debug, Default)]
pub struct Ring {
    shelves: Mutex<Shelves>,
    kept: AtomicU64,
    dropped: AtomicU64,
}

/// What a ring did so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingFigures {
    /// Records kept since start.
    pub kept: u64,
    /// Records that came too fast.
    pub dropped: u64,
    /// Records there now.
    pub held: usize,
}

#[derive(Debug, Default)]
struct Shelves {
    by_realm: HashMap<Option<String>, Shelf>,
    held: usize,
}

#[derive(Debug, Default)]
struct Shelf {
    records: VecDeque<Record>,
    rates: HashMap<(String, String), Rate>,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    left: f64,
    at: i64,
}

impl Rate {
    fn take(&mut self, now: i64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of an hour")]
        let passed = (now - self.at).clamp(0, KEPT) as f64 / 1000.0;
        self.left = (self.left + passed * STEADY).min(BURST);
        self.at = now;
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

impl Ring {
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of an id, if it is younger than an hour; else the latest one of a caller's trace of that id.
    #[must_use]
    pub fn find(&self, trace: &str, now: Now) -> Option<Record> {
        let shelves = self.shelves();
        let all = || {
            let all = shelves.by_realm.values().flat_map(|shelf| &shelf.records);
            all.filter(|r| now.millis() - r.time <= KEPT)
        };
        let of_caller = |r: &&Record| r.traceparent.as_deref().and_then(|p| p.split('-').nth(1)) == Some(trace);
        let found = all().find(|r| r.trace.eq_ignore_ascii_case(trace));
        found.or_else(|| all().filter(of_caller).max_by_key(|r| r.time)).cloned()
    }

    /// What it did so far.
    #[must_use]
    pub fn figures(&self) -> RingFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RingFigures { kept: read(&self.kept), dropped: read(&self.dropped), held: self.shelves().held }
    }

    fn keep(&self, record: Record) -> bool {
        let kept = self.shelves().keep(record);
        let counter = if kept { &self.kept } else { &self.dropped };
        counter.fetch_add(1, Ordering::Relaxed);
        kept
    }
}

impl Shelves {
    fn keep(&mut self, record: Record) -> bool {
        let shelf = self.by_realm.entry(record.realm.clone()).or_default();
        if !shelf.admits(&record) {
            return false;
        }
        let before = shelf.records.len();
        shelf.forget(record.time);
        if shelf.records.len() >= PER_REALM {
            shelf.records.pop_front();
        }
        shelf.records.push_back(record);
        let after = shelf.records.len();
        self.held = self.held + after - before;
        if self.held > ALL {
            self.make_room();
        }
        true
    }

    /// The oldest record of the realm that has most goes.
    fn make_room(&mut self) {
        if let Some(shelf) = self.by_realm.values_mut().max_by_key(|s| s.records.len())
            && shelf.records.pop_front().is_some()
        {
            self.held -= 1;
        }
        // A realm without records has nothing to remember but its rates, which are full again by now.
        self.by_realm.retain(|_, shelf| !shelf.records.is_empty());
    }
}

impl Shelf {
    fn admits(&mut self, record: &Record) -> bool {
        let kind = (record.endpoint.clone(), record.reason.clone());
        let kind = if self.rates.len() < KINDS || self.rates.contains_key(&kind) { kind } else { Default::default() };
        self.rates.entry(kind).or_insert(Rate { left: BURST, at: record.time }).take(record.time)
    }

    fn forget(&mut self, now: i64) {
        while self.records.front().is_some_and(|old| now - old.time > KEPT) {
            self.records.pop_front();
        }
    }
}

impl refusal::RefusalSink for Ring {
    fn refused(&self, record: Record) -> bool {
        self.keep(record)
    }
}

/// Puts a guard's refusals into the same ring.
pub struct GuardRefusals {
    ring: Arc<Ring>,
    clock: Arc<dyn Clock>,
}

impl GuardRefusals {
    /// Into this ring, with this clock.
    #[must_use]
    pub fn into(ring: Arc<Ring>, clock: Arc<dyn Clock>) -> Self {
        Self { ring, clock }
    }
}

/// The realm of an issuer of ours.
fn realm(issuer: &str) -> Option<String> {
    let name = issuer.split_once("/realms/")?.1;
    Some(Shown::identifier(name).into_string())
}

impl GuardSink for GuardRefusals {
    fn refused(&self, refusal: &Refusal<'_>) {
        tracing::Span::current().record("portcullis.reason", refusal.reason.name());
        let (mut expected, got) = refusal.reason.facts();
        if let Some(name) = refusal.demanded {
            expected = format!("{expected}: {}", Shown::identifier(name).as_str());
        }
        let record = Record {
            trace: refusal.trace.to_owned(),
            time: self.clock.now().millis(),
            source: "guard".to_owned(),
            realm: realm(refusal.issuer),
            client_id: refusal.client.map(|id| Shown::identifier(id).into_string()),
            endpoint: "api".to_owned(),
            status: refusal.reason.status().as_u16(),
            reason: refusal.reason.name().to_owned(),
            check: "guard of the API".to_owned(),
            expected,
            got: got.to_owned(),
            advice: advice(refusal).to_owned(),
            traceparent: refusal.traceparent.and_then(refusal::traceparent).map(str::to_owned),
        };
        let line = record.clone();
        if self.ring.keep(record) {
            let Record { trace, reason, expected, got, traceparent, .. } = line;
            let issuer = refusal.issuer;
            tracing::info!(target: "portcullis_guard", trace, issuer, reason, expected, got, traceparent, "refused");
        }
    }
}

fn advice(refusal: &Refusal<'_>) -> &'static str {
    if matches!(
        refusal.reason,
        Reason::NoLogoutToken | Reason::LogoutNotPosted | Reason::BadLogoutToken(_) | Reason::LogoutReplayed
    ) {
        return "Only the guard's issuer posts here, for a client that the guard was told of: look at that client's backchannel.logout.url.";
    }
    if refusal.reason == Reason::LogoutsFull {
        return "Give the guard more room (LogoutOptions::bounds), or the realm's access tokens a shorter life.";
    }
    match refusal.reason.status().as_u16() {
        403 => "Give the user the role, or ask for the scope; the next token carries it.",
        503 => "The guard cannot reach its issuer: look at the address and at the issuer's health.",
        500 => "Add the guard's layer after the demands, so that it stands outside.",
        _ => "Send one fresh access token of the guard's issuer whose audience names this API.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(trace: usize, realm: &str, reason: &str, time: i64) -> Record {
        Record {
            trace: format!("{trace:032x}"),
            time,
            source: "idp".to_owned(),
            realm: Some(realm.to_owned()),
            client_id: None,
            endpoint: "token".to_owned(),
            status: 400,
            reason: reason.to_owned(),
            check: String::new(),
            expected: String::new(),
            got: String::new(),
            advice: String::new(),
            traceparent: None,
        }
    }

    fn find(ring: &Ring, trace: usize, now: i64) -> bool {
        ring.find(&format!("{trace:032x}"), Now::from_millis(now)).is_some()
    }

    #[test]
    fn lg_09_a_flood_of_one_kind_hides_no_other() {
        let ring = Ring::default();
        assert!(ring.keep(record(1, "acme", "PkceMismatch", 0)));
        for n in 0..100_000 {
            ring.keep(record(1_000 + n, "acme", "InvalidRefreshToken", 1));
        }
        assert!(ring.keep(record(2, "acme", "CodeNotValid", 1)), "another kind");
        assert!(ring.keep(record(3, "shop", "InvalidRefreshToken", 1)), "another realm");
        assert!((1..=3).all(|trace| find(&ring, trace, 1)));
        let figures = ring.figures();
        assert_eq!((figures.kept, figures.dropped, figures.held), (63, 99_940, 63));
        // The rate comes back.
        assert!(ring.keep(record(4, "acme", "InvalidRefreshToken", 2_001)));
        assert!(!ring.keep(record(5, "acme", "InvalidRefreshToken", 2_001)));
    }

    #[test]
    fn a_record_is_kept_for_an_hour() {
        let ring = Ring::default();
        ring.keep(record(1, "acme", "CodeNotValid", 0));
        assert!(find(&ring, 1, KEPT) && !find(&ring, 1, KEPT + 1));
        ring.keep(record(2, "acme", "CodeNotValid", KEPT + 1));
        assert_eq!(ring.figures().held, 1, "what is over goes");
    }

    #[test]
    fn lg_09_no_realm_and_no_number_of_realms_takes_more_than_its_place() {
        let ring = Ring::default();
        for n in 0..PER_REALM + 10 {
            ring.keep(record(n, "acme", &format!("Reason{}", n % 200), i64::try_from(n).unwrap()));
        }
        let one = ring.figures().held;
        assert!(one <= PER_REALM && one > PER_REALM / 2, "{one}");
        for n in 0..ALL + 100 {
            ring.keep(record(n, &format!("realm-{n}"), "CodeNotValid", 5_000));
        }
        let figures = ring.figures();
        assert_eq!(figures.held, ALL);
        assert!(ring.shelves().by_realm.len() <= ALL);
    }
}
