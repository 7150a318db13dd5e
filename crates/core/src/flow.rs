//! Values that live in `Ephemeral` between requests. Each carries a format number and its end; an unknown format starts over.

use serde::{Deserialize, Serialize};

use crate::ids::{ClientUuid, RealmId, SessionId, UserId};
use crate::session::Grant;

/// Format number of [`IssuedCode`].
pub const CODE_FORMAT: u32 = 1;

/// RFC 7636: how a challenge was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ChallengeMethod {
    /// `plain`
    #[serde(rename = "plain")]
    Plain,
    /// `S256`
    S256,
}

/// RFC 7636: a code challenge as accepted at the authorization endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CodeChallenge {
    /// `code_challenge`
    pub challenge: String,
    /// `code_challenge_method`
    pub method: ChallengeMethod,
}

/// What an authorization code stands for (RFC 6749 §4.1.2), stored under the SHA-256 of the code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IssuedCode {
    /// [`CODE_FORMAT`].
    pub format: u32,
    /// Seconds: what its client's not-before is held against.
    #[serde(default)]
    pub issued_at: i64,
    /// Seconds; compared with `now` by the law.
    pub expires_at: i64,
    /// Its realm.
    pub realm: RealmId,
    /// The user session that stands behind it.
    pub session: SessionId,
    /// The client it was given to.
    pub client: ClientUuid,
    /// The user.
    pub user: UserId,
    /// Scope, nonce, redirect URI, acr.
    pub grant: Grant,
    /// RFC 7636.
    pub challenge: Option<CodeChallenge>,
    /// RFC 9449 §10.
    pub dpop_jkt: Option<String>,
}

impl ChallengeMethod {
    /// The wire word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::S256 => "S256",
        }
    }

    /// From the wire word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "plain" => Some(Self::Plain),
            "S256" => Some(Self::S256),
            _ => None,
        }
    }
}
