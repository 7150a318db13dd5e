//! Long work in small plans: removing realms, sweeping what expired more than a day ago, sealing again under a new server key.

use portcullis_core::ids::RealmId;
use portcullis_core::plan::Lane;
use portcullis_core::time::Now;

use crate::db::Db;
use crate::error::ApplyError;
use crate::identity::cleanup::{Expired, TABLES, piece};
use crate::identity::{realms, rewrap};

/// Rows of one piece of a realm's removal.
const PIECE: i64 = 1000;

/// Rows of one piece of a sweep; a session takes its children along.
const SWEEP_PIECE: i64 = 200;

/// What expired is kept this long, seconds: a clock that went wrong for an hour ends nothing for good.
const GRACE: i64 = 86_400;

/// Up to this many expired rows are removed whatever share of the table they are; above it, at most a fifth.
const SMALL: i64 = 64;

/// How long rows of a realm can matter, seconds.
#[derive(Clone, Debug)]
pub struct RealmLimits {
    /// Which realm.
    pub realm: RealmId,
    /// Longest life of a user session.
    pub session_max: i64,
    /// Longest life of a session with "remember me".
    pub remember_me_max: i64,
    /// Longest an offline session stays unused.
    pub offline_idle: i64,
    /// Longest life of an offline session; `None`: without end.
    pub offline_max: Option<i64>,
    /// After so long without a failure the counter starts over (Keycloak's `maxDeltaTimeSeconds`).
    pub failure_reset: i64,
}

/// What a sweep did to one table of one realm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Swept {
    /// The realm.
    pub realm: RealmId,
    /// The table.
    pub table: &'static str,
    /// Rows removed.
    pub removed: u64,
    /// Rows that had expired and were all left, because they were more than a fifth of the table: somebody must look.
    pub held_back: i64,
}

/// What a sweep did; tables in which nothing had expired are left out.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct SweepReport {
    /// Table by table.
    pub tables: Vec<Swept>,
}

impl SweepReport {
    /// Whether something was held back.
    #[must_use]
    pub fn alarm(&self) -> bool {
        self.tables.iter().any(|t| t.held_back > 0)
    }
}

fn expired(limits: &RealmLimits, now: i64) -> Vec<Expired> {
    let realm = &limits.realm;
    let before = |life: i64| now.saturating_sub(life).saturating_sub(GRACE);
    let mut out = Expired::by_end(realm, before(0)).to_vec();
    out.extend([
        Expired::failures(realm, before(limits.failure_reset), now),
        Expired::sessions(realm, before(limits.session_max), false, false),
        Expired::sessions(realm, before(limits.remember_me_max), true, false),
        Expired::idle_offline(realm, before(limits.offline_idle)),
    ]);
    if let Some(life) = limits.offline_max {
        out.push(Expired::sessions(realm, before(life), false, true));
        out.push(Expired::sessions(realm, before(life), true, true));
    }
    out
}

impl Db {
    /// Removes what expired more than a day before `now`, in small plans of the sweep lane. Whether the clock can be trusted is the caller's to know.
    ///
    /// # Errors
    /// [`ApplyError`]; what was removed before stays removed.
    pub async fn sweep(&self, now: Now, limits: &[RealmLimits]) -> Result<SweepReport, ApplyError> {
        let mut report = SweepReport::default();
        for realm in limits {
            for what in expired(realm, now.secs()) {
                report.tables.extend(self.sweep_one(realm, what).await?);
            }
        }
        Ok(report)
    }

    async fn sweep_one(&self, limits: &RealmLimits, what: Expired) -> Result<Option<Swept>, ApplyError> {
        let counted = what.clone();
        let (all, old) =
            self.read_wide(move |_, db| counted.count(db)).await.map_err(|e| ApplyError::Storage(e.to_string()))?;
        if old == 0 {
            return Ok(None);
        }
        let mut swept = Swept { realm: limits.realm.clone(), table: what.table, removed: 0, held_back: 0 };
        if old > SMALL && old > all / 5 {
            swept.held_back = old;
            return Ok(Some(swept));
        }
        let mut left = old;
        while left > 0 {
            let limit = left.min(SWEEP_PIECE);
            let removed = self.submit(Lane::Sweep, vec![what.piece(limit)], Vec::new()).await?;
            if removed == 0 {
                break;
            }
            swept.removed += removed;
            left -= limit;
        }
        Ok(Some(swept))
    }

    /// Makes the realm invisible at once and removes it piece by piece, the realm's row last. Cut off, [`Db::finish_removals`] goes on.
    ///
    /// # Errors
    /// [`ApplyError`]; the realm stays invisible.
    pub async fn remove_realm(&self, realm: &RealmId) -> Result<(), ApplyError> {
        let configured = vec![realm.clone()];
        self.submit(Lane::Admin, vec![realms::empty(realm)], configured.clone()).await?;
        for table in 0..TABLES {
            while let Some(step) = piece(realm, table, PIECE) {
                if self.submit(Lane::Sweep, vec![step], Vec::new()).await? == 0 {
                    break;
                }
            }
        }
        self.submit(Lane::Sweep, vec![realms::delete_emptied(realm)], configured).await.map(|_| ())
    }

    /// Goes on with removals that a stop had cut off; call it after opening. Returns how many realms were finished.
    ///
    /// # Errors
    /// As [`Db::remove_realm`].
    pub async fn finish_removals(&self) -> Result<usize, ApplyError> {
        let open = self.read(realms::emptying).map_err(|e| ApplyError::Storage(e.to_string()))?;
        for realm in &open {
            self.remove_realm(realm).await?;
        }
        Ok(open.len())
    }

    /// Seals everything again that is not under the current server key, and then the proof of the key: afterwards the previous key
    /// can be thrown away. Online and repeatable. Returns how many rows were sealed again.
    ///
    /// # Errors
    /// [`ApplyError`]; what was sealed again stays so, both keys still open everything.
    pub async fn rewrap(&self) -> Result<u64, ApplyError> {
        let storage = |e: crate::error::ReadError| ApplyError::Storage(e.to_string());
        let mut sealed = 0;
        for realm in self.read(realms::all_ids).map_err(storage)? {
            loop {
                let realm = realm.clone();
                let steps = self
                    .read_wide(move |db, source| rewrap::piece(source, &realm, db.sealer()))
                    .await
                    .map_err(storage)?;
                if steps.is_empty() {
                    break;
                }
                sealed += self.submit(Lane::Sweep, steps, Vec::new()).await?;
            }
        }
        let canary = rewrap::canary(self.sealer())?;
        self.submit(Lane::Sweep, vec![canary], Vec::new()).await?;
        Ok(sealed)
    }
}
