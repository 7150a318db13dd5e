//! Golden replay: the recorded answers of a real Keycloak 26.4.2 held against another server, field by field.
//!
//! **Owns** the golden set's formats (`crates/testkit/golden`): scenarios, templates, helpers, captures, masks of
//! volatile values, comparison, `pending.txt` (steps whose door is not built) and `differences.txt` (steps that differ
//! on purpose, with the reason's id on `docs/reference/differences.md`).
//!
//! **Does not own** the server: it needs one base address of an empty server with the administrator `admin`/`admin`.
//!
//! **Flow** [`run`]: load -> import realms -> for each step compute, send, capture, mask, compare -> [`Report`].

mod answer;
mod capture;
mod compare;
mod context;
mod data;
mod keys;
mod listener;
mod mask;
mod page;
mod pattern;
mod replay;
mod report;
mod shapes;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;

pub use capture::Jar;
pub use compare::Difference;
pub use data::{VERSION, differences_page, folder, realm};
pub(crate) use keys::sha256_b64u as s256;
pub use page::{Form, Input, Page, unescape};
pub(crate) use replay::origin_form;
pub use report::{Report, Standing, StepReport, Totals, Verdict, update_pending};

use crate::pace::{Pace, WallPace};

/// Replays the scenarios under `filter` (`None`: all; `token`; `login/consent`) against a server in real time.
///
/// # Errors
/// When the golden set cannot be read. A server that fails is in the report.
pub async fn run(base: &str, filter: Option<&str>) -> Result<Report> {
    run_at(base, filter, Arc::new(WallPace), |_| {}).await
}

/// The same, in a time of the caller's and telling each scenario's name before it runs.
///
/// # Errors
/// When the golden set cannot be read.
pub async fn run_at(
    base: &str,
    filter: Option<&str>,
    pace: Arc<dyn Pace>,
    mut tell: impl FnMut(&str),
) -> Result<Report> {
    let expected = report::Expected::load()?;
    let mut report = Report { faults: expected.faults(&names()?, &page()?), ..Report::default() };
    let mut replayer = replay::Replayer::new(base, pace, expected.added_headers.clone())?;
    for scenario in data::scenarios(filter)? {
        tell(&scenario.name);
        let verdicts = replayer.run(&scenario).await;
        let steps: Vec<&str> = scenario.steps.iter().map(|s| s.name.as_str()).collect();
        report.add(&scenario.name, &steps, verdicts, &expected);
    }
    replayer.finish().await;
    Ok(report)
}

/// Every scenario and every step by name.
fn names() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for scenario in data::scenarios(None)? {
        for step in &scenario.steps {
            names.insert(format!("{}#{}", scenario.name, step.name));
        }
        names.insert(scenario.name);
    }
    Ok(names)
}

fn page() -> Result<String> {
    match std::fs::read_to_string(differences_page()) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_set_is_read() {
        let all = data::scenarios(None).unwrap();
        let names = names().unwrap();
        let steps: usize = all.iter().map(|s| s.steps.len()).sum();
        assert!(all.len() >= 76 && steps >= 3028, "{} {steps}", all.len());
        assert_eq!(names.len(), all.len() + steps, "names are unique");
        assert!(all.iter().rev().skip_while(|s| !s.shared()).all(data::Scenario::shared));
        assert_eq!(data::keys().unwrap().len(), 2);
        assert_eq!(realm("demo").unwrap()["realm"], "demo");
        assert!(data::scenarios(Some("nothing")).is_err());
        assert_eq!(data::scenarios(Some("login/consent")).unwrap().len(), 1);
    }

    #[test]
    fn a_recording_equals_itself() {
        for scenario in data::scenarios(None).unwrap() {
            for (step, want) in scenario.steps.iter().zip(&scenario.recorded) {
                assert_eq!(want["name"], step.name, "{}", scenario.name);
                let found = compare::step(want, want, &step.compare);
                assert!(found.is_empty(), "{}#{}", scenario.name, step.name);
            }
        }
    }
}
