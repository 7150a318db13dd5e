//! Single-use marks, pushed requests, device grants, logout messages: what waits between two requests and must not be lost.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::ids::RealmId;
use portcullis_core::pending::{DeviceGrant, DeviceState, LogoutDelivery, PushedRequest, SpentKind};
use portcullis_core::plan::{Entity, Gate};

use super::{Compile, json};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Row, Source, Step, Table, statements, values};

statements! {
    SPEND = "INSERT INTO spent (realm_id, kind, hash, expires_at) VALUES ($1, $2, $3, $4)";
    INSERT_PUSHED = "INSERT INTO pushed_requests (realm_id, hash, client_id, parameters, expires_at) VALUES ($1, $2, $3, $4, $5)";
    TAKE_PUSHED = "DELETE FROM pushed_requests WHERE realm_id = $1 AND hash = $2";
    PUSHED = "SELECT client_id, parameters, expires_at FROM pushed_requests WHERE realm_id = $1 AND hash = $2";
    INSERT_DEVICE = "INSERT INTO device_grants (realm_id, hash, user_code, client_id, request, state, expires_at) VALUES ($1, $2, $3, $4, $5, 0, $6)";
    INSERT_POLL = "INSERT INTO device_polls (realm_id, hash, last_poll, wait) VALUES ($1, $2, $3, $4)";
    DECIDE_DEVICE = "UPDATE device_grants SET state = $3, user_id = $4, session_id = $5 WHERE realm_id = $1 AND hash = $2 AND state = 0";
    POLL_DEVICE = "UPDATE device_polls SET last_poll = $4, wait = $5 WHERE realm_id = $1 AND hash = $2 AND last_poll = $3";
    TAKE_DEVICE = "DELETE FROM device_grants WHERE realm_id = $1 AND hash = $2 AND state = 1";
    DROP_DEVICE = "DELETE FROM device_grants WHERE realm_id = $1 AND hash = $2";
    DEVICE = "SELECT d.hash, d.user_code, d.client_id, d.request, d.state, d.user_id, d.session_id, d.expires_at, p.last_poll, p.wait \
              FROM device_grants d JOIN device_polls p ON p.realm_id = $1 AND p.hash = d.hash WHERE d.realm_id = $1 AND d.hash = $2";
    DEVICE_BY_USER_CODE = "SELECT d.hash, d.user_code, d.client_id, d.request, d.state, d.user_id, d.session_id, d.expires_at, p.last_poll, p.wait \
                           FROM device_grants d JOIN device_polls p ON p.realm_id = $1 AND p.hash = d.hash \
                           WHERE d.realm_id = $1 AND d.user_code = $2";
    INSERT_LOGOUT = "INSERT INTO logout_deliveries (realm_id, id, client_id, user_id, session_id, issuer, due_at, attempts, expires_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    RETRY_LOGOUT = "UPDATE logout_deliveries SET attempts = $3, due_at = $4 WHERE realm_id = $1 AND id = $2";
    DROP_LOGOUT = "DELETE FROM logout_deliveries WHERE realm_id = $1 AND id = $2";
    DUE_LOGOUTS = "SELECT id, client_id, user_id, session_id, issuer, due_at, attempts, expires_at FROM logout_deliveries \
                   WHERE realm_id = $1 AND due_at <= $2 ORDER BY due_at LIMIT $3";
}

fn text(hash: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

fn hash(text: &str) -> Result<[u8; 32], ReadError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| ReadError::Storage("a stored hash has an unexpected shape".to_owned()))
}

const MOVED: Gate = Gate::DeviceMoved;

pub(super) fn spend(out: &mut Compile<'_>, realm: &RealmId, kind: SpentKind, value: &[u8; 32], expires_at: i64) {
    let key = text(value);
    let params = values![realm.as_str(), kind.code(), &key, expires_at];
    let step = Step::new(Table::Spent, Phase::Gate, &SPEND, params).key(&key);
    out.push(step.unique(Gate::AlreadySpent).foreign(Gate::Gone(Entity::Realm)));
}

pub(super) fn create_pushed(out: &mut Compile<'_>, realm: &RealmId, pushed: &PushedRequest) {
    let key = text(&pushed.hash);
    let params = values![realm.as_str(), &key, pushed.client.as_str(), &pushed.parameters, pushed.expires_at];
    let step = Step::new(Table::Pushed, Phase::Create, &INSERT_PUSHED, params).key(&key);
    out.push(step.foreign(Gate::Gone(Entity::Client)));
}

pub(super) fn take_pushed(out: &mut Compile<'_>, realm: &RealmId, value: &[u8; 32]) {
    let key = text(value);
    let params = values![realm.as_str(), &key];
    out.push(Step::new(Table::Pushed, Phase::Gate, &TAKE_PUSHED, params).key(&key).one(Gate::PushedTaken));
}

pub(crate) fn pushed(db: &dyn Source, realm: &RealmId, value: &[u8; 32]) -> Result<Option<PushedRequest>, ReadError> {
    db.row(&PUSHED, values![realm.as_str(), text(value)])?
        .map(|mut row| {
            let (client, parameters) = (row.id(0)?, row.text(1)?);
            Ok(PushedRequest { hash: *value, client, parameters, expires_at: row.int(2)? })
        })
        .transpose()
}

pub(super) fn create_device(out: &mut Compile<'_>, realm: &RealmId, device: &DeviceGrant) -> Result<(), ApplyError> {
    let key = text(&device.hash);
    let (client, request) = (device.client.as_str(), json(&device.request)?);
    let params = values![realm.as_str(), &key, text(&device.user_code), client, request, device.expires_at];
    let step = Step::new(Table::Devices, Phase::Create, &INSERT_DEVICE, params).key(&key);
    out.push(step.unique(Gate::Taken(Entity::UserCode)).foreign(Gate::Gone(Entity::Client)));
    let params = values![realm.as_str(), &key, device.last_poll, device.interval];
    out.push(Step::new(Table::DeviceParts, Phase::Create, &INSERT_POLL, params).key(&key).foreign(MOVED));
    Ok(())
}

pub(super) fn decide_device(out: &mut Compile<'_>, realm: &RealmId, value: &[u8; 32], to: &DeviceState) {
    let key = text(value);
    let (state, user, session) = match to {
        DeviceState::Pending => (0, None, None),
        DeviceState::Approved { user, session } => (1, Some(user.as_str()), Some(session.as_str())),
        DeviceState::Denied => (2, None, None),
    };
    let params = values![realm.as_str(), &key, state, user, session];
    let step = Step::new(Table::Devices, Phase::Update, &DECIDE_DEVICE, params).key(&key);
    out.push(step.one(MOVED).foreign(Gate::Gone(Entity::User)));
}

pub(super) fn poll_device(out: &mut Compile<'_>, realm: &RealmId, value: &[u8; 32], (from, at, wait): (i64, i64, i64)) {
    let key = text(value);
    let params = values![realm.as_str(), &key, from, at, wait];
    out.push(Step::new(Table::DeviceParts, Phase::Update, &POLL_DEVICE, params).key(&key).one(MOVED));
}

pub(super) fn take_device(out: &mut Compile<'_>, realm: &RealmId, value: &[u8; 32]) {
    let key = text(value);
    let params = values![realm.as_str(), &key];
    out.push(Step::new(Table::Devices, Phase::Gate, &TAKE_DEVICE, params).key(&key).one(MOVED));
}

pub(super) fn drop_device(out: &mut Compile<'_>, realm: &RealmId, value: &[u8; 32]) {
    let key = text(value);
    let params = values![realm.as_str(), &key];
    out.push(Step::new(Table::Devices, Phase::Delete, &DROP_DEVICE, params).key(&key));
}

fn device_row(row: &mut Row) -> Result<DeviceGrant, ReadError> {
    let state = match (row.int(4)?, row.opt_id(5)?, row.opt_id(6)?) {
        (0, _, _) => DeviceState::Pending,
        (1, Some(user), Some(session)) => DeviceState::Approved { user, session },
        _ => DeviceState::Denied,
    };
    Ok(DeviceGrant {
        hash: hash(&row.text(0)?)?,
        user_code: hash(&row.text(1)?)?,
        client: row.id(2)?,
        request: row.json(3)?,
        state,
        expires_at: row.int(7)?,
        last_poll: row.int(8)?,
        interval: row.int(9)?,
    })
}

pub(crate) fn device(db: &dyn Source, realm: &RealmId, value: &[u8; 32]) -> Result<Option<DeviceGrant>, ReadError> {
    db.row(&DEVICE, values![realm.as_str(), text(value)])?.map(|mut row| device_row(&mut row)).transpose()
}

pub(crate) fn device_by_user_code(
    db: &dyn Source,
    realm: &RealmId,
    code: &[u8; 32],
) -> Result<Option<DeviceGrant>, ReadError> {
    db.row(&DEVICE_BY_USER_CODE, values![realm.as_str(), text(code)])?.map(|mut row| device_row(&mut row)).transpose()
}

pub(super) fn queue_logout(out: &mut Compile<'_>, realm: &RealmId, delivery: &LogoutDelivery) {
    let params = values![
        realm.as_str(),
        &delivery.id,
        delivery.client.as_str(),
        delivery.user.as_str(),
        delivery.session.as_str(),
        &delivery.issuer,
        delivery.due_at,
        delivery.attempts,
        delivery.expires_at,
    ];
    let step = Step::new(Table::Logouts, Phase::Create, &INSERT_LOGOUT, params).key(&delivery.id);
    out.push(step.foreign(Gate::Gone(Entity::Client)));
}

pub(super) fn retry_logout(out: &mut Compile<'_>, realm: &RealmId, id: &str, (attempts, due_at): (i64, i64)) {
    let params = values![realm.as_str(), id, attempts, due_at];
    out.push(Step::new(Table::Logouts, Phase::Update, &RETRY_LOGOUT, params).key(id));
}

pub(super) fn drop_logout(out: &mut Compile<'_>, realm: &RealmId, id: &str) {
    out.push(Step::new(Table::Logouts, Phase::Delete, &DROP_LOGOUT, values![realm.as_str(), id]).key(id));
}

pub(crate) fn due_logouts(
    db: &dyn Source,
    realm: &RealmId,
    now: i64,
    limit: i64,
) -> Result<Vec<LogoutDelivery>, ReadError> {
    let rows = db.rows(&DUE_LOGOUTS, values![realm.as_str(), now, limit])?;
    rows.into_iter()
        .map(|mut row| {
            Ok(LogoutDelivery {
                id: row.text(0)?,
                client: row.id(1)?,
                user: row.id(2)?,
                session: row.id(3)?,
                issuer: row.text(4)?,
                due_at: row.int(5)?,
                attempts: row.int(6)?,
                expires_at: row.int(7)?,
            })
        })
        .collect()
}
