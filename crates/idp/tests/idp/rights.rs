//! `/admin/realms` with real tokens: whose are good, and for what.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use portcullis_core::ids::SessionId;
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::time::Clock as _;
use portcullis_idp::import::ImportOptions;
use serde_json::{Value, json};

use crate::DEMO;
use crate::office::server;
use crate::stage::START;

#[tokio::test]
async fn rights_are_those_of_the_store_now() {
    let server = server().await;
    server.idp.import_realm(DEMO.as_bytes(), ImportOptions::default()).await.unwrap();
    // Recorded: `admin-permissions/roles-of-administrators`.
    let table = [("alice", 403, 0), ("mona", 200, 5), ("vera", 200, 90), ("rita", 200, 90)];
    for (name, status, members) in table {
        let token = server.token("demo", name, "backend").await;
        let read = server.send(Method::GET, "/admin/realms/demo", Some(&token), None).await;
        assert_eq!(read.status.as_u16(), status, "{name}");
        assert!(status != 200 || read.json().as_object().unwrap().len() >= members, "{name}");
        let list = server.send(Method::GET, "/admin/realms", Some(&token), None).await;
        assert_eq!(list.status.as_u16(), status, "{name}");
        let create = server.send(Method::POST, "/admin/realms", Some(&token), Some(r#"{"realm":"x"}"#)).await;
        assert_eq!(
            (create.status.as_u16(), create.text.as_str()),
            (403, r#"{"error":"HTTP 403 Forbidden"}"#),
            "{name}"
        );
        let other = server.send(Method::GET, "/admin/realms/master", Some(&token), None).await;
        assert_eq!(other.status.as_u16(), 403, "{name}");
    }
    let mona = server.token("demo", "mona", "backend").await;
    let reduced = server.send(Method::GET, "/admin/realms/demo", Some(&mona), None).await;
    assert_eq!(
        reduced.text,
        r#"{"realm":"demo","displayName":"Demo Realm","registrationEmailAsUsername":false,"bruteForceProtected":false,"supportedLocales":[]}"#
    );
    let rita = server.token("demo", "rita", "backend").await;
    let vera = server.token("demo", "vera", "backend").await;
    let answer = server.send(Method::PUT, "/admin/realms/demo", Some(&vera), Some("{}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = server.send(Method::PUT, "/admin/realms/demo", Some(&rita), Some("{}")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_token_that_proves_nothing_is_401() {
    let server = server().await;
    server.idp.import_realm(DEMO.as_bytes(), ImportOptions::default()).await.unwrap();
    let good = server.token("master", "admin", "admin-cli").await;
    let now = server.clock.now().secs();
    let sid = format!("s-admin-admin-cli-{now}");
    let base = json!({"exp": now + 300, "iat": now, "iss": "http://idp.test/realms/master", "typ": "Bearer",
        "azp": "admin-cli", "sid": sid});
    let with = |name: &str, value: Value| {
        let mut claims = base.clone();
        claims[name] = value;
        claims
    };
    assert_eq!(
        server.send(Method::GET, "/admin/realms", Some(&server.sign("master", &base).await), None).await.status,
        200
    );
    let broken = [
        ("typ", json!("Refresh")),
        ("typ", json!("ID")),
        ("exp", json!(now - 60)),
        ("iss", json!("http://idp.test/realms/demo")),
        ("iss", json!("http://evil.test/realms/master")),
        ("iss", json!("http://idp.test/realms/")),
        ("azp", json!("no-such-client")),
        ("azp", json!("account")),
        ("sid", json!("no-such-session")),
        ("sub", json!("somebody else")),
        ("cnf", json!({"jkt": "x"})),
    ];
    for (name, value) in broken {
        let token = server.sign("master", &with(name, value.clone())).await;
        let answer = server.send(Method::GET, "/admin/realms", Some(&token), None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (401, r#"{"error":"HTTP 401 Unauthorized"}"#),
            "{name} {value}"
        );
    }
    // Signed by another realm's key.
    let foreign = server.sign("demo", &base).await;
    for (path, token) in [
        ("/admin/realms", Some(foreign.as_str())),
        ("/admin/realms", None),
        ("/admin/realms", Some("")),
        ("/admin/realms", Some("a.b.c")),
        ("/admin/realms/nowhere", None),
        ("/admin/realms/demo/nothing", None),
    ] {
        let answer = server.send(Method::GET, path, token, None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (401, r#"{"error":"HTTP 401 Unauthorized"}"#),
            "{path}"
        );
    }
    let twice = Request::get("/admin/realms").header("authorization", format!("Bearer {good}"));
    let twice = twice.header("authorization", format!("Bearer {good}")).body(Body::empty()).unwrap();
    assert_eq!(server.answer(twice).await.status, StatusCode::UNAUTHORIZED);
    let path = server.send(Method::GET, "/admin/realms/demo/nothing", Some(&good), None).await;
    assert_eq!((path.status.as_u16(), path.text.as_str()), (404, r#"{"error":"HTTP 404 Not Found"}"#));
    let method = server.send(Method::PATCH, "/admin/realms", Some(&good), None).await;
    assert_eq!((method.status.as_u16(), method.text.as_str()), (405, r#"{"error":"HTTP 405 Method Not Allowed"}"#));
}

#[tokio::test]
async fn an_ended_session_an_idle_one_and_a_disabled_account_end_the_right() {
    let server = server().await;
    let master = server.db.realm_records("master").await.unwrap().unwrap();
    let id = &master.realm.id;
    let status = |token: String| {
        let server = &server;
        async move { server.send(Method::GET, "/admin/realms", Some(&token), None).await.status.as_u16() }
    };
    let ended = server.token("master", "admin", "admin-cli").await;
    assert_eq!(status(ended.clone()).await, 200);
    let session = SessionId::new(format!("s-admin-admin-cli-{START}"));
    server.db.apply(Plan::new(Lane::Gate, vec![Write::EndUserSession(id.clone(), session)])).await.unwrap();
    assert_eq!(status(ended).await, 401);

    server.clock.0.store(START + 10, Ordering::Relaxed);
    let token = server.token("master", "admin", "admin-cli").await;
    assert_eq!(status(token.clone()).await, 200);
    let mut admin = server.db.user_by_username(id, "admin").await.unwrap().unwrap();
    admin.enabled = false;
    server.db.apply(Plan::new(Lane::Admin, vec![Write::UpdateUser(id.clone(), admin)])).await.unwrap();
    assert_eq!(status(token.clone()).await, 401);
    let mut admin = server.db.user_by_username(id, "admin").await.unwrap().unwrap();
    admin.enabled = true;
    admin.roles.clear();
    server.db.apply(Plan::new(Lane::Admin, vec![Write::UpdateUser(id.clone(), admin)])).await.unwrap();
    assert_eq!(status(token).await, 403);
}

#[tokio::test]
async fn who_creates_a_realm_without_the_role_admin_receives_its_rights() {
    let server = server().await;
    let master = server.db.realm_records("master").await.unwrap().unwrap();
    let id = &master.realm.id;
    let mut user = server.db.user_by_username(id, "admin").await.unwrap().unwrap();
    user.roles = vec![master.roles.named(None, "create-realm").unwrap().id.clone()];
    server.db.apply(Plan::new(Lane::Admin, vec![Write::UpdateUser(id.clone(), user)])).await.unwrap();
    let token = server.token("master", "admin", "admin-cli").await;
    let made = server.send(Method::POST, "/admin/realms", Some(&token), Some(r#"{"realm":"own"}"#)).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(server.send(Method::GET, "/admin/realms/own", Some(&token), None).await.status, StatusCode::OK);
    assert_eq!(
        server.send(Method::GET, "/admin/realms/master", Some(&token), None).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        server.send(Method::DELETE, "/admin/realms/own", Some(&token), None).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn a_service_account_administers_without_a_session_and_nobody_else_does() {
    let server = server().await;
    let demo = server.idp.import_realm(DEMO.as_bytes(), ImportOptions::default()).await.unwrap();
    let now = server.clock.now().secs();
    let account = server.db.user_by_username(&demo.id, "service-account-backend").await.unwrap().unwrap();
    let rita = server.db.user_by_username(&demo.id, "rita").await.unwrap().unwrap();
    let claims = |client: &str, sub: &str| json!({"exp": now + 300, "iat": now, "iss": "http://idp.test/realms/demo", "typ": "Bearer", "azp": client, "sub": sub});
    let table =
        [("backend", account.id.as_str(), 200), ("backend", rita.id.as_str(), 401), ("spa", rita.id.as_str(), 401)];
    for (client, sub, status) in table {
        let token = server.sign("demo", &claims(client, sub)).await;
        let answer = server.send(Method::GET, "/admin/realms/demo", Some(&token), None).await;
        assert_eq!(answer.status.as_u16(), status, "{client} {sub}");
    }
}
