//! # portcullis-client: talking to an identity provider
//!
//! **Owns** discovery, key fetching with caching, a service account's tokens, event streams, what a logout token must be ([`logout_token`]),
//! and the one door for outbound calls ([`door`]).
//!
//! **Does not own** judging other tokens (`portcullis-jose`), HTTP servers (`portcullis-guard`).
//!
//! **Flow** issuer -> [`discovery::Metadata`] -> [`keys::IssuerKeys`]: known keys at once, an unknown `kid` fetches at most once per cool-down,
//! and keys that were good stay good for a day when the identity provider is away.

pub mod discovery;
pub mod door;
mod events;
pub mod keys;
pub mod logout_token;
mod service_account;

pub use discovery::Metadata;
pub use door::{CallError, Door, Names, Reach, SystemNames, Traces};
pub use events::Events;
pub use keys::{IssuerKeys, KeyPolicy, NoKeys};
pub use logout_token::{LogoutFault, LogoutRules, LogoutToken};
pub use service_account::ServiceAccount;
