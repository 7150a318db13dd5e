//! One-time codes of an authenticator: HOTP (RFC 4226) and TOTP (RFC 6238), with Keycloak's credentials and settings.
//!
//! **Owns** the arithmetic, the window, and what a used code writes, so that none is taken twice (MF-03).
//! **Does not own** brute force ([`super::brute_force`]), pages, storage.
//! **Flow** the user's credentials -> [`choose`] -> [`judge`] -> the writes of a right code.

mod base32;
mod enrol;
mod policy;

pub use enrol::{NewDevice, Terms, enrol, new_seed, uri};
pub use policy::Policy;

use portcullis_jose::digest::{self, MacHash};
use serde_json::{Map, Value};

use crate::ids::UserId;
use crate::pending::SpentKind;
use crate::plan::Write;
use crate::realm::{Profile, Realm};
use crate::secret::SecretBytes;
use crate::user::Credential;

/// Keycloak's type of such credentials.
pub const KIND: &str = "otp";

/// Most steps that are tried, whatever a realm says.
const MAX_WINDOW: i64 = 100;

/// Steps to either side in a strict realm (RFC 6238 §5.2; MF-04).
const STRICT_WINDOW: i64 = 1;

/// What moves from one code to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubType {
    /// The clock: a step of so many seconds.
    Totp {
        /// Seconds of a step.
        period: i64,
    },
    /// A counter: the next code's.
    Hotp {
        /// The lowest counter that is still taken.
        counter: i64,
    },
}

/// A generator of codes: what a credential says.
#[derive(Clone, Debug)]
pub struct Generator {
    /// What moves it.
    pub sub_type: SubType,
    hash: MacHash,
    digits: u32,
    seed: SecretBytes,
}

impl Generator {
    /// The generator of a stored device. `None` where it makes no codes: such a device fails closed.
    #[must_use]
    pub fn read(credential: &Credential) -> Option<Self> {
        Self::parse(credential.secret_data.expose(), &credential.credential_data)
    }

    /// Reads Keycloak's `secretData` and `credentialData`.
    #[must_use]
    pub fn parse(secret_data: &str, credential_data: &str) -> Option<Self> {
        let secret: Value = serde_json::from_str(secret_data).ok()?;
        let data: Map<String, Value> = serde_json::from_str(credential_data).ok()?;
        let seed = secret.get("value").and_then(Value::as_str).filter(|seed| !seed.is_empty())?;
        let seed = match data.get("secretEncoding").and_then(Value::as_str) {
            Some("BASE32") => base32::decode(seed)?,
            Some(_) => return None,
            None => seed.as_bytes().to_vec(),
        };
        let number = |name: &str, default: i64| data.get(name).map_or(Some(default), Value::as_i64);
        let sub_type = match data.get("subType").and_then(Value::as_str) {
            None | Some("totp") => SubType::Totp { period: number("period", 30).filter(|p| (1..=3600).contains(p))? },
            Some("hotp") => SubType::Hotp { counter: number("counter", 0).filter(|c| *c >= 0)? },
            Some(_) => return None,
        };
        let hash = hash_named(data.get("algorithm").map_or(Some("HmacSHA1"), Value::as_str)?)?;
        let digits = u32::try_from(number("digits", 6)?).ok().filter(|n| matches!(n, 6 | 8))?;
        Some(Self { sub_type, hash, digits, seed: SecretBytes::new(seed) })
    }

    /// The code of a moving factor (RFC 4226 §5.3).
    #[must_use]
    pub fn code(&self, factor: i64) -> String {
        let mac = digest::hmac(self.hash, self.seed.expose(), &factor.to_be_bytes());
        let at = usize::from(mac.last().copied().unwrap_or(0) & 0x0f);
        let word = mac.get(at..at + 4).unwrap_or_default();
        let number = word.iter().fold(0_u32, |n, byte| (n << 8) | u32::from(*byte)) & 0x7fff_ffff;
        let width = usize::try_from(self.digits).unwrap_or(6);
        format!("{:0width$}", number % 10_u32.pow(self.digits))
    }

    /// The lowest factor of the window whose code it is. All of them are tried and compared in constant time (MF-12).
    fn find(&self, code: &str, window: std::ops::RangeInclusive<i64>) -> Option<i64> {
        window.fold(None, |found, factor| {
            let same = digest::constant_time_eq(self.code(factor).as_bytes(), code.as_bytes());
            found.or(same.then_some(factor))
        })
    }
}

/// Java's names, as Keycloak writes them.
fn hash_named(name: &str) -> Option<MacHash> {
    match name {
        "HmacSHA1" => Some(MacHash::Sha1),
        "HmacSHA256" => Some(MacHash::Sha256),
        "HmacSHA512" => Some(MacHash::Sha512),
        _ => None,
    }
}

/// Whether the account has a second factor. One that makes no codes counts too: it is never jumped over (MF-15).
#[must_use]
pub fn is_owed(credentials: &[Credential]) -> bool {
    credentials.iter().any(|c| c.kind == KIND)
}

/// The user's devices, in its order.
pub fn devices(credentials: &[Credential]) -> impl Iterator<Item = &Credential> {
    credentials.iter().filter(|c| c.kind == KIND)
}

/// The device that a form chose among the user's own, else the first one (Keycloak's default credential).
#[must_use]
pub fn choose<'a>(credentials: &'a [Credential], selected: Option<&str>) -> Option<&'a Credential> {
    let mut own = devices(credentials);
    match selected.filter(|id| !id.is_empty()) {
        Some(id) => own.find(|c| c.id.as_str() == id),
        None => own.next(),
    }
}

/// What a right code writes, so that it is taken once; `None` for a wrong one. `now` in seconds.
#[must_use]
pub fn judge(realm: &Realm, user: &UserId, credential: &Credential, code: &str, now: i64) -> Option<Vec<Write>> {
    let generator = Generator::read(credential)?;
    let strict = realm.profile() == Profile::Strict;
    let policy = &realm.settings.otp;
    let window = policy.look_ahead_window.clamp(0, if strict { STRICT_WINDOW } else { MAX_WINDOW });
    match generator.sub_type {
        SubType::Totp { period } => {
            let present = now.div_euclid(period);
            let step = generator.find(code, present - window..=present + window)?;
            if policy.is_reusable(realm) {
                return Some(Vec::new());
            }
            // RFC 6238 §5.2: a step is spent; the mark stands until the step has left every window.
            let mark = format!("{}\0{step}", credential.id);
            Some(vec![Write::Spend {
                realm: realm.id.clone(),
                kind: SpentKind::OneTimeCode,
                hash: digest::sha256(mark.as_bytes()),
                expires_at: (step + window + 1).saturating_mul(period),
            }])
        }
        SubType::Hotp { counter } => {
            let used = generator.find(code, counter..=counter.checked_add(window)?)?;
            // RFC 4226 §7.2: the counter moves past it; the store compares the one that was loaded.
            let to = with_counter(credential, used.checked_add(1)?)?;
            let (realm, user) = (realm.id.clone(), user.clone());
            Some(vec![Write::ReplaceCredential { realm, user, from: credential.clone(), to }])
        }
    }
}

fn with_counter(credential: &Credential, counter: i64) -> Option<Credential> {
    let mut data: Map<String, Value> = serde_json::from_str(&credential.credential_data).ok()?;
    data.insert("counter".to_owned(), counter.into());
    Some(Credential { credential_data: Value::Object(data).to_string(), ..credential.clone() })
}

#[cfg(test)]
mod tests;
