//! Reads `.properties` files: the part of `java.util.Properties` that message bundles use, in UTF-8.

/// One entry with the line (from 1) where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) line: usize,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) line: usize,
    pub(crate) cause: String,
}

/// Splits a file into its entries, in order. Comments start with `#` or `!`; a backslash at the end joins lines.
pub(crate) fn parse(source: &str) -> Result<Vec<Entry>, BadLine> {
    let mut entries = Vec::new();
    let mut lines = source.trim_start_matches('\u{feff}').lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let line = number + 1;
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while continues(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start());
        }
        let (key, value) = split(&logical);
        let bad = |cause| BadLine { line, cause };
        let key = unescape(key).map_err(bad)?;
        if key.is_empty() {
            return Err(bad("the key is empty".to_owned()));
        }
        entries.push(Entry { key, value: unescape(value).map_err(bad)?, line });
    }
    Ok(entries)
}

fn continues(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// The key ends at the first unescaped `=`, `:` or blank; blanks around the separator do not count.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if matches!(c, '=' | ':' | ' ' | '\t') {
            let (key, rest) = line.split_at(at);
            let rest = rest.trim_start();
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (key, rest.trim_start());
        }
    }
    (line, "")
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut units = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            match chars.next() {
                Some('u') => {
                    units.push(code_unit(&mut chars)?);
                    continue;
                }
                Some(next) => {
                    flush(&mut units, &mut out)?;
                    out.push(match next {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'f' => '\u{c}',
                        other => other,
                    });
                }
                None => break,
            }
        } else {
            flush(&mut units, &mut out)?;
            out.push(c);
        }
    }
    flush(&mut units, &mut out)?;
    Ok(out)
}

fn code_unit(chars: &mut std::str::Chars<'_>) -> Result<u16, String> {
    let digits: String = chars.take(4).collect();
    if digits.len() != 4 {
        return Err("\\u needs four hex digits".to_owned());
    }
    u16::from_str_radix(&digits, 16).map_err(|_| format!("\\u{digits} is no code unit"))
}

/// UTF-16 units collect until something else comes, so that surrogate pairs join.
fn flush(units: &mut Vec<u16>, out: &mut String) -> Result<(), String> {
    if units.is_empty() {
        return Ok(());
    }
    let text = String::from_utf16(units).map_err(|_| "half of a surrogate pair".to_owned())?;
    out.push_str(&text);
    units.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_java_reads_them() {
        for (source, key, value) in [
            ("a=b", "a", "b"),
            ("  a = b ", "a", "b "),
            ("a:b", "a", "b"),
            ("a b", "a", "b"),
            ("a\\=b=c", "a=b", "c"),
            ("a=b\\\n   c", "a", "bc"),
            ("a=b\\\\", "a", "b\\"),
            ("a=\\u00e4\\n", "a", "ä\n"),
            ("a=\\ud83d\\ude00", "a", "\u{1f600}"),
            ("a", "a", ""),
            ("# x\n\n! y\na==", "a", "="),
            ("\u{feff}a=b", "a", "b"),
        ] {
            let entries = parse(source).unwrap();
            assert_eq!(entries.len(), 1, "{source}");
            assert_eq!((entries[0].key.as_str(), entries[0].value.as_str()), (key, value), "{source}");
        }
    }

    #[test]
    fn broken_lines_are_named() {
        for (source, line) in [("a=b\nc=\\u00g0", 2), ("\na=\\u12", 2), ("a=\\ud83d x", 1), ("=x", 1)] {
            assert_eq!(parse(source).unwrap_err().line, line, "{source}");
        }
    }
}
