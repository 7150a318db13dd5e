//! Rules over all statements and tables: read from their texts and from the schema itself.

use portcullis_core::ids::RealmId;
use portcullis_core::plan::Write;
use rusqlite::Connection;

use super::{all_statements, compile, consents, credentials, failures, lineages, sessions, users, waiting};
use crate::sealing::{Sealer, ServerKeys};
use crate::sql::Phase;
use crate::{migrate, sqlite};

fn database() -> Connection {
    let conn = sqlite::memory().unwrap();
    migrate::migrate(&conn).unwrap();
    conn
}

fn texts(conn: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = conn.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|at| row.get::<_, String>(at)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn every_statement_prepares_and_numbers_its_parameters_without_gaps() {
    let conn = database();
    assert!(all_statements().len() > 100);
    for sql in all_statements() {
        let statement = conn.prepare(sql.sqlite());
        let statement = statement.unwrap_or_else(|e| panic!("{}: {e}", sql.text()));
        for number in 1..=statement.parameter_count() {
            let marker = format!("${number}");
            assert!(sql.text().contains(&marker), "{marker}: {}", sql.text());
        }
    }
}

#[test]
fn every_statement_names_the_realm() {
    for sql in all_statements() {
        assert!(sql.text().contains("realm_id"), "{}", sql.text());
        let changes = ["UPDATE", "DELETE"].iter().any(|w| sql.text().starts_with(w));
        if changes {
            assert!(sql.text().contains("WHERE realm_id = $1"), "{}", sql.text());
        }
    }
}

#[test]
fn no_statement_speaks_a_dialect_or_reads_a_clock() {
    let banned = [
        "OR REPLACE",
        "OR IGNORE",
        "strftime",
        "datetime",
        "CURRENT_",
        "now()",
        "ROWID",
        "IFNULL",
        "GREATEST",
        "::",
        "ILIKE",
        "GLOB",
        "json_",
    ];
    for sql in all_statements() {
        for word in banned {
            assert!(!sql.text().contains(word), "{word}: {}", sql.text());
        }
    }
}

#[test]
fn every_key_starts_with_the_realm() {
    let conn = database();
    let tables = texts(
        &conn,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('meta', 'schema_steps') AND name NOT LIKE 'sqlite%'",
    );
    assert!(tables.len() > 25);
    for table in tables.iter().map(|row| &row[0]) {
        let first = format!("SELECT name FROM pragma_table_info('{table}') WHERE pk = 1");
        assert_eq!(texts(&conn, &first), [["realm_id"]], "{table}");
        let links = format!("SELECT \"from\", on_delete FROM pragma_foreign_key_list('{table}') WHERE seq = 0");
        let links = texts(&conn, &links);
        assert_eq!(links.is_empty(), table == "realms", "{table}");
        for link in links {
            assert_eq!(link, ["realm_id", "CASCADE"], "{table}");
        }
        let indexes = format!("SELECT name FROM pragma_index_list('{table}') WHERE origin = 'c'");
        for index in texts(&conn, &indexes).iter().map(|row| &row[0]) {
            let column = format!("SELECT name FROM pragma_index_info('{index}') WHERE seqno = 0");
            assert_eq!(texts(&conn, &column), [["realm_id"]], "{index}");
        }
    }
}

/// A cascade without an index reads the whole child table.
#[test]
fn every_foreign_key_has_an_index_on_the_child() {
    let conn = database();
    let plans = texts(
        &conn,
        "SELECT m.name, f.id, group_concat(f.\"from\", ',') FROM sqlite_master m, pragma_foreign_key_list(m.name) f \
         WHERE m.type = 'table' GROUP BY m.name, f.id HAVING 1 ORDER BY 1"
            .replace("f.id,", "CAST(f.id AS TEXT),")
            .as_str(),
    );
    assert!(plans.len() > 30);
    for row in plans {
        let (table, columns) = (&row[0], &row[2]);
        let filter: Vec<String> = columns.split(',').map(|c| format!("{c} = 'x'")).collect();
        let explain = format!("EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {}", filter.join(" AND "));
        let mut statement = conn.prepare(&explain).unwrap();
        let detail: String = statement.query_row([], |row| row.get(3)).unwrap();
        assert!(detail.contains("SEARCH"), "{table} ({columns}): {detail}");
        let used = columns.split(',').count();
        assert_eq!(detail.matches("=?").count(), used, "{table} ({columns}): {detail}");
    }
}

/// What a request or a login waits for reads rows by their whole key, never all rows of a realm.
#[test]
fn lookups_do_not_read_a_realms_whole_table() {
    let conn = database();
    let owners =
        [consents::ALL, waiting::ALL, sessions::ALL, lineages::ALL, credentials::ALL, failures::ALL, users::ALL];
    // Searches, and the page of sessions that an administrator's logout of all takes one after another.
    let searches = ["LIKE", "COUNT", "AND offline = 0 LIMIT $2"];
    for sql in owners.concat() {
        if searches.iter().any(|word| sql.text().contains(word)) {
            continue;
        }
        let explain = format!("EXPLAIN QUERY PLAN {}", sql.sqlite());
        let mut statement = conn.prepare(&explain).unwrap();
        let given = vec!["x"; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(given), |row| row.get::<_, String>(3)).unwrap();
        for detail in rows.map(Result::unwrap) {
            let whole = detail.contains("SCAN") && !detail.contains("SCAN CONSTANT");
            let realm_only = detail.contains("(realm_id=?)") && !detail.contains("SEARCH r ");
            assert!(!whole && !realm_only, "{detail}: {}", sql.text());
        }
    }
}

#[test]
fn gates_and_expectations_run_before_what_could_end_them() {
    let sealer = Sealer::new(&ServerKeys { current: (1, [1; 32]), previous: None }).unwrap();
    let r = RealmId::from("r");
    let writes = [
        Write::AddClientScopeMappings(r.clone(), "c".into(), vec!["x".into()]),
        Write::EndUserSession(r.clone(), "s".into()),
        Write::ExpectClientSession(r.clone(), "s".into(), "c".into()),
        Write::ExpectRealm(r.clone(), 1),
        Write::DeleteClient(r.clone(), "d".into()),
        Write::TakeCode { realm: r.clone(), hash: [0; 32], session: "s".into(), client: "c".into(), expires_at: 0 },
    ];
    let compiled = compile(&writes, &sealer).unwrap();
    let phases: Vec<Phase> = compiled.steps.iter().map(|s| s.place.phase()).collect();
    assert_eq!(
        phases,
        [Phase::Gate, Phase::Expect, Phase::Expect, Phase::Delete, Phase::Raise, Phase::Update, Phase::Delete,]
    );
    assert_eq!(compiled.configured, vec![r]);
}
