//! Outside views of the JOSE crate: published vectors, another implementation, properties, attacks.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod attacks_claims;
mod attacks_keys;
mod attacks_shape;
mod common;
mod keys;
mod oracle;
mod properties;
mod sealing;
mod vectors;
