//! What waits between requests, and cut-offs: records come back whole, gates are won once, sequences follow the commits.

use portcullis_core::cutoff::{Cursor, CutOff, Ended};
use portcullis_core::ids::RealmId;
use portcullis_core::pending::{
    Consent, DeviceGrant, DeviceRequest, DeviceState, LogoutDelivery, PushedRequest, SpentKind,
};
use portcullis_core::plan::{Entity, Gate, Write};
use portcullis_core::time::Now;
use portcullis_store::{ApplyError, Db, RealmLimits};

use super::records::write;
use super::sample::{realm_id, whole_realm};

pub(crate) fn pushed(byte: u8, client: &str) -> PushedRequest {
    PushedRequest { hash: [byte; 32], client: client.into(), parameters: "scope=openid".to_owned(), expires_at: 1060 }
}

pub(crate) fn device(byte: u8, user_code: u8) -> DeviceGrant {
    DeviceGrant {
        hash: [byte; 32],
        user_code: [user_code; 32],
        client: "c1".into(),
        request: DeviceRequest { scope: "openid".to_owned(), ..DeviceRequest::default() },
        state: DeviceState::Pending,
        expires_at: 1600,
        last_poll: 0,
        interval: 5,
    }
}

pub(crate) fn delivery(id: &str, due_at: i64) -> LogoutDelivery {
    LogoutDelivery {
        id: id.to_owned(),
        client: "c1".into(),
        user: "u1".into(),
        session: "us1".into(),
        issuer: "https://id.test/realms/r".to_owned(),
        due_at,
        attempts: 0,
        expires_at: 90_000,
    }
}

pub(crate) fn consent(scopes: &[&str], updated: i64) -> Consent {
    let scopes = scopes.iter().map(|s| (*s).into()).collect();
    Consent { user: "u1".into(), client: "c1".into(), scopes, created: 1, updated }
}

pub(crate) fn cut(ended: Ended, before: i64) -> CutOff {
    CutOff { ended, before, expires_at: before + 300 }
}

fn approved() -> DeviceState {
    DeviceState::Approved { user: "u1".into(), session: "us1".into() }
}

fn spend(r: &RealmId, kind: SpentKind, byte: u8) -> Write {
    Write::Spend { realm: r.clone(), kind, hash: [byte; 32], expires_at: 1060 }
}

fn poll(r: &RealmId, from: i64, at: i64) -> Write {
    Write::PollDevice { realm: r.clone(), hash: [1; 32], from, at, interval: 10 }
}

fn lost(gate: Gate) -> Result<(), ApplyError> {
    Err(ApplyError::Gate(gate))
}

pub(crate) async fn what_waits_comes_back_whole_and_is_taken_once(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let all = vec![
        Write::CreatePushed(r.clone(), pushed(1, "c1")),
        Write::CreateDevice(r.clone(), device(1, 2)),
        Write::QueueLogout(r.clone(), delivery("late", 1000)),
        Write::QueueLogout(r.clone(), delivery("soon", 900)),
    ];
    write(&db, all).await.unwrap();
    assert_eq!(db.pushed_request(&r, &[1; 32]).await.unwrap(), Some(pushed(1, "c1")));
    assert_eq!(db.device_grant(&r, &[1; 32]).await.unwrap(), Some(device(1, 2)));
    assert_eq!(db.device_grant_by_user_code(&r, &[2; 32]).await.unwrap(), Some(device(1, 2)));
    assert_eq!(db.due_logouts(&r, 899, 9).await.unwrap(), []);
    assert_eq!(db.due_logouts(&r, 1000, 9).await.unwrap(), [delivery("soon", 900), delivery("late", 1000)]);
    let moved = Gate::DeviceMoved;
    let table = [
        (Write::TakePushed(r.clone(), [1; 32]), Ok(())),
        (Write::TakePushed(r.clone(), [1; 32]), lost(Gate::PushedTaken)),
        (Write::CreatePushed(r.clone(), pushed(2, "cx")), lost(Gate::Gone(Entity::Client))),
        (Write::CreateDevice(r.clone(), device(3, 2)), lost(Gate::Taken(Entity::UserCode))),
        (Write::TakeDevice(r.clone(), [1; 32]), lost(moved)),
        (poll(&r, 0, 1010), Ok(())),
        (poll(&r, 0, 1020), lost(moved)),
        (Write::DecideDevice(r.clone(), [1; 32], approved()), Ok(())),
        (Write::DecideDevice(r.clone(), [1; 32], DeviceState::Denied), lost(moved)),
    ];
    for (tried, expected) in table {
        let label = format!("{tried:?}");
        assert_eq!(write(&db, vec![tried]).await, expected, "{label}");
    }
    let decided = DeviceGrant { state: approved(), last_poll: 1010, interval: 10, ..device(1, 2) };
    assert_eq!(db.device_grant(&r, &[1; 32]).await.unwrap(), Some(decided));
    let table = [
        (Write::TakeDevice(r.clone(), [1; 32]), Ok(())),
        (Write::TakeDevice(r.clone(), [1; 32]), lost(moved)),
        (poll(&r, 1010, 1030), lost(moved)),
        (Write::DropDevice(r.clone(), [1; 32]), Ok(())),
        (Write::RetryLogout(r.clone(), "soon".to_owned(), 1, 2000), Ok(())),
        (Write::DropLogout(r.clone(), "late".to_owned()), Ok(())),
        (spend(&r, SpentKind::ClientAssertion, 1), Ok(())),
        (spend(&r, SpentKind::OneTimeCode, 1), Ok(())),
        (spend(&r, SpentKind::ClientAssertion, 1), lost(Gate::AlreadySpent)),
    ];
    for (tried, expected) in table {
        let label = format!("{tried:?}");
        assert_eq!(write(&db, vec![tried]).await, expected, "{label}");
    }
    let again = LogoutDelivery { attempts: 1, ..delivery("soon", 2000) };
    assert_eq!(db.due_logouts(&r, 2000, 9).await.unwrap(), [again]);
    write(&db, vec![Write::DeleteClient(r.clone(), "c1".into())]).await.unwrap();
    assert_eq!(db.due_logouts(&r, 9000, 9).await.unwrap(), []);
}

pub(crate) async fn a_consent_is_replaced_and_goes_with_its_parents(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let (user, client) = ("u1".into(), "c1".into());
    for (given, expected) in
        [(consent(&["s1"], 1), consent(&["s1"], 1)), (consent(&["s1", "s2"], 5), consent(&["s1", "s2"], 5))]
    {
        write(&db, vec![Write::PutConsent(r.clone(), Consent { created: given.updated, ..given })]).await.unwrap();
        assert_eq!(db.consent(&r, &user, &client).await.unwrap(), Some(expected.clone()));
        assert_eq!(db.consents(&r, &user).await.unwrap(), [expected]);
    }
    let stranger = Consent { user: "ux".into(), ..consent(&[], 1) };
    assert_eq!(write(&db, vec![Write::PutConsent(r.clone(), stranger)]).await, lost(Gate::Gone(Entity::User)));
    write(&db, vec![Write::DeleteConsent(r.clone(), user.clone(), client.clone())]).await.unwrap();
    assert_eq!(db.consent(&r, &user, &client).await.unwrap(), None);
}

pub(crate) async fn cut_offs_are_in_commit_order(db: Db) {
    let (r, other) = (realm_id("r"), realm_id("other"));
    write(&db, whole_realm("r")).await.unwrap();
    write(&db, whole_realm("other")).await.unwrap();
    assert_eq!(db.cutoff_cursor(&r).await.unwrap(), Cursor { epoch: 1, sequence: 0 });
    let kinds = [
        Ended::Session("us1".into()),
        Ended::Subject("u1".into()),
        Ended::Token("j".to_owned()),
        Ended::Client("c1".to_owned()),
        Ended::ClientSession("us1".into(), "c 1".to_owned()),
        Ended::Key("k1".into()),
        Ended::Realm,
    ];
    let two = kinds.iter().take(2).map(|e| Write::CutOff(r.clone(), cut(e.clone(), 100))).collect();
    write(&db, two).await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let (db, r, ended) = (db.clone(), r.clone(), kinds[2 + n % 4].clone());
            tokio::spawn(async move { write(&db, vec![Write::CutOff(r, cut(ended, 100 + n as i64))]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let all = db.cutoffs_after(&r, 0, 100).await.unwrap();
    assert_eq!(all.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=52).collect::<Vec<i64>>());
    assert_eq!(db.cutoffs_after(&r, 50, 1).await.unwrap(), all[50..51]);
    assert_eq!(
        db.cutoffs_live(&r, 0, 400, 100).await.unwrap().len(),
        all.iter().filter(|(_, c)| c.expires_at > 400).count()
    );
    assert_eq!(db.cutoff_cursor(&r).await.unwrap(), Cursor { epoch: 1, sequence: 52 });
    assert_eq!(db.cutoff_cursor(&other).await.unwrap().sequence, 0);
    assert_eq!(db.cut_off(&r, &Ended::Session("us1".into())).await.unwrap(), Some(100));
    assert_eq!(db.cut_off(&r, &Ended::Session("us2".into())).await.unwrap(), None);
    assert_eq!(db.cut_off(&other, &Ended::Session("us1".into())).await.unwrap(), None);
    let lost_plan =
        vec![Write::CutOff(r.clone(), cut(Ended::Realm, 1)), Write::ExpectUserSession(r.clone(), "usx".into())];
    assert_eq!(write(&db, lost_plan).await, lost(Gate::SessionEnded));
    assert_eq!(db.cutoff_cursor(&r).await.unwrap().sequence, 52);
}

pub(crate) async fn what_ended_is_swept_and_a_removed_realm_takes_all(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let all = vec![
        spend(&r, SpentKind::ClientAssertion, 1),
        Write::CreatePushed(r.clone(), pushed(1, "c1")),
        Write::CreateDevice(r.clone(), device(1, 2)),
        Write::CutOff(r.clone(), cut(Ended::Realm, 760)),
        Write::PutConsent(r.clone(), consent(&["s1"], 1)),
        Write::QueueLogout(r.clone(), delivery("d", 900)),
    ];
    write(&db, all.clone()).await.unwrap();
    let limits = [RealmLimits {
        realm: r.clone(),
        session_max: 36_000,
        remember_me_max: 36_000,
        offline_idle: i64::MAX / 2,
        offline_max: None,
        failure_reset: 43_200,
    }];
    let report = db.sweep(Now::from_secs(1061 + 86_400), &limits).await.unwrap();
    let tables: Vec<&str> = report.tables.iter().map(|t| t.table).collect();
    assert_eq!(tables, ["spent", "cutoffs", "pushed_requests"]);
    let report = db.sweep(Now::from_secs(1601 + 86_400), &limits).await.unwrap();
    assert_eq!(report.tables.iter().map(|t| t.table).collect::<Vec<_>>(), ["device_grants"]);
    // The order goes on where it was: a guard that follows must never see a number twice.
    assert_eq!(db.cutoff_cursor(&r).await.unwrap().sequence, 1);
    db.remove_realm(&r).await.unwrap();
    write(&db, whole_realm("r")).await.unwrap();
    assert_eq!(db.consents(&r, &"u1".into()).await.unwrap(), []);
    assert_eq!(db.due_logouts(&r, 9000, 9).await.unwrap(), []);
}
