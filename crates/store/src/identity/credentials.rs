//! Credentials. A password hash is one-way and stays readable; every other secret is sealed.

use portcullis_core::ids::{CredentialId, RealmId, UserId};
use portcullis_core::plan::{Entity, Gate};
use portcullis_core::secret::Secret;
use portcullis_core::user::Credential;

use super::{Compile, unseal_text, users};
use crate::error::{ApplyError, ReadError};
use crate::sealing::{Cell, Sealer};
use crate::sql::{Phase, Source, Step, Table, statements, values};

statements! {
    INSERT = "INSERT INTO credentials (realm_id, user_id, id, kind, user_label, created_date, priority, secret_data, secret_mark, credential_data) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    REPLACE = "UPDATE credentials SET kind = $4, user_label = $5, created_date = $6, priority = $7, secret_data = $8, \
               secret_mark = $9, credential_data = $10 \
               WHERE realm_id = $1 AND user_id = $2 AND id = $3 AND secret_mark IN ($11, $12) AND credential_data = $13";
    DELETE = "DELETE FROM credentials WHERE realm_id = $1 AND user_id = $2 AND id = $3";
    OF_USER = "SELECT id, kind, user_label, created_date, priority, secret_data, credential_data \
               FROM credentials WHERE realm_id = $1 AND user_id = $2 ORDER BY priority, created_date, id";
}

/// A password's hash is one-way and needs no seal.
pub(super) fn is_sealed(kind: &str) -> bool {
    kind != "password"
}

pub(super) const fn cell<'a>(realm: &'a str, id: &'a str) -> Cell<'a> {
    Cell { table: "credentials", column: "secret_data", realm, row: id }
}

fn columns(
    out: &Compile<'_>,
    realm: &RealmId,
    user: &UserId,
    credential: &Credential,
) -> Result<Vec<crate::sql::Value>, ApplyError> {
    let place = cell(realm.as_str(), credential.id.as_str());
    let secret = credential.secret_data.expose();
    let stored = if is_sealed(&credential.kind) { out.seal(place, secret.as_bytes())? } else { secret.to_owned() };
    Ok(values![
        realm.as_str(),
        user.as_str(),
        credential.id.as_str(),
        &credential.kind,
        credential.user_label.as_ref(),
        credential.created_date,
        credential.priority,
        stored,
        out.sealer.marks(place, secret).0,
        &credential.credential_data,
    ])
}

pub(super) fn add(
    out: &mut Compile<'_>,
    realm: &RealmId,
    user: &UserId,
    credential: &Credential,
) -> Result<(), ApplyError> {
    let params = columns(out, realm, user, credential)?;
    out.push(users::raise(realm, user).one(Gate::Gone(Entity::User)));
    out.push(
        Step::new(Table::Credentials, Phase::Create, &INSERT, params)
            .key(credential.id.as_str())
            .unique(Gate::Taken(Entity::Credential))
            .foreign(Gate::Gone(Entity::User)),
    );
    Ok(())
}

/// The mark stands for the secret; the data is compared too, because counters of one-time passwords stand there.
pub(super) fn replace(
    out: &mut Compile<'_>,
    (realm, user): (&RealmId, &UserId),
    from: &Credential,
    to: &Credential,
) -> Result<(), ApplyError> {
    let mut params = columns(out, realm, user, to)?;
    let place = cell(realm.as_str(), from.id.as_str());
    let (current, previous) = out.sealer.marks(place, from.secret_data.expose());
    params.extend(values![current, previous, &from.credential_data]);
    out.push(users::raise(realm, user).one(Gate::Stale(Entity::Credential)));
    out.push(
        Step::new(Table::Credentials, Phase::Update, &REPLACE, params)
            .key(to.id.as_str())
            .one(Gate::Stale(Entity::Credential)),
    );
    Ok(())
}

pub(super) fn delete(out: &mut Compile<'_>, realm: &RealmId, user: &UserId, id: &CredentialId) {
    let params = values![realm.as_str(), user.as_str(), id.as_str()];
    out.push(users::raise(realm, user));
    out.push(Step::new(Table::Credentials, Phase::Delete, &DELETE, params).key(id.as_str()));
}

pub(crate) fn of_user(
    db: &dyn Source,
    realm: &RealmId,
    user: &UserId,
    sealer: &Sealer,
) -> Result<Vec<Credential>, ReadError> {
    let rows = db.rows(&OF_USER, values![realm.as_str(), user.as_str()])?;
    rows.into_iter()
        .map(|mut row| {
            let id: CredentialId = row.id(0)?;
            let kind = row.text(1)?;
            let stored = row.text(5)?;
            let secret = if is_sealed(&kind) {
                unseal_text(sealer, cell(realm.as_str(), id.as_str()), &stored)?
            } else {
                stored
            };
            Ok(Credential {
                kind,
                user_label: row.opt_text(2)?,
                created_date: row.int(3)?,
                priority: row.int(4)?,
                secret_data: Secret::new(secret),
                credential_data: row.text(6)?,
                id,
            })
        })
        .collect()
}
