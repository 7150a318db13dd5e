//! Realms through the whole face: import, first start, and `/admin/realms` as recorded.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use portcullis_core::ids::RealmId;
use portcullis_core::realm_file::{RealmFile, assemble, plans};
use portcullis_core::secret::Secret;
use portcullis_core::time::Now;
use portcullis_core::user::search::UserSearch;
use portcullis_idp::import::{Bootstrap, ImportError, ImportOptions};
use serde_json::{Value, json};

use crate::DEMO;
use crate::office::{Answer, open, server};
use crate::stage::{Counter, START};

const MINI: &str = include_str!("../../../testkit/golden/realms/mini.json");
const RECORDED: &str = include_str!("../../../testkit/golden/recorded/26.4.2/admin-realms/realms.json");

fn recorded(step: &str) -> Value {
    let all: Value = serde_json::from_str(RECORDED).unwrap();
    all["steps"].as_array().unwrap().iter().find(|s| s["name"] == step).unwrap().clone()
}

/// Status, body bytes, location and frame header of a recorded step.
fn same(answer: &Answer, step: &str) {
    let want = recorded(step);
    assert_eq!(u64::from(answer.status.as_u16()), want["status"], "{step}: {answer:?}");
    if let Some(raw) = want["raw"].as_str() {
        assert_eq!(answer.text, raw, "{step}");
    }
    if want["empty"] == true {
        assert_eq!(answer.text, "", "{step}");
    }
    let location = want["headers"]["location"].as_str().map(|l| l.replace("${base}", "http://idp.test"));
    assert_eq!(answer.location, location, "{step}");
    if let Some(kind) = want["headers"]["content-type"].as_str() {
        assert_eq!(answer.content_type.as_deref(), Some(kind), "{step}");
    }
    assert_eq!(answer.frame.is_some(), want["security_headers"] == "api", "{step}");
}

#[tokio::test]
async fn demo_and_mini_import_unchanged_and_their_passwords_verify() {
    let server = server().await;
    // Recorded: 12 users are counted in demo; its eight service accounts are not.
    for (file, users, counted, clients) in [(DEMO, 20, 12, 37), (MINI, 0, 0, 6)] {
        let imported = server.idp.import_realm(file.as_bytes(), ImportOptions::default()).await.unwrap();
        assert_eq!((imported.users, imported.clients), (users, clients));
        assert_eq!(server.db.count_users(&imported.id, &UserSearch::default()).await.unwrap(), counted);
    }
    let demo = server.db.realm_records("demo").await.unwrap().unwrap();
    assert_eq!(demo.client("wild").unwrap().redirect_uris, ["*"]);
    assert_eq!(demo.client("backend").unwrap().secret.as_ref().unwrap().expose(), "backend-secret");
    let alice = server.db.user_by_username(&demo.realm.id, "alice").await.unwrap().unwrap();
    let stored = server.db.credentials(&demo.realm.id, &alice.id).await.unwrap();
    let pool = portcullis_idp::PasswordPool::new(1, Arc::new(Counter::default()));
    assert!(pool.verify(&demo.realm.id, &stored[0], &Secret::new("alice-password")).await.unwrap().ok);
    assert!(!pool.verify(&demo.realm.id, &stored[0], &Secret::new("alice-passwort")).await.unwrap().ok);
    assert_eq!(demo.keys.len(), 4);
    let master = server.db.realm_records("master").await.unwrap().unwrap();
    assert!(master.client("demo-realm").is_some() && master.client("mini-realm").is_some());
}

#[tokio::test]
async fn the_same_realm_twice_is_refused_and_nothing_is_lost() {
    let server = server().await;
    server.idp.import_realm(MINI.as_bytes(), ImportOptions::default()).await.unwrap();
    let again = server.idp.import_realm(MINI.as_bytes(), ImportOptions::default()).await.unwrap_err();
    assert!(matches!(&again, ImportError::Exists(name) if name == "mini"));
    assert!(server.db.realm_records("mini").await.unwrap().is_some());
}

/// AD-23: whoever may create realms leaves none behind that nobody can list or remove.
#[tokio::test]
async fn ad_23_a_file_with_keys_that_serve_nothing_is_refused_and_odd_priorities_hurt_nobody() {
    let server = server().await;
    let token = server.token("master", "admin", "admin-cli").await;
    let file = |name: &str, provider: &str, config: Value| {
        let component = json!({"name": "k", "providerId": provider, "config": config});
        json!({"realm": name, "enabled": true, "components": {"org.keycloak.keys.KeyProvider": [component]}})
            .to_string()
    };
    for (provider, algorithm) in [("rsa", "RSA-OAEP"), ("rsa-generated", "RSA1_5"), ("hmac-generated", "AES")] {
        let body = file("poison", provider, json!({"algorithm": [algorithm]}));
        let answer = server.send(Method::POST, "/admin/realms", Some(&token), Some(&body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{provider} {algorithm}");
        let list = server.send(Method::GET, "/admin/realms", Some(&token), None).await;
        assert_eq!((list.status, list.json().as_array().map(Vec::len)), (StatusCode::OK, Some(1)), "{provider}");
    }
    let least = file("odd", "rsa-generated", json!({"priority": [i64::MIN.to_string()]}));
    let answer = server.send(Method::POST, "/admin/realms", Some(&token), Some(&least)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let certs = server.send(Method::GET, "/realms/odd/protocol/openid-connect/certs", None, None).await;
    assert_eq!(certs.status, StatusCode::OK, "the honest twin");
    let gone = server.send(Method::DELETE, "/admin/realms/odd", Some(&token), None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn strict_realms_are_made_on_request() {
    let server = server().await;
    let options = ImportOptions { strict: true, ..ImportOptions::default() };
    server.idp.import_realm(br#"{"realm":"acme","enabled":true}"#, options).await.unwrap();
    let acme = server.db.realm_records("acme").await.unwrap().unwrap();
    assert_eq!(acme.realm.profile(), portcullis_core::realm::Profile::Strict);
    assert!(acme.keys.iter().any(|k| k.algorithm == "ES256"));
}

#[tokio::test]
async fn the_first_administrator_is_made_once() {
    let server = server().await;
    let again = server.idp.bootstrap_master("other", &Secret::new("other")).await.unwrap();
    assert_eq!(again, Bootstrap::AlreadyThere);
    let master = server.db.realm_records("master").await.unwrap().unwrap();
    assert!(server.db.user_by_username(&master.realm.id, "other").await.unwrap().is_none());
    let admin = server.db.user_by_username(&master.realm.id, "admin").await.unwrap().unwrap();
    let role = master.roles.named(None, "admin").unwrap();
    assert!(admin.roles.contains(&role.id));
}

#[tokio::test]
async fn an_import_cut_off_between_plans_is_invisible_and_removed_at_the_next_start() {
    let server = server().await;
    let file = RealmFile::read(br#"{"realm":"half","users":[{"username":"a"}]}"#).unwrap();
    let contents = assemble(file, &Counter(1_000_000.into()), Now::from_secs(START)).unwrap();
    let id: RealmId = contents.realm.id.clone();
    let all = plans::plans(contents, Vec::new(), plans::Hashes::new(), Vec::new()).unwrap();
    let last = all.len() - 1;
    for plan in all.into_iter().take(last) {
        server.db.apply(plan).await.unwrap();
        assert!(server.db.realm_records("half").await.unwrap().is_none());
        assert!(server.db.realm_names().await.unwrap().iter().all(|(_, name)| name != "half"));
    }
    assert!(server.db.realm_records_any_state(&id).await.unwrap().is_some());
    let next = open(server.db.clone(), 2_000_000).await;
    assert!(next.db.realm_records_any_state(&id).await.unwrap().is_none());
    assert!(next.db.realm_records("master").await.unwrap().is_some());
    next.idp.import_realm(br#"{"realm":"half"}"#, ImportOptions::default()).await.unwrap();
}

#[tokio::test]
async fn realms_as_recorded() {
    let server = server().await;
    let token = server.token("master", "admin", "admin-cli").await;
    let post = |body: &'static str| server.send(Method::POST, "/admin/realms", Some(&token), Some(body));
    same(&post(r#"{"realm":"mini"}"#).await, "create with only a name");
    let read = server.send(Method::GET, "/admin/realms/mini", Some(&token), None).await;
    same(&read, "read it");
    let keys = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&read.json()), keys(&recorded("read it")["json"]));
    same(&post(r#"{"realm":"mini"}"#).await, "create again");
    same(&post(r#"{"enabled":true}"#).await, "create without a name");
    same(&post(r#"{"realm":"mini2","nonsense":1}"#).await, "create with unknown field");
    same(&post("{\"realm\":").await, "create with broken JSON");
    assert_eq!(post(r#"{"realm":"a/b"}"#).await.text, r#"{"error":"Character '/' not allowed."}"#);
    let form = Request::post("/admin/realms")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/x-www-form-urlencoded");
    same(&server.answer(form.body(Body::from("realm=mini2")).unwrap()).await, "create with other content type");
    let slash = r#"{"realm":"mini2","enabled":true,"accessTokenLifespan":77}"#;
    same(&server.send(Method::POST, "/admin/realms/", Some(&token), Some(slash)).await, "create with trailing slash");
    let mini2 = server.send(Method::GET, "/admin/realms/mini2/", Some(&token), None).await.json();
    assert_eq!((&mini2["accessTokenLifespan"], &mini2["enabled"]), (&json!(77), &json!(true)));
    let names = |v: Value| {
        let mut names: Vec<String> = v.as_array().unwrap().iter().map(|r| r["realm"].to_string()).collect();
        names.sort();
        names
    };
    let list = server.send(Method::GET, "/admin/realms", Some(&token), None).await;
    same(&list, "list");
    assert_eq!(names(list.json()), ["\"master\"", "\"mini\"", "\"mini2\""]);
    let brief = server.send(Method::GET, "/admin/realms?briefRepresentation=true", Some(&token), None).await;
    same(&brief, "list brief");
    let master = brief.json().as_array().unwrap().iter().find(|r| r["realm"] == "master").unwrap().clone();
    assert_eq!(keys(&master), ["id", "realm", "displayName", "displayNameHtml", "enabled"]);
    same(&server.send(Method::GET, "/admin/realms/nowhere", Some(&token), None).await, "unknown realm");
    same(&server.send(Method::DELETE, "/admin/realms/mini", Some(&token), None).await, "delete");
    same(&server.send(Method::DELETE, "/admin/realms/mini", Some(&token), None).await, "delete again");
    let of_master = server.db.realm_records("master").await.unwrap().unwrap();
    assert!(of_master.client("mini-realm").is_none() && of_master.client("mini2-realm").is_some());
    let gone = server.send(Method::DELETE, "/admin/realms/master", Some(&token), None).await;
    assert_eq!(
        (gone.status, gone.text.as_str()),
        (StatusCode::BAD_REQUEST, r#"{"errorMessage":"Can't remove master realm"}"#)
    );
}

#[tokio::test]
async fn updates_as_recorded() {
    let server = server().await;
    let token = server.token("master", "admin", "admin-cli").await;
    let send = |method, path: &'static str, body| server.send(method, path, Some(&token), body);
    for body in [r#"{"realm":"mini"}"#, r#"{"realm":"mini2"}"#] {
        send(Method::POST, "/admin/realms", Some(body)).await;
    }
    let body = r#"{"displayName": "Mini", "attributes": {"custom": "x"}}"#;
    same(&send(Method::PUT, "/admin/realms/mini", Some(body)).await, "update");
    let read = send(Method::GET, "/admin/realms/mini", None).await.json();
    let want = recorded("read after update");
    assert_eq!(read["displayName"], want["json"]["/displayName"]);
    assert_eq!(read["attributes"], want["json"]["/attributes"]);
    same(&send(Method::PUT, "/admin/realms/mini", Some(r#"{"realm": "mini3"}"#)).await, "update: rename");
    same(&send(Method::GET, "/admin/realms/mini", None).await, "old name");
    let of_master = server.db.realm_records("master").await.unwrap().unwrap();
    assert!(of_master.client("mini-realm").is_none() && of_master.client("mini3-realm").is_some());
    let renamed = server.db.realm_records("mini3").await.unwrap().unwrap();
    assert_eq!(renamed.client("account").unwrap().redirect_uris, ["/realms/mini3/account/*"]);
    same(&send(Method::PUT, "/admin/realms/mini3", Some(r#"{"realm": "mini2"}"#)).await, "rename to an existing name");
    same(&send(Method::PUT, "/admin/realms/mini3", Some(r#"{"nonsense": 1}"#)).await, "update with unknown field");
    same(
        &send(Method::PUT, "/admin/realms/mini3", Some(r#"{"accessCodeLifespanLogin": 0}"#)).await,
        "login lifespan 0",
    );
    same(&send(Method::PUT, "/admin/realms/master", Some(r#"{"realm": "other"}"#)).await, "rename master");
    same(&send(Method::PUT, "/admin/realms/nowhere", Some("{}")).await, "unknown realm, put");
}

#[tokio::test]
async fn a_whole_file_over_http_as_recorded() {
    let server = server().await;
    let token = server.token("master", "admin", "admin-cli").await;
    let file = r#"{"realm":"mini","enabled":true,"users":[{"username":"u1","enabled":true,"realmRoles":["r1"]}],
        "roles":{"realm":[{"name":"r1"}]},"clients":[{"clientId":"c1"}]}"#;
    same(&server.send(Method::POST, "/admin/realms", Some(&token), Some(file)).await, "import of a whole file");
    let unknown = r#"{"realm":"bad1","users":[{"username":"u1","realmRoles":["missing"]}]}"#;
    same(
        &server.send(Method::POST, "/admin/realms", Some(&token), Some(unknown)).await,
        "import that refers to an unknown role",
    );
}
