//! The tree of groups and the roles their members inherit.

use std::collections::BTreeMap;

use portcullis_core::group::{Group, Groups};
use portcullis_core::ids::{GroupId, RealmId};
use portcullis_core::plan::{Entity, Gate};

use super::{Compile, grouped, ids, json, ordinal};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Source, Step, Table, statements, values};

statements! {
    INSERT = "INSERT INTO groups_tree (realm_id, id, name, parent_id, container, doc) VALUES ($1, $2, $3, $4, $5, $6)";
    DELETE = "DELETE FROM groups_tree WHERE realm_id = $1 AND id = $2";
    INSERT_ROLE = "INSERT INTO group_roles (realm_id, group_id, role_id, ordinal) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (realm_id, group_id, role_id) DO NOTHING";
    OF_REALM = "SELECT id, name, parent_id, doc FROM groups_tree WHERE realm_id = $1";
    ROLES = "SELECT group_id, role_id FROM group_roles WHERE realm_id = $1 ORDER BY group_id, ordinal, role_id";
}

/// Groups keep the plan's order (no sort key): parents come first there.
pub(super) fn create(out: &mut Compile<'_>, realm: &RealmId, group: &Group) -> Result<(), ApplyError> {
    let parent = group.parent.as_ref().map(AsRef::<str>::as_ref);
    let params = values![
        realm.as_str(),
        group.id.as_str(),
        &group.name,
        parent,
        parent.unwrap_or_default(),
        json(&group.attributes)?,
    ];
    let above = if group.parent.is_some() { Entity::Group } else { Entity::Realm };
    out.configures(realm);
    out.push(
        Step::new(Table::Groups, Phase::Create, &INSERT, params)
            .unique(Gate::Taken(Entity::Group))
            .foreign(Gate::Gone(above)),
    );
    for (at, role) in group.roles.iter().enumerate() {
        let params = values![realm.as_str(), group.id.as_str(), role.as_str(), ordinal(at)];
        out.push(
            Step::new(Table::GroupParts, Phase::Create, &INSERT_ROLE, params)
                .key(group.id.as_str())
                .foreign(Gate::Gone(Entity::Role)),
        );
    }
    Ok(())
}

pub(super) fn delete(out: &mut Compile<'_>, realm: &RealmId, group: &GroupId) {
    let params = values![realm.as_str(), group.as_str()];
    out.configures(realm);
    out.push(Step::new(Table::Groups, Phase::Delete, &DELETE, params).one(Gate::Gone(Entity::Group)));
}

pub(crate) fn of_realm(db: &dyn Source, realm: &RealmId) -> Result<Groups, ReadError> {
    let mut roles = grouped(db, &ROLES, realm)?;
    let rows = db.rows(&OF_REALM, values![realm.as_str()])?;
    let groups: Vec<Group> = rows
        .into_iter()
        .map(|mut row| {
            let id: GroupId = row.id(0)?;
            let attributes: BTreeMap<String, Vec<String>> = row.json(3)?;
            Ok(Group {
                name: row.text(1)?,
                parent: row.opt_id(2)?,
                attributes,
                roles: ids(roles.remove(id.as_str())),
                id,
            })
        })
        .collect::<Result<_, ReadError>>()?;
    Ok(Groups::new(groups))
}
