//! Links of the texts: each leads to a file that is there, and to a heading of it; the guide's summary names every page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Folders with texts, each to its depth.
const PLACES: [(&str, usize); 5] = [("", 0), ("docs", 3), ("examples", 1), ("crates", 1), ("sdk", 0)];
const SUMMARY: &str = "docs/guide/src/SUMMARY.md";

/// Fails with every link that leads nowhere.
pub(crate) fn are_true(root: &Path) -> Result<()> {
    let mut texts = Vec::new();
    for (place, depth) in PLACES {
        collect(&root.join(place), depth, &mut texts)?;
    }
    let mut wrong = Vec::new();
    let summary = fs::read_to_string(root.join(SUMMARY))?;
    for text in &texts {
        let shown = text.strip_prefix(root).unwrap_or(text).display().to_string();
        let source = fs::read_to_string(text)?;
        for link in links(&source) {
            wrong.extend(cause(text, &source, &link).map(|cause| format!("{shown}: ({link}) {cause}")));
        }
        let page = shown.strip_prefix("docs/guide/src/").filter(|page| *page != "SUMMARY.md");
        wrong.extend(page.filter(|p| !summary.contains(&format!("({p})"))).map(|p| format!("{SUMMARY}: no {p}")));
    }
    if !wrong.is_empty() {
        bail!("links that lead nowhere:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

fn collect(folder: &Path, depth: usize, into: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() && depth > 0 && !path.ends_with("node_modules") {
            collect(&path, depth - 1, into)?;
        } else if path.extension().is_some_and(|e| e == "md") {
            into.push(path);
        }
    }
    Ok(())
}

/// Lines outside fences, code spans blanked.
fn prose(source: &str) -> impl Iterator<Item = String> {
    let mut fenced = false;
    source.lines().filter_map(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then(|| line.split('`').step_by(2).collect::<Vec<_>>().join("`"))
    })
}

fn links(source: &str) -> Vec<String> {
    let of_line = |line: String| -> Vec<String> {
        line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
    };
    prose(source).flat_map(of_line).filter(|l| !l.contains("://") && !l.starts_with("mailto:")).collect()
}

/// Why a link leads nowhere.
fn cause(from: &Path, source: &str, link: &str) -> Option<&'static str> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let to = from.parent()?.join(path);
    if !path.is_empty() && !to.exists() {
        return Some("is not there");
    }
    let anchor = anchor?;
    let there = if path.is_empty() { source.to_owned() } else { fs::read_to_string(to).unwrap_or_default() };
    (!headings(&there).iter().any(|heading| heading == anchor)).then_some("has no such heading")
}

/// The anchors that GitHub and mdBook make of headings.
fn headings(source: &str) -> Vec<String> {
    let mut fenced = false;
    let lines = source.lines().filter(|line| {
        fenced ^= line.trim_start().starts_with("```");
        !fenced && line.starts_with('#')
    });
    let slug = |line: &str| -> String {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    lines.map(slug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# One page's `title`\n[a](b.md#x) `[no](code.md)` [c](https://d)\n```\n[no](fence.md)\n# no\n```\n";

    #[test]
    fn links_and_headings_are_found_in_prose_only() {
        assert_eq!(links(TEXT), ["b.md#x"]);
        assert_eq!(headings(TEXT), ["one-pages-title"]);
        for (link, expected) in [
            ("links.rs", None),
            ("nowhere.md", Some("is not there")),
            ("#one-pages-title", None),
            ("#two", Some("has no such heading")),
        ] {
            assert_eq!(
                cause(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/x.md")), TEXT, link),
                expected,
                "{link}"
            );
        }
    }

    #[test]
    fn every_link_of_this_repository_leads_somewhere() {
        are_true(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))).unwrap();
    }
}
