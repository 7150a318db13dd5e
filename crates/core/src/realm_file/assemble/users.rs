//! Users of an assembly, service accounts included.

use std::collections::HashSet;

use super::{Assembly, NewCredential, NewUser, push_new};
use crate::entropy::uuid;
use crate::ids::{ClientScopeId, ClientUuid, CredentialId, RoleId, UserId};
use crate::pending::Consent;
use crate::realm::RealmSettings;
use crate::realm_file::credentials::{FileCredential, Material};
use crate::realm_file::refusal::{Reason, Refusal};
use crate::realm_file::users::{FileConsent, FileUser};
use crate::secret::Secret;
use crate::user::{Credential, User, UserSettings};

/// Roles and groups of one user: they stand in one plan with the user's row.
const MEMBERSHIPS_MAX: usize = 900;

impl Assembly<'_> {
    /// The users of the file (no role but the listed ones), then the service accounts that it lacks.
    pub(in crate::realm_file) fn users(
        &mut self,
        users: Vec<FileUser>,
        settings: &RealmSettings,
        default_role: &RoleId,
    ) -> Result<(), Refusal> {
        let mut names = HashSet::new();
        let mut emails = HashSet::new();
        let mut ids = HashSet::new();
        for user in users {
            let place = user.place.clone();
            let refuse = |member: &str, what, name: &str| {
                let at = format!("{place}.{member}");
                Err(Refusal::at(at, Reason::Taken(what, name.to_owned())))
            };
            if !names.insert(user.username.clone()) {
                return refuse("username", "username", &user.username);
            }
            if let Some(id) = &user.id
                && !ids.insert(id.clone())
            {
                return refuse("id", "user id", id);
            }
            if let Some(email) = &user.email
                && !settings.duplicate_emails_allowed
                && !emails.insert(email.clone())
            {
                return refuse("email", "e-mail", email);
            }
            let new = self.user(user)?;
            self.users.push(new);
        }
        self.service_accounts(default_role)
    }

    fn user(&mut self, file: FileUser) -> Result<NewUser, Refusal> {
        let place = &file.place;
        let roles = self.named_roles(place, &file.realm_roles, &file.client_roles)?;
        let mut groups = Vec::new();
        for (i, path) in file.groups.iter().enumerate() {
            push_new(&mut groups, self.group(&format!("{place}.groups[{i}]"), path)?);
        }
        if roles.len() + groups.len() > MEMBERSHIPS_MAX {
            return Err(Refusal::at(place, Reason::TooMany("roles and groups")));
        }
        let service_account_client = match &file.service_account_of {
            None => None,
            Some(client_id) => Some(self.client_uuid(client_id).ok_or_else(|| {
                let at = format!("{place}.serviceAccountClientId");
                Refusal::at(at, Reason::Unknown("client", client_id.clone()))
            })?),
        };
        let created_timestamp = file.created.unwrap_or(0);
        let credentials =
            file.credentials.into_iter().enumerate().map(|(i, credential)| self.credential(i, credential)).collect();
        let id = UserId::new(self.id(file.id.as_ref()));
        let consents = self.consents(&id, file.consents)?;
        Ok(NewUser {
            user: User {
                id,
                username: file.username,
                email: file.email,
                version: 1,
                enabled: file.enabled,
                not_before: file.not_before,
                service_account_client,
                settings: UserSettings { created_timestamp, ..file.settings },
                roles,
                groups,
            },
            credentials,
            consents,
        })
    }

    /// Names of scopes become ids; what a client asks for itself goes by the client's name. Unknown names are refused, as in Keycloak
    /// 26.4: an import that forgets what people allowed would ask them all again.
    fn consents(&self, user: &UserId, file: Vec<FileConsent>) -> Result<Vec<Consent>, Refusal> {
        let mut out: Vec<Consent> = Vec::new();
        for consent in file {
            let FileConsent { place, client_id, scopes, created, updated } = consent;
            let refuse = |member: &str, reason| Err(Refusal::at(format!("{place}.{member}"), reason));
            let Some(client) = self.client_uuid(&client_id) else {
                return refuse("clientId", Reason::Unknown("client", client_id));
            };
            if out.iter().any(|known| known.client == client) {
                return refuse("clientId", Reason::Taken("consent of client", client_id));
            }
            let mut ids: Vec<ClientScopeId> = Vec::new();
            for name in scopes {
                let scope = self.scope_index.get(&name).and_then(|i| self.scopes.get(*i)).map(|scope| scope.id.clone());
                let own = || self.client_uuid(&name).map(|id| ClientScopeId::new(id.as_str()));
                match scope.or_else(own) {
                    Some(id) => push_new(&mut ids, id),
                    None => return refuse("grantedClientScopes", Reason::Unknown("client scope", name)),
                }
            }
            let created = created.unwrap_or_else(|| self.now.millis());
            let updated = updated.unwrap_or(created);
            out.push(Consent { user: user.clone(), client, scopes: ids, created, updated });
        }
        Ok(out)
    }

    fn credential(&self, index: usize, file: FileCredential) -> NewCredential {
        let order = i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1);
        let mut credential = Credential {
            id: CredentialId::new(self.id(file.id.as_ref())),
            kind: file.kind,
            user_label: file.user_label,
            created_date: file.created.unwrap_or_else(|| self.now.millis()),
            priority: file.priority.unwrap_or(order.saturating_mul(10)),
            secret_data: Secret::default(),
            credential_data: String::new(),
        };
        match file.material {
            Material::Plain(password) => NewCredential::Plain(credential, password),
            Material::Stored(secret, data) => {
                credential.secret_data = secret;
                credential.credential_data = data;
                NewCredential::Stored(credential)
            }
        }
    }

    /// Keycloak 26.4: the account that the server makes itself brings the scope `service_account`; a listed one does not.
    fn service_accounts(&mut self, default_role: &RoleId) -> Result<(), Refusal> {
        let listed: HashSet<ClientUuid> =
            self.users.iter().filter_map(|u| u.user.service_account_client.clone()).collect();
        let scope = self.scope_index.get("service_account").and_then(|i| self.scopes.get(*i)).map(|s| s.id.clone());
        let mut accounts = Vec::new();
        for client in &mut self.clients {
            if client.settings.service_accounts_enabled && !listed.contains(&client.id) {
                if let Some(scope) = &scope {
                    push_new(&mut client.default_scopes, scope.clone());
                }
                let id = UserId::new(uuid(self.entropy));
                accounts.push(User::service_account(client, Some(default_role), id, self.now));
            }
        }
        for user in accounts {
            if self.users.iter().any(|u| u.user.username == user.username) {
                return Err(Refusal::at("users", Reason::Taken("username", user.username)));
            }
            self.users.push(NewUser { user, credentials: Vec::new(), consents: Vec::new() });
        }
        Ok(())
    }
}
