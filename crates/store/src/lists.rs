//! Reads that administrators page through; on the wide reader, so that no lookup waits for them.

use portcullis_core::ids::{ClientUuid, GroupId, RealmId, RoleId};
use portcullis_core::session::{ClientSession, UserSession};
use portcullis_core::session_limits::Alive;
use portcullis_core::user::User;

use crate::db::Db;
use crate::error::ReadError;
use crate::identity::members::{self, Of};
use crate::identity::users::By;
use crate::identity::{sessions, users};
use crate::sql::Source;

/// `max` rows from `first` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// Rows left out at the beginning.
    pub first: i64,
    /// Most rows.
    pub max: i64,
}

fn loaded(db: &dyn Source, realm: &RealmId, of: Of<'_>, page: Page) -> Result<Vec<User>, ReadError> {
    let mut out = Vec::new();
    for id in members::users(db, realm, of, (page.first, page.max))? {
        out.extend(users::one(db, realm, By::Id, id.as_str())?);
    }
    Ok(out)
}

#[expect(clippy::missing_errors_doc, reason = "every read fails only with ReadError")]
impl Db {
    /// Direct members of a group, by username.
    pub async fn group_members(&self, realm: &RealmId, group: &GroupId, page: Page) -> Result<Vec<User>, ReadError> {
        let (realm, group) = (realm.clone(), group.clone());
        self.read_wide(move |_, db| loaded(db, &realm, Of::Group(group.as_str()), page)).await
    }

    /// Users to whom a role is mapped directly, by username.
    pub async fn role_holders(&self, realm: &RealmId, role: &RoleId, page: Page) -> Result<Vec<User>, ReadError> {
        let (realm, role) = (realm.clone(), role.clone());
        self.read_wide(move |_, db| loaded(db, &realm, Of::Role(role.as_str()), page)).await
    }

    /// Users one of whose attributes has exactly this value (of at most 255 bytes), by username.
    pub async fn users_with_attribute(
        &self,
        realm: &RealmId,
        name: &str,
        value: &str,
        page: Page,
    ) -> Result<Vec<User>, ReadError> {
        let (realm, name, value) = (realm.clone(), name.to_owned(), value.to_owned());
        self.read_wide(move |_, db| loaded(db, &realm, Of::Attribute(&name, &value), page)).await
    }

    /// Live user sessions in which a client takes part, with all clients in each, by id.
    pub async fn user_sessions_with(
        &self,
        realm: &RealmId,
        client: &ClientUuid,
        alive: &Alive,
        page: Page,
    ) -> Result<Vec<(UserSession, Vec<ClientSession>)>, ReadError> {
        let (realm, client, alive) = (realm.clone(), client.clone(), *alive);
        self.read_wide(move |_, db| {
            let bounds = (page.first, page.max);
            let mut out = Vec::new();
            for id in members::sessions_of_client(db, &realm, client.as_str(), &alive, bounds)? {
                if let Some(session) = sessions::by_id(db, &realm, &id)? {
                    out.push((session, sessions::clients_of(db, &realm, &id)?));
                }
            }
            Ok(out)
        })
        .await
    }

    /// How many live user sessions each of these clients takes part in, in the same order.
    pub async fn user_session_counts(
        &self,
        realm: &RealmId,
        clients: Vec<ClientUuid>,
        alive: &Alive,
    ) -> Result<Vec<i64>, ReadError> {
        let (realm, alive) = (realm.clone(), *alive);
        self.read_wide(move |_, db| {
            clients.iter().map(|client| members::count_of_client(db, &realm, client.as_str(), &alive)).collect()
        })
        .await
    }
}
