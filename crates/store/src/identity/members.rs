//! Who hangs on what: members of groups, holders of roles, sessions of clients, users with an attribute.

use portcullis_core::ids::{RealmId, SessionId, UserId};
use portcullis_core::session_limits::Alive;

use crate::error::ReadError;
use crate::sql::{Source, Sql, Value, statements, values};

statements! {
    OF_GROUP = "SELECT m.user_id FROM user_groups m JOIN users u ON u.realm_id = $1 AND u.id = m.user_id \
                WHERE m.realm_id = $1 AND m.group_id = $2 ORDER BY u.username LIMIT $3 OFFSET $4";
    OF_ROLE = "SELECT m.user_id FROM user_roles m JOIN users u ON u.realm_id = $1 AND u.id = m.user_id \
               WHERE m.realm_id = $1 AND m.role_id = $2 ORDER BY u.username LIMIT $3 OFFSET $4";
    BY_ATTRIBUTE = "SELECT DISTINCT a.user_id, u.username FROM user_attributes a JOIN users u ON u.realm_id = $1 AND u.id = a.user_id \
                    WHERE a.realm_id = $1 AND a.name = $2 AND a.value = $3 ORDER BY u.username LIMIT $4 OFFSET $5";
    SESSIONS_OF_CLIENT = "SELECT k.session_id FROM client_sessions k \
                          JOIN user_sessions s ON s.realm_id = $1 AND s.id = k.session_id \
                          JOIN user_session_activity a ON a.realm_id = $1 AND a.session_id = k.session_id \
                          WHERE k.realm_id = $1 AND k.client_id = $2 AND s.offline = $3 \
                          AND s.started > CASE WHEN s.remember_me = 1 THEN $6 ELSE $4 END \
                          AND (a.last_seen > CASE WHEN s.remember_me = 1 THEN $7 ELSE $5 END \
                          OR EXISTS (SELECT 1 FROM client_session_activity c WHERE c.realm_id = $1 AND c.session_id = s.id \
                          AND c.last_refresh > CASE WHEN s.remember_me = 1 THEN $7 ELSE $5 END) \
                          OR EXISTS (SELECT 1 FROM lineages l WHERE l.realm_id = $1 AND l.session_id = s.id \
                          AND l.rotated_at > CASE WHEN s.remember_me = 1 THEN $7 ELSE $5 END)) \
                          ORDER BY k.session_id LIMIT $8 OFFSET $9";
    COUNT_OF_CLIENT = "SELECT COUNT(*) FROM client_sessions k \
                          JOIN user_sessions s ON s.realm_id = $1 AND s.id = k.session_id \
                          JOIN user_session_activity a ON a.realm_id = $1 AND a.session_id = k.session_id \
                          WHERE k.realm_id = $1 AND k.client_id = $2 AND s.offline = $3 \
                          AND s.started > CASE WHEN s.remember_me = 1 THEN $6 ELSE $4 END \
                          AND (a.last_seen > CASE WHEN s.remember_me = 1 THEN $7 ELSE $5 END \
                          OR EXISTS (SELECT 1 FROM client_session_activity c WHERE c.realm_id = $1 AND c.session_id = s.id \
                          AND c.last_refresh > CASE WHEN s.remember_me = 1 THEN $7 ELSE $5 END) \
                          OR EXISTS (SELECT 1 FROM lineages l WHERE l.realm_id = $1 AND l.session_id = s.id \
                          AND l.rotated_at > CASE WHEN s.remember_me = 1 THEN $7 ELSE $5 END))";
}

/// What a user is found by.
#[derive(Clone, Copy)]
pub(crate) enum Of<'a> {
    Group(&'a str),
    Role(&'a str),
    Attribute(&'a str, &'a str),
}

/// Users by username: `max` from `first` on.
pub(crate) fn users(
    db: &dyn Source,
    realm: &RealmId,
    of: Of<'_>,
    (first, max): (i64, i64),
) -> Result<Vec<UserId>, ReadError> {
    let realm = realm.as_str();
    let (sql, params): (&'static Sql, _) = match of {
        Of::Group(id) => (&OF_GROUP, values![realm, id, max, first]),
        Of::Role(id) => (&OF_ROLE, values![realm, id, max, first]),
        Of::Attribute(name, value) => (&BY_ATTRIBUTE, values![realm, name, value, max, first]),
    };
    let rows = db.rows(sql, params)?;
    rows.into_iter().map(|mut row| row.id(0)).collect()
}

fn alive_of(realm: &RealmId, client: &str, alive: &Alive) -> Vec<Value> {
    let (plain, remembered) = (alive.plain, alive.remembered);
    values![
        realm.as_str(),
        client,
        alive.offline,
        plain.started_after,
        plain.used_after,
        remembered.started_after,
        remembered.used_after,
    ]
}

/// User sessions that are alive and in which a client takes part.
pub(crate) fn sessions_of_client(
    db: &dyn Source,
    realm: &RealmId,
    client: &str,
    alive: &Alive,
    (first, max): (i64, i64),
) -> Result<Vec<SessionId>, ReadError> {
    let mut params = alive_of(realm, client, alive);
    params.extend(values![max, first]);
    let rows = db.rows(&SESSIONS_OF_CLIENT, params)?;
    rows.into_iter().map(|mut row| row.id(0)).collect()
}

/// How many there are.
pub(crate) fn count_of_client(db: &dyn Source, realm: &RealmId, client: &str, alive: &Alive) -> Result<i64, ReadError> {
    db.row(&COUNT_OF_CLIENT, alive_of(realm, client, alive))?.map_or(Ok(0), |row| row.int(0))
}
