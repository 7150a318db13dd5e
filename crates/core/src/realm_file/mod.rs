//! Realm files: Keycloak's `RealmRepresentation` JSON in, records and plans out, and records back to JSON.
//!
//! **Owns** the strict reading of a realm file ([`file::RealmFile::read`]), what a fresh realm contains
//! ([`defaults`]), how a file overlays it ([`assemble::assemble`]), the checks of strict realms ([`checks`]), the
//! plans that write a realm ([`plans`]), the master realm's part ([`master`]) and the documents ([`represent`]).
//!
//! **Does not own** files, password hashing, key generation (idp's import does both), storage.
//!
//! **Flow** bytes -> [`file::RealmFile`] -> [`assemble::RealmContents`] -> (idp: keys, hashes) -> `Vec<Plan>`.

pub mod assemble;
pub mod checks;
mod clients;
mod components;
mod credentials;
pub mod defaults;
pub mod file;
pub mod json;
pub mod keys;
pub mod master;
mod members;
pub mod plans;
mod reader;
pub mod refusal;
pub mod represent;
mod roles;
mod user_edit;
mod users;

pub use assemble::{NewCredential, NewUser, RealmContents, assemble};
pub use file::RealmFile;
pub use keys::{KeySource, KeySpec};
pub use refusal::{Reason, Refusal};
pub use user_edit::{EditRefusal, user_edited};

#[cfg(test)]
mod tests;
