//! Which roles a user has, and which of them one client's tokens carry.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::Client;
use crate::ids::RoleId;
use crate::oauth::scope::ActiveScopes;
use crate::records::RealmRecords;
use crate::role::Role;
use crate::user::User;

/// All roles of a user: mapped, of its groups and their ancestors, and what composites contain.
#[must_use]
pub fn effective<'a>(records: &'a RealmRecords, user: &'a User) -> BTreeSet<&'a RoleId> {
    let of_groups = user.groups.iter().flat_map(|id| records.groups.lineage(id)).flat_map(|group| &group.roles);
    records.roles.expand(user.roles.iter().chain(of_groups))
}

/// Whether a user has a role of the realm (`client` is `None`) or of a client.
#[must_use]
pub fn has(records: &RealmRecords, user: &User, client: Option<&Client>, name: &str) -> bool {
    let role = records.roles.named(client.map(|c| &c.id), name);
    role.is_some_and(|role| effective(records, user).contains(&role.id))
}

/// The roles of a user that a client's token carries: all with full scope, else those that the client's own roles, its scope
/// mappings and those of its active client scopes let through (Keycloak 26.4).
#[must_use]
pub fn granted<'a>(
    records: &'a RealmRecords,
    client: &'a Client,
    user: &'a User,
    scopes: &ActiveScopes<'a>,
) -> BTreeSet<&'a RoleId> {
    let mut roles = effective(records, user);
    if client.settings.full_scope_allowed {
        return roles;
    }
    let own = records.roles.iter().filter(|role| role.client.as_ref() == Some(&client.id)).map(|role| &role.id);
    let mapped = scopes.iter().flat_map(|scope| &scope.scope_mappings);
    let allowed = records.roles.expand(own.chain(&client.scope_mappings).chain(mapped));
    roles.retain(|id| allowed.contains(id));
    roles
}

/// Roles by name as a token shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleNames {
    /// Of the realm.
    pub realm: BTreeSet<String>,
    /// Of clients, by `client_id`. No entry is empty.
    pub clients: BTreeMap<String, BTreeSet<String>>,
}

impl RoleNames {
    /// The names of `roles`; one whose client is gone is dropped.
    #[must_use]
    pub fn of<'a>(records: &RealmRecords, roles: impl IntoIterator<Item = &'a RoleId>) -> Self {
        let mut names = Self::default();
        for role in roles.into_iter().filter_map(|id| records.roles.get(id)) {
            names.add_role(records, role);
        }
        names
    }

    fn add_role(&mut self, records: &RealmRecords, role: &Role) {
        match &role.client {
            None => self.add(None, &role.name),
            Some(id) => {
                if let Some(client) = records.client_by_uuid(id) {
                    self.add(Some(&client.client_id), &role.name);
                }
            }
        }
    }

    /// Adds a name.
    pub fn add(&mut self, client: Option<&str>, name: &str) {
        let names = match client {
            None => &mut self.realm,
            Some(client) => self.clients.entry(client.to_owned()).or_default(),
        };
        names.insert(name.to_owned());
    }

    /// Removes a name; whether it was there.
    pub fn remove(&mut self, client: Option<&str>, name: &str) -> bool {
        let Some(client) = client else { return self.realm.remove(name) };
        let Some(names) = self.clients.get_mut(client) else { return false };
        let was_there = names.remove(name);
        if names.is_empty() {
            self.clients.remove(client);
        }
        was_there
    }
}

/// `client.role` or a realm role, as mapper configurations write it (the last dot separates, when such a client exists).
pub(super) fn parse<'t>(records: &RealmRecords, text: &'t str) -> (Option<&'t str>, &'t str) {
    match text.rsplit_once('.') {
        Some((client, role)) if records.client(client).is_some() => (Some(client), role),
        Some(_) | None => (None, text),
    }
}
