//! The one place where a password is compared: login page, password grant and account share its counter (EN-07).
//!
//! Order (EN-06, EN-13): place -> slot -> row -> standing -> hash -> failure row and audit, or success -> counts of the place. Where a second factor is owed a right
//! password forgets no failures: else whoever knows it could guess codes without end (MF-05).

use std::sync::Arc;

use portcullis_core::login::brute_force::{self, MAX_NAME};
use portcullis_core::login::one_time_code;
use portcullis_core::plan::{Lane, LoginKey, Plan, Write};
use portcullis_core::secret::Secret;
use portcullis_core::user::{Credential, User};
use tracing::Instrument as _;

use super::counter::Counter;
use super::spray::Spray;
use crate::password::{Unhashed, Verdict as Compared};
use crate::state::{App, RealmView, Unavailable};
use crate::watch::Login;

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
    /// Too many failures from this place, whatever the account: nothing was compared (EN-13).
    PlaceRests,
    /// The account is switched off.
    Disabled {
        /// Whether the password was right; nothing else may be shown where it was not.
        password_ok: bool,
    },
    /// No thread was free in time: 503, nothing was compared or counted.
    Busy,
}

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
    let attempt =
        Attempt { counter: Counter::new(app, view, ip), username: username.to_owned(), password: password.clone() };
    let verdict = tokio::spawn(attempt.judge(device).in_current_span()).await.map_err(|_| Unavailable)??;
    let counted = match &verdict {
        Verdict::Accepted { .. } => Login::Accepted,
        Verdict::Refused => Login::Refused,
        Verdict::Locked => Login::Rests,
        Verdict::PlaceRests => Login::PlaceRests,
        Verdict::Disabled { .. } => Login::Disabled,
        Verdict::Busy => Login::Busy,
    };
    app.watch.figures.of(Some(&view.records.realm.name)).compared(counted);
    Ok(verdict)
}

struct Attempt {
    counter: Counter,
    username: String,
    password: Secret,
}

impl Attempt {
    async fn judge(self, device: Option<[u8; 32]>) -> Result<Verdict, Unavailable> {
        let user = self.find_user().await?;
        let (key, known_device) = match &user {
            Some(user) => self.counter.of_account(user, device).await?,
            None => (self.counter.of_nobody(&self.username), false),
        };
        let spray = Spray::of(&self.counter, known_device);
        if let Some(spray) = &spray
            && spray.rests(&self.counter).await?
        {
            return Ok(Verdict::PlaceRests);
        }
        let verdict = self.counter.guarded(&key, self.compare(user, &key)).await?;
        match (&spray, &verdict) {
            (Some(spray), Some(Verdict::Accepted { user, .. })) => spray.right(&self.counter, user).await?,
            (Some(spray), Some(Verdict::Refused | Verdict::Disabled { .. })) => spray.wrong(&self.counter).await?,
            (None, _) | (_, None | Some(Verdict::Locked | Verdict::PlaceRests | Verdict::Busy)) => {}
        }
        Ok(verdict.unwrap_or(Verdict::Locked))
    }

    /// By name, or by e-mail where the realm takes it (Keycloak 26.4). Service accounts have no password.
    async fn find_user(&self) -> Result<Option<User>, Unavailable> {
        let (db, realm) = (&self.counter.app.db, self.counter.realm());
        let settings = &self.counter.view.records.realm.settings;
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

    async fn compare(&self, user: Option<User>, key: &LoginKey) -> Result<Verdict, Unavailable> {
        let (pool, realm) = (&self.counter.app.passwords, self.counter.realm());
        let credentials = match &user {
            Some(user) => self.counter.app.db.credentials(realm, &user.id).await.map_err(|_| Unavailable)?,
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
                let second_factor = one_time_code::is_owed(&credentials);
                if !second_factor {
                    self.counter.forget(key).await?;
                }
                self.upgrade(&user, stored, compared).await;
                Ok(Verdict::Accepted { user: Box::new(user), second_factor })
            }
            Some(user) if compared.ok => {
                self.counter.audit(Some(&user), "user_disabled").await?;
                Ok(Verdict::Disabled { password_ok: true })
            }
            user => {
                let reason = if user.is_some() { "invalid_user_credentials" } else { "user_not_found" };
                self.counter.fail(user.as_ref(), key, reason).await?;
                let disabled = user.is_some_and(|u| !u.enabled);
                Ok(if disabled { Verdict::Disabled { password_ok: false } } else { Verdict::Refused })
            }
        }
    }

    /// Moves an old hash to today's parameters.
    async fn upgrade(&self, user: &User, stored: Option<&Credential>, compared: Compared) {
        let (app, realm) = (&self.counter.app, self.counter.realm());
        let Some(stored) = stored.filter(|_| compared.upgrade_wanted) else { return };
        if let Ok(hashed) = app.passwords.hash(realm, &self.password).await {
            let to = Credential {
                secret_data: hashed.secret_data,
                credential_data: hashed.credential_data,
                ..stored.clone()
            };
            let write =
                Write::ReplaceCredential { realm: realm.clone(), user: user.id.clone(), from: stored.clone(), to };
            // Whoever changed the password meanwhile wins; the next login tries again.
            if let Err(error) = app.db.apply(Plan::new(Lane::Login, vec![write])).await {
                tracing::debug!(%error, "a password hash was not upgraded");
            }
        }
    }
}
