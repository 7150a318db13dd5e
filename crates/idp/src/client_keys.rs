//! Keys that clients publish at an address of theirs (`jwks.url`): fetched through the one door, kept, rationed.
//!
//! **Owns** which client's keys are held. **Does not own** whom the door reaches ([`portcullis_client::door`]) and how long keys are
//! believed ([`portcullis_client::keys`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use portcullis_client::door::{Door, SystemNames, Traces};
use portcullis_client::keys::{IssuerKeys, KeyPolicy};
use portcullis_core::ids::RealmId;
use portcullis_core::oauth::client_auth::Awaited;
use portcullis_jose::KeySet;

use crate::state::IdpConfig;

/// Key sets held; beyond it any one is dropped, and fetched again when it is needed (DS-14).
const MOST: usize = 10_000;

/// A key that its client takes back is believed this long when the address is silent.
const POLICY: KeyPolicy = KeyPolicy {
    cool_down: Duration::from_secs(30),
    renew_after: Duration::from_secs(300),
    stale_for: Duration::from_secs(3600),
};

type Held = HashMap<(RealmId, String, String), Arc<IssuerKeys>>;

/// The key sets of clients.
pub(crate) struct ClientKeys {
    door: OnceLock<Option<Door>>,
    traces: Option<Traces>,
    held: Mutex<Held>,
}

impl ClientKeys {
    pub(crate) fn new(traces: Option<Traces>) -> Self {
        Self { door: OnceLock::new(), traces, held: Mutex::default() }
    }

    /// The keys that an assertion needs; `None`: they cannot be had.
    pub(crate) async fn of(&self, config: &IdpConfig, realm: &RealmId, awaited: &Awaited<'_>) -> Option<KeySet> {
        let keys = self.source(config, realm, awaited)?;
        let fits = |set: &KeySet| awaited.kid.as_deref().is_none_or(|kid| set.has_kid(kid));
        match keys.at_hand().filter(fits) {
            Some(set) => {
                if keys.is_ageing() {
                    // Beside the request; it ends by the door's deadline.
                    tokio::spawn(async move { keys.refresh().await });
                }
                Some(set)
            }
            None => keys.refresh().await.ok(),
        }
    }

    fn source(&self, config: &IdpConfig, realm: &RealmId, awaited: &Awaited<'_>) -> Option<Arc<IssuerKeys>> {
        let open = || {
            let door = Door::with(config.outbound, &config.outbound_hosts, Arc::new(SystemNames));
            let door = door.map(|door| door.traced(self.traces.clone()));
            door.inspect_err(|error| tracing::error!(%error, "no keys of clients can be fetched")).ok()
        };
        let door = self.door.get_or_init(open).as_ref()?;
        let id = (realm.clone(), awaited.client.to_owned(), awaited.url.to_owned());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST && !held.contains_key(&id) {
            let any = held.keys().next().cloned()?;
            held.remove(&any);
        }
        let new = || Arc::new(IssuerKeys::at(awaited.url, door.clone(), POLICY));
        Some(Arc::clone(held.entry(id).or_insert_with(new)))
    }
}
