//! Identifiers. Text, because imported realms carry ids that are not UUIDs (Keycloak 26.4: a realm id may equal its name).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )+};
}

ids! {
    /// A realm's id (a uuid, or for `master` and imports whatever the file says).
    RealmId,
    /// Keycloak's internal `id` of a client; the OAuth `client_id` is `Client::client_id`.
    ClientUuid,
    /// A user: the `sub` of its tokens.
    UserId,
    /// A role, of the realm or of a client.
    RoleId,
    /// A group.
    GroupId,
    /// A client scope.
    ClientScopeId,
    /// A protocol mapper.
    MapperId,
    /// A stored credential.
    CredentialId,
    /// A user session: `sid`, `session_state`.
    SessionId,
    /// A refresh-token family: one login of one client in one user session.
    LineageId,
    /// A key's `kid`.
    KeyId,
    /// An audit event.
    EventId,
}
