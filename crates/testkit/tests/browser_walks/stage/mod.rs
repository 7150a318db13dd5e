//! What every walk stands on.
//!
//! **Owns** the running demo ([`demo`]), a small web site with a guarded route ([`site`]), an identity provider under the name
//! `localhost` ([`idp`]), what a person does in the browser ([`person`]), tokens of our own making ([`token`]).
//!
//! **Does not own** any assertion about the product.

pub(crate) mod demo;
pub(crate) mod idp;
pub(crate) mod libraries;
pub(crate) mod person;
pub(crate) mod site;
pub(crate) mod token;

use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    own.parent().unwrap_or(own).to_owned()
}
