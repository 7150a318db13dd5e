//! The token endpoint (RFC 6749 §3.2): its check table, what every grant shares, and the answer.
//!
//! **Owns** the order of the shared phases, [`Issue`] (what a grant decided to give) and the answer's bytes.
//! **Does not own** what proves a grant ([`super::grants`]), claims ([`crate::claims`]), signing (idp).
//! **Flow** [`open`] (table) -> a grant's `decide` -> [`Decision`] -> apply -> [`Issue::access`], [`Issue::id`], [`answer`].

mod answer;
mod audit;
mod issue;
mod table;

pub use answer::{Answer, answer};
pub(crate) use audit::{audit, audit_error};
pub(crate) use issue::{FamilyTerms, Recipient, active_hmac, issue};
pub use issue::{Issue, RefreshStamp};
pub use table::{Cors, Opened, Refusal, open};

use crate::entropy::Entropy;
use crate::oauth::error::Reason;
use crate::plan::Plan;
use crate::records::RealmRecords;
use crate::time::Now;

/// The grants that work. What Keycloak has besides answers as unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GrantType {
    /// RFC 6749 §4.1.3
    AuthorizationCode,
    /// RFC 6749 §6
    RefreshToken,
    /// RFC 6749 §4.3
    Password,
    /// RFC 6749 §4.4
    ClientCredentials,
    /// RFC 8693
    TokenExchange,
    /// RFC 8628 §3.4
    DeviceCode,
    /// RFC 6749 §4.2, OIDC Core §3.3: tokens by the browser. No `grant_type` of the token endpoint.
    Implicit,
}

impl GrantType {
    /// Those of the token endpoint, sorted by name.
    pub const ALL: [Self; 6] = [
        Self::AuthorizationCode,
        Self::ClientCredentials,
        Self::Password,
        Self::RefreshToken,
        Self::DeviceCode,
        Self::TokenExchange,
    ];

    /// The `grant_type` value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::Password => "password",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::Implicit => "implicit",
        }
    }

    /// Reads a `grant_type` value.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|g| g.name() == name)
    }

    /// Keycloak's two letters inside `jti` (26.2 and later).
    #[must_use]
    pub const fn shortcut(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "ac",
            Self::RefreshToken => "rt",
            Self::Password => "ro",
            Self::ClientCredentials => "cc",
            Self::TokenExchange => "te",
            Self::DeviceCode => "dg",
            Self::Implicit => "na",
        }
    }
}

/// What every grant may use besides its own records.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The request's clock.
    pub now: Now,
    /// The realm.
    pub records: &'a RealmRecords,
    /// The server's own address, without a trailing slash.
    pub base: &'a str,
    /// The realm's issuer.
    pub issuer: &'a str,
    /// The peer's address.
    pub ip: &'a str,
    /// Random bytes.
    pub entropy: &'a dyn Entropy,
    /// The resources that the request names (RFC 8707).
    pub resources: &'a [String],
}

/// What a grant decided. The plan is applied before the answer is sent, also when it refuses.
#[derive(Debug)]
pub struct Decision<'a> {
    /// What is written.
    pub plan: Plan,
    /// Tokens to make, or why not.
    pub answer: Result<Issue<'a>, Reason>,
}

impl Decision<'_> {
    /// A refusal that writes nothing.
    #[must_use]
    pub fn refuse(reason: Reason) -> Self {
        Self { plan: Plan::none(), answer: Err(reason) }
    }
}

#[cfg(test)]
mod tests;
