//! Trace ids of refusals: 128 random bits, so that nobody can guess another caller's.

use std::fmt::Write as _;

/// A new id, 32 hexadecimal digits.
#[expect(clippy::disallowed_methods, reason = "the one source of trace ids; a guard in a foreign program has no other")]
pub(crate) fn new_id() -> String {
    let mut bytes = [0_u8; 16];
    // An id is for finding a log line, no secret: without randomness it is all zeros and the refusal still stands.
    let _filled = aws_lc_rs::rand::fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(32), |mut out, byte| {
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}
