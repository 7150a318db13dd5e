//! Proof Key for Code Exchange at the token endpoint (RFC 7636 §4.5, §4.6).

use portcullis_jose::digest;

use crate::flow::{ChallengeMethod, CodeChallenge};
use crate::oauth::error::Reason;

/// The verifier fitted the challenge, or neither was used where that is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckedPkce(());

/// RFC 7636 §4.1: 43 to 128 letters of `[A-Za-z0-9-._~]`. The same form holds for challenges.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

/// Checks a verifier against the challenge of the authorization request. `required`: a code without a challenge is refused.
///
/// # Errors
/// A verifier that is missing, malformed, does not fit, or has no challenge (PC-06, PC-07, PC-09, PC-11).
pub fn check(challenge: Option<&CodeChallenge>, verifier: Option<&str>, required: bool) -> Result<CheckedPkce, Reason> {
    match (challenge, verifier) {
        (None, Some(_)) => Err(Reason::PkceVerifierUnexpected),
        (Some(_), None) => Err(Reason::PkceVerifierMissing),
        (None, None) if required => Err(Reason::PkceVerifierMissing),
        (None, None) => Ok(CheckedPkce(())),
        (Some(_), Some(verifier)) if !is_well_formed(verifier) => Err(Reason::PkceVerifierMalformed),
        (Some(challenge), Some(verifier)) => {
            let made = match challenge.method {
                ChallengeMethod::Plain => verifier.to_owned(),
                ChallengeMethod::S256 => digest::base64url_encode(&digest::sha256(verifier.as_bytes())),
            };
            if digest::constant_time_eq(made.as_bytes(), challenge.challenge.as_bytes()) {
                Ok(CheckedPkce(()))
            } else {
                Err(Reason::PkceMismatch)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636 Appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn challenge(method: ChallengeMethod, text: &str) -> CodeChallenge {
        CodeChallenge { challenge: text.to_owned(), method }
    }

    #[test]
    fn pc_06_07_09_11_verifiers() {
        let s256 = challenge(ChallengeMethod::S256, CHALLENGE);
        let plain = challenge(ChallengeMethod::Plain, VERIFIER);
        let long = "y".repeat(129);
        let just = "y".repeat(128);
        let bad = format!("{VERIFIER}!");
        for (given, verifier, required, expected) in [
            (Some(&s256), Some(VERIFIER), true, Ok(())),
            (Some(&plain), Some(VERIFIER), true, Ok(())),
            (None, None, false, Ok(())),
            (None, None, true, Err(Reason::PkceVerifierMissing)),
            (Some(&s256), None, false, Err(Reason::PkceVerifierMissing)),
            (None, Some(VERIFIER), false, Err(Reason::PkceVerifierUnexpected)),
            (None, Some(VERIFIER), true, Err(Reason::PkceVerifierUnexpected)),
            (Some(&s256), Some(CHALLENGE), false, Err(Reason::PkceMismatch)),
            (Some(&plain), Some(CHALLENGE), false, Err(Reason::PkceMismatch)),
            (Some(&s256), Some("short"), false, Err(Reason::PkceVerifierMalformed)),
            (Some(&s256), Some(long.as_str()), false, Err(Reason::PkceVerifierMalformed)),
            (Some(&s256), Some(bad.as_str()), false, Err(Reason::PkceVerifierMalformed)),
            (Some(&s256), Some(just.as_str()), false, Err(Reason::PkceMismatch)),
        ] {
            assert_eq!(check(given, verifier, required).map(|_| ()), expected, "{verifier:?}");
        }
    }
}
