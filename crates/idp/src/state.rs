//! What every handler has: the store, the clock, the configuration and the cached picture of each realm.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_client::door::Reach;
use portcullis_core::entropy::Entropy;
use portcullis_core::realm::Profile;
use portcullis_core::records::RealmRecords;
use portcullis_core::time::{Clock, Now};
use portcullis_store::{Db, Ephemeral};
use tokio::sync::Mutex;

use crate::backchannel::Outbox;
use crate::client_auth::Guesses;
use crate::client_keys::ClientKeys;
use crate::introspect::Remembered;
use crate::keys::{BadKey, KeyRing};
use crate::pages::security::BrowserHeaders;
use crate::pages::{Pages, RealmName};
use crate::password::PasswordPool;
use crate::revocations::Feeds;
use crate::signer::Signer;
use crate::watch::Watch;

/// What the idp is built from.
#[derive(Clone)]
pub struct Deps {
    /// Durable storage.
    pub db: Db,
    /// Short-lived values.
    pub ephemeral: Arc<dyn Ephemeral>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Settings.
    pub config: IdpConfig,
}

/// Settings of the idp face.
#[derive(Clone, Debug)]
pub struct IdpConfig {
    /// The address users see (`https://login.example.com`), without a trailing slash. `None`: taken from the request's `Host`.
    pub public_url: Option<String>,
    /// Also answer under the old `/auth` prefix.
    pub legacy_auth_prefix: bool,
    /// A folder that overrides templates, messages and style.
    pub theme: Option<PathBuf>,
    /// Password hashes at once (one per core).
    pub hash_threads: usize,
    /// Whom logout messages and the fetching of clients' keys may reach: clients name their addresses (SS-02, SS-06).
    pub outbound: Reach,
    /// Hosts that are reached by name, whatever their address: `host` or `host:port`.
    pub outbound_hosts: Vec<String>,
}

impl Default for IdpConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            legacy_auth_prefix: false,
            theme: None,
            hash_threads: 2,
            outbound: Reach::PublicOnly,
            outbound_hosts: Vec::new(),
        }
    }
}

/// One realm's configuration with its keys parsed.
pub struct RealmView {
    /// The stored picture.
    pub records: RealmRecords,
    /// Parsed keys and prebuilt key documents.
    pub keys: KeyRing,
    /// Its name on pages, sanitised once.
    pub(crate) name: RealmName,
    /// Its headers on pages.
    pub(crate) browser_headers: BrowserHeaders,
    /// The store's configuration when it was loaded: the same number, the same configuration.
    pub(crate) generation: u64,
}

impl RealmView {
    fn new(records: RealmRecords, generation: u64) -> Result<Self, BadKey> {
        let keys = KeyRing::new(&records)?;
        let settings = &records.realm.settings;
        let name = RealmName::new(
            &records.realm.name,
            settings.display_name.as_deref(),
            settings.display_name_html.as_deref(),
        );
        let browser_headers =
            BrowserHeaders::from_realm(|key| settings.browser_security_headers.get(key).map(String::as_str));
        Ok(Self { records, keys, name, browser_headers, generation })
    }

    /// Whether the strict profile is on.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.records.realm.profile() == Profile::Strict
    }
}

struct Cached {
    generation: u64,
    realms: HashMap<String, Option<Arc<RealmView>>>,
}

/// Shared state of all handlers.
pub(crate) struct App {
    pub(crate) db: Db,
    pub(crate) ephemeral: Arc<dyn Ephemeral>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) config: IdpConfig,
    pub(crate) pages: Pages,
    pub(crate) passwords: PasswordPool,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) feeds: Feeds,
    pub(crate) introspected: Remembered,
    pub(crate) outbox: Outbox,
    pub(crate) watch: Watch,
    pub(crate) client_keys: ClientKeys,
    pub(crate) guesses: Guesses,
    /// What pages outside any realm show.
    pub(crate) no_realm: (RealmName, BrowserHeaders),
    cached: ArcSwap<Cached>,
    loading: Mutex<()>,
}

/// The store did not answer: the request ends with 503.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unavailable;

/// Names kept, of realms and of nothing; beyond it those of nothing go, and with as many realms the cache starts over (DS-14).
const MAX_CACHED_REALMS: usize = 1000;

impl App {
    pub(crate) fn new(deps: Deps, pages: Pages, signer: Arc<dyn Signer>, watch: Watch) -> Self {
        let passwords = PasswordPool::new(deps.config.hash_threads, Arc::clone(&deps.entropy));
        let outbox = Outbox::new(deps.config.outbound, deps.config.outbound_hosts.clone(), watch.traces.clone());
        Self {
            db: deps.db,
            ephemeral: deps.ephemeral,
            clock: deps.clock,
            entropy: deps.entropy,
            config: deps.config,
            pages,
            passwords,
            signer,
            feeds: Feeds::default(),
            introspected: Remembered::default(),
            outbox,
            client_keys: ClientKeys::new(watch.traces.clone()),
            watch,
            guesses: Guesses::default(),
            no_realm: (RealmName::new("Keycloak", None, None), BrowserHeaders::default()),
            cached: ArcSwap::from_pointee(Cached { generation: 0, realms: HashMap::new() }),
            loading: Mutex::new(()),
        }
    }

    /// The request's one reading of the clock.
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// A realm by name, from the cache while nothing was changed.
    pub(crate) async fn realm(&self, name: &str) -> Result<Option<Arc<RealmView>>, Unavailable> {
        if let Some(view) = self.cached_realm(name) {
            return Ok(view);
        }
        let _one_loader = self.loading.lock().await;
        if let Some(view) = self.cached_realm(name) {
            return Ok(view);
        }
        // Read before loading: a change in between makes the entry stale at once instead of stale for good.
        let generation = self.db.config_generation();
        let records = self.db.realm_records(name).await.map_err(|_| Unavailable)?;
        let view = match records {
            Some(records) => {
                let view = RealmView::new(records, generation).map_err(|error| {
                    tracing::error!(realm = name, %error, "a realm key cannot be used");
                    Unavailable
                })?;
                Some(Arc::new(view))
            }
            None => None,
        };
        self.remember(name, generation, view.clone());
        Ok(view)
    }

    /// Whether a realm of this name was met and is there; nothing is loaded for it.
    pub(crate) fn knows_realm(&self, name: &str) -> bool {
        self.cached_realm(name).flatten().is_some()
    }

    fn cached_realm(&self, name: &str) -> Option<Option<Arc<RealmView>>> {
        let cached = self.cached.load();
        if cached.generation != self.db.config_generation() {
            return None;
        }
        cached.realms.get(name).cloned()
    }

    fn remember(&self, name: &str, generation: u64, view: Option<Arc<RealmView>>) {
        let old = self.cached.load();
        let mut realms = if old.generation == generation { with_room(&old.realms) } else { HashMap::new() };
        realms.insert(name.to_owned(), view);
        self.cached.store(Arc::new(Cached { generation, realms }));
    }
}

/// A copy with room for one more name. Whoever asks for names that are none drives no realm out.
fn with_room<V: Clone>(known: &HashMap<String, Option<V>>) -> HashMap<String, Option<V>> {
    if known.len() < MAX_CACHED_REALMS {
        return known.clone();
    }
    let there = known.iter().filter(|(_, view)| view.is_some());
    let kept: HashMap<_, _> = there.map(|(name, view)| (name.clone(), view.clone())).collect();
    if kept.len() < MAX_CACHED_REALMS { kept } else { HashMap::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ds_14_names_of_no_realm_drive_no_realm_out() {
        for (realms, nothing, kept) in [(2, 0, 2), (2, 900, 902), (2, 998, 2), (1000, 0, 0), (999, 1, 999)] {
            let there = (0..realms).map(|n| (format!("r{n}"), Some(())));
            let known: HashMap<_, _> = there.chain((0..nothing).map(|n| (format!("n{n}"), None))).collect();
            let with_room = with_room(&known);
            assert_eq!(with_room.len(), kept, "{realms} {nothing}");
            assert!(with_room.len() < MAX_CACHED_REALMS);
        }
    }
}
