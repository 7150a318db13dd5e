//! Reads by key. Each sees one committed state; a read after `apply` sees the plan.

use std::sync::Arc;

use portcullis_core::cutoff::{Cursor, CutOff, Ended};
use portcullis_core::ids::{ClientUuid, LineageId, RealmId, SessionId, UserId};
use portcullis_core::pending::{Consent, DeviceGrant, LogoutDelivery, PushedRequest};
use portcullis_core::plan::{LoginFailures, LoginKey};
use portcullis_core::records::RealmRecords;
use portcullis_core::session::{ClientSession, Lineage, UserSession};
use portcullis_core::user::{Credential, User};

use crate::db::Db;
use crate::error::ReadError;
use crate::identity::events::StoredEvent;
use crate::identity::users::{By, Known};
use crate::identity::{
    consents, credentials, cutoffs, events, failures, lineages, realms, records, sessions, users, waiting,
};

/// All of these fail only with [`ReadError`]; "not there" is `None` or an empty list.
#[expect(clippy::missing_errors_doc, reason = "said once above: every read fails only with ReadError")]
impl Db {
    /// Everything configured in the realm of this name, if it is ready.
    pub async fn realm_records(&self, name: &str) -> Result<Option<RealmRecords>, ReadError> {
        let name = name.to_owned();
        self.read_wide(move |db, source| {
            realms::ready_by_name(source, &name)?.map(|realm| records::of(source, realm, db.sealer())).transpose()
        })
        .await
    }

    /// The same by id and in any state: for imports and removals.
    pub async fn realm_records_any_state(&self, id: &RealmId) -> Result<Option<RealmRecords>, ReadError> {
        let id = id.clone();
        self.read_wide(move |db, source| {
            realms::by_id(source, &id)?.map(|realm| records::of(source, realm, db.sealer())).transpose()
        })
        .await
    }

    /// Ids and names of the ready realms, by name.
    pub async fn realm_names(&self) -> Result<Vec<(RealmId, String)>, ReadError> {
        self.read(realms::names)
    }

    /// A user with roles and groups, shared with whoever asks for it: nothing is copied.
    pub async fn shared_user(&self, realm: &RealmId, id: &UserId) -> Result<Option<Arc<User>>, ReadError> {
        self.known_user(realm, Known::Id, id.as_str())
    }

    /// A copy of one's own.
    pub async fn user(&self, realm: &RealmId, id: &UserId) -> Result<Option<User>, ReadError> {
        Ok(self.shared_user(realm, id).await?.map(Arc::unwrap_or_clone))
    }

    /// A user by its lower-case login name.
    pub async fn user_by_username(&self, realm: &RealmId, username: &str) -> Result<Option<User>, ReadError> {
        self.read_together(|db| users::one(db, realm, By::Username, username))
    }

    /// A user by its lower-case e-mail; where a realm allows duplicates, the first by username.
    pub async fn user_by_email(&self, realm: &RealmId, email: &str) -> Result<Option<User>, ReadError> {
        self.read_together(|db| users::one(db, realm, By::Email, email))
    }

    /// The service account of a client, shared.
    pub async fn service_account(&self, realm: &RealmId, client: &ClientUuid) -> Result<Option<Arc<User>>, ReadError> {
        self.known_user(realm, Known::ServiceAccountOf, client.as_str())
    }

    /// A user's credentials, lowest priority number first.
    pub async fn credentials(&self, realm: &RealmId, user: &UserId) -> Result<Vec<Credential>, ReadError> {
        self.read(|db| credentials::of_user(db, realm, user, self.sealer()))
    }

    /// A user session; `last_seen` is the latest of its own and of what hangs below it.
    pub async fn user_session(&self, realm: &RealmId, session: &SessionId) -> Result<Option<UserSession>, ReadError> {
        self.read(|db| sessions::by_id(db, realm, session))
    }

    /// A user's sessions, oldest first.
    pub async fn user_sessions_of(&self, realm: &RealmId, user: &UserId) -> Result<Vec<UserSession>, ReadError> {
        self.read(|db| sessions::of_user(db, realm, user))
    }

    /// Some sessions of a realm, offline ones left out, at most `limit`.
    pub async fn online_sessions(&self, realm: &RealmId, limit: i64) -> Result<Vec<SessionId>, ReadError> {
        self.read(|db| sessions::online(db, realm, limit))
    }

    /// The client sessions of a user session, oldest first; `last_refresh` is the latest of its own and its lineages'.
    pub async fn client_sessions(&self, realm: &RealmId, session: &SessionId) -> Result<Vec<ClientSession>, ReadError> {
        self.read(|db| sessions::clients_of(db, realm, session))
    }

    /// One client session.
    pub async fn client_session(
        &self,
        realm: &RealmId,
        session: &SessionId,
        client: &ClientUuid,
    ) -> Result<Option<ClientSession>, ReadError> {
        let both = self.session_and_client(realm, session, client).await?;
        Ok(both.and_then(|(_, below)| below))
    }

    /// A user session with its session of one client, in one query.
    pub async fn session_and_client(
        &self,
        realm: &RealmId,
        session: &SessionId,
        client: &ClientUuid,
    ) -> Result<Option<(UserSession, Option<ClientSession>)>, ReadError> {
        self.read(|db| sessions::with_client(db, realm, session, client))
    }

    /// A refresh-token family.
    pub async fn lineage(&self, realm: &RealmId, lineage: &LineageId) -> Result<Option<Lineage>, ReadError> {
        self.read(|db| lineages::by_id(db, realm, lineage))
    }

    /// What a used code had given: a second use ends it.
    pub async fn code_used(
        &self,
        realm: &RealmId,
        hash: &[u8; 32],
    ) -> Result<Option<(SessionId, ClientUuid)>, ReadError> {
        self.read(|db| lineages::code_used(db, realm, hash))
    }

    /// The failures of a login name.
    pub async fn login_failures(&self, realm: &RealmId, key: &LoginKey) -> Result<Option<LoginFailures>, ReadError> {
        self.read(|db| failures::by_key(db, realm, key))
    }

    /// All failure rows of an account (with and without known devices).
    pub async fn login_failures_of(&self, realm: &RealmId, user: &UserId) -> Result<Vec<LoginFailures>, ReadError> {
        self.read(|db| failures::of_user(db, realm, user))
    }

    /// Whether the account logged in from this device before.
    pub async fn device_known(
        &self,
        realm: &RealmId,
        account: &LoginKey,
        device: &[u8; 32],
    ) -> Result<bool, ReadError> {
        self.read(|db| failures::device_known(db, realm, account, device))
    }

    /// The latest audit rows, newest first.
    pub async fn events(&self, realm: &RealmId, limit: i64) -> Result<Vec<StoredEvent>, ReadError> {
        let realm = realm.clone();
        self.read_wide(move |_, db| events::latest(db, &realm, limit)).await
    }

    /// The latest place in a realm's cut-offs.
    pub async fn cutoff_cursor(&self, realm: &RealmId) -> Result<Cursor, ReadError> {
        self.read(|db| cutoffs::cursor(db, realm))
    }

    /// A realm's cut-offs after `sequence`, at most `limit`, each with its sequence, oldest first.
    pub async fn cutoffs_after(
        &self,
        realm: &RealmId,
        sequence: i64,
        limit: i64,
    ) -> Result<Vec<(i64, CutOff)>, ReadError> {
        self.read(|db| cutoffs::after(db, realm, sequence, limit))
    }

    /// The same, but only those that still matter at `now`, seconds: a snapshot is read in pages of it.
    pub async fn cutoffs_live(
        &self,
        realm: &RealmId,
        sequence: i64,
        now: i64,
        limit: i64,
    ) -> Result<Vec<(i64, CutOff)>, ReadError> {
        let realm = realm.clone();
        self.read_wide(move |_, db| cutoffs::live(db, &realm, (sequence, now), limit)).await
    }

    /// The latest `before` among the cut-offs of this very thing; `None`: it did not end.
    pub async fn cut_off(&self, realm: &RealmId, ended: &Ended) -> Result<Option<i64>, ReadError> {
        self.read(|db| cutoffs::of_value(db, realm, ended))
    }

    /// Up to which second tokens of a user, or of a client in one of its sessions, are dead: the latest such cut-off. One that
    /// leaves tokens of the second `issued_at` alone may be left out: mostly no row is read.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn cut_off_of_login(
        &self,
        realm: &RealmId,
        user: &UserId,
        (session, client_id): (&SessionId, &str),
        issued_at: i64,
    ) -> Result<Option<i64>, ReadError> {
        if self.newest_cut(realm)? < issued_at {
            return Ok(None);
        }
        let below = Ended::ClientSession(session.clone(), client_id.to_owned());
        self.read(|db| cutoffs::of_login(db, realm, user, &below))
    }

    /// A pushed request, by the hash of its handle.
    pub async fn pushed_request(&self, realm: &RealmId, hash: &[u8; 32]) -> Result<Option<PushedRequest>, ReadError> {
        self.read(|db| waiting::pushed(db, realm, hash))
    }

    /// A device grant, by the hash of its device code.
    pub async fn device_grant(&self, realm: &RealmId, hash: &[u8; 32]) -> Result<Option<DeviceGrant>, ReadError> {
        self.read(|db| waiting::device(db, realm, hash))
    }

    /// A device grant, by the hash of its user code.
    pub async fn device_grant_by_user_code(
        &self,
        realm: &RealmId,
        code: &[u8; 32],
    ) -> Result<Option<DeviceGrant>, ReadError> {
        self.read(|db| waiting::device_by_user_code(db, realm, code))
    }

    /// Logout messages that are due, at most `limit`, longest due first.
    pub async fn due_logouts(&self, realm: &RealmId, now: i64, limit: i64) -> Result<Vec<LogoutDelivery>, ReadError> {
        self.read(|db| waiting::due_logouts(db, realm, now, limit))
    }

    /// What a user allowed a client.
    pub async fn consent(
        &self,
        realm: &RealmId,
        user: &UserId,
        client: &ClientUuid,
    ) -> Result<Option<Consent>, ReadError> {
        self.read(|db| consents::one(db, realm, user, client))
    }

    /// All that a user allowed, oldest first.
    pub async fn consents(&self, realm: &RealmId, user: &UserId) -> Result<Vec<Consent>, ReadError> {
        self.read(|db| consents::of_user(db, realm, user))
    }
}
