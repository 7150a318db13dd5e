//! Programs that no redirect reaches: their registered address is [`URN`], the browser is sent to a page of this server, and a
//! person copies the code from there (Keycloak 26.4's installed applications; keycloak realms only).
//!
//! **Owns** the address and what the page may show. **Does not own** the page (idp), who may register the address
//! ([`super::redirect_uri`]).
//!
//! Whoever writes a link writes what stands in it, so the page shows nothing but what an answer of this server can hold: the
//! characters of a code, and error codes from a list. `error_description` is never shown.

use super::params::Params;

/// The address that is registered and sent.
pub const URN: &str = "urn:ietf:wg:oauth:2.0:oob";

/// The page, behind the issuer.
pub const PATH: &str = "/protocol/openid-connect/oauth/oob";

/// Longest code that is shown; ours have 110 characters.
const CODE_MAX: usize = 255;

/// Error codes of authorization answers (RFC 6749 §4.1.2.1, OIDC Core §3.1.2.6, RFC 8707 §2, RFC 9470 §4).
const ERRORS: [&str; 18] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "registration_not_supported",
    "request_not_supported",
    "request_uri_not_supported",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unmet_authentication_requirements",
    "unsupported_response_type",
];

/// What the page shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown<'p> {
    /// A code to copy.
    Code(&'p str),
    /// Why there is none.
    Error(&'static str),
}

/// What a link to the page shows; `None` for text that is no answer of this server.
#[must_use]
pub fn shown(params: &Params) -> Option<Shown<'_>> {
    if params.count("code") > 1 || params.count("error") > 1 {
        return None;
    }
    match (params.get("code"), params.get("error")) {
        (Some(code), None) => is_code(code).then_some(Shown::Code(code)),
        (None, Some(error)) => ERRORS.iter().find(|known| **known == error).map(|known| Shown::Error(known)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn is_code(text: &str) -> bool {
    text.len() <= CODE_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_19_only_what_an_answer_can_hold_is_shown() {
        let long = "a".repeat(256);
        let ours = "2e6bcdaf-6d83-4f20-0a49-629536a14a89.72d1d2f0-9a4c-4a55-8d0b-2a1f2f0b8f11.app_1";
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<Shown<'a>>);
        let table: [Row<'_>; 14] = [
            (&[("code", "abc")], Some(Shown::Code("abc"))),
            (&[("state", "s"), ("code", ours), ("iss", "x y")], Some(Shown::Code(ours))),
            (&[("error", "access_denied")], Some(Shown::Error("access_denied"))),
            (
                &[("error", "login_required"), ("error_description", "Call 0800 1")],
                Some(Shown::Error("login_required")),
            ),
            (&[], None),
            (&[("code", "")], None),
            (&[("code", "call 0800 1")], None),
            (&[("code", "<b>x</b>")], None),
            (&[("code", "\u{430}bc")], None),
            (&[("code", &long)], None),
            (&[("code", "a"), ("code", "b")], None),
            (&[("code", "a"), ("error", "access_denied")], None),
            (&[("error", "call_0800_1")], None),
            (&[("error_description", "Call 0800 1")], None),
        ];
        for (pairs, expected) in table {
            let params = Params::from_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
            assert_eq!(shown(&params), expected, "{pairs:.40?}");
        }
    }
}
