//! Client scopes with their mappers and the roles they let through.

use std::collections::{BTreeMap, HashMap};

use portcullis_core::ids::{ClientScopeId, RealmId};
use portcullis_core::plan::{Entity, Gate};
use portcullis_core::scope::ClientScope;
use serde::{Deserialize, Serialize};

use super::{Compile, grouped, json, ordinal};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Source, Step, Table, from_json, statements, values};

statements! {
    INSERT = "INSERT INTO client_scopes (realm_id, id, name, realm_default, doc) VALUES ($1, $2, $3, $4, $5)";
    INSERT_MAPPER = "INSERT INTO scope_mappers (realm_id, scope_id, ordinal, doc) VALUES ($1, $2, $3, $4)";
    INSERT_MAPPING = "INSERT INTO scope_scope_mappings (realm_id, scope_id, role_id, ordinal) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (realm_id, scope_id, role_id) DO NOTHING";
    OF_REALM = "SELECT id, name, realm_default, doc FROM client_scopes WHERE realm_id = $1";
    MAPPERS = "SELECT scope_id, doc FROM scope_mappers WHERE realm_id = $1 ORDER BY scope_id, ordinal";
    MAPPINGS = "SELECT scope_id, role_id FROM scope_scope_mappings WHERE realm_id = $1 ORDER BY scope_id, ordinal, role_id";
}

#[derive(Serialize, Deserialize)]
struct Doc {
    #[serde(default)]
    description: Option<String>,
    protocol: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

pub(super) fn create(out: &mut Compile<'_>, realm: &RealmId, scope: &ClientScope) -> Result<(), ApplyError> {
    let id = scope.id.as_str();
    let doc = Doc {
        description: scope.description.clone(),
        protocol: scope.protocol.clone(),
        attributes: scope.attributes.clone(),
    };
    let params = values![realm.as_str(), id, &scope.name, scope.realm_default, json(&doc)?];
    out.configures(realm);
    out.push(
        Step::new(Table::ClientScopes, Phase::Create, &INSERT, params)
            .key(id)
            .unique(Gate::Taken(Entity::ClientScope))
            .foreign(Gate::Gone(Entity::Realm)),
    );
    for (at, mapper) in scope.mappers.iter().enumerate() {
        let params = values![realm.as_str(), id, ordinal(at), json(mapper)?];
        out.push(
            Step::new(Table::ScopeParts, Phase::Create, &INSERT_MAPPER, params)
                .key(id)
                .foreign(Gate::Gone(Entity::ClientScope)),
        );
    }
    for (at, role) in scope.scope_mappings.iter().enumerate() {
        let params = values![realm.as_str(), id, role.as_str(), ordinal(at)];
        out.push(
            Step::new(Table::RoleParts, Phase::Create, &INSERT_MAPPING, params)
                .key(id)
                .foreign(Gate::Gone(Entity::Role)),
        );
    }
    Ok(())
}

pub(crate) fn of_realm(db: &dyn Source, realm: &RealmId) -> Result<Vec<ClientScope>, ReadError> {
    let mut mappers = grouped(db, &MAPPERS, realm)?;
    let mut mappings: HashMap<String, Vec<String>> = grouped(db, &MAPPINGS, realm)?;
    let rows = db.rows(&OF_REALM, values![realm.as_str()])?;
    rows.into_iter()
        .map(|mut row| {
            let id: ClientScopeId = row.id(0)?;
            let doc: Doc = row.json(3)?;
            Ok(ClientScope {
                name: row.text(1)?,
                description: doc.description,
                protocol: doc.protocol,
                attributes: doc.attributes,
                mappers: mappers
                    .remove(id.as_str())
                    .unwrap_or_default()
                    .iter()
                    .map(|text| from_json(text))
                    .collect::<Result<_, _>>()?,
                scope_mappings: super::ids(mappings.remove(id.as_str())),
                realm_default: row.opt_int(2)?.map(|flag| flag != 0),
                id,
            })
        })
        .collect()
}
