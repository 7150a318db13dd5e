//! The token endpoint and userinfo through the whole face: races, reuse, confusion of kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use portcullis_core::flow::{CODE_FORMAT, ChallengeMethod, CodeChallenge, IssuedCode};
use portcullis_core::ids::SessionId;
use portcullis_core::oauth::grants::authorization_code;
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::session::Grant;
use portcullis_core::time::Clock;
use portcullis_idp::import::ImportOptions;
use portcullis_idp::{Deps, Idp, IdpConfig};
use portcullis_store::{Db, Ephemeral as _, Key, Kind, MemoryEphemeral};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::stage::{Counter, Hand, START, keys, user_session};

const REDIRECT: &str = "http://127.0.0.1:9876/callback";
// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Server {
    router: Router,
    db: Db,
    ephemeral: Arc<MemoryEphemeral>,
    clock: Arc<Hand>,
}

/// A realm with one public client and alice. `more` goes into the realm file.
async fn server(more: Value) -> Server {
    let db = Db::in_memory(keys()).unwrap();
    let (clock, ephemeral) = (Arc::new(Hand(AtomicI64::new(START))), Arc::new(MemoryEphemeral::new("test")));
    let deps = Deps {
        db: db.clone(),
        ephemeral: Arc::clone(&ephemeral) as _,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        entropy: Arc::new(Counter::default()),
        config: IdpConfig { public_url: Some("http://idp.test".to_owned()), ..IdpConfig::default() },
    };
    let idp = Idp::open(deps).await.unwrap();
    let mut realm = json!({
        "realm": "demo",
        "enabled": true,
        "users": [{ "username": "alice", "enabled": true, "email": "alice@example.test", "firstName": "A", "lastName": "B" }],
        "clients": [{ "clientId": "spa", "publicClient": true, "redirectUris": [REDIRECT], "protocol": "openid-connect" }]
    });
    realm.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    idp.import_realm(realm.to_string().as_bytes(), ImportOptions::default()).await.unwrap();
    Server { router: idp.router(), db, ephemeral, clock }
}

fn strict() -> Value {
    json!({ "attributes": { "portcullis.profile": "strict" } })
}

impl Server {
    async fn send(&self, request: Request<Body>) -> (StatusCode, String, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let challenge = headers.get(WWW_AUTHENTICATE).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, challenge, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        self.token_at("demo", form).await
    }

    async fn token_at(&self, realm: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let body = form.iter().fold(url::form_urlencoded::Serializer::new(String::new()), |mut s, (n, v)| {
            s.append_pair(n, v);
            s
        });
        let request = Request::post(format!("/realms/{realm}/protocol/openid-connect/token"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from({ body }.finish()))
            .unwrap();
        let (status, _, json) = self.send(request).await;
        (status, json)
    }

    async fn userinfo(&self, token: &str) -> (StatusCode, String) {
        let request = Request::get("/realms/demo/protocol/openid-connect/userinfo")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let (status, challenge, _) = self.send(request).await;
        (status, challenge)
    }

    /// A session of alice and a code for spa, as the login room makes them.
    async fn code(&self, name: &str) -> String {
        let records = self.db.realm_records("demo").await.unwrap().unwrap();
        let realm = records.realm.id.clone();
        let user = self.db.user_by_username(&realm, "alice").await.unwrap().unwrap();
        let session = SessionId::new(format!("session-{name}"));
        let now = self.clock.0.load(Ordering::Relaxed);
        let row = user_session(&session, &user.id, now);
        let plan = Plan::new(Lane::Login, vec![Write::CreateUserSession(realm.clone(), row)]);
        self.db.apply(plan).await.unwrap();
        let client = records.client("spa").unwrap().id.clone();
        let code = format!("code-{name}.{session}.{client}");
        let issued = IssuedCode {
            format: CODE_FORMAT,
            issued_at: START,
            expires_at: START + 60,
            realm: realm.clone(),
            session,
            client,
            user: user.id,
            grant: Grant {
                scope: "openid".to_owned(),
                nonce: Some("n".to_owned()),
                redirect_uri: Some(REDIRECT.to_owned()),
                acr: Some("1".to_owned()),
                browser: true,
                auth_time: None,
                resources: vec![],
            },
            challenge: Some(CodeChallenge { challenge: CHALLENGE.to_owned(), method: ChallengeMethod::S256 }),
            dpop_jkt: None,
        };
        let key = Key::new(Kind::Code, realm, authorization_code::storage_id(&authorization_code::hash(&code)));
        let bytes = serde_json::to_vec(&issued).unwrap();
        assert!(self.ephemeral.put_new(&key, bytes, START + 600, self.clock.now()).await.unwrap());
        code
    }

    async fn exchange(&self, code: &str) -> (StatusCode, Value) {
        self.exchange_with(code, VERIFIER).await
    }

    async fn exchange_with(&self, code: &str, verifier: &str) -> (StatusCode, Value) {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", "spa"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ])
        .await
    }

    async fn refresh(&self, token: &str) -> (StatusCode, Value) {
        self.token(&[("grant_type", "refresh_token"), ("client_id", "spa"), ("refresh_token", token)]).await
    }

    async fn login(&self, name: &str) -> Value {
        let code = self.code(name).await;
        let (status, tokens) = self.exchange(&code).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }
}

fn text<'v>(json: &'v Value, member: &str) -> &'v str {
    json[member].as_str().unwrap_or_default()
}

fn said(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), text(&answer.1, "error_description"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pc_03_mn_01_a_code_used_many_times_at_once_works_once_and_then_not_at_all() {
    let server = server(json!({})).await;
    let code = server.code("race").await;
    let all = futures_util::future::join_all((0..8).map(|_| server.exchange(&code))).await;
    let (won, lost): (Vec<_>, Vec<_>) = all.iter().partition(|(status, _)| *status == StatusCode::OK);
    assert_eq!(won.len(), 1);
    for answer in lost {
        assert_eq!(said(answer), (400, "Code not valid"));
    }
    let refresh = server.refresh(text(&won[0].1, "refresh_token")).await;
    assert_eq!(said(&refresh), (400, "Session doesn't have required client"));
    let (status, challenge) = server.userinfo(text(&won[0].1, "access_token")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(challenge.contains("user_session_not_found"), "{challenge}");
}

#[tokio::test]
async fn pc_07_a_wrong_verifier_spends_the_code() {
    let server = server(json!({})).await;
    let code = server.code("spent").await;
    let wrong = server.exchange_with(&code, CHALLENGE).await;
    assert_eq!(said(&wrong), (400, "PKCE verification failed: Code mismatch"));
    assert_eq!(said(&server.exchange(&code).await), (400, "Code not valid"));
    server.login("honest").await;
}

#[tokio::test]
async fn pc_04_pc_13_old_and_altered_codes() {
    let server = server(json!({})).await;
    let code = server.code("old").await;
    for altered in [format!("{code}x"), code[..code.len() - 1].to_owned(), format!("{code} "), code.to_uppercase()] {
        assert_eq!(said(&server.exchange(&altered).await), (400, "Code not valid"), "{altered}");
    }
    server.clock.0.store(START + 60, Ordering::Relaxed);
    assert_eq!(said(&server.exchange(&code).await), (400, "Code is expired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rt_01_strict_one_refresh_token_many_times_at_once_has_one_successor() {
    let server = server(strict()).await;
    let first = server.login("race").await;
    let token = text(&first, "refresh_token");
    let all = futures_util::future::join_all((0..50).map(|_| server.refresh(token))).await;
    let mut successors: Vec<&str> = Vec::new();
    for (status, json) in &all {
        match status.as_u16() {
            200 => successors.push(text(json, "refresh_token")),
            // Gates lost three times in a row: nothing was written, the client tries again.
            other => assert_eq!(other, 503, "{json}"),
        }
    }
    assert!(!successors.is_empty());
    successors.sort_unstable();
    successors.dedup();
    assert_eq!(successors.len(), 1, "one live family");
    assert_eq!(server.refresh(successors[0]).await.0, StatusCode::OK);
    assert_eq!(said(&server.refresh(token).await), (400, "Stale token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rt_01_keycloak_one_refresh_token_many_times_at_once_works_once() {
    let server = server(json!({ "revokeRefreshToken": true, "refreshTokenMaxReuse": 0 })).await;
    let first = server.login("race").await;
    let token = text(&first, "refresh_token");
    let all = futures_util::future::join_all((0..50).map(|_| server.refresh(token))).await;
    let won: Vec<_> = all.iter().filter(|(status, _)| *status == StatusCode::OK).collect();
    assert_eq!(won.len(), 1);
    let after = server.refresh(text(&won[0].1, "refresh_token")).await;
    assert_eq!(said(&after), (400, "Session doesn't have required client"));
}

#[tokio::test]
async fn rt_05_rt_10_logout_wins_over_refresh_and_userinfo() {
    let server = server(json!({})).await;
    let tokens = server.login("ended").await;
    assert_eq!(server.userinfo(text(&tokens, "access_token")).await.0, StatusCode::OK);
    assert_eq!(server.refresh(text(&tokens, "refresh_token")).await.0, StatusCode::OK);
    let realm = server.db.realm_records("demo").await.unwrap().unwrap().realm.id;
    let end = Write::EndUserSession(realm, "session-ended".into());
    server.db.apply(Plan::new(Lane::Gate, vec![end])).await.unwrap();
    assert_eq!(said(&server.refresh(text(&tokens, "refresh_token")).await), (400, "Session not active"));
    let (status, challenge) = server.userinfo(text(&tokens, "access_token")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(challenge.ends_with(r#"error="invalid_token", error_description="user_session_not_found""#), "{challenge}");
}

#[tokio::test]
async fn rt_14_tokens_of_one_kind_are_not_taken_for_another() {
    let server = server(json!({})).await;
    let tokens = server.login("kinds").await;
    for kind in ["access_token", "id_token"] {
        assert_eq!(said(&server.refresh(text(&tokens, kind)).await), (400, "Invalid refresh token"), "{kind}");
    }
    for kind in ["refresh_token", "id_token"] {
        let (status, challenge) = server.userinfo(text(&tokens, kind)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{kind}");
        assert!(challenge.contains("Token verification failed"), "{challenge}");
    }
    assert_eq!(server.userinfo(text(&tokens, "access_token")).await.0, StatusCode::OK, "honest twin");
}

#[tokio::test]
async fn rt_13_access_and_refresh_tokens_end_on_the_second() {
    let server = server(json!({})).await;
    let tokens = server.login("times").await;
    let at = |seconds: i64| server.clock.0.store(START + seconds, Ordering::Relaxed);
    at(299);
    assert_eq!(server.userinfo(text(&tokens, "access_token")).await.0, StatusCode::OK);
    at(300);
    assert_eq!(server.userinfo(text(&tokens, "access_token")).await.0, StatusCode::UNAUTHORIZED);
    at(1800);
    assert_eq!(said(&server.refresh(text(&tokens, "refresh_token")).await), (400, "Token is not active"));
}

#[tokio::test]
async fn rt_16_a_not_before_ends_all_tokens_until_then() {
    let server = server(json!({})).await;
    let tokens = server.login("policy").await;
    let mut realm = server.db.realm_records("demo").await.unwrap().unwrap().realm;
    realm.settings.not_before = START + 1;
    server.db.apply(Plan::new(Lane::Admin, vec![Write::UpdateRealm(realm)])).await.unwrap();
    assert_eq!(said(&server.refresh(text(&tokens, "refresh_token")).await), (400, "Stale token"));
    assert_eq!(server.userinfo(text(&tokens, "access_token")).await.0, StatusCode::UNAUTHORIZED);
    server.clock.0.store(START + 2, Ordering::Relaxed);
    let (status, fresh) = server.exchange(&server.code("younger").await).await;
    assert_eq!((status, &fresh["not-before-policy"]), (StatusCode::OK, &json!(START + 1)));
    assert_eq!(server.userinfo(text(&fresh, "access_token")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn te_01_the_endpoint_takes_forms_by_post_only() {
    let server = server(json!({})).await;
    for method in ["GET", "PUT", "DELETE"] {
        let request = Request::builder().method(method).uri("/realms/demo/protocol/openid-connect/token");
        let (status, _, json) = server.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((status.as_u16(), text(&json, "error")), (405, "HTTP 405 Method Not Allowed"), "{method}");
    }
    let request = Request::post("/realms/demo/protocol/openid-connect/token?grant_type=password&client_id=spa");
    let (status, _, json) = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(said(&(status, json)), (400, "Missing form parameter: grant_type"));
    let nowhere = server.token_at("nowhere", &[("grant_type", "password")]).await;
    assert_eq!((nowhere.0.as_u16(), text(&nowhere.1, "error")), (404, "Realm does not exist"));
}
