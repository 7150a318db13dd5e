//! What only SQLite files have: the lock, the key, crashes, and what stands in the raw bytes.

use std::path::Path;

use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_store::{Db, OpenError, OpenOptions, ReadError, ServerKeys, migrate_check};

use super::records::write;
use super::sample::{credential, keys, realm_id, whole_realm};

fn open(folder: &Path) -> Result<Db, OpenError> {
    Db::open(folder, keys(), OpenOptions::default())
}

fn open_with(folder: &Path, current: (u32, u8), previous: Option<(u32, u8)>) -> Result<Db, OpenError> {
    let keys =
        ServerKeys { current: (current.0, [current.1; 32]), previous: previous.map(|(id, byte)| (id, [byte; 32])) };
    Db::open(folder, keys, OpenOptions::default())
}

async fn made(folder: &Path) {
    let db = open(folder).unwrap();
    write(&db, whole_realm("r")).await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_folder_has_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked(_)), "{refused}");
    db.close().await;
    let second = open(folder.path()).unwrap();
    drop(second);
    open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_closed_database_takes_no_plans_and_was_drained() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).unwrap();
    db.apply(Plan::new(Lane::Admin, whole_realm("r"))).await.unwrap();
    db.close().await;
    let late = write(&db, vec![Write::DeleteUser(realm_id("r"), "u1".into())]).await;
    assert_eq!(late, Err(portcullis_store::ApplyError::Busy));
    let wal = folder.path().join("portcullis.db-wal");
    assert_eq!(std::fs::metadata(wal).map_or(0, |m| m.len()), 0);
    let again = open(folder.path()).unwrap();
    let user = again.user(&realm_id("r"), &"u1".into()).await.unwrap();
    assert!(user.is_some());
}

#[tokio::test]
async fn an_acknowledged_plan_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let after = tempfile::tempdir().unwrap();
    let db = open(folder.path()).unwrap();
    write(&db, whole_realm("r")).await.unwrap();
    for file in ["portcullis.db", "portcullis.db-wal"] {
        std::fs::copy(folder.path().join(file), after.path().join(file)).unwrap();
    }
    let found = open(after.path()).unwrap();
    let lineage = found.lineage(&realm_id("r"), &"l1".into()).await.unwrap();
    assert!(lineage.is_some());
    assert!(found.realm_records("r").await.unwrap().is_some());
}

#[tokio::test]
async fn secrets_do_not_stand_in_the_raw_file() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).unwrap();
    write(&db, whole_realm("r")).await.unwrap();
    let otp = credential("otp1", "otp", "the-otp-seed-in-clear");
    let add = Write::AddCredential(realm_id("r"), "u1".into(), otp);
    write(&db, vec![add]).await.unwrap();
    let mut raw = Vec::new();
    for file in ["portcullis.db", "portcullis.db-wal"] {
        raw.extend(std::fs::read(folder.path().join(file)).unwrap());
    }
    let contains = |text: &str| raw.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(contains("name-c1"), "the file was searched");
    for secret in ["the-client-secret-in-clear", "the-private-key-in-clear", "the-otp-seed-in-clear"] {
        assert!(!contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_sealed_value_moved_to_another_row_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path()).await;
    let raw = rusqlite::Connection::open(folder.path().join("portcullis.db")).unwrap();
    let swap = "UPDATE clients SET secret = (SELECT secret FROM clients WHERE id = 'c2') WHERE id = 'c1'";
    assert_eq!(raw.execute(swap, []).unwrap(), 1);
    drop(raw);
    let db = open(folder.path()).unwrap();
    let refused = db.realm_records("r").await.unwrap_err();
    assert_eq!(refused, ReadError::Sealed("clients"));
}

#[tokio::test]
async fn the_server_key_must_be_the_databases() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path()).await;
    let wrong = open_with(folder.path(), (1, 8), None).unwrap_err();
    assert!(matches!(wrong, OpenError::WrongKey(1)), "{wrong}");
    let missing = open_with(folder.path(), (2, 8), None).unwrap_err();
    assert!(matches!(missing, OpenError::KeyMissing(1)), "{missing}");
    let rotated = open_with(folder.path(), (2, 8), Some((1, 7))).unwrap();
    let records = rotated.realm_records("r").await.unwrap().unwrap();
    let client = records.client("name-c1").unwrap();
    assert!(client.secret.as_ref().unwrap().matches("the-client-secret-in-clear"));
    let password = rotated.credentials(&realm_id("r"), &"u1".into()).await;
    let replace = Write::ReplaceCredential {
        realm: realm_id("r"),
        user: "u1".into(),
        from: password.unwrap().remove(0),
        to: credential("cred1", "password", "rehashed"),
    };
    write(&rotated, vec![replace]).await.unwrap();
}

#[tokio::test]
async fn other_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.db");
    std::fs::write(&file, vec![b'x'; 8192]).unwrap();
    let garbage = open(folder.path()).unwrap_err();
    assert!(matches!(garbage, OpenError::NotADatabase(_)), "{garbage}");
    std::fs::remove_file(&file).unwrap();
    let raw = rusqlite::Connection::open(&file).unwrap();
    raw.execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    drop(raw);
    let foreign = open(folder.path()).unwrap_err();
    assert!(matches!(foreign, OpenError::NotOurs(_)), "{foreign}");
    let checked = migrate_check(folder.path()).unwrap_err();
    assert!(matches!(checked, OpenError::NotOurs(_)), "{checked}");
    let not_a_folder = open(&file.join("below")).unwrap_err();
    assert!(matches!(not_a_folder, OpenError::Storage(_)), "{not_a_folder}");
}

#[tokio::test]
async fn a_schema_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(migrate_check(folder.path()).unwrap().applied, 0);
    made(folder.path()).await;
    let state = migrate_check(folder.path()).unwrap();
    assert_eq!(state.pending(), 0);
    assert!(state.known > 0);
    let raw = || rusqlite::Connection::open(folder.path().join("portcullis.db")).unwrap();
    let newer = "INSERT INTO schema_steps (number, checksum) VALUES (9999, '')";
    raw().execute(newer, []).unwrap();
    let refused = open(folder.path()).unwrap_err();
    let expected = OpenError::NewerSchema { found: 9999, known: state.known };
    assert_eq!(refused.to_string(), expected.to_string());
    raw().execute("DELETE FROM schema_steps WHERE number = 9999", []).unwrap();
    drop(open(folder.path()).unwrap());
    let changed = "UPDATE schema_steps SET checksum = 'x' WHERE number = 2";
    raw().execute(changed, []).unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::ChangedStep(2)), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    made(&folder).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("portcullis.db")), 0o600);
}

#[tokio::test]
async fn a_rewrapped_database_needs_the_new_key_only() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).unwrap();
    write(&db, whole_realm("r")).await.unwrap();
    let many = (0..300).map(|n| {
        let otp = credential(&format!("otp{n}"), "otp", "seed");
        Write::AddCredential(realm_id("r"), "u2".into(), otp)
    });
    write(&db, many.collect()).await.unwrap();
    assert_eq!(db.rewrap().await.unwrap(), 0);
    db.close().await;
    drop(db);
    let both = open_with(folder.path(), (2, 8), Some((1, 7))).unwrap();
    assert_eq!(both.rewrap().await.unwrap(), 304, "key, 2 secrets, 301 credentials");
    assert_eq!(both.rewrap().await.unwrap(), 0);
    both.close().await;
    drop(both);
    let old = open(folder.path()).unwrap_err();
    assert!(matches!(old, OpenError::KeyMissing(2)), "{old}");
    let new = open_with(folder.path(), (2, 8), None).unwrap();
    let records = new.realm_records("r").await.unwrap().unwrap();
    let client = records.client("name-c2").unwrap();
    assert!(client.secret.as_ref().unwrap().matches("the-client-secret-in-clear"));
    assert_eq!(records.keys[0].private.expose(), b"the-private-key-in-clear");
    for (user, count, secret) in [("u1", 1, "the-hash"), ("u2", 300, "seed")] {
        let mut read = new.credentials(&realm_id("r"), &user.into()).await.unwrap();
        assert_eq!(read.len(), count);
        let from = read.remove(0);
        assert!(from.secret_data.matches(secret));
        let mut to = from.clone();
        to.priority = 99;
        let replace = Write::ReplaceCredential { realm: realm_id("r"), user: user.into(), from, to };
        write(&new, vec![replace]).await.unwrap();
    }
}
