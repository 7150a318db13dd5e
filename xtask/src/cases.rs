//! `docs/reference/abuse-cases.md`: which test holds which abuse case, read from the names of the tests themselves.
//!
//! A case that no test names must stand in [`DOORS`] with the door that is not built.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

/// A group of cases: its letters, how many there are, what it is about.
struct Group(&'static str, usize, &'static str);

const GROUPS: [Group; 12] = [
    Group("P", 24, "What must pass, so that nobody is safe by refusing everything"),
    Group("AZ", 33, "Authorization and pushed requests, consent"),
    Group("RU", 20, "Addresses that a request brings along"),
    Group("PC", 22, "Codes, PKCE, device codes"),
    Group("TE", 36, "Token endpoint, introspection, revocation, client authentication"),
    Group("RT", 21, "Refresh tokens"),
    Group("JW", 32, "Tokens and keys as text"),
    Group("SE", 35, "Login pages, sessions, cookies"),
    Group("LO", 17, "Logout"),
    Group("EN", 19, "Passwords guessed, accounts found out"),
    Group("SS", 14, "Calls that strangers make the server do"),
    Group("DS", 28, "Too much of anything"),
];

/// Cases whose door is not there yet, and the door.
const DOORS: [(&str, &str); 29] = [
    ("P-07", DPOP),
    ("P-08", DPOP),
    ("P-15", "engines that several machines share"),
    ("P-18", GATEWAY),
    ("P-24", "the conformance suite's own run"),
    ("AZ-12", OBJECTS),
    ("AZ-13", OBJECTS),
    ("AZ-14", OBJECTS),
    ("PC-22", "codes handed out beforehand"),
    ("TE-20", "the grant jwt-bearer"),
    ("TE-29", REGISTRATION),
    ("TE-30", REGISTRATION),
    ("TE-31", "clients known by certificate"),
    ("RT-07", DPOP),
    ("JW-29", RELYING),
    ("SE-20", "uploads"),
    ("SE-25", BROKER),
    ("SE-26", BROKER),
    ("SE-27", BROKER),
    ("SE-29", GATEWAY),
    ("SE-30", GATEWAY),
    ("SE-31", GATEWAY),
    ("SE-35", "a limit of sessions at once"),
    ("EN-03", "registration and mail for lost passwords"),
    ("EN-04", "a page that asks for the name first"),
    ("EN-05", "passkeys"),
    ("SS-07", "buttons that test a connection"),
    ("SS-08", GATEWAY),
    ("DS-22", GATEWAY),
];

const DPOP: &str = "bound tokens (DPoP)";
const GATEWAY: &str = "the gateway";
const OBJECTS: &str = "signed request objects";
const REGISTRATION: &str = "dynamic client registration";
const RELYING: &str = "the relying party that reads ID tokens";
const BROKER: &str = "logins by other identity providers";

/// A test by its name, and its file.
type Named = (String, String);

/// Ids of cases in a test's name: `ru_08_ru_09_what_it_says`.
fn ids(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let pairs = words.windows(2).filter_map(|pair| match pair {
        [group, number] if number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit()) => {
            let group = group.to_ascii_uppercase();
            let number: usize = number.parse().ok()?;
            let known = GROUPS.iter().any(|g| g.0 == group && (1..=g.1).contains(&number));
            known.then(|| format!("{group}-{number:02}"))
        }
        _ => None,
    });
    pairs.collect()
}

/// Every test of the sources, by the cases it names.
fn tests(folder: &Path, root: &Path, found: &mut BTreeMap<String, BTreeSet<Named>>) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            tests(&path, root, found)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path)?;
            let file = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            for name in names(&text) {
                for id in ids(name) {
                    found.entry(id).or_default().insert((name.to_owned(), file.clone()));
                }
            }
        }
    }
    Ok(())
}

/// The names of functions that are tests, properties and cases of a contract included.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let functions = text.lines().filter_map(|line| line.trim_start().split_once("fn "));
    functions
        .filter(|(before, _)| before.split_whitespace().all(|word| ["pub", "pub(crate)", "async"].contains(&word)))
        .map(|(_, rest)| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            rest.get(..end).unwrap_or_default()
        })
}

/// Every case, in order.
fn cases() -> impl Iterator<Item = (&'static Group, String)> {
    GROUPS.iter().flat_map(|group| (1..=group.1).map(move |n| (group, format!("{}-{n:02}", group.0))))
}

/// The page.
///
/// # Errors
/// A case that neither a test nor [`DOORS`] names.
pub(crate) fn page(root: &Path) -> Result<String> {
    let mut found = BTreeMap::new();
    tests(&root.join("crates"), &root.join("crates"), &mut found)?;
    let mut text = String::from(
        "# Abuse cases\n\nMade from the names of the tests by `cargo xtask docs`. A case is an attack that must fail, or (group P) a use that must not; each test tries the\nattack, then its honest twin. A case without a test has no door here yet: the table says which.\n",
    );
    let mut last = "";
    let (mut held, mut open) = (0, 0);
    for (group, id) in cases() {
        if group.0 != last {
            last = group.0;
            let _infallible =
                write!(text, "\n## {last}: {}\n\n| case | tests, or the door that is missing |\n|---|---|\n", group.2);
        }
        let door = DOORS.iter().find(|(case, _)| *case == id).map(|(_, door)| *door);
        let row = match (found.get(&id), door) {
            // A row of DOORS that has its door by now says nothing any more.
            (Some(named), _) => {
                held += 1;
                let list: Vec<String> = named.iter().map(|(name, file)| format!("`{name}` ({file})")).collect();
                list.join("<br>")
            }
            (None, Some(door)) => {
                open += 1;
                format!("no door yet: {door}")
            }
            (None, None) => bail!("no test names {id}: write one, or say in xtask/src/cases.rs which door is missing"),
        };
        let _infallible = writeln!(text, "| {id} | {row} |");
    }
    let _infallible = write!(text, "\n{held} cases are held by tests, {open} wait for their door.\n");
    Ok(text)
}

/// Whether the page at hand says nothing that is not so. It may know less than the sources: a test that came after it.
///
/// # Errors
/// A named test that is gone, or a case that is told otherwise than it is.
pub(crate) fn is_true(root: &Path) -> Result<()> {
    let fresh = page(root)?;
    let kept =
        fs::read_to_string(root.join("docs/reference/abuse-cases.md")).context("docs/reference/abuse-cases.md")?;
    let rows = |text: &str| -> BTreeMap<String, BTreeSet<String>> {
        let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
        let cells = rows
            .filter(|(id, _)| id.contains('-'))
            .map(|(id, cell)| (id.to_owned(), cell.split("<br>").map(str::to_owned).collect()));
        cells.collect()
    };
    let (fresh, kept) = (rows(&fresh), rows(&kept));
    ensure!(fresh.keys().eq(kept.keys()), "docs/reference/abuse-cases.md has other cases; run `cargo xtask docs`");
    for (id, told) in kept {
        let now = fresh.get(&id).context("a case")?;
        ensure!(told.is_subset(now), "docs/reference/abuse-cases.md: {id} is told otherwise; run `cargo xtask docs`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_the_truth() -> Result<()> {
        is_true(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
    }

    #[test]
    fn names_are_read_for_their_cases() {
        for (name, want) in [
            ("ru_08_ru_09_both", &["RU-08", "RU-09"][..]),
            ("p_02_ru_11_a", &["P-02", "RU-11"]),
            ("jw_06_and_p_04_clocks", &["JW-06", "P-04"]),
            ("en_99_no_such_case", &[]),
            ("rfc_9068_2_2_at_jwt", &[]),
            ("of_200_parallel", &[]),
        ] {
            assert_eq!(ids(name), want, "{name}");
        }
        let text = "    async fn se_08_a() {}\npub(crate) async fn ds_28_b(db: Db) {\n// the fn ru_01_c in prose\nfn d<T>() {}";
        assert_eq!(names(text).collect::<Vec<_>>(), ["se_08_a", "ds_28_b", "d"]);
    }
}
