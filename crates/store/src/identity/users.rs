//! Users with their roles, groups and searched attributes.

use portcullis_core::ids::{GroupId, RealmId, RoleId, UserId};
use portcullis_core::plan::{Entity, Gate};
use portcullis_core::user::User;

use super::{Compile, json, ordinal};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Row, Source, Sql, Step, Table, Value, statements, values};

statements! {
    SERVICE_ACCOUNT = "SELECT id FROM users WHERE realm_id = $1 AND service_account_client = $2";
    EXPECT = "UPDATE users SET version = version WHERE realm_id = $1 AND id = $2 AND version = $3";
    INSERT = "INSERT INTO users (realm_id, id, username, email, email_key, version, enabled, not_before, service_account_client, search, doc) \
              VALUES ($1, $2, $4, $5, CASE WHEN (SELECT r.duplicate_emails FROM realms r WHERE r.realm_id = $1) = 0 THEN $5 END, \
              $3, $6, $7, $8, $9, $10)";
    UPDATE = "UPDATE users SET username = $4, email = $5, \
              email_key = CASE WHEN (SELECT r.duplicate_emails FROM realms r WHERE r.realm_id = $1) = 0 THEN $5 END, \
              version = version + 1, enabled = $6, not_before = $7, service_account_client = $8, search = $9, doc = $10 \
              WHERE realm_id = $1 AND id = $2 AND version = $3";
    RAISE = "UPDATE users SET version = version + 1 WHERE realm_id = $1 AND id = $2";
    DELETE = "DELETE FROM users WHERE realm_id = $1 AND id = $2";
    INSERT_ROLE = "INSERT INTO user_roles (realm_id, user_id, role_id, ordinal) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (realm_id, user_id, role_id) DO NOTHING";
    INSERT_GROUP = "INSERT INTO user_groups (realm_id, user_id, group_id, ordinal) VALUES ($1, $2, $3, $4) \
                    ON CONFLICT (realm_id, user_id, group_id) DO NOTHING";
    INSERT_ATTRIBUTE = "INSERT INTO user_attributes (realm_id, user_id, name, ordinal, value) VALUES ($1, $2, $3, $4, $5)";
    CLEAR_ROLES = "DELETE FROM user_roles WHERE realm_id = $1 AND user_id = $2";
    CLEAR_GROUPS = "DELETE FROM user_groups WHERE realm_id = $1 AND user_id = $2";
    CLEAR_ATTRIBUTES = "DELETE FROM user_attributes WHERE realm_id = $1 AND user_id = $2";
    BY_ID = "SELECT id, username, email, version, enabled, not_before, service_account_client, doc \
             FROM users WHERE realm_id = $1 AND id = $2";
    BY_USERNAME = "SELECT id, username, email, version, enabled, not_before, service_account_client, doc \
                   FROM users WHERE realm_id = $1 AND username = $2";
    BY_EMAIL = "SELECT id, username, email, version, enabled, not_before, service_account_client, doc \
                FROM users WHERE realm_id = $1 AND email = $2 ORDER BY username LIMIT 1";
    WINDOW_END = "SELECT username FROM users WHERE realm_id = $1 AND username > $2 ORDER BY username LIMIT 1 OFFSET $3";
    FIND = "SELECT id, username, email, version, enabled, not_before, service_account_client, doc FROM users \
            WHERE realm_id = $1 AND username > $2 AND username <= $3 AND search LIKE $4 ESCAPE '!' AND username LIKE $5 ESCAPE '!' \
            AND COALESCE(email, '') LIKE $6 ESCAPE '!' AND ($7 = 1 OR service_account_client IS NULL) AND ($8 = 2 OR enabled = $8) \
            ORDER BY username LIMIT $9 OFFSET $10";
    COUNT = "SELECT COUNT(*) FROM users \
             WHERE realm_id = $1 AND username > $2 AND username <= $3 AND search LIKE $4 ESCAPE '!' AND username LIKE $5 ESCAPE '!' \
             AND COALESCE(email, '') LIKE $6 ESCAPE '!' AND ($7 = 1 OR service_account_client IS NULL) AND ($8 = 2 OR enabled = $8)";
    ROLES = "SELECT role_id FROM user_roles WHERE realm_id = $1 AND user_id = $2 ORDER BY ordinal, role_id";
    GROUPS = "SELECT group_id FROM user_groups WHERE realm_id = $1 AND user_id = $2 ORDER BY ordinal, group_id";
}

const STALE: Gate = Gate::Stale(Entity::User);
const GONE: Gate = Gate::Gone(Entity::User);

/// Attribute values longer than this are kept in the document and not searched.
const SEARCHED_LENGTH: usize = 255;

pub(super) fn expect(out: &mut Compile<'_>, realm: &RealmId, id: &UserId, version: i64) {
    let params = values![realm.as_str(), id.as_str(), version];
    out.push(Step::new(Table::Users, Phase::Expect, &EXPECT, params).key(id.as_str()).one(STALE));
}

/// Lower-case words that an administrator's search looks in.
fn search_text(user: &User) -> String {
    let parts = [
        Some(user.username.as_str()),
        user.email.as_deref(),
        user.settings.first_name.as_deref(),
        user.settings.last_name.as_deref(),
    ];
    let words: Vec<String> = parts.into_iter().flatten().map(str::to_lowercase).collect();
    words.join(" ")
}

fn columns(realm: &RealmId, user: &User) -> Result<Vec<Value>, ApplyError> {
    Ok(values![
        realm.as_str(),
        user.id.as_str(),
        user.version,
        &user.username,
        user.email.as_ref(),
        user.enabled,
        user.not_before,
        user.service_account_client.as_ref().map(AsRef::<str>::as_ref),
        search_text(user),
        json(&user.settings)?,
    ])
}

const fn parent(user: &User) -> Gate {
    Gate::Gone(if user.service_account_client.is_some() { Entity::Client } else { Entity::Realm })
}

pub(super) fn create(out: &mut Compile<'_>, realm: &RealmId, user: &User) -> Result<(), ApplyError> {
    out.push(
        Step::new(Table::Users, Phase::Create, &INSERT, columns(realm, user)?)
            .key(user.id.as_str())
            .unique(Gate::Taken(Entity::User))
            .foreign(parent(user)),
    );
    parts(out, realm, user);
    Ok(())
}

pub(super) fn update(out: &mut Compile<'_>, realm: &RealmId, user: &User) -> Result<(), ApplyError> {
    let id = user.id.as_str();
    out.push(
        Step::new(Table::Users, Phase::Update, &UPDATE, columns(realm, user)?)
            .key(id)
            .one(STALE)
            .unique(Gate::Taken(Entity::User))
            .foreign(parent(user)),
    );
    for sql in [&CLEAR_ROLES, &CLEAR_GROUPS, &CLEAR_ATTRIBUTES] {
        let params = values![realm.as_str(), id];
        out.push(Step::new(Table::UserParts, Phase::Delete, sql, params).key(id));
    }
    parts(out, realm, user);
    Ok(())
}

fn parts(out: &mut Compile<'_>, realm: &RealmId, user: &User) {
    let id = user.id.as_str();
    let mut part = |sql: &'static Sql, params, gate| {
        out.push(Step::new(Table::UserParts, Phase::Create, sql, params).key(id).foreign(gate));
    };
    for (at, role) in user.roles.iter().enumerate() {
        let params = values![realm.as_str(), id, role.as_str(), ordinal(at)];
        part(&INSERT_ROLE, params, Gate::Gone(Entity::Role));
    }
    for (at, group) in user.groups.iter().enumerate() {
        let params = values![realm.as_str(), id, group.as_str(), ordinal(at)];
        part(&INSERT_GROUP, params, Gate::Gone(Entity::Group));
    }
    for (name, texts) in &user.settings.attributes {
        for (at, text) in texts.iter().enumerate() {
            if text.len() <= SEARCHED_LENGTH {
                let params = values![realm.as_str(), id, name, ordinal(at), text];
                part(&INSERT_ATTRIBUTE, params, GONE);
            }
        }
    }
}

pub(super) fn delete(out: &mut Compile<'_>, realm: &RealmId, id: &UserId) {
    let params = values![realm.as_str(), id.as_str()];
    out.push(Step::new(Table::Users, Phase::Delete, &DELETE, params).key(id.as_str()).one(GONE));
}

/// Something below the user changed.
pub(super) fn raise(realm: &RealmId, id: &UserId) -> Step {
    let params = values![realm.as_str(), id.as_str()];
    Step::new(Table::Users, Phase::Raise, &RAISE, params).key(id.as_str())
}

/// The record without its roles and groups.
pub(super) fn bare(mut row: Row) -> Result<User, ReadError> {
    Ok(User {
        id: row.id(0)?,
        username: row.text(1)?,
        email: row.opt_text(2)?,
        version: row.int(3)?,
        enabled: row.flag(4)?,
        not_before: row.int(5)?,
        service_account_client: row.opt_id(6)?,
        settings: row.json(7)?,
        roles: Vec::new(),
        groups: Vec::new(),
    })
}

/// The record with its roles and groups.
pub(super) fn whole(db: &dyn Source, realm: &RealmId, user: User) -> Result<User, ReadError> {
    let list = |sql| db.rows(sql, values![realm.as_str(), user.id.as_str()]);
    let roles: Vec<RoleId> = list(&ROLES)?.into_iter().map(|mut row| row.id(0)).collect::<Result<_, _>>()?;
    let groups: Vec<GroupId> = list(&GROUPS)?.into_iter().map(|mut row| row.id(0)).collect::<Result<_, _>>()?;
    Ok(User { roles, groups, ..user })
}

/// Which of a user's names is asked for.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Id,
    Username,
    Email,
}

pub(crate) fn one(db: &dyn Source, realm: &RealmId, by: By, name: &str) -> Result<Option<User>, ReadError> {
    let sql = match by {
        By::Id => &BY_ID,
        By::Username => &BY_USERNAME,
        By::Email => &BY_EMAIL,
    };
    db.row(sql, values![realm.as_str(), name])?.map(|row| whole(db, realm, bare(row)?)).transpose()
}

/// The id of a user by what it is looked up by. By its id it is not asked whether it is there.
pub(crate) fn id(db: &dyn Source, realm: &RealmId, by: Known, name: &str) -> Result<Option<UserId>, ReadError> {
    match by {
        Known::Id => Ok(Some(UserId::new(name))),
        Known::ServiceAccountOf => {
            db.row(&SERVICE_ACCOUNT, values![realm.as_str(), name])?.map(|mut row| row.id(0)).transpose()
        }
    }
}

/// By what a user is looked up whose record is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Id,
    ServiceAccountOf,
}
