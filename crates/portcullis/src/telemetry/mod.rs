//! What an operator sees of a running server.
//!
//! **Owns** the ring of refusals ([`Ring`]), the metrics page ([`metrics`]), traces ([`spans`]), the control socket ([`control`]) and `portcullis why` ([`why`]).
//! **Does not own** what a refusal is (`portcullis-core`), which answers are refusals (`portcullis-idp`, `portcullis-guard`).
//! **Flow** idp and guard hand a record to the ring -> `portcullis why ID` asks `DIR/control.sock` -> the record in words.

pub mod control;
pub mod metrics;
mod process;
mod ring;
pub mod spans;
pub mod why;

pub use ring::{GuardRefusals, Ring, RingFigures};
