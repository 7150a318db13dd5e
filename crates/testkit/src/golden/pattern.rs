//! The few patterns that captures are written in: characters, `.`, classes (`[?&]`, `[^/]`, `[A-Z]`), `+`, `*`, one group
//! and the anchors `^` and `$`. Leftmost match, greedy.

#[derive(Debug)]
enum Part {
    One(Class, Times),
    Open,
    Close,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Once,
    Some,
    Any,
}

#[derive(Debug)]
enum Class {
    Any,
    Only(char),
    Set(Vec<(char, char)>, bool),
}

impl Class {
    fn holds(&self, c: char) -> bool {
        match self {
            Self::Any => c != '\n',
            Self::Only(only) => c == *only,
            Self::Set(ranges, inside) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) == *inside,
        }
    }
}

/// What the group of the pattern holds at its first match.
pub(crate) fn group(pattern: &str, text: &str) -> Option<String> {
    let (open, close) = find(pattern, text)?;
    text.chars().skip(open?).take(close?.checked_sub(open?)?).collect::<String>().into()
}

/// Whether the pattern matches anywhere.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    find(pattern, text).is_some()
}

type Span = (Option<usize>, Option<usize>);

fn find(pattern: &str, text: &str) -> Option<Span> {
    let (anchored, rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let parts = parse(rest);
    let chars: Vec<char> = text.chars().collect();
    let last = if anchored { 0 } else { chars.len() };
    (0..=last).find_map(|start| fit(&parts, &chars, start, (None, None)))
}

fn parse(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let class = match c {
            '(' => {
                parts.push(Part::Open);
                continue;
            }
            ')' => {
                parts.push(Part::Close);
                continue;
            }
            '$' => {
                parts.push(Part::End);
                continue;
            }
            '.' => Class::Any,
            '[' => {
                let members: String = chars.by_ref().take_while(|c| *c != ']').collect();
                set(&members)
            }
            '\\' => Class::Only(chars.next().unwrap_or('\\')),
            other => Class::Only(other),
        };
        let times = match chars.peek() {
            Some('+') => Times::Some,
            Some('*') => Times::Any,
            Some(_) | None => Times::Once,
        };
        if times != Times::Once {
            chars.next();
        }
        parts.push(Part::One(class, times));
    }
    parts
}

fn set(members: &str) -> Class {
    let (inside, members) = match members.strip_prefix('^') {
        Some(rest) => (false, rest),
        None => (true, members),
    };
    let mut ranges = Vec::new();
    let mut chars = members.chars().peekable();
    while let Some(low) = chars.next() {
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) => {
                ranges.push((low, high));
                chars = ahead;
            }
            _ => ranges.push((low, low)),
        }
    }
    Class::Set(ranges, inside)
}

fn fit(parts: &[Part], text: &[char], at: usize, span: Span) -> Option<Span> {
    let Some((part, rest)) = parts.split_first() else {
        return Some(span);
    };
    match part {
        Part::Open => fit(rest, text, at, (Some(at), span.1)),
        Part::Close => fit(rest, text, at, (span.0, Some(at))),
        Part::End => (at == text.len()).then(|| fit(rest, text, at, span))?,
        Part::One(class, times) => {
            let run = text.iter().skip(at).take_while(|c| class.holds(**c)).count();
            let (least, most) = match times {
                Times::Once => (1, run.min(1)),
                Times::Some => (1, run),
                Times::Any => (0, run),
            };
            (least..=most).rev().find_map(|n| fit(rest, text, at + n, span))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        for (pattern, text, want) in [
            ("[?&]code=([^&]+)", "http://h?a=1&code=xy&z=2", Some("xy")),
            ("[?&]code=([^&]+)", "http://h?xcode=xy", None),
            ("/([^/]+)$", "http://h/a/b/last", Some("last")),
            ("(.*)", "whole", Some("whole")),
            ("^b", "ab", None),
            ("([A-Z0-9-]+)!", "ab CD-9!", Some("CD-9")),
            (r"a\.(b)", "a.b", Some("b")),
            (r"a\.(b)", "axb", None),
        ] {
            assert_eq!(group(pattern, text).as_deref(), want, "{pattern} on {text}");
        }
    }
}
