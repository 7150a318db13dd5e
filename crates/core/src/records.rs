//! What is loaded for a decision: one immutable picture of a realm's configuration.

use std::collections::HashMap;

use crate::client::Client;
use crate::group::Groups;
use crate::ids::{ClientScopeId, ClientUuid};
use crate::key::RealmKey;
use crate::realm::Realm;
use crate::role::Roles;
use crate::scope::ClientScope;
use crate::user::profile::UserProfile;

/// A realm with everything but its users and sessions. Shared and never changed; a change of the realm makes a new one.
#[derive(Debug)]
pub struct RealmRecords {
    /// The realm itself.
    pub realm: Realm,
    /// Its client scopes.
    pub scopes: HashMap<ClientScopeId, ClientScope>,
    /// Its roles.
    pub roles: Roles,
    /// Its groups.
    pub groups: Groups,
    /// Its keys, any status.
    pub keys: Vec<RealmKey>,
    /// What its users' profiles must look like.
    pub profile: UserProfile,
    clients: HashMap<String, Client>,
    client_names: HashMap<ClientUuid, String>,
}

impl RealmRecords {
    /// From the stored rows.
    #[must_use]
    pub fn new(
        realm: Realm,
        scopes: Vec<ClientScope>,
        roles: Roles,
        groups: Groups,
        keys: Vec<RealmKey>,
        clients: Vec<Client>,
    ) -> Self {
        let client_names = clients.iter().map(|c| (c.id.clone(), c.client_id.clone())).collect();
        Self {
            profile: UserProfile::of(&realm),
            realm,
            scopes: scopes.into_iter().map(|s| (s.id.clone(), s)).collect(),
            roles,
            groups,
            keys,
            clients: clients.into_iter().map(|c| (c.client_id.clone(), c)).collect(),
            client_names,
        }
    }

    /// A client by its `client_id`.
    #[must_use]
    pub fn client(&self, client_id: &str) -> Option<&Client> {
        self.clients.get(client_id)
    }

    /// A client by Keycloak's `id`.
    #[must_use]
    pub fn client_by_uuid(&self, id: &ClientUuid) -> Option<&Client> {
        self.client_names.get(id).and_then(|name| self.clients.get(name))
    }

    /// All clients, in no order.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    /// A client scope by its name.
    #[must_use]
    pub fn scope_named(&self, name: &str) -> Option<&ClientScope> {
        self.scopes.values().find(|s| s.name == name)
    }
}
