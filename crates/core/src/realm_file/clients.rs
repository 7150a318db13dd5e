//! Clients, client scopes and protocol mappers of a realm file.

use std::collections::BTreeMap;

use serde_json::Value;

use super::members;
use super::reader::Obj;
use super::refusal::{Reason, Refusal};
use super::roles::name_of;
use crate::client::ClientSettings;
use crate::ids::MapperId;
use crate::mapper::{ProtocolMapper, Switches};
use crate::secret::Secret;

/// The protocol whose clients are acted on.
pub(super) const OIDC: &str = "openid-connect";

/// One client of the file.
pub(super) struct FileClient {
    pub(super) place: String,
    pub(super) id: Option<String>,
    pub(super) client_id: String,
    pub(super) settings: ClientSettings,
    pub(super) secret: Option<Secret>,
    pub(super) redirect_uris: Vec<String>,
    pub(super) web_origins: Vec<String>,
    pub(super) mappers: Vec<ProtocolMapper>,
    pub(super) default_scopes: Option<Vec<String>>,
    pub(super) optional_scopes: Option<Vec<String>>,
}

impl FileClient {
    pub(super) fn list(file: &mut Obj) -> Result<Vec<Self>, Refusal> {
        file.objects("clients")?.unwrap_or_default().into_iter().map(Self::read).collect()
    }

    fn read(mut obj: Obj) -> Result<Self, Refusal> {
        obj.only(members::CLIENT, "ClientRepresentation")?;
        let id = obj.text("id")?;
        let client_id = match (obj.text("clientId")?, &id) {
            (Some(client_id), _) if !client_id.trim().is_empty() => client_id,
            (Some(_), _) | (None, None) => {
                return Err(obj.refuse("clientId", Reason::Missing("clientId")));
            }
            (None, Some(id)) => id.clone(),
        };
        Ok(Self {
            place: obj.place.clone(),
            id,
            client_id,
            secret: obj.text("secret")?.filter(|s| !s.is_empty()).map(Secret::new),
            redirect_uris: unique(obj.texts("redirectUris")?),
            web_origins: unique(obj.texts("webOrigins")?),
            mappers: mappers(&mut obj)?,
            default_scopes: obj.texts("defaultClientScopes")?,
            optional_scopes: obj.texts("optionalClientScopes")?,
            settings: settings(obj)?,
        })
    }
}

/// Keycloak keeps these lists as sets.
fn unique(list: Option<Vec<String>>) -> Vec<String> {
    let mut seen = Vec::new();
    for text in list.unwrap_or_default() {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

/// The client's document with the defaults of an import (Keycloak 26.4 `RepresentationToModel.createClient`).
fn settings(mut obj: Obj) -> Result<ClientSettings, Refusal> {
    let consent_required = obj.flag("consentRequired")?.unwrap_or(false);
    // The oldest exports have `directGrantsOnly` instead of the two flow switches.
    let direct_only = obj.flag("directGrantsOnly")?.unwrap_or(false);
    Ok(ClientSettings {
        name: obj.text("name")?,
        description: obj.text("description")?,
        root_url: obj.text("rootUrl")?,
        admin_url: obj.text("adminUrl")?,
        base_url: obj.text("baseUrl")?,
        surrogate_auth_required: obj.flag("surrogateAuthRequired")?.unwrap_or(false),
        enabled: obj.flag("enabled")?.unwrap_or(true),
        always_display_in_console: obj.flag("alwaysDisplayInConsole")?.unwrap_or(false),
        client_authenticator_type: obj.text("clientAuthenticatorType")?.unwrap_or_else(|| "client-secret".to_owned()),
        not_before: obj.number("notBefore")?.unwrap_or(0),
        bearer_only: obj.flag("bearerOnly")?.unwrap_or(false),
        consent_required,
        standard_flow_enabled: obj.flag("standardFlowEnabled")?.unwrap_or(!direct_only),
        implicit_flow_enabled: obj.flag("implicitFlowEnabled")?.unwrap_or(false),
        direct_access_grants_enabled: obj.flag("directAccessGrantsEnabled")?.unwrap_or(direct_only),
        service_accounts_enabled: obj.flag("serviceAccountsEnabled")?.unwrap_or(false),
        public_client: obj.flag("publicClient")?.unwrap_or(false),
        frontchannel_logout: obj.flag("frontchannelLogout")?.unwrap_or(false),
        protocol: obj.text("protocol")?.unwrap_or_else(|| OIDC.to_owned()),
        attributes: obj.text_map("attributes")?.unwrap_or_default(),
        full_scope_allowed: obj.flag("fullScopeAllowed")?.unwrap_or(!consent_required),
        node_re_registration_timeout: obj.number("nodeReRegistrationTimeout")?.unwrap_or(-1),
        other: {
            let mut rest = obj.rest();
            for name in members::CLIENT_DROPPED {
                rest.shift_remove(*name);
            }
            rest.retain(|_, value| !value.is_null());
            rest.entry("authenticationFlowBindingOverrides").or_insert_with(|| Value::Object(serde_json::Map::new()));
            rest
        },
    })
}

/// `protocolMappers` of a client or scope; ids may be empty.
fn mappers(obj: &mut Obj) -> Result<Vec<ProtocolMapper>, Refusal> {
    let mut list: Vec<ProtocolMapper> = Vec::new();
    for mut entry in obj.objects("protocolMappers")?.unwrap_or_default() {
        entry.only(members::MAPPER, "ProtocolMapperRepresentation")?;
        let mapper = ProtocolMapper {
            id: MapperId::new(entry.text("id")?.unwrap_or_default()),
            name: name_of(&mut entry, "name")?,
            protocol: entry.text("protocol")?.unwrap_or_else(|| OIDC.to_owned()),
            protocol_mapper: name_of(&mut entry, "protocolMapper")?,
            consent_required: entry.flag("consentRequired")?.unwrap_or(false),
            config: entry.text_map("config")?.unwrap_or_default(),
            switches: Switches::default(),
        };
        if list.iter().any(|m| m.name == mapper.name) {
            return Err(entry.refuse("name", Reason::Taken("protocol mapper", mapper.name)));
        }
        list.push(mapper);
    }
    Ok(list)
}

/// One client scope of the file.
pub(super) struct FileScope {
    pub(super) place: String,
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) protocol: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) mappers: Vec<ProtocolMapper>,
}

impl FileScope {
    pub(super) fn list(file: &mut Obj) -> Result<Option<Vec<Self>>, Refusal> {
        let Some(list) = file.objects("clientScopes")? else {
            return Ok(None);
        };
        list.into_iter().map(Self::read).collect::<Result<_, _>>().map(Some)
    }

    fn read(mut obj: Obj) -> Result<Self, Refusal> {
        obj.only(members::SCOPE, "ClientScopeRepresentation")?;
        let name = name_of(&mut obj, "name")?;
        // RFC 6749 §3.3: scope-token is printable ASCII without blank, quote and backslash; Keycloak exports keep to it.
        if name.contains([' ', '"', '\\']) || name.chars().any(char::is_control) {
            let text = format!("Unexpected name \"{}\" for ClientScope", name.escape_debug());
            return Err(obj.refuse("name", Reason::NotAllowed(text)));
        }
        Ok(Self {
            place: obj.place.clone(),
            id: obj.text("id")?,
            name,
            description: obj.text("description")?,
            protocol: obj.text("protocol")?.unwrap_or_else(|| OIDC.to_owned()),
            attributes: obj.text_map("attributes")?.unwrap_or_default(),
            mappers: mappers(&mut obj)?,
        })
    }
}
