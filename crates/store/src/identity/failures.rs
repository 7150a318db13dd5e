//! Brute force: failures per login name and devices from which an account logged in before.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::ids::{RealmId, UserId};
use portcullis_core::plan::{Entity, Gate, LoginFailures, LoginKey};

use super::Compile;
use crate::error::ReadError;
use crate::sql::{Phase, Row, Source, Step, Table, statements, values};

statements! {
    INSERT = "INSERT INTO login_failures (realm_id, login_key, version, user_id, failures, temporary_lockouts, not_before, last_failure, last_ip) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    UPDATE = "UPDATE login_failures SET version = $3, user_id = $4, failures = $5, temporary_lockouts = $6, not_before = $7, \
              last_failure = $8, last_ip = $9 WHERE realm_id = $1 AND login_key = $2 AND version = $3 - 1";
    CLEAR = "DELETE FROM login_failures WHERE realm_id = $1 AND login_key = $2";
    BY_KEY = "SELECT login_key, user_id, failures, temporary_lockouts, not_before, last_failure, last_ip, version \
              FROM login_failures WHERE realm_id = $1 AND login_key = $2";
    OF_USER = "SELECT login_key, user_id, failures, temporary_lockouts, not_before, last_failure, last_ip, version \
               FROM login_failures WHERE realm_id = $1 AND user_id = $2 ORDER BY login_key";
    REMEMBER = "INSERT INTO known_devices (realm_id, login_key, device_hash, seen_at) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (realm_id, login_key, device_hash) DO UPDATE SET seen_at = excluded.seen_at";
    KNOWN = "SELECT seen_at FROM known_devices WHERE realm_id = $1 AND login_key = $2 AND device_hash = $3";
}

pub(super) fn put(out: &mut Compile<'_>, realm: &RealmId, row: &LoginFailures) {
    let params = values![
        realm.as_str(),
        &row.key.0,
        row.version,
        row.user.as_ref().map(AsRef::<str>::as_ref),
        row.failures,
        row.temporary_lockouts,
        row.not_before,
        row.last_failure,
        &row.last_ip,
    ];
    let stale = Gate::Stale(Entity::LoginFailures);
    let step = if row.version <= 1 {
        Step::new(Table::LoginFailures, Phase::Create, &INSERT, params).unique(stale)
    } else {
        Step::new(Table::LoginFailures, Phase::Update, &UPDATE, params).one(stale)
    };
    out.push(step.key(&row.key.0).foreign(Gate::Gone(Entity::User)));
}

pub(super) fn clear(out: &mut Compile<'_>, realm: &RealmId, key: &LoginKey) {
    let params = values![realm.as_str(), &key.0];
    out.push(Step::new(Table::LoginFailures, Phase::Delete, &CLEAR, params).key(&key.0));
}

pub(super) fn remember(out: &mut Compile<'_>, realm: &RealmId, account: &LoginKey, device: &[u8; 32], at: i64) {
    let params = values![realm.as_str(), &account.0, URL_SAFE_NO_PAD.encode(device), at];
    out.push(
        Step::new(Table::KnownDevices, Phase::Create, &REMEMBER, params)
            .key(&account.0)
            .foreign(Gate::Gone(Entity::Realm)),
    );
}

fn failures(mut row: Row) -> Result<LoginFailures, ReadError> {
    Ok(LoginFailures {
        key: LoginKey(row.text(0)?),
        user: row.opt_id(1)?,
        failures: row.int(2)?,
        temporary_lockouts: row.int(3)?,
        not_before: row.int(4)?,
        last_failure: row.int(5)?,
        last_ip: row.text(6)?,
        version: row.int(7)?,
    })
}

pub(crate) fn by_key(db: &dyn Source, realm: &RealmId, key: &LoginKey) -> Result<Option<LoginFailures>, ReadError> {
    db.row(&BY_KEY, values![realm.as_str(), &key.0])?.map(failures).transpose()
}

pub(crate) fn of_user(db: &dyn Source, realm: &RealmId, user: &UserId) -> Result<Vec<LoginFailures>, ReadError> {
    let rows = db.rows(&OF_USER, values![realm.as_str(), user.as_str()])?;
    rows.into_iter().map(failures).collect()
}

pub(crate) fn device_known(
    db: &dyn Source,
    realm: &RealmId,
    account: &LoginKey,
    device: &[u8; 32],
) -> Result<bool, ReadError> {
    let params = values![realm.as_str(), &account.0, URL_SAFE_NO_PAD.encode(device)];
    Ok(db.row(&KNOWN, params)?.is_some())
}
