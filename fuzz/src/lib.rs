//! Fuzz targets for everything that reads a stranger's bytes, built by the stable compiler.
//!
//! Owns: the targets (one function of bytes each, which panics when an invariant breaks), seeds, the mutating runner.
//! Does not own: the parsers. Flow: seed or file -> mutation -> target; the failing input is printed.
#![expect(clippy::expect_used, reason = "a broken invariant must stop the run")]

mod fixture;
pub mod runner;
mod targets;

pub use targets::{authorize, cookies, jwks, jws, params, realm_file, redirect_uri};

#[cfg(test)]
mod tests;
