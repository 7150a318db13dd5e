//! The OAuth 2.0 and OpenID Connect endpoints as law.
//!
//! **Owns** parsing of parameters, the check table of each endpoint, the grants, and the one error table.
//! **Does not own** HTTP answers (idp), storage (store), login steps ([`crate::login`]), claims ([`crate::claims`]).
//! **Flow** [`params::Params`] -> check table -> proof types -> plan and answer, or a [`error::Reason`].

pub mod authorize;
pub mod backchannel;
pub mod client_auth;
pub mod device;
pub mod discovery;
pub mod error;
mod explain;
pub mod front;
pub mod grants;
pub mod introspect;
pub mod logout;
pub mod out_of_band;
pub mod par;
pub mod params;
pub mod pkce;
pub mod redirect_uri;
pub mod resource;
pub mod response_mode;
pub mod response_type;
pub mod revoke;
pub mod scope;
pub mod token;
