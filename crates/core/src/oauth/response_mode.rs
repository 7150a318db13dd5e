//! How an authorization answer travels (OAuth 2.0 Multiple Response Types; OAuth 2.0 Form Post Response Mode).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::error::Reason;
use super::redirect_uri::MatchedRedirectUri;
use crate::client::Client;
use crate::realm::Profile;
use crate::records::RealmRecords;

/// `response_mode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query.
    Query,
    /// In the fragment.
    Fragment,
    /// As a form that posts itself.
    FormPost,
}

impl ResponseMode {
    /// The wire word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "query" => Some(Self::Query),
            "fragment" => Some(Self::Fragment),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }

    /// The wire word again.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Fragment => "fragment",
            Self::FormPost => "form_post",
        }
    }

    /// The mode of an answer whose request names none: tokens travel in the fragment, all else in the query.
    #[must_use]
    pub const fn default_of(tokens: bool) -> Self {
        if tokens { Self::Fragment } else { Self::Query }
    }
}

/// An answer on its way to the client. Only a matched URI can carry one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorizeAnswer {
    /// Where to.
    pub to: MatchedRedirectUri,
    /// How.
    pub mode: ResponseMode,
    /// What, in wire order.
    pub params: Vec<(&'static str, String)>,
}

/// Unreserved characters stay (RFC 3986 §2.3).
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl AuthorizeAnswer {
    /// The `Location` of a query or fragment answer. A form post has its own page and goes to the bare URI.
    #[must_use]
    pub fn location(&self) -> String {
        let uri = self.to.as_str();
        let (base, fragment) = uri.split_once('#').map_or((uri, None), |(base, fragment)| (base, Some(fragment)));
        let text = self.encoded();
        match self.mode {
            ResponseMode::Query => {
                let separator = if base.contains('?') { '&' } else { '?' };
                let tail = fragment.map(|f| format!("#{f}")).unwrap_or_default();
                format!("{base}{separator}{text}{tail}")
            }
            ResponseMode::Fragment => format!("{base}#{text}"),
            ResponseMode::FormPost => base.to_owned(),
        }
    }

    fn encoded(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.params {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            text.extend(utf8_percent_encode(value, COMPONENT));
        }
        text
    }
}

/// Whether answers to a client name the issuer (RFC 9207): a keycloak realm may leave it out for a client
/// (`exclude.issuer.from.auth.response`).
#[must_use]
pub fn names_issuer(records: &RealmRecords, client: &Client) -> bool {
    records.realm.profile() == Profile::Strict || !client.flag("exclude.issuer.from.auth.response")
}

/// RFC 6749 §4.1.2.1 with `iss` (RFC 9207), where the client wants it. Order: error, error_description, state, iss (Keycloak 26.4).
#[must_use]
pub fn error(
    to: MatchedRedirectUri,
    mode: ResponseMode,
    reason: &Reason,
    state: Option<&str>,
    iss: Option<&str>,
) -> AuthorizeAnswer {
    let wire = reason.wire();
    let mut params = vec![("error", wire.error.to_owned())];
    if let Some(text) = wire.description {
        params.push(("error_description", text.into_owned()));
    }
    if let Some(state) = state {
        params.push(("state", state.to_owned()));
    }
    if let Some(iss) = iss {
        params.push(("iss", iss.to_owned()));
    }
    AuthorizeAnswer { to, mode, params }
}

/// What a successful answer says.
#[derive(Clone, Copy, Debug)]
pub struct Success<'a> {
    /// `state` as sent, even when empty.
    pub state: Option<&'a str>,
    /// The user session's id; `None` where the client does not want it.
    pub session_state: Option<&'a str>,
    /// The issuer; `None` where the client does not want it (Keycloak attribute, keycloak profile only).
    pub iss: Option<&'a str>,
    /// The code.
    pub code: Option<&'a str>,
    /// The ID token.
    pub id_token: Option<&'a str>,
    /// The access token.
    pub access: Option<FrontAccess<'a>>,
}

/// An access token that travels by the browser (RFC 6749 §4.2.2).
#[derive(Clone, Copy)]
pub struct FrontAccess<'a> {
    /// `access_token`
    pub token: &'a str,
    /// `token_type`
    pub kind: &'a str,
    /// `expires_in`, seconds.
    pub expires_in: i64,
}

impl std::fmt::Debug for FrontAccess<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontAccess").field("kind", &self.kind).field("expires_in", &self.expires_in).finish()
    }
}

/// RFC 6749 §4.1.2, §4.2.2; OIDC Core §3.3.2.5. Order: state, session_state, iss, code, tokens; `code` never first (Keycloak 26.4).
#[must_use]
pub fn success(to: MatchedRedirectUri, mode: ResponseMode, answer: Success<'_>) -> AuthorizeAnswer {
    let mut params = Vec::with_capacity(8);
    let mut put = |name, value: Option<&str>| {
        if let Some(value) = value {
            params.push((name, value.to_owned()));
        }
    };
    put("state", answer.state);
    put("session_state", answer.session_state);
    put("iss", answer.iss);
    put("code", answer.code);
    put("id_token", answer.id_token);
    if let Some(access) = answer.access {
        put("access_token", Some(access.token));
        put("token_type", Some(access.kind));
        put("expires_in", Some(&access.expires_in.to_string()));
    }
    AuthorizeAnswer { to, mode, params }
}
