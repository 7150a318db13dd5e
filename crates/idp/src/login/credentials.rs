//! The one place where a password is compared: login page, password grant and account share its counter (EN-07).
//!
//! Order (EN-06): slot -> row -> standing -> hash -> failure row and audit, or success. The slot is taken before the row is
//! read and given back after the row is written, so that no interleaving lets more passwords through than the realm allows.

use std::sync::Arc;

use portcullis_core::entropy;
use portcullis_core::event::Event;
use portcullis_core::ids::{EventId, RealmId};
use portcullis_core::login::brute_force::{self, MAX_NAME, Standing, Subject};
use portcullis_core::plan::{Entity, Gate, Lane, LoginKey, Plan, Write};
use portcullis_core::secret::Secret;
use portcullis_core::time::Now;
use portcullis_core::user::{Credential, User};
use portcullis_store::{ApplyError, Key, Kind};

use crate::password::{Unhashed, Verdict as Compared};
use crate::state::{App, RealmView, Unavailable};

/// What a name and a password are worth.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// The password is right and the account may log in.
    Accepted {
        /// Whose it is.
        user: Box<User>,
        /// Whether a second factor is still owed.
        second_factor: bool,
    },
    /// Unknown name, wrong password, no password: one answer.
    Refused,
    /// Too many failures: nothing was compared (EN-14).
    Locked,
    /// The account is switched off.
    Disabled {
        /// Whether the password was right; nothing else may be shown where it was not.
        password_ok: bool,
    },
    /// No thread was free in time: 503, nothing was compared or counted.
    Busy,
}

/// Seconds after which a slot that was never given back is forgotten.
const SLOT_SECONDS: i64 = 600;

/// Reloads of a counter that others move.
const RETRIES: usize = 8;

/// Judges a name and a password. It runs to its end even when the client hangs up: an attempt that was compared is counted.
/// `device` is the SHA-256 of the browser's device cookie.
///
/// # Errors
/// [`Unavailable`] when the store does not answer.
pub(crate) async fn check_password(
    app: &Arc<App>,
    view: &Arc<RealmView>,
    username: &str,
    password: &Secret,
    ip: &str,
    device: Option<[u8; 32]>,
) -> Result<Verdict, Unavailable> {
    // TE-15, DS-09: refused for everybody, before any look-up.
    if username.len() > MAX_NAME || username.contains('\0') || password.expose().len() > crate::password::MAX_PASSWORD {
        return Ok(Verdict::Refused);
    }
    let attempt = Attempt {
        app: Arc::clone(app),
        view: Arc::clone(view),
        username: username.to_owned(),
        password: password.clone(),
        ip: ip.to_owned(),
        now: app.now(),
    };
    tokio::spawn(attempt.judge(device)).await.map_err(|_| Unavailable)?
}

struct Attempt {
    app: Arc<App>,
    view: Arc<RealmView>,
    username: String,
    password: Secret,
    ip: String,
    now: Now,
}

impl Attempt {
    async fn judge(self, device: Option<[u8; 32]>) -> Result<Verdict, Unavailable> {
        let user = self.find_user().await?;
        let key = self.counter(user.as_ref(), device).await?;
        if !self.view.records.realm.settings.brute_force_protected {
            return self.compare(user, &key).await;
        }
        let slot = Key::new(Kind::LoginSlot, self.realm().clone(), key.0.clone());
        let in_flight = self.move_slot(&slot, 1).await?;
        let verdict = match self.standing(&key).await {
            Ok(Standing::Allowed { slots }) if in_flight <= slots => self.compare(user, &key).await,
            Ok(_) => {
                tracing::debug!("login refused: the account rests");
                Ok(Verdict::Locked)
            }
            Err(error) => Err(error),
        };
        self.move_slot(&slot, -1).await?;
        verdict
    }

    fn realm(&self) -> &RealmId {
        &self.view.records.realm.id
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

    /// By name, or by e-mail where the realm takes it (Keycloak 26.4). Service accounts have no password.
    async fn find_user(&self) -> Result<Option<User>, Unavailable> {
        let (db, realm) = (&self.app.db, self.realm());
        let settings = &self.view.records.realm.settings;
        let plain = self.username.trim().to_lowercase();
        let canonical = brute_force::canonical(&self.username);
        for name in std::iter::once(&plain).chain((canonical != plain).then_some(&canonical)) {
            let mut found = db.user_by_username(realm, name).await.map_err(|_| Unavailable)?;
            if found.is_none()
                && settings.login_with_email_allowed
                && !settings.duplicate_emails_allowed
                && name.contains('@')
            {
                found = db.user_by_email(realm, name).await.map_err(|_| Unavailable)?;
            }
            if found.is_some() {
                return Ok(found.filter(|u| u.service_account_client.is_none()));
            }
        }
        Ok(None)
    }

    /// Which row counts: the account's, that of a device it is known from, or that of a name nobody has.
    async fn counter(&self, user: Option<&User>, device: Option<[u8; 32]>) -> Result<LoginKey, Unavailable> {
        let secret = counter_secret(&self.view);
        let realm = self.realm();
        let Some(user) = user else {
            let name = brute_force::canonical(&self.username);
            return Ok(brute_force::login_key(secret, realm, Subject::Nobody(&name), None));
        };
        let account = account_key(&self.view, user);
        if let Some(device) = device
            && self.app.db.device_known(realm, &account, &device).await.map_err(|_| Unavailable)?
        {
            return Ok(brute_force::login_key(secret, realm, Subject::Account(&user.id), Some(&device)));
        }
        Ok(account)
    }

    async fn compare(&self, user: Option<User>, key: &LoginKey) -> Result<Verdict, Unavailable> {
        let (pool, realm) = (&self.app.passwords, self.realm());
        let credentials = match &user {
            Some(user) => self.app.db.credentials(realm, &user.id).await.map_err(|_| Unavailable)?,
            None => Vec::new(),
        };
        let stored = credentials.iter().filter(|c| c.kind == "password").min_by_key(|c| c.priority);
        let compared = match stored {
            Some(stored) => pool.verify(realm, stored, &self.password).await,
            None => pool.verify_nobody(realm, &self.password).await,
        };
        let compared = match compared {
            Ok(compared) => compared,
            Err(Unhashed::Busy) => return Ok(Verdict::Busy),
            Err(Unhashed::Unacceptable) => return Ok(Verdict::Refused),
        };
        match user {
            Some(user) if compared.ok && user.enabled => {
                self.succeed(&user, stored, compared, key).await?;
                let second_factor = credentials.iter().any(|c| c.kind == "otp");
                Ok(Verdict::Accepted { user: Box::new(user), second_factor })
            }
            Some(user) if compared.ok => {
                self.audit_refusal(Some(&user), "user_disabled").await?;
                Ok(Verdict::Disabled { password_ok: true })
            }
            user => {
                self.fail(user.as_ref(), key).await?;
                let disabled = user.is_some_and(|u| !u.enabled);
                Ok(if disabled { Verdict::Disabled { password_ok: false } } else { Verdict::Refused })
            }
        }
    }

    /// Forgets the failures and moves an old hash to today's parameters.
    async fn succeed(
        &self,
        user: &User,
        stored: Option<&Credential>,
        compared: Compared,
        key: &LoginKey,
    ) -> Result<(), Unavailable> {
        let (db, realm) = (&self.app.db, self.realm());
        if db.login_failures(realm, key).await.map_err(|_| Unavailable)?.is_some() {
            let plan = Plan::new(Lane::Login, vec![Write::ClearLoginFailures(realm.clone(), key.clone())]);
            db.apply(plan).await.map_err(|_| Unavailable)?;
        }
        let Some(stored) = stored.filter(|_| compared.upgrade_wanted) else { return Ok(()) };
        if let Ok(hashed) = self.app.passwords.hash(realm, &self.password).await {
            let to = Credential {
                secret_data: hashed.secret_data,
                credential_data: hashed.credential_data,
                ..stored.clone()
            };
            let write =
                Write::ReplaceCredential { realm: realm.clone(), user: user.id.clone(), from: stored.clone(), to };
            // Whoever changed the password meanwhile wins; the next login tries again.
            if let Err(error) = db.apply(Plan::new(Lane::Login, vec![write])).await {
                tracing::debug!(%error, "a password hash was not upgraded");
            }
        }
        Ok(())
    }

    /// Counts a failure and writes its audit row in one plan.
    async fn fail(&self, user: Option<&User>, key: &LoginKey) -> Result<(), Unavailable> {
        let settings = &self.view.records.realm.settings;
        let reason = if user.is_some() { "invalid_user_credentials" } else { "user_not_found" };
        if !settings.brute_force_protected {
            return self.audit_refusal(user, reason).await;
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

    async fn audit_refusal(&self, user: Option<&User>, reason: &'static str) -> Result<(), Unavailable> {
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
            details: std::collections::BTreeMap::new(),
        }
    }
}

/// The key of the rows: the oldest HMAC key of the realm, so that a key rotation forgets nothing.
fn counter_secret(view: &RealmView) -> &[u8] {
    let hmac = view.records.keys.iter().filter(|k| k.algorithm == "HS512");
    hmac.min_by_key(|k| (k.created, k.kid.clone())).map(|k| k.private.expose()).unwrap_or_default()
}

/// The row of an account itself: where devices are remembered, too.
pub(super) fn account_key(view: &RealmView, user: &User) -> LoginKey {
    brute_force::login_key(counter_secret(view), &view.records.realm.id, Subject::Account(&user.id), None)
}
