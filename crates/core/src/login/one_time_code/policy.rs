//! A realm's settings for one-time codes (Keycloak's `otpPolicy*`).

use serde::{Deserialize, Serialize};

use crate::realm::{Profile, Realm};

/// Keycloak's realm attribute behind `otpPolicyCodeReusable`.
const REUSABLE_ATTRIBUTE: &str = "realmReusableOtpCode";

const fn window() -> i64 {
    1
}

const fn digits() -> i64 {
    6
}

const fn period() -> i64 {
    30
}

fn totp() -> String {
    "totp".to_owned()
}

fn sha1() -> String {
    "HmacSHA1".to_owned()
}

/// What new devices get, and how far a code may be off. Defaults are those of a new realm (Keycloak 26.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// `totp` or `hotp`.
    #[serde(rename = "otpPolicyType", default = "totp")]
    pub kind: String,
    /// `HmacSHA1`, `HmacSHA256` or `HmacSHA512`.
    #[serde(rename = "otpPolicyAlgorithm", default = "sha1")]
    pub algorithm: String,
    /// Where a new HOTP device begins.
    #[serde(rename = "otpPolicyInitialCounter", default)]
    pub initial_counter: i64,
    /// 6 or 8.
    #[serde(rename = "otpPolicyDigits", default = "digits")]
    pub digits: i64,
    /// Steps to either side of the clock, or counters ahead.
    #[serde(rename = "otpPolicyLookAheadWindow", default = "window")]
    pub look_ahead_window: i64,
    /// Seconds of a step.
    #[serde(rename = "otpPolicyPeriod", default = "period")]
    pub period: i64,
    /// Whether a TOTP may be used again within its window.
    #[serde(rename = "otpPolicyCodeReusable", default)]
    pub code_reusable: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            kind: totp(),
            algorithm: sha1(),
            initial_counter: 0,
            digits: digits(),
            look_ahead_window: window(),
            period: period(),
            code_reusable: false,
        }
    }
}

impl Policy {
    /// Whether a TOTP may be used again: never in a strict realm (MF-03).
    #[must_use]
    pub fn is_reusable(&self, realm: &Realm) -> bool {
        let attribute = realm.settings.attributes.get(REUSABLE_ATTRIBUTE).is_some_and(|v| v == "true");
        realm.profile() == Profile::Keycloak && (self.code_reusable || attribute)
    }
}
