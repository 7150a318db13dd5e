//! What users allowed clients. Each change raises the user's version: decisions over a consent expect that.

use portcullis_core::ids::{ClientUuid, RealmId, UserId};
use portcullis_core::pending::Consent;
use portcullis_core::plan::{Entity, Gate};

use super::{Compile, json, users};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Row, Source, Step, Table, statements, values};

statements! {
    PUT = "INSERT INTO consents (realm_id, user_id, client_id, scopes, created, updated) VALUES ($1, $2, $3, $4, $5, $6) \
           ON CONFLICT (realm_id, user_id, client_id) DO UPDATE SET scopes = excluded.scopes, updated = excluded.updated";
    DELETE = "DELETE FROM consents WHERE realm_id = $1 AND user_id = $2 AND client_id = $3";
    ONE = "SELECT user_id, client_id, scopes, created, updated FROM consents WHERE realm_id = $1 AND user_id = $2 AND client_id = $3";
    OF_USER = "SELECT user_id, client_id, scopes, created, updated FROM consents WHERE realm_id = $1 AND user_id = $2 ORDER BY created, client_id";
}

pub(super) fn put(out: &mut Compile<'_>, realm: &RealmId, consent: &Consent) -> Result<(), ApplyError> {
    out.push(users::raise(realm, &consent.user).one(Gate::Gone(Entity::User)));
    let (user, client) = (consent.user.as_str(), consent.client.as_str());
    let params = values![realm.as_str(), user, client, json(&consent.scopes)?, consent.created, consent.updated];
    let step = Step::new(Table::Consents, Phase::Create, &PUT, params).key(user);
    out.push(step.foreign(Gate::Gone(Entity::User)));
    Ok(())
}

pub(super) fn delete(out: &mut Compile<'_>, realm: &RealmId, user: &UserId, client: &ClientUuid) {
    out.push(users::raise(realm, user));
    let params = values![realm.as_str(), user.as_str(), client.as_str()];
    out.push(Step::new(Table::Consents, Phase::Delete, &DELETE, params).key(user.as_str()));
}

fn read(row: &mut Row) -> Result<Consent, ReadError> {
    Ok(Consent {
        user: row.id(0)?,
        client: row.id(1)?,
        scopes: row.json(2)?,
        created: row.int(3)?,
        updated: row.int(4)?,
    })
}

pub(crate) fn one(
    db: &dyn Source,
    realm: &RealmId,
    user: &UserId,
    client: &ClientUuid,
) -> Result<Option<Consent>, ReadError> {
    let params = values![realm.as_str(), user.as_str(), client.as_str()];
    db.row(&ONE, params)?.map(|mut row| read(&mut row)).transpose()
}

pub(crate) fn of_user(db: &dyn Source, realm: &RealmId, user: &UserId) -> Result<Vec<Consent>, ReadError> {
    db.rows(&OF_USER, values![realm.as_str(), user.as_str()])?.into_iter().map(|mut row| read(&mut row)).collect()
}
