//! Many callers at once: one winner, no leftovers, no neighbour harmed.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use portcullis_core::plan::{Entity, Gate, Lane, LineageMove, LoginKey, Plan, Write};
use portcullis_store::{ApplyError, Db};

use super::records::write;
use super::sample::{client_session, event, failures, lineage, realm_id, role, session, take_code, whole_realm};

/// Applies all plans at the same time; their outcomes in order.
async fn together(db: &Db, plans: Vec<Plan>) -> Vec<Result<(), ApplyError>> {
    let tasks: Vec<_> = plans
        .into_iter()
        .map(|plan| {
            let db = db.clone();
            tokio::spawn(async move { db.apply(plan).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

async fn one_of_fifty(db: &Db, plan: impl Fn() -> Plan, lost: Gate) {
    let outcomes = together(db, (0..50).map(|_| plan()).collect()).await;
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
    let losers = outcomes.iter().filter(|o| **o == Err(ApplyError::Gate(lost)));
    assert_eq!(losers.count(), 49);
}

pub(crate) async fn one_of_fifty_takes_a_code(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let take = || Plan::new(Lane::Gate, vec![take_code(&r, 1, "us1")]);
    one_of_fifty(&db, take, Gate::CodeAlreadyUsed).await;
    let used = db.code_used(&r, &[1; 32]).await.unwrap();
    assert_eq!(used, Some(("us1".into(), "c1".into())));
    assert_eq!(db.code_used(&r, &[2; 32]).await.unwrap(), None);
}

pub(crate) async fn one_of_fifty_rotates_a_lineage(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let rotate = || {
        let write = Write::RotateLineage {
            realm: r.clone(),
            lineage: "l1".into(),
            from: (1, 0),
            to: LineageMove { generation: 2, reuses: 0, rotated_at: 1100, expires_at: 2100, key: "k1".into() },
        };
        Plan::new(Lane::Gate, vec![write])
    };
    one_of_fifty(&db, rotate, Gate::LineageMoved).await;
    let family = db.lineage(&r, &"l1".into()).await.unwrap().unwrap();
    assert_eq!(family.generation, 2);
}

pub(crate) async fn one_of_fifty_counts_the_first_failure(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let count = || {
        let row = Write::PutLoginFailures(r.clone(), failures("k", 1));
        Plan::new(Lane::Login, vec![row])
    };
    one_of_fifty(&db, count, Gate::Stale(Entity::LoginFailures)).await;
    let row = db.login_failures(&r, &LoginKey("k".to_owned())).await;
    assert_eq!(row.unwrap(), Some(failures("k", 1)));
}

pub(crate) async fn lo_an_insert_that_races_a_logout_loses_in_both_orders(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let login = |n: usize| {
        let sid = format!("s{n}");
        vec![
            Write::CreateUserSession(r.clone(), session(&sid, "u1")),
            Write::PutClientSession(r.clone(), client_session(&sid, "c1")),
        ]
    };
    let exchange = |n: usize| {
        let sid = format!("s{n}");
        let writes = vec![
            take_code(&r, u8::try_from(n).unwrap(), &sid),
            Write::CreateLineage(r.clone(), lineage(&format!("x{n}"), &sid, "c1")),
        ];
        Plan::new(Lane::Gate, writes)
    };
    let logout = |n: usize| {
        let end = Write::EndUserSession(r.clone(), format!("s{n}").as_str().into());
        Plan::new(Lane::Gate, vec![end])
    };
    for n in 0..2 {
        write(&db, login(n)).await.unwrap();
    }
    db.apply(logout(0)).await.unwrap();
    assert_eq!(db.apply(exchange(0)).await, Err(ApplyError::Gate(Gate::ClientSessionEnded)));
    let unused = db.code_used(&r, &[0; 32]).await.unwrap();
    assert_eq!(unused, None, "nothing of a lost plan is written");
    db.apply(exchange(1)).await.unwrap();
    db.apply(logout(1)).await.unwrap();
    for n in 2..42 {
        write(&db, login(n)).await.unwrap();
        let plans = if n % 2 == 0 { vec![logout(n), exchange(n)] } else { vec![exchange(n), logout(n)] };
        together(&db, plans).await;
    }
    for n in 0..42 {
        let left = db.lineage(&r, &format!("x{n}").as_str().into()).await;
        assert!(left.unwrap().is_none(), "{n}");
    }
    let mut late = lineage("late", "us1", "c1");
    late.session = "s1".into();
    let direct = write(&db, vec![Write::CreateLineage(r.clone(), late)]).await;
    assert_eq!(direct, Err(ApplyError::Gate(Gate::ClientSessionEnded)));
    // A list of sessions that is not whole is no list of all.
    write(&db, vec![Write::CreateUserSession(r.clone(), session("us9", "u1"))]).await.unwrap();
    let only = |known: &[&str]| {
        let known = known.iter().map(|id| (*id).into()).collect();
        vec![Write::ExpectUserSessions(r.clone(), "u1".into(), known)]
    };
    let sessions = db.user_sessions_of(&r, &"u1".into()).await.unwrap();
    let whole: Vec<&str> = sessions.iter().map(|s| s.id.as_str()).collect();
    assert!(whole.len() > 1);
    let longer = [whole.as_slice(), &["ended"]].concat();
    let stale = Err(ApplyError::Gate(Gate::Stale(Entity::UserSessions)));
    let glued = whole.join("-");
    for (known, outcome) in [
        (whole.as_slice(), Ok(())),
        (&longer, Ok(())),
        (&whole[1..], stale.clone()),
        (&[], stale.clone()),
        (&[&glued], stale),
    ] {
        assert_eq!(write(&db, only(known)).await, outcome, "{known:?}");
    }
    let all_but = Write::EndUserSessions { realm: r.clone(), user: "u1".into(), except: Some("us1".into()) };
    write(&db, vec![all_but]).await.unwrap();
    let left = db.user_sessions_of(&r, &"u1".into()).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, "us1".into());
    let all = Write::EndUserSessions { realm: r.clone(), user: "u1".into(), except: None };
    write(&db, vec![all]).await.unwrap();
    assert!(db.user_sessions_of(&r, &"u1".into()).await.unwrap().is_empty());
    assert!(db.lineage(&r, &"l1".into()).await.unwrap().is_none());
}

pub(crate) async fn a_failed_plan_leaves_its_neighbours_alone(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let before = db.stats();
    let plan = |n: usize| {
        let mut writes = vec![
            Write::Audit(event(&r, &format!("e{n}"), 1)),
            Write::CreateRole(r.clone(), role(&format!("x{n}"), None)),
        ];
        if n.is_multiple_of(3) {
            writes.push(Write::ExpectUserSession(r.clone(), "gone".into()));
        }
        Plan::new(Lane::Admin, writes)
    };
    let outcomes = together(&db, (0..300).map(plan).collect()).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        let lost = Err(ApplyError::Gate(Gate::SessionEnded));
        assert_eq!(*outcome, if n % 3 == 0 { lost } else { Ok(()) });
    }
    let records = db.realm_records("r").await.unwrap().unwrap();
    for n in 0..300 {
        let there = records.roles.get(&format!("x{n}").as_str().into()).is_some();
        assert_eq!(there, n % 3 != 0, "{n}");
    }
    assert_eq!(db.events(&r, 1000).await.unwrap().len(), 200);
    let after = db.stats();
    assert_eq!(after.plans - before.plans, 200);
    assert_eq!(after.refused - before.refused, 100);
    assert_eq!(after.rows - before.rows, 400);
    assert!(after.commits > before.commits);
    assert_eq!(after.depths, [0; 4]);
}

pub(crate) async fn a_caller_that_hangs_up_loses_nothing(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let audit = |id: &str| Plan::new(Lane::Admin, vec![Write::Audit(event(&r, id, 1))]);
    {
        let mut hung_up = pin!(db.apply(audit("first")));
        poll_fn(|context| {
            let _ = hung_up.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }
    db.apply(audit("second")).await.unwrap();
    assert_eq!(db.events(&r, 10).await.unwrap().len(), 2);
}

pub(crate) async fn a_thousand_writes_are_one_plan_and_more_are_refused(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let audits = |count: usize| {
        let one = |n| Write::Audit(event(&r, &format!("{count}-{n}"), 1));
        (0..count).map(one).collect::<Vec<_>>()
    };
    write(&db, audits(1000)).await.unwrap();
    let many = write(&db, audits(1001)).await;
    assert!(matches!(many, Err(ApplyError::Storage(_))), "{many:?}");
    assert_eq!(db.events(&r, 5000).await.unwrap().len(), 1000);
    db.apply(Plan::none()).await.unwrap();
}

pub(crate) async fn text_with_nul_is_refused(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let nul = write(&db, vec![Write::Audit(event(&r, "a\0b", 1))]).await;
    assert!(matches!(nul, Err(ApplyError::Storage(_))), "{nul:?}");
    write(&db, vec![Write::Audit(event(&r, "ab", 1))]).await.unwrap();
    assert_eq!(db.events(&r, 10).await.unwrap().len(), 1);
}
