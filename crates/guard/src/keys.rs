//! Where the issuer's keys come from.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use portcullis_client::{IssuerKeys, NoKeys};
use portcullis_jose::KeySet;

/// The keys of the one issuer that a guard trusts.
///
/// The default is [`portcullis_client::IssuerKeys`]: discovery, one fetch per cool-down, good keys kept while the issuer is away.
/// Implement it to take keys from a file, or to share them between guards.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The keys at hand. Called on every request: it must neither wait nor call anybody.
    fn keys(&self) -> Option<KeySet>;

    /// Keys that may be newer than those at hand. Called for an unknown `kid`, so it must ration itself (DS-10).
    ///
    /// # Errors
    /// No keys at all can be had; the caller is told 503.
    async fn refresh(&self) -> Result<KeySet, NoKeys>;

    /// Whether [`Self::refresh`] should soon be called beside the requests.
    fn is_ageing(&self) -> bool {
        false
    }
}

#[async_trait]
impl KeySource for IssuerKeys {
    fn keys(&self) -> Option<KeySet> {
        self.at_hand()
    }

    async fn refresh(&self) -> Result<KeySet, NoKeys> {
        Self::refresh(self).await
    }

    fn is_ageing(&self) -> bool {
        Self::is_ageing(self)
    }
}

/// Seconds between two renewals beside the requests: an issuer that is away must not cost a task per request.
const PAUSE: i64 = 10;

/// Renews ageing keys without letting a request wait.
#[derive(Default)]
pub(crate) struct Renewal {
    not_before: AtomicI64,
}

impl Renewal {
    /// Starts a renewal if one is due. Outside a tokio runtime nothing happens: the next unknown `kid` will fetch.
    pub(crate) fn if_due(&self, source: &Arc<dyn KeySource>, now: i64) {
        if !source.is_ageing() {
            return;
        }
        let due = self.not_before.load(Ordering::Relaxed);
        let next = now.saturating_add(PAUSE);
        // A clock set back must not stop renewals.
        let resting = due > now && due <= next;
        if resting || self.not_before.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let source = Arc::clone(source);
            // A failure is the source's to report; the keys at hand stay good.
            runtime.spawn(async move { source.refresh().await.is_ok() });
        }
    }
}
