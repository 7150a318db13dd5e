//! The one counter of failures: passwords and one-time codes of an account count together (EN-07, MF-05).
//!
//! A slot is taken before the row is read and given back after the row is written, so that no interleaving lets more
//! attempts through than the realm allows (EN-06).

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_core::entropy;
use portcullis_core::event::Event;
use portcullis_core::ids::{EventId, RealmId};
use portcullis_core::login::brute_force::{self, Standing, Subject};
use portcullis_core::plan::{Entity, Gate, Lane, LoginKey, Plan, Write};
use portcullis_core::time::Now;
use portcullis_core::user::User;
use portcullis_store::{ApplyError, Key, Kind};

use crate::state::{App, RealmView, Unavailable};

/// Seconds after which a slot that was never given back is forgotten.
const SLOT_SECONDS: i64 = 600;

/// Reloads of a counter that others move.
const RETRIES: usize = 8;

/// The counter of a realm, as one request uses it.
pub(super) struct Counter {
    pub(super) app: Arc<App>,
    pub(super) view: Arc<RealmView>,
    pub(super) ip: String,
    pub(super) now: Now,
}

impl Counter {
    pub(super) fn new(app: &Arc<App>, view: &Arc<RealmView>, ip: &str) -> Self {
        Self { app: Arc::clone(app), view: Arc::clone(view), ip: ip.to_owned(), now: app.now() }
    }

    pub(super) fn realm(&self) -> &RealmId {
        &self.view.records.realm.id
    }

    /// The row of a name that nobody has.
    pub(super) fn of_nobody(&self, name: &str) -> LoginKey {
        let name = brute_force::canonical(name);
        brute_force::login_key(secret(&self.view), self.realm(), Subject::Nobody(&name), None)
    }

    /// The account's row, or that of a device it is known from; and whether it is.
    pub(super) async fn of_account(
        &self,
        user: &User,
        device: Option<[u8; 32]>,
    ) -> Result<(LoginKey, bool), Unavailable> {
        let (realm, account) = (self.realm(), account_key(&self.view, user));
        if let Some(device) = device
            && self.app.db.device_known(realm, &account, &device).await.map_err(|_| Unavailable)?
        {
            let key = brute_force::login_key(secret(&self.view), realm, Subject::Account(&user.id), Some(&device));
            return Ok((key, true));
        }
        Ok((account, false))
    }

    /// Runs `compare` where the row allows another attempt; `None` when it rests and nothing was compared.
    pub(super) async fn guarded<T>(
        &self,
        key: &LoginKey,
        compare: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<Option<T>, Unavailable> {
        if !self.view.records.realm.settings.brute_force_protected {
            return compare.await.map(Some);
        }
        let slot = Key::new(Kind::LoginSlot, self.realm().clone(), key.0.clone());
        let in_flight = self.move_slot(&slot, 1).await?;
        let compared = match self.standing(key).await {
            Ok(Standing::Allowed { slots }) if in_flight <= slots => compare.await.map(Some),
            Ok(_) => {
                tracing::debug!("login refused: the account rests");
                Ok(None)
            }
            Err(error) => Err(error),
        };
        self.move_slot(&slot, -1).await?;
        compared
    }

    async fn standing(&self, key: &LoginKey) -> Result<Standing, Unavailable> {
        let row = self.app.db.login_failures(self.realm(), key).await.map_err(|_| Unavailable)?;
        Ok(brute_force::standing(row.as_ref(), &self.view.records.realm.settings, self.now))
    }

    async fn move_slot(&self, slot: &Key, by: i64) -> Result<i64, Unavailable> {
        let (ephemeral, end) = (&self.app.ephemeral, self.now.secs() + SLOT_SECONDS);
        let count = ephemeral.bump(slot, by, end, self.now).await.map_err(|_| Unavailable)?;
        ephemeral.touch(slot, end, self.now).await.map_err(|_| Unavailable)?;
        Ok(count)
    }

    /// Forgets the failures: everything that was asked for was proven.
    pub(super) async fn forget(&self, key: &LoginKey) -> Result<(), Unavailable> {
        let (db, realm) = (&self.app.db, self.realm());
        if db.login_failures(realm, key).await.map_err(|_| Unavailable)?.is_some() {
            let plan = Plan::new(Lane::Login, vec![Write::ClearLoginFailures(realm.clone(), key.clone())]);
            db.apply(plan).await.map_err(|_| Unavailable)?;
        }
        Ok(())
    }

    /// Counts a failure and writes its audit row in one plan.
    pub(super) async fn fail(
        &self,
        user: Option<&User>,
        key: &LoginKey,
        reason: &'static str,
    ) -> Result<(), Unavailable> {
        let settings = &self.view.records.realm.settings;
        if !settings.brute_force_protected {
            return self.audit(user, reason).await;
        }
        for _ in 0..RETRIES {
            let row = self.app.db.login_failures(self.realm(), key).await.map_err(|_| Unavailable)?;
            let whose = (key.clone(), user.map(|u| u.id.clone()));
            let row = brute_force::failed(row, whose, settings, &self.ip, self.now);
            let writes =
                vec![Write::PutLoginFailures(self.realm().clone(), row), Write::Audit(self.refusal(user, reason))];
            match self.app.db.apply(Plan::new(Lane::Login, writes)).await {
                Ok(()) => return Ok(()),
                Err(ApplyError::Gate(Gate::Stale(Entity::LoginFailures))) => {}
                Err(_) => return Err(Unavailable),
            }
        }
        Err(Unavailable)
    }

    /// Writes the audit row of a refusal that does not count.
    pub(super) async fn audit(&self, user: Option<&User>, reason: &'static str) -> Result<(), Unavailable> {
        let plan = Plan::new(Lane::Login, vec![Write::Audit(self.refusal(user, reason))]);
        self.app.db.apply(plan).await.map_err(|_| Unavailable)
    }

    fn refusal(&self, user: Option<&User>, reason: &'static str) -> Event {
        Event {
            id: EventId::new(entropy::uuid(self.app.entropy.as_ref())),
            time: self.now.millis(),
            realm: self.realm().clone(),
            kind: "LOGIN_ERROR",
            user: user.map(|u| u.id.clone()),
            client: None,
            session: None,
            ip_address: self.ip.clone(),
            error: Some(reason),
            details: BTreeMap::new(),
        }
    }
}

/// The key of the rows: the oldest HMAC key of the realm, so that a key rotation forgets nothing.
fn secret(view: &RealmView) -> &[u8] {
    let hmac = view.records.keys.iter().filter(|k| k.algorithm == "HS512");
    hmac.min_by_key(|k| (k.created, k.kid.clone())).map(|k| k.private.expose()).unwrap_or_default()
}

/// The row of an account itself: where devices are remembered, too.
pub(super) fn account_key(view: &RealmView, user: &User) -> LoginKey {
    brute_force::login_key(secret(view), &view.records.realm.id, Subject::Account(&user.id), None)
}
