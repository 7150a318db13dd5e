//! # portcullis-bench: measuring
//!
//! **Owns** the load driver, the calibration loop, the table. CPU time per request is read from the scheduler, so a noisy machine changes it little.
//!
//! **Does not own** pass or fail: figures are printed, never asserted.
//!
//! **Flow** calibrate (raw signature, hash, Argon2 in the same run) -> a server process on core 0 -> closed-loop workers on core 1 -> table.

pub mod against;
pub mod calibrate;
pub mod drive;
pub mod guard;
pub mod realm;
pub mod revocation;
pub mod server;
pub mod store;
pub mod table;
pub mod work;
