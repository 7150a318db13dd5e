//! What handlers take from a request: raw parameters, the server's own address, the peer.
//!
//! **Owns** reading. **Does not own** judging: a broken body becomes the endpoint's own error.

mod arrival;

pub(crate) use arrival::Arrival;

use axum::body::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Uri};
use portcullis_core::oauth::params::{BadParams, Params};

use crate::state::IdpConfig;

/// Largest form, bytes (DS-01).
pub(crate) const MAX_FORM: usize = 64 * 1024;

/// Who called, put into the request's extensions by the listener. Absent in a bare router: loopback, plain http.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address, of the trusted proxy's client when there is one.
    pub ip: String,
    /// Whether the user's connection is https.
    pub https: bool,
}

impl Default for Peer {
    fn default() -> Self {
        Self { ip: "127.0.0.1".to_owned(), https: false }
    }
}

/// The server's own address as this request sees it.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// `https://host[:port]`, no trailing slash.
    pub(crate) url: String,
    /// Whether cookies may be `Secure`: https, or a loopback name (a secure context for browsers).
    pub(crate) secure: bool,
}

impl Base {
    /// From the configuration, else from `Host` (the listener refuses names it does not serve).
    pub(crate) fn of(config: &IdpConfig, headers: &HeaderMap, uri: &Uri, peer: &Peer) -> Self {
        if let Some(url) = &config.public_url {
            return Self { url: url.clone(), secure: url.starts_with("https://") || is_loopback(host_of(url)) };
        }
        let authority = uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or_else(|| headers.get(HOST).and_then(|h| h.to_str().ok()))
            .unwrap_or("localhost");
        let scheme = if peer.https { "https" } else { "http" };
        let url = format!("{scheme}://{authority}");
        let secure = peer.https || is_loopback(host_of(&url));
        Self { url, secure }
    }

    /// The issuer of a realm.
    pub(crate) fn issuer(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.url)
    }
}

fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or(authority);
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or(authority);
    }
    authority.split(':').next().unwrap_or(authority)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "[::1]"
}

/// The form of a POST. Another media type is an empty form (Keycloak 26.4: not 415). DS-12: a coded body is a broken one, for
/// it is not inflated here and whoever stands in front might have read another form than this server.
pub(crate) fn form(headers: &HeaderMap, body: &Bytes) -> Result<Params, BadParams> {
    if !is_form(headers) {
        return Ok(Params::default());
    }
    let plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(plain) { Params::parse(body) } else { Err(BadParams::Malformed) }
}

/// Whether a body is called a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|v| {
        v.split(';').next().unwrap_or(v).trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

/// Whether a body is called something else than a form.
pub(crate) fn is_other_media(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_TYPE) && !is_form(headers)
}

/// The query of a request.
pub(crate) fn query(uri: &Uri) -> Result<Params, BadParams> {
    Params::parse(uri.query().unwrap_or_default().as_bytes())
}
