//! The picture of a realm's configuration, read in one transaction.

use portcullis_core::realm::Realm;
use portcullis_core::records::RealmRecords;

use super::{clients, groups, keys, roles, scopes};
use crate::error::ReadError;
use crate::sealing::Sealer;
use crate::sql::Source;

/// Default role and groups that were removed since are left out: nobody gets what is not there.
pub(crate) fn of(db: &dyn Source, mut realm: Realm, sealer: &Sealer) -> Result<RealmRecords, ReadError> {
    let roles = roles::of_realm(db, &realm.id)?;
    let groups = groups::of_realm(db, &realm.id)?;
    realm.default_role = realm.default_role.filter(|id| roles.get(id).is_some());
    realm.default_groups.retain(|id| groups.get(id).is_some());
    let scopes = scopes::of_realm(db, &realm.id)?;
    let keys = keys::of_realm(db, &realm.id, sealer)?;
    let clients = clients::of_realm(db, &realm.id, sealer)?;
    Ok(RealmRecords::new(realm, scopes, roles, groups, keys, clients))
}
