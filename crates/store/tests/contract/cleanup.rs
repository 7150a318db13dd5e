//! Removing realms in pieces and sweeping what expired.

use portcullis_core::ids::RealmId;
use portcullis_core::plan::{LoginKey, Write};
use portcullis_core::realm::RealmState;
use portcullis_core::session::UserSession;
use portcullis_core::time::Now;
use portcullis_store::{Db, RealmLimits};

use super::records::write;
use super::sample::{event, failures, realm, realm_id, session, take_code, whole_realm};

async fn filled(db: &Db, name: &str) {
    let r = realm_id(name);
    write(db, whole_realm(name)).await.unwrap();
    for part in 0..3 {
        let one = |n| Write::Audit(event(&r, &format!("{part}-{n}"), 1));
        write(db, (0..900).map(one).collect()).await.unwrap();
    }
    let more = vec![
        take_code(&r, 1, "us1"),
        Write::PutLoginFailures(r.clone(), failures("k", 1)),
        Write::RememberDevice { realm: r.clone(), account: LoginKey("k".to_owned()), device: [1; 32], at: 1 },
    ];
    write(db, more).await.unwrap();
}

async fn is_gone(db: &Db, r: &RealmId) {
    assert!(db.realm_records_any_state(r).await.unwrap().is_none());
    assert!(db.user(r, &"u1".into()).await.unwrap().is_none());
    assert!(db.user_session(r, &"us1".into()).await.unwrap().is_none());
    assert!(db.lineage(r, &"l1".into()).await.unwrap().is_none());
    assert!(db.code_used(r, &[1; 32]).await.unwrap().is_none());
    assert!(db.events(r, 1).await.unwrap().is_empty());
    let account = LoginKey("k".to_owned());
    assert!(!db.device_known(r, &account, &[1; 32]).await.unwrap());
}

pub(crate) async fn a_removed_realm_leaves_nothing_and_touches_no_other(db: Db) {
    let (a, b) = (realm_id("a"), realm_id("b"));
    filled(&db, "a").await;
    filled(&db, "b").await;
    let before = db.realm_generation(&a);
    db.remove_realm(&a).await.unwrap();
    assert!(db.realm_generation(&a) > before);
    is_gone(&db, &a).await;
    let records = db.realm_records("b").await.unwrap().unwrap();
    assert_eq!(records.clients().count(), 2);
    assert_eq!(db.events(&b, 5000).await.unwrap().len(), 2700);
    assert!(db.lineage(&b, &"l1".into()).await.unwrap().is_some());
    write(&db, vec![Write::CreateRealm(realm("a"))]).await.unwrap();
}

pub(crate) async fn a_removal_that_was_cut_off_goes_on(db: Db) {
    let a = realm_id("a");
    filled(&db, "a").await;
    assert_eq!(db.finish_removals().await.unwrap(), 0);
    let flip = Write::SetRealmState(a.clone(), RealmState::Ready, RealmState::Emptying);
    let piece = Write::DeleteUser(a.clone(), "u1".into());
    write(&db, vec![flip, piece]).await.unwrap();
    assert!(db.realm_records("a").await.unwrap().is_none());
    assert_eq!(db.finish_removals().await.unwrap(), 1);
    is_gone(&db, &a).await;
}

const DAY: i64 = 86_400;

fn limits(r: &RealmId) -> [RealmLimits; 1] {
    [RealmLimits {
        realm: r.clone(),
        session_max: 36_000,
        remember_me_max: 100_000,
        offline_idle: i64::MAX / 2,
        offline_max: None,
        failure_reset: 43_200,
    }]
}

pub(crate) async fn a_sweep_takes_what_expired_more_than_a_day_ago(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let mut remembered = session("remembered", "u1");
    remembered.remember_me = true;
    let mut offline = session("offline", "u1");
    offline.offline = true;
    let mut young = session("young", "u1");
    young.started = 50_000;
    let mut locked = failures("locked", 1);
    locked.not_before = i64::MAX;
    let rows = vec![
        take_code(&r, 1, "us1"),
        Write::CreateUserSession(r.clone(), remembered),
        Write::CreateUserSession(r.clone(), offline),
        Write::CreateUserSession(r.clone(), young),
        Write::PutLoginFailures(r.clone(), failures("k", 1)),
        Write::PutLoginFailures(r.clone(), locked),
    ];
    write(&db, rows).await.unwrap();
    let exactly_a_day = db.sweep(Now::from_secs(1060 + DAY), &limits(&r)).await;
    assert!(exactly_a_day.unwrap().tables.is_empty());
    let report = db.sweep(Now::from_secs(1061 + DAY), &limits(&r)).await;
    let report = report.unwrap();
    assert_eq!(report.tables.len(), 1);
    assert_eq!((report.tables[0].table, report.tables[0].removed), ("used_codes", 1));
    assert!(db.code_used(&r, &[1; 32]).await.unwrap().is_none());
    let report = db.sweep(Now::from_secs(50_000 + DAY), &limits(&r)).await;
    assert!(!report.unwrap().alarm());
    let left = db.user_sessions_of(&r, &"u1".into()).await.unwrap();
    let mut left: Vec<&str> = left.iter().map(|s| s.id.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["offline", "remembered", "young"]);
    assert!(db.lineage(&r, &"l1".into()).await.unwrap().is_none());
    for (key, stands) in [("k", false), ("locked", true)] {
        let row = db.login_failures(&r, &LoginKey(key.to_owned())).await;
        assert_eq!(row.unwrap().is_some(), stands, "{key}");
    }
}

pub(crate) async fn a_sweep_holds_back_more_than_a_fifth(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let old = |n| Write::CreateUserSession(r.clone(), session(&format!("old{n}"), "u1"));
    write(&db, (0..100).map(old).collect()).await.unwrap();
    let now = Now::from_secs(200_000);
    let report = db.sweep(now, &limits(&r)).await.unwrap();
    assert!(report.alarm());
    assert_eq!((report.tables[0].removed, report.tables[0].held_back), (0, 101));
    assert!(db.user_session(&r, &"old1".into()).await.unwrap().is_some());
    let young = |n| {
        let mut row = session(&format!("young{n}"), "u1");
        row.started = 199_000;
        Write::CreateUserSession(r.clone(), row)
    };
    write(&db, (0..500).map(young).collect()).await.unwrap();
    let report = db.sweep(now, &limits(&r)).await.unwrap();
    assert!(!report.alarm());
    assert_eq!(report.tables[0].removed, 101);
    let left = db.user_sessions_of(&r, &"u1".into()).await.unwrap();
    assert_eq!(left.len(), 500);
}

pub(crate) async fn ds_28_sessions_that_end_together_are_swept_in_small_pieces(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let many = |name: &'static str, count: usize, started: i64| {
        let r = r.clone();
        (0..count).map(move |n| {
            let row = UserSession { started, ..session(&format!("{name}{n}"), "u1") };
            Write::CreateUserSession(r.clone(), row)
        })
    };
    let now = 200_000;
    let rows: Vec<Write> = many("over", 900, 1_000).chain(many("alive", 3_700, now)).collect();
    for piece in rows.chunks(900) {
        write(&db, piece.to_vec()).await.unwrap();
    }
    let before = db.stats();
    let report = db.sweep(Now::from_secs(now), &limits(&r)).await.unwrap();
    let after = db.stats();
    assert!(!report.alarm());
    assert_eq!(report.tables[0].removed, 901, "all that ended, the sample's own with them");
    let (plans, removed) = (after.plans - before.plans, after.rows - before.rows);
    // No plan takes more than 200, so a login waits for 200 rows at most.
    assert!(plans >= removed.div_ceil(200) && plans <= 2 + removed.div_ceil(200), "{plans} plans for {removed} rows");
    assert_eq!(db.user_sessions_of(&r, &"u1".into()).await.unwrap().len(), 3_700);
}
