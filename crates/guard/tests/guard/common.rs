//! One API, keys made once, a forge, a movable clock, a counting key source and a sink that listens.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Body;
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use portcullis_guard::{
    Algorithm, Builder, Guard, KeySet, KeySource, NoKeys, Principal, Refusal, RefusalSink, require,
};
use portcullis_jose::SigningKey;
use portcullis_jose::digest::base64url_encode;
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://id.example/realms/demo";

/// The honest key (ES256), another of the same kind, one of each other family.
pub(crate) fn key(kid: &str) -> &'static SigningKey {
    static KEYS: OnceLock<Vec<SigningKey>> = OnceLock::new();
    let make = |alg, kid: &str| SigningKey::generate(alg, kid, &mut |b| b.fill(7)).unwrap().0;
    let keys = KEYS.get_or_init(|| {
        vec![
            make(Algorithm::ES256, "good"),
            make(Algorithm::ES256, "new"),
            make(Algorithm::EdDSA, "ed"),
            make(Algorithm::RS256, "rsa"),
        ]
    });
    keys.iter().find(|k| k.kid() == kid).unwrap()
}

pub(crate) fn set(kids: &[&str]) -> KeySet {
    KeySet::new(kids.iter().map(|kid| key(kid).verifying_key()))
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": ["other", "api"], "sub": "u1", "typ": "Bearer", "azp": "app", "sid": "s1", "iat": NOW, "exp": NOW + 300,
        "scope": "openid orders:read", "realm_access": {"roles": ["user"]}, "resource_access": {"api": {"roles": ["write"]}}
    })
}

/// The honest claims with some replaced; null removes.
pub(crate) fn with(changes: Value) -> Value {
    let mut all = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all.as_object_mut().unwrap().insert(name.clone(), value.clone());
        }
    }
    all
}

/// Signs any header and payload.
pub(crate) fn forge(key: &SigningKey, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", base64url_encode(header.as_bytes()), base64url_encode(payload.as_bytes()));
    format!("{input}.{}", base64url_encode(&key.sign(input.as_bytes()).unwrap()))
}

pub(crate) fn header(key: &SigningKey, typ: &str) -> String {
    json!({"alg": key.alg().as_str(), "typ": typ, "kid": key.kid()}).to_string()
}

/// An honest token with these claims by the key `kid`.
pub(crate) fn signed(kid: &str, claims: &Value) -> String {
    forge(key(kid), &header(key(kid), "JWT"), &claims.to_string())
}

/// Keys at hand, what a refresh will find, and how often it was asked.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) held: Mutex<Option<KeySet>>,
    pub(crate) next: Mutex<Option<KeySet>>,
    pub(crate) asked: AtomicUsize,
    pub(crate) ageing: AtomicBool,
}

impl Source {
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn will_find(&self, kids: &[&str]) {
        *self.next.lock().unwrap() = Some(set(kids));
    }
}

#[async_trait::async_trait]
impl KeySource for Source {
    fn keys(&self) -> Option<KeySet> {
        self.held.lock().unwrap().clone()
    }

    async fn refresh(&self) -> Result<KeySet, NoKeys> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(next) = self.next.lock().unwrap().clone() {
            *self.held.lock().unwrap() = Some(next);
        }
        self.keys().ok_or(NoKeys)
    }

    fn is_ageing(&self) -> bool {
        self.ageing.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
pub(crate) struct Ears(pub(crate) Mutex<Vec<(String, &'static str, String)>>);

impl RefusalSink for Ears {
    fn refused(&self, refusal: &Refusal<'_>) {
        let fact = (refusal.trace.to_owned(), refusal.reason.name(), refusal.reason.expected_got());
        self.0.lock().unwrap().push(fact);
    }
}

/// An API behind a guard.
pub(crate) struct Api {
    pub(crate) source: Arc<Source>,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) ears: Arc<Ears>,
    router: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|v| v.to_str().unwrap()).unwrap_or_default()
    }
}

impl Api {
    /// With these keys at hand.
    pub(crate) fn new(kids: &[&str]) -> Self {
        Self::built(kids, |b| b)
    }

    pub(crate) fn built(kids: &[&str], change: impl FnOnce(Builder) -> Builder) -> Self {
        let source = Arc::new(Source::default());
        if !kids.is_empty() {
            *source.held.lock().unwrap() = Some(set(kids));
            source.will_find(kids);
        }
        let clock = Arc::new(AtomicI64::new(NOW));
        let ears = Arc::new(Ears::default());
        let time = Arc::clone(&clock);
        let builder = Guard::builder()
            .issuer(ISSUER)
            .audience("api")
            .bearer()
            .keys(Arc::<Source>::clone(&source))
            .clock(move || time.load(Ordering::SeqCst))
            .refusals(Arc::<Ears>::clone(&ears));
        let guard = change(builder).build().unwrap();
        let route = |path: &str| Router::new().route(path, get(me).post(me));
        let router = route("/me")
            .route("/argument", get(async |caller: Principal| caller.subject().to_owned()))
            .merge(route("/admin").layer(require::role("admin")))
            .merge(route("/write").layer(require::any_role(["admin", "api:write"])))
            .merge(route("/read").layer(require::scope("orders:read")))
            .merge(route("/both").layer(require::all_scopes(["orders:read", "orders:write"])))
            .merge(route("/level").layer(require::acr(["silver", "gold"])))
            .merge(route("/recent").layer(require::max_age(300)))
            .merge(route("/transfer").layer(require::acr_within(["gold"], 60)))
            .merge(route("/no-level").layer(require::acr(Vec::<String>::new())))
            .merge(route("/fresh").layer(require::fresh()))
            .merge(route("/nobody").layer(require::all_scopes(Vec::<String>::new())))
            .layer(guard.layer());
        let router = match guard.backchannel_logout() {
            Ok(door) => router.route("/backchannel-logout", door),
            Err(_) => router,
        };
        Self { source, clock, ears, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(Request::get(path).header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap())
            .await
    }

    /// Status of a call of `/me`.
    pub(crate) async fn status(&self, token: &str) -> u16 {
        self.get("/me", token).await.status.as_u16()
    }

    /// The operator's name of the latest refusal.
    pub(crate) fn reason(&self) -> &'static str {
        self.ears.0.lock().unwrap().last().map_or("none", |(_, name, _)| *name)
    }

    /// Refused as API401(invalid_token); gives the operator's reason.
    pub(crate) async fn refused(&self, token: &str) -> &'static str {
        let answer = self.get("/me", token).await;
        assert_eq!(answer.status, 401, "{token:.300}");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{token:.300}");
        self.reason()
    }
}

async fn me(Extension(caller): Extension<Principal>) -> Json<Value> {
    Json(json!({
        "subject": caller.subject(), "issuer": caller.issuer(), "client": caller.client(), "session": caller.session(),
        "scopes": caller.scopes(), "roles": caller.roles(), "expires": caller.expires_at(), "aud": caller.claim("aud")
    }))
}
