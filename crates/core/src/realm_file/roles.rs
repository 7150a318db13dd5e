//! Roles, groups and scope mappings of a realm file.

use std::collections::BTreeMap;

use super::file::NAME_MAX;
use super::members;
use super::reader::Obj;
use super::refusal::{Reason, Refusal};

/// Role names by client.
pub(super) type ClientRoleNames = Vec<(String, Vec<String>)>;

/// One role of the file.
#[derive(Clone, Default)]
pub(super) struct FileRole {
    pub(super) place: String,
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) attributes: BTreeMap<String, Vec<String>>,
    pub(super) realm_composites: Vec<String>,
    pub(super) client_composites: ClientRoleNames,
}

/// The name member of `obj`, present, not blank and not too long.
pub(super) fn name_of(obj: &mut Obj, member: &'static str) -> Result<String, Refusal> {
    let name = obj.text(member)?.unwrap_or_default();
    if name.trim().is_empty() {
        return Err(obj.refuse(member, Reason::Missing(member)));
    }
    if name.chars().count() > NAME_MAX || name.contains('\0') {
        return Err(obj.refuse(member, Reason::NotAllowed(format!("longer than {NAME_MAX} characters, or with NUL"))));
    }
    Ok(name)
}

/// Lists of role names by client.
pub(super) fn client_roles(obj: &mut Obj, member: &str) -> Result<ClientRoleNames, Refusal> {
    Ok(obj.texts_map(member)?.unwrap_or_default().into_iter().collect())
}

impl FileRole {
    pub(super) fn read(mut obj: Obj) -> Result<Self, Refusal> {
        obj.only(members::ROLE, "RoleRepresentation")?;
        let mut role = Self {
            place: obj.place.clone(),
            id: obj.text("id")?,
            name: name_of(&mut obj, "name")?,
            description: obj.text("description")?,
            attributes: obj.texts_map("attributes")?.unwrap_or_default(),
            ..Self::default()
        };
        if let Some(mut inside) = obj.object("composites")? {
            inside.only(&["realm", "client", "application"], "Composites")?;
            role.realm_composites = inside.texts("realm")?.unwrap_or_default();
            role.client_composites = client_roles(&mut inside, "client")?;
        }
        Ok(role)
    }

    fn list(obj: &mut Obj, member: &str) -> Result<Vec<Self>, Refusal> {
        obj.objects(member)?.unwrap_or_default().into_iter().map(Self::read).collect()
    }

    /// `roles.realm` and `roles.client`.
    #[expect(clippy::type_complexity, reason = "the two lists of RolesRepresentation")]
    pub(super) fn lists(file: &mut Obj) -> Result<(Vec<Self>, Vec<(String, Vec<Self>)>), Refusal> {
        let Some(mut roles) = file.object("roles")? else {
            return Ok((Vec::new(), Vec::new()));
        };
        roles.only(&["realm", "client", "application"], "RolesRepresentation")?;
        let realm = Self::list(&mut roles, "realm")?;
        let mut clients = Vec::new();
        if let Some(mut by_client) = roles.object("client")? {
            let names: Vec<String> = by_client.names();
            for name in names {
                let list = Self::list(&mut by_client, &name)?;
                clients.push((name, list));
            }
        }
        Ok((realm, clients))
    }
}

/// One group of the file with what is below it.
pub(super) struct FileGroup {
    pub(super) place: String,
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, Vec<String>>,
    pub(super) realm_roles: Vec<String>,
    pub(super) client_roles: ClientRoleNames,
    pub(super) children: Vec<FileGroup>,
}

impl FileGroup {
    pub(super) fn list(obj: &mut Obj, member: &str) -> Result<Vec<Self>, Refusal> {
        obj.objects(member)?.unwrap_or_default().into_iter().map(Self::read).collect()
    }

    fn read(mut obj: Obj) -> Result<Self, Refusal> {
        obj.only(members::GROUP, "GroupRepresentation")?;
        Ok(Self {
            place: obj.place.clone(),
            id: obj.text("id")?,
            name: name_of(&mut obj, "name")?,
            attributes: obj.texts_map("attributes")?.unwrap_or_default(),
            realm_roles: obj.texts("realmRoles")?.unwrap_or_default(),
            client_roles: client_roles(&mut obj, "clientRoles")?,
            children: Self::list(&mut obj, "subGroups")?,
        })
    }
}

/// One entry of `scopeMappings` or `clientScopeMappings`.
pub(super) struct FileScopeMapping {
    pub(super) place: String,
    pub(super) client: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) roles: Vec<String>,
}

impl FileScopeMapping {
    pub(super) fn list(obj: &mut Obj, member: &str) -> Result<Vec<Self>, Refusal> {
        let mut list = Vec::new();
        for mut entry in obj.objects(member)?.unwrap_or_default() {
            entry.only(&["self", "client", "clientTemplate", "clientScope", "roles"], "ScopeMappingRepresentation")?;
            list.push(Self {
                place: entry.place.clone(),
                client: entry.text("client")?,
                scope: entry.text("clientScope")?,
                roles: entry.texts("roles")?.unwrap_or_default(),
            });
        }
        Ok(list)
    }

    pub(super) fn by_client(file: &mut Obj) -> Result<Vec<(String, Vec<Self>)>, Refusal> {
        let mut all = Vec::new();
        if let Some(mut by_client) = file.object("clientScopeMappings")? {
            for name in by_client.names() {
                let list = Self::list(&mut by_client, &name)?;
                all.push((name, list));
            }
        }
        Ok(all)
    }
}
