//! Cut-offs: rows in commit order. The counter row of the realm gives the sequence and holds other plans back until the commit.

use portcullis_core::cutoff::{Cursor, CutOff, Ended};
use portcullis_core::ids::{RealmId, UserId};
use portcullis_core::plan::{Entity, Gate};

use super::Compile;
use crate::error::ReadError;
use crate::sql::{Phase, Row, Source, Step, Table, statements, values};

statements! {
    COUNT = "INSERT INTO cutoff_counters (realm_id, epoch, sequence) VALUES ($1, 1, 1) \
             ON CONFLICT (realm_id) DO UPDATE SET sequence = cutoff_counters.sequence + 1";
    INSERT = "INSERT INTO cutoffs (realm_id, sequence, kind, value, cut_before, expires_at) \
              SELECT realm_id, sequence, $2, $3, $4, $5 FROM cutoff_counters WHERE realm_id = $1";
    CURSOR = "SELECT epoch, sequence FROM cutoff_counters WHERE realm_id = $1";
    AFTER = "SELECT sequence, kind, value, cut_before, expires_at FROM cutoffs WHERE realm_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    LIVE = "SELECT sequence, kind, value, cut_before, expires_at FROM cutoffs \
            WHERE realm_id = $1 AND sequence > $2 AND expires_at > $3 ORDER BY sequence LIMIT $4";
    OF_LOGIN = "SELECT MAX(cut_before) FROM cutoffs \
                WHERE realm_id = $1 AND ((kind = 'sub' AND value = $2) OR (kind = 'session-client' AND value = $3))";
    NEWEST = "SELECT MAX(cut_before) FROM cutoffs WHERE realm_id = $1";
    OF_VALUE = "SELECT MAX(cut_before) FROM cutoffs WHERE realm_id = $1 AND kind = $2 AND value = $3";
}

pub(super) fn cut(out: &mut Compile<'_>, realm: &RealmId, cut: &CutOff) {
    let (kind, value) = (cut.ended.kind(), cut.ended.value());
    // Same place: the sort keeps each pair together and in this order.
    let step = |sql, params| Step::new(Table::CutOffs, Phase::Create, sql, params).key(&value);
    out.push(step(&COUNT, values![realm.as_str()]).foreign(Gate::Gone(Entity::Realm)));
    let params = values![realm.as_str(), kind, value.as_ref(), cut.before, cut.expires_at];
    out.push(step(&INSERT, params).one(Gate::Gone(Entity::Realm)).cuts(cut.before));
}

fn read(row: &mut Row) -> Result<Option<(i64, CutOff)>, ReadError> {
    let (kind, value) = (row.text(1)?, row.text(2)?);
    // A kind of a newer version is left out: this version's tokens cannot be meant by it.
    Ok(match Ended::parse(&kind, &value) {
        Some(ended) => Some((row.int(0)?, CutOff { ended, before: row.int(3)?, expires_at: row.int(4)? })),
        None => None,
    })
}

pub(crate) fn cursor(db: &dyn Source, realm: &RealmId) -> Result<Cursor, ReadError> {
    match db.row(&CURSOR, values![realm.as_str()])? {
        Some(row) => Ok(Cursor { epoch: row.int(0)?, sequence: row.int(1)? }),
        None => Ok(Cursor { epoch: 1, sequence: 0 }),
    }
}

pub(crate) fn after(
    db: &dyn Source,
    realm: &RealmId,
    sequence: i64,
    limit: i64,
) -> Result<Vec<(i64, CutOff)>, ReadError> {
    let rows = db.rows(&AFTER, values![realm.as_str(), sequence, limit])?;
    rows.into_iter().filter_map(|mut row| read(&mut row).transpose()).collect()
}

pub(crate) fn live(
    db: &dyn Source,
    realm: &RealmId,
    (sequence, now): (i64, i64),
    limit: i64,
) -> Result<Vec<(i64, CutOff)>, ReadError> {
    let rows = db.rows(&LIVE, values![realm.as_str(), sequence, now, limit])?;
    rows.into_iter().filter_map(|mut row| read(&mut row).transpose()).collect()
}

pub(crate) fn of_value(db: &dyn Source, realm: &RealmId, ended: &Ended) -> Result<Option<i64>, ReadError> {
    match db.row(&OF_VALUE, values![realm.as_str(), ended.kind(), ended.value().as_ref()])? {
        Some(row) => row.opt_int(0),
        None => Ok(None),
    }
}

/// The latest second that any cut-off of the realm reaches.
pub(crate) fn newest(db: &dyn Source, realm: &RealmId) -> Result<Option<i64>, ReadError> {
    match db.row(&NEWEST, values![realm.as_str()])? {
        Some(row) => row.opt_int(0),
        None => Ok(None),
    }
}

pub(crate) fn of_login(
    db: &dyn Source,
    realm: &RealmId,
    user: &UserId,
    below: &Ended,
) -> Result<Option<i64>, ReadError> {
    match db.row(&OF_LOGIN, values![realm.as_str(), user.as_str(), below.value().as_ref()])? {
        Some(row) => row.opt_int(0),
        None => Ok(None),
    }
}
