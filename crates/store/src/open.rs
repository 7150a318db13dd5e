//! Opening a data folder: the lock, the file, the schema, and proof that the server key is the right one.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use crate::error::OpenError;
use crate::migrate::{self, MigrationState};
use crate::sealing::{Cell, Sealer, Unsealed};
use crate::sqlite;

/// The database inside the data folder.
pub(crate) const FILE: &str = "portcullis.db";
const LOCK: &str = "lock";

pub(crate) const CANARY: Cell<'static> = Cell { table: "meta", column: "value", realm: "", row: "server-key" };
pub(crate) const CANARY_TEXT: &[u8] = b"portcullis";

fn from_io(folder: &Path, error: &io::Error) -> OpenError {
    let denied = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
    if denied.contains(&error.kind()) {
        OpenError::ReadOnly(folder.to_owned())
    } else {
        OpenError::Storage(error.to_string())
    }
}

fn from_sqlite(file: &Path, error: &rusqlite::Error) -> OpenError {
    if sqlite::not_a_database(error) || sqlite::damaged(error) {
        OpenError::NotADatabase(file.to_owned())
    } else if sqlite::read_only(error) {
        OpenError::ReadOnly(file.to_owned())
    } else {
        OpenError::Storage(error.to_string())
    }
}

/// Makes the folder (for its owner alone) and takes `DIR/lock`; the lock ends with the file handle.
pub(crate) fn lock(folder: &Path) -> Result<File, OpenError> {
    make_folder(folder).map_err(|e| from_io(folder, &e))?;
    let file = private_file(&folder.join(LOCK)).map_err(|e| from_io(folder, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(from_io(folder, &error)),
    }
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// The writer's connection to a migrated database that belongs to these keys.
pub(crate) fn database(folder: &Path, sealer: &Sealer) -> Result<Connection, OpenError> {
    let file = folder.join(FILE);
    private_file(&file).map_err(|e| from_io(folder, &e))?;
    let conn = sqlite::writer(&file).map_err(|e| from_sqlite(&file, &e))?;
    if !migrate::is_ours(&conn).map_err(|e| from_sqlite(&file, &e))? {
        return Err(OpenError::NotOurs(file));
    }
    prepare(&conn, sealer)?;
    Ok(conn)
}

/// Checks the key before the schema is touched, so that a wrong one changes nothing.
pub(crate) fn prepare(conn: &Connection, sealer: &Sealer) -> Result<(), OpenError> {
    if migrate::check(conn)?.applied > 0 {
        canary(conn, sealer)?;
    }
    migrate::migrate(conn)?;
    canary(conn, sealer)
}

/// Opens the canary, or seals one into a new database.
fn canary(conn: &Connection, sealer: &Sealer) -> Result<(), OpenError> {
    let storage = |e: rusqlite::Error| OpenError::Storage(e.to_string());
    let stored: Option<String> = conn
        .query_row("SELECT value FROM meta WHERE name = 'server-key'", [], |row| row.get(0))
        .optional()
        .map_err(storage)?;
    let Some(stored) = stored else {
        let sealed = sealer.seal(CANARY, CANARY_TEXT).ok_or_else(|| OpenError::Storage("sealing failed".to_owned()))?;
        return conn
            .execute("INSERT INTO meta (name, value) VALUES ('server-key', ?1)", [sealed])
            .map(|_| ())
            .map_err(storage);
    };
    match sealer.open(CANARY, &stored) {
        Ok(text) if text == CANARY_TEXT => Ok(()),
        Err(Unsealed::KeyMissing(id)) => Err(OpenError::KeyMissing(id)),
        Ok(_) | Err(Unsealed::Refused) => Err(OpenError::WrongKey(sealer.key_id())),
    }
}

/// What a start would do to the schema of `folder`, without doing it.
///
/// # Errors
/// [`OpenError`] as a start would answer it; a folder without a database has nothing applied.
pub fn migrate_check(folder: &Path) -> Result<MigrationState, OpenError> {
    let file = folder.join(FILE);
    let conn = if file.exists() {
        sqlite::reader(&file).map_err(|e| from_sqlite(&file, &e))?
    } else {
        sqlite::memory().map_err(|e| from_sqlite(&file, &e))?
    };
    if !migrate::is_ours(&conn).map_err(|e| from_sqlite(&file, &e))? {
        return Err(OpenError::NotOurs(file));
    }
    migrate::check(&conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_named_so() {
        let folder = Path::new("/somewhere");
        for (kind, read_only) in [
            (io::ErrorKind::PermissionDenied, true),
            (io::ErrorKind::ReadOnlyFilesystem, true),
            (io::ErrorKind::NotADirectory, false),
        ] {
            let error = from_io(folder, &io::Error::from(kind));
            assert_eq!(matches!(error, OpenError::ReadOnly(_)), read_only, "{error}");
        }
    }

    #[test]
    fn a_read_only_file_is_named_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let conn = sqlite::writer(&file).unwrap();
        conn.execute_batch("CREATE TABLE t (x); PRAGMA query_only = ON").unwrap();
        let refused = conn.execute("INSERT INTO t VALUES (1)", []).unwrap_err();
        let error = from_sqlite(&file, &refused);
        assert!(matches!(error, OpenError::ReadOnly(_)), "{error}");
    }
}
