//! The guard from outside: whole requests through an axum router, each attack with its honest twin.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;
mod cutoffs;
mod keys;
mod logouts;
mod remembered;
mod rights;
mod tokens;
