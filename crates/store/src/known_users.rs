//! User records in memory. A record counts while its row has the version it was read with, so a lookup is one narrow statement
//! instead of three in a transaction, on every node alike.

use std::sync::Arc;

use moka::sync::Cache;
use portcullis_core::ids::{RealmId, UserId};
use portcullis_core::user::User;

use crate::db::Db;
use crate::error::ReadError;
use crate::identity::users::{self, By, Known};

/// Records kept: about 1 KB each.
const CAPACITY: u64 = 8192;

/// A record as read, and how often something was removed by then: a removal takes roles and groups from users whose version stays,
/// and a user that is made again under its old id starts with its old version.
struct Kept {
    user: User,
    removals: u64,
}

/// The records.
pub(crate) struct KnownUsers(Cache<(RealmId, UserId), Arc<Kept>>);

impl KnownUsers {
    pub(crate) fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl Db {
    /// A user by id, or the service account of a client.
    pub(crate) fn known_user(&self, realm: &RealmId, by: Known, name: &str) -> Result<Option<User>, ReadError> {
        let Some((id, version)) = self.read(|db| users::version(db, realm, by, name))? else { return Ok(None) };
        // After the version and before the record: whatever is removed from here on, the record read below is not used again.
        let removals = self.removals();
        let key = (realm.clone(), id);
        let kept = self.known_users().0.get(&key);
        if let Some(kept) = kept.filter(|kept| kept.user.version == version && kept.removals == removals) {
            return Ok(Some(kept.user.clone()));
        }
        let user = self.read_together(|db| users::one(db, realm, By::Id, key.1.as_str()))?;
        if let Some(user) = &user {
            self.known_users().0.insert(key, Arc::new(Kept { user: user.clone(), removals }));
        }
        Ok(user)
    }
}
