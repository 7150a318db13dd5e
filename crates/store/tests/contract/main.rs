//! The contract of `Db` and `Ephemeral`, written once and run on every engine.
//!
//! **Owns** the suites (`db`, `ephemeral`) and the records they write (`sample`). **Does not own** what only one engine has:
//! files, locks and migrations are tested in `files.rs`. **Flow** an engine's test hands a maker to a suite.

mod sample;

use portcullis_core::ids::UserId;
use portcullis_core::plan::{Lane, Plan};
use portcullis_store::Db;

#[tokio::test]
async fn smoke() {
    let db = Db::in_memory(sample::keys()).unwrap();
    let realm = sample::realm_id("r1");
    db.apply(Plan::new(Lane::Admin, sample::whole_realm("r1"))).await.unwrap();
    let records = db.realm_records("r1").await.unwrap().unwrap();
    assert_eq!(records.clients().count(), 2);
    let user = db.user(&realm, &UserId::from("u1")).await.unwrap().unwrap();
    assert_eq!(user.roles.len(), 1);
}
