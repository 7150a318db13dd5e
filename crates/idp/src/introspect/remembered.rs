//! Documents of tokens that were verified: given again while nothing they follow from has changed.
//!
//! A document follows from the token's bytes, the realm's configuration, the rows of user, session and token, and the time. It is
//! found by the SHA-256 of the whole token (JW-24) and counts while the configuration is the same ([`RealmView::generation`]), no plan
//! changed the rows ([`Db::unchanged`]) and session and token still last. So an end is seen by the very next request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use portcullis_core::claims::tokens::IntrospectionPayload;
use portcullis_core::ids::ClientUuid;
use portcullis_core::oauth::introspect::Form;
use portcullis_jose::digest::sha256;
use portcullis_store::{Db, Looked};

use crate::state::RealmView;

/// Documents that share one lock. A token belongs to exactly one such set, chosen by its hash.
const WAYS: usize = 8;

/// Sets.
const SETS: usize = 2048;

/// Larger documents are made anew each time, so that memory is bounded: 64 MB.
const LARGEST: usize = 4096;

/// What is told about a token, and to whom it may be told.
pub(super) struct Document {
    /// The client it was given to.
    pub(super) owner: ClientUuid,
    pub(super) audience: Vec<String>,
    pub(super) disclosed: Disclosed,
}

/// A document, and how much of it are the claims of the token.
#[derive(Clone)]
pub(super) struct Disclosed {
    pub(super) json: Bytes,
    pub(super) claims: usize,
}

impl From<IntrospectionPayload> for Disclosed {
    fn from(payload: IntrospectionPayload) -> Self {
        Self { json: payload.json.into(), claims: payload.claims }
    }
}

/// What a document is found by.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) token: [u8; 32],
    pub(super) form: Form,
    pub(super) issuer: &'a str,
}

impl<'a> Of<'a> {
    pub(super) fn new(token: &str, form: Form, issuer: &'a str) -> Self {
        Self { token: sha256(token.as_bytes()), form, issuer }
    }
}

/// When a document stops counting.
#[derive(Clone, Copy)]
pub(super) struct Until {
    pub(super) generation: u64,
    /// Session, user and token, looked at before their rows were read.
    pub(super) looked: [Looked; 3],
    /// When it was made, seconds: a clock set back starts over.
    pub(super) made_at: i64,
    /// The end of session or token, whichever comes first, seconds.
    pub(super) ends_at: i64,
}

struct Entry {
    token: [u8; 32],
    form: Form,
    issuer: Box<str>,
    until: Until,
    document: Arc<Document>,
}

impl Entry {
    fn is_of(&self, of: &Of<'_>) -> bool {
        self.token == of.token && self.form == of.form && *self.issuer == *of.issuer
    }
}

/// How often documents were given again, for metrics.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct IntrospectionFigures {
    /// Answered with a document made before.
    pub remembered: u64,
    /// Made anew.
    pub made: u64,
}

/// The documents of this node.
pub(crate) struct Remembered {
    sets: Box<[Mutex<Vec<Entry>>]>,
    given: AtomicU64,
    made: AtomicU64,
}

impl Default for Remembered {
    fn default() -> Self {
        let sets = (0..SETS).map(|_| Mutex::default()).collect();
        Self { sets, given: AtomicU64::new(0), made: AtomicU64::new(0) }
    }
}

impl Remembered {
    pub(crate) fn figures(&self) -> IntrospectionFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        IntrospectionFigures { remembered: read(&self.given), made: read(&self.made) }
    }

    pub(super) fn get(&self, db: &Db, view: &RealmView, of: &Of<'_>, now: i64) -> Option<Arc<Document>> {
        let set = self.set(of)?;
        let entry = set.iter().find(|entry| entry.is_of(of))?;
        let until = &entry.until;
        let holds = until.generation == view.generation
            && (until.made_at..until.ends_at).contains(&now)
            && until.looked.iter().all(|looked| db.unchanged(looked));
        holds.then(|| {
            self.given.fetch_add(1, Ordering::Relaxed);
            Arc::clone(&entry.document)
        })
    }

    /// Keeps a document and gives it back. When its set is full, one that is over goes first, else the one that ends soonest.
    pub(super) fn put(&self, of: &Of<'_>, until: Until, document: Document) -> Arc<Document> {
        self.made.fetch_add(1, Ordering::Relaxed);
        let document = Arc::new(document);
        if document.disclosed.json.len() > LARGEST || until.ends_at <= until.made_at {
            return document;
        }
        let Some(mut set) = self.set(of) else { return document };
        set.retain(|entry| !entry.is_of(of) && entry.until.ends_at > until.made_at);
        if set.len() >= WAYS {
            let soonest = set.iter().enumerate().min_by_key(|(_, entry)| entry.until.ends_at).map(|(at, _)| at);
            if let Some(at) = soonest {
                set.swap_remove(at);
            }
        }
        let (token, form, issuer) = (of.token, of.form, of.issuer.into());
        set.push(Entry { token, form, issuer, until, document: Arc::clone(&document) });
        document
    }

    fn set(&self, of: &Of<'_>) -> Option<MutexGuard<'_, Vec<Entry>>> {
        let [a, b, ..] = of.token;
        let set = self.sets.get(usize::from(u16::from_le_bytes([a, b])) % SETS)?;
        // Nothing inside panics halfway through a change.
        Some(set.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
