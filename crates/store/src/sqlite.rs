//! The SQLite engine: connections, reading rows, and one batch of plans as one transaction.

use std::path::Path;
use std::time::Duration;

use portcullis_core::plan::{Entity, Gate};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi, params_from_iter};

use crate::error::{ApplyError, ReadError};
use crate::sql::{Row, Rows, Source, Sql, Step, Value};

/// Distinct statements a connection keeps prepared.
const STATEMENTS: usize = 160;

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// Settings of every connection. The cache stays small: the ready demo must fit into 40 MB.
fn configure(conn: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // One plan per statement: without it SQLite prepares again whenever a bound value changes (28 % of a refresh).
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// The connection that writes; creates the file.
pub(crate) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&conn, 4000)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "journal_size_limit", 67_108_864)?;
    Ok(conn)
}

/// A connection that only reads.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&conn, 2000)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// The one connection of a database that leaves nothing behind.
pub(crate) fn memory() -> rusqlite::Result<Connection> {
    let conn = Connection::open_in_memory()?;
    configure(&conn, 4000)?;
    Ok(conn)
}

impl Source for Connection {
    fn rows(&self, sql: &'static Sql, params: Vec<Value>) -> Result<Vec<Row>, ReadError> {
        let mut statement = self.prepare_cached(sql.sqlite())?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(params))?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(columns);
            for at in 0..columns {
                values.push(match row.get_ref(at)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => Value::Int(number),
                    ValueRef::Text(text) => Value::Text(
                        String::from_utf8(text.to_vec())
                            .map_err(|_| ReadError::Storage("text is not UTF-8".to_owned()))?,
                    ),
                    ValueRef::Real(_) | ValueRef::Blob(_) => {
                        return Err(ReadError::Storage("unexpected column type".to_owned()));
                    }
                });
            }
            out.push(Row(values));
        }
        Ok(out)
    }
}

/// Runs `read` in one read transaction: all of it sees one state.
pub(crate) fn snapshot<T>(
    conn: &Connection,
    read: impl FnOnce(&dyn Source) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    run(conn, "BEGIN")?;
    let ended = Ended(conn);
    let out = read(conn);
    run(conn, "COMMIT")?;
    drop(ended);
    out
}

/// However a read ends, a panic included (DS-26), its connection can begin the next one.
struct Ended<'c>(&'c Connection);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit()
            && let Err(error) = run(self.0, "ROLLBACK")
        {
            tracing::error!(%error, "a read could not be ended");
        }
    }
}

/// What became of one plan: rows changed, or why not.
pub(crate) type Outcome = Result<u64, ApplyError>;

/// Runs plans in one transaction, each in a savepoint of its own, and commits. One answer per plan, in order.
pub(crate) fn batch(conn: &Connection, plans: &[&[Step]]) -> Vec<Outcome> {
    if let Err(error) = run(conn, "BEGIN IMMEDIATE") {
        tracing::error!(%error, "nothing can be written");
        return vec![Err(storage(&error)); plans.len()];
    }
    let mut outcomes = Vec::with_capacity(plans.len());
    for steps in plans {
        let outcome = plan(conn, steps);
        let lost = conn.is_autocommit();
        outcomes.push(outcome);
        if lost {
            // The engine ended the transaction by itself (disk full, I/O error): nothing of the batch was written.
            let error = outcomes.pop().and_then(Result::err);
            let error = error.unwrap_or_else(|| ApplyError::Storage("transaction lost".to_owned()));
            tracing::error!(%error, "nothing can be written");
            return vec![Err(error); plans.len()];
        }
    }
    if let Err(error) = run(conn, "COMMIT") {
        tracing::error!(%error, "nothing can be written");
        if !conn.is_autocommit() {
            let _ = run(conn, "ROLLBACK");
        }
        return vec![Err(ApplyError::Unknown); plans.len()];
    }
    outcomes
}

/// A plan of one step needs no savepoint: a statement that fails changes nothing, and one that finds no row has changed none.
fn plan(conn: &Connection, steps: &[Step]) -> Outcome {
    if let [step] = steps {
        return one(conn, step);
    }
    run(conn, "SAVEPOINT plan").map_err(|e| storage(&e))?;
    let mut changed = 0;
    for step in steps {
        match one(conn, step) {
            Ok(rows) => changed += rows,
            Err(error) => {
                if !conn.is_autocommit() {
                    run(conn, "ROLLBACK TO plan").map_err(|e| storage(&e))?;
                    run(conn, "RELEASE plan").map_err(|e| storage(&e))?;
                }
                return Err(error);
            }
        }
    }
    run(conn, "RELEASE plan").map_err(|e| storage(&e))?;
    Ok(changed)
}

fn run(conn: &Connection, sql: &str) -> rusqlite::Result<usize> {
    conn.prepare_cached(sql)?.execute([])
}

fn one(conn: &Connection, step: &Step) -> Outcome {
    let changed = conn
        .prepare_cached(step.sql.sqlite())
        .and_then(|mut statement| statement.execute(params_from_iter(&step.params)));
    match (changed, step.rows) {
        (Ok(0), Rows::One(gate)) => Err(ApplyError::Gate(gate)),
        (Ok(rows), Rows::One(_) | Rows::Any) => Ok(rows as u64),
        (Err(error), _) => Err(refusal(&error, step)),
    }
}

/// A violated key is the gate that the step names for it.
fn refusal(error: &rusqlite::Error, step: &Step) -> ApplyError {
    let rusqlite::Error::SqliteFailure(code, message) = error else {
        return storage(error);
    };
    let gate = match code.extended_code {
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => step.foreign,
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE => {
            let email = message.as_ref().is_some_and(|m| m.contains("email_key"));
            step.unique.map(|gate| match (gate, email) {
                (Gate::Taken(Entity::User), true) => Gate::Taken(Entity::Email),
                (gate, _) => gate,
            })
        }
        _ => None,
    };
    gate.map_or_else(|| storage(error), ApplyError::Gate)
}

fn storage(error: &rusqlite::Error) -> ApplyError {
    ApplyError::Storage(error.to_string())
}

/// Moves the write-ahead log into the database file.
pub(crate) fn checkpoint(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Whether the engine says the file is not its own.
pub(crate) fn not_a_database(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::NotADatabase)
}

/// Whether the engine says that the file's pages are not what they should be.
pub(crate) fn damaged(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

/// Whether the engine may not write.
pub(crate) fn read_only(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate;
    use crate::sql::{Phase, Table, values};

    static INSERT: Sql = Sql::new("INSERT INTO meta (name, value) VALUES ($1, 'v')");
    static DEFER: Sql = Sql::new("PRAGMA defer_foreign_keys = ON");
    static ORPHAN: Sql =
        Sql::new("INSERT INTO clients (realm_id, id, client_id, version, doc) VALUES ('no realm', 'c', 'c', 0, '{}')");
    static NAMES: Sql = Sql::new("SELECT name FROM meta ORDER BY name");

    fn step(sql: &'static Sql, params: Vec<Value>) -> Step {
        Step::new(Table::Realms, Phase::Create, sql, params)
    }

    fn insert(name: &str) -> Step {
        step(&INSERT, values![name])
    }

    fn database() -> Connection {
        let conn = memory().unwrap();
        migrate::migrate(&conn).unwrap();
        conn
    }

    fn names(conn: &Connection) -> Vec<String> {
        let rows = conn.rows(&NAMES, values![]).unwrap();
        rows.into_iter().map(|mut row| row.text(0).unwrap()).collect()
    }

    #[test]
    fn a_failed_plan_in_the_middle_of_a_batch_rolls_back_alone() {
        let conn = database();
        let taken = Gate::Taken(Entity::Realm);
        let plans = [
            vec![insert("a")],
            vec![insert("b"), insert("a").unique(taken)],
            vec![insert("a").unique(taken)],
            vec![insert("c"), insert("d")],
            vec![insert("c")],
        ];
        let plans: Vec<&[Step]> = plans.iter().map(Vec::as_slice).collect();
        let outcomes = batch(&conn, &plans);
        assert_eq!(outcomes[0], Ok(1));
        assert_eq!(outcomes[1], Err(ApplyError::Gate(taken)));
        assert_eq!(outcomes[2], Err(ApplyError::Gate(taken)));
        assert_eq!(outcomes[3], Ok(2));
        assert!(matches!(outcomes[4], Err(ApplyError::Storage(_))));
        assert_eq!(names(&conn), ["a", "c", "d"]);
    }

    #[test]
    fn a_failed_commit_fails_the_whole_batch_as_unknown() {
        let conn = database();
        let plans = [
            vec![insert("a")],
            vec![step(&DEFER, values![]), step(&ORPHAN, values![])],
            vec![insert("b"), insert("c")],
        ];
        let plans: Vec<&[Step]> = plans.iter().map(Vec::as_slice).collect();
        assert_eq!(batch(&conn, &plans), vec![Err(ApplyError::Unknown); 3]);
        assert!(names(&conn).is_empty());
        assert!(conn.is_autocommit(), "the next batch can begin");
        assert_eq!(batch(&conn, &[&[insert("d")]]), vec![Ok(1)]);
        assert_eq!(names(&conn), ["d"]);
    }

    #[test]
    fn settings_are_the_durable_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let writer = writer(&file).unwrap();
        let reader = reader(&file).unwrap();
        let number =
            |conn: &Connection, name: &str| -> i64 { conn.pragma_query_value(None, name, |row| row.get(0)).unwrap() };
        for conn in [&writer, &reader] {
            assert_eq!(number(conn, "synchronous"), 2, "FULL");
            assert_eq!(number(conn, "foreign_keys"), 1);
            let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
        }
        assert!(reader.execute_batch("CREATE TABLE t (x)").is_err());
    }
}
