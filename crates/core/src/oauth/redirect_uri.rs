//! Redirect URI matching (RFC 6749 §3.1.2, RFC 9700 §2.1, RFC 8252 §7.3; wildcards: Keycloak 26.4).
//!
//! The string is judged as it was sent: nothing is decoded, folded or normalised. Whatever two URL parsers could read differently is refused (RU-20).

use url::Url;

use super::out_of_band;
use crate::client::Client;
use crate::realm::Profile;

/// Longest redirect URI, bytes (RU-17).
pub const MAX_LENGTH: usize = 2048;

/// Parameters of our own answers: a redirect URI that brings one would show it twice (RU-06).
const ANSWER_PARAMETERS: [&str; 10] = [
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "session_state",
    "id_token",
    "access_token",
    "token_type",
    "response",
];

/// Schemes that run or read something in the browser: no application's, whatever was registered (RU-12).
const SCRIPTS: [&str; 8] = ["javascript", "data", "vbscript", "blob", "file", "filesystem", "about", "view-source"];

/// Proof that a redirect URI is registered for a client. Without it no redirect can be built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatchedRedirectUri {
    uri: String,
}

impl MatchedRedirectUri {
    /// The absolute URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// Where the browser goes: of a program without an address the page of this server that shows the code (Keycloak 26.4).
    #[must_use]
    pub fn reached(&self, issuer: &str) -> Self {
        match self.uri == out_of_band::URN {
            true => Self { uri: format!("{issuer}{}", out_of_band::PATH) },
            false => self.clone(),
        }
    }
}

/// What the answer depends on besides the URI itself.
#[derive(Clone, Copy, Debug)]
pub struct Matching<'a> {
    /// Whose registrations.
    pub client: &'a Client,
    /// Wildcards and relative URIs exist in the Keycloak profile only.
    pub profile: Profile,
    /// The server's own address, against which relative registrations are resolved.
    pub base: &'a str,
}

impl Matching<'_> {
    /// Matches the URI of a request.
    #[must_use]
    pub fn find(&self, requested: &str) -> Option<MatchedRedirectUri> {
        if !is_plain(requested) {
            return None;
        }
        let uri = self.absolute(requested)?;
        let matched = self.client.redirect_uris.iter().any(|registered| match self.profile {
            Profile::Strict => self.matches_exactly(registered, &uri),
            Profile::Keycloak => self.matches_as_keycloak(registered, &uri),
        });
        (matched && agrees(&uri) && !brings_answer_parameters(&uri)).then_some(MatchedRedirectUri { uri })
    }

    /// The one registered URI of a client that sent none (RFC 6749 §3.1.2.3); not for OpenID Connect requests.
    #[must_use]
    pub fn only_registered(&self) -> Option<MatchedRedirectUri> {
        match self.client.redirect_uris.as_slice() {
            [only] if !only.contains('*') => self.find(only),
            _ => None,
        }
    }

    fn absolute(&self, uri: &str) -> Option<String> {
        if !uri.starts_with('/') {
            return Some(uri.to_owned());
        }
        // `//host` would leave this server.
        (self.profile == Profile::Keycloak && !uri.starts_with("//")).then(|| self.resolve(uri))
    }

    fn resolve(&self, path: &str) -> String {
        let root = self.client.settings.root_url.as_deref().filter(|r| !r.is_empty()).unwrap_or(self.base);
        format!("{}{path}", root.trim_end_matches('/'))
    }

    fn matches_exactly(&self, registered: &str, uri: &str) -> bool {
        if uri.contains('#') || registered.contains('*') || !is_safe_scheme(uri) {
            return false;
        }
        registered == uri || (self.client.is_public() && loopback_without_port(uri).as_deref() == Some(registered))
    }

    fn matches_as_keycloak(&self, registered: &str, uri: &str) -> bool {
        let registered = if registered.starts_with('/') { self.resolve(registered) } else { registered.to_owned() };
        if registered == uri || is_named_loopback(uri) && without_port(uri).as_deref() == Some(registered.as_str()) {
            return true;
        }
        let Some(prefix) = registered.strip_suffix('*') else { return false };
        if prefix.contains('?') || !has_web_scheme(uri) || has_dot_segments(uri) {
            return false;
        }
        // RU-01: a star directly after the host would match other hosts.
        if !prefix.is_empty() && !path_of(prefix).starts_with('/') {
            return false;
        }
        let bare = uri.split('?').next().unwrap_or(uri);
        bare.starts_with(prefix) || (!prefix.is_empty() && prefix.strip_suffix('/') == Some(bare))
    }
}

/// Whether a URI may be registered in a strict realm (RU-05, RU-10, RU-12, RU-13, RU-18).
#[must_use]
pub fn is_registrable(uri: &str) -> bool {
    is_plain(uri) && !uri.contains(['*', '#']) && is_safe_scheme(uri) && agrees(uri) && !brings_answer_parameters(uri)
}

/// Printable ASCII without blank, backslash or quote: what every parser reads alike (RU-04, RU-14).
fn is_plain(uri: &str) -> bool {
    !uri.is_empty()
        && uri.len() <= MAX_LENGTH
        && uri.bytes().all(|b| {
            b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^')
        })
}

/// https anywhere, http on loopback, or a private-use scheme in reverse-domain form (RFC 8252 §7.1).
fn is_safe_scheme(uri: &str) -> bool {
    let Some((scheme, _)) = uri.split_once(':') else { return false };
    match scheme {
        "https" => true,
        "http" => is_named_loopback(uri) || host_of(uri) == "[::1]",
        _ => {
            scheme.contains('.') && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
        }
    }
}

fn has_web_scheme(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}

/// Two readings must give one host: ours (RFC 3986) and a WHATWG parser's. User info is never allowed (RU-03).
fn agrees(uri: &str) -> bool {
    if !has_web_scheme(uri) {
        let plain = |u: Url| u.username().is_empty() && u.password().is_none() && !SCRIPTS.contains(&u.scheme());
        return Url::parse(uri).is_ok_and(plain);
    }
    let Ok(parsed) = Url::parse(uri) else { return false };
    let host = host_of(uri);
    !authority_of(uri).contains('@') && !host.is_empty() && !host.ends_with('.') && parsed.host_str() == Some(host)
}

/// Dot segments in any encoding, doubly encoded ones too (RU-02), and the `;` that some servers cut at.
fn has_dot_segments(uri: &str) -> bool {
    let path = path_of(uri).split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let mut decoded = path;
    for _ in 0..4 {
        if decoded.split(['/', ';']).any(|segment| segment == ".." || segment == ".") || decoded.contains('\\') {
            return true;
        }
        let next = decoded
            .replace("%25", "%")
            .replace("%2e", ".")
            .replace("%2f", "/")
            .replace("%5c", "\\")
            .replace("%3b", ";");
        if next == decoded {
            return false;
        }
        decoded = next;
    }
    // Encoded more often than anyone has reason to.
    true
}

fn brings_answer_parameters(uri: &str) -> bool {
    let tail = uri.split_once(['?', '#']).map_or("", |(_, tail)| tail);
    tail.split(['&', '?', '#', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or(pair);
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        ANSWER_PARAMETERS.contains(&name.as_ref())
    })
}

fn after_scheme(uri: &str) -> &str {
    uri.split_once("://").map_or("", |(_, rest)| rest)
}

fn authority_of(uri: &str) -> &str {
    after_scheme(uri).split(['/', '?', '#']).next().unwrap_or_default()
}

fn path_of(uri: &str) -> &str {
    let rest = after_scheme(uri);
    rest.get(authority_of(uri).len()..).unwrap_or_default()
}

fn host_of(uri: &str) -> &str {
    let authority = authority_of(uri);
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or(authority);
    }
    authority.split(':').next().unwrap_or(authority)
}

fn is_named_loopback(uri: &str) -> bool {
    uri.starts_with("http://") && matches!(host_of(uri), "127.0.0.1" | "localhost")
}

/// RFC 8252 §7.3: the port of an IP-literal loopback may vary.
fn loopback_without_port(uri: &str) -> Option<String> {
    (uri.starts_with("http://") && matches!(host_of(uri), "127.0.0.1" | "[::1]")).then(|| without_port(uri)).flatten()
}

fn without_port(uri: &str) -> Option<String> {
    let (authority, host) = (authority_of(uri), host_of(uri));
    let port = authority.get(host.len()..)?.strip_prefix(':')?;
    (!port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())).then(|| format!("http://{host}{}", path_of(uri)))
}

#[cfg(test)]
mod tests;
