//! A server with its administrator, and requests with real tokens.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{Method, Request, StatusCode};
use portcullis_core::ids::{ClientUuid, SessionId};
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::secret::Secret;
use portcullis_core::session::{ClientSession, Grant};
use portcullis_core::time::Clock;
use portcullis_idp::import::Bootstrap;
use portcullis_idp::{Deps, Idp, IdpConfig};
use portcullis_jose::{Algorithm, SigningKey, jws};
use portcullis_store::{Db, MemoryEphemeral};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::stage::{Counter, Hand, START, keys, user_session};

pub(crate) struct Server {
    pub(crate) idp: Idp,
    pub(crate) db: Db,
    pub(crate) clock: Arc<Hand>,
}

/// `seed` keeps the ids of two servers over one database apart.
pub(crate) async fn open(db: Db, seed: u64) -> Server {
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

pub(crate) async fn server() -> Server {
    let server = open(Db::in_memory(keys()).unwrap(), 0).await;
    let made = server.idp.bootstrap_master("admin", &Secret::new("admin")).await.unwrap();
    assert_eq!(made, Bootstrap::Made);
    server
}

impl Server {
    /// A token of a user, as the token endpoint would make one for admin-cli (lightweight: no roles in it).
    pub(crate) async fn token(&self, realm: &str, username: &str, client_id: &str) -> String {
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

    pub(crate) async fn sign(&self, realm: &str, claims: &Value) -> String {
        let records = self.db.realm_records(realm).await.unwrap().unwrap();
        let key = records.keys.iter().find(|k| k.algorithm == "RS256").unwrap();
        let key = SigningKey::from_pkcs8(Algorithm::RS256, key.kid.as_str(), key.private.expose()).unwrap();
        jws::encode(&key, Some("JWT"), claims.to_string().as_bytes()).unwrap()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, token: Option<&str>, body: Option<&str>) -> Answer {
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

    pub(crate) async fn answer(&self, request: Request<Body>) -> Answer {
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

fn client_session(id: &SessionId, client: &ClientUuid, now: i64) -> ClientSession {
    ClientSession {
        session: id.clone(),
        client: client.clone(),
        started: now,
        grant: Grant::default(),
        last_refresh: now,
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    pub(crate) location: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) frame: Option<String>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}
