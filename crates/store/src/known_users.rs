//! User records in memory. A record counts while nothing was committed since that can change it ([`Db::unchanged`]), so a lookup
//! touches no row.

use std::sync::Arc;

use moka::sync::Cache;
use portcullis_core::ids::RealmId;
use portcullis_core::user::User;

use crate::changes::Looked;
use crate::db::Db;
use crate::error::ReadError;
use crate::identity::users::{self, By, Known};

/// Records kept: about 1 KB each.
const CAPACITY: u64 = 8192;

/// A record as read.
struct Kept {
    realm: RealmId,
    by: Known,
    user: Arc<User>,
    /// The user, seen before its rows were read: whatever changes it from then on, the record is not used again.
    looked: Looked,
}

/// The records, by what they were asked for: a user's id or its client's. Two realms may use one id: the one asked for last is kept.
pub(crate) struct KnownUsers(Cache<Box<str>, Arc<Kept>>);

impl KnownUsers {
    pub(crate) fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl Db {
    /// A user by id, or the service account of a client.
    pub(crate) fn known_user(&self, realm: &RealmId, by: Known, name: &str) -> Result<Option<Arc<User>>, ReadError> {
        if let Some(kept) = self.known_users().0.get(name)
            && kept.by == by
            && kept.realm == *realm
            && self.unchanged(&kept.looked)
        {
            return Ok(Some(Arc::clone(&kept.user)));
        }
        let Some(id) = self.read(|db| users::id(db, realm, by, name))? else { return Ok(None) };
        let looked = self.look(id.as_str());
        let user = self.read_together(|db| users::one(db, realm, By::Id, id.as_str()))?.map(Arc::new);
        if let Some(user) = &user {
            let kept = Kept { realm: realm.clone(), by, user: Arc::clone(user), looked };
            self.known_users().0.insert(name.into(), Arc::new(kept));
        }
        Ok(user)
    }
}
