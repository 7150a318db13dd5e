//! The writes of a new realm, in plans of at most 1,000 rows: the realm row in state `Filling` first, parents before
//! children, and one last plan that makes it `Ready` together with master's part.

use std::collections::{HashMap, HashSet};

use super::assemble::{NewCredential, NewUser, RealmContents};
use super::refusal::{Reason, Refusal};
use crate::client::Client;
use crate::ids::{ClientScopeId, CredentialId, RealmId, RoleId};
use crate::key::RealmKey;
use crate::plan::{Lane, Plan, Write};
use crate::realm::RealmState;
use crate::role::Role;
use crate::scope::ClientScope;
use crate::secret::Secret;
use crate::user::User;

/// Most rows of one plan (architecture §3).
pub const ROWS_MAX: usize = 1000;
/// Most entries of one write that holds a list.
const LIST_MAX: usize = 500;

/// `secretData` and `credentialData` of hashed passwords, by credential.
pub type Hashes = HashMap<CredentialId, (Secret, String)>;

/// How many rows a write may change at most.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "writes without a list change one row")]
pub fn rows(write: &Write) -> usize {
    match write {
        Write::CreateClient(_, client) => client_rows(client),
        Write::UpdateClient(_, client) => 2 * client_rows(client),
        Write::CreateClientScope(_, scope) => 1 + scope.mappers.len() + scope.scope_mappings.len(),
        Write::CreateUser(_, user) | Write::UpdateUser(_, user) => user_rows(user),
        Write::CreateGroup(_, group) => 1 + group.roles.len() + group.attributes.len(),
        Write::CreateRole(_, role) => 1 + role.attributes.len(),
        Write::AddComposites(_, _, list) | Write::AddClientScopeMappings(_, _, list) => list.len(),
        _ => 1,
    }
}

fn client_rows(client: &Client) -> usize {
    1 + client.redirect_uris.len()
        + client.web_origins.len()
        + client.mappers.len()
        + client.default_scopes.len()
        + client.optional_scopes.len()
        + client.scope_mappings.len()
}

fn user_rows(user: &User) -> usize {
    let values: usize = user.settings.attributes.values().map(Vec::len).sum();
    1 + user.roles.len() + user.groups.len() + values
}

/// Fills plans up to [`ROWS_MAX`].
struct Packer {
    plans: Vec<Plan>,
    writes: Vec<Write>,
    rows: usize,
}

impl Packer {
    fn push(&mut self, write: Write) -> Result<(), Refusal> {
        let rows = rows(&write);
        if rows > ROWS_MAX {
            return Err(Refusal::at(what(&write), Reason::TooMany("rows")));
        }
        if self.rows + rows > ROWS_MAX {
            self.cut();
        }
        self.rows += rows;
        self.writes.push(write);
        Ok(())
    }

    /// What follows refers to what stands before: it goes into a later plan.
    fn cut(&mut self) {
        if !self.writes.is_empty() {
            let writes = std::mem::take(&mut self.writes);
            self.plans.push(Plan::new(Lane::Admin, writes));
            self.rows = 0;
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only writes with lists can be too large")]
fn what(write: &Write) -> String {
    match write {
        Write::CreateClient(_, client) => format!("client {}", client.client_id),
        Write::CreateUser(_, user) => format!("user {}", user.username),
        Write::CreateGroup(_, group) => format!("group {}", group.name),
        Write::CreateClientScope(_, scope) => format!("client scope {}", scope.name),
        _ => String::new(),
    }
}

/// The plans of a new realm. `last` are writes of the final plan (master's part, the first administrator).
///
/// # Errors
/// A record that is too large for one plan.
pub fn plans(
    contents: RealmContents,
    keys: Vec<RealmKey>,
    hashes: Hashes,
    last: Vec<Write>,
) -> Result<Vec<Plan>, Refusal> {
    let realm = contents.realm.id.clone();
    let mut hashes = hashes;
    let mut packer = Packer { plans: Vec::new(), writes: Vec::new(), rows: 0 };
    packer.push(Write::CreateRealm(contents.realm.clone()))?;
    packer.cut();
    for key in keys {
        packer.push(Write::CreateKey(realm.clone(), key))?;
    }
    roles(&mut packer, &realm, contents.roles.iter().filter(|r| r.client.is_none()))?;
    clients(&mut packer, &realm, &contents)?;
    composites(&mut packer, &realm, &contents.roles)?;
    packer.cut();
    for group in contents.groups {
        packer.push(Write::CreateGroup(realm.clone(), group))?;
    }
    packer.cut();
    for user in contents.users {
        add_user(&mut packer, &realm, user, &mut hashes)?;
    }
    packer.cut();
    let mut end = Plan::new(Lane::Admin, last);
    end.push(Write::SetRealmState(realm, RealmState::Filling, RealmState::Ready));
    packer.plans.push(end);
    Ok(packer.plans)
}

fn roles<'a>(packer: &mut Packer, realm: &RealmId, roles: impl Iterator<Item = &'a Role>) -> Result<(), Refusal> {
    for role in roles {
        let bare = Role { composites: Vec::new(), ..role.clone() };
        packer.push(Write::CreateRole(realm.clone(), bare))?;
    }
    packer.cut();
    Ok(())
}

/// Clients need their scopes, client roles their client, a scope's mappings their roles. A scope that lets client roles
/// through comes after them; the clients that use it are completed then.
fn clients(packer: &mut Packer, realm: &RealmId, contents: &RealmContents) -> Result<(), Refusal> {
    let of_clients: HashSet<&RoleId> = contents.roles.iter().filter(|r| r.client.is_some()).map(|r| &r.id).collect();
    let (late, early): (Vec<&ClientScope>, Vec<&ClientScope>) =
        contents.scopes.iter().partition(|scope| scope.scope_mappings.iter().any(|r| of_clients.contains(r)));
    for scope in early {
        packer.push(Write::CreateClientScope(realm.clone(), scope.clone()))?;
    }
    packer.cut();
    let late_ids: HashSet<&ClientScopeId> = late.iter().map(|s| &s.id).collect();
    let mut incomplete = Vec::new();
    for client in &contents.clients {
        let mut first = client.clone();
        first.scope_mappings.clear();
        first.default_scopes.retain(|id| !late_ids.contains(id));
        first.optional_scopes.retain(|id| !late_ids.contains(id));
        let scopes = first.default_scopes.len() + first.optional_scopes.len();
        if scopes < client.default_scopes.len() + client.optional_scopes.len() {
            incomplete.push(client);
        }
        packer.push(Write::CreateClient(realm.clone(), first))?;
    }
    packer.cut();
    roles(packer, realm, contents.roles.iter().filter(|r| r.client.is_some()))?;
    for scope in late {
        packer.push(Write::CreateClientScope(realm.clone(), scope.clone()))?;
    }
    packer.cut();
    for client in &incomplete {
        packer.push(Write::UpdateClient(realm.clone(), (*client).clone()))?;
    }
    for client in &contents.clients {
        if incomplete.iter().any(|c| c.id == client.id) {
            continue;
        }
        for chunk in client.scope_mappings.chunks(LIST_MAX) {
            packer.push(Write::AddClientScopeMappings(realm.clone(), client.id.clone(), chunk.to_vec()))?;
        }
    }
    Ok(())
}

fn composites(packer: &mut Packer, realm: &RealmId, roles: &[Role]) -> Result<(), Refusal> {
    for role in roles {
        for chunk in role.composites.chunks(LIST_MAX) {
            packer.push(Write::AddComposites(realm.clone(), role.id.clone(), chunk.to_vec()))?;
        }
    }
    Ok(())
}

fn add_user(packer: &mut Packer, realm: &RealmId, new: NewUser, hashes: &mut Hashes) -> Result<(), Refusal> {
    let id = new.user.id.clone();
    let name = new.user.username.clone();
    packer.push(Write::CreateUser(realm.clone(), new.user))?;
    for credential in new.credentials {
        let credential = match credential {
            NewCredential::Stored(credential) => credential,
            NewCredential::Plain(mut credential, _) => {
                let Some((secret, data)) = hashes.remove(&credential.id) else {
                    let cause = "the password was not hashed".to_owned();
                    return Err(Refusal::at(format!("user {name}"), Reason::NotAllowed(cause)));
                };
                credential.secret_data = secret;
                credential.credential_data = data;
                credential
            }
        };
        packer.push(Write::AddCredential(realm.clone(), id.clone(), credential))?;
    }
    for consent in new.consents {
        packer.push(Write::PutConsent(realm.clone(), consent))?;
    }
    Ok(())
}

/// The writes of one user with hashed credentials, for a final plan (the first administrator).
///
/// # Errors
/// A password that was not hashed.
pub fn user_writes(realm: &RealmId, new: NewUser, hashes: &mut Hashes) -> Result<Vec<Write>, Refusal> {
    let mut packer = Packer { plans: Vec::new(), writes: Vec::new(), rows: 0 };
    add_user(&mut packer, realm, new, hashes)?;
    Ok(packer.writes)
}
