//! Realm rows.

use portcullis_core::ids::RealmId;
use portcullis_core::plan::{Entity, Gate};
use portcullis_core::realm::{Realm, RealmState};

use super::{Compile, json};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Row, Source, Step, Table, statements, values};

statements! {
    EXPECT = "UPDATE realms SET version = version WHERE realm_id = $1 AND version = $2";
    INSERT = "INSERT INTO realms (realm_id, name, version, state, default_role, default_groups, duplicate_emails, doc) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    UPDATE = "UPDATE realms SET name = $3, version = version + 1, default_role = $4, default_groups = $5, \
              duplicate_emails = $6, doc = $7 WHERE realm_id = $1 AND version = $2";
    SET_STATE = "UPDATE realms SET state = $3 WHERE realm_id = $1 AND state = $2";
    EMPTY = "UPDATE realms SET state = 2 WHERE realm_id = $1";
    DELETE_EMPTIED = "DELETE FROM realms WHERE realm_id = $1 AND state = 2";
    BY_NAME = "SELECT realm_id, name, version, state, default_role, default_groups, doc FROM realms WHERE name = $1 AND state = 1";
    BY_ID = "SELECT realm_id, name, version, state, default_role, default_groups, doc FROM realms WHERE realm_id = $1";
    NAMES = "SELECT realm_id, name FROM realms WHERE state = 1 ORDER BY name";
    ALL_IDS = "SELECT realm_id FROM realms ORDER BY realm_id";
    EMPTYING =  "SELECT realm_id FROM realms WHERE state <> 1 ORDER BY realm_id";
}

const STALE: Gate = Gate::Stale(Entity::Realm);

fn step(phase: Phase, sql: &'static crate::sql::Sql, params: Vec<crate::sql::Value>) -> Step {
    Step::new(Table::Realms, phase, sql, params)
}

pub(super) fn expect(out: &mut Compile<'_>, realm: &RealmId, version: i64) {
    let params = values![realm.as_str(), version];
    out.push(step(Phase::Expect, &EXPECT, params).one(STALE));
}

pub(super) fn create(out: &mut Compile<'_>, realm: &Realm) -> Result<(), ApplyError> {
    let params = values![
        realm.id.as_str(),
        &realm.name,
        realm.version,
        realm.state.code(),
        realm.default_role.as_ref().map(AsRef::as_ref),
        json(&realm.default_groups)?,
        realm.settings.duplicate_emails_allowed,
        json(&realm.settings)?,
    ];
    out.configures(&realm.id);
    out.push(step(Phase::Create, &INSERT, params).unique(Gate::Taken(Entity::Realm)));
    Ok(())
}

pub(super) fn update(out: &mut Compile<'_>, realm: &Realm) -> Result<(), ApplyError> {
    let params = values![
        realm.id.as_str(),
        realm.version,
        &realm.name,
        realm.default_role.as_ref().map(AsRef::as_ref),
        json(&realm.default_groups)?,
        realm.settings.duplicate_emails_allowed,
        json(&realm.settings)?,
    ];
    out.configures(&realm.id);
    out.push(step(Phase::Update, &UPDATE, params).one(STALE).unique(Gate::Taken(Entity::Realm)));
    Ok(())
}

pub(super) fn set_state(out: &mut Compile<'_>, realm: &RealmId, from: RealmState, to: RealmState) {
    let params = values![realm.as_str(), from.code(), to.code()];
    out.configures(realm);
    out.push(step(Phase::Update, &SET_STATE, params).one(STALE));
}

/// Makes a realm invisible for good.
pub(crate) fn empty(realm: &RealmId) -> Step {
    step(Phase::Update, &EMPTY, values![realm.as_str()])
}

/// The last row of an emptied realm.
pub(crate) fn delete_emptied(realm: &RealmId) -> Step {
    step(Phase::Delete, &DELETE_EMPTIED, values![realm.as_str()])
}

fn realm(mut row: Row) -> Result<Realm, ReadError> {
    Ok(Realm {
        id: row.id(0)?,
        name: row.text(1)?,
        version: row.int(2)?,
        state: RealmState::from_code(row.int(3)?),
        default_role: row.opt_id(4)?,
        default_groups: row.json(5)?,
        settings: row.json(6)?,
    })
}

pub(crate) fn ready_by_name(db: &dyn Source, name: &str) -> Result<Option<Realm>, ReadError> {
    db.row(&BY_NAME, values![name])?.map(realm).transpose()
}

pub(crate) fn by_id(db: &dyn Source, id: &RealmId) -> Result<Option<Realm>, ReadError> {
    db.row(&BY_ID, values![id.as_str()])?.map(realm).transpose()
}

pub(crate) fn names(db: &dyn Source) -> Result<Vec<(RealmId, String)>, ReadError> {
    let rows = db.rows(&NAMES, values![])?;
    rows.into_iter().map(|mut row| Ok((row.id(0)?, row.text(1)?))).collect()
}

/// Every realm, in any state.
pub(crate) fn all_ids(db: &dyn Source) -> Result<Vec<RealmId>, ReadError> {
    let rows = db.rows(&ALL_IDS, values![])?;
    rows.into_iter().map(|mut row| row.id(0)).collect()
}

pub(crate) fn emptying(db: &dyn Source) -> Result<Vec<RealmId>, ReadError> {
    let rows = db.rows(&EMPTYING, values![])?;
    rows.into_iter().map(|mut row| row.id(0)).collect()
}
