//! User sessions and client sessions. What moves (last seen, last refresh) stands in narrow rows beside them.

use std::collections::BTreeMap;

use portcullis_core::ids::{ClientUuid, RealmId, SessionId, UserId};
use portcullis_core::plan::{Entity, Gate};
use portcullis_core::session::{ClientSession, UserSession};

use super::{Compile, json};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Row, Source, Step, Table, from_json, statements, values};

statements! {
    EXPECT = "UPDATE user_sessions SET version = version WHERE realm_id = $1 AND id = $2";
    EXPECT_CLIENT = "UPDATE client_sessions SET version = version WHERE realm_id = $1 AND session_id = $2 AND client_id = $3";
    INSERT = "INSERT INTO user_sessions (realm_id, id, user_id, version, started, auth_time, remember_me, offline, ip_address, notes) \
              VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $8, $9)";
    INSERT_ACTIVITY = "INSERT INTO user_session_activity (realm_id, session_id, last_seen) VALUES ($1, $2, $3)";
    TOUCH = "UPDATE user_session_activity SET last_seen = CASE WHEN last_seen < $3 THEN $3 ELSE last_seen END \
             WHERE realm_id = $1 AND session_id = $2";
    REAUTHENTICATE = "UPDATE user_sessions SET auth_time = $3, notes = $4 WHERE realm_id = $1 AND id = $2";
    MAKE_OFFLINE = "UPDATE user_sessions SET offline = 1, started = $4 WHERE realm_id = $1 AND id = $2 AND offline = 0 AND NOT EXISTS \
                    (SELECT 1 FROM client_sessions c WHERE c.realm_id = $1 AND c.session_id = $2 AND c.client_id <> $3)";
    EXPECT_ONLY = "UPDATE users SET version = version WHERE realm_id = $1 AND id = $2 AND NOT EXISTS \
                   (SELECT 1 FROM user_sessions s WHERE s.realm_id = $1 AND s.user_id = $2 AND $3 NOT LIKE '% ' || s.id || ' %')";
    END = "DELETE FROM user_sessions WHERE realm_id = $1 AND id = $2";
    END_OF_USER = "DELETE FROM user_sessions WHERE realm_id = $1 AND user_id = $2 AND id <> $3";
    PUT_CLIENT = "INSERT INTO client_sessions (realm_id, session_id, client_id, version, started, grant_doc) VALUES ($1, $2, $3, 0, $4, $5) \
                  ON CONFLICT (realm_id, session_id, client_id) DO UPDATE SET started = excluded.started, grant_doc = excluded.grant_doc";
    PUT_CLIENT_ACTIVITY = "INSERT INTO client_session_activity (realm_id, session_id, client_id, last_refresh) VALUES ($1, $2, $3, $4) \
                           ON CONFLICT (realm_id, session_id, client_id) DO UPDATE SET last_refresh = excluded.last_refresh";
    TOUCH_CLIENT = "UPDATE client_session_activity SET last_refresh = CASE WHEN last_refresh < $4 THEN $4 ELSE last_refresh END \
                    WHERE realm_id = $1 AND session_id = $2 AND client_id = $3";
    END_CLIENT = "DELETE FROM client_sessions WHERE realm_id = $1 AND session_id = $2 AND client_id = $3";
    BY_ID = "SELECT s.id, s.user_id, s.started, s.auth_time, s.remember_me, s.offline, s.ip_address, s.notes, a.last_seen, \
             (SELECT MAX(c.last_refresh) FROM client_session_activity c WHERE c.realm_id = $1 AND c.session_id = s.id), \
             (SELECT MAX(l.rotated_at) FROM lineages l WHERE l.realm_id = $1 AND l.session_id = s.id) \
             FROM user_sessions s JOIN user_session_activity a ON a.realm_id = $1 AND a.session_id = s.id \
             WHERE s.realm_id = $1 AND s.id = $2";
    OF_USER = "SELECT s.id, s.user_id, s.started, s.auth_time, s.remember_me, s.offline, s.ip_address, s.notes, a.last_seen, \
               (SELECT MAX(c.last_refresh) FROM client_session_activity c WHERE c.realm_id = $1 AND c.session_id = s.id), \
               (SELECT MAX(l.rotated_at) FROM lineages l WHERE l.realm_id = $1 AND l.session_id = s.id) \
               FROM user_sessions s JOIN user_session_activity a ON a.realm_id = $1 AND a.session_id = s.id \
               WHERE s.realm_id = $1 AND s.user_id = $2 ORDER BY s.started, s.id";
    ONLINE = "SELECT id FROM user_sessions WHERE realm_id = $1 AND offline = 0 LIMIT $2";
    WITH_CLIENT = "SELECT s.id, s.user_id, s.started, s.auth_time, s.remember_me, s.offline, s.ip_address, s.notes, a.last_seen, \
                   (SELECT MAX(c.last_refresh) FROM client_session_activity c WHERE c.realm_id = $1 AND c.session_id = s.id), \
                   (SELECT MAX(l.rotated_at) FROM lineages l WHERE l.realm_id = $1 AND l.session_id = s.id), \
                   k.started, k.grant_doc, ka.last_refresh, \
                   (SELECT MAX(l.rotated_at) FROM lineages l WHERE l.realm_id = $1 AND l.session_id = s.id AND l.client_id = $3) \
                   FROM user_sessions s JOIN user_session_activity a ON a.realm_id = $1 AND a.session_id = s.id \
                   LEFT JOIN client_sessions k ON k.realm_id = $1 AND k.session_id = s.id AND k.client_id = $3 \
                   LEFT JOIN client_session_activity ka ON ka.realm_id = $1 AND ka.session_id = s.id AND ka.client_id = $3 \
                   WHERE s.realm_id = $1 AND s.id = $2";
    CLIENTS_OF = "SELECT k.client_id, k.started, k.grant_doc, a.last_refresh, \
                  (SELECT MAX(l.rotated_at) FROM lineages l WHERE l.realm_id = $1 AND l.session_id = $2 AND l.client_id = k.client_id) \
                  FROM client_sessions k JOIN client_session_activity a \
                  ON a.realm_id = $1 AND a.session_id = k.session_id AND a.client_id = k.client_id \
                  WHERE k.realm_id = $1 AND k.session_id = $2 ORDER BY k.started, k.client_id";
}

const ENDED: Gate = Gate::SessionEnded;
const CLIENT_ENDED: Gate = Gate::ClientSessionEnded;

pub(super) fn expect(out: &mut Compile<'_>, realm: &RealmId, session: &SessionId) {
    let params = values![realm.as_str(), session.as_str()];
    out.push(Step::new(Table::UserSessions, Phase::Expect, &EXPECT, params).key(session.as_str()).one(ENDED));
}

pub(super) fn expect_client(out: &mut Compile<'_>, realm: &RealmId, session: &SessionId, client: &ClientUuid) {
    let params = values![realm.as_str(), session.as_str(), client.as_str()];
    out.push(
        Step::new(Table::ClientSessions, Phase::Expect, &EXPECT_CLIENT, params).key(session.as_str()).one(CLIENT_ENDED),
    );
}

pub(super) fn create(out: &mut Compile<'_>, realm: &RealmId, session: &UserSession) -> Result<(), ApplyError> {
    let id = session.id.as_str();
    let params = values![
        realm.as_str(),
        id,
        session.user.as_str(),
        session.started,
        session.auth_time,
        session.remember_me,
        session.offline,
        &session.ip_address,
        json(&session.notes)?,
    ];
    out.push(Step::new(Table::UserSessions, Phase::Create, &INSERT, params).key(id).foreign(Gate::Gone(Entity::User)));
    let params = values![realm.as_str(), id, session.last_seen];
    out.push(Step::new(Table::UserSessionParts, Phase::Create, &INSERT_ACTIVITY, params).key(id).foreign(ENDED));
    Ok(())
}

pub(super) fn touch(out: &mut Compile<'_>, realm: &RealmId, session: &SessionId, at: i64) {
    let params = values![realm.as_str(), session.as_str(), at];
    out.push(Step::new(Table::UserSessionParts, Phase::Update, &TOUCH, params).key(session.as_str()).one(ENDED));
}

pub(super) fn reauthenticate(
    out: &mut Compile<'_>,
    (realm, session): (&RealmId, &SessionId),
    auth_time: i64,
    notes: &BTreeMap<String, String>,
) -> Result<(), ApplyError> {
    let params = values![realm.as_str(), session.as_str(), auth_time, json(notes)?];
    out.push(Step::new(Table::UserSessions, Phase::Update, &REAUTHENTICATE, params).key(session.as_str()).one(ENDED));
    Ok(())
}

pub(super) fn make_offline(
    out: &mut Compile<'_>,
    realm: &RealmId,
    (session, client): (&SessionId, &ClientUuid),
    at: i64,
) {
    let params = values![realm.as_str(), session.as_str(), client.as_str(), at];
    let step = Step::new(Table::UserSessions, Phase::Update, &MAKE_OFFLINE, params).key(session.as_str());
    out.push(step.one(Gate::SessionShared));
}

/// `known` travels as one text with a blank around each id: ids have none, and a list has no length in either engine's SQL.
pub(super) fn expect_only(out: &mut Compile<'_>, realm: &RealmId, user: &UserId, known: &[SessionId]) {
    let list = known.iter().fold(String::from(" "), |list, id| list + id.as_str() + " ");
    let params = values![realm.as_str(), user.as_str(), list];
    let step = Step::new(Table::Users, Phase::Expect, &EXPECT_ONLY, params).key(user.as_str());
    out.push(step.one(Gate::Stale(Entity::UserSessions)));
}

pub(super) fn end(out: &mut Compile<'_>, realm: &RealmId, session: &SessionId) {
    let params = values![realm.as_str(), session.as_str()];
    out.push(Step::new(Table::UserSessions, Phase::Delete, &END, params).key(session.as_str()));
}

pub(super) fn end_of_user(out: &mut Compile<'_>, realm: &RealmId, user: &UserId, except: Option<&SessionId>) {
    let except = except.map_or("", SessionId::as_str);
    let params = values![realm.as_str(), user.as_str(), except];
    out.push(Step::new(Table::UserSessions, Phase::Delete, &END_OF_USER, params).key(user.as_str()));
}

pub(super) fn put_client(out: &mut Compile<'_>, realm: &RealmId, session: &ClientSession) -> Result<(), ApplyError> {
    let (id, client) = (session.session.as_str(), session.client.as_str());
    let params = values![realm.as_str(), id, client, session.started, json(&session.grant)?];
    out.push(Step::new(Table::ClientSessions, Phase::Create, &PUT_CLIENT, params).key(id).foreign(ENDED));
    let params = values![realm.as_str(), id, client, session.last_refresh];
    out.push(Step::new(Table::ClientSessionParts, Phase::Create, &PUT_CLIENT_ACTIVITY, params).key(id).foreign(ENDED));
    Ok(())
}

pub(super) fn touch_client(
    out: &mut Compile<'_>,
    realm: &RealmId,
    (session, client): (&SessionId, &ClientUuid),
    at: i64,
) {
    let params = values![realm.as_str(), session.as_str(), client.as_str(), at];
    out.push(
        Step::new(Table::ClientSessionParts, Phase::Update, &TOUCH_CLIENT, params)
            .key(session.as_str())
            .one(CLIENT_ENDED),
    );
}

pub(super) fn end_client(out: &mut Compile<'_>, realm: &RealmId, session: &SessionId, client: &ClientUuid) {
    let params = values![realm.as_str(), session.as_str(), client.as_str()];
    out.push(Step::new(Table::ClientSessions, Phase::Delete, &END_CLIENT, params).key(session.as_str()));
}

/// The latest of the session's own activity and that of what hangs below it.
fn user_session(row: &mut Row) -> Result<UserSession, ReadError> {
    let below = row.opt_int(9)?.max(row.opt_int(10)?);
    let last_seen = row.int(8)?.max(below.unwrap_or(i64::MIN));
    let notes: BTreeMap<String, String> = row.json(7)?;
    Ok(UserSession {
        id: row.id(0)?,
        user: row.id(1)?,
        started: row.int(2)?,
        auth_time: row.int(3)?,
        remember_me: row.flag(4)?,
        offline: row.flag(5)?,
        ip_address: row.text(6)?,
        last_seen,
        notes,
    })
}

pub(crate) fn by_id(db: &dyn Source, realm: &RealmId, session: &SessionId) -> Result<Option<UserSession>, ReadError> {
    db.row(&BY_ID, values![realm.as_str(), session.as_str()])?.map(|mut row| user_session(&mut row)).transpose()
}

pub(crate) fn of_user(db: &dyn Source, realm: &RealmId, user: &UserId) -> Result<Vec<UserSession>, ReadError> {
    let rows = db.rows(&OF_USER, values![realm.as_str(), user.as_str()])?;
    rows.into_iter().map(|mut row| user_session(&mut row)).collect()
}

pub(crate) fn online(db: &dyn Source, realm: &RealmId, limit: i64) -> Result<Vec<SessionId>, ReadError> {
    db.rows(&ONLINE, values![realm.as_str(), limit])?.into_iter().map(|mut row| row.id(0)).collect()
}

pub(crate) fn with_client(
    db: &dyn Source,
    realm: &RealmId,
    session: &SessionId,
    client: &ClientUuid,
) -> Result<Option<(UserSession, Option<ClientSession>)>, ReadError> {
    let params = values![realm.as_str(), session.as_str(), client.as_str()];
    let Some(mut row) = db.row(&WITH_CLIENT, params)? else {
        return Ok(None);
    };
    let above = user_session(&mut row)?;
    let below = match row.opt_text(12)? {
        Some(grant) => Some(ClientSession {
            session: session.clone(),
            client: client.clone(),
            started: row.int(11)?,
            grant: from_json(&grant)?,
            last_refresh: row.int(13)?.max(row.opt_int(14)?.unwrap_or(i64::MIN)),
        }),
        None => None,
    };
    Ok(Some((above, below)))
}

pub(crate) fn clients_of(
    db: &dyn Source,
    realm: &RealmId,
    session: &SessionId,
) -> Result<Vec<ClientSession>, ReadError> {
    let rows = db.rows(&CLIENTS_OF, values![realm.as_str(), session.as_str()])?;
    rows.into_iter()
        .map(|mut row| {
            Ok(ClientSession {
                session: session.clone(),
                client: row.id(0)?,
                started: row.int(1)?,
                grant: row.json(2)?,
                last_refresh: row.int(3)?.max(row.opt_int(4)?.unwrap_or(i64::MIN)),
            })
        })
        .collect()
}
