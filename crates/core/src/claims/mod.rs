//! What tokens and userinfo say, made by protocol mappers.
//!
//! **Owns** effective roles and scopes of a client, the mappers, the payloads of access, ID, refresh tokens and userinfo.
//! **Does not own** signing (idp), lifetimes of sessions ([`crate::session`]), which grant asked ([`crate::oauth`]).
