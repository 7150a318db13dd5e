//! What a replay found, held against the two lists of expected failures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Result, bail};

use super::compare::Difference;
use super::data;

/// Fields printed for a differing step.
const SHOWN: usize = 12;
/// Characters printed of a value.
const WIDTH: usize = 300;

/// How one step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As recorded.
    Equal,
    /// These fields are not.
    Differs(Vec<Difference>),
    /// It could not be asked: an earlier step left no value, the server hung up, the import failed.
    NotRun(String),
}

/// What a step counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As recorded.
    Equal,
    /// Not as recorded, and nobody expected that: the run fails.
    Differ,
    /// Listed in `pending.txt`.
    Pending,
    /// Listed in `differences.txt`.
    Design,
    /// Listed in one of them though it is equal: the run fails, so that the lists only shrink.
    Stale,
}

/// One step of a replay.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// `area/scenario#step`.
    pub name: String,
    /// What was found.
    pub verdict: Verdict,
    /// What it counts as.
    pub standing: Standing,
}

/// A whole replay.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Steps by scenario, in the order they ran.
    pub scenarios: Vec<(String, Vec<StepReport>)>,
    /// Lines of the lists that name no step, and reasons that stand on no page.
    pub faults: Vec<String>,
}

/// The two lists: steps whose door is not built, and steps that differ on purpose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pending: BTreeSet<String>,
    by_design: BTreeMap<String, String>,
    /// Header lines sent beyond Keycloak's: (name, start of the value).
    pub(crate) added_headers: Vec<(String, String)>,
    reasons: BTreeSet<String>,
}

impl Expected {
    pub(crate) fn load() -> Result<Self> {
        Self::read(&data::list("pending.txt")?, &data::list("differences.txt")?)
    }

    fn read(pending: &[String], differences: &[String]) -> Result<Self> {
        let mut by_design = BTreeMap::new();
        let mut added_headers = Vec::new();
        let mut reasons = BTreeSet::new();
        for line in differences {
            let Some((step, reason)) = line.rsplit_once(" -> ") else {
                bail!("differences.txt: {line:?} is not `scenario#step -> reason`");
            };
            reasons.insert(reason.trim().to_owned());
            if let Some(header) = step.strip_prefix('+') {
                let Some((name, start)) = header.split_once(": ") else {
                    bail!("differences.txt: {line:?} is not `+header: start of value -> reason`");
                };
                added_headers.push((name.to_owned(), start.trim().to_owned()));
                continue;
            }
            by_design.insert(step.trim().to_owned(), reason.trim().to_owned());
        }
        Ok(Self { pending: pending.iter().cloned().collect(), by_design, added_headers, reasons })
    }

    fn standing(&self, scenario: &str, name: &str, verdict: &Verdict) -> Standing {
        let pending = self.pending.contains(name) || self.pending.contains(scenario);
        let design = self.by_design.contains_key(name);
        match verdict {
            Verdict::Equal if pending || design => Standing::Stale,
            Verdict::Equal => Standing::Equal,
            // A step that could not be asked has not shown its difference.
            Verdict::Differs(_) if design => Standing::Design,
            Verdict::Differs(_) | Verdict::NotRun(_) if pending => Standing::Pending,
            Verdict::Differs(_) | Verdict::NotRun(_) => Standing::Differ,
        }
    }

    /// Lines that name nothing in `known` (steps and scenarios), double listings, and reasons absent from `page`.
    pub(crate) fn faults(&self, known: &BTreeSet<String>, page: &str) -> Vec<String> {
        let mut out = Vec::new();
        for line in self.pending.iter().filter(|l| !known.contains(*l)) {
            out.push(format!("pending.txt: no step is called {line}"));
        }
        for step in self.by_design.keys() {
            if !known.contains(step) {
                out.push(format!("differences.txt: no step is called {step}"));
            }
            if self.pending.contains(step) {
                out.push(format!("{step} stands in both lists"));
            }
        }
        let unexplained = |r: &&String| !page.contains(&format!("`{r}`"));
        for reason in self.reasons.iter().filter(unexplained) {
            out.push(format!("differences.md does not explain `{reason}`"));
        }
        out
    }
}

/// Numbers of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// As recorded.
    pub equal: usize,
    /// Unexpected, listed though equal included.
    pub differ: usize,
    /// Listed as not built.
    pub pending: usize,
    /// Listed as different on purpose.
    pub design: usize,
}

impl Totals {
    /// All steps.
    #[must_use]
    pub fn all(self) -> usize {
        self.equal + self.differ + self.pending + self.design
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} steps equal, {} differ, {} pending, {} by design, of {}",
            self.equal,
            self.differ,
            self.pending,
            self.design,
            self.all()
        )
    }
}

impl Report {
    pub(crate) fn add(&mut self, scenario: &str, steps: &[&str], verdicts: Vec<Verdict>, expected: &Expected) {
        let judged = steps.iter().zip(verdicts).map(|(step, verdict)| {
            let name = format!("{scenario}#{step}");
            StepReport { standing: expected.standing(scenario, &name, &verdict), name, verdict }
        });
        self.scenarios.push((scenario.to_owned(), judged.collect()));
    }

    /// Counts of all steps.
    #[must_use]
    pub fn totals(&self) -> Totals {
        count(self.scenarios.iter().flat_map(|(_, steps)| steps))
    }

    /// Whether nothing unexpected was found.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.totals().differ == 0 && self.faults.is_empty() && !self.scenarios.is_empty()
    }

    /// Lines that `pending.txt` needs for the scenarios of this report: whole scenarios where no step is equal.
    fn pending_lines(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (scenario, steps) in &self.scenarios {
            let open: Vec<&StepReport> =
                steps.iter().filter(|s| s.verdict != Verdict::Equal && s.standing != Standing::Design).collect();
            if !open.is_empty() && open.len() == steps.len() {
                out.push(scenario.clone());
            } else {
                out.extend(open.into_iter().map(|s| s.name.clone()));
            }
        }
        out
    }
}

fn count<'a>(steps: impl Iterator<Item = &'a StepReport>) -> Totals {
    let mut totals = Totals::default();
    for step in steps {
        match step.standing {
            Standing::Equal => totals.equal += 1,
            Standing::Differ | Standing::Stale => totals.differ += 1,
            Standing::Pending => totals.pending += 1,
            Standing::Design => totals.design += 1,
        }
    }
    totals
}

/// Rewrites `pending.txt` from what was found; lines of scenarios that did not run stay.
///
/// # Errors
/// When the file cannot be written.
pub fn update_pending(report: &Report) -> Result<usize> {
    let ran = |line: &String| {
        let scenario = line.split('#').next().unwrap_or_default();
        report.scenarios.iter().any(|(name, _)| name == scenario)
    };
    let mut lines: Vec<String> = data::list("pending.txt")?.into_iter().filter(|l| !ran(l)).collect();
    lines.extend(report.pending_lines());
    lines.sort();
    lines.dedup();
    let head = "# Steps whose door is not built yet. A listed step that passes fails the run: the list only shrinks.\n";
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    std::fs::write(data::folder().join("pending.txt"), format!("{head}{text}"))?;
    Ok(lines.len())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (scenario, steps) in &self.scenarios {
            let totals = count(steps.iter());
            let word = match totals.differ {
                0 => "pass",
                _ => "FAIL",
            };
            writeln!(f, "{word} {scenario:<52} {}/{}", totals.equal, totals.all())?;
            for step in steps {
                write_step(f, step)?;
            }
        }
        for fault in &self.faults {
            writeln!(f, "FAIL {fault}")?;
        }
        write!(f, "{}", self.totals())
    }
}

fn write_step(f: &mut fmt::Formatter<'_>, step: &StepReport) -> fmt::Result {
    let name = step.name.split_once('#').map_or("", |(_, s)| s);
    match (step.standing, &step.verdict) {
        (Standing::Stale, _) => writeln!(f, "  step {name}: passes; take it off the list"),
        (Standing::Differ, Verdict::NotRun(why)) => writeln!(f, "  step {name}: not run: {why}"),
        (Standing::Differ, Verdict::Differs(fields)) => {
            writeln!(f, "  step {name}")?;
            for d in fields.iter().take(SHOWN) {
                writeln!(f, "    {}", if d.path.is_empty() { "/" } else { &d.path })?;
                writeln!(f, "      want {}", short(&d.want))?;
                writeln!(f, "      got  {}", short(&d.got))?;
            }
            match fields.len().saturating_sub(SHOWN) {
                0 => Ok(()),
                more => writeln!(f, "    ... {more} more"),
            }
        }
        (Standing::Equal | Standing::Differ | Standing::Pending | Standing::Design, _) => Ok(()),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}...", text.split_at(at).0),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs() -> Verdict {
        Verdict::Differs(vec![Difference { path: "/status".into(), want: "200".into(), got: "404".into() }])
    }

    fn expected(pending: &[&str], differences: &[&str]) -> Expected {
        let own = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        Expected::read(&own(pending), &own(differences)).unwrap()
    }

    #[test]
    fn standings() {
        let lists = expected(&["a/x#late", "a/whole"], &["a/x#own -> stricter"]);
        for (scenario, step, verdict, want) in [
            ("a/x", "plain", Verdict::Equal, Standing::Equal),
            ("a/x", "plain", differs(), Standing::Differ),
            ("a/x", "plain", Verdict::NotRun("gone".into()), Standing::Differ),
            ("a/x", "late", differs(), Standing::Pending),
            ("a/x", "late", Verdict::NotRun("gone".into()), Standing::Pending),
            ("a/x", "late", Verdict::Equal, Standing::Stale),
            ("a/x", "own", differs(), Standing::Design),
            ("a/x", "own", Verdict::Equal, Standing::Stale),
            ("a/x", "own", Verdict::NotRun("gone".into()), Standing::Differ),
            ("a/whole", "any", differs(), Standing::Pending),
            ("a/whole", "any", Verdict::Equal, Standing::Stale),
        ] {
            let name = format!("{scenario}#{step}");
            assert_eq!(lists.standing(scenario, &name, &verdict), want, "{name} {verdict:?}");
        }
        for bad in ["a/x#own", "+vary -> why"] {
            assert!(Expected::read(&[], &[bad.to_owned()]).is_err(), "{bad}");
        }
        let added = expected(&[], &["+vary: Ori -> why"]);
        assert_eq!(added.added_headers, [("vary".to_owned(), "Ori".to_owned())]);
        assert_eq!(added.faults(&BTreeSet::new(), "").len(), 1);
    }

    #[test]
    fn list_faults() {
        let known: BTreeSet<String> = ["a/x", "a/x#one"].map(str::to_owned).into();
        let page = "| `stricter` | because |";
        assert!(expected(&["a/x"], &["a/x#one -> stricter"]).faults(&known, page).is_empty());
        assert_eq!(
            expected(&["a/y", "a/x#one"], &["a/x#one -> other", "a/x#two -> stricter"]).faults(&known, page).len(),
            4
        );
    }

    #[test]
    fn totals_and_pending_lines() {
        let mut report = Report::default();
        let lists = expected(&[], &[]);
        report.add("a/x", &["one", "two"], vec![Verdict::Equal, differs()], &lists);
        report.add("a/y", &["one", "two"], vec![differs(), Verdict::NotRun("gone".into())], &lists);
        assert_eq!(report.totals().to_string(), "1 steps equal, 3 differ, 0 pending, 0 by design, of 4");
        assert!(!report.is_green());
        assert_eq!(report.pending_lines(), ["a/x#two", "a/y"]);
        let text = report.to_string();
        for part in ["FAIL a/x", "step two", "want 200", "got  404", "not run: gone"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let mut listed = Report::default();
        let lists = expected(&["a/x#two"], &[]);
        listed.add("a/x", &["one", "two"], vec![Verdict::Equal, differs()], &lists);
        assert!(listed.is_green());
        let mut empty = Report::default();
        assert!(!empty.is_green());
        empty.faults.push("x".into());
        assert!(empty.to_string().contains("FAIL x"));
    }
}
