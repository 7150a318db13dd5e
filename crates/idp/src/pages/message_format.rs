//! The part of Java's MessageFormat that message bundles use: `{0}`, `'quoted'` and `''`.

/// Why a pattern is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPattern {
    /// `{` without its `}`.
    #[error("a brace is never closed")]
    Unclosed,
    /// `{name}`: arguments are numbers.
    #[error("an argument in braces must be a number")]
    NotANumber,
}

enum Part {
    Letter(char),
    Argument(usize),
}

/// Fills `{n}` with `args[n]`; an argument that was not given stays as `{n}`, as in Java. A style after the number
/// (`{0,number}`) is ignored.
pub(crate) fn format(pattern: &str, args: &[String]) -> Result<String, BadPattern> {
    let mut out = String::with_capacity(pattern.len() + 16);
    walk(pattern, |part| match part {
        Part::Letter(letter) => out.push(letter),
        Part::Argument(index) => match args.get(index) {
            Some(arg) => out.push_str(arg),
            None => {
                out.push('{');
                out.push_str(&index.to_string());
                out.push('}');
            }
        },
    })?;
    Ok(out)
}

/// The arguments that a pattern asks for, sorted, each once.
pub(crate) fn arguments(pattern: &str) -> Result<Vec<usize>, BadPattern> {
    let mut found = Vec::new();
    walk(pattern, |part| {
        if let Part::Argument(index) = part {
            found.push(index);
        }
    })?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn walk(pattern: &str, mut visit: impl FnMut(Part)) -> Result<(), BadPattern> {
    let mut chars = pattern.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                visit(Part::Letter('\''));
            }
            '\'' => quoted = !quoted,
            '{' if !quoted => visit(Part::Argument(argument(&mut chars)?)),
            other => visit(Part::Letter(other)),
        }
    }
    Ok(())
}

fn argument(chars: &mut impl Iterator<Item = char>) -> Result<usize, BadPattern> {
    let mut depth = 1_usize;
    let mut inner = String::new();
    for c in chars {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let index = inner.split(',').next().unwrap_or_default().trim();
            return index.parse().map_err(|_| BadPattern::NotANumber);
        }
        inner.push(c);
    }
    Err(BadPattern::Unclosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled_as_java_fills_them() {
        let args = ["one".to_owned(), "two {1} 'x'".to_owned()];
        for (pattern, expected) in [
            ("plain", "plain"),
            ("Passwords don''t match.", "Passwords don't match."),
            ("{0} and {1}", "one and two {1} 'x'"),
            ("'{0}'", "{0}"),
            ("''{0}''", "'one'"),
            ("it's {0}", "its {0}"),
            ("'a''b' {0}", "a'b one"),
            ("{7}", "{7}"),
            ("{0,number}", "one"),
            ("{ 0 }", "one"),
            ("a } b", "a } b"),
            ("", ""),
        ] {
            assert_eq!(format(pattern, &args).unwrap(), expected, "{pattern}");
        }
    }

    #[test]
    fn broken_patterns_are_refused() {
        for (pattern, cause) in [
            ("{0", BadPattern::Unclosed),
            ("{", BadPattern::Unclosed),
            ("{name}", BadPattern::NotANumber),
            ("{}", BadPattern::NotANumber),
            ("{-1}", BadPattern::NotANumber),
        ] {
            assert_eq!(format(pattern, &[]).unwrap_err(), cause, "{pattern}");
            assert_eq!(arguments(pattern).unwrap_err(), cause, "{pattern}");
        }
    }

    #[test]
    fn arguments_are_listed_once() {
        assert_eq!(arguments("{1} {0} {1} '{5}'").unwrap(), [0, 1]);
    }
}
