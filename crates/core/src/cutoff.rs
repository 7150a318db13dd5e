//! Cut-offs: what ended before its tokens did. Rows with an order, so that a guard can follow them (`docs/reference/revocation-feed.md`).

use std::borrow::Cow;

use crate::ids::{KeyId, SessionId, UserId};

/// What ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// A user session: every token with this `sid`.
    Session(SessionId),
    /// All tokens of a user issued up to [`CutOff::before`].
    Subject(UserId),
    /// One token, by its `jti`.
    Token(String),
    /// All tokens of a client issued up to [`CutOff::before`], by its `client_id` (`azp`).
    Client(String),
    /// All tokens of a client in a user session issued up to [`CutOff::before`]: `sid` and `client_id` (`azp`).
    ClientSession(SessionId, String),
    /// All tokens signed with this key.
    Key(KeyId),
    /// All tokens of the realm issued up to [`CutOff::before`].
    Realm,
}

impl Ended {
    /// The feed's word: `sid`, `sub`, `jti`, `client`, `session-client`, `kid`, `realm`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Session(_) => "sid",
            Self::Subject(_) => "sub",
            Self::Token(_) => "jti",
            Self::Client(_) => "client",
            Self::ClientSession(..) => "session-client",
            Self::Key(_) => "kid",
            Self::Realm => "realm",
        }
    }

    /// The identifier: `sid` and `client_id` with a blank between for a client session, empty for a realm.
    #[must_use]
    pub fn value(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Session(id) => id.as_str(),
            Self::Subject(id) => id.as_str(),
            Self::Token(id) | Self::Client(id) => id,
            Self::ClientSession(session, client) => return Cow::Owned(format!("{session} {client}")),
            Self::Key(kid) => kid.as_str(),
            Self::Realm => "",
        })
    }

    /// From kind and identifier as stored.
    #[must_use]
    pub fn parse(kind: &str, value: &str) -> Option<Self> {
        Some(match kind {
            "sid" => Self::Session(value.into()),
            "sub" => Self::Subject(value.into()),
            "jti" => Self::Token(value.to_owned()),
            "client" => Self::Client(value.to_owned()),
            "session-client" => {
                let (session, client) = value.split_once(' ')?;
                Self::ClientSession(session.into(), client.to_owned())
            }
            "kid" => Self::Key(value.into()),
            "realm" => Self::Realm,
            _ => return None,
        })
    }
}

/// One cut-off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CutOff {
    /// What ended.
    pub ended: Ended,
    /// Tokens with `iat` up to this second are dead (`sub`, `client`, `session-client`, `realm`); for the others it is when they ended.
    pub before: i64,
    /// From this second on no such token can be alive, so the row may go.
    pub expires_at: i64,
}

/// A place in a realm's cut-offs. Sequences are in commit order; a new epoch (a restored backup) starts over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Cursor {
    /// Raised when history was replaced.
    pub epoch: i64,
    /// The latest cut-off; 0 before the first.
    pub sequence: i64,
}
