//! The master realm: its own contents, and what it gets for each other realm.

use serde_json::Value;

use super::clients::FileClient;
use super::defaults::Builtin;
use super::roles::FileRole;
use crate::client::{Client, ClientSettings};
use crate::entropy::{Entropy, uuid};
use crate::ids::{ClientUuid, RealmId, RoleId};
use crate::plan::Write;
use crate::realm::RealmSettings;
use crate::records::RealmRecords;
use crate::role::Role;

/// The name of the realm that administers the others.
pub const NAME: &str = "master";
/// Master's role that holds every right.
pub const ADMIN: &str = "admin";
/// Master's role that may create realms.
pub const CREATE_REALM: &str = "create-realm";

/// The administrative roles of one realm, without `realm-admin` (Keycloak 26.4.2: 18).
pub const REALM_ROLES: [&str; 18] = [
    "create-client",
    "impersonation",
    "manage-authorization",
    "manage-clients",
    "manage-events",
    "manage-identity-providers",
    "manage-realm",
    "manage-users",
    "query-clients",
    "query-groups",
    "query-realms",
    "query-users",
    "view-authorization",
    "view-clients",
    "view-events",
    "view-identity-providers",
    "view-realm",
    "view-users",
];

/// Roles inside an administrative role.
#[must_use]
pub fn inside(role: &str) -> &'static [&'static str] {
    match role {
        "view-clients" => &["query-clients"],
        "view-users" => &["query-groups", "query-users"],
        _ => &[],
    }
}

/// Master's client that stands for the realm `name`.
#[must_use]
pub fn realm_client_id(name: &str) -> String {
    format!("{name}-realm")
}

fn settings(name: &str) -> ClientSettings {
    ClientSettings {
        name: Some(format!("{name} Realm")),
        description: None,
        root_url: None,
        admin_url: None,
        base_url: None,
        surrogate_auth_required: false,
        enabled: true,
        always_display_in_console: false,
        client_authenticator_type: "client-secret".to_owned(),
        not_before: 0,
        bearer_only: true,
        consent_required: false,
        standard_flow_enabled: true,
        implicit_flow_enabled: false,
        direct_access_grants_enabled: false,
        service_accounts_enabled: false,
        public_client: false,
        frontchannel_logout: false,
        // Keycloak 26.4.2 leaves the protocol of these clients unset; empty text stands for it.
        protocol: String::new(),
        attributes: [("realm_client".to_owned(), "true".to_owned())].into(),
        full_scope_allowed: false,
        node_re_registration_timeout: 0,
        other: [("authenticationFlowBindingOverrides".to_owned(), Value::Object(serde_json::Map::new()))]
            .into_iter()
            .collect(),
    }
}

fn description(role: &str) -> Option<String> {
    Some(format!("${{role_{role}}}"))
}

/// Turns the contents of a fresh realm into those of master: `master-realm` instead of `realm-management`, two roles more.
pub(super) fn adapt(builtin: &mut Builtin, document: &mut RealmSettings) {
    let of_master = realm_client_id(NAME);
    builtin.clients.retain(|c| c.client_id != "realm-management");
    builtin.client_roles.retain(|(client, _)| client != "realm-management");
    builtin.clients.push(FileClient {
        place: String::new(),
        id: None,
        client_id: of_master.clone(),
        settings: settings(NAME),
        secret: None,
        redirect_uris: Vec::new(),
        web_origins: Vec::new(),
        mappers: Vec::new(),
        default_scopes: Some(Vec::new()),
        optional_scopes: Some(Vec::new()),
    });
    let role = |name: &str| FileRole { name: name.to_owned(), description: description(name), ..FileRole::default() };
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<String>>();
    let own = REALM_ROLES
        .iter()
        .map(|name| FileRole { client_composites: vec![(of_master.clone(), names(inside(name)))], ..role(name) })
        .collect();
    builtin.client_roles.push((of_master.clone(), own));
    builtin.realm_roles.push(role(CREATE_REALM));
    builtin.realm_roles.push(FileRole {
        realm_composites: names(&[CREATE_REALM]),
        client_composites: vec![(of_master, names(&REALM_ROLES))],
        ..role(ADMIN)
    });
    document.access_token_lifespan = 60;
    document.display_name = Some("Keycloak".to_owned());
    document.display_name_html = Some("<div class=\"kc-logo-text\"><span>Keycloak</span></div>".to_owned());
}

/// What master gets for the realm `name`: the client `{name}-realm`, its roles, and those roles in master's `admin`.
#[must_use]
pub fn for_realm(master: &RealmRecords, name: &str, entropy: &dyn Entropy) -> Vec<Write> {
    let realm = &master.realm.id;
    let client = Client {
        id: ClientUuid::new(uuid(entropy)),
        client_id: realm_client_id(name),
        version: 1,
        settings: settings(name),
        redirect_uris: Vec::new(),
        web_origins: Vec::new(),
        mappers: Vec::new(),
        default_scopes: Vec::new(),
        optional_scopes: Vec::new(),
        scope_mappings: Vec::new(),
        secret: None,
    };
    let uuid_of_client = client.id.clone();
    let mut writes = vec![Write::CreateClient(realm.clone(), client)];
    let roles: Vec<Role> = REALM_ROLES
        .iter()
        .map(|role| Role {
            id: RoleId::new(uuid(entropy)),
            name: (*role).to_owned(),
            description: description(role),
            client: Some(uuid_of_client.clone()),
            attributes: std::collections::BTreeMap::new(),
            composites: Vec::new(),
        })
        .collect();
    writes.extend(composites(realm, &roles));
    if let Some(admin) = master.roles.named(None, ADMIN) {
        let all = roles.iter().map(|r| r.id.clone()).collect();
        writes.push(Write::AddComposites(realm.clone(), admin.id.clone(), all));
    }
    writes.extend(roles.into_iter().map(|role| Write::CreateRole(realm.clone(), role)));
    writes
}

fn composites(realm: &RealmId, roles: &[Role]) -> Vec<Write> {
    let id = |name: &str| roles.iter().find(|r| r.name == name).map(|r| r.id.clone());
    roles
        .iter()
        .filter(|role| !inside(&role.name).is_empty())
        .map(|role| {
            let list = inside(&role.name).iter().filter_map(|name| id(name)).collect();
            Write::AddComposites(realm.clone(), role.id.clone(), list)
        })
        .collect()
}

/// Master's client of a realm that goes.
#[must_use]
pub fn without_realm(master: &RealmRecords, name: &str) -> Vec<Write> {
    master
        .client(&realm_client_id(name))
        .map(|client| Write::DeleteClient(master.realm.id.clone(), client.id.clone()))
        .into_iter()
        .collect()
}

/// What else changes when the realm gets the name `to`: master's client of it, and the addresses of its consoles.
#[must_use]
pub fn renamed(records: &RealmRecords, master: Option<&RealmRecords>, to: &str) -> Vec<Write> {
    let from = &records.realm.name;
    let mut writes = Vec::new();
    if let Some(master) = master
        && let Some(client) = master.client(&realm_client_id(from))
    {
        let mut client = client.clone();
        client.client_id = realm_client_id(to);
        writes.push(Write::UpdateClient(master.realm.id.clone(), client));
    }
    for client_id in ["account", "account-console", "security-admin-console"] {
        let Some(client) = records.client(client_id) else { continue };
        let mut client = client.clone();
        let moved = |uri: &str| {
            uri.replace(&format!("/realms/{from}/"), &format!("/realms/{to}/"))
                .replace(&format!("/admin/{from}/"), &format!("/admin/{to}/"))
        };
        client.settings.base_url = client.settings.base_url.as_deref().map(moved);
        for uri in &mut client.redirect_uris {
            *uri = moved(uri);
        }
        writes.push(Write::UpdateClient(records.realm.id.clone(), client));
    }
    writes
}
