//! Abuse cases of codes, tokens, refresh families, protected resources and limits, at the whole router over real HTTP.
//!
//! **Owns** the attacks (each named by its case) with their honest twins, in a strict realm and in one of Keycloak's
//! profile, in a time that the test moves.
//!
//! **Does not own** the answers' exact bytes (the golden set), the login pages, the listener's limits (the binary's tests).
//!
//! **Flow** [`ground`] makes a server with two realms -> a table of attacks -> after each one the honest request passes.

#![expect(clippy::indexing_slicing, reason = "a missing member of an answer fails the test")]

mod addresses;
mod admin_sessions;
mod admin_users;
mod assertions;
mod coded;
mod codes;
mod devices;
mod ear;
mod exchange;
mod fan_out;
mod feed;
mod forge;
mod grants;
mod ground;
mod guard_feed;
mod guard_told;
mod guesses;
mod handles;
mod introspect;
mod introspect_signed;
mod json_doors;
mod keys;
mod large;
mod lifetimes;
mod limits;
mod logout;
mod logout_messages;
mod matrix;
mod meanwhile;
mod offline;
mod outbound;
mod panics;
mod pkce;
mod properties;
mod pushed;
mod races;
mod refresh;
mod refusals;
mod resources;
mod revoke;
mod services;
mod shapes;
mod tokens;
mod userinfo;
