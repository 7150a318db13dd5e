//! Sealing again what the previous server key sealed, a few rows at a time, each only if it is still what was read.

use portcullis_core::ids::RealmId;

use super::{Compile, clients, credentials, keys, unseal};
use crate::error::{ApplyError, ReadError};
use crate::sealing::{Cell, Sealer};
use crate::sql::{Phase, Row, Source, Sql, Step, Table, Value, statements, values};

statements! {
    KEYS = "SELECT kid, private_key FROM realm_keys WHERE realm_id = $1 AND private_key NOT LIKE $2 ORDER BY kid LIMIT $3";
    SET_KEY = "UPDATE realm_keys SET private_key = $4 WHERE realm_id = $1 AND kid = $2 AND private_key = $3";
    SECRETS = "SELECT id, secret FROM clients WHERE realm_id = $1 AND secret NOT LIKE $2 ORDER BY id LIMIT $3";
    SET_SECRET = "UPDATE clients SET secret = $4 WHERE realm_id = $1 AND id = $2 AND secret = $3";
    CREDENTIALS = "SELECT id, secret_data, user_id, kind, secret_mark FROM credentials WHERE realm_id = $1 AND secret_mark NOT LIKE $2 \
                   ORDER BY user_id, id LIMIT $3";
    SET_CREDENTIAL = "UPDATE credentials SET secret_data = $4, secret_mark = $6 \
                      WHERE realm_id = $1 AND id = $2 AND user_id = $3 AND secret_mark = $5";
}

/// Rows of one piece.
const PIECE: i64 = 200;

/// Steps for the next rows of a realm that are not under the current key; none when all are.
pub(crate) fn piece(db: &dyn Source, realm: &RealmId, sealer: &Sealer) -> Result<Vec<Step>, ReadError> {
    let sealed = format!("s1.{}.%", sealer.key_id());
    let marked = format!("{}.%", sealer.key_id());
    let rows = |sql, like: &str| db.rows(sql, values![realm.as_str(), like, PIECE]);
    let mut steps = Vec::new();
    for row in rows(&KEYS, &sealed)? {
        steps.push(simple(realm, sealer, row, (Table::RealmKeys, &SET_KEY, keys::cell))?);
    }
    for row in rows(&SECRETS, &sealed)? {
        steps.push(simple(realm, sealer, row, (Table::Clients, &SET_SECRET, clients::cell))?);
    }
    for row in rows(&CREDENTIALS, &marked)? {
        steps.push(credential(realm, sealer, row)?);
    }
    Ok(steps)
}

type Place = (Table, &'static Sql, for<'a> fn(&'a str, &'a str) -> Cell<'a>);

fn simple(realm: &RealmId, sealer: &Sealer, mut row: Row, (table, sql, cell): Place) -> Result<Step, ReadError> {
    let (id, old) = (row.text(0)?, row.text(1)?);
    let new = again(sealer, cell(realm.as_str(), &id), &old)?;
    let params = values![realm.as_str(), id, old, new];
    Ok(Step::new(table, Phase::Update, sql, params))
}

fn credential(realm: &RealmId, sealer: &Sealer, mut row: Row) -> Result<Step, ReadError> {
    let (id, old) = (row.text(0)?, row.text(1)?);
    let (user, kind, old_mark) = (row.text(2)?, row.text(3)?, row.text(4)?);
    let cell = credentials::cell(realm.as_str(), &id);
    let (plain, new) = if credentials::is_sealed(&kind) {
        let plain = super::unseal_text(sealer, cell, &old)?;
        let new = again(sealer, cell, &old)?;
        (plain, new)
    } else {
        (old.clone(), old)
    };
    let (mark, _) = sealer.marks(cell, &plain);
    let params = values![realm.as_str(), &id, user, new, old_mark, mark];
    Ok(Step::new(Table::Credentials, Phase::Update, &SET_CREDENTIAL, params))
}

fn again(sealer: &Sealer, cell: Cell<'_>, old: &str) -> Result<String, ReadError> {
    let plain = unseal(sealer, cell, old)?;
    sealer.seal(cell, &plain).ok_or(ReadError::Sealed(cell.table))
}

static SET_CANARY: Sql = Sql::new("UPDATE meta SET value = $1 WHERE name = 'server-key'");

/// The proof of the key, last of all: from then on the previous key is not asked for.
pub(crate) fn canary(sealer: &Sealer) -> Result<Step, ApplyError> {
    let sealed = Compile::seal_with(sealer, crate::open::CANARY, crate::open::CANARY_TEXT)?;
    let params: Vec<Value> = values![sealed];
    Ok(Step::new(Table::Realms, Phase::Update, &SET_CANARY, params))
}
