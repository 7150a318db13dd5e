//! Roles and their composites.

use std::collections::BTreeMap;

use portcullis_core::ids::{RealmId, RoleId};
use portcullis_core::plan::{Entity, Gate};
use portcullis_core::role::{Role, Roles};
use serde::{Deserialize, Serialize};

use super::{Compile, grouped, ids, json};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Source, Step, Table, statements, values};

statements! {
    INSERT = "INSERT INTO roles (realm_id, id, name, client_id, container, doc) VALUES ($1, $2, $3, $4, $5, $6)";
    DELETE = "DELETE FROM roles WHERE realm_id = $1 AND id = $2";
    ADD_COMPOSITE = "INSERT INTO role_composites (realm_id, role_id, child_id, ordinal) VALUES ($1, $2, $3, \
                     (SELECT COALESCE(MAX(c.ordinal), -1) + 1 FROM role_composites c WHERE c.realm_id = $1 AND c.role_id = $2)) \
                     ON CONFLICT (realm_id, role_id, child_id) DO NOTHING";
    OF_REALM = "SELECT id, name, client_id, doc FROM roles WHERE realm_id = $1";
    COMPOSITES = "SELECT role_id, child_id FROM role_composites WHERE realm_id = $1 ORDER BY role_id, ordinal, child_id";
}

#[derive(Serialize, Deserialize)]
struct Doc {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, Vec<String>>,
}

pub(super) fn create(out: &mut Compile<'_>, realm: &RealmId, role: &Role) -> Result<(), ApplyError> {
    let doc = Doc { description: role.description.clone(), attributes: role.attributes.clone() };
    let client = role.client.as_ref().map(AsRef::<str>::as_ref);
    let params =
        values![realm.as_str(), role.id.as_str(), &role.name, client, client.unwrap_or_default(), json(&doc)?,];
    let parent = if role.client.is_some() { Entity::Client } else { Entity::Realm };
    out.configures(realm);
    out.push(
        Step::new(Table::Roles, Phase::Create, &INSERT, params)
            .key(role.id.as_str())
            .unique(Gate::Taken(Entity::Role))
            .foreign(Gate::Gone(parent)),
    );
    Ok(())
}

pub(super) fn add_composites(out: &mut Compile<'_>, realm: &RealmId, role: &RoleId, children: &[RoleId]) {
    out.configures(realm);
    for child in children {
        let params = values![realm.as_str(), role.as_str(), child.as_str()];
        out.push(
            Step::new(Table::RoleParts, Phase::Create, &ADD_COMPOSITE, params)
                .key(role.as_str())
                .foreign(Gate::Gone(Entity::Role)),
        );
    }
}

pub(super) fn delete(out: &mut Compile<'_>, realm: &RealmId, role: &RoleId) {
    let params = values![realm.as_str(), role.as_str()];
    out.configures(realm);
    out.push(Step::new(Table::Roles, Phase::Delete, &DELETE, params).key(role.as_str()).one(Gate::Gone(Entity::Role)));
}

pub(crate) fn of_realm(db: &dyn Source, realm: &RealmId) -> Result<Roles, ReadError> {
    let mut composites = grouped(db, &COMPOSITES, realm)?;
    let rows = db.rows(&OF_REALM, values![realm.as_str()])?;
    let roles: Vec<Role> = rows
        .into_iter()
        .map(|mut row| {
            let id: RoleId = row.id(0)?;
            let doc: Doc = row.json(3)?;
            Ok(Role {
                name: row.text(1)?,
                description: doc.description,
                client: row.opt_id(2)?,
                attributes: doc.attributes,
                composites: ids(composites.remove(id.as_str())),
                id,
            })
        })
        .collect::<Result<_, ReadError>>()?;
    Ok(Roles::new(roles))
}
