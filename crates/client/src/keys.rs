//! The keys of one issuer, kept: hot reads never wait, fetches are shared and rationed.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use portcullis_jose::{JwkSet, KeySet};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::discovery::Metadata;
use crate::door::{CallError, Door};

/// How keys are kept.
#[derive(Clone, Copy, Debug)]
pub struct KeyPolicy {
    /// An unknown `kid` causes at most one fetch in this time (DS-10).
    pub cool_down: Duration,
    /// Keys older than this are renewed beside the requests; some up to a fifth sooner, so that processes which began together
    /// do not ask together (DS-28).
    pub renew_after: Duration,
    /// Keys that cannot be renewed are believed this long (DS-11).
    pub stale_for: Duration,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            cool_down: Duration::from_secs(30),
            renew_after: Duration::from_secs(300),
            stale_for: Duration::from_secs(24 * 3600),
        }
    }
}

/// There are no keys, and none can be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys cannot be fetched")]
pub struct NoKeys;

struct Held {
    keys: KeySet,
    fetched: Instant,
    renew_after: Duration,
}

/// Between four fifths of a time and all of it.
fn spread(whole: Duration) -> Duration {
    let thousandths = u32::try_from(RandomState::new().hash_one(whole) % 1000).unwrap_or(0);
    whole - whole / 5 * thousandths / 1000
}

struct Fetching {
    jwks_uri: Option<String>,
    last_try: Option<Instant>,
}

/// Where keys come from.
enum Source {
    /// An issuer, whose discovery document names the address.
    Issuer(String),
    /// An address.
    Address(String),
}

/// The keys of one issuer.
pub struct IssuerKeys {
    source: Source,
    door: Door,
    policy: KeyPolicy,
    held: ArcSwapOption<Held>,
    fetching: Mutex<Fetching>,
}

impl IssuerKeys {
    /// Of an issuer; nothing is fetched yet.
    #[must_use]
    pub fn new(issuer: impl Into<String>, door: Door, policy: KeyPolicy) -> Self {
        let fetching = Mutex::new(Fetching { jwks_uri: None, last_try: None });
        Self { source: Source::Issuer(issuer.into()), door, policy, held: ArcSwapOption::empty(), fetching }
    }

    /// At an address that is known without discovery (a client's `jwks_uri`); nothing is fetched yet.
    #[must_use]
    pub fn at(address: impl Into<String>, door: Door, policy: KeyPolicy) -> Self {
        Self { source: Source::Address(address.into()), ..Self::new("", door, policy) }
    }

    /// The issuer, or the address.
    #[must_use]
    pub fn issuer(&self) -> &str {
        match &self.source {
            Source::Issuer(name) | Source::Address(name) => name,
        }
    }

    /// The keys at hand, without waiting. `None` before the first fetch and when they are too old to be believed.
    #[must_use]
    pub fn at_hand(&self) -> Option<KeySet> {
        let held = self.held.load();
        let held = held.as_ref()?;
        (held.fetched.elapsed() <= self.policy.stale_for).then(|| held.keys.clone())
    }

    /// Whether the keys at hand should be renewed soon.
    #[must_use]
    pub fn is_ageing(&self) -> bool {
        self.held.load().as_ref().is_none_or(|h| h.fetched.elapsed() > h.renew_after)
    }

    /// Keys that may be newer than `seen`: waits for a fetch under way, makes one if the cool-down allows, else answers what is at hand.
    ///
    /// # Errors
    /// No keys at all.
    pub async fn refresh(&self) -> Result<KeySet, NoKeys> {
        let before = self.fetched_at();
        let mut fetching = self.fetching.lock().await;
        // Somebody else fetched while this one waited.
        if self.fetched_at() != before {
            return self.at_hand().ok_or(NoKeys);
        }
        let resting = fetching.last_try.is_some_and(|at| at.elapsed() < self.policy.cool_down);
        if resting {
            return self.at_hand().ok_or(NoKeys);
        }
        fetching.last_try = Some(Instant::now());
        match self.fetch(&mut fetching).await {
            Ok(keys) => {
                let renew_after = spread(self.policy.renew_after);
                self.held.store(Some(Arc::new(Held { keys: keys.clone(), fetched: Instant::now(), renew_after })));
                Ok(keys)
            }
            Err(error) => {
                // DS-11: a failed or empty answer never wipes keys that were good.
                tracing::warn!(issuer = self.issuer(), %error, "keys cannot be fetched");
                fetching.jwks_uri = None;
                self.at_hand().ok_or(NoKeys)
            }
        }
    }

    fn fetched_at(&self) -> Option<Instant> {
        self.held.load().as_ref().map(|h| h.fetched)
    }

    async fn fetch(&self, fetching: &mut Fetching) -> Result<KeySet, CallError> {
        let uri = match (&self.source, fetching.jwks_uri.take()) {
            (Source::Address(address), _) => address.clone(),
            (Source::Issuer(_), Some(uri)) => uri,
            (Source::Issuer(issuer), None) => Metadata::fetch(&self.door, issuer).await?.jwks_uri,
        };
        let body = self.door.get(&uri).await?;
        let failed = |cause: String| CallError::Failed { url: uri.clone(), cause };
        let set = JwkSet::parse(&body).map_err(|e| failed(e.to_string()))?;
        let keys = KeySet::from_jwks(&set);
        if keys.is_empty() {
            return Err(failed("no usable key in it".to_owned()));
        }
        fetching.jwks_uri = Some(uri);
        Ok(keys)
    }
}

#[cfg(test)]
mod tests;
