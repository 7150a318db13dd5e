//! A realm's settings: what login and tokens act on, and every other member kept as it came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{GroupId, RealmId, RoleId};

/// Realm attribute that chooses the profile (absent: `keycloak`).
pub const PROFILE_ATTRIBUTE: &str = "portcullis.profile";

/// The two visible profiles (architecture: what is allowed, never how a refusal is written).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// The wire as recorded from Keycloak 26.4.2.
    Keycloak,
    /// RFC 9700: exact redirect URIs, PKCE for all, rotation for public clients, no password grant, no implicit flow.
    Strict,
}

/// A stored realm.
#[derive(Clone, Debug)]
pub struct Realm {
    /// Its id.
    pub id: RealmId,
    /// Its name: the path segment.
    pub name: String,
    /// Grows by one with each change of `settings`.
    pub version: i64,
    /// Whether all of it stands (an import flips `Filling` to `Ready`, a removal to `Emptying`, each by one row).
    pub state: RealmState,
    /// The composite role that new users get (`default-roles-NAME`).
    pub default_role: Option<RoleId>,
    /// Groups that new users join.
    pub default_groups: Vec<GroupId>,
    /// The document people edit.
    pub settings: RealmSettings,
}

/// Whether a realm may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RealmState {
    /// Being imported: invisible.
    Filling,
    /// In use.
    Ready,
    /// Being removed: invisible.
    Emptying,
}

impl RealmState {
    /// The stored number.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Filling => 0,
            Self::Ready => 1,
            Self::Emptying => 2,
        }
    }

    /// From the stored number; an unknown one is `Emptying` (unusable).
    #[must_use]
    pub const fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Filling,
            1 => Self::Ready,
            _ => Self::Emptying,
        }
    }
}

impl Realm {
    /// The profile in force.
    #[must_use]
    pub fn profile(&self) -> Profile {
        match self.settings.attributes.get(PROFILE_ATTRIBUTE).map(String::as_str) {
            Some("strict") => Profile::Strict,
            _ => Profile::Keycloak,
        }
    }
}

macro_rules! defaults {
    ($($name:ident: $type:ty = $value:expr;)+) => {$(
        const fn $name() -> $type {
            $value
        }
    )+};
}

defaults! {
    yes: bool = true;
    access_token: i64 = 300;
    implicit: i64 = 900;
    sso_idle: i64 = 1800;
    sso_max: i64 = 36_000;
    offline_idle: i64 = 2_592_000;
    offline_max: i64 = 5_184_000;
    code: i64 = 60;
    user_action: i64 = 300;
    login: i64 = 1800;
    failure_factor: i64 = 30;
    wait_increment: i64 = 60;
    quick_check: i64 = 1000;
    quick_wait: i64 = 60;
    max_wait: i64 = 900;
    max_delta: i64 = 43_200;
}

fn external() -> String {
    "external".to_owned()
}

fn rs256() -> String {
    "RS256".to_owned()
}

/// Keycloak's `RealmRepresentation` without its collections. Lifetimes in seconds. Defaults are those of a new realm (Keycloak 26.4).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are Keycloak's, documented in its RealmRepresentation")]
pub struct RealmSettings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name_html: Option<String>,
    #[serde(default)]
    pub not_before: i64,
    #[serde(default = "rs256")]
    pub default_signature_algorithm: String,
    #[serde(default)]
    pub revoke_refresh_token: bool,
    #[serde(default)]
    pub refresh_token_max_reuse: i64,
    #[serde(default = "access_token")]
    pub access_token_lifespan: i64,
    #[serde(default = "implicit")]
    pub access_token_lifespan_for_implicit_flow: i64,
    #[serde(default = "sso_idle")]
    pub sso_session_idle_timeout: i64,
    #[serde(default = "sso_max")]
    pub sso_session_max_lifespan: i64,
    #[serde(default)]
    pub sso_session_idle_timeout_remember_me: i64,
    #[serde(default)]
    pub sso_session_max_lifespan_remember_me: i64,
    #[serde(default = "offline_idle")]
    pub offline_session_idle_timeout: i64,
    #[serde(default)]
    pub offline_session_max_lifespan_enabled: bool,
    #[serde(default = "offline_max")]
    pub offline_session_max_lifespan: i64,
    #[serde(default)]
    pub client_session_idle_timeout: i64,
    #[serde(default)]
    pub client_session_max_lifespan: i64,
    #[serde(default)]
    pub client_offline_session_idle_timeout: i64,
    #[serde(default)]
    pub client_offline_session_max_lifespan: i64,
    #[serde(default = "code")]
    pub access_code_lifespan: i64,
    #[serde(default = "user_action")]
    pub access_code_lifespan_user_action: i64,
    #[serde(default = "login")]
    pub access_code_lifespan_login: i64,
    #[serde(default)]
    pub enabled: bool,
    #[serde(default = "external")]
    pub ssl_required: String,
    #[serde(default)]
    pub registration_allowed: bool,
    #[serde(default)]
    pub registration_email_as_username: bool,
    #[serde(default)]
    pub remember_me: bool,
    #[serde(default)]
    pub verify_email: bool,
    #[serde(default = "yes")]
    pub login_with_email_allowed: bool,
    #[serde(default)]
    pub duplicate_emails_allowed: bool,
    #[serde(default)]
    pub reset_password_allowed: bool,
    #[serde(default)]
    pub edit_username_allowed: bool,
    #[serde(default)]
    pub brute_force_protected: bool,
    #[serde(default)]
    pub permanent_lockout: bool,
    #[serde(default)]
    pub max_temporary_lockouts: i64,
    #[serde(default = "max_wait")]
    pub max_failure_wait_seconds: i64,
    #[serde(default = "quick_wait")]
    pub minimum_quick_login_wait_seconds: i64,
    #[serde(default = "wait_increment")]
    pub wait_increment_seconds: i64,
    #[serde(default = "quick_check")]
    pub quick_login_check_milli_seconds: i64,
    #[serde(default = "max_delta")]
    pub max_delta_time_seconds: i64,
    #[serde(default = "failure_factor")]
    pub failure_factor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_policy: Option<String>,
    #[serde(flatten)]
    pub otp: crate::login::one_time_code::Policy,
    #[serde(default)]
    pub browser_security_headers: BTreeMap<String, String>,
    #[serde(default)]
    pub events_enabled: bool,
    #[serde(default)]
    pub internationalization_enabled: bool,
    #[serde(default)]
    pub supported_locales: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_locale: Option<String>,
    /// Required actions the realm knows: alias, enabled, default action (Keycloak's `requiredActions`).
    #[serde(default)]
    pub required_actions: Vec<RequiredActionProvider>,
    /// `attributes`, values as text.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Members that are kept and not acted on.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One entry of the realm's `requiredActions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequiredActionProvider {
    /// For example `UPDATE_PASSWORD`.
    pub alias: String,
    /// Whether it is used at all.
    #[serde(default)]
    pub enabled: bool,
    /// Whether new users get it.
    #[serde(default)]
    pub default_action: bool,
    /// Other members, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
