//! Audit events: rows of the plan they describe. Refusals too.

use std::collections::BTreeMap;

use crate::ids::{ClientUuid, EventId, RealmId, SessionId, UserId};

/// One audit row. `kind` is Keycloak's word (`LOGIN`, `LOGIN_ERROR`, `CODE_TO_TOKEN`, ...).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// When, milliseconds.
    pub time: i64,
    /// Where.
    pub realm: RealmId,
    /// Keycloak's event type.
    pub kind: &'static str,
    /// Who, when known.
    pub user: Option<UserId>,
    /// Which client, when known.
    pub client: Option<ClientUuid>,
    /// Which session, when known.
    pub session: Option<SessionId>,
    /// The peer's address.
    pub ip_address: String,
    /// Keycloak's error word (`invalid_user_credentials`, ...) for `*_ERROR` kinds.
    pub error: Option<&'static str>,
    /// Free details; never a secret.
    pub details: BTreeMap<String, String>,
}
