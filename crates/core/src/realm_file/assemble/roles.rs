//! Roles, scope mappings and groups of an assembly.

use super::{Assembly, Overlay, push_new};
use crate::group::Group;
use crate::ids::{ClientUuid, GroupId, RoleId};
use crate::realm_file::defaults::{self, DEFAULT_ACCOUNT_ROLES};
use crate::realm_file::refusal::{Reason, Refusal};
use crate::realm_file::roles::{FileGroup, FileRole, FileScopeMapping};

impl Assembly<'_> {
    /// All roles with their composites; answers the default role.
    pub(in crate::realm_file) fn roles(&mut self, overlay: &Overlay) -> Result<RoleId, Refusal> {
        let file = &overlay.file;
        let default = self.default_role(overlay);
        for role in &file.realm_roles {
            if role.name != default.name {
                self.new_role(None, role)?;
            }
        }
        for role in &overlay.builtin.realm_roles {
            self.new_role(None, role)?;
        }
        for (client, roles) in file.client_roles.iter().chain(&overlay.builtin.client_roles) {
            let Some(uuid) = self.client_uuid(client) else {
                let at = format!("roles.client.{client}");
                return Err(Refusal::at(at, Reason::Unknown("client", client.clone())));
            };
            for role in roles {
                self.new_role(Some(&uuid), role)?;
            }
        }
        for role in file.realm_roles.iter().chain(&overlay.builtin.realm_roles) {
            self.compose(None, role)?;
        }
        for (client, roles) in file.client_roles.iter().chain(&overlay.builtin.client_roles) {
            let uuid = self.client_uuid(client);
            for role in roles {
                self.compose(uuid.as_ref(), role)?;
            }
        }
        self.whole_realm_admin();
        self.complete_default_role(overlay, &default.id);
        Ok(default.id)
    }

    /// The default role: of the member `defaultRole`, else of the list, else a new one.
    fn default_role(&mut self, overlay: &Overlay) -> DefaultRole {
        let file = &overlay.file;
        let name = match &file.default_role {
            Some(role) => role.name.clone(),
            None => defaults::default_role_name(&file.name),
        };
        let listed = file.realm_roles.iter().find(|r| r.name == name);
        let made = FileRole {
            name: name.clone(),
            description: Some("${role_default-roles}".to_owned()),
            ..FileRole::default()
        };
        let role = listed.or(file.default_role.as_ref()).unwrap_or(&made);
        let id = self.add_role(None, role);
        DefaultRole { id, name }
    }

    fn new_role(&mut self, client: Option<&ClientUuid>, role: &FileRole) -> Result<(), Refusal> {
        if self.role_id(client, &role.name).is_some() {
            let at = format!("{}.name", role.place);
            return Err(Refusal::at(at, Reason::Taken("role", role.name.clone())));
        }
        self.add_role(client, role);
        Ok(())
    }

    fn compose(&mut self, client: Option<&ClientUuid>, role: &FileRole) -> Result<(), Refusal> {
        let mut inside = Vec::new();
        let refuse = |what, name: &str| {
            let at = format!("{}.composites", role.place);
            Err(Refusal::at(at, Reason::Unknown(what, name.to_owned())))
        };
        for name in &role.realm_composites {
            let Some(id) = self.role_id(None, name) else {
                return refuse("realm role", name);
            };
            inside.push(id);
        }
        for (client, names) in &role.client_composites {
            let Some(uuid) = self.client_uuid(client) else {
                return refuse("client", client);
            };
            for name in names {
                let Some(id) = self.role_id(Some(&uuid), name) else {
                    return refuse("client role", name);
                };
                inside.push(id);
            }
        }
        self.put_inside(client, &role.name, inside);
        Ok(())
    }

    fn put_inside(&mut self, client: Option<&ClientUuid>, name: &str, inside: Vec<RoleId>) {
        let index = self.role_index.get(&(client.cloned(), name.to_owned()));
        if let Some(role) = index.and_then(|i| self.roles.get_mut(*i)) {
            for id in inside {
                if id != role.id {
                    push_new(&mut role.composites, id);
                }
            }
        }
    }

    /// `realm-admin` contains every role of its client (Keycloak completes it after an import).
    fn whole_realm_admin(&mut self) {
        let Some(client) = self.client_uuid("realm-management") else {
            return;
        };
        let all: Vec<RoleId> = self
            .roles
            .iter()
            .filter(|r| r.client.as_ref() == Some(&client) && r.name != "realm-admin")
            .map(|r| r.id.clone())
            .collect();
        self.put_inside(Some(&client), "realm-admin", all);
    }

    /// Built-in roles that the file did not list go into the default role.
    fn complete_default_role(&mut self, overlay: &Overlay, default: &RoleId) {
        let mut inside = Vec::new();
        for role in &overlay.builtin.realm_roles {
            if matches!(role.name.as_str(), "offline_access" | "uma_authorization") {
                inside.extend(self.role_id(None, &role.name));
            }
        }
        if overlay.made_client("account") {
            let account = self.client_uuid("account");
            for name in DEFAULT_ACCOUNT_ROLES {
                inside.extend(self.role_id(account.as_ref(), name));
            }
        }
        if let Some(role) = self.roles.iter_mut().find(|r| r.id == *default) {
            for id in inside {
                push_new(&mut role.composites, id);
            }
        }
    }

    /// `scopeMappings` (realm roles) and `clientScopeMappings` (roles of a client) onto clients and client scopes.
    pub(in crate::realm_file) fn scope_mappings(&mut self, overlay: &Overlay) -> Result<(), Refusal> {
        let file = &overlay.file;
        for mapping in &file.scope_mappings {
            self.map_scope(None, mapping)?;
        }
        for mapping in &overlay.builtin.scope_mappings {
            let offline = mapping.scope.as_deref();
            let listed = file.scope_mappings.iter().any(|m| m.scope.as_deref() == offline);
            if !listed {
                self.map_scope(None, mapping)?;
            }
        }
        for (client, mappings) in file.client_scope_mappings.iter().chain(&overlay.builtin.client_scope_mappings) {
            let Some(uuid) = self.client_uuid(client) else {
                let at = format!("clientScopeMappings.{client}");
                return Err(Refusal::at(at, Reason::Unknown("client", client.clone())));
            };
            for mapping in mappings {
                self.map_scope(Some(&uuid), mapping)?;
            }
        }
        Ok(())
    }

    fn map_scope(&mut self, owner: Option<&ClientUuid>, mapping: &FileScopeMapping) -> Result<(), Refusal> {
        let roles: Vec<RoleId> = mapping.roles.iter().map(|name| self.role_or_new(owner, name.trim())).collect();
        let unknown = |what, name: &str| {
            let at = mapping.place.clone();
            Err(Refusal::at(at, Reason::Unknown(what, name.to_owned())))
        };
        let target = match (&mapping.client, &mapping.scope) {
            (Some(client), _) => {
                let index = self.client_index.get(client).copied();
                match index.and_then(|i| self.clients.get_mut(i)) {
                    Some(client) => &mut client.scope_mappings,
                    None => return unknown("client", client),
                }
            }
            (None, Some(scope)) => {
                let index = self.scope_index.get(scope).copied();
                match index.and_then(|i| self.scopes.get_mut(i)) {
                    Some(scope) => &mut scope.scope_mappings,
                    None => return unknown("client scope", scope),
                }
            }
            (None, None) => {
                let at = mapping.place.clone();
                return Err(Refusal::at(at, Reason::Missing("client or clientScope")));
            }
        };
        for role in roles {
            push_new(target, role);
        }
        Ok(())
    }

    /// The group tree, parents first.
    pub(in crate::realm_file) fn groups(
        &mut self,
        groups: &[FileGroup],
        parent: Option<(&GroupId, &str)>,
    ) -> Result<(), Refusal> {
        for group in groups {
            let above = parent.map_or("", |(_, path)| path);
            let path = format!("{above}/{}", group.name.replace('/', "~/"));
            let id = GroupId::new(self.id(group.id.as_ref()));
            if self.group_paths.insert(path.clone(), id.clone()).is_some() {
                let at = format!("{}.name", group.place);
                return Err(Refusal::at(at, Reason::Taken("group", path)));
            }
            let roles = self.named_roles(&group.place, &group.realm_roles, &group.client_roles)?;
            self.groups.push(Group {
                id: id.clone(),
                name: group.name.clone(),
                parent: parent.map(|(id, _)| id.clone()),
                attributes: group.attributes.clone(),
                roles,
            });
            self.groups(&group.children, Some((&id, &path)))?;
        }
        Ok(())
    }

    pub(in crate::realm_file) fn default_groups(&self, overlay: &Overlay) -> Result<Vec<GroupId>, Refusal> {
        overlay
            .file
            .default_groups
            .iter()
            .enumerate()
            .map(|(i, path)| self.group(&format!("defaultGroups[{i}]"), path))
            .collect()
    }

    /// A group by its path.
    pub(in crate::realm_file) fn group(&self, place: &str, path: &str) -> Result<GroupId, Refusal> {
        let absolute = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        self.group_paths
            .get(&absolute)
            .cloned()
            .ok_or_else(|| Refusal::at(place, Reason::Unknown("group", path.to_owned())))
    }
}

struct DefaultRole {
    id: RoleId,
    name: String,
}
