//! What a fresh realm contains (Keycloak 26.4.2): roles, clients, client scopes with mappers, required actions, settings.
//!
//! The contents stand in `defaults.json`, in the shape of a realm file; `{realm}` in a URI is the realm's name.

use serde_json::{Map, Value};

use crate::admin::{READ_REVOCATIONS, REALM_MANAGEMENT};

use super::clients::{FileClient, FileScope};
use super::json;
use super::reader::Obj;
use super::refusal::{Reason, Refusal};
use super::roles::{FileRole, FileScopeMapping};

const CONTENTS: &str = include_str!("defaults.json");

/// Roles of `account` that every user has through the default role.
pub(super) const DEFAULT_ACCOUNT_ROLES: [&str; 2] = ["view-profile", "manage-account"];

/// The built-in part of a realm, as if a file said it.
pub(super) struct Builtin {
    pub(super) realm_roles: Vec<FileRole>,
    pub(super) client_roles: Vec<(String, Vec<FileRole>)>,
    pub(super) clients: Vec<FileClient>,
    pub(super) scopes: Vec<FileScope>,
    pub(super) default_scopes: Vec<String>,
    pub(super) optional_scopes: Vec<String>,
    pub(super) scope_mappings: Vec<FileScopeMapping>,
    pub(super) client_scope_mappings: Vec<(String, Vec<FileScopeMapping>)>,
}

fn contents() -> Result<Obj, Refusal> {
    Obj::of(json::strict(CONTENTS.as_bytes())?, "")
}

/// The document of a fresh realm: every member that Keycloak gives it.
pub(super) fn settings() -> Result<Map<String, Value>, Refusal> {
    contents()?.object("settings")?.map(Obj::rest).ok_or_else(|| Refusal::at("settings", Reason::Missing("settings")))
}

/// The name of the default role (Keycloak: `default-roles-` and the realm's name in lower case).
#[must_use]
pub fn default_role_name(realm: &str) -> String {
    format!("default-roles-{}", realm.to_lowercase())
}

/// The built-in part of the realm `name`. In a strict realm the built-in redirect URIs are exact.
pub(super) fn builtin(name: &str, strict: bool) -> Result<Builtin, Refusal> {
    let mut obj = contents()?;
    let (realm_roles, mut client_roles) = FileRole::lists(&mut obj)?;
    // Keycloak has no such role: realms of its profile get it when their owner makes it.
    let ours = client_roles.iter_mut().find(|(client, _)| strict && client == REALM_MANAGEMENT);
    if let Some((_, roles)) = ours {
        let description = Some("Follow the revocation feed".to_owned());
        roles.push(FileRole { name: READ_REVOCATIONS.to_owned(), description, ..FileRole::default() });
    }
    let mut clients = FileClient::list(&mut obj)?;
    for client in &mut clients {
        let fill = |text: &str| text.replace("{realm}", name);
        client.settings.base_url = client.settings.base_url.as_deref().map(fill);
        for uri in &mut client.redirect_uris {
            let filled = fill(uri);
            *uri = match filled.strip_suffix('*') {
                Some(exact) if strict => exact.to_owned(),
                Some(_) | None => filled,
            };
        }
    }
    Ok(Builtin {
        realm_roles,
        client_roles,
        clients,
        scopes: FileScope::list(&mut obj)?.unwrap_or_default(),
        default_scopes: obj.texts("defaultDefaultClientScopes")?.unwrap_or_default(),
        optional_scopes: obj.texts("defaultOptionalClientScopes")?.unwrap_or_default(),
        scope_mappings: FileScopeMapping::list(&mut obj, "scopeMappings")?,
        client_scope_mappings: FileScopeMapping::by_client(&mut obj)?,
    })
}
