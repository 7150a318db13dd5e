//! Users of a realm file.

use serde_json::Map;

use super::credentials::FileCredential;
use super::members;
use super::reader::Obj;
use super::refusal::{Reason, Refusal};
use super::roles::{ClientRoleNames, client_roles};
use crate::user::profile::too_many;
use crate::user::{UserSettings, canonical};

pub(super) const COLUMN_MAX: usize = 255;

/// One user of the file.
pub(super) struct FileUser {
    pub(super) place: String,
    pub(super) id: Option<String>,
    pub(super) username: String,
    pub(super) email: Option<String>,
    pub(super) enabled: bool,
    pub(super) not_before: i64,
    pub(super) created: Option<i64>,
    pub(super) service_account_of: Option<String>,
    pub(super) settings: UserSettings,
    pub(super) realm_roles: Vec<String>,
    pub(super) client_roles: ClientRoleNames,
    pub(super) groups: Vec<String>,
    pub(super) credentials: Vec<FileCredential>,
    pub(super) consents: Vec<FileConsent>,
}

/// What a user allowed a client.
pub(super) struct FileConsent {
    pub(super) place: String,
    pub(super) client_id: String,
    pub(super) scopes: Vec<String>,
    pub(super) created: Option<i64>,
    pub(super) updated: Option<i64>,
}

impl FileConsent {
    fn list(user: &mut Obj) -> Result<Vec<Self>, Refusal> {
        user.objects("clientConsents")?.unwrap_or_default().into_iter().map(Self::read).collect()
    }

    /// `grantedRealmRoles` are of the time before client scopes: not looked at.
    fn read(mut obj: Obj) -> Result<Self, Refusal> {
        obj.only(members::CONSENT, "UserConsentRepresentation")?;
        Ok(Self {
            place: obj.place.clone(),
            client_id: obj.text("clientId")?.ok_or_else(|| obj.refuse("clientId", Reason::Missing("clientId")))?,
            scopes: obj.texts("grantedClientScopes")?.unwrap_or_default(),
            created: obj.number("createdDate")?,
            updated: obj.number("lastUpdatedDate")?,
        })
    }
}

impl FileUser {
    pub(super) fn list(file: &mut Obj) -> Result<Vec<Self>, Refusal> {
        file.objects("users")?.unwrap_or_default().into_iter().map(Self::read).collect()
    }

    fn read(mut obj: Obj) -> Result<Self, Refusal> {
        obj.only(members::USER, "UserRepresentation")?;
        let email = obj.text("email")?.map(|e| canonical(&e)).filter(|e| !e.is_empty());
        let username = match obj.text("username")?.map(|n| canonical(&n)) {
            Some(name) if !name.is_empty() => name,
            Some(_) | None => email.clone().ok_or_else(|| obj.refuse("username", Reason::Missing("username")))?,
        };
        for (member, text) in [("username", Some(&username)), ("email", email.as_ref())] {
            if text.is_some_and(|t| t.chars().count() > COLUMN_MAX || t.contains('\0')) {
                let cause = format!("longer than {COLUMN_MAX} characters, or with NUL");
                return Err(obj.refuse(member, Reason::NotAllowed(cause)));
            }
        }
        let credentials = FileCredential::list(&mut obj)?;
        let consents = FileConsent::list(&mut obj)?;
        let mut user = Self {
            place: obj.place.clone(),
            id: obj.text("id")?,
            username,
            email,
            enabled: obj.flag("enabled")?.unwrap_or(false),
            not_before: obj.number("notBefore")?.unwrap_or(0),
            created: obj.number("createdTimestamp")?,
            service_account_of: obj.text("serviceAccountClientId")?,
            realm_roles: obj.texts("realmRoles")?.unwrap_or_default(),
            client_roles: client_roles(&mut obj, "clientRoles")?,
            groups: obj.texts("groups")?.unwrap_or_default(),
            settings: UserSettings {
                first_name: obj.text("firstName")?,
                last_name: obj.text("lastName")?,
                email_verified: obj.flag("emailVerified")?.unwrap_or(false),
                created_timestamp: 0,
                required_actions: obj.texts("requiredActions")?.unwrap_or_default(),
                attributes: obj.texts_map("attributes")?.unwrap_or_default(),
                other: Map::new(),
            },
            credentials,
            consents,
        };
        user.limits(&obj)?;
        user.temporary_password();
        let mut other = obj.rest();
        for name in members::USER_COMPUTED {
            other.shift_remove(*name);
        }
        other.retain(|_, value| !value.is_null());
        user.settings.other = other;
        Ok(user)
    }

    fn limits(&self, obj: &Obj) -> Result<(), Refusal> {
        if too_many(&self.settings.attributes) {
            return Err(obj.refuse("attributes", Reason::TooMany("attribute values")));
        }
        Ok(())
    }

    fn temporary_password(&mut self) {
        let alias = "UPDATE_PASSWORD";
        let owed = self.credentials.iter().any(FileCredential::is_temporary);
        if owed && !self.settings.required_actions.iter().any(|a| a == alias) {
            self.settings.required_actions.push(alias.to_owned());
        }
    }
}
