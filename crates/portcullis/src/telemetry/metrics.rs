//! `/metrics`: the Prometheus text format, made when it is asked for, from counters that others keep.
//!
//! **Owns** the counters of the process, the listener's route and the format; [`families`] says what each metric means, [`requests`]
//! and [`feeds`] write theirs. **Does not own** any other counter.
//! Every label is a word of a closed list; a realm is one only where the configuration names it (LG-06).

mod families;
mod feeds;
mod requests;

pub use families::{FAMILIES, Family, reference};

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use portcullis_guard::RevocationFeed;
use portcullis_idp::Idp;
use portcullis_idp::watch::Figures;
use portcullis_store::{Db, Kind, MemoryEphemeral};

use super::{Ring, process};

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
        requests::write(&mut page, &self.figures);
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
