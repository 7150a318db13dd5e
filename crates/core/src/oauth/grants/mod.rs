//! The grants: what proves each one, and what it gives.
//!
//! **Owns** one `decide` per grant over loaded records. **Does not own** the shared phases ([`super::token`]).
//! **Flow** `decide(context, client, presented, loaded)` -> plan and [`super::token::Issue`], or a reason with a plan of its own.

pub mod authorization_code;
pub mod client_credentials;
pub mod device;
pub mod family;
mod login;
mod offline;
pub mod password;
pub mod refresh;
pub mod token_exchange;

pub use login::Login;

#[cfg(test)]
mod tests;
