//! Sessions: one per login (user session), one per client in it (client session), one refresh family per login of a client (lineage).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ClientUuid, KeyId, LineageId, SessionId, UserId};

/// One login of one user in one browser or by one direct grant. Its end ends everything below it (foreign keys cascade).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSession {
    /// `sid`, `session_state`.
    pub id: SessionId,
    /// Who logged in.
    pub user: UserId,
    /// When, seconds.
    pub started: i64,
    /// When the user last proved who it is, seconds (`auth_time`).
    pub auth_time: i64,
    /// Whether the longer limits apply.
    pub remember_me: bool,
    /// Whether it is an offline session.
    pub offline: bool,
    /// The peer's address at login.
    pub ip_address: String,
    /// Highest seen activity of the session itself (the children have their own), seconds.
    pub last_seen: i64,
    /// Session notes that mappers may read.
    pub notes: BTreeMap<String, String>,
}

impl UserSession {
    /// A login without a browser, at `now` seconds: not remembered, without notes.
    #[must_use]
    pub fn begun(id: SessionId, user: UserId, ip_address: &str, now: i64) -> Self {
        Self {
            id,
            user,
            started: now,
            auth_time: now,
            remember_me: false,
            offline: false,
            ip_address: ip_address.to_owned(),
            last_seen: now,
            notes: BTreeMap::new(),
        }
    }
}

/// What one client was given in one user session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSession {
    /// The session above.
    pub session: SessionId,
    /// The client.
    pub client: ClientUuid,
    /// When the client first took part, seconds.
    pub started: i64,
    /// The facts of the latest authorization.
    pub grant: Grant,
    /// Latest refresh or exchange, seconds (a narrow row of its own).
    pub last_refresh: i64,
}

/// What was asked and granted at the authorization endpoint (or by a direct grant).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Grant {
    /// The `scope` parameter as validated, words separated by one blank.
    pub scope: String,
    /// OIDC `nonce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The matched redirect URI, as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// `acr` of this authorization (`1` fresh, `0` by single sign-on).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// Whether `auth_time` is shown (browser logins).
    #[serde(default)]
    pub browser: bool,
    /// `auth_time` of this authorization, seconds: another login in the same session does not better it (OIDC Core §12.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The resources its tokens are for, sorted (RFC 8707); empty: whatever the mappers name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
}

/// A refresh-token family: the row mints the token, so nothing is stored that could be stolen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Its id.
    pub id: LineageId,
    /// The session above.
    pub session: SessionId,
    /// The client.
    pub client: ClientUuid,
    /// The facts this family was given with.
    pub grant: Grant,
    /// Which token of the family is the live one; starts at 1.
    pub generation: i64,
    /// When it became the live one, seconds: `iat` of the live token.
    pub rotated_at: i64,
    /// `exp` of the live token, seconds (0: none).
    pub expires_at: i64,
    /// The HMAC key the live token is signed with.
    pub key: KeyId,
    /// Uses of the live token beyond the first (Keycloak's `refreshTokenMaxReuse`).
    pub reuses: i64,
}
