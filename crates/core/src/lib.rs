//! # portcullis-core: the law
//!
//! **Owns** every rule of the identity provider as values and total functions: what a realm, client, user, role and
//! session is; how a request is parsed, checked and decided; which claims a token carries; which writes follow.
//!
//! **Does not own** tokio, HTTP, SQL, the clock, the random source, signing. Time ([`time::Now`]) and randomness
//! ([`entropy::Entropy`]) are arguments.
//!
//! **Flow** load (idp, store) -> *decide (here)* -> apply (store) -> respond (idp). A decision is a
//! [`plan::Plan`] and an answer or a refusal; a refusal carries a plan as well (a spent code, a failure counted).
//!
//! ## Glossary
//! | RFC word (here) | Keycloak word (wire, admin) |
//! |---|---|
//! | authorization server, issuer | realm |
//! | client identifier `client_id` | `clientId` ([`ids::ClientUuid`] is Keycloak's `id`) |
//! | end-user session | user session, `sid`, `session_state` |
//! | grant of one client in a session | client session |
//! | refresh-token family | lineage (one per login of a client; see [`session::Lineage`]) |
//! | scope value | client scope |

pub mod admin;
pub mod claims;
pub mod client;
pub mod cutoff;
pub mod ending;
pub mod entropy;
pub mod event;
pub mod flow;
pub mod group;
pub mod ids;
mod json;
pub mod key;
pub mod key_policy;
pub mod login;
pub mod mapper;
pub mod oauth;
pub mod pending;
pub mod plan;
pub mod realm;
pub mod realm_file;
pub mod records;
pub mod refusal;
pub mod role;
pub mod scope;
pub mod secret;
pub mod session;
pub mod session_limits;
pub mod time;
pub mod user;
