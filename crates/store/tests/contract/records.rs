//! What is written comes back: order, unknown members, secrets, versions, and only in its realm.

use std::collections::BTreeMap;

use portcullis_core::ids::{RoleId, SessionId, UserId};
use portcullis_core::oauth::params::Params;
use portcullis_core::plan::{Entity, Gate, Lane, LineageMove, LoginKey, Plan, Write};
use portcullis_core::realm::RealmState;
use portcullis_core::session_limits::Alive;
use portcullis_core::user::search::{self, UserSearch};
use portcullis_store::{ApplyError, Db, Page};

use super::sample::{
    client, client_session, credential, event, failures, group, key, lineage, realm, realm_id, role, session, user,
    whole_realm,
};

pub(crate) async fn write(db: &Db, writes: Vec<Write>) -> Result<(), ApplyError> {
    db.apply(Plan::new(Lane::Admin, writes)).await
}

pub(crate) async fn a_realm_comes_back_whole(db: Db) {
    write(&db, whole_realm("r")).await.unwrap();
    let records = db.realm_records("r").await.unwrap().unwrap();
    assert_eq!(records.realm.id, realm_id("r"));
    assert_eq!(records.realm.default_role, Some(RoleId::from("role-a")));
    assert_eq!(records.realm.default_groups, realm("r").default_groups);
    assert_eq!(records.realm.settings.other["notYetInvented"]["a"][1], serde_json::json!(2));
    let read = records.client("name-c1").unwrap();
    let written = client("c1");
    assert_eq!(read.redirect_uris, written.redirect_uris);
    assert_eq!(read.web_origins, written.web_origins);
    assert_eq!(read.mappers, written.mappers);
    assert_eq!(read.default_scopes, written.default_scopes);
    assert_eq!(read.scope_mappings, written.scope_mappings);
    assert_eq!(read.secret, written.secret);
    assert_eq!(read.settings.other["unheardOf"], "kept");
    let scope = records.scope_named("name-s1").unwrap();
    assert_eq!(scope.mappers[0].name, "z");
    assert_eq!(scope.scope_mappings[0], RoleId::from("role-b"));
    assert_eq!(scope.realm_default, Some(false));
    let role = records.roles.get(&"role-a".into()).unwrap();
    assert_eq!(role.composites, vec![RoleId::from("role-c"), RoleId::from("role-b")]);
    assert_eq!(role.attributes["k"], vec!["2", "1"]);
    assert_eq!(records.groups.path(&"g1".into()), "/name-g2/name-g1");
    assert_eq!(records.groups.get(&"g1".into()).unwrap().roles[0], RoleId::from("role-b"));
    assert_eq!(records.keys[0].private.expose(), key("k1").private.expose());
    assert_eq!(records.keys[0].certificate, Some(vec![0, 1, 255]));
}

pub(crate) async fn a_user_comes_back_whole(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let otp = credential("cred2", "otp", "seed");
    write(&db, vec![Write::AddCredential(r.clone(), "u1".into(), otp)]).await.unwrap();
    for found in [
        db.user(&r, &"u1".into()).await,
        db.user_by_username(&r, "name-u1").await,
        db.user_by_email(&r, "u1@example.test").await,
    ] {
        let found = found.unwrap().unwrap();
        assert_eq!(found.id, UserId::from("u1"));
        assert_eq!(found.roles, user("u1").roles);
        assert_eq!(found.groups, user("u1").groups);
        assert_eq!(found.settings.other["federationLink"], "kept");
        assert_eq!(found.settings.attributes["phone"], vec!["2", "1"]);
        assert_eq!(found.version, 2, "each credential is a change of its user");
    }
    let credentials = db.credentials(&r, &"u1".into()).await.unwrap();
    let secrets: Vec<&str> = credentials.iter().map(|c| c.secret_data.expose()).collect();
    assert_eq!(secrets, ["the-hash", "seed"]);
    assert_eq!(credentials[0].user_label.as_deref(), Some("mine"));
    assert_eq!(db.count_users(&r, &UserSearch::default()).await.unwrap(), 2);
    assert!(db.user(&r, &"nobody".into()).await.unwrap().is_none());
}

pub(crate) async fn an_update_replaces_the_collections(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let mut changed = client("c1");
    changed.client_id = "renamed".to_owned();
    changed.redirect_uris = vec!["https://only/".to_owned()];
    changed.default_scopes = vec![];
    changed.optional_scopes = vec!["s1".into()];
    changed.mappers = vec![];
    changed.scope_mappings = vec![];
    changed.secret = None;
    let mut person = user("u2");
    person.roles = vec!["role-c".into(), "role-a".into()];
    person.groups = vec![];
    write(
        &db,
        vec![
            Write::UpdateClient(r.clone(), changed),
            Write::AddClientScopeMappings(
                r.clone(),
                "c1".into(),
                vec!["role-c".into(), "role-c".into(), "role-a".into()],
            ),
            Write::UpdateUser(r.clone(), person),
        ],
    )
    .await
    .unwrap();
    let records = db.realm_records("r").await.unwrap().unwrap();
    let read = records.client_by_uuid(&"c1".into()).unwrap();
    assert_eq!(read.client_id, "renamed");
    assert_eq!(read.redirect_uris, ["https://only/"]);
    assert!(read.default_scopes.is_empty() && read.mappers.is_empty());
    assert_eq!(read.optional_scopes, vec!["s1".into()]);
    assert_eq!(read.scope_mappings, vec![RoleId::from("role-c"), RoleId::from("role-a")]);
    assert!(read.secret.is_none());
    assert_eq!(read.version, 2, "the update and the mappings");
    let read = db.user(&r, &"u2".into()).await.unwrap().unwrap();
    assert_eq!(read.roles, vec![RoleId::from("role-c"), RoleId::from("role-a")]);
    assert!(read.groups.is_empty());
    assert_eq!(read.version, 1);
}

pub(crate) async fn only_ready_realms_are_seen(db: Db) {
    let r = realm_id("r");
    let mut filling = realm("r");
    filling.state = RealmState::Filling;
    write(&db, vec![Write::CreateRealm(filling)]).await.unwrap();
    assert!(db.realm_records("r").await.unwrap().is_none());
    assert!(db.realm_names().await.unwrap().is_empty());
    assert!(db.realm_records_any_state(&r).await.unwrap().is_some());
    let flip = Write::SetRealmState(r.clone(), RealmState::Filling, RealmState::Ready);
    write(&db, vec![flip]).await.unwrap();
    assert!(db.realm_records("r").await.unwrap().is_some());
    assert_eq!(db.realm_names().await.unwrap(), vec![(r, "r".to_owned())]);
}

pub(crate) async fn the_same_ids_live_in_two_realms(db: Db) {
    let (a, b) = (realm_id("a"), realm_id("b"));
    for name in ["a", "b"] {
        write(&db, whole_realm(name)).await.unwrap();
        let r = realm_id(name);
        let also = vec![
            super::sample::take_code(&r, 1, "us1"),
            Write::PutLoginFailures(r.clone(), failures("k", 1)),
            Write::RememberDevice { realm: r.clone(), account: LoginKey("k".to_owned()), device: [1; 32], at: 1 },
            Write::Audit(event(&r, "e1", 1)),
        ];
        write(&db, also).await.unwrap();
    }
    let gone = vec![
        Write::DeleteUser(a.clone(), "u1".into()),
        Write::DeleteClient(a.clone(), "c1".into()),
        Write::DeleteRole(a.clone(), "role-a".into()),
        Write::DeleteGroup(a.clone(), "g2".into()),
        Write::ClearLoginFailures(a.clone(), LoginKey("k".to_owned())),
    ];
    write(&db, gone).await.unwrap();
    for (r, stands) in [(&a, false), (&b, true)] {
        let records = db.realm_records_any_state(r).await.unwrap().unwrap();
        assert_eq!(records.client("name-c1").is_some(), stands);
        assert_eq!(records.roles.get(&"role-a".into()).is_some(), stands);
        assert_eq!(records.groups.get(&"g1".into()).is_some(), stands);
        assert_eq!(db.user(r, &"u1".into()).await.unwrap().is_some(), stands);
        let below = db.session_and_client(r, &"us1".into(), &"c1".into()).await;
        assert_eq!(below.unwrap().is_some(), stands);
        assert_eq!(db.lineage(r, &"l1".into()).await.unwrap().is_some(), stands);
        let credentials = db.credentials(r, &"u1".into()).await.unwrap();
        assert_eq!(credentials.len(), usize::from(stands));
        let counted = db.login_failures(r, &LoginKey("k".to_owned())).await;
        assert_eq!(counted.unwrap().is_some(), stands);
        let of_user = db.user_sessions_of(r, &"u1".into()).await.unwrap();
        assert_eq!(of_user.len(), usize::from(stands));
        assert!(db.code_used(r, &[1; 32]).await.unwrap().is_some());
    }
    let nowhere = realm_id("c");
    assert!(db.user(&nowhere, &"u1".into()).await.unwrap().is_none());
    assert!(db.code_used(&nowhere, &[1; 32]).await.unwrap().is_none());
    let account = LoginKey("k".to_owned());
    assert!(db.device_known(&b, &account, &[1; 32]).await.unwrap());
    assert!(!db.device_known(&b, &account, &[2; 32]).await.unwrap());
    let elsewhere = db.device_known(&nowhere, &account, &[1; 32]).await;
    assert!(!elsewhere.unwrap());
}

pub(crate) async fn activity_below_counts_for_the_session(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let sid = SessionId::from("us1");
    let seen = async |db: &Db| {
        let alone = db.user_session(&r, &sid).await.unwrap().unwrap();
        let (both, below) = db.session_and_client(&r, &sid, &"c1".into()).await.unwrap().unwrap();
        assert_eq!(alone, both);
        assert_eq!(db.user_sessions_of(&r, &"u1".into()).await.unwrap(), [alone]);
        let below = below.unwrap();
        assert_eq!(db.client_sessions(&r, &sid).await.unwrap().first(), Some(&below));
        (both.last_seen, below.last_refresh)
    };
    assert_eq!(seen(&db).await, (1001, 1001));
    let touch = |at| Write::TouchUserSession(r.clone(), "us1".into(), at);
    write(&db, vec![touch(1500)]).await.unwrap();
    assert_eq!(seen(&db).await, (1500, 1001));
    write(&db, vec![touch(1400)]).await.unwrap();
    assert_eq!(seen(&db).await, (1500, 1001), "it only grows");
    let refreshed = Write::TouchClientSession(r.clone(), "us1".into(), "c1".into(), 1600);
    write(&db, vec![refreshed]).await.unwrap();
    assert_eq!(seen(&db).await, (1600, 1600));
    let rotate = Write::RotateLineage {
        realm: r.clone(),
        lineage: "l1".into(),
        from: (1, 0),
        to: LineageMove { generation: 2, reuses: 0, rotated_at: 1700, expires_at: 3000, key: "k2".into() },
    };
    write(&db, vec![rotate]).await.unwrap();
    assert_eq!(seen(&db).await, (1700, 1700));
    let family = db.lineage(&r, &"l1".into()).await.unwrap().unwrap();
    assert_eq!((family.generation, family.expires_at), (2, 3000));
    let other = db.client_session(&r, &sid, &"c2".into()).await.unwrap();
    assert!(other.is_none());
    let notes = BTreeMap::from([("loa-map".to_owned(), r#"{"1":1800}"#.to_owned())]);
    let again = Write::ReauthenticateUserSession {
        realm: r.clone(),
        session: "us1".into(),
        auth_time: 1800,
        notes: notes.clone(),
    };
    write(&db, vec![again]).await.unwrap();
    let session = db.user_session(&r, &sid).await.unwrap().unwrap();
    assert_eq!((session.auth_time, session.started, session.notes), (1800, 1000, notes));
}

pub(crate) async fn generations_grow_with_configuration_only(db: Db) {
    let r = realm_id("r");
    assert_eq!(db.config_generation(), 0);
    write(&db, whole_realm("r")).await.unwrap();
    let first = db.config_generation();
    assert!(first > 0);
    assert_eq!(db.realm_generation(&r), first);
    let login = vec![Write::CreateUserSession(r.clone(), session("us2", "u1")), Write::Audit(event(&r, "e", 1))];
    write(&db, login).await.unwrap();
    let lost = Write::ExpectRealm(r.clone(), 9);
    let refused = vec![lost, Write::CreateRole(r.clone(), role("x", None))];
    write(&db, refused).await.unwrap_err();
    assert_eq!(db.config_generation(), first);
    write(&db, vec![Write::CreateRealm(realm("other"))]).await.unwrap();
    assert!(db.config_generation() > first);
    assert_eq!(db.realm_generation(&r), first);
}

pub(crate) async fn users_are_found_by_what_administrators_type(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let mut service = user("u3");
    service.service_account_client = Some("c1".into());
    let mut odd = user("u4");
    odd.username = "100%_!".to_owned();
    let both = vec![Write::CreateUser(r.clone(), service), Write::CreateUser(r.clone(), odd)];
    write(&db, both).await.unwrap();
    for (text, first, max, found) in [
        ("ADA", 0, 10, vec!["u4", "u1", "u2"]),
        ("ada", 1, 1, vec!["u1"]),
        ("U2@Example", 0, 10, vec!["u2"]),
        ("%_!", 0, 10, vec!["u4"]),
        ("%", 0, 10, vec!["u4"]),
        ("u3", 0, 10, vec![]),
    ] {
        let pairs = vec![("search".to_owned(), format!("*{text}*"))];
        let search = UserSearch::read(&Params::from_pairs(pairs)).unwrap();
        let users = db.find_users(&r, &search, search::Page { first, max }).await.unwrap();
        let ids: Vec<&str> = users.iter().map(|u| u.id.as_str()).collect();
        assert_eq!(ids, found, "{text}");
    }
    let service = db.service_account(&r, &"c1".into()).await.unwrap().unwrap();
    assert_eq!(service.id, UserId::from("u3"));
}

pub(crate) async fn events_come_newest_first(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let rows = [(2, "b"), (3, "c"), (1, "a")].map(|(at, id)| Write::Audit(event(&r, id, at)));
    write(&db, rows.to_vec()).await.unwrap();
    let read = db.events(&r, 2).await.unwrap();
    assert_eq!(read[0].id, "c".into());
    assert_eq!(read[1].id, "b".into());
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].kind.as_str(), &read[0].error), ("LOGIN", &None));
    assert_eq!(read[0].details["a"], "b");
}

pub(crate) async fn duplicate_emails_are_the_realms_choice(db: Db) {
    for (name, allowed) in [("no", false), ("yes", true)] {
        let mut realm = realm(name);
        realm.settings.duplicate_emails_allowed = allowed;
        write(&db, vec![Write::CreateRealm(realm)]).await.unwrap();
        let twin = |id: &str, email: Option<&str>| {
            let mut user = user(id);
            user.email = email.map(str::to_owned);
            user.roles.clear();
            user.groups.clear();
            vec![Write::CreateUser(realm_id(name), user)]
        };
        let shared = Some("a@example.test");
        write(&db, twin("u1", shared)).await.unwrap();
        let second = write(&db, twin("u2", shared)).await;
        let refused = Err(ApplyError::Gate(Gate::Taken(Entity::Email)));
        assert_eq!(second, if allowed { Ok(()) } else { refused });
        write(&db, twin("u3", None)).await.unwrap();
        write(&db, twin("u4", None)).await.unwrap();
        let found = db.user_by_email(&realm_id(name), "a@example.test").await;
        assert_eq!(found.unwrap().unwrap().id, UserId::from("u1"));
    }
}

pub(crate) async fn removed_defaults_are_left_out(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let gone = vec![Write::DeleteRole(r.clone(), "role-a".into()), Write::DeleteGroup(r.clone(), "g1".into())];
    write(&db, gone).await.unwrap();
    let records = db.realm_records("r").await.unwrap().unwrap();
    assert_eq!(records.realm.default_role, None);
    assert_eq!(records.realm.default_groups, vec!["g2".into()]);
    let person = db.user(&r, &"u1".into()).await.unwrap().unwrap();
    assert!(person.roles.is_empty());
    assert_eq!(person.groups, vec!["g2".into()]);
}

pub(crate) async fn a_deleted_client_takes_its_own_along(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let mut service = user("u3");
    service.service_account_client = Some("c1".into());
    let more = vec![
        Write::CreateUser(r.clone(), service),
        Write::PutClientSession(r.clone(), client_session("us1", "c2")),
        Write::CreateLineage(r.clone(), lineage("l2", "us1", "c2")),
        Write::CreateGroup(r.clone(), group("g3", None)),
    ];
    write(&db, more).await.unwrap();
    write(&db, vec![Write::DeleteClient(r.clone(), "c1".into())]).await.unwrap();
    let records = db.realm_records("r").await.unwrap().unwrap();
    assert!(records.roles.get(&"role-c".into()).is_none());
    assert!(db.user(&r, &"u3".into()).await.unwrap().is_none());
    let left = db.client_sessions(&r, &"us1".into()).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].client, "c2".into());
    assert!(db.lineage(&r, &"l1".into()).await.unwrap().is_none());
    assert!(db.lineage(&r, &"l2".into()).await.unwrap().is_some());
}

pub(crate) async fn members_are_listed_in_pages(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    write(&db, whole_realm("other")).await.unwrap();
    let all = Page { first: 0, max: 10 };
    let second = Page { first: 1, max: 1 };
    let names = |users: Vec<portcullis_core::user::User>| {
        let ids = users.iter().map(|u| u.id.as_str().to_owned());
        ids.collect::<Vec<_>>()
    };
    let both = ["u1", "u2"];
    for (page, expected) in [(all, &both[..]), (second, &both[1..])] {
        let in_group = db.group_members(&r, &"g1".into(), page).await.unwrap();
        assert_eq!(names(in_group), expected);
        let with_role = db.role_holders(&r, &"role-a".into(), page).await.unwrap();
        assert_eq!(names(with_role), expected);
        let found = db.users_with_attribute(&r, "phone", "2", page).await;
        assert_eq!(names(found.unwrap()), expected);
    }
    let none = db.role_holders(&r, &"role-b".into(), all).await.unwrap();
    assert!(none.is_empty());
    let none = db.users_with_attribute(&r, "phone", "3", all).await.unwrap();
    assert!(none.is_empty());
    let (realm, session) = (realm("r"), db.user_session(&r, &"us1".into()).await.unwrap().unwrap());
    let at = |offline, now| Alive::at(&realm, offline, now);
    let last = session.started.max(session.last_seen);
    for (client, alive, expected) in [
        ("c1", at(session.offline, last), 1),
        ("c1", at(!session.offline, last), 0),
        ("c1", at(session.offline, last + 10 * 365 * 86_400), 0),
        ("c2", at(session.offline, last), 0),
    ] {
        assert_eq!(alive.has(&session), expected == 1 || client == "c2", "{client} {alive:?}");
        let sessions = db.user_sessions_with(&r, &client.into(), &alive, all).await.unwrap();
        assert_eq!(sessions.len(), expected, "{client} {alive:?}");
        let counted = db.user_session_counts(&r, vec![client.into(), "c3".into()], &alive).await.unwrap();
        assert_eq!(counted, [i64::try_from(expected).unwrap(), 0], "{client} {alive:?}");
    }
}

pub(crate) async fn a_user_that_was_read_before_is_never_an_old_one(db: Db) {
    let r = realm_id("r");
    write(&db, whole_realm("r")).await.unwrap();
    let id = UserId::from("u2");
    let read = async || db.user(&r, &id).await.unwrap();
    let first = read().await.unwrap();
    assert_eq!(read().await.unwrap().version, first.version);
    let mut changed = first.clone();
    changed.enabled = false;
    write(&db, vec![Write::UpdateUser(r.clone(), changed)]).await.unwrap();
    assert!(!read().await.unwrap().enabled);
    // A role that is removed leaves its users' version as it is.
    assert!(read().await.unwrap().roles.contains(&"role-a".into()));
    write(&db, vec![Write::DeleteRole(r.clone(), "role-a".into())]).await.unwrap();
    assert!(read().await.unwrap().roles.is_empty());
    write(&db, vec![Write::DeleteUser(r.clone(), id.clone())]).await.unwrap();
    assert!(read().await.is_none());
    let mut again = user("u2");
    again.username = "another".to_owned();
    again.roles.clear();
    write(&db, vec![Write::CreateUser(r.clone(), again)]).await.unwrap();
    assert_eq!(read().await.unwrap().username, "another");
}
