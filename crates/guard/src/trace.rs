//! Trace ids of refusals: 128 random bits, so that nobody can guess another caller's.

use std::fmt::Write as _;

/// The number of one request, where a layer outside the guard gave it one: put it into the request's extensions, and a refusal of
/// that request takes it instead of a new one. So answer, log and the program's own traces say the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace(String);

impl Trace {
    /// 32 lower-case hexadecimal digits, anything else is none. It must be made by this program, never taken from a caller.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 32 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }
}

/// The request's id, or a new one.
pub(crate) fn id(given: Option<&Trace>) -> String {
    given.map_or_else(new_id, |trace| trace.0.clone())
}

/// A new id, 32 hexadecimal digits.
#[expect(clippy::disallowed_methods, reason = "the one source of trace ids; a guard in a foreign program has no other")]
fn new_id() -> String {
    let mut bytes = [0_u8; 16];
    // An id is for finding a log line, no secret: without randomness it is all zeros and the refusal still stands.
    let _filled = aws_lc_rs::rand::fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(32), |mut out, byte| {
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_32_lower_case_digits() {
        let good = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(id(Trace::parse(good).as_ref()), good);
        for bad in ["", &good[1..], &good.to_uppercase(), &good.replace('0', "g"), &"\u{e9}".repeat(16)] {
            assert_eq!(Trace::parse(bad), None, "{bad}");
        }
        let (one, other) = (id(None), id(None));
        assert!(Trace::parse(&one).is_some() && one != other);
    }
}
