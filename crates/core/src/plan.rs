//! Writes as data. `decide` returns a [`Plan`]; store turns each [`Write`] into one statement with the number of rows it must change.
//!
//! The whole plan commits or nothing does. A missed expectation names the [`Gate`] that was lost; the caller loads and decides again.

use std::collections::BTreeMap;

use crate::client::Client;
use crate::cutoff::CutOff;
use crate::event::Event;
use crate::group::Group;
use crate::ids::{ClientUuid, CredentialId, GroupId, KeyId, LineageId, RealmId, RoleId, SessionId, UserId};
use crate::key::{KeyStatus, RealmKey};
use crate::pending::{Consent, DeviceGrant, DeviceState, LogoutDelivery, PushedRequest, SpentKind};
use crate::realm::{Realm, RealmState};
use crate::role::Role;
use crate::scope::ClientScope;
use crate::session::{ClientSession, Lineage, UserSession};
use crate::user::{Credential, User};

/// Which bounded queue a plan waits in. Earlier lanes are served first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Lane {
    /// Single-use gates, refreshes and logouts.
    Gate,
    /// Logins and their failures.
    Login,
    /// Administration and imports.
    Admin,
    /// Clean-up.
    Sweep,
}

impl Lane {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Login => "login",
            Self::Admin => "admin",
            Self::Sweep => "sweep",
        }
    }
}

/// One atomic change: at most 1,000 rows.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its queue.
    pub lane: Lane,
    /// What is written, in any order; store sorts by table and key.
    pub writes: Vec<Write>,
}

impl Plan {
    /// A plan of `writes` in `lane`.
    #[must_use]
    pub fn new(lane: Lane, writes: Vec<Write>) -> Self {
        Self { lane, writes }
    }

    /// Nothing to write.
    #[must_use]
    pub fn none() -> Self {
        Self { lane: Lane::Gate, writes: Vec::new() }
    }

    /// Adds one write.
    pub fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// One statement. Each names its realm. "Gate" says what is lost when the expected row is not there.
#[derive(Clone, Debug)]
pub enum Write {
    // --- expectations: a fact that the decision relied on and another plan could end -------------------------------
    /// The realm's document still has this version. Gate: `Stale(Realm)`.
    ExpectRealm(RealmId, i64),
    /// The client still has this version. Gate: `Stale(Client)`.
    ExpectClient(RealmId, ClientUuid, i64),
    /// The user still has this version. Gate: `Stale(User)`.
    ExpectUser(RealmId, UserId, i64),
    /// The user session still stands. Gate: `SessionEnded`.
    ExpectUserSession(RealmId, SessionId),
    /// The user has no sessions but these: a list that is ended, one by one, is whole. Gate: `Stale(UserSessions)`.
    ExpectUserSessions(RealmId, UserId, Vec<SessionId>),
    /// The client session still stands. Gate: `ClientSessionEnded`.
    ExpectClientSession(RealmId, SessionId, ClientUuid),

    // --- configuration ---------------------------------------------------------------------------------------------
    /// A new realm row. Gate: `Taken(Realm)`.
    CreateRealm(Realm),
    /// Replaces document, name, default role and default groups; `Realm::version` is the version replaced. Gate: `Stale(Realm)`.
    UpdateRealm(Realm),
    /// Flips the state. Gate: `Stale(Realm)`.
    SetRealmState(RealmId, RealmState, RealmState),
    /// A new client with its collections (default and optional scopes and scope mappings included). Gate: `Taken(Client)`.
    CreateClient(RealmId, Client),
    /// Replaces a client with its collections; `Client::version` is the version replaced. Gate: `Stale(Client)`.
    UpdateClient(RealmId, Client),
    /// Removes a client; its roles, mappers and client sessions go with it. Gate: `Gone(Client)`.
    DeleteClient(RealmId, ClientUuid),
    /// Adds roles to a client's scope mappings (idempotent).
    AddClientScopeMappings(RealmId, ClientUuid, Vec<RoleId>),
    /// A new client scope with mappers and scope mappings. Gate: `Taken(ClientScope)`.
    CreateClientScope(RealmId, ClientScope),
    /// A new role without its composites. Gate: `Taken(Role)`.
    CreateRole(RealmId, Role),
    /// Puts roles into a composite (idempotent).
    AddComposites(RealmId, RoleId, Vec<RoleId>),
    /// Removes a role. Gate: `Gone(Role)`.
    DeleteRole(RealmId, RoleId),
    /// A new group with its roles; parents first. Gate: `Taken(Group)`.
    CreateGroup(RealmId, Group),
    /// Removes a group and what is below it. Gate: `Gone(Group)`.
    DeleteGroup(RealmId, GroupId),
    /// A new key. Gate: `Taken(Key)`.
    CreateKey(RealmId, RealmKey),
    /// Changes a key's status. Gate: `Gone(Key)`.
    SetKeyStatus(RealmId, KeyId, KeyStatus),

    // --- users -----------------------------------------------------------------------------------------------------
    /// A new user with roles and groups. Gate: `Taken(User)` (username) or `Taken(Email)`.
    CreateUser(RealmId, User),
    /// Replaces columns, document, roles and groups; `User::version` is the version replaced. Gate: `Stale(User)`.
    UpdateUser(RealmId, User),
    /// Removes a user with sessions and credentials. Gate: `Gone(User)`.
    DeleteUser(RealmId, UserId),
    /// Adds a credential.
    AddCredential(RealmId, UserId, Credential),
    /// Replaces a credential's secret and data where the secret is still the given one. Gate: `Stale(Credential)`.
    ReplaceCredential {
        /// Where.
        realm: RealmId,
        /// Whose.
        user: UserId,
        /// The credential as it was loaded.
        from: Credential,
        /// The credential as it shall be (same id).
        to: Credential,
    },
    /// Removes a credential (idempotent).
    DeleteCredential(RealmId, UserId, CredentialId),

    // --- sessions --------------------------------------------------------------------------------------------------
    /// Marks an authorization code as used. Gate: `CodeAlreadyUsed`.
    TakeCode {
        /// Where.
        realm: RealmId,
        /// SHA-256 of the code.
        hash: [u8; 32],
        /// The session it belongs to: a second use ends what the first gave.
        session: SessionId,
        /// Its client.
        client: ClientUuid,
        /// When the row may be swept, seconds.
        expires_at: i64,
    },
    /// A new user session. Gate: `Gone(User)`.
    CreateUserSession(RealmId, UserSession),
    /// The session was used, seconds. Only ever grows. Gate: `SessionEnded`.
    TouchUserSession(RealmId, SessionId, i64),
    /// The user proved again who it is: new `auth_time` and notes. Gate: `SessionEnded`.
    ReauthenticateUserSession {
        /// Where.
        realm: RealmId,
        /// Which.
        session: SessionId,
        /// Seconds.
        auth_time: i64,
        /// All notes as they shall be.
        notes: BTreeMap<String, String>,
    },
    /// A login becomes an offline session, seconds, where nobody but this client takes part in it. Gate: `SessionShared`.
    MakeOffline {
        /// Where.
        realm: RealmId,
        /// Which.
        session: SessionId,
        /// The only client that may have a part in it.
        client: ClientUuid,
        /// Its start from now on, seconds.
        at: i64,
    },
    /// Ends a user session and everything below it (idempotent).
    EndUserSession(RealmId, SessionId),
    /// Ends all sessions of a user but one (idempotent).
    EndUserSessions {
        /// Where.
        realm: RealmId,
        /// Whose.
        user: UserId,
        /// The one that stays.
        except: Option<SessionId>,
    },
    /// A client session, new or replaced. Gate: `SessionEnded`.
    PutClientSession(RealmId, ClientSession),
    /// A client session was refreshed, seconds; one narrow row. Gate: `ClientSessionEnded`.
    TouchClientSession(RealmId, SessionId, ClientUuid, i64),
    /// Detaches a client from a session (idempotent).
    EndClientSession(RealmId, SessionId, ClientUuid),
    /// A new refresh-token family. Gate: `ClientSessionEnded`.
    CreateLineage(RealmId, Lineage),
    /// Moves a family on; one narrow row. Gate: `LineageMoved`.
    RotateLineage {
        /// Where.
        realm: RealmId,
        /// Which.
        lineage: LineageId,
        /// The generation and reuse count that were loaded.
        from: (i64, i64),
        /// Generation, reuses, rotated_at, expires_at, key as they shall be.
        to: LineageMove,
    },
    /// Ends a family (idempotent).
    EndLineage(RealmId, LineageId),

    /// Something ended before its tokens did: a row in the realm's order of cut-offs.
    CutOff(RealmId, CutOff),

    // --- single use and waiting -------------------------------------------------------------------------------------
    /// Marks a value as used. Gate: `AlreadySpent`.
    Spend {
        /// Where.
        realm: RealmId,
        /// What it is.
        kind: SpentKind,
        /// SHA-256 of whose value and the value.
        hash: [u8; 32],
        /// When the row may be swept, seconds.
        expires_at: i64,
    },
    /// A pushed authorization request. Gate: `Gone(Client)`.
    CreatePushed(RealmId, PushedRequest),
    /// Uses a pushed request up, by the hash of its handle. Gate: `PushedTaken`.
    TakePushed(RealmId, [u8; 32]),
    /// A device grant, pending. Gates: `Taken(UserCode)`, `Gone(Client)`.
    CreateDevice(RealmId, DeviceGrant),
    /// A user decides a pending device grant, by the hash of its device code. Gate: `DeviceMoved`.
    DecideDevice(RealmId, [u8; 32], DeviceState),
    /// A device asked; one narrow row, where the latest poll is still the one that was loaded. Gate: `DeviceMoved`.
    PollDevice {
        /// Where.
        realm: RealmId,
        /// Which, by the hash of its device code.
        hash: [u8; 32],
        /// The latest poll as loaded, seconds.
        from: i64,
        /// This poll, seconds.
        at: i64,
        /// The wait between polls from now on, seconds.
        interval: i64,
    },
    /// Takes an approved device grant. Gate: `DeviceMoved`.
    TakeDevice(RealmId, [u8; 32]),
    /// Forgets a device grant that is over (idempotent).
    DropDevice(RealmId, [u8; 32]),
    /// A logout message to send. Gate: `Gone(Client)`.
    QueueLogout(RealmId, LogoutDelivery),
    /// It did not arrive: tries so far, and when the next is due, seconds (idempotent).
    RetryLogout(RealmId, String, i64, i64),
    /// It arrived, or was given up (idempotent).
    DropLogout(RealmId, String),
    /// What a user allows a client, new or replaced. Gate: `Gone(User)`.
    PutConsent(RealmId, Consent),
    /// Takes it back (idempotent).
    DeleteConsent(RealmId, UserId, ClientUuid),

    // --- brute force -----------------------------------------------------------------------------------------------
    /// Writes a failure row whose version is still `version - 1` (0: it must not exist). Gate: `Stale(LoginFailures)`.
    PutLoginFailures(RealmId, LoginFailures),
    /// Forgets the failures of a name (idempotent).
    ClearLoginFailures(RealmId, LoginKey),
    /// A device from which the account logged in before (idempotent, renews the time).
    RememberDevice {
        /// Where.
        realm: RealmId,
        /// The account.
        account: LoginKey,
        /// SHA-256 of the device cookie.
        device: [u8; 32],
        /// Seconds.
        at: i64,
    },

    // --- audit -----------------------------------------------------------------------------------------------------
    /// An audit row.
    Audit(Event),
}

/// The moving part of a [`Lineage`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineageMove {
    /// The live generation.
    pub generation: i64,
    /// Uses of the live token beyond the first.
    pub reuses: i64,
    /// `iat` of the live token, seconds.
    pub rotated_at: i64,
    /// `exp` of the live token, seconds.
    pub expires_at: i64,
    /// The key of the live token.
    pub key: KeyId,
}

/// HMAC of (realm, canonical login name), with the device when it is a known one: known accounts and unknown ones count alike.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LoginKey(pub String);

/// Keycloak's brute-force row of one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoginFailures {
    /// Whose.
    pub key: LoginKey,
    /// The account, when there is one (the Admin API asks by user).
    pub user: Option<UserId>,
    /// Failures since the last success or reset.
    pub failures: i64,
    /// Temporary lock-outs so far.
    pub temporary_lockouts: i64,
    /// Refused until, seconds.
    pub not_before: i64,
    /// Latest failure, milliseconds.
    pub last_failure: i64,
    /// The peer's address of the latest failure.
    pub last_ip: String,
    /// Grows by one with each write.
    pub version: i64,
}

/// What kind of thing a gate is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the records'")]
pub enum Entity {
    Realm,
    Client,
    ClientScope,
    Role,
    Group,
    Key,
    User,
    UserSessions,
    Email,
    Credential,
    LoginFailures,
    UserCode,
}

/// The expectation that was not met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// The code was used before.
    CodeAlreadyUsed,
    /// The user session is gone.
    SessionEnded,
    /// The session ended, is an offline one already, or another client has a part in it.
    SessionShared,
    /// The client session is gone.
    ClientSessionEnded,
    /// Somebody else rotated the family.
    LineageMoved,
    /// The value was used before.
    AlreadySpent,
    /// The pushed request was used, or never there.
    PushedTaken,
    /// Somebody else decided, polled or took the device grant.
    DeviceMoved,
    /// Somebody else changed it: load and decide again.
    Stale(Entity),
    /// The name is taken.
    Taken(Entity),
    /// It is not there any more.
    Gone(Entity),
}
