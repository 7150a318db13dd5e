//! A browser's flows: the list of its tabs, and the signed cookie by which it is known.

use portcullis_jose::digest::{base64url_decode, base64url_encode, constant_time_eq, hmac_sha256};
use serde::{Deserialize, Serialize};

use super::FLOW_FORMAT;
use crate::entropy::{self, Entropy};

/// Most tabs of one browser; the oldest is dropped for a new one (SE-12, DS-16).
pub const MAX_TABS: usize = 20;

/// The tabs of one browser, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Browser {
    /// [`FLOW_FORMAT`].
    pub format: u32,
    /// Seconds.
    pub expires_at: i64,
    /// Ids of its tabs.
    pub tabs: Vec<String>,
}

impl Browser {
    /// Without tabs.
    #[must_use]
    pub fn new(expires_at: i64) -> Self {
        Self { format: FLOW_FORMAT, expires_at, tabs: Vec::new() }
    }

    /// Adds a tab and returns those that had to go.
    pub fn add(&mut self, tab: &str, expires_at: i64) -> Vec<String> {
        self.expires_at = self.expires_at.max(expires_at);
        self.tabs.retain(|t| t != tab);
        self.tabs.push(tab.to_owned());
        let surplus = self.tabs.len().saturating_sub(MAX_TABS);
        self.tabs.drain(..surplus).collect()
    }

    /// Forgets a tab; whether none is left.
    pub fn remove(&mut self, tab: &str) -> bool {
        self.tabs.retain(|t| t != tab);
        self.tabs.is_empty()
    }

    /// Reads a stored browser. Another format or a past end is none.
    #[must_use]
    pub fn read(bytes: &[u8], now: i64) -> Option<Self> {
        let browser: Self = serde_json::from_slice(bytes).ok()?;
        (browser.format == FLOW_FORMAT && browser.expires_at > now).then_some(browser)
    }

    /// As stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The id of a browser's flows: 128 random bits, as Keycloak prints them.
#[must_use]
pub fn new_browser_id(entropy: &dyn Entropy) -> String {
    entropy::uuid(entropy)
}

/// The value of `AUTH_SESSION_ID`: base64url of `id.mac` (Keycloak 26.4 signs it likewise).
#[must_use]
pub fn browser_cookie(id: &str, key: &[u8]) -> String {
    base64url_encode(format!("{id}.{}", mac(id, key)).as_bytes())
}

/// The id inside an `AUTH_SESSION_ID` that we signed (SE-01, SE-13). A node suffix `.route` behind the value is ignored.
#[must_use]
pub fn read_browser_cookie(value: &str, key: &[u8]) -> Option<String> {
    let value = value.split('.').next().unwrap_or(value);
    let text = String::from_utf8(base64url_decode(value)?).ok()?;
    let (id, found) = text.split_once('.')?;
    constant_time_eq(found.as_bytes(), mac(id, key).as_bytes()).then(|| id.to_owned())
}

fn mac(id: &str, key: &[u8]) -> String {
    base64url_encode(&hmac_sha256(key, format!("AUTH_SESSION_ID\0{id}").as_bytes()))
}
