//! Users and their credentials.

pub mod name;
pub mod profile;
pub mod search;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::ids::{ClientUuid, CredentialId, GroupId, RoleId, UserId};
use crate::secret::Secret;
use crate::time::Now;

/// The one spelling under which user names and e-mails are stored and compared (Keycloak: lower case).
#[must_use]
pub fn canonical(text: &str) -> String {
    text.trim().to_lowercase()
}

/// A stored user.
#[derive(Clone, Debug)]
pub struct User {
    /// The `sub` of its tokens.
    pub id: UserId,
    /// Lower-case login name, unique in the realm.
    pub username: String,
    /// Lower-case e-mail.
    pub email: Option<String>,
    /// Grows by one with each change (roles, groups, credentials and required actions included).
    pub version: i64,
    /// Whether it may log in.
    pub enabled: bool,
    /// Tokens issued before this second are refused.
    pub not_before: i64,
    /// The client whose service account this is.
    pub service_account_client: Option<ClientUuid>,
    /// The document people edit.
    pub settings: UserSettings,
    /// Roles mapped to the user itself.
    pub roles: Vec<RoleId>,
    /// Groups it is a member of.
    pub groups: Vec<GroupId>,
}

impl User {
    /// The account under which a client acts for itself, as Keycloak 26.4 makes it: the realm's default role and no other.
    #[must_use]
    pub fn service_account(client: &Client, default_role: Option<&RoleId>, id: UserId, now: Now) -> Self {
        Self {
            id,
            username: format!("service-account-{}", client.client_id.to_lowercase()),
            email: None,
            version: 1,
            enabled: true,
            not_before: 0,
            service_account_client: Some(client.id.clone()),
            settings: UserSettings { created_timestamp: now.millis(), ..UserSettings::default() },
            roles: default_role.into_iter().cloned().collect(),
            groups: Vec::new(),
        }
    }
}

/// Keycloak's `UserRepresentation` without id, names that are columns, roles and groups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSettings {
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Whether the e-mail was proven.
    #[serde(default)]
    pub email_verified: bool,
    /// Milliseconds.
    #[serde(default)]
    pub created_timestamp: i64,
    /// Aliases of actions owed at the next login.
    #[serde(default)]
    pub required_actions: Vec<String>,
    /// Free attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Members that are kept and not acted on.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A stored credential. Password hashes are one-way; seeds of one-time passwords are sealed at rest.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// `password`, `otp`, ... (Keycloak's types).
    pub kind: String,
    /// The user's name for it.
    pub user_label: Option<String>,
    /// Milliseconds.
    pub created_date: i64,
    /// Order among the user's credentials, lowest first.
    pub priority: i64,
    /// Keycloak's `secretData` JSON (hash and salt, or seed).
    pub secret_data: Secret,
    /// Keycloak's `credentialData` JSON (algorithm, iterations, ...).
    pub credential_data: String,
}
