//! When an account rests after wrong passwords (Keycloak's settings; counted before anything is hashed, EN-06).
//!
//! One row per account, or per name that nobody has: known and unknown names count alike (EN-01), and all spellings of
//! one account count together (EN-08). A device from which the account logged in before has a row of its own, so that a
//! stranger cannot lock its owner out (EN-09, P-21).

use portcullis_jose::digest::{base64url_encode, hmac_sha256};
use unicode_normalization::UnicodeNormalization;

use crate::ids::{RealmId, UserId};
use crate::plan::{LoginFailures, LoginKey};
use crate::realm::RealmSettings;
use crate::time::Now;

/// Longest login name that is looked at, bytes.
pub const MAX_NAME: usize = 255;

/// The one spelling of a login name: NFKC, lower case, without blanks around (EN-08).
#[must_use]
pub fn canonical(name: &str) -> String {
    let lower: String = name.trim().nfkc().flat_map(char::to_lowercase).collect();
    lower.nfkc().collect::<String>().trim().to_owned()
}

/// Whose failures are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject<'a> {
    /// An account, by whatever name it was called.
    Account(&'a UserId),
    /// A name that nobody has, in [`canonical`] form.
    Nobody(&'a str),
}

/// The row's key. `device` is the hash of a device that the account is known from.
#[must_use]
pub fn login_key(secret: &[u8], realm: &RealmId, subject: Subject<'_>, device: Option<&[u8; 32]>) -> LoginKey {
    let (kind, name) = match subject {
        Subject::Account(user) => ("account", user.as_str()),
        Subject::Nobody(name) => ("name", name),
    };
    let mut text = format!("login\0{realm}\0{kind}\0{name}\0").into_bytes();
    if let Some(device) = device {
        text.extend_from_slice(device);
    }
    LoginKey(base64url_encode(&hmac_sha256(secret, &text)))
}

/// Whether a password may be compared now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Yes, while no more than `slots` attempts (this one included) are in flight.
    Allowed {
        /// Failures left before the next rest.
        slots: i64,
    },
    /// No: every password is refused unseen, the right one too (EN-14).
    Locked,
}

/// A lock that only an administrator ends.
const FOREVER: i64 = i64::MAX;

/// Attempts in flight where the realm sets no limit.
const UNLIMITED: i64 = i64::MAX;

/// The standing of a row.
#[must_use]
pub fn standing(row: Option<&LoginFailures>, settings: &RealmSettings, now: Now) -> Standing {
    if !settings.brute_force_protected {
        return Standing::Allowed { slots: UNLIMITED };
    }
    let factor = settings.failure_factor.max(1);
    let Some(row) = row else { return Standing::Allowed { slots: factor } };
    if row.not_before > now.secs() {
        return Standing::Locked;
    }
    if is_stale(row, settings, now) {
        return Standing::Allowed { slots: factor };
    }
    // After a rest the next failure begins another one: Keycloak's wait grows with each further factor.
    let slots = factor - row.failures.rem_euclid(factor);
    Standing::Allowed { slots }
}

/// The row after one more failure.
#[must_use]
pub fn failed(
    row: Option<LoginFailures>,
    whose: (LoginKey, Option<UserId>),
    settings: &RealmSettings,
    ip: &str,
    now: Now,
) -> LoginFailures {
    let (key, user) = whose;
    let mut row = row.unwrap_or(LoginFailures {
        key,
        user: None,
        failures: 0,
        temporary_lockouts: 0,
        not_before: 0,
        last_failure: 0,
        last_ip: String::new(),
        version: 0,
    });
    if is_stale(&row, settings, now) {
        row.failures = 0;
    }
    let since_last = (row.last_failure > 0).then(|| now.millis() - row.last_failure);
    row.user = user;
    row.failures += 1;
    row.version += 1;
    row.last_failure = now.millis();
    row.last_ip = ip.to_owned();
    if !settings.brute_force_protected {
        return row;
    }
    let rest = rest_after(&row, since_last, settings);
    match rest {
        Rest::None => {}
        Rest::Seconds(seconds) => {
            row.not_before = row.not_before.max(now.secs() + seconds);
            row.temporary_lockouts += i64::from(row.failures >= settings.failure_factor);
        }
        Rest::Forever => row.not_before = FOREVER,
    }
    row
}

enum Rest {
    None,
    Seconds(i64),
    Forever,
}

/// Keycloak 26.4 `DefaultBruteForceProtector` with the strategy MULTIPLE.
fn rest_after(row: &LoginFailures, since_last: Option<i64>, settings: &RealmSettings) -> Rest {
    let factor = settings.failure_factor.max(1);
    let reached = row.failures >= factor;
    if settings.permanent_lockout && reached && row.temporary_lockouts >= settings.max_temporary_lockouts {
        return Rest::Forever;
    }
    let mut wait = settings.wait_increment_seconds.max(0).saturating_mul(row.failures / factor);
    // At the limit itself an account always rests, however the increment is set.
    if row.failures % factor == 0 {
        wait = wait.max(1);
    } else if wait > 0 {
        wait = 0;
    }
    let quick = since_last.is_some_and(|ms| ms < settings.quick_login_check_milli_seconds);
    if wait == 0 && quick {
        wait = settings.minimum_quick_login_wait_seconds.max(0);
    }
    match wait.min(settings.max_failure_wait_seconds.max(1)) {
        0 => Rest::None,
        seconds => Rest::Seconds(seconds),
    }
}

/// Failures older than `maxDeltaTimeSeconds` are forgotten.
fn is_stale(row: &LoginFailures, settings: &RealmSettings, now: Now) -> bool {
    let age = now.millis() - row.last_failure;
    row.not_before != FOREVER && row.last_failure > 0 && age > settings.max_delta_time_seconds.saturating_mul(1000)
}

#[cfg(test)]
mod tests;
