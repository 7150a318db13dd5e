//! # portcullis-store: rows and what may be forgotten
//!
//! **Owns** every SQL text, the engines, migrations, sealing at rest, the writer with its group commit, and [`Ephemeral`].
//!
//! **Does not own** decisions (core makes plans), the wall clock (times are arguments), who may call.
//!
//! **Flow** `Plan` -> `identity::compile` -> lane -> writer thread (one transaction for many plans, a savepoint each)
//! -> COMMIT -> answer. Reads go to connections of their own and see what was committed.

mod changes;
mod clock;
mod db;
mod ephemeral;
mod error;
mod identity;
mod known_users;
mod lanes;
mod lists;
mod migrate;
mod open;
mod readers;
mod reads;
mod sealing;
mod searches;
mod sql;
mod sqlite;
mod sweep;
mod writer;

pub use changes::Looked;
pub use db::{Db, OpenOptions};
pub use ephemeral::memory::{Bounds, MemoryEphemeral};
pub use ephemeral::{Ephemeral, EphemeralError, Key, Kind};
pub use error::{ApplyError, OpenError, ReadError};
pub use identity::events::StoredEvent;
pub use lanes::LaneSizes;
pub use lists::Page;
pub use migrate::MigrationState;
pub use open::migrate_check;
pub use sealing::ServerKeys;
pub use sweep::{RealmLimits, SweepReport, Swept};
pub use writer::Stats;
