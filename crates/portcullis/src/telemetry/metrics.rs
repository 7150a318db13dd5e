//! `/metrics`: the Prometheus text format, made when it is asked for, from counters that others keep.
//!
//! Every label is a word of a closed list; a realm is one only where the configuration names it (LG-06).

mod feeds;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use portcullis_core::oauth::token::GrantType;
use portcullis_core::refusal::Class;
use portcullis_guard::RevocationFeed;
use portcullis_idp::Idp;
use portcullis_idp::watch::{Alarm, BOUNDS, Block, Endpoint, Entry, Figures, Login, METHOD_WORDS, STATUS_WORDS};
use portcullis_jose::Algorithm;
use portcullis_store::{Db, Kind, MemoryEphemeral};

use super::{Ring, process};

/// What a metric is: name, kind, help.
pub struct Family(pub &'static str, pub &'static str, pub &'static str);

/// Every metric, in the order of the page.
pub const FAMILIES: &[Family] = &[
    Family(
        "portcullis_requests_total",
        "counter",
        "Requests answered, by endpoint, method (read, write, other) and status class.",
    ),
    Family("portcullis_request_duration_seconds", "histogram", "How long answers took, by endpoint."),
    Family(
        "portcullis_refusals_total",
        "counter",
        "Refusals, by endpoint and class of the reason; `portcullis why` explains each.",
    ),
    Family("portcullis_password_checks_total", "counter", "Names and passwords compared, by how it ended."),
    Family(
        "portcullis_guessing_alarms_total",
        "counter",
        "Times that an address, or a whole realm, had too many wrong passwords over many accounts within ten minutes.",
    ),
    Family(
        "portcullis_logins_total",
        "counter",
        "People let in, by flow: browser, browser_otp (with a one-time code), single_sign_on, device, password_grant.",
    ),
    Family("portcullis_tokens_issued_total", "counter", "Access tokens given, by grant and signature algorithm."),
    Family(
        "portcullis_password_hashes_total",
        "counter",
        "Password hashes computed, those for names that nobody has included.",
    ),
    Family("portcullis_password_busy_total", "counter", "Password jobs given up because no thread was free in time."),
    Family("portcullis_password_waiting", "gauge", "Password jobs waiting now."),
    Family("portcullis_store_commits_total", "counter", "Transactions committed."),
    Family("portcullis_store_plans_total", "counter", "Plans committed."),
    Family(
        "portcullis_store_plans_refused_total",
        "counter",
        "Plans that lost a gate or failed; nothing of them was written.",
    ),
    Family(
        "portcullis_store_plans_dropped_total",
        "counter",
        "Plans dropped because their lane was full or their time was over.",
    ),
    Family("portcullis_store_rows_total", "counter", "Rows changed."),
    Family("portcullis_store_waiting", "gauge", "Plans waiting now, by lane."),
    Family("portcullis_ephemeral_values", "gauge", "Short-lived values held now, by kind."),
    Family("portcullis_feed_streams", "gauge", "Readers of the revocation feed connected now."),
    Family("portcullis_feed_streams_total", "counter", "Readers of the revocation feed, by what became of them."),
    Family(
        "portcullis_feed_frames_total",
        "counter",
        "Events of the revocation feed signed, heartbeats and pages of snapshots included.",
    ),
    Family("portcullis_feed_cuts_total", "counter", "Cut-offs sent in events of the revocation feed."),
    Family("portcullis_feed_epoch", "gauge", "Epoch of a realm's cut-offs, for the realms of `metrics.realms`."),
    Family(
        "portcullis_feed_sequence",
        "gauge",
        "Latest sequence of a realm's cut-offs, for the realms of `metrics.realms`.",
    ),
    Family(
        "portcullis_introspections_total",
        "counter",
        "Tokens introspected, by whether the document was made before.",
    ),
    Family(
        "portcullis_guard_feed_state",
        "gauge",
        "How a guard in this process follows its feed: 1 for starting, following, stale or full.",
    ),
    Family("portcullis_guard_feed_epoch", "gauge", "Epoch up to which that guard knows what ended."),
    Family("portcullis_guard_feed_sequence", "gauge", "Sequence up to which that guard knows what ended."),
    Family("portcullis_guard_feed_connections_total", "counter", "Connections that guard opened to its feed."),
    Family(
        "portcullis_guard_feed_frames_total",
        "counter",
        "Events that reached that guard, by whether they were taken.",
    ),
    Family(
        "portcullis_guard_refused_total",
        "counter",
        "Tokens that guard refused because they ended, or because the feed was stale.",
    ),
    Family("portcullis_guard_cutoffs", "gauge", "Cut-offs that guard holds."),
    Family("portcullis_sweeps_total", "counter", "Sweeps of expired rows, by how they ended."),
    Family("portcullis_connections_total", "counter", "Connections accepted on all listeners."),
    Family("portcullis_connections", "gauge", "Connections open now on all listeners."),
    Family("portcullis_misdirected_total", "counter", "Requests refused because they name a host that is not served."),
    Family(
        "portcullis_trace_spans_total",
        "counter",
        "Spans, by what became of them: sent to the collector, or dropped because it was away or too slow.",
    ),
    Family("portcullis_refusal_records_total", "counter", "Records of refusals, by what became of them."),
    Family("portcullis_refusal_records", "gauge", "Records of refusals held now."),
    Family("process_resident_memory_bytes", "gauge", "Memory of the process."),
    Family("process_cpu_seconds_total", "counter", "Processor time of the process, user and system."),
];

/// Counters of the binary itself.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections ended.
    pub ended: AtomicU64,
    /// Requests for hosts that are not served.
    pub misdirected: AtomicU64,
    /// Sweeps that went well.
    pub swept: AtomicU64,
    /// Sweeps that failed or left something alone.
    pub sweeps_alarmed: AtomicU64,
    /// Spans that a collector took.
    pub spans_sent: AtomicU64,
    /// Spans that found no room, or that a collector did not take.
    pub spans_dropped: AtomicU64,
}

/// The counters of this process: listeners and chores are of the process, not of one face.
pub fn counters() -> &'static Counters {
    static COUNTERS: std::sync::LazyLock<Counters> = std::sync::LazyLock::new(Counters::default);
    &COUNTERS
}

/// Adds one.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Adds some.
pub fn add(counter: &AtomicU64, some: usize) {
    counter.fetch_add(u64::try_from(some).unwrap_or_default(), Ordering::Relaxed);
}

/// What the page is made of.
pub struct Sources {
    /// Requests, refusals, logins, tokens.
    pub figures: Arc<Figures>,
    /// The password threads.
    pub idp: Idp,
    /// The store.
    pub db: Db,
    /// Short-lived values.
    pub ephemeral: Arc<MemoryEphemeral>,
    /// Records of refusals.
    pub refusals: Arc<Ring>,
    /// What the guard of an API in this process follows.
    pub followed: Arc<OnceLock<Arc<RevocationFeed>>>,
}

/// The routes of the metrics listener.
pub fn router(sources: Sources) -> Router {
    Router::new().route("/metrics", get(page)).with_state(Arc::new(sources))
}

async fn page(State(sources): State<Arc<Sources>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], sources.text().await).into_response()
}

/// One page under construction.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str) {
        if let Some(Family(name, kind, help)) = FAMILIES.iter().find(|f| f.0 == name) {
            let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        }
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        let mut open = '{';
        for (label, word) in labels.iter().filter(|(_, word)| !word.is_empty()) {
            // A realm's name is the one word that is not ours.
            let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _infallible = write!(self.0, "{open}{label}=\"{word}\"");
            open = ',';
        }
        let close = if open == ',' { "}" } else { "" };
        let _infallible = writeln!(self.0, "{close} {value}");
    }

    fn one(&mut self, name: &str, value: impl std::fmt::Display) {
        self.family(name);
        self.line(name, &[], value);
    }

    /// A family without a line where there is no value.
    fn some(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        self.family(name);
        if let Some(value) = value {
            self.line(name, &[], value);
        }
    }

    /// A family with a line per word of a closed list.
    fn many(&mut self, name: &str, label: &str, values: &[(&str, u64)]) {
        self.family(name);
        for (word, value) in values {
            self.line(name, &[(label, word)], value);
        }
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Sources {
    /// The page.
    #[must_use]
    pub async fn text(&self) -> String {
        let cursors = self.cursors().await;
        let mut page = Page(String::with_capacity(16 * 1024));
        requests(&mut page, &self.figures);
        self.rooms(&mut page);
        self.sent(&mut page, &cursors);
        self.followed(&mut page);
        self.machine(&mut page);
        page.0
    }

    fn rooms(&self, page: &mut Page) {
        let pool = self.idp.password_figures();
        page.one("portcullis_password_hashes_total", pool.hash_calls);
        page.one("portcullis_password_busy_total", pool.busy);
        page.one("portcullis_password_waiting", pool.waiting);
        let store = self.db.stats();
        page.one("portcullis_store_commits_total", store.commits);
        page.one("portcullis_store_plans_total", store.plans);
        page.one("portcullis_store_plans_refused_total", store.refused);
        page.one("portcullis_store_plans_dropped_total", store.dropped);
        page.one("portcullis_store_rows_total", store.rows);
        page.family("portcullis_store_waiting");
        for (lane, depth) in ["gate", "login", "admin", "sweep"].into_iter().zip(store.depths) {
            page.line("portcullis_store_waiting", &[("lane", lane)], depth);
        }
        page.family("portcullis_ephemeral_values");
        for (word, kind) in KINDS {
            page.line("portcullis_ephemeral_values", &[("kind", word)], self.ephemeral.len(kind));
        }
    }

    fn machine(&self, page: &mut Page) {
        let own = counters();
        let swept = [("done", read(&own.swept)), ("alarmed", read(&own.sweeps_alarmed))];
        page.many("portcullis_sweeps_total", "outcome", &swept);
        let (accepted, ended) = (read(&own.accepted), read(&own.ended));
        page.one("portcullis_connections_total", accepted);
        page.one("portcullis_connections", accepted.saturating_sub(ended));
        page.one("portcullis_misdirected_total", read(&own.misdirected));
        let spans = [("sent", read(&own.spans_sent)), ("dropped", read(&own.spans_dropped))];
        page.many("portcullis_trace_spans_total", "outcome", &spans);
        let ring = self.refusals.figures();
        let became = [("kept", ring.kept), ("dropped", ring.dropped)];
        page.many("portcullis_refusal_records_total", "outcome", &became);
        page.one("portcullis_refusal_records", ring.held);
        page.one("process_resident_memory_bytes", process::resident_bytes().unwrap_or_default());
        page.one("process_cpu_seconds_total", process::cpu_seconds().unwrap_or_default());
    }
}

const KINDS: [(&str, Kind); 7] = [
    ("login_flow", Kind::LoginFlow),
    ("code", Kind::Code),
    ("login_slot", Kind::LoginSlot),
    ("replay", Kind::Replay),
    ("rate", Kind::Rate),
    ("lease", Kind::Lease),
    ("restart", Kind::Restart),
];

fn requests(page: &mut Page, figures: &Figures) {
    let blocks: Vec<(&str, &Block)> =
        figures.blocks().map(|(realm, block)| (realm.unwrap_or_default(), block)).collect();
    let name = "portcullis_requests_total";
    page.family(name);
    for (realm, block) in &blocks {
        for endpoint in Endpoint::ALL {
            for (m, method) in METHOD_WORDS.iter().enumerate() {
                for (s, status) in STATUS_WORDS.iter().enumerate() {
                    let value = block.requests(endpoint, m, s);
                    let labels =
                        [("realm", *realm), ("endpoint", endpoint.name()), ("method", method), ("status", status)];
                    if value > 0 {
                        page.line(name, &labels, value);
                    }
                }
            }
        }
    }
    page.family("portcullis_request_duration_seconds");
    for (realm, block) in &blocks {
        Endpoint::ALL.into_iter().for_each(|endpoint| durations(page, realm, block, endpoint));
    }
    let name = "portcullis_refusals_total";
    page.family(name);
    for (realm, block) in &blocks {
        for (endpoint, class) in Endpoint::ALL.into_iter().flat_map(|e| Class::ALL.map(|c| (e, c))) {
            let value = block.refusals(endpoint, class);
            if value > 0 {
                let labels = [("realm", *realm), ("endpoint", endpoint.name()), ("class", class.name())];
                page.line(name, &labels, value);
            }
        }
    }
    let name = "portcullis_password_checks_total";
    page.family(name);
    for (realm, block) in &blocks {
        for login in Login::ALL {
            page.line(name, &[("realm", *realm), ("outcome", login.name())], block.logins(login));
        }
    }
    let name = "portcullis_guessing_alarms_total";
    page.family(name);
    for (realm, block) in &blocks {
        for alarm in Alarm::ALL {
            page.line(name, &[("realm", *realm), ("kind", alarm.name())], block.alarms(alarm));
        }
    }
    let name = "portcullis_logins_total";
    page.family(name);
    for (realm, block) in &blocks {
        for entry in Entry::ALL {
            page.line(name, &[("realm", *realm), ("flow", entry.name())], block.entries(entry));
        }
    }
    tokens(page, &blocks);
}

fn durations(page: &mut Page, realm: &str, block: &Block, endpoint: Endpoint) {
    let total: u64 = (0..=BOUNDS.len()).map(|bucket| block.took(endpoint, bucket)).sum();
    if total == 0 {
        return;
    }
    let mut below = 0;
    for (bucket, bound) in BOUNDS.iter().enumerate() {
        below += block.took(endpoint, bucket);
        let bound = seconds(*bound).to_string();
        let labels = [("realm", realm), ("endpoint", endpoint.name()), ("le", bound.as_str())];
        page.line("portcullis_request_duration_seconds_bucket", &labels, below);
    }
    let labels = [("realm", realm), ("endpoint", endpoint.name()), ("le", "+Inf")];
    page.line("portcullis_request_duration_seconds_bucket", &labels, total);
    let labels = [("realm", realm), ("endpoint", endpoint.name())];
    page.line("portcullis_request_duration_seconds_sum", &labels, seconds(block.micros(endpoint)));
    page.line("portcullis_request_duration_seconds_count", &labels, total);
}

fn tokens(page: &mut Page, blocks: &[(&str, &Block)]) {
    let name = "portcullis_tokens_issued_total";
    page.family(name);
    for (realm, block) in blocks {
        for grant in GrantType::ALL.into_iter().chain([GrantType::Implicit]) {
            for (at, algorithm) in Algorithm::ALL.into_iter().enumerate() {
                let value = block.tokens(grant, at);
                if value > 0 {
                    let labels = [("realm", *realm), ("grant", grant.name()), ("algorithm", algorithm.as_str())];
                    page.line(name, &labels, value);
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 microseconds nobody asks for the last one")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// The reference page.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Metrics\n\nMade from the code by `cargo xtask docs`. The listener of `[metrics]` answers `/metrics` in the Prometheus text format. Labels are words of closed lists; the label\n`realm` is there for the realms that `metrics.realms` names.\n\n| metric | kind | what |\n|---|---|---|\n",
    );
    for Family(name, kind, help) in FAMILIES {
        let _infallible = writeln!(text, "| `{name}` | {kind} | {help} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lg_06_a_realms_name_cannot_leave_its_label() {
        let mut page = Page(String::new());
        page.line("m", &[("realm", "a\"} 1\nb\\"), ("x", "")], 7);
        assert_eq!(page.0, "m{realm=\"a\\\"} 1\\nb\\\\\"} 7\n");
        page.0.clear();
        page.one("portcullis_connections", 3);
        assert!(page.0.ends_with("# TYPE portcullis_connections gauge\nportcullis_connections 3\n"), "{}", page.0);
    }
}
