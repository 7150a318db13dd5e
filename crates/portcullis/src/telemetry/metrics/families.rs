//! Every metric by name: the heads of the page and the reference are made of this one table.

use std::fmt::Write as _;

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
