//! Schema steps: numbered, one statement each, checksummed, resumable. The caller holds the folder's lock.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::OpenError;

const IDENTITY: &str = include_str!("../migrations/identity.sql");

/// Marks the file as ours (`PRAGMA application_id`): the letters `Prtc`.
const APPLICATION_ID: i64 = 0x5072_7463;

struct Migration {
    number: i64,
    sql: &'static str,
}

/// What a start would do to a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MigrationState {
    /// Highest step applied.
    pub applied: i64,
    /// Highest step of this version.
    pub known: i64,
}

impl MigrationState {
    /// Steps a start would run.
    #[must_use]
    pub const fn pending(&self) -> i64 {
        self.known - self.applied
    }
}

/// Steps of the embedded text: `-- step N name`, then one statement.
fn steps(text: &'static str) -> Vec<Migration> {
    text.split("\n-- step ")
        .skip(1)
        .filter_map(|part| {
            let (title, sql) = part.split_once('\n')?;
            let number = title.split(' ').next()?.parse().ok()?;
            Some(Migration { number, sql: sql.trim() })
        })
        .collect()
}

fn checksum(sql: &str) -> String {
    let hash = digest(&SHA256, sql.as_bytes());
    hash.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn storage(error: &rusqlite::Error) -> OpenError {
    OpenError::Storage(error.to_string())
}

/// Whether the file is empty or ours.
pub(crate) fn is_ours(conn: &Connection) -> rusqlite::Result<bool> {
    let id: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0))?;
    Ok(id == APPLICATION_ID || (tables == 0 && id == 0))
}

/// Compares the steps that were applied with those of this version.
pub(crate) fn check(conn: &Connection) -> Result<MigrationState, OpenError> {
    let steps = steps(IDENTITY);
    let known = steps.last().map_or(0, |s| s.number);
    let table: Option<i64> = conn
        .query_row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_steps'", [], |row| row.get(0))
        .optional()
        .map_err(|e| storage(&e))?;
    if table.is_none() {
        return Ok(MigrationState { applied: 0, known });
    }
    let found: i64 = conn
        .query_row("SELECT COALESCE(MAX(number), 0) FROM schema_steps", [], |row| row.get(0))
        .map_err(|e| storage(&e))?;
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    for step in steps.iter().filter(|s| s.number <= found) {
        let stored: Option<String> = conn
            .query_row("SELECT checksum FROM schema_steps WHERE number = ?1", [step.number], |row| row.get(0))
            .optional()
            .map_err(|e| storage(&e))?;
        if stored.as_deref() != Some(checksum(step.sql).as_str()) {
            return Err(OpenError::ChangedStep(step.number));
        }
    }
    Ok(MigrationState { applied: found, known })
}

/// Runs what is missing. A new database is made in one transaction; an old one gets each step with its record in a transaction
/// of its own, so a start that was cut off goes on where it stopped.
pub(crate) fn migrate(conn: &Connection) -> Result<(), OpenError> {
    conn.pragma_update(None, "application_id", APPLICATION_ID)
        .and_then(|()| {
            conn.execute_batch(
                "CREATE TABLE IF NOT EXISTS schema_steps (number BIGINT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL)",
            )
        })
        .map_err(|e| storage(&e))?;
    let state = check(conn)?;
    if state.pending() == 0 {
        return Ok(());
    }
    let steps = steps(IDENTITY);
    let missing = || steps.iter().filter(|s| s.number > state.applied);
    let run = || -> rusqlite::Result<()> {
        if state.applied == 0 {
            let transaction = conn.unchecked_transaction()?;
            missing().try_for_each(|step| apply(&transaction, step))?;
            transaction.commit()?;
        } else {
            for step in missing() {
                let transaction = conn.unchecked_transaction()?;
                apply(&transaction, step)?;
                transaction.commit()?;
            }
        }
        statistics(conn)
    };
    run().map_err(|e| storage(&e))
}

/// Tells SQLite's planner what its guesses miss: a realm's id alone selects next to nothing. Without this, lookups by session
/// and cascades read all rows of the realm (it takes any equality on the clustered key for ten rows).
fn statistics(conn: &Connection) -> rusqlite::Result<()> {
    let indexes = {
        let mut statement = conn.prepare(
            "SELECT m.name, i.name, i.\"unique\", i.origin = 'pk' AND w.wr, (SELECT COUNT(*) FROM pragma_index_info(i.name)) \
             FROM sqlite_master m, pragma_index_list(m.name) i, pragma_table_list(m.name) w \
             WHERE m.type = 'table' AND w.schema = 'main' AND m.name NOT LIKE 'sqlite%'",
        )?;
        let rows = statement.query_map([], |row| {
            let (table, index): (String, String) = (row.get(0)?, row.get(1)?);
            let (unique, clustered): (bool, bool) = (row.get(2)?, row.get(3)?);
            // The clustered key of a table without rowid goes by the table's name.
            let index = if clustered { table.clone() } else { index };
            Ok((table, index, estimate(row.get(4)?, unique)))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()?
    };
    let transaction = conn.unchecked_transaction()?;
    transaction.execute_batch("ANALYZE meta; DELETE FROM sqlite_stat1")?;
    for row in &indexes {
        transaction
            .execute("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?1, ?2, ?3)", (&row.0, &row.1, &row.2))?;
    }
    transaction.commit()?;
    conn.execute_batch("ANALYZE sqlite_schema")
}

/// Rows of the table, then rows that match the first, the first two, ... columns of the index.
fn estimate(columns: i64, unique: bool) -> String {
    let mut text = "1000000".to_owned();
    for at in 1..=columns {
        text.push_str(match (at == columns, at) {
            (true, _) if unique => " 1",
            (true, 2..) => " 4",
            (_, 1) => " 100000",
            (_, _) => " 10",
        });
    }
    text
}

/// One step and its record; the caller commits both.
fn apply(conn: &Connection, step: &Migration) -> rusqlite::Result<()> {
    conn.execute(step.sql, [])?;
    conn.execute("INSERT INTO schema_steps (number, checksum) VALUES (?1, ?2)", (step.number, checksum(step.sql)))
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_without_gaps_and_hold_one_statement() {
        let steps = steps(IDENTITY);
        assert!(steps.len() > 40);
        for (at, step) in steps.iter().enumerate() {
            assert_eq!(step.number, i64::try_from(at).unwrap() + 1);
            assert!(!step.sql.contains(';'), "{}", step.number);
        }
    }

    #[test]
    fn a_migration_that_was_cut_off_goes_on() {
        let conn = Connection::open_in_memory().unwrap();
        assert_eq!(check(&conn).unwrap().applied, 0);
        conn.execute_batch("CREATE TABLE schema_steps (number BIGINT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL)")
            .unwrap();
        for step in steps(IDENTITY).iter().take(10) {
            apply(&conn, step).unwrap();
        }
        let state = check(&conn).unwrap();
        assert_eq!(state.applied, 10);
        assert_eq!(state.pending(), state.known - 10);
        migrate(&conn).unwrap();
        assert_eq!(check(&conn).unwrap().pending(), 0);
        migrate(&conn).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_no_record() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE schema_steps (number BIGINT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL); CREATE TABLE meta (x)")
            .unwrap();
        migrate(&conn).unwrap_err();
        assert_eq!(check(&conn).unwrap().applied, 0);
        conn.execute_batch("DROP TABLE meta").unwrap();
        migrate(&conn).unwrap();
    }

    #[test]
    fn the_planner_is_told_about_every_index() {
        assert_eq!(estimate(2, true), "1000000 100000 1");
        assert_eq!(estimate(3, false), "1000000 100000 10 4");
        assert_eq!(estimate(1, true), "1000000 1");
        let conn = Connection::open_in_memory().unwrap();
        migrate(&conn).unwrap();
        migrate(&conn).unwrap();
        let count = |sql| -> i64 { conn.query_row(sql, [], |row| row.get(0)).unwrap() };
        let told = count("SELECT COUNT(*) FROM sqlite_stat1");
        let there = "SELECT COUNT(*) FROM sqlite_master m, pragma_index_list(m.name) WHERE m.type = 'table'";
        assert_eq!(told, count(there));
    }

    #[test]
    fn a_changed_step_is_refused() {
        let conn = Connection::open_in_memory().unwrap();
        migrate(&conn).unwrap();
        conn.execute("UPDATE schema_steps SET checksum = 'x' WHERE number = 7", []).unwrap();
        assert!(matches!(check(&conn), Err(OpenError::ChangedStep(7))));
    }
}
