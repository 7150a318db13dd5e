//! Realms through the whole face: import, first start, and `/admin/realms` with real tokens.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{Method, Request, StatusCode};
use portcullis_core::entropy::Entropy;
use portcullis_core::ids::{RealmId, SessionId};
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::realm_file::{RealmFile, assemble, plans};
use portcullis_core::secret::Secret;
use portcullis_core::session::{ClientSession, Grant, UserSession};
use portcullis_core::time::{Clock, Now};
use portcullis_core::user::search::UserSearch;
use portcullis_idp::import::{Bootstrap, ImportError, ImportOptions};
use portcullis_idp::{Deps, Idp, IdpConfig};
use portcullis_jose::{Algorithm, SigningKey, jws};
use portcullis_store::{Db, MemoryEphemeral, ServerKeys};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const DEMO: &str = include_str!("../../testkit/golden/realms/demo.json");
const MINI: &str = include_str!("../../testkit/golden/realms/mini.json");
const RECORDED: &str = include_str!("../../testkit/golden/recorded/26.4.2/admin-realms/realms.json");
const START: i64 = 1_790_000_000;

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Now {
        Now::from_secs(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let n = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            chunk.copy_from_slice(&n[..chunk.len()]);
        }
    }
}

struct Server {
    idp: Idp,
    db: Db,
    clock: Arc<Hand>,
}

/// `seed` keeps the ids of two servers over one database apart.
async fn open(db: Db, seed: u64) -> Server {
    let clock = Arc::new(Hand(AtomicI64::new(START)));
    let deps = Deps {
        db: db.clone(),
        ephemeral: Arc::new(MemoryEphemeral::new("test")),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        entropy: Arc::new(Counter(seed.into())),
        config: IdpConfig { public_url: Some("http://idp.test".to_owned()), ..IdpConfig::default() },
    };
    let idp = Idp::open(deps).await.unwrap();
    Server { idp, db, clock }
}

fn keys() -> ServerKeys {
    ServerKeys { current: (1, [7; 32]), previous: None }
}

async fn server() -> Server {
    let server = open(Db::in_memory(keys()).unwrap(), 0).await;
    let made = server.idp.bootstrap_master("admin", &Secret::new("admin")).await.unwrap();
    assert_eq!(made, Bootstrap::Made);
    server
}

impl Server {
    /// A token of a user, as the token endpoint would make one for admin-cli (lightweight: no roles in it).
    async fn token(&self, realm: &str, username: &str, client_id: &str) -> String {
        let records = self.db.realm_records(realm).await.unwrap().unwrap();
        let id = &records.realm.id;
        let user = self.db.user_by_username(id, username).await.unwrap().unwrap();
        let client = records.client(client_id).unwrap();
        let now = self.clock.now().secs();
        let session = SessionId::new(format!("s-{username}-{client_id}-{now}"));
        self.db.apply(Plan::new(Lane::Gate, vec![Write::EndUserSession(id.clone(), session.clone())])).await.unwrap();
        let plan = vec![
            Write::CreateUserSession(id.clone(), user_session(&session, &user.id, now)),
            Write::PutClientSession(id.clone(), client_session(&session, &client.id, now)),
        ];
        self.db.apply(Plan::new(Lane::Login, plan)).await.unwrap();
        let claims = json!({"exp": now + 300, "iat": now, "iss": format!("http://idp.test/realms/{realm}"),
            "typ": "Bearer", "azp": client_id, "sid": session.as_str()});
        self.sign(realm, &claims).await
    }

    async fn sign(&self, realm: &str, claims: &Value) -> String {
        let records = self.db.realm_records(realm).await.unwrap().unwrap();
        let key = records.keys.iter().find(|k| k.algorithm == "RS256").unwrap();
        let key = SigningKey::from_pkcs8(Algorithm::RS256, key.kid.as_str(), key.private.expose()).unwrap();
        jws::encode(&key, Some("JWT"), claims.to_string().as_bytes()).unwrap()
    }

    async fn send(&self, method: Method, path: &str, token: Option<&str>, body: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = Body::from(body.unwrap_or_default().to_owned());
        self.answer(request.body(body).unwrap()).await
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let response: Response = self.idp.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let header = |name: &str| parts.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        Answer {
            status: parts.status,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
            location: header("location"),
            content_type: header("content-type"),
            frame: header("x-frame-options"),
        }
    }
}

fn user_session(id: &SessionId, user: &portcullis_core::ids::UserId, now: i64) -> UserSession {
    UserSession {
        id: id.clone(),
        user: user.clone(),
        started: now,
        auth_time: now,
        remember_me: false,
        offline: false,
        ip_address: "127.0.0.1".to_owned(),
        last_seen: now,
        notes: Default::default(),
    }
}

fn client_session(id: &SessionId, client: &portcullis_core::ids::ClientUuid, now: i64) -> ClientSession {
    ClientSession {
        session: id.clone(),
        client: client.clone(),
        started: now,
        grant: Grant::default(),
        last_refresh: now,
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    text: String,
    location: Option<String>,
    content_type: Option<String>,
    frame: Option<String>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

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
