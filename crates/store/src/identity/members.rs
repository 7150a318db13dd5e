//! Who hangs on what: members of groups, holders of roles, sessions of clients, users with an attribute.

use portcullis_core::ids::{RealmId, SessionId, UserId};

use crate::error::ReadError;
use crate::sql::{Source, Sql, statements, values};

statements! {
    OF_GROUP = "SELECT m.user_id FROM user_groups m JOIN users u ON u.realm_id = $1 AND u.id = m.user_id \
                WHERE m.realm_id = $1 AND m.group_id = $2 ORDER BY u.username LIMIT $3 OFFSET $4";
    OF_ROLE = "SELECT m.user_id FROM user_roles m JOIN users u ON u.realm_id = $1 AND u.id = m.user_id \
               WHERE m.realm_id = $1 AND m.role_id = $2 ORDER BY u.username LIMIT $3 OFFSET $4";
    BY_ATTRIBUTE = "SELECT DISTINCT a.user_id, u.username FROM user_attributes a JOIN users u ON u.realm_id = $1 AND u.id = a.user_id \
                    WHERE a.realm_id = $1 AND a.name = $2 AND a.value = $3 ORDER BY u.username LIMIT $4 OFFSET $5";
    SESSIONS_OF_CLIENT = "SELECT session_id FROM client_sessions WHERE realm_id = $1 AND client_id = $2 \
                          ORDER BY session_id LIMIT $3 OFFSET $4";
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

/// User sessions in which a client takes part.
pub(crate) fn sessions_of_client(
    db: &dyn Source,
    realm: &RealmId,
    client: &str,
    (first, max): (i64, i64),
) -> Result<Vec<SessionId>, ReadError> {
    let params = values![realm.as_str(), client, max, first];
    let rows = db.rows(&SESSIONS_OF_CLIENT, params)?;
    rows.into_iter().map(|mut row| row.id(0)).collect()
}
