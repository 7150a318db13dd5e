//! Proof Key for Code Exchange: challenges as asked (RFC 7636 §4.3, §4.4.1) and verifiers held against them (§4.5, §4.6).

use portcullis_jose::digest;

use crate::flow::{ChallengeMethod, CodeChallenge};
use crate::oauth::error::Reason;
use crate::oauth::params::Params;

/// The verifier fitted the challenge, or neither was used where that is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckedPkce(());

/// RFC 7636 §4.1: 43 to 128 letters of `[A-Za-z0-9-._~]`. The same form holds for challenges.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

/// The challenge of a request. `bound`: the method that the client must use; without one a request may come without a challenge.
///
/// # Errors
/// RFC 7636 §4.4.1: a missing, unknown or other method, a challenge that is missing or of wrong form (PC-08 to PC-11).
pub(crate) fn asked(params: &Params, bound: Option<&str>, strict: bool) -> Result<Option<CodeChallenge>, Reason> {
    // Keycloak 26.4: a challenge without a value is a bad one, not a missing one.
    let challenge = if strict { params.get("code_challenge") } else { params.raw("code_challenge") };
    let sent = (challenge, params.get("code_challenge_method"));
    // PC-10: present but empty must not turn PKCE off.
    let named = params.has("code_challenge") || params.has("code_challenge_method");
    let method = match (bound, sent.1) {
        (None, _) if !named => return Ok(None),
        (Some(_), None) => return Err(Reason::MissingCodeChallengeMethod),
        (Some(want), Some(got)) if want != got && (strict || ChallengeMethod::parse(got).is_some()) => {
            return Err(Reason::CodeChallengeMethodMismatch);
        }
        (None, Some(_)) if challenge.is_none() => return Err(Reason::MissingCodeChallenge),
        (_, Some(got)) => ChallengeMethod::parse(got).ok_or(Reason::InvalidCodeChallengeMethod)?,
        (None, None) => ChallengeMethod::Plain,
    };
    if strict && method == ChallengeMethod::Plain {
        return Err(Reason::InvalidCodeChallengeMethod);
    }
    let challenge = sent.0.ok_or(Reason::MissingCodeChallenge)?;
    if !is_challenge(challenge, method, strict) {
        return Err(Reason::InvalidCodeChallenge);
    }
    Ok(Some(CodeChallenge { challenge: challenge.to_owned(), method }))
}

/// RFC 7636 §4.2: 43 base64url characters for `S256`; for `plain` a verifier's form. Keycloak 26.4 takes a verifier's form for both.
fn is_challenge(challenge: &str, method: ChallengeMethod, strict: bool) -> bool {
    let exact = strict && method == ChallengeMethod::S256;
    is_well_formed(challenge) && !(exact && (challenge.len() != 43 || challenge.contains(['.', '~'])))
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

/// Whether [`check`] refused.
pub(crate) fn is_of_verifier(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::PkceVerifierMissing
            | Reason::PkceVerifierUnexpected
            | Reason::PkceVerifierMalformed
            | Reason::PkceMismatch
    )
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
    fn pc_06_pc_07_pc_09_pc_11_verifiers() {
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
