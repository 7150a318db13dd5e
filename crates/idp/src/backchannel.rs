//! Back-channel logout: sends what plans queued (OIDC Back-Channel Logout 1.0 §2.5).
//!
//! **Owns** when a message is sent, how many at once, what is written of a try. **Does not own** who is told and when again
//! ([`portcullis_core::oauth::backchannel`]), whom the door may reach ([`portcullis_client::door`]).
//! **Flow** woken by a logout, or by time -> due rows -> claimed by moving their time -> signed -> door -> dropped or tried later.
//!
//! Nobody waits for a client here: a request that ends a session only writes rows. A stop loses nothing, since a claim ends.
//!
//! However many clients a logout tells (DS-25), the rows wait in the store and few of them in memory: [`MOST_CALLS`] in all,
//! [`PER_HOST`] for one host. The messages of a large session are queued before its end and held until then.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use portcullis_client::door::{Door, Reach, SystemNames, Traces};
use portcullis_core::ids::RealmId;
use portcullis_core::oauth::backchannel::{self, Outcome};
use portcullis_core::pending::LogoutDelivery;
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_store::{Key, Kind};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{Instrument as _, Span};

use crate::state::{App, RealmView};
use crate::token::mint;

/// How often due rows are looked for without being woken.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Rows read at once.
const BATCH: i64 = 200;

/// Calls to one host at once, and calls to it that may wait for their turn (SS-12).
const PER_HOST: (usize, usize) = (4, 64);

/// Calls under way and waiting for their turn, over all hosts.
const MOST_CALLS: usize = 512;

/// A claimed row comes back after so many seconds: longer than every call to its host before it could take.
const CLAIM_SECONDS: i64 = 120;

/// Rows whose host is full come back after so many seconds: as many at once as may wait, the others later, so that each row is
/// moved about once.
const FULL_SECONDS: i64 = 5;

/// A held message whose session lives comes back after so many seconds, and is given up after so many: whoever ends a large session
/// queues its messages first, and if that request came to nothing, so do they.
const LIVING: (i64, i64) = (10, 120);

/// How long calls in flight may go on after a stop.
const STOP_WITHIN: Duration = Duration::from_secs(6);

/// What waits for the sender.
pub(crate) struct Outbox {
    door: OnceLock<Option<Door>>,
    reach: Reach,
    allowed: Vec<String>,
    traces: Option<Traces>,
    woken: Notify,
    realms: Mutex<BTreeMap<RealmId, String>>,
    hosts: Mutex<HashMap<String, Host>>,
}

/// One host that is being called.
struct Host {
    turns: Arc<Semaphore>,
    waiting: usize,
}

impl Outbox {
    pub(crate) fn new(reach: Reach, allowed: Vec<String>, traces: Option<Traces>) -> Self {
        Self {
            door: OnceLock::new(),
            reach,
            allowed,
            traces,
            woken: Notify::new(),
            realms: Mutex::default(),
            hosts: Mutex::default(),
        }
    }

    /// There are new rows of a realm.
    pub(crate) fn wake(&self, realm: &RealmId, name: &str) {
        self.realms.lock().unwrap_or_else(PoisonError::into_inner).insert(realm.clone(), name.to_owned());
        self.woken.notify_one();
    }

    fn woken_realms(&self) -> Vec<(RealmId, String)> {
        std::mem::take(&mut *self.realms.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }

    fn door(&self) -> Option<&Door> {
        let open = || {
            let door = Door::with(self.reach, &self.allowed, Arc::new(SystemNames));
            let door = door.map(|door| door.traced(self.traces.clone()));
            door.inspect_err(|error| tracing::error!(%error, "no logout message can be sent")).ok()
        };
        self.door.get_or_init(open).as_ref()
    }

    /// A place in a host's queue; `None`: it is full.
    fn enter(&self, host: &str) -> Option<Arc<Semaphore>> {
        let (at_once, most) = PER_HOST;
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Host { turns: Arc::new(Semaphore::new(at_once)), waiting: 0 };
        let entry = hosts.entry(host.to_owned()).or_insert_with(new);
        (entry.waiting < most).then(|| {
            entry.waiting += 1;
            Arc::clone(&entry.turns)
        })
    }

    fn leave(&self, host: &str) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = hosts.get_mut(host) {
            entry.waiting = entry.waiting.saturating_sub(1);
            if entry.waiting == 0 {
                hosts.remove(host);
            }
        }
    }
}

/// A message with its address and its place in the host's queue.
struct Ready {
    delivery: LogoutDelivery,
    url: String,
    host: String,
    turns: Arc<Semaphore>,
}

/// Sends until `stop`.
pub(crate) async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut calls = JoinSet::new();
    let mut crowded = false;
    let mut clock = tokio::time::interval(LOOK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.outbox.woken.notified() => {
                for realm in app.outbox.woken_realms() {
                    crowded |= look(&app, realm, &mut calls).await == Seen::Crowd;
                }
            }
            _ = clock.tick() => crowded = look_everywhere(&app, &mut calls).await == Seen::Crowd,
            Some(_) = calls.join_next(), if !calls.is_empty() => {
                if crowded && calls.len() <= MOST_CALLS / 2 {
                    crowded = look_everywhere(&app, &mut calls).await == Seen::Crowd;
                }
            }
            _ = stop.changed() => break,
        }
    }
    let ended = async { while calls.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_WITHIN, ended).await.is_err() {
        tracing::info!("logout messages in flight are sent again after the next start");
    }
}

/// Sends what is due now, in every realm, and waits until each call is over.
pub(crate) async fn send_due(app: &Arc<App>) {
    loop {
        let mut calls = JoinSet::new();
        let seen = look_everywhere(app, &mut calls).await;
        while calls.join_next().await.is_some() {}
        if seen == Seen::All {
            return;
        }
    }
}

/// What a look at the rows came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// No due row is left, as far as could be read.
    All,
    /// Rows are left for when calls are over.
    Crowd,
}

async fn look_everywhere(app: &Arc<App>, calls: &mut JoinSet<()>) -> Seen {
    let Ok(names) = app.db.realm_names().await else { return Seen::All };
    let mut seen = Seen::All;
    for realm in names {
        if look(app, realm, calls).await == Seen::Crowd {
            seen = Seen::Crowd;
        }
    }
    seen
}

/// Every due row of a realm is sent, moved in time or dropped, so a full batch is followed by another one.
async fn look(app: &Arc<App>, (realm, name): (RealmId, String), calls: &mut JoinSet<()>) -> Seen {
    let mut surplus = HashMap::new();
    loop {
        while calls.try_join_next().is_some() {}
        let room = i64::try_from(MOST_CALLS.saturating_sub(calls.len())).unwrap_or(0);
        if room == 0 {
            return Seen::Crowd;
        }
        let (now, batch) = (app.now(), BATCH.min(room));
        let Ok(due) = app.db.due_logouts(&realm, now.secs(), batch).await else { return Seen::All };
        if due.is_empty() {
            return Seen::All;
        }
        let more = i64::try_from(due.len()).unwrap_or(batch) >= batch;
        let Ok(Some(view)) = app.realm(&name).await else { return Seen::All };
        let (writes, ready) = sort(app, &view, due, &mut surplus).await;
        // Nothing to write: another node has them all.
        let more = more && !writes.is_empty();
        let claimed = app.db.apply(Plan::new(Lane::Admin, writes)).await;
        let claimed = claimed.inspect_err(|error| tracing::warn!(%error, "logout messages wait")).is_ok();
        for ready in ready {
            if claimed {
                calls.spawn(call(Arc::clone(app), Arc::clone(&view), ready));
            } else {
                app.outbox.leave(&ready.host);
            }
        }
        if !(claimed && more) {
            return Seen::All;
        }
    }
}

/// When a held row whose session is not over is looked at again; `Some(None)`: never. `None`: nothing holds it.
async fn held(app: &App, realm: &RealmId, delivery: &LogoutDelivery) -> Option<Option<i64>> {
    if delivery.attempts != backchannel::HELD {
        return None;
    }
    let (again, given_up) = LIVING;
    let now = app.now().secs();
    // What cannot be read is taken for alive: nobody hears of a logout that was not.
    match app.db.user_session(realm, &delivery.session).await {
        Ok(None) => None,
        Ok(Some(_)) if now >= backchannel::queued_at(delivery).saturating_add(given_up) => Some(None),
        Ok(Some(_)) | Err(_) => Some(Some(now.saturating_add(again))),
    }
}

/// Which rows are sent now, and what is written of all of them before. `surplus` counts, by host, the rows that found no room.
async fn sort(
    app: &App,
    view: &RealmView,
    due: Vec<LogoutDelivery>,
    surplus: &mut HashMap<String, i64>,
) -> (Vec<Write>, Vec<Ready>) {
    let (mut writes, mut ready) = (Vec::new(), Vec::new());
    let (realm, now) = (&view.records.realm.id, app.now());
    for mut delivery in due {
        let client = view.records.client_by_uuid(&delivery.client);
        let address = client.and_then(backchannel::url).filter(|_| delivery.expires_at > now.secs());
        let Some(address) = address else {
            tracing::warn!(realm = view.records.realm.name, id = delivery.id, "a logout message is given up");
            writes.push(Write::DropLogout(realm.clone(), delivery.id));
            continue;
        };
        match held(app, realm, &delivery).await {
            None => delivery.attempts = delivery.attempts.max(0),
            Some(Some(later)) => {
                writes.push(Write::RetryLogout(realm.clone(), delivery.id, delivery.attempts, later));
                continue;
            }
            Some(None) => {
                writes.push(Write::DropLogout(realm.clone(), delivery.id));
                continue;
            }
        }
        let port = address.port_or_known_default().unwrap_or_default();
        let host = format!("{}:{port}", address.host_str().unwrap_or_default());
        let Some(turns) = app.outbox.enter(&host) else {
            let before = surplus.entry(host).or_insert(0);
            let turns = 1 + *before / i64::try_from(PER_HOST.1).unwrap_or(1);
            *before += 1;
            let later = now.secs().saturating_add(FULL_SECONDS.saturating_mul(turns));
            writes.push(Write::RetryLogout(realm.clone(), delivery.id, delivery.attempts, later));
            continue;
        };
        if !claim(app, realm, &delivery).await {
            app.outbox.leave(&host);
            continue;
        }
        let back = now.secs() + CLAIM_SECONDS;
        writes.push(Write::RetryLogout(realm.clone(), delivery.id.clone(), delivery.attempts, back));
        ready.push(Ready { delivery, url: address.into(), host, turns });
    }
    (writes, ready)
}

/// One of many nodes sends a message. A node that cannot ask leaves it to the next look.
async fn claim(app: &App, realm: &RealmId, delivery: &LogoutDelivery) -> bool {
    let key = Key::new(Kind::Lease, realm.clone(), format!("logout {} {}", delivery.id, delivery.due_at));
    let now = app.now();
    app.ephemeral.put_new(&key, Vec::new(), now.secs() + CLAIM_SECONDS, now).await.unwrap_or(false)
}

async fn call(app: Arc<App>, view: Arc<RealmView>, ready: Ready) {
    let Ready { delivery, url, host, turns } = ready;
    let outcome = match turns.acquire().await {
        Ok(_turn) => send(&app, &view, &delivery, &url).instrument(span(&view, &delivery)).await,
        Err(_) => Outcome::Failed,
    };
    app.outbox.leave(&host);
    let (realm, id) = (view.records.realm.id.clone(), delivery.id.clone());
    let client = view.records.client_by_uuid(&delivery.client).map_or("", |c| c.client_id.as_str());
    let write = match (backchannel::next_try(&delivery, outcome, app.now()), outcome) {
        (Some(at), _) => Write::RetryLogout(realm, id, delivery.attempts + 1, at),
        (None, Outcome::Answered(200..=299)) => Write::DropLogout(realm, id),
        (None, _) => {
            tracing::warn!(realm = view.records.realm.name, client, id, ?outcome, "a logout message is given up");
            Write::DropLogout(realm, id)
        }
    };
    tracing::debug!(realm = view.records.realm.name, client, ?outcome, "logout message");
    if let Err(error) = app.db.apply(Plan::new(Lane::Admin, vec![write])).await {
        tracing::warn!(%error, "a logout message may be sent twice");
    }
}

/// A trace of its own: the request that ended the session was answered long ago.
fn span(view: &RealmView, delivery: &LogoutDelivery) -> Span {
    let client = view.records.client_by_uuid(&delivery.client).map(|c| c.client_id.as_str());
    tracing::info_span!(
        target: "portcullis::span",
        parent: None,
        "logout.deliver",
        trace.id = "",
        portcullis.realm = view.records.realm.name,
        portcullis.client_id = client,
        portcullis.attempt = delivery.attempts,
    )
}

/// Signs and posts. The token is made at each try: its time is short, its `jti` stays.
async fn send(app: &App, view: &RealmView, delivery: &LogoutDelivery, url: &str) -> Outcome {
    let Some(client) = view.records.client_by_uuid(&delivery.client) else { return Outcome::Failed };
    let payload = backchannel::logout_token(delivery, client, app.now());
    let Ok(token) = mint::logout_token(app, view, client, &payload).await else { return Outcome::Failed };
    let Some(door) = app.outbox.door() else { return Outcome::Failed };
    match door.post_form(url, &[("logout_token", &token)]).await {
        Ok(status) => Outcome::Answered(status),
        Err(error) => {
            tracing::debug!(%error, client = client.client_id, "logout message");
            Outcome::Failed
        }
    }
}
