//! What an operator is told about one refusal, and the number that leads there.
//!
//! **Owns** [`TraceId`], the [`Record`] behind it, what may stand in a record ([`Shown`]) and how a check is explained
//! ([`Explained`]). **Does not own** where records are kept (the binary), the public answer ([`crate::oauth::error`]).
//! **Flow** a reason is [`Explained`] -> the idp adds realm, client and endpoint -> [`RefusalSink`].

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::entropy::Entropy;

/// The number of one refusal: 128 random bits of ours, so that nobody can guess another caller's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// A new one.
    #[must_use]
    pub fn mint(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().fold(String::with_capacity(32), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    /// Whether a text is written as one: exactly 32 hexadecimal digits.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
    }
}

/// A `traceparent` (W3C Trace Context §3.2) as it came: linked, never trusted. `None` for anything that is none.
#[must_use]
pub fn traceparent(text: &str) -> Option<&str> {
    let digits = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let nothing = |part: &str| part.bytes().all(|b| b == b'0');
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = digits(version, 2) && digits(trace, 32) && digits(parent, 16) && digits(flags, 2);
    let known = version == "00" && parts.next().is_none();
    (whole && known && !nothing(trace) && !nothing(parent)).then_some(text)
}

/// Characters of a stranger's text that a record keeps.
const SHOWN: usize = 120;

/// A text that may stand in a record: no line breaks, no control or direction characters, at most 120 characters. It is made
/// of things that are not secret only: identifiers, scopes, addresses without query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown(String);

impl Shown {
    /// A public identifier: `client_id`, a scope, a parameter's name.
    #[must_use]
    pub fn identifier(text: &str) -> Self {
        let plain = |c: char| if c.is_control() || is_hidden(c) { '?' } else { c };
        let mut shown: String = text.chars().take(SHOWN).map(plain).collect();
        if text.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        Self(shown)
    }

    /// An address: user information, query and fragment stay out (LG-03).
    #[must_use]
    pub fn address(uri: &str) -> Self {
        let bare = uri.split(['?', '#']).next().unwrap_or_default();
        match bare.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
                let host = authority.rsplit('@').next().unwrap_or_default();
                Self::identifier(&format!("{scheme}://{host}{path}"))
            }
            None => Self::identifier(bare),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Line and paragraph separators, direction marks, what takes no room: a log line must read as it was written (LG-01).
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What kind of fault a refusal is: a closed list, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// The request has the wrong form.
    Request,
    /// No such realm, path or thing.
    Absent,
    /// The client: unknown, not authenticated, not allowed this.
    Client,
    /// The user's name, password or second factor.
    Credentials,
    /// The account or the realm is switched off or not ready.
    Account,
    /// A code or refresh token that does not count.
    Grant,
    /// The session or the login flow is over.
    Session,
    /// An access or ID token that does not count.
    Token,
    /// A right, role or scope is missing.
    Rights,
    /// This server could not answer.
    Server,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Request,
        Self::Absent,
        Self::Client,
        Self::Credentials,
        Self::Account,
        Self::Grant,
        Self::Session,
        Self::Token,
        Self::Rights,
        Self::Server,
    ];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Absent => "absent",
            Self::Client => "client",
            Self::Credentials => "credentials",
            Self::Account => "account",
            Self::Grant => "grant",
            Self::Session => "session",
            Self::Token => "token",
            Self::Rights => "rights",
            Self::Server => "server",
        }
    }
}

/// One check, in words for an operator. Nothing of a request stands in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// The kind of fault.
    pub class: Class,
    /// Which check failed.
    pub check: &'static str,
    /// What it wants.
    pub expected: Cow<'static, str>,
    /// What it met.
    pub got: Cow<'static, str>,
    /// What to do next.
    pub advice: &'static str,
}

impl Explained {
    /// A row of a table: check, expected, got, advice.
    #[must_use]
    pub const fn row(class: Class, [check, expected, got, advice]: [&'static str; 4]) -> Self {
        Self { class, check, expected: Cow::Borrowed(expected), got: Cow::Borrowed(got), advice }
    }
}

/// What is known about one refusal. It holds no secret: every text is fixed, an identifier or an address ([`Shown`]).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// 32 hexadecimal digits, also in the answer's `Portcullis-Trace`.
    pub trace: String,
    /// When, milliseconds since the epoch.
    pub time: i64,
    /// Who refused: `idp` or `guard`.
    pub source: String,
    /// The realm, if there is one of that name.
    pub realm: Option<String>,
    /// The client as it named itself.
    pub client_id: Option<String>,
    /// The endpoint's word.
    pub endpoint: String,
    /// The answer's status.
    pub status: u16,
    /// The reason's name.
    pub reason: String,
    /// Which check failed.
    pub check: String,
    /// What it wants.
    pub expected: String,
    /// What it met.
    pub got: String,
    /// What to do next.
    pub advice: String,
    /// The caller's own `traceparent`, unverified.
    pub traceparent: Option<String>,
}

/// Takes every refusal. It is called inside the request and must not wait.
pub trait RefusalSink: Send + Sync {
    /// One request was refused. Answers whether the record was kept; what is not kept is counted by the sink.
    fn refused(&self, record: Record) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lg_01_what_is_shown_is_one_line_that_reads_as_it_was_written() {
        for (text, shown) in [
            ("app", "app"),
            ("a\r\nb\u{1b}[31m\0", "a??b?[31m?"),
            ("a\u{2028}b\u{202e}c\u{feff}\u{85}", "a?b?c??"),
            ("\"}{,", "\"}{,"),
        ] {
            assert_eq!(Shown::identifier(text).as_str(), shown);
        }
        assert_eq!(Shown::identifier(&"x".repeat(500)).as_str().chars().count(), SHOWN + 1);
    }

    #[test]
    fn lg_03_an_address_loses_what_may_be_secret() {
        for (uri, shown) in [
            ("https://app.example/cb?code=c#state", "https://app.example/cb"),
            ("https://user:pw@app.example/cb", "https://app.example/cb"),
            ("https://app.example#token", "https://app.example"),
            ("/relative?code=c", "/relative"),
            ("", ""),
        ] {
            assert_eq!(Shown::address(uri).as_str(), shown);
        }
    }

    #[test]
    fn w3c_trace_context_3_2_only_whole_parents_are_linked() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(good), Some(good));
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert_eq!(traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_trace_id_is_32_digits() {
        struct Sevens;
        impl Entropy for Sevens {
            fn fill(&self, out: &mut [u8]) {
                out.fill(7);
            }
        }
        let text = TraceId::mint(&Sevens).text();
        assert_eq!(text, "07".repeat(16));
        assert!(TraceId::is_one(&text) && !TraceId::is_one(&text[1..]) && !TraceId::is_one(&text.replace('0', "g")));
    }
}
