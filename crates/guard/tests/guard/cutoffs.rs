//! What ended before its tokens did: events taken in order and from the issuer only, and what holds while none come.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use portcullis_guard::{FeedOptions, FeedState, FrameFault, FrameSource, KeySource as _, RevocationFeed, Unreachable};
use portcullis_jose::Reject;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::common::{Api, ISSUER, NOW, Source, claims, forge, header, key, set, signed, with};

/// A feed and an API behind it, at one clock.
struct House {
    feed: Arc<RevocationFeed>,
    api: Api,
    clock: Arc<AtomicI64>,
}

impl House {
    fn new(options: FeedOptions) -> Self {
        let clock = Arc::new(AtomicI64::new(NOW));
        let read = {
            let clock = Arc::clone(&clock);
            move || clock.load(Ordering::SeqCst)
        };
        let source = Arc::new(Source::default());
        *source.held.lock().unwrap() = Some(set(&["good"]));
        let feed = RevocationFeed::new(ISSUER, source, FeedOptions { clock: Arc::new(read.clone()), ..options });
        let cutoffs = Arc::clone(&feed);
        let api = Api::built(&["good"], |b| b.clock(read).cutoffs(cutoffs));
        Self { feed, api, clock }
    }

    /// Ready after an empty snapshot.
    async fn ready(options: FeedOptions) -> Self {
        let house = Self::new(options);
        house.feed.take(&event(&page(0, 0, true, json!([])))).await.unwrap();
        house
    }

    fn state(&self) -> FeedState {
        self.feed.state(self.clock.load(Ordering::SeqCst))
    }
}

/// Refused as long as nobody knows.
async fn unknown(api: &Api, token: &str) {
    let answer = api.get("/me", token).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "30"));
    assert_eq!(api.reason(), "stale");
}

fn cut(kind: &str, value: &str) -> Value {
    json!({ "kind": kind, "value": value, "before": NOW, "exp": NOW + 420 })
}

/// A page of a snapshot, epoch 1.
fn page(seq: i64, number: i64, last: bool, cuts: Value) -> Value {
    json!({ "iss": ISSUER, "iat": NOW, "epoch": 1, "seq": seq, "page": number, "last": last, "cuts": cuts })
}

fn news(after: i64, seq: i64, cuts: Value) -> Value {
    json!({ "iss": ISSUER, "iat": NOW, "epoch": 1, "seq": seq, "after": after, "cuts": cuts })
}

fn beat(seq: i64) -> Value {
    json!({ "iss": ISSUER, "iat": NOW, "epoch": 1, "seq": seq })
}

fn event(body: &Value) -> String {
    forge(key("good"), &header(key("good"), "revocation+jwt"), &body.to_string())
}

fn changed(mut body: Value, name: &str, value: Value) -> Value {
    body.as_object_mut().unwrap().insert(name.to_owned(), value);
    body
}

#[tokio::test]
async fn lo_05_a_cut_off_token_is_refused_remembered_or_not() {
    for (kind, value) in [
        ("sid", "s1"),
        ("sub", "u1"),
        ("jti", "j1"),
        ("client", "app"),
        ("session-client", "s1 app"),
        ("kid", "good"),
        ("realm", ""),
    ] {
        for remembered in [true, false] {
            let house = House::ready(FeedOptions::default()).await;
            let token = signed("good", &with(json!({ "jti": "j1" })));
            let others = with(json!({ "sid": "s2", "sub": "u2", "jti": "j2", "azp": "other", "iat": NOW + 1 }));
            let other = signed("good", &others);
            if remembered {
                assert_eq!(house.api.status(&token).await, 200, "{kind}");
            }
            house.feed.take(&event(&news(0, 1, json!([cut(kind, value), cut("unheard", "s2")])))).await.unwrap();
            assert_eq!(house.api.refused(&token).await, "ended", "{kind} {remembered}");
            let expected = if kind == "kid" { 401 } else { 200 };
            assert_eq!(house.api.status(&other).await, expected, "{kind}: another token lives");
            assert_eq!(house.feed.figures().entries, usize::from(kind != "realm"));
        }
    }
}

#[tokio::test]
async fn forged_replayed_and_disordered_events_change_nothing() {
    let cuts = json!([cut("sid", "s1")]);
    let honest = news(3, 4, cuts.clone());
    let rejected = FrameFault::Rejected;
    let forged = |kid: &str, typ: &str, body: &Value| forge(key(kid), &header(key(kid), typ), &body.to_string());
    let (head, strange) = (event(&honest), event(&beat(3)));
    let ((head, _), (_, strange)) = (head.rsplit_once('.').unwrap(), strange.rsplit_once('.').unwrap());
    let cases = [
        ("another key", forged("new", "revocation+jwt", &honest), rejected(Reject::UnknownKey)),
        ("an access token's type", forged("good", "JWT", &honest), rejected(Reject::WrongType)),
        ("an access token", signed("good", &claims()), rejected(Reject::WrongType)),
        ("no signature", format!("{head}."), rejected(Reject::Unsigned)),
        ("another's signature", format!("{head}.{strange}"), rejected(Reject::BadSignature)),
        (
            "another issuer",
            event(&changed(honest.clone(), "iss", json!("https://x.example"))),
            rejected(Reject::WrongIssuer),
        ),
        ("no shape", event(&changed(honest.clone(), "cuts", json!([{}]))), rejected(Reject::BadClaimType("cuts"))),
        ("page and after", event(&changed(honest.clone(), "page", json!(0))), rejected(Reject::BadClaimType("cuts"))),
        ("of the future", event(&changed(honest.clone(), "iat", json!(NOW + 11))), rejected(Reject::IssuedInFuture)),
        ("signed before the latest", event(&changed(honest.clone(), "iat", json!(NOW - 1))), FrameFault::Late),
        ("replayed", event(&news(1, 2, cuts.clone())), FrameFault::OutOfOrder),
        ("an old heartbeat", event(&beat(2)), FrameFault::OutOfOrder),
        ("an old epoch", event(&changed(honest.clone(), "epoch", json!(0))), FrameFault::OutOfOrder),
        ("a gap", event(&news(4, 5, cuts.clone())), FrameFault::Gap),
        ("a heartbeat that is ahead", event(&beat(4)), FrameFault::Gap),
        ("another epoch without a snapshot", event(&changed(honest.clone(), "epoch", json!(2))), FrameFault::Gap),
        ("a later page without the first", event(&page(5, 1, true, cuts.clone())), FrameFault::Gap),
        ("an old snapshot", event(&page(2, 0, true, cuts.clone())), FrameFault::OutOfOrder),
    ];
    for (what, text, fault) in cases {
        let house = House::ready(FeedOptions::default()).await;
        house.feed.take(&event(&news(0, 3, json!([])))).await.unwrap();
        assert_eq!(house.feed.take(&text).await, Err(fault), "{what}");
        assert_eq!(house.feed.cursor(), Some((1, 3)), "{what}");
        let token = signed("good", &claims());
        assert_eq!(house.api.status(&token).await, 200, "{what}: nothing of it counts");
        // The honest twin, overlapping what is known, and its heartbeat.
        house.feed.take(&event(&news(2, 4, cuts.clone()))).await.unwrap();
        house.feed.take(&event(&beat(4))).await.unwrap();
        assert_eq!(house.api.refused(&token).await, "ended", "{what}");
        assert_eq!((house.feed.figures().taken, house.feed.figures().faults), (4, 1), "{what}");
    }
}

#[tokio::test]
async fn a_guard_is_ready_after_the_last_page() {
    let house = House::new(FeedOptions::default());
    let long = signed("good", &with(json!({ "exp": NOW + 3600 })));
    for (body, state) in [
        (page(9, 0, false, json!([cut("sid", "a")])), FeedState::Starting),
        (page(9, 1, false, json!([cut("sid", "b")])), FeedState::Starting),
        (page(9, 2, true, json!([cut("sid", "s1")])), FeedState::Following),
    ] {
        unknown(&house.api, &long).await;
        house.feed.take(&event(&body)).await.unwrap();
        assert_eq!(house.state(), state);
    }
    assert_eq!(house.feed.cursor(), Some((1, 9)));
    assert_eq!(house.api.refused(&long).await, "ended");
    assert_eq!(house.feed.take(&event(&page(9, 2, true, json!([])))).await, Err(FrameFault::Gap), "pages come once");
    // A new epoch begins with a snapshot, and forgets nothing.
    house.feed.take(&event(&changed(page(0, 0, true, json!([])), "epoch", json!(2)))).await.unwrap();
    assert_eq!((house.feed.cursor(), house.state()), (Some((2, 0)), FeedState::Following));
    assert_eq!(house.api.refused(&long).await, "ended");
}

#[tokio::test]
async fn while_the_feed_is_stale_only_short_lives_pass_and_fresh_routes_refuse() {
    for closed in [false, true] {
        let house = House::ready(FeedOptions { closed, ..FeedOptions::default() }).await;
        house.feed.take(&event(&news(0, 1, json!([cut("sid", "gone")])))).await.unwrap();
        let token = |sid: &str, life: i64| signed("good", &with(json!({ "sid": sid, "exp": NOW + life })));
        let (short, long, gone) = (token("s1", 603), token("s1", 605), token("gone", 300));
        for (silence, following) in [(0, true), (3, true), (4, false), (-4, false), (1, true)] {
            house.clock.store(NOW + silence, Ordering::SeqCst);
            let status = |passes: bool| if passes { 200 } else { 503 };
            let what = format!("{closed} {silence}");
            assert_eq!(house.state(), if following { FeedState::Following } else { FeedState::Stale }, "{what}");
            assert_eq!(house.api.status(&long).await, status(following), "{what}");
            assert_eq!(house.api.status(&short).await, status(following || (!closed && silence > 0)), "{what}");
            assert_eq!(house.api.refused(&gone).await, "ended", "{what}: what is known stays known");
            let fresh = house.api.get("/fresh", &short).await.status;
            assert_eq!(fresh, status(following), "{what}");
        }
        // A heartbeat ends it.
        house.clock.store(NOW + 60, Ordering::SeqCst);
        assert_eq!(house.state(), FeedState::Stale);
        house.feed.take(&event(&changed(beat(1), "iat", json!(NOW + 60)))).await.unwrap();
        assert_eq!((house.api.status(&long).await, house.state()), (200, FeedState::Following));
        assert!(house.feed.figures().unknown > 0 && house.feed.figures().ended == 5);
        // An event that was held back is no sign of life.
        house.clock.store(NOW + 80, Ordering::SeqCst);
        assert_eq!(house.feed.take(&event(&changed(beat(1), "iat", json!(NOW + 66)))).await, Err(FrameFault::Late));
        house.feed.take(&event(&changed(beat(1), "iat", json!(NOW + 67)))).await.unwrap();
    }
}

#[tokio::test]
async fn ds_14_a_full_set_turns_stale_until_a_snapshot_fits() {
    let house = House::ready(FeedOptions { max_entries: 2, ..FeedOptions::default() }).await;
    let long = |sid: &str| signed("good", &with(json!({ "sid": sid, "exp": NOW + 3600 })));
    let three = json!([cut("sid", "a"), cut("sid", "b"), cut("sid", "c")]);
    assert_eq!(house.feed.take(&event(&news(0, 3, three.clone()))).await, Err(FrameFault::Full));
    assert_eq!((house.state(), house.feed.cursor()), (FeedState::Full, None));
    unknown(&house.api, &long("s1")).await;
    assert_eq!(house.api.refused(&long("a")).await, "ended", "nothing is forgotten");
    assert_eq!(house.feed.take(&event(&page(3, 0, true, three))).await, Err(FrameFault::Full));
    // What expired makes room.
    house.clock.store(NOW + 420, Ordering::SeqCst);
    let one = json!([{ "kind": "sid", "value": "c", "before": NOW, "exp": NOW + 840 }]);
    house.feed.take(&event(&changed(page(4, 0, true, one), "iat", json!(NOW + 420)))).await.unwrap();
    assert_eq!(house.state(), FeedState::Following);
    assert_eq!(house.api.status(&long("s1")).await, 200);
    assert_eq!(house.api.refused(&long("c")).await, "ended");
}

#[tokio::test]
async fn without_a_feed_nothing_is_asked_and_fresh_routes_refuse() {
    let api = Api::new(&["good"]);
    let token = signed("good", &with(json!({ "exp": NOW + 36_000 })));
    assert_eq!(api.status(&token).await, 200);
    assert_eq!(api.get("/fresh", &token).await.status, 503);
}

#[tokio::test]
async fn events_by_a_new_key_fetch_it() {
    let source = Arc::new(Source::default());
    *source.held.lock().unwrap() = Some(set(&["good"]));
    source.will_find(&["good", "new"]);
    let options = FeedOptions { clock: Arc::new(|| NOW), ..FeedOptions::default() };
    let feed = RevocationFeed::new(ISSUER, Arc::clone(&source) as Arc<_>, options);
    let by_new = forge(key("new"), &header(key("new"), "revocation+jwt"), &page(0, 0, true, json!([])).to_string());
    feed.take(&by_new).await.unwrap();
    feed.take(&event(&beat(0))).await.unwrap();
    assert_eq!(source.asked(), 1);
    assert!(source.keys().is_some());
}

/// Streams that a test writes, one per connection; it learns with which cursor each was opened.
struct Wire {
    streams: Mutex<Vec<mpsc::UnboundedReceiver<String>>>,
    opened: mpsc::UnboundedSender<Option<(i64, i64)>>,
}

#[async_trait::async_trait]
impl FrameSource for Wire {
    async fn open(&self, after: Option<(i64, i64)>) -> Result<BoxStream<'static, String>, Unreachable> {
        self.opened.send(after).map_err(|e| Unreachable(e.to_string()))?;
        let stream = self.streams.lock().unwrap().pop().ok_or_else(|| Unreachable("none".to_owned()))?;
        let next = async |mut stream: mpsc::UnboundedReceiver<String>| stream.recv().await.map(|event| (event, stream));
        Ok(futures_util::stream::unfold(stream, next).boxed())
    }
}

#[tokio::test]
async fn a_follower_comes_back_with_its_cursor() {
    let house = House::new(FeedOptions::default());
    let (first, second) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let (opened, mut opens) = mpsc::unbounded_channel();
    let wire = Wire { streams: Mutex::new(vec![second.1, first.1]), opened };
    let following = house.feed.follow(Arc::new(wire));
    assert_eq!(opens.recv().await, Some(None));
    for body in [page(0, 0, true, json!([])), news(0, 1, json!([cut("sid", "a")]))] {
        first.0.send(event(&body)).unwrap();
    }
    // A gap ends the connection; so does the end of a stream.
    first.0.send(event(&news(5, 6, json!([cut("sid", "b")])))).unwrap();
    assert_eq!(opens.recv().await, Some(Some((1, 1))));
    second.0.send(event(&news(1, 2, json!([cut("sid", "s1")])))).unwrap();
    drop(second.0);
    assert_eq!(opens.recv().await, Some(Some((1, 2))));
    assert_eq!(house.api.refused(&signed("good", &claims())).await, "ended");
    assert_eq!((house.feed.figures().connections, house.feed.figures().faults), (2, 1));
    drop(house);
    following.await.unwrap();
}
