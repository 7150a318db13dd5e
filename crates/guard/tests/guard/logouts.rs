//! LO: logout messages at the guard's door, each attack with its honest twin (OIDC Back-Channel Logout 1.0).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use http::Request;
use portcullis_guard::{BuildError, Guard, LogoutOptions, require};
use portcullis_jose::digest::hmac_sha256;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use crate::common::{Answer, Api, ISSUER, NOW, Source, claims, forge, header, key, set, signed, with};

const DOOR: &str = "/backchannel-logout";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn told(kids: &[&str]) -> Api {
    Api::built(kids, |b| b.backchannel_logout(LogoutOptions::of(["shop-app", "mobile"])))
}

/// The claims of a message as Keycloak 26.4 sends it, with some replaced; null removes.
fn said(changes: &Value) -> Value {
    let mut all = json!({
        "exp": NOW + 120, "iat": NOW, "jti": "m1", "iss": ISSUER, "aud": "shop-app", "sub": "u1", "typ": "Logout", "sid": "s1",
        "events": { EVENT: {} }
    });
    for (name, value) in changes.as_object().unwrap() {
        let members = all.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    all
}

fn message(changes: Value) -> String {
    by("good", &changes)
}

fn by(kid: &str, changes: &Value) -> String {
    forge(key(kid), &header(key(kid), "logout+jwt"), &said(changes).to_string())
}

async fn post(api: &Api, body: impl Into<Body>) -> Answer {
    let form = "application/x-www-form-urlencoded";
    api.send(Request::post(DOOR).header("content-type", form).body(body.into()).unwrap()).await
}

async fn tell(api: &Api, token: &str) -> Answer {
    post(api, format!("logout_token={token}")).await
}

/// 200 without a body, never stored.
fn taken(answer: &Answer, what: &str) {
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"), "{what}: {}", answer.body);
    assert_eq!(answer.body, Value::Null, "{what}");
}

/// The answer of §2.8 with a trace that names the reason; the honest caller goes on.
async fn refused(api: &Api, answer: &Answer, reason: &str, what: &str) {
    assert_eq!((answer.status.as_u16(), api.reason()), (400, reason), "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    assert_eq!(answer.header("content-type"), "application/json", "{what}");
    assert_eq!(answer.body.get("error"), Some(&json!("invalid_request")), "{what}");
    assert!(answer.body.get("error_description").is_some_and(Value::is_string), "{what}");
    assert_eq!(answer.header("portcullis-trace").len(), 32, "{what}");
    assert_eq!(api.status(&signed("good", &claims())).await, 200, "{what}: nothing ended");
}

async fn twin(api: &Api, what: &str) {
    taken(&tell(api, &message(json!({ "jti": format!("twin of {what}") }))).await, what);
    assert_eq!(api.refused(&signed("good", &claims())).await, "ended", "{what}");
}

#[tokio::test]
async fn lo_07_a_message_that_the_issuer_did_not_sign_ends_nothing() {
    let payload = said(&json!({})).to_string();
    let honest = message(json!({}));
    let (input, _) = honest.rsplit_once('.').unwrap();
    let part = |text: &str| portcullis_jose::digest::base64url_encode(text.as_bytes());
    let head = |alg: &str| json!({ "alg": alg, "typ": "logout+jwt", "kid": "good" }).to_string();
    let public = key("good").public_jwk().unwrap().to_value().to_string();
    let symmetric = format!("{}.{}", part(&head("HS256")), part(&payload));
    let mac = portcullis_jose::digest::base64url_encode(&hmac_sha256(public.as_bytes(), symmetric.as_bytes()));
    for (what, token, reason) in [
        ("alg none", format!("{}.{}.", part(&head("none")), part(&payload)), "algorithm_none"),
        ("alg nOnE, signed", forge(key("good"), &head("nOnE"), &payload), "algorithm_none"),
        ("no signature", format!("{input}."), "unsigned"),
        ("HS256 under the public key", format!("{symmetric}.{mac}"), "algorithm_not_allowed"),
        ("RS256 under the same name", forge(key("rsa"), &head("RS256"), &payload), "unknown_key"),
        ("another key", by("new", &json!({})), "unknown_key"),
        ("another key under the name", forge(key("new"), &head("ES256"), &payload), "bad_signature"),
        ("no token", "x".to_owned(), "not_three_parts"),
    ] {
        let api = told(&["good"]);
        assert_eq!(api.status(&signed("good", &claims())).await, 200);
        refused(&api, &tell(&api, &token).await, reason, what).await;
        twin(&api, what).await;
    }
}

#[tokio::test]
async fn lo_08_lo_09_lo_10_every_claim_is_held_against_the_rules() {
    for (changes, reason) in [
        (json!({ "iss": "https://id.example/realms/other" }), "wrong_issuer"),
        (json!({ "aud": "api" }), "wrong_audience"),
        (json!({ "iat": null }), "missing_claim"),
        (json!({ "exp": NOW - 10, "iat": NOW - 130 }), "expired"),
        (json!({ "exp": null }), "missing_claim"),
        (json!({ "exp": NOW + 86_400 }), "lifetime_too_long"),
        (json!({ "sub": null, "sid": null }), "logout_of_nobody"),
        (json!({ "events": null }), "missing_claim"),
        (json!({ "events": { "other": {} } }), "no_logout_event"),
        (json!({ "nonce": "n" }), "nonce_in_logout_token"),
        (json!({ "typ": "ID" }), "not_a_logout_token"),
        (json!({ "jti": null }), "missing_claim"),
    ] {
        let api = told(&["good"]);
        let what = changes.to_string();
        refused(&api, &tell(&api, &message(changes)).await, reason, &what).await;
        twin(&api, &what).await;
    }
    let api = told(&["good"]);
    let id = json!({ "typ": "ID", "aud": "shop-app", "nonce": "n" });
    for (what, token) in [
        ("an access token", signed("good", &claims())),
        ("an ID token", signed("good", &with(id.clone()))),
        (
            "a message with the type of another",
            forge(key("good"), &header(key("good"), "JWT"), &said(&json!({})).to_string()),
        ),
        (
            "an event of the feed",
            forge(key("good"), &header(key("good"), "revocation+jwt"), &said(&json!({})).to_string()),
        ),
    ] {
        refused(&api, &tell(&api, &token).await, "wrong_type", what).await;
    }
    twin(&api, "kinds").await;
}

#[tokio::test]
async fn lo_11_only_a_form_by_post_and_each_message_once() {
    let api = told(&["good"]);
    let token = message(json!({}));
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let target = format!("{DOOR}?logout_token={token}");
        let answer = api.send(Request::builder().method(method).uri(target).body(Body::empty()).unwrap()).await;
        let shown = (answer.status.as_u16(), answer.header("allow"), answer.header("cache-control"));
        assert_eq!(shown, (405, "POST", "no-store"), "{method}");
        assert_eq!(api.reason(), "logout_not_posted");
    }
    let kinds = [Some("application/json"), Some("text/plain"), Some("multipart/form-data; boundary=x"), None];
    for kind in kinds {
        let mut request = Request::post(format!("{DOOR}?logout_token={token}"));
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let body = format!("logout_token={token}");
        refused(&api, &api.send(request.body(Body::from(body)).unwrap()).await, "no_logout_token", "content type")
            .await;
    }
    let json = json!({ "logout_token": token }).to_string();
    let long = format!("logout_token={token}&x={}", "x".repeat(64 * 1024));
    for body in [String::new(), json, format!("logout_token={token}&logout_token={token}"), "token=x".to_owned(), long]
    {
        refused(&api, &post(&api, body).await, "no_logout_token", "body").await;
    }
    taken(&post(&api, format!("x=1&logout_token={token}&y")).await, "beside others");
    assert_eq!(api.refused(&signed("good", &claims())).await, "ended");
    for seconds in [0, 1, 129] {
        api.clock.store(NOW + seconds, Ordering::SeqCst);
        let again = tell(&api, &token).await;
        assert_eq!((again.status.as_u16(), api.reason()), (400, "logout_replayed"), "{seconds}");
    }
    api.clock.store(NOW + 130, Ordering::SeqCst);
    assert_eq!((tell(&api, &token).await.status.as_u16(), api.reason()), (400, "expired"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lo_11_of_one_message_many_times_at_once_one_is_taken() {
    for round in 0..20 {
        let house = Streams::open();
        let message = message(json!({ "jti": format!("m{round}") }));
        let mut told = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let request = Request::post(DOOR).header("content-type", "application/x-www-form-urlencoded");
            let request = request.body(Body::from(format!("logout_token={message}"))).unwrap();
            told.spawn(house.router.clone().oneshot(request));
        }
        let answers = told.join_all().await;
        let taken = answers.into_iter().filter(|answer| answer.as_ref().unwrap().status() == 200).count();
        assert_eq!(taken, 1, "{round}");
    }
}

#[tokio::test]
async fn p_17_lo_12_what_is_named_ends_and_nothing_else() {
    let token = |sub: &str, sid: &str, iat: i64| signed("good", &with(json!({ "sub": sub, "sid": sid, "iat": iat })));
    // The session; its user's other session; a later token of its user; another user's.
    let held = [token("u1", "s1", NOW), token("u1", "s2", NOW), token("u1", "s2", NOW + 1), token("u2", "s3", NOW)];
    for (what, changes, left) in [
        ("both", json!({}), [false, true, true, true]),
        ("sid", json!({ "sub": null }), [false, true, true, true]),
        ("sub", json!({ "sid": null }), [false, false, true, true]),
        ("sid, for the other client", json!({ "sub": null, "aud": ["x", "mobile"] }), [false, true, true, true]),
        ("the session of nobody here", json!({ "sid": "s9" }), [true; 4]),
    ] {
        for remembered in [true, false] {
            let api = told(&["good"]);
            let elsewhere = Api::built(&["good"], |b| {
                b.issuer("https://id.example/realms/other").backchannel_logout(LogoutOptions::of(["shop-app"]))
            });
            let foreign = signed("good", &with(json!({ "iss": "https://id.example/realms/other" })));
            if remembered {
                for token in &held {
                    assert_eq!(api.status(token).await, 200, "{what}");
                }
            }
            taken(&tell(&api, &message(changes.clone())).await, what);
            for (token, left) in held.iter().zip(left) {
                assert_eq!(api.status(token).await, if left { 200 } else { 401 }, "{what} {remembered}");
            }
            let strange = tell(&elsewhere, &message(changes.clone())).await;
            assert_eq!((strange.status.as_u16(), elsewhere.reason()), (400, "wrong_issuer"), "{what}");
            assert_eq!(elsewhere.status(&foreign).await, 200, "{what}: same names, another issuer");
            assert_eq!(api.get("/fresh", held.last().unwrap()).await.status, 503, "{what}: a message may be lost");
        }
    }
}

#[tokio::test]
async fn ds_14_a_full_memory_refuses_and_forgets_nothing() {
    let token = |sid: &str, iat: i64| signed("good", &with(json!({ "sid": sid, "iat": iat, "exp": iat + 600 })));
    let named =
        |jti: &str, sid: &str, iat: i64| message(json!({ "jti": jti, "sid": sid, "iat": iat, "exp": iat + 120 }));
    let small = |entries, messages| {
        let options = LogoutOptions::of(["shop-app"]).longest_token(600).bounds(entries, messages);
        Api::built(&["good"], |b| b.backchannel_logout(options))
    };
    let api = small(1, 100);
    taken(&tell(&api, &named("m1", "a", NOW)).await, "the first");
    let full = tell(&api, &named("m2", "b", NOW)).await;
    assert_eq!((full.status.as_u16(), full.header("retry-after"), api.reason()), (503, "30", "logouts_full"));
    assert_eq!(full.header("cache-control"), "no-store");
    assert_eq!(api.refused(&token("a", NOW)).await, "ended");
    for sid in ["b", "c"] {
        assert_eq!(api.get("/me", &token(sid, NOW)).await.status, 503, "who was meant is not known");
        assert_eq!(api.reason(), "stale");
        assert_eq!(api.status(&token(sid, NOW + 1)).await, 200, "a later token is nobody's who left");
    }
    // What is over makes room, and not before.
    api.clock.store(NOW + 609, Ordering::SeqCst);
    assert_eq!(api.refused(&token("a", NOW)).await, "ended");
    assert_eq!(tell(&api, &named("m3", "b", NOW + 609)).await.status, 503);
    api.clock.store(NOW + 780, Ordering::SeqCst);
    taken(&tell(&api, &named("m4", "b", NOW + 780)).await, "room again");
    assert_eq!(api.refused(&token("b", NOW + 700)).await, "ended");

    let api = small(100, 1);
    taken(&tell(&api, &named("m1", "a", NOW)).await, "the first");
    assert_eq!((tell(&api, &named("m2", "b", NOW)).await.status.as_u16(), api.reason()), (503, "logouts_full"));
    assert_eq!(api.refused(&token("b", NOW)).await, "ended", "the end counts, the message is tried again");
    assert_eq!((tell(&api, &named("m1", "a", NOW)).await.status.as_u16(), api.reason()), (400, "logout_replayed"));
    api.clock.store(NOW + 300, Ordering::SeqCst);
    taken(&tell(&api, &named("m2", "b", NOW + 300)).await, "room again");
}

#[tokio::test]
async fn a_token_that_outlives_the_memory_is_refused() {
    let api = told(&["good"]);
    let lives = |seconds: i64| signed("good", &with(json!({ "exp": NOW + seconds })));
    assert_eq!(api.status(&lives(86_400)).await, 200);
    assert_eq!(api.refused(&lives(86_401)).await, "lifetime_too_long");
    assert_eq!(Api::new(&["good"]).status(&lives(86_401)).await, 200, "only where logouts are remembered");
}

#[tokio::test]
async fn ds_10_a_message_by_a_new_key_asks_once() {
    let api = told(&["good"]);
    api.source.will_find(&["good", "new"]);
    taken(&tell(&api, &by("new", &json!({}))).await, "found");
    assert_eq!(api.source.asked(), 1);
    let strange = [
        by("ed", &json!({ "iss": "https://id.example/realms/other" })),
        forge(key("ed"), &header(key("ed"), "JWT"), &said(&json!({})).to_string()),
    ];
    for token in strange {
        assert_eq!(tell(&api, &token).await.status, 400);
    }
    assert_eq!(api.source.asked(), 1, "what no key could save asks nobody");
    // No keys at all: the issuer tries again.
    let api = told(&[]);
    let answer = tell(&api, &message(json!({}))).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after"), api.reason()), (503, "30", "no_keys"));
    assert_eq!(answer.body.get("error"), Some(&json!("temporarily_unavailable")));
    api.source.will_find(&["good"]);
    taken(&tell(&api, &message(json!({}))).await, "the keys are back");
}

#[test]
fn a_door_needs_clients_and_a_builder_that_was_told() {
    let builder = || Guard::builder().issuer(ISSUER).audience("api").bearer();
    for options in
        [LogoutOptions::of(Vec::<String>::new()), LogoutOptions::of([""]), LogoutOptions::of(["app"]).longest_token(0)]
    {
        assert!(matches!(builder().backchannel_logout(options).build(), Err(BuildError::LogoutOptions)));
    }
    let deaf = builder().build().unwrap().backchannel_logout::<()>();
    assert!(matches!(deaf, Err(BuildError::NoLogouts)));
    let told = builder().backchannel_logout(LogoutOptions::of(["app"])).build().unwrap();
    assert!(told.backchannel_logout::<()>().is_ok());
}

/// An API with a stream that the test feeds.
struct Streams {
    router: Router,
    api: Api,
    chunks: mpsc::UnboundedSender<Bytes>,
}

impl Streams {
    fn open() -> Self {
        let (chunks, fed) = mpsc::unbounded_channel::<Bytes>();
        let fed = Arc::new(std::sync::Mutex::new(Some(fed)));
        let api = Api::new(&["good"]);
        let (time, source) = (Arc::clone(&api.clock), Arc::new(Source::default()));
        *source.held.lock().unwrap() = Some(set(&["good"]));
        let guard = Guard::builder()
            .issuer(ISSUER)
            .audience("api")
            .bearer()
            .keys(source)
            .clock(move || time.load(Ordering::SeqCst))
            .backchannel_logout(LogoutOptions::of(["shop-app"]))
            .build()
            .unwrap();
        let events = move || {
            let fed = fed.lock().unwrap().take().unwrap();
            let next =
                async |mut fed: mpsc::UnboundedReceiver<Bytes>| Some((Ok::<_, std::io::Error>(fed.recv().await?), fed));
            async move { Body::from_stream(stream::unfold(fed, next)) }
        };
        let router = Router::new()
            .route("/events", get(events))
            .route("/short", get(async || "short"))
            .route("/long", get(async || Body::from("x".repeat(100_000))))
            .layer(require::alive())
            .layer(guard.layer())
            .route(DOOR, guard.backchannel_logout().unwrap());
        Self { router, api, chunks }
    }

    async fn get(&self, path: &str) -> BodyDataStream {
        let request = Request::get(path).header("authorization", format!("Bearer {}", signed("good", &claims())));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().into_data_stream()
    }

    async fn tell(&self, sid: &str) {
        let body = format!("logout_token={}", message(json!({ "sid": sid })));
        let request = Request::post(DOOR).header("content-type", "application/x-www-form-urlencoded");
        let answer = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn lo_06_a_stream_breaks_off_when_its_session_ends() {
    for (what, sid, after, ends) in
        [("its logout", "s1", 0, true), ("its token's end", "s2", 300, true), ("another's logout", "s2", 0, false)]
    {
        let house = Streams::open();
        let mut events = house.get("/events").await;
        for text in ["one", "two"] {
            house.chunks.send(Bytes::from(text)).unwrap();
            assert_eq!(events.next().await.unwrap().unwrap(), text, "{what}");
        }
        house.tell(sid).await;
        house.api.clock.store(NOW + after, Ordering::SeqCst);
        let begun = tokio::time::Instant::now();
        let next = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
        if ends {
            let broken = next.expect("within five seconds").unwrap();
            assert!(broken.unwrap_err().to_string().contains("session is over"), "{what}");
            assert!(begun.elapsed() <= Duration::from_secs(2), "{what}");
            assert!(events.next().await.is_none(), "{what}");
        } else {
            assert!(next.is_err(), "{what}: it is quiet");
            house.chunks.send(Bytes::from("three")).unwrap();
            assert_eq!(events.next().await.unwrap().unwrap(), "three", "{what}");
            drop(house.chunks);
            assert!(events.next().await.is_none(), "{what}: its own end is no error");
        }
    }
}

#[tokio::test]
async fn lo_06_what_ends_by_itself_comes_whole() {
    let house = Streams::open();
    for (path, length) in [("/short", 5), ("/long", 100_000)] {
        let body: Vec<_> = house.get(path).await.map(Result::unwrap).collect().await;
        assert_eq!(body.iter().map(Bytes::len).sum::<usize>(), length, "{path}");
    }
    let bare = Router::new().route("/", get(async || "x")).layer(require::alive());
    let answer = bare.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 500, "without a guard around it");
}
