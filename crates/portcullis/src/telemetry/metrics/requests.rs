//! What is counted for each realm: requests, refusals, logins, tokens.

use portcullis_core::oauth::token::GrantType;
use portcullis_core::refusal::Class;
use portcullis_idp::watch::{Alarm, BOUNDS, Block, Endpoint, Entry, Figures, Login, METHOD_WORDS, STATUS_WORDS};
use portcullis_jose::Algorithm;

use super::Page;

/// Everything that is counted for each realm.
pub(super) fn write(page: &mut Page, figures: &Figures) {
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
    words(page, &blocks, ("portcullis_password_checks_total", "outcome"), |block| {
        Login::ALL.map(|login| (login.name(), block.logins(login)))
    });
    words(page, &blocks, ("portcullis_guessing_alarms_total", "kind"), |block| {
        Alarm::ALL.map(|alarm| (alarm.name(), block.alarms(alarm)))
    });
    words(page, &blocks, ("portcullis_logins_total", "flow"), |block| {
        Entry::ALL.map(|entry| (entry.name(), block.entries(entry)))
    });
    tokens(page, &blocks);
}

/// A family with a line for each realm and word, those that are 0 too.
fn words<const N: usize>(
    page: &mut Page,
    blocks: &[(&str, &Block)],
    (name, label): (&str, &str),
    values: impl Fn(&Block) -> [(&'static str, u64); N],
) {
    page.family(name);
    for (realm, block) in blocks {
        for (word, value) in values(block) {
            page.line(name, &[("realm", *realm), (label, word)], value);
        }
    }
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
