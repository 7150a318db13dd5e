//! Client scopes and clients of an assembly.

use super::{Assembly, Overlay};
use crate::client::{Client, ClientSettings};
use crate::entropy::token;
use crate::ids::{ClientScopeId, ClientUuid, MapperId};
use crate::mapper::ProtocolMapper;
use crate::realm_file::clients::{FileClient, FileScope, OIDC};
use crate::realm_file::refusal::{Reason, Refusal};
use crate::scope::ClientScope;
use crate::secret::Secret;

const OFFLINE_ACCESS: &str = "offline_access";

impl Assembly<'_> {
    fn mappers(&self, mappers: &[ProtocolMapper]) -> Vec<ProtocolMapper> {
        mappers
            .iter()
            .map(|mapper| ProtocolMapper {
                id: MapperId::new(self.id(Some(&mapper.id.as_str().to_owned()))),
                ..mapper.clone()
            })
            .collect()
    }

    fn add_scope(&mut self, scope: &FileScope) -> Result<(), Refusal> {
        let taken = self.scope_index.insert(scope.name.clone(), self.scopes.len());
        if taken.is_some() {
            let at = format!("{}.name", scope.place);
            return Err(Refusal::at(at, Reason::Taken("client scope", scope.name.clone())));
        }
        self.scopes.push(ClientScope {
            id: ClientScopeId::new(self.id(scope.id.as_ref())),
            name: scope.name.clone(),
            description: scope.description.clone(),
            protocol: scope.protocol.clone(),
            attributes: scope.attributes.clone(),
            mappers: self.mappers(&scope.mappers),
            scope_mappings: Vec::new(),
            realm_default: None,
        });
        Ok(())
    }

    /// The client scopes and which of them new clients get.
    pub(in crate::realm_file) fn scopes(&mut self, overlay: &Overlay) -> Result<(), Refusal> {
        let file = &overlay.file;
        for scope in file.scopes.as_deref().unwrap_or(&overlay.builtin.scopes) {
            self.add_scope(scope)?;
        }
        let none = Vec::new();
        let (default, optional) = if overlay.builtin_scopes {
            (&overlay.builtin.default_scopes, &overlay.builtin.optional_scopes)
        } else {
            (&none, &none)
        };
        self.realm_defaults(file.default_scopes.as_ref().unwrap_or(default), true);
        self.realm_defaults(file.optional_scopes.as_ref().unwrap_or(optional), false);
        let offline = overlay.builtin.scopes.iter().find(|s| s.name == OFFLINE_ACCESS);
        if let Some(offline) = offline
            && !self.scope_index.contains_key(OFFLINE_ACCESS)
        {
            self.add_scope(offline)?;
            self.realm_defaults(&vec![OFFLINE_ACCESS.to_owned()], false);
        }
        Ok(())
    }

    /// Names that are not there are passed over (Keycloak 26.4 logs a warning).
    fn realm_defaults(&mut self, names: &Vec<String>, default: bool) {
        for name in names {
            let Some(index) = self.scope_index.get(name).copied() else {
                continue;
            };
            let Some(scope) = self.scopes.get_mut(index) else {
                continue;
            };
            if scope.realm_default.is_some() {
                continue;
            }
            scope.realm_default = Some(default);
            if default {
                self.default_scopes.push(index);
            } else {
                self.optional_scopes.push(index);
            }
        }
    }

    fn realm_scopes(&self, protocol: &str, indexes: &[usize]) -> Vec<ClientScopeId> {
        indexes
            .iter()
            .filter_map(|i| self.scopes.get(*i))
            .filter(|scope| scope.protocol == protocol)
            .map(|scope| scope.id.clone())
            .collect()
    }

    fn named_scopes(&self, names: &[String]) -> Vec<ClientScopeId> {
        names
            .iter()
            .filter_map(|name| self.scope_index.get(name))
            .filter_map(|i| self.scopes.get(*i))
            .map(|scope| scope.id.clone())
            .collect()
    }

    /// The clients of the file, then the built-in ones that it lacks.
    pub(in crate::realm_file) fn clients(&mut self, overlay: &Overlay) -> Result<(), Refusal> {
        for client in &overlay.file.clients {
            let mut record = self.client(client);
            self.import_attributes(&mut record);
            self.add_client(&client.place, record)?;
        }
        for client in &overlay.builtin.clients {
            let record = self.client(client);
            self.add_client(&client.place, record)?;
        }
        Ok(())
    }

    fn add_client(&mut self, place: &str, client: Client) -> Result<(), Refusal> {
        let taken = self.client_index.insert(client.client_id.clone(), self.clients.len());
        if taken.is_some() {
            let at = format!("{place}.clientId");
            return Err(Refusal::at(at, Reason::Taken("client", client.client_id)));
        }
        self.clients.push(client);
        Ok(())
    }

    fn client(&self, file: &FileClient) -> Client {
        // Either list in the file switches the realm's lists off (Keycloak 26.4).
        let listed = file.default_scopes.is_some() || file.optional_scopes.is_some();
        let protocol = &file.settings.protocol;
        let (default_scopes, optional_scopes) = if listed {
            let default_scopes = self.named_scopes(file.default_scopes.as_deref().unwrap_or(&[]));
            let mut optional = self.named_scopes(file.optional_scopes.as_deref().unwrap_or(&[]));
            optional.retain(|id| !default_scopes.contains(id));
            (default_scopes, optional)
        } else {
            (self.realm_scopes(protocol, &self.default_scopes), self.realm_scopes(protocol, &self.optional_scopes))
        };
        Client {
            id: ClientUuid::new(self.id(file.id.as_ref())),
            client_id: file.client_id.clone(),
            version: 1,
            settings: file.settings.clone(),
            redirect_uris: file.redirect_uris.clone(),
            web_origins: file.web_origins.clone(),
            mappers: self.mappers(&file.mappers),
            default_scopes,
            optional_scopes,
            scope_mappings: Vec::new(),
            secret: file.secret.clone(),
        }
    }

    /// What Keycloak 26.4 adds to every imported client.
    fn import_attributes(&self, client: &mut Client) {
        if is_confidential(&client.settings) && client.secret.is_none() {
            client.secret = Some(Secret::new(token::<32>(self.entropy)));
            client.settings.attributes.insert("client.secret.creation.time".to_owned(), self.now.secs().to_string());
        }
        if client.settings.protocol != OIDC {
            return;
        }
        let attributes = &mut client.settings.attributes;
        attributes.entry("realm_client".to_owned()).or_insert_with(|| "false".to_owned());
        if !client.settings.bearer_only {
            attributes.entry("post.logout.redirect.uris".to_owned()).or_insert_with(|| "+".to_owned());
        }
    }
}

/// RFC 6749 §2.1: a client that has a secret.
fn is_confidential(settings: &ClientSettings) -> bool {
    !settings.public_client && !settings.bearer_only
}
