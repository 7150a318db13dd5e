//! What waits for somebody between two requests and must not be lost: pushed requests, device grants, logout messages.
//!
//! Codes and handles are hashes here; a value that was taken is gone.

use serde::{Deserialize, Serialize};

use crate::ids::{ClientScopeId, ClientUuid, SessionId, UserId};

/// What a single-use mark is about: kinds never collide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpentKind {
    /// `jti` of a client assertion (RFC 7523 §3).
    ClientAssertion,
    /// A one-time code of a credential (RFC 6238 §5.2).
    OneTimeCode,
}

impl SpentKind {
    /// As stored.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::ClientAssertion => 1,
            Self::OneTimeCode => 2,
        }
    }
}

/// An authorization request that a client pushed (RFC 9126).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PushedRequest {
    /// SHA-256 of the handle in `request_uri`.
    pub hash: [u8; 32],
    /// Who pushed it.
    pub client: ClientUuid,
    /// The parameters as sent, form-encoded, without client authentication.
    pub parameters: String,
    /// Seconds.
    pub expires_at: i64,
}

/// How a device grant stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceState {
    /// Nobody decided yet.
    Pending,
    /// A user said yes in this session.
    Approved {
        /// Who.
        user: UserId,
        /// In which session.
        session: SessionId,
    },
    /// A user said no.
    Denied,
}

/// A device authorization (RFC 8628 §3.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceGrant {
    /// SHA-256 of `device_code`.
    pub hash: [u8; 32],
    /// SHA-256 of the canonical `user_code`.
    pub user_code: [u8; 32],
    /// The client that asked.
    pub client: ClientUuid,
    /// What it asked for.
    pub request: DeviceRequest,
    /// Where it stands.
    pub state: DeviceState,
    /// Seconds.
    pub expires_at: i64,
    /// The latest poll, seconds; 0 before the first (a narrow row of its own).
    pub last_poll: i64,
    /// Seconds to wait between polls; `slow_down` makes it longer.
    pub interval: i64,
}

/// What a device asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// `scope` as validated.
    pub scope: String,
    /// `nonce`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// RFC 7636 challenge, where the device sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<crate::flow::CodeChallenge>,
    /// When the device asked, seconds: what its client's not-before is held against.
    #[serde(default)]
    pub asked_at: i64,
}

/// A back-channel logout message that still has to reach its client (OIDC Back-Channel Logout §2.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogoutDelivery {
    /// Its id: `jti` of the logout token, the same at each try.
    pub id: String,
    /// For whom.
    pub client: ClientUuid,
    /// `sub`
    pub user: UserId,
    /// `sid` that ended.
    pub session: SessionId,
    /// `iss`: the name under which the session ended.
    pub issuer: String,
    /// When it is tried next, seconds.
    pub due_at: i64,
    /// Tries so far; [`HELD`](crate::oauth::backchannel::HELD): not before its session is over.
    pub attempts: i64,
    /// Given up from here on, seconds.
    pub expires_at: i64,
}

/// What a user allowed a client (Keycloak's consent).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consent {
    /// Who.
    pub user: UserId,
    /// Whom.
    pub client: ClientUuid,
    /// The client scopes allowed.
    pub scopes: Vec<ClientScopeId>,
    /// When first given, milliseconds.
    pub created: i64,
    /// When last changed, milliseconds.
    pub updated: i64,
}
