//! Wrong client secrets, counted by client and place (TE-33, RFC 6819 §4.3.5).
//!
//! | who asks | too many wrong secrets from its place | answer |
//! |---|---|---|
//! | anybody | no | as the secret deserves |
//! | a place where the client proved itself within the hour | yes | a right secret passes, a wrong one is 429 |
//! | another place | yes | 429, nothing is compared |
//!
//! **Owns** the count, what rests, who is known. **Does not own** which reason is a wrong secret ([`portcullis_core::oauth::client_auth::is_wrong_secret`]).
//! **Flow** [`Guesser::of`] -> [`Guesser::rests`] -> the secret is compared -> [`Guesser::right`] or [`Guesser::wrong`].
//!
//! Counts live in `Ephemeral`, so all nodes have one. What a request must know before the comparison stands in two small tables of this
//! process that are read without a lock: a right secret costs two loads, and one store in four minutes. A table is full of nothing
//! worse than forgetting: a place that was to rest gets one more try, a known place counts as another.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_core::client::Client;
use portcullis_core::entropy::uuid;
use portcullis_core::event::Event;
use portcullis_core::oauth::client_auth::Claim;
use portcullis_core::oauth::error::Reason;
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::time::Now;

use crate::rate::{self, Place, Rate};
use crate::state::{App, RealmView};

/// Wrong secrets of one client from one place.
const WRONG: Rate = Rate { name: "client-secret", most: 30, window: rate::WINDOW };

/// How long a place is known after a right secret, seconds.
const KNOWN: i64 = 3600;

/// How exactly that is kept, seconds: a right secret is noted once in this time.
const GRAIN: i64 = 256;

/// Entries of a table.
const SLOTS: usize = 8192;

/// The tables of this node.
pub(crate) struct Guesses {
    hash: RandomState,
    /// Until when nothing is compared, seconds.
    resting: Table,
    /// When the last right secret came, in units of [`GRAIN`].
    known: Table,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { hash: RandomState::new(), resting: Table::new(), known: Table::new() }
    }
}

/// Numbers by hash: half of an entry says whose, half is the number. The newest wins its slot.
struct Table(Box<[AtomicU64]>);

impl Table {
    fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }

    fn slot(&self, hash: u64) -> Option<&AtomicU64> {
        self.0.get(usize::try_from(hash % SLOTS as u64).ok()?)
    }

    fn get(&self, hash: u64) -> Option<i64> {
        let entry = self.slot(hash)?.load(Ordering::Relaxed);
        (entry >> 32 == hash >> 32 && entry != 0).then_some(i64::from(entry as u32))
    }

    fn put(&self, hash: u64, number: i64) {
        if let (Some(slot), Ok(number)) = (self.slot(hash), u32::try_from(number)) {
            slot.store(hash >> 32 << 32 | u64::from(number), Ordering::Relaxed);
        }
    }
}

/// Who might be guessing: whoever asks for a client from a place.
pub(super) struct Guesser<'r> {
    app: &'r App,
    view: &'r RealmView,
    client: &'r Client,
    ip: &'r str,
    hash: u64,
}

impl<'r> Guesser<'r> {
    /// `None`: the client has no secret that it proves itself by.
    pub(super) fn of(app: &'r App, view: &'r RealmView, claim: &Claim<'r>, ip: &'r str) -> Option<Self> {
        let client = claim.client();
        let whose = (&view.records.realm.id, &client.id, Place::of(ip));
        claim.is_by_secret().then(|| Self { app, view, client, ip, hash: app.guesses.hash.hash_one(whose) })
    }

    /// Whether nothing is compared.
    pub(super) fn rests(&self, now: Now) -> bool {
        let until = self.app.guesses.resting.get(self.hash);
        until.is_some_and(|until| now.secs() < until && until <= now.secs() + WRONG.window) && !self.is_known(now)
    }

    fn is_known(&self, now: Now) -> bool {
        let last = self.app.guesses.known.get(self.hash);
        last.is_some_and(|last| (0..=KNOWN / GRAIN).contains(&(now.secs() / GRAIN - last)))
    }

    /// The secret was right.
    pub(super) fn right(&self, now: Now) {
        let (known, now) = (&self.app.guesses.known, now.secs() / GRAIN);
        if known.get(self.hash) != Some(now) {
            known.put(self.hash, now);
        }
    }

    /// The secret was wrong: it counts.
    ///
    /// # Errors
    /// [`Reason::TooManyWrongSecrets`] once there were too many; [`Reason::Unavailable`] when it could not be counted.
    pub(super) async fn wrong(&self, now: Now) -> Result<(), Reason> {
        let realm = &self.view.records.realm.id;
        let who = format!("{}/{}", self.client.id, Place::of(self.ip));
        let within = WRONG.take(self.app, realm, &who, now).await.map_err(|_| Reason::Unavailable)?;
        if within {
            return Ok(());
        }
        let first = !self.rests_already(now);
        self.app.guesses.resting.put(self.hash, now.secs() + WRONG.window);
        if first {
            self.tell(now).await;
        }
        Err(Reason::TooManyWrongSecrets)
    }

    fn rests_already(&self, now: Now) -> bool {
        self.app.guesses.resting.get(self.hash).is_some_and(|until| now.secs() < until)
    }

    /// Once per rest: somebody guesses, or a client was given a wrong secret.
    async fn tell(&self, now: Now) {
        let realm = &self.view.records.realm;
        tracing::warn!(
            realm = realm.name,
            client = self.client.client_id,
            ip = self.ip,
            "too many wrong client secrets"
        );
        if !realm.settings.events_enabled {
            return;
        }
        let event = Event {
            id: uuid(self.app.entropy.as_ref()).into(),
            time: now.millis(),
            realm: realm.id.clone(),
            kind: "CLIENT_LOGIN_ERROR",
            user: None,
            client: Some(self.client.id.clone()),
            session: None,
            ip_address: self.ip.to_owned(),
            error: Some("invalid_client_credentials"),
            details: BTreeMap::from([("wrong_secrets".to_owned(), WRONG.most.to_string())]),
        };
        // The refusal stands without it.
        if let Err(error) = self.app.db.apply(Plan::new(Lane::Login, vec![Write::Audit(event)])).await {
            tracing::warn!(%error, "an audit row was not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn te_33_a_slot_tells_only_its_own_number() {
        let table = Table::new();
        let (one, same_slot) = (7 << 32 | 5, 8 << 32 | 5);
        assert_eq!(table.get(one), None);
        table.put(one, 1_800_000_000);
        assert_eq!((table.get(one), table.get(same_slot)), (Some(1_800_000_000), None));
        table.put(same_slot, 3);
        assert_eq!((table.get(one), table.get(same_slot)), (None, Some(3)));
        table.put(one, -1);
        assert_eq!(table.get(same_slot), Some(3), "a number that fits nowhere changes nothing");
        assert_eq!(table.get(0), None, "an empty slot is nobody's");
    }
}
