//! The request's `Cookie` header (RFC 6265 §4.2), read strictly.

/// The value of `name` in the lines of the `Cookie` header. Two of one name are none: whoever tossed a second one in must not choose
/// which counts (SE-10). Names match exactly, so a nameless or oddly prefixed cookie never passes for another (SE-11).
#[must_use]
pub fn find<'a>(lines: impl IntoIterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let mut found = None;
    for line in lines {
        for pair in line.split(';') {
            let Some((key, value)) = pair.trim_matches(' ').split_once('=') else { continue };
            if key != name {
                continue;
            }
            if found.is_some() {
                return None;
            }
            found = Some(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_10_se_11_only_one_cookie_of_exactly_that_name_counts() {
        for (lines, found) in [
            (vec!["a=1; sid=x; b=2"], Some("x")),
            (vec!["a=1", "sid=x=y"], Some("x=y")),
            (vec!["sid="], Some("")),
            (vec!["sid=x; sid=x"], None),
            (vec!["sid=x", "sid=y"], None),
            (vec!["=sid=x"], None),
            (vec!["Sid=x"], None),
            (vec!["$Version=1; \u{a0}sid=x"], None),
            (vec!["sid"], None),
            (vec![], None),
        ] {
            assert_eq!(find(lines.clone(), "sid"), found, "{lines:?}");
        }
    }
}
