//! A realm file laid over the contents of a fresh realm, as Keycloak's import does: names become ids, records come out.
//!
//! What the file lists wins; built-in roles, clients and scopes that it lacks are made. Client scopes of the file
//! replace the built-in ones. Unknown roles of users and groups are made; other unknown names are refused.

mod clients;
mod roles;
mod users;

use std::collections::{HashMap, HashSet};

use super::checks;
use super::defaults::{self, Builtin};
use super::file::RealmFile;
use super::keys::{self, KeySpec};
use super::master;
use super::refusal::{Reason, Refusal};
use super::roles::FileRole;
use crate::client::Client;
use crate::entropy::{Entropy, uuid};
use crate::group::Group;
use crate::ids::{ClientUuid, CredentialId, GroupId, RealmId, RoleId};
use crate::pending::Consent;
use crate::realm::{Profile, Realm, RealmState};
use crate::role::Role;
use crate::scope::ClientScope;
use crate::secret::Secret;
use crate::time::Now;
use crate::user::{Credential, User};

/// Everything a realm starts with. Keys are still to be made, passwords still to be hashed.
#[derive(Debug)]
pub struct RealmContents {
    /// The realm, in state `Filling`.
    pub realm: Realm,
    /// Its client scopes.
    pub scopes: Vec<ClientScope>,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Its groups, parents first.
    pub groups: Vec<Group>,
    /// Its clients.
    pub clients: Vec<Client>,
    /// Its users.
    pub users: Vec<NewUser>,
    /// The keys it shall have.
    pub keys: Vec<KeySpec>,
}

/// A user with its credentials.
#[derive(Debug)]
pub struct NewUser {
    /// The record.
    pub user: User,
    /// Its credentials.
    pub credentials: Vec<NewCredential>,
    /// What it allowed clients.
    pub consents: Vec<Consent>,
}

/// A credential of a new user.
#[derive(Debug)]
pub enum NewCredential {
    /// Ready to be stored.
    Stored(Credential),
    /// A password: the record lacks `secret_data` and `credential_data` until it is hashed.
    Plain(Credential, Secret),
}

impl RealmContents {
    /// The passwords still to be hashed, by credential.
    pub fn passwords(&self) -> impl Iterator<Item = (&CredentialId, &Secret)> {
        self.users.iter().flat_map(|u| &u.credentials).filter_map(|c| match c {
            NewCredential::Plain(credential, password) => Some((&credential.id, password)),
            NewCredential::Stored(_) => None,
        })
    }

    /// A role of the realm (`None`) or of a client.
    #[must_use]
    pub fn role(&self, client: Option<&ClientUuid>, name: &str) -> Option<&Role> {
        self.roles.iter().find(|r| r.client.as_ref() == client && r.name == name)
    }

    /// A client by its `client_id`.
    #[must_use]
    pub fn client(&self, client_id: &str) -> Option<&Client> {
        self.clients.iter().find(|c| c.client_id == client_id)
    }
}

/// Lays `file` over a fresh realm.
///
/// # Errors
/// A [`Refusal`] naming the place in the file and the cause.
pub fn assemble(file: RealmFile, entropy: &dyn Entropy, now: Now) -> Result<RealmContents, Refusal> {
    let id = RealmId::new(file.id.clone().unwrap_or_else(|| uuid(entropy)));
    let mut realm = Realm {
        id,
        name: file.name.clone(),
        version: 1,
        state: RealmState::Filling,
        default_role: None,
        default_groups: Vec::new(),
        settings: file.settings.clone(),
    };
    checks::profile(&realm.settings)?;
    let strict = realm.profile() == Profile::Strict;
    if strict {
        checks::strict(&file)?;
    }
    let mut builtin = defaults::builtin(&file.name, strict)?;
    if file.name == master::NAME {
        master::adapt(&mut builtin, &mut realm.settings);
    }
    let mut assembly = Assembly::new(entropy, now);
    let overlay = Overlay::of(file, builtin);
    assembly.scopes(&overlay)?;
    assembly.clients(&overlay)?;
    let default_role = assembly.roles(&overlay)?;
    assembly.scope_mappings(&overlay)?;
    assembly.groups(&overlay.file.groups, None)?;
    realm.default_groups = assembly.default_groups(&overlay)?;
    assembly.users(overlay.file.users, &overlay.file.settings, &default_role)?;
    realm.default_role = Some(default_role);
    Ok(RealmContents {
        realm,
        scopes: assembly.scopes,
        roles: assembly.roles,
        groups: assembly.groups,
        clients: assembly.clients,
        users: assembly.users,
        keys: keys::complete(overlay.file.keys, strict),
    })
}

/// The file with the built-in things that it lacks.
pub(super) struct Overlay {
    pub(super) file: RealmFile,
    pub(super) builtin: Builtin,
    /// Whether the built-in scopes hold (the file brings none).
    pub(super) builtin_scopes: bool,
}

impl Overlay {
    fn of(file: RealmFile, mut builtin: Builtin) -> Self {
        let builtin_scopes = file.scopes.is_none();
        let listed: HashSet<&str> = file.clients.iter().map(|c| c.client_id.as_str()).collect();
        builtin.clients.retain(|c| !listed.contains(c.client_id.as_str()));
        builtin.realm_roles.retain(|role| !has(&file.realm_roles, &role.name));
        for (client, roles) in &mut builtin.client_roles {
            let of_file = file.client_roles.iter().find(|(name, _)| name == client);
            if let Some((_, listed)) = of_file {
                roles.retain(|role| !has(listed, &role.name));
            }
        }
        let here: HashSet<&str> = builtin.clients.iter().map(|c| c.client_id.as_str()).collect();
        builtin.client_scope_mappings.iter_mut().for_each(|(_, mappings)| {
            mappings.retain(|m| m.client.as_deref().is_some_and(|c| here.contains(c)));
        });
        Self { file, builtin, builtin_scopes }
    }

    /// Whether the built-in client stands (the file has none of that name).
    pub(super) fn made_client(&self, client_id: &str) -> bool {
        self.builtin.clients.iter().any(|c| c.client_id == client_id)
    }
}

fn has(roles: &[FileRole], name: &str) -> bool {
    roles.iter().any(|r| r.name == name)
}

/// The records as they grow, and the names that stand for them.
pub(super) struct Assembly<'a> {
    pub(super) entropy: &'a dyn Entropy,
    pub(super) now: Now,
    pub(super) roles: Vec<Role>,
    pub(super) role_index: HashMap<(Option<ClientUuid>, String), usize>,
    pub(super) scopes: Vec<ClientScope>,
    pub(super) scope_index: HashMap<String, usize>,
    pub(super) default_scopes: Vec<usize>,
    pub(super) optional_scopes: Vec<usize>,
    pub(super) clients: Vec<Client>,
    pub(super) client_index: HashMap<String, usize>,
    pub(super) groups: Vec<Group>,
    pub(super) group_paths: HashMap<String, GroupId>,
    pub(super) users: Vec<NewUser>,
}

impl<'a> Assembly<'a> {
    fn new(entropy: &'a dyn Entropy, now: Now) -> Self {
        Self {
            entropy,
            now,
            roles: Vec::new(),
            role_index: HashMap::new(),
            scopes: Vec::new(),
            scope_index: HashMap::new(),
            default_scopes: Vec::new(),
            optional_scopes: Vec::new(),
            clients: Vec::new(),
            client_index: HashMap::new(),
            groups: Vec::new(),
            group_paths: HashMap::new(),
            users: Vec::new(),
        }
    }

    /// The id of the file, else a new one.
    pub(super) fn id(&self, given: Option<&String>) -> String {
        given.filter(|id| !id.trim().is_empty()).cloned().unwrap_or_else(|| uuid(self.entropy))
    }

    pub(super) fn client_uuid(&self, client_id: &str) -> Option<ClientUuid> {
        let index = *self.client_index.get(client_id)?;
        self.clients.get(index).map(|c| c.id.clone())
    }

    /// A role by container and name.
    pub(super) fn role_id(&self, client: Option<&ClientUuid>, name: &str) -> Option<RoleId> {
        let index = *self.role_index.get(&(client.cloned(), name.to_owned()))?;
        self.roles.get(index).map(|r| r.id.clone())
    }

    /// A role by container and name; one that is not there is made (Keycloak 26.4 does so for users, groups, mappings).
    pub(super) fn role_or_new(&mut self, client: Option<&ClientUuid>, name: &str) -> RoleId {
        if let Some(id) = self.role_id(client, name) {
            return id;
        }
        let role = FileRole { name: name.to_owned(), ..FileRole::default() };
        self.add_role(client, &role)
    }

    pub(super) fn add_role(&mut self, client: Option<&ClientUuid>, role: &FileRole) -> RoleId {
        let id = RoleId::new(self.id(role.id.as_ref()));
        self.role_index.insert((client.cloned(), role.name.clone()), self.roles.len());
        self.roles.push(Role {
            id: id.clone(),
            name: role.name.clone(),
            description: role.description.clone(),
            client: client.cloned(),
            attributes: role.attributes.clone(),
            composites: Vec::new(),
        });
        id
    }

    /// The roles that `realm` and `by_client` name, made where they are not there; an unknown client is refused.
    pub(super) fn named_roles(
        &mut self,
        place: &str,
        realm: &[String],
        by_client: &[(String, Vec<String>)],
    ) -> Result<Vec<RoleId>, Refusal> {
        let mut ids = Vec::new();
        for name in realm {
            push_new(&mut ids, self.role_or_new(None, name.trim()));
        }
        for (client, names) in by_client {
            let Some(uuid) = self.client_uuid(client) else {
                let at = format!("{place}.clientRoles");
                return Err(Refusal::at(at, Reason::Unknown("client", client.clone())));
            };
            for name in names {
                push_new(&mut ids, self.role_or_new(Some(&uuid), name.trim()));
            }
        }
        Ok(ids)
    }
}

/// Adds what is not there yet.
pub(super) fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
