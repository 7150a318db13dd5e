//! Removing in small pieces: emptied realms child tables first, and what expired long ago.

use portcullis_core::ids::RealmId;

use crate::error::ReadError;
use crate::sql::{Phase, Source, Sql, Step, Table, Value, statements, values};

statements! {
    EMPTY_EVENTS = "DELETE FROM events WHERE realm_id = $1 AND id IN (SELECT id FROM events WHERE realm_id = $1 LIMIT $2)";
    EMPTY_CODES = "DELETE FROM used_codes WHERE realm_id = $1 AND code_hash IN (SELECT code_hash FROM used_codes WHERE realm_id = $1 LIMIT $2)";
    EMPTY_CUTOFFS = "DELETE FROM cutoffs WHERE realm_id = $1 AND sequence IN (SELECT sequence FROM cutoffs WHERE realm_id = $1 LIMIT $2)";
    EMPTY_COUNTERS = "DELETE FROM cutoff_counters WHERE realm_id = $1 AND realm_id IN (SELECT realm_id FROM cutoff_counters WHERE realm_id = $1 LIMIT $2)";
    EMPTY_SPENT = "DELETE FROM spent WHERE realm_id = $1 AND (kind, hash) IN (SELECT kind, hash FROM spent WHERE realm_id = $1 LIMIT $2)";
    EMPTY_LOGOUTS = "DELETE FROM logout_deliveries WHERE realm_id = $1 AND id IN (SELECT id FROM logout_deliveries WHERE realm_id = $1 LIMIT $2)";
    EMPTY_POLLS = "DELETE FROM device_polls WHERE realm_id = $1 AND hash IN (SELECT hash FROM device_polls WHERE realm_id = $1 LIMIT $2)";
    EMPTY_DEVICE_GRANTS = "DELETE FROM device_grants WHERE realm_id = $1 AND hash IN (SELECT hash FROM device_grants WHERE realm_id = $1 LIMIT $2)";
    EMPTY_PUSHED = "DELETE FROM pushed_requests WHERE realm_id = $1 AND hash IN (SELECT hash FROM pushed_requests WHERE realm_id = $1 LIMIT $2)";
    EMPTY_CONSENTS = "DELETE FROM consents WHERE realm_id = $1 AND (user_id, client_id) IN (SELECT user_id, client_id FROM consents WHERE realm_id = $1 LIMIT $2)";
    EMPTY_DEVICES = "DELETE FROM known_devices WHERE realm_id = $1 AND (login_key, device_hash) IN \
                     (SELECT login_key, device_hash FROM known_devices WHERE realm_id = $1 LIMIT $2)";
    EMPTY_FAILURES = "DELETE FROM login_failures WHERE realm_id = $1 AND login_key IN \
                      (SELECT login_key FROM login_failures WHERE realm_id = $1 LIMIT $2)";
    EMPTY_LINEAGE_GRANTS = "DELETE FROM lineage_grants WHERE realm_id = $1 AND lineage_id IN \
                            (SELECT lineage_id FROM lineage_grants WHERE realm_id = $1 LIMIT $2)";
    EMPTY_LINEAGES = "DELETE FROM lineages WHERE realm_id = $1 AND id IN (SELECT id FROM lineages WHERE realm_id = $1 LIMIT $2)";
    EMPTY_CLIENT_ACTIVITY = "DELETE FROM client_session_activity WHERE realm_id = $1 AND (session_id, client_id) IN \
                             (SELECT session_id, client_id FROM client_session_activity WHERE realm_id = $1 LIMIT $2)";
    EMPTY_CLIENT_SESSIONS = "DELETE FROM client_sessions WHERE realm_id = $1 AND (session_id, client_id) IN \
                             (SELECT session_id, client_id FROM client_sessions WHERE realm_id = $1 LIMIT $2)";
    EMPTY_USER_ACTIVITY = "DELETE FROM user_session_activity WHERE realm_id = $1 AND session_id IN \
                           (SELECT session_id FROM user_session_activity WHERE realm_id = $1 LIMIT $2)";
    EMPTY_SESSIONS = "DELETE FROM user_sessions WHERE realm_id = $1 AND id IN (SELECT id FROM user_sessions WHERE realm_id = $1 LIMIT $2)";
    EMPTY_CREDENTIALS = "DELETE FROM credentials WHERE realm_id = $1 AND (user_id, id) IN \
                         (SELECT user_id, id FROM credentials WHERE realm_id = $1 LIMIT $2)";
    EMPTY_ATTRIBUTES = "DELETE FROM user_attributes WHERE realm_id = $1 AND (user_id, name, ordinal) IN \
                        (SELECT user_id, name, ordinal FROM user_attributes WHERE realm_id = $1 LIMIT $2)";
    EMPTY_USER_ROLES = "DELETE FROM user_roles WHERE realm_id = $1 AND (user_id, role_id) IN \
                        (SELECT user_id, role_id FROM user_roles WHERE realm_id = $1 LIMIT $2)";
    EMPTY_USER_GROUPS = "DELETE FROM user_groups WHERE realm_id = $1 AND (user_id, group_id) IN \
                         (SELECT user_id, group_id FROM user_groups WHERE realm_id = $1 LIMIT $2)";
    EMPTY_USERS = "DELETE FROM users WHERE realm_id = $1 AND id IN (SELECT id FROM users WHERE realm_id = $1 LIMIT $2)";
    EMPTY_GROUP_ROLES = "DELETE FROM group_roles WHERE realm_id = $1 AND (group_id, role_id) IN \
                         (SELECT group_id, role_id FROM group_roles WHERE realm_id = $1 LIMIT $2)";
    EMPTY_GROUPS = "DELETE FROM groups_tree WHERE realm_id = $1 AND id IN (SELECT id FROM groups_tree WHERE realm_id = $1 LIMIT $2)";
    EMPTY_COMPOSITES = "DELETE FROM role_composites WHERE realm_id = $1 AND (role_id, child_id) IN \
                        (SELECT role_id, child_id FROM role_composites WHERE realm_id = $1 LIMIT $2)";
    EMPTY_CLIENT_MAPPINGS = "DELETE FROM client_scope_mappings WHERE realm_id = $1 AND (client_id, role_id) IN \
                             (SELECT client_id, role_id FROM client_scope_mappings WHERE realm_id = $1 LIMIT $2)";
    EMPTY_SCOPE_MAPPINGS = "DELETE FROM scope_scope_mappings WHERE realm_id = $1 AND (scope_id, role_id) IN \
                            (SELECT scope_id, role_id FROM scope_scope_mappings WHERE realm_id = $1 LIMIT $2)";
    EMPTY_ROLES = "DELETE FROM roles WHERE realm_id = $1 AND id IN (SELECT id FROM roles WHERE realm_id = $1 LIMIT $2)";
    EMPTY_LINKS = "DELETE FROM client_scope_links WHERE realm_id = $1 AND (client_id, scope_id) IN \
                   (SELECT client_id, scope_id FROM client_scope_links WHERE realm_id = $1 LIMIT $2)";
    EMPTY_CLIENT_MAPPERS = "DELETE FROM client_mappers WHERE realm_id = $1 AND (client_id, ordinal) IN \
                            (SELECT client_id, ordinal FROM client_mappers WHERE realm_id = $1 LIMIT $2)";
    EMPTY_ORIGINS = "DELETE FROM client_web_origins WHERE realm_id = $1 AND (client_id, ordinal) IN \
                     (SELECT client_id, ordinal FROM client_web_origins WHERE realm_id = $1 LIMIT $2)";
    EMPTY_REDIRECTS = "DELETE FROM client_redirect_uris WHERE realm_id = $1 AND (client_id, ordinal) IN \
                       (SELECT client_id, ordinal FROM client_redirect_uris WHERE realm_id = $1 LIMIT $2)";
    EMPTY_CLIENTS = "DELETE FROM clients WHERE realm_id = $1 AND id IN (SELECT id FROM clients WHERE realm_id = $1 LIMIT $2)";
    EMPTY_SCOPE_MAPPERS = "DELETE FROM scope_mappers WHERE realm_id = $1 AND (scope_id, ordinal) IN \
                           (SELECT scope_id, ordinal FROM scope_mappers WHERE realm_id = $1 LIMIT $2)";
    EMPTY_SCOPES = "DELETE FROM client_scopes WHERE realm_id = $1 AND id IN (SELECT id FROM client_scopes WHERE realm_id = $1 LIMIT $2)";
    EMPTY_KEYS = "DELETE FROM realm_keys WHERE realm_id = $1 AND kid IN (SELECT kid FROM realm_keys WHERE realm_id = $1 LIMIT $2)";

    COUNT_CODES = "SELECT COUNT(*), SUM(CASE WHEN expires_at < $2 THEN 1 ELSE 0 END) FROM used_codes WHERE realm_id = $1";
    COUNT_FAILURES = "SELECT COUNT(*), SUM(CASE WHEN last_failure < $2 AND not_before < $3 THEN 1 ELSE 0 END) FROM login_failures WHERE realm_id = $1";
    COUNT_SESSIONS = "SELECT COUNT(*), SUM(CASE WHEN started < $2 AND remember_me = $3 AND offline = $4 THEN 1 ELSE 0 END) \
                      FROM user_sessions WHERE realm_id = $1";
    COUNT_CUTOFFS = "SELECT COUNT(*), SUM(CASE WHEN expires_at < $2 THEN 1 ELSE 0 END) FROM cutoffs WHERE realm_id = $1";
    SWEEP_CUTOFFS = "DELETE FROM cutoffs WHERE realm_id = $1 AND sequence IN \
                 (SELECT sequence FROM cutoffs WHERE realm_id = $1 AND expires_at < $2 ORDER BY expires_at LIMIT $3)";
    COUNT_SPENT = "SELECT COUNT(*), SUM(CASE WHEN expires_at < $2 THEN 1 ELSE 0 END) FROM spent WHERE realm_id = $1";
    SWEEP_SPENT = "DELETE FROM spent WHERE realm_id = $1 AND (kind, hash) IN \
                 (SELECT kind, hash FROM spent WHERE realm_id = $1 AND expires_at < $2 ORDER BY expires_at LIMIT $3)";
    COUNT_PUSHED = "SELECT COUNT(*), SUM(CASE WHEN expires_at < $2 THEN 1 ELSE 0 END) FROM pushed_requests WHERE realm_id = $1";
    SWEEP_PUSHED = "DELETE FROM pushed_requests WHERE realm_id = $1 AND hash IN \
                 (SELECT hash FROM pushed_requests WHERE realm_id = $1 AND expires_at < $2 ORDER BY expires_at LIMIT $3)";
    COUNT_DEVICE_GRANTS = "SELECT COUNT(*), SUM(CASE WHEN expires_at < $2 THEN 1 ELSE 0 END) FROM device_grants WHERE realm_id = $1";
    SWEEP_DEVICE_GRANTS = "DELETE FROM device_grants WHERE realm_id = $1 AND hash IN \
                 (SELECT hash FROM device_grants WHERE realm_id = $1 AND expires_at < $2 ORDER BY expires_at LIMIT $3)";
    SWEEP_CODES = "DELETE FROM used_codes WHERE realm_id = $1 AND code_hash IN \
                   (SELECT code_hash FROM used_codes WHERE realm_id = $1 AND expires_at < $2 ORDER BY expires_at LIMIT $3)";
    COUNT_IDLE_OFFLINE = "SELECT COUNT(*), SUM(CASE WHEN s.started < $2 AND s.offline = 1 \
                          AND NOT EXISTS (SELECT 1 FROM client_session_activity c WHERE c.realm_id = $1 AND c.session_id = s.id AND c.last_refresh >= $2) \
                          AND NOT EXISTS (SELECT 1 FROM lineages l WHERE l.realm_id = $1 AND l.session_id = s.id AND l.rotated_at >= $2) \
                          THEN 1 ELSE 0 END) FROM user_sessions s WHERE s.realm_id = $1";
    SWEEP_IDLE_OFFLINE = "DELETE FROM user_sessions WHERE realm_id = $1 AND id IN \
                          (SELECT s.id FROM user_sessions s WHERE s.realm_id = $1 AND s.started < $2 AND s.offline = 1 \
                           AND NOT EXISTS (SELECT 1 FROM client_session_activity c WHERE c.realm_id = $1 AND c.session_id = s.id AND c.last_refresh >= $2) \
                           AND NOT EXISTS (SELECT 1 FROM lineages l WHERE l.realm_id = $1 AND l.session_id = s.id AND l.rotated_at >= $2) \
                           ORDER BY s.started LIMIT $3)";
    SWEEP_FAILURES = "DELETE FROM login_failures WHERE realm_id = $1 AND login_key IN \
                      (SELECT login_key FROM login_failures WHERE realm_id = $1 AND last_failure < $2 AND not_before < $3 LIMIT $4)";
    SWEEP_SESSIONS = "DELETE FROM user_sessions WHERE realm_id = $1 AND id IN \
                      (SELECT id FROM user_sessions WHERE realm_id = $1 AND started < $2 AND remember_me = $3 AND offline = $4 \
                       ORDER BY started LIMIT $5)";
}

/// Tables of a realm, children first, each with the statement that takes a piece of it.
static EMPTYING: [(Table, &Sql); 37] = [
    (Table::Events, &EMPTY_EVENTS),
    (Table::UsedCodes, &EMPTY_CODES),
    (Table::KnownDevices, &EMPTY_DEVICES),
    (Table::LoginFailures, &EMPTY_FAILURES),
    (Table::CutOffs, &EMPTY_CUTOFFS),
    (Table::CutOffs, &EMPTY_COUNTERS),
    (Table::Spent, &EMPTY_SPENT),
    (Table::Logouts, &EMPTY_LOGOUTS),
    (Table::DeviceParts, &EMPTY_POLLS),
    (Table::Devices, &EMPTY_DEVICE_GRANTS),
    (Table::Pushed, &EMPTY_PUSHED),
    (Table::Consents, &EMPTY_CONSENTS),
    (Table::LineageParts, &EMPTY_LINEAGE_GRANTS),
    (Table::Lineages, &EMPTY_LINEAGES),
    (Table::ClientSessionParts, &EMPTY_CLIENT_ACTIVITY),
    (Table::ClientSessions, &EMPTY_CLIENT_SESSIONS),
    (Table::UserSessionParts, &EMPTY_USER_ACTIVITY),
    (Table::UserSessions, &EMPTY_SESSIONS),
    (Table::Credentials, &EMPTY_CREDENTIALS),
    (Table::UserParts, &EMPTY_ATTRIBUTES),
    (Table::UserParts, &EMPTY_USER_ROLES),
    (Table::UserParts, &EMPTY_USER_GROUPS),
    (Table::Users, &EMPTY_USERS),
    (Table::GroupParts, &EMPTY_GROUP_ROLES),
    (Table::Groups, &EMPTY_GROUPS),
    (Table::RoleParts, &EMPTY_COMPOSITES),
    (Table::RoleParts, &EMPTY_CLIENT_MAPPINGS),
    (Table::RoleParts, &EMPTY_SCOPE_MAPPINGS),
    (Table::Roles, &EMPTY_ROLES),
    (Table::ClientParts, &EMPTY_LINKS),
    (Table::ClientParts, &EMPTY_CLIENT_MAPPERS),
    (Table::ClientParts, &EMPTY_ORIGINS),
    (Table::ClientParts, &EMPTY_REDIRECTS),
    (Table::Clients, &EMPTY_CLIENTS),
    (Table::ScopeParts, &EMPTY_SCOPE_MAPPERS),
    (Table::ClientScopes, &EMPTY_SCOPES),
    (Table::RealmKeys, &EMPTY_KEYS),
];

/// How many tables a realm's removal goes through.
pub(crate) const TABLES: usize = EMPTYING.len();

/// One piece of a realm's `at`-th table, at most `limit` rows.
pub(crate) fn piece(realm: &RealmId, at: usize, limit: i64) -> Option<Step> {
    let (table, sql) = EMPTYING.get(at)?;
    let params = values![realm.as_str(), limit];
    Some(Step::new(*table, Phase::Delete, sql, params))
}

/// One thing a sweep removes.
#[derive(Clone)]
pub(crate) struct Expired {
    /// Named in the report.
    pub(crate) table: &'static str,
    order: Table,
    count: &'static Sql,
    delete: &'static Sql,
    params: Vec<Value>,
}

impl Expired {
    /// What ended before `before`, seconds: codes, single-use marks, cut-offs, pushed requests, device grants.
    pub(crate) fn by_end(realm: &RealmId, before: i64) -> [Self; 5] {
        [
            ("used_codes", Table::UsedCodes, &COUNT_CODES, &SWEEP_CODES),
            ("spent", Table::Spent, &COUNT_SPENT, &SWEEP_SPENT),
            ("cutoffs", Table::CutOffs, &COUNT_CUTOFFS, &SWEEP_CUTOFFS),
            ("pushed_requests", Table::Pushed, &COUNT_PUSHED, &SWEEP_PUSHED),
            ("device_grants", Table::Devices, &COUNT_DEVICE_GRANTS, &SWEEP_DEVICE_GRANTS),
        ]
        .map(|(table, order, count, delete)| Self {
            table,
            order,
            count,
            delete,
            params: values![realm.as_str(), before],
        })
    }

    /// Failures last counted before `before` and not locking any more, seconds.
    pub(crate) fn failures(realm: &RealmId, before: i64, now: i64) -> Self {
        Self {
            table: "login_failures",
            order: Table::LoginFailures,
            count: &COUNT_FAILURES,
            delete: &SWEEP_FAILURES,
            params: values![realm.as_str(), before.saturating_mul(1000), now],
        }
    }

    /// Offline sessions not used since `before`, seconds.
    pub(crate) fn idle_offline(realm: &RealmId, before: i64) -> Self {
        Self {
            table: "user_sessions",
            order: Table::UserSessions,
            count: &COUNT_IDLE_OFFLINE,
            delete: &SWEEP_IDLE_OFFLINE,
            params: values![realm.as_str(), before],
        }
    }

    /// Sessions of one sort started before `before`, seconds.
    pub(crate) fn sessions(realm: &RealmId, before: i64, remembered: bool, offline: bool) -> Self {
        Self {
            table: "user_sessions",
            order: Table::UserSessions,
            count: &COUNT_SESSIONS,
            delete: &SWEEP_SESSIONS,
            params: values![realm.as_str(), before, remembered, offline],
        }
    }

    /// All rows of the table in the realm, and those that expired.
    pub(crate) fn count(&self, db: &dyn Source) -> Result<(i64, i64), ReadError> {
        match db.row(self.count, self.params.clone())? {
            Some(row) => Ok((row.int(0)?, row.opt_int(1)?.unwrap_or(0))),
            None => Ok((0, 0)),
        }
    }

    /// Removes at most `limit` of them.
    pub(crate) fn piece(&self, limit: i64) -> Step {
        let mut params = self.params.clone();
        params.extend(values![limit]);
        Step::new(self.order, Phase::Delete, self.delete, params)
    }
}
