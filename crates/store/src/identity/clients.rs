//! Clients with their collections; the secret is sealed.

use portcullis_core::client::Client;
use portcullis_core::ids::{ClientScopeId, ClientUuid, RealmId, RoleId};
use portcullis_core::plan::{Entity, Gate};
use portcullis_core::secret::Secret;

use super::{Compile, grouped, ids, json, ordinal, unseal_text};
use crate::error::{ApplyError, ReadError};
use crate::sealing::{Cell, Sealer};
use crate::sql::{Phase, Source, Sql, Step, Table, from_json, statements, values};

statements! {
    EXPECT = "UPDATE clients SET version = version WHERE realm_id = $1 AND id = $2 AND version = $3";
    INSERT = "INSERT INTO clients (realm_id, id, client_id, version, secret, doc) VALUES ($1, $2, $3, $4, $5, $6)";
    UPDATE = "UPDATE clients SET client_id = $4, version = version + 1, secret = $5, doc = $6 \
              WHERE realm_id = $1 AND id = $2 AND version = $3";
    RAISE = "UPDATE clients SET version = version + 1 WHERE realm_id = $1 AND id = $2";
    DELETE = "DELETE FROM clients WHERE realm_id = $1 AND id = $2";
    INSERT_REDIRECT = "INSERT INTO client_redirect_uris (realm_id, client_id, ordinal, value) VALUES ($1, $2, $3, $4)";
    INSERT_ORIGIN = "INSERT INTO client_web_origins (realm_id, client_id, ordinal, value) VALUES ($1, $2, $3, $4)";
    INSERT_MAPPER = "INSERT INTO client_mappers (realm_id, client_id, ordinal, doc) VALUES ($1, $2, $3, $4)";
    INSERT_LINK = "INSERT INTO client_scope_links (realm_id, client_id, scope_id, is_default, ordinal) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (realm_id, client_id, scope_id) DO NOTHING";
    INSERT_MAPPING = "INSERT INTO client_scope_mappings (realm_id, client_id, role_id, ordinal) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (realm_id, client_id, role_id) DO NOTHING";
    ADD_MAPPING = "INSERT INTO client_scope_mappings (realm_id, client_id, role_id, ordinal) VALUES ($1, $2, $3, \
                   (SELECT COALESCE(MAX(m.ordinal), -1) + 1 FROM client_scope_mappings m WHERE m.realm_id = $1 AND m.client_id = $2)) \
                   ON CONFLICT (realm_id, client_id, role_id) DO NOTHING";
    CLEAR_REDIRECTS = "DELETE FROM client_redirect_uris WHERE realm_id = $1 AND client_id = $2";
    CLEAR_ORIGINS = "DELETE FROM client_web_origins WHERE realm_id = $1 AND client_id = $2";
    CLEAR_MAPPERS = "DELETE FROM client_mappers WHERE realm_id = $1 AND client_id = $2";
    CLEAR_LINKS = "DELETE FROM client_scope_links WHERE realm_id = $1 AND client_id = $2";
    CLEAR_MAPPINGS = "DELETE FROM client_scope_mappings WHERE realm_id = $1 AND client_id = $2";
    OF_REALM = "SELECT id, client_id, version, secret, doc FROM clients WHERE realm_id = $1";
    REDIRECTS = "SELECT client_id, value FROM client_redirect_uris WHERE realm_id = $1 ORDER BY client_id, ordinal";
    ORIGINS = "SELECT client_id, value FROM client_web_origins WHERE realm_id = $1 ORDER BY client_id, ordinal";
    MAPPERS = "SELECT client_id, doc FROM client_mappers WHERE realm_id = $1 ORDER BY client_id, ordinal";
    DEFAULT_LINKS = "SELECT client_id, scope_id FROM client_scope_links WHERE realm_id = $1 AND is_default = 1 ORDER BY client_id, ordinal";
    OPTIONAL_LINKS = "SELECT client_id, scope_id FROM client_scope_links WHERE realm_id = $1 AND is_default = 0 ORDER BY client_id, ordinal";
    MAPPINGS = "SELECT client_id, role_id FROM client_scope_mappings WHERE realm_id = $1 ORDER BY client_id, ordinal, role_id";
}

const STALE: Gate = Gate::Stale(Entity::Client);
const GONE: Gate = Gate::Gone(Entity::Client);

pub(super) const fn cell<'a>(realm: &'a str, id: &'a str) -> Cell<'a> {
    Cell { table: "clients", column: "secret", realm, row: id }
}

fn sealed_secret(out: &Compile<'_>, realm: &RealmId, client: &Client) -> Result<Option<String>, ApplyError> {
    client
        .secret
        .as_ref()
        .map(|s| out.seal(cell(realm.as_str(), client.id.as_str()), s.expose().as_bytes()))
        .transpose()
}

pub(super) fn expect(out: &mut Compile<'_>, realm: &RealmId, id: &ClientUuid, version: i64) {
    let params = values![realm.as_str(), id.as_str(), version];
    out.push(Step::new(Table::Clients, Phase::Expect, &EXPECT, params).key(id.as_str()).one(STALE));
}

pub(super) fn create(out: &mut Compile<'_>, realm: &RealmId, client: &Client) -> Result<(), ApplyError> {
    let params = values![
        realm.as_str(),
        client.id.as_str(),
        &client.client_id,
        client.version,
        sealed_secret(out, realm, client)?,
        json(&client.settings)?,
    ];
    out.configures(realm);
    out.push(
        Step::new(Table::Clients, Phase::Create, &INSERT, params)
            .key(client.id.as_str())
            .unique(Gate::Taken(Entity::Client))
            .foreign(Gate::Gone(Entity::Realm)),
    );
    parts(out, realm, client)
}

pub(super) fn update(out: &mut Compile<'_>, realm: &RealmId, client: &Client) -> Result<(), ApplyError> {
    let id = client.id.as_str();
    let params = values![
        realm.as_str(),
        id,
        client.version,
        &client.client_id,
        sealed_secret(out, realm, client)?,
        json(&client.settings)?,
    ];
    out.configures(realm);
    out.push(
        Step::new(Table::Clients, Phase::Update, &UPDATE, params)
            .key(id)
            .one(STALE)
            .unique(Gate::Taken(Entity::Client)),
    );
    let clears: [(Table, &'static Sql); 5] = [
        (Table::ClientParts, &CLEAR_REDIRECTS),
        (Table::ClientParts, &CLEAR_ORIGINS),
        (Table::ClientParts, &CLEAR_MAPPERS),
        (Table::ClientParts, &CLEAR_LINKS),
        (Table::RoleParts, &CLEAR_MAPPINGS),
    ];
    for (table, sql) in clears {
        out.push(Step::new(table, Phase::Delete, sql, values![realm.as_str(), id]).key(id));
    }
    parts(out, realm, client)
}

/// The rows below a client; scope mappings wait for the roles of the same plan.
fn parts(out: &mut Compile<'_>, realm: &RealmId, client: &Client) -> Result<(), ApplyError> {
    let id = client.id.as_str();
    let mut part = |sql: &'static Sql, params, gate| {
        out.push(Step::new(Table::ClientParts, Phase::Create, sql, params).key(id).foreign(gate));
    };
    for (at, uri) in client.redirect_uris.iter().enumerate() {
        let params = values![realm.as_str(), id, ordinal(at), uri];
        part(&INSERT_REDIRECT, params, GONE);
    }
    for (at, origin) in client.web_origins.iter().enumerate() {
        let params = values![realm.as_str(), id, ordinal(at), origin];
        part(&INSERT_ORIGIN, params, GONE);
    }
    for (at, mapper) in client.mappers.iter().enumerate() {
        let params = values![realm.as_str(), id, ordinal(at), json(mapper)?];
        part(&INSERT_MAPPER, params, GONE);
    }
    let links: [(&[ClientScopeId], bool); 2] = [(&client.default_scopes, true), (&client.optional_scopes, false)];
    for (scopes, is_default) in links {
        for (at, scope) in scopes.iter().enumerate() {
            let params = values![realm.as_str(), id, scope.as_str(), is_default, ordinal(at)];
            part(&INSERT_LINK, params, Gate::Gone(Entity::ClientScope));
        }
    }
    for (at, role) in client.scope_mappings.iter().enumerate() {
        let params = values![realm.as_str(), id, role.as_str(), ordinal(at)];
        out.push(
            Step::new(Table::RoleParts, Phase::Create, &INSERT_MAPPING, params)
                .key(id)
                .foreign(Gate::Gone(Entity::Role)),
        );
    }
    Ok(())
}

pub(super) fn delete(out: &mut Compile<'_>, realm: &RealmId, id: &ClientUuid) {
    let params = values![realm.as_str(), id.as_str()];
    out.configures(realm);
    out.push(Step::new(Table::Clients, Phase::Delete, &DELETE, params).key(id.as_str()).one(GONE));
}

pub(super) fn add_scope_mappings(out: &mut Compile<'_>, realm: &RealmId, id: &ClientUuid, roles: &[RoleId]) {
    out.configures(realm);
    let params = values![realm.as_str(), id.as_str()];
    out.push(Step::new(Table::Clients, Phase::Raise, &RAISE, params).key(id.as_str()).one(GONE));
    for role in roles {
        let params = values![realm.as_str(), id.as_str(), role.as_str()];
        out.push(
            Step::new(Table::RoleParts, Phase::Update, &ADD_MAPPING, params)
                .key(id.as_str())
                .foreign(Gate::Gone(Entity::Role)),
        );
    }
}

pub(crate) fn of_realm(db: &dyn Source, realm: &RealmId, sealer: &Sealer) -> Result<Vec<Client>, ReadError> {
    let mut redirects = grouped(db, &REDIRECTS, realm)?;
    let mut origins = grouped(db, &ORIGINS, realm)?;
    let mut mappers = grouped(db, &MAPPERS, realm)?;
    let mut defaults = grouped(db, &DEFAULT_LINKS, realm)?;
    let mut optionals = grouped(db, &OPTIONAL_LINKS, realm)?;
    let mut mappings = grouped(db, &MAPPINGS, realm)?;
    let rows = db.rows(&OF_REALM, values![realm.as_str()])?;
    rows.into_iter()
        .map(|mut row| {
            let id: ClientUuid = row.id(0)?;
            let key = id.as_str();
            let secret = match row.opt_text(3)? {
                Some(sealed) => Some(Secret::new(unseal_text(sealer, cell(realm.as_str(), key), &sealed)?)),
                None => None,
            };
            Ok(Client {
                client_id: row.text(1)?,
                version: row.int(2)?,
                settings: row.json(4)?,
                redirect_uris: redirects.remove(key).unwrap_or_default(),
                web_origins: origins.remove(key).unwrap_or_default(),
                mappers: mappers
                    .remove(key)
                    .unwrap_or_default()
                    .iter()
                    .map(|text| from_json(text))
                    .collect::<Result<_, _>>()?,
                default_scopes: ids(defaults.remove(key)),
                optional_scopes: ids(optionals.remove(key)),
                scope_mappings: ids(mappings.remove(key)),
                secret,
                id,
            })
        })
        .collect()
}
