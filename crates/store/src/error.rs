//! What can go wrong: opening, writing, reading. Each variant is one sentence an operator can act on.

use std::path::PathBuf;

use portcullis_core::plan::Gate;

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds `DIR/lock`.
    #[error("the data folder {0} is in use by another portcullis process")]
    Locked(PathBuf),
    /// The folder or its files cannot be written.
    #[error("the data folder {0} cannot be written: check its owner and whether the disk is mounted read-only")]
    ReadOnly(PathBuf),
    /// The file is not SQLite's, or damaged.
    #[error("{0} is not a database, or damaged: restore it from a backup or move it away")]
    NotADatabase(PathBuf),
    /// The file is SQLite's, but another program's.
    #[error("{0} is the database of another program")]
    NotOurs(PathBuf),
    /// A newer version has migrated it.
    #[error("the database has schema step {found}, this version knows {known}: start the newer version of portcullis")]
    NewerSchema {
        /// Highest step applied.
        found: i64,
        /// Highest step of this version.
        known: i64,
    },
    /// A step that was applied differs from the one in this version.
    #[error("schema step {0} was changed after it had been applied: this is a damaged or modified build")]
    ChangedStep(i64),
    /// The database is sealed under a key that was not given.
    #[error(
        "the database is sealed with server key {0}, which was not given: restore the key file that belongs to this database"
    )]
    KeyMissing(u32),
    /// The key has the right id and the wrong bytes.
    #[error("the server key {0} does not open this database: restore the key file that belongs to it")]
    WrongKey(u32),
    /// Anything else the engine or the file system said.
    #[error("the database cannot be opened: {0}")]
    Storage(String),
}

/// Why a plan did not (or perhaps did not) commit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApplyError {
    /// An expectation was not met; nothing of the plan was written.
    #[error("the plan lost its gate: {0:?}")]
    Gate(Gate),
    /// The queue is full, closed, or the plan waited past its deadline; nothing was written.
    #[error("the store is busy")]
    Busy,
    /// The commit's answer was lost: it may or may not have been written. Never repeated by store.
    #[error("the outcome of the commit is unknown")]
    Unknown,
    /// The engine refused; nothing was written.
    #[error("storage: {0}")]
    Storage(String),
}

/// Why a read failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    /// The engine refused, or a stored row has a shape this version does not know.
    #[error("storage: {0}")]
    Storage(String),
    /// A sealed value does not open under the server's keys.
    #[error("a sealed value in {0} does not open under the server key")]
    Sealed(&'static str),
    /// It took longer than such a read may.
    #[error("the search took too long")]
    Slow,
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error.to_string())
    }
}
