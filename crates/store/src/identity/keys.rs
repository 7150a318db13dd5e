//! Realm keys; the private part is sealed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::ids::{KeyId, RealmId};
use portcullis_core::key::{KeyStatus, KeyUse, RealmKey};
use portcullis_core::plan::{Entity, Gate};
use portcullis_core::secret::SecretBytes;

use super::{Compile, unseal};
use crate::error::{ApplyError, ReadError};
use crate::sealing::{Cell, Sealer};
use crate::sql::{Phase, Row, Source, Step, Table, statements, values};

statements! {
    INSERT = "INSERT INTO realm_keys (realm_id, kid, provider, algorithm, key_use, status, priority, private_key, certificate, created) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    SET_STATUS = "UPDATE realm_keys SET status = $3 WHERE realm_id = $1 AND kid = $2";
    OF_REALM = "SELECT kid, provider, algorithm, key_use, status, priority, private_key, certificate, created \
                FROM realm_keys WHERE realm_id = $1 ORDER BY priority DESC, created DESC, kid";
}

const fn status_code(status: KeyStatus) -> i64 {
    match status {
        KeyStatus::Active => 0,
        KeyStatus::Passive => 1,
        KeyStatus::Disabled => 2,
    }
}

/// An unknown number is a key that is not used.
const fn status(code: i64) -> KeyStatus {
    match code {
        0 => KeyStatus::Active,
        1 => KeyStatus::Passive,
        _ => KeyStatus::Disabled,
    }
}

pub(super) const fn cell<'a>(realm: &'a str, kid: &'a str) -> Cell<'a> {
    Cell { table: "realm_keys", column: "private_key", realm, row: kid }
}

pub(super) fn create(out: &mut Compile<'_>, realm: &RealmId, key: &RealmKey) -> Result<(), ApplyError> {
    let sealed = out.seal(cell(realm.as_str(), key.kid.as_str()), key.private.expose())?;
    let params = values![
        realm.as_str(),
        key.kid.as_str(),
        &key.provider,
        &key.algorithm,
        match key.key_use {
            KeyUse::Signature => "sig",
            KeyUse::Encryption => "enc",
        },
        status_code(key.status),
        key.priority,
        sealed,
        key.certificate.as_ref().map(|der| STANDARD.encode(der)),
        key.created,
    ];
    out.configures(realm);
    out.push(
        Step::new(Table::RealmKeys, Phase::Create, &INSERT, params)
            .key(key.kid.as_str())
            .unique(Gate::Taken(Entity::Key))
            .foreign(Gate::Gone(Entity::Realm)),
    );
    Ok(())
}

pub(super) fn set_status(out: &mut Compile<'_>, realm: &RealmId, kid: &KeyId, to: KeyStatus) {
    let params = values![realm.as_str(), kid.as_str(), status_code(to)];
    out.configures(realm);
    out.push(
        Step::new(Table::RealmKeys, Phase::Update, &SET_STATUS, params).key(kid.as_str()).one(Gate::Gone(Entity::Key)),
    );
}

fn key(mut row: Row, realm: &RealmId, sealer: &Sealer) -> Result<RealmKey, ReadError> {
    let kid: KeyId = row.id(0)?;
    let sealed = row.text(6)?;
    let private = unseal(sealer, cell(realm.as_str(), kid.as_str()), &sealed)?;
    let certificate = match row.opt_text(7)? {
        Some(text) => Some(
            STANDARD.decode(text).map_err(|_| ReadError::Storage("a stored certificate is not base64".to_owned()))?,
        ),
        None => None,
    };
    Ok(RealmKey {
        provider: row.text(1)?,
        algorithm: row.text(2)?,
        key_use: if row.text(3)? == "enc" { KeyUse::Encryption } else { KeyUse::Signature },
        status: status(row.int(4)?),
        priority: row.int(5)?,
        private: SecretBytes::new(private),
        certificate,
        created: row.int(8)?,
        kid,
    })
}

pub(crate) fn of_realm(db: &dyn Source, realm: &RealmId, sealer: &Sealer) -> Result<Vec<RealmKey>, ReadError> {
    let rows = db.rows(&OF_REALM, values![realm.as_str()])?;
    rows.into_iter().map(|row| key(row, realm, sealer)).collect()
}
