//! What tokens and userinfo say, made by protocol mappers.
//!
//! **Owns** effective roles of a user for a client, the mappers, the payloads of access, ID, refresh tokens and userinfo.
//! **Does not own** signing (idp), lifetimes ([`crate::session_limits`]), which grant asked ([`crate::oauth`]).
//! **Flow** [`Facts`] (loaded records) -> [`gather`] (mappers of one [`Target`]) -> [`tokens`] (payload bytes).

mod claim;
mod gather;
mod mapper;
pub mod origins;
pub mod roles;
pub mod tokens;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use gather::{Claims, gather};

use crate::client::Client;
use crate::mapper::ProtocolMapper;
use crate::oauth::scope::ActiveScopes;
use crate::records::RealmRecords;
use crate::session::{Grant, UserSession};
use crate::user::User;

/// Client attribute: access tokens carry only what the basic protocol needs (Keycloak 26.4).
pub const LIGHTWEIGHT_ATTRIBUTE: &str = "client.use.lightweight.access.token.enabled";

/// Everything a claim can be made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The realm's configuration.
    pub records: &'a RealmRecords,
    /// The client the token is for.
    pub client: &'a Client,
    /// Its subject.
    pub user: &'a User,
    /// The session behind it; `None` for sessionless grants.
    pub session: Option<&'a UserSession>,
    /// The session is for this document alone: its notes count, its id is not shown.
    pub transient: bool,
    /// What was asked and granted.
    pub grant: &'a Grant,
    /// The client scopes in force.
    pub scopes: &'a ActiveScopes<'a>,
    /// The only audiences an access token names, with their roles; `None`: all.
    pub audiences: Option<&'a [String]>,
    /// The realm's issuer.
    pub issuer: &'a str,
}

impl<'a> Facts<'a> {
    /// `sid`: the session's id, unless it cannot be found again.
    pub(crate) fn sid(&self) -> Option<&'a str> {
        self.session.filter(|_| !self.transient).map(|session| session.id.as_str())
    }
}

/// Which document a mapper writes into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// An access token.
    Access,
    /// The access token of a client with [`LIGHTWEIGHT_ATTRIBUTE`].
    LightweightAccess,
    /// An ID token.
    Id,
    /// The userinfo answer.
    Userinfo,
    /// The introspection answer.
    Introspection,
}

impl Target {
    /// The access-token target of a client.
    #[must_use]
    pub fn access_of(client: &Client) -> Self {
        if client.flag(LIGHTWEIGHT_ATTRIBUTE) { Self::LightweightAccess } else { Self::Access }
    }

    const ALL: [Self; 5] = [Self::Access, Self::LightweightAccess, Self::Id, Self::Userinfo, Self::Introspection];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Whether a mapper's switches let it write here.
    #[must_use]
    pub fn wants(self, mapper: &ProtocolMapper) -> bool {
        let read =
            || Self::ALL.into_iter().filter(|target| target.reads(mapper)).fold(0, |bits, target| bits | target.bit());
        mapper.switches.bits(read) & self.bit() != 0
    }

    /// Older files lack the newer switches: userinfo then follows the ID token,
    /// introspection the access token (Keycloak 26.4).
    fn reads(self, mapper: &ProtocolMapper) -> bool {
        let access = || match mapper.get("access.token.claim") {
            Some(text) => text == "true",
            None => matches!(
                mapper.protocol_mapper.as_str(),
                "oidc-audience-resolve-mapper" | "oidc-allowed-origins-mapper" | "oidc-sub-mapper"
            ),
        };
        match self {
            Self::Access => access(),
            Self::LightweightAccess => mapper.flag("lightweight.claim"),
            Self::Id => mapper.flag("id.token.claim"),
            Self::Userinfo => match mapper.get("userinfo.token.claim") {
                Some(text) => text == "true",
                None => mapper.flag("id.token.claim") && !is_note(mapper),
            },
            Self::Introspection => mapper.get("introspection.token.claim").map_or_else(access, |text| text == "true"),
        }
    }
}

/// Session notes never go to userinfo unless asked for (Keycloak 26.4: `auth_time` is not there).
fn is_note(mapper: &ProtocolMapper) -> bool {
    matches!(
        mapper.protocol_mapper.as_str(),
        "oidc-usersessionmodel-note-mapper" | "oidc-acr-mapper" | "oidc-amr-mapper"
    )
}
