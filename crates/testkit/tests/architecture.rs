//! The drawing of ARCHITECTURE.md held against the code: arrows, door signs, sizes, and nothing that only works on one machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Longest file, in lines of code without tests.
const LONGEST: usize = 400;

/// Package and what it may import of this workspace; one that is not named here may import everything.
const ARROWS: [(&str, &[&str]); 8] = [
    ("portcullis-jose", &[]),
    ("portcullis-core", &["portcullis-jose"]),
    ("portcullis-client", &["portcullis-jose"]),
    ("portcullis-guard", &["portcullis-jose", "portcullis-client"]),
    ("portcullis-store", &["portcullis-core"]),
    (
        "portcullis-idp",
        &["portcullis-core", "portcullis-store", "portcullis-guard", "portcullis-jose", "portcullis-client"],
    ),
    ("portcullis-gateway", &["portcullis-client", "portcullis-guard", "portcullis-store", "portcullis-core"]),
    ("portcullis-users", &["portcullis-client", "portcullis-guard", "portcullis-store", "portcullis-core"]),
];
const ANYTHING: [&str; 5] = ["portcullis", "portcullis-testkit", "portcullis-bench", "portcullis-fuzz", "xtask"];
/// Outside crate and the one room that may pull it.
const OWNED: [(&str, &str); 6] = [
    ("rusqlite", "portcullis-store"),
    ("tokio-postgres", "portcullis-store"),
    ("redis", "portcullis-store"),
    ("reqwest", "portcullis-client"),
    ("opentelemetry-proto", "portcullis"),
    ("prost", "portcullis"),
];
/// What law and arithmetic must not know.
const RUNTIME: [&str; 8] = ["tokio", "hyper", "hyper-util", "axum", "tower", "http", "reqwest", "rusqlite"];
const PURE: [&str; 2] = ["portcullis-core", "portcullis-jose"];

fn metadata() -> Result<Metadata> {
    Ok(MetadataCommand::new().no_deps().exec()?)
}

fn root() -> Result<PathBuf> {
    Ok(metadata()?.workspace_root.into())
}

fn imports(package: &Package) -> BTreeSet<String> {
    let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
    normal.map(|d| d.name.clone()).collect()
}

fn edges() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let metadata = metadata()?;
    let packages = metadata.workspace_packages();
    Ok(packages.into_iter().map(|p| (p.name.to_string(), imports(p))).collect())
}

/// Every arrow that is not in the tables.
fn forbidden(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut out = Vec::new();
    for (package, imports) in edges {
        let allowed = ARROWS.iter().find(|(name, _)| name == package).map(|(_, list)| *list);
        if allowed.is_none() && !ANYTHING.contains(&package.as_str()) {
            out.push(format!("{package} stands in no table"));
        }
        for import in imports {
            let arrow = format!("{package} -> {import}");
            let ours = edges.contains_key(import);
            if ours && allowed.is_some_and(|list| !list.contains(&import.as_str())) {
                out.push(arrow.clone());
            }
            if OWNED.iter().any(|(name, owner)| name == import && owner != package) {
                out.push(arrow.clone());
            }
            if PURE.contains(&package.as_str()) && RUNTIME.contains(&import.as_str()) {
                out.push(arrow);
            }
        }
    }
    out
}

#[test]
fn arrows_are_those_of_the_drawing() -> Result<()> {
    let edges = edges()?;
    assert!(edges.len() >= 9, "{edges:?}");
    assert_eq!(forbidden(&edges), [] as [&str; 0]);
    Ok(())
}

#[test]
fn a_wrong_arrow_would_be_seen() {
    for (package, import) in [
        ("portcullis-core", "portcullis-store"),
        ("portcullis-core", "tokio"),
        ("portcullis-store", "portcullis-jose"),
        ("portcullis-idp", "rusqlite"),
        ("portcullis-guard", "reqwest"),
        ("portcullis-idp", "opentelemetry-proto"),
        ("portcullis-new", "serde"),
    ] {
        let names = ["portcullis-core", "portcullis-store", "portcullis-jose"];
        let mut edges: BTreeMap<String, BTreeSet<String>> =
            names.iter().map(|n| ((*n).to_owned(), BTreeSet::new())).collect();
        assert!(forbidden(&edges).is_empty());
        edges.insert(package.to_owned(), [import.to_owned()].into());
        assert_eq!(forbidden(&edges).len(), 1, "{package} -> {import}");
    }
}

/// Files below `folder`, without what tools leave there.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    const SKIPPED: [&str; 8] =
        ["target", ".git", "node_modules", ".venv", "__pycache__", ".portcullis", "dist", "corpus"];
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The type of the link itself: a link out of the checkout is not followed.
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            out.extend(files(&entry.path())?);
        // In a linked work tree `.git` is a file.
        } else if kind.is_file() && name != ".git" {
            out.push(entry.path());
        }
    }
    Ok(out)
}

/// Rust sources that are shipped or run: not the tests.
fn sources() -> Result<Vec<PathBuf>> {
    let root = root()?;
    let mut out = files(&root.join("crates"))?;
    out.extend(files(&root.join("xtask"))?);
    let tests = |p: &Path| {
        p.components().any(|c| ["tests", "benches", "examples"].iter().any(|n| c.as_os_str() == *n))
            || p.file_name().is_some_and(|n| n == "tests.rs")
    };
    out.retain(|p| p.extension().is_some_and(|e| e == "rs"));
    out.retain(|p| !tests(p.strip_prefix(&root).unwrap_or(p)));
    Ok(out)
}

#[test]
fn every_room_has_a_door_sign() -> Result<()> {
    let mut without = Vec::new();
    for file in sources()? {
        let name = file.file_name().unwrap_or_default();
        let folder = file.with_extension("").is_dir();
        let door = folder || ["lib.rs", "main.rs", "mod.rs"].iter().any(|d| name == *d);
        if door && !fs::read_to_string(&file)?.starts_with("//!") {
            without.push(file);
        }
    }
    assert_eq!(without, [] as [PathBuf; 0]);
    Ok(())
}

/// Lines that are neither blank nor comment, up to the unit tests.
fn code_lines(text: &str) -> usize {
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = |l: &&str| !l.is_empty() && !l.starts_with("//");
    before_tests.lines().map(str::trim).filter(code).count()
}

#[test]
fn files_stay_short() -> Result<()> {
    let mut long = Vec::new();
    for file in sources()? {
        let text = fs::read_to_string(&file)?;
        let lines = code_lines(&text);
        let excused = text.lines().any(|l| l.trim_start().starts_with("// size: "));
        if lines > LONGEST && !excused {
            long.push((file, lines));
        }
    }
    assert_eq!(long, [] as [(PathBuf, usize); 0]);
    Ok(())
}

#[test]
fn code_lines_leave_out_comments_and_tests() {
    let text = "//! sign\n\nfn a() {}\n    // why\nfn b() {\n}\n#[cfg(test)]\nmod tests {\n fn c() {}\n}\n";
    assert_eq!(code_lines(text), 3);
}

/// Places that exist on one machine only.
fn private_places() -> [String; 2] {
    [["..", "shared"].join("/"), format!("/{}/", "work")]
}

#[test]
fn nothing_points_outside_the_checkout() -> Result<()> {
    let root = root()?;
    let all = files(&root)?;
    assert!(all.len() > 100, "{} files", all.len());
    let mut found = Vec::new();
    for file in all {
        let text = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
        if private_places().iter().any(|place| text.contains(place)) {
            found.push(file);
        }
    }
    assert_eq!(found, [] as [PathBuf; 0]);
    Ok(())
}

/// Pattern engines that look back: one hostile pattern or text costs them exponential time.
const BACKTRACKING: [&str; 6] = ["fancy-regex", "pcre2", "onig", "regress", "glob-match", "wildmatch"];

#[test]
fn ds_15_no_pattern_engine_reads_configuration() -> Result<()> {
    // None is anywhere in the tree; the linear one that the log filter brings is used by no room.
    let lock = fs::read_to_string(root()?.join("Cargo.lock"))?;
    let names: BTreeSet<&str> =
        lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert!(names.contains("portcullis-idp"));
    for engine in BACKTRACKING {
        assert!(!names.contains(engine), "{engine}");
    }
    for package in metadata()?.workspace_packages() {
        let own = imports(package);
        assert!(!own.iter().any(|name| name.starts_with("regex") || name == "globset"), "{}", package.name);
    }
    Ok(())
}
