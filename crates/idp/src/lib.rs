//! # portcullis-idp: Keycloak's face
//!
//! **Owns** the identity provider's HTTP: `/realms/...`, login pages, `/admin/realms`, realm files.
//!
//! **Does not own** the rules (`portcullis-core`), SQL (`portcullis-store`), listeners and TLS (the binary).
//!
//! **Flow** a handler loads the records, calls the law's `decide`, gives its plan to `store.apply`, then answers. [`routes`] is the table of contents.

mod authorize;
mod backchannel;
mod bearer;
mod client_auth;
mod client_keys;
mod device;
mod ending;
mod extract;
pub mod import;
mod introspect;
mod keys;
mod login;
mod logout;
mod out_of_band;
pub mod pages;
mod panics;
mod par;
mod password;
mod public;
mod rate;
mod respond;
mod revocations;
mod revoke;
mod rotation;
mod routes;
mod signer;
mod state;
mod token;
mod userinfo;
pub mod watch;

pub mod admin;

use std::sync::Arc;

use axum::Router;
use portcullis_core::cutoff::Cursor;
use tokio::sync::watch::Receiver;

pub use extract::Peer;
pub use import::{Bootstrap, ImportError, ImportOptions, Imported};
pub use introspect::IntrospectionFigures;
pub use keys::{BadKey, KeyRing};
pub use password::{PasswordPool, PoolFigures};
pub use portcullis_client::door::Reach;
pub use revocations::{FeedFigures, FeedRefused, Frames};
pub use rotation::{KeyError, KeyLine};
pub use signer::{Local, Signer, Signing};
pub use state::{Deps, IdpConfig, RealmView};
pub use watch::Watch;

use state::App;

/// The identity provider.
#[derive(Clone)]
pub struct Idp {
    app: Arc<App>,
}

/// Why the idp cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A theme that cannot be rendered.
    #[error("theme: {0}")]
    Theme(#[from] pages::ThemeError),
    /// The store did not answer.
    #[error("storage: {0}")]
    Storage(String),
}

impl Idp {
    /// Wires the idp over an open store; it signs in this process.
    ///
    /// # Errors
    /// A broken theme; a store that cannot finish what an earlier process began.
    pub async fn open(deps: Deps) -> Result<Self, StartError> {
        Self::open_with(deps, Arc::new(Local), Watch::default()).await
    }

    /// [`Idp::open`] with another way to sign and somebody who watches.
    ///
    /// # Errors
    /// As [`Idp::open`].
    pub async fn open_with(deps: Deps, signer: Arc<dyn Signer>, watch: Watch) -> Result<Self, StartError> {
        let pages = pages::Pages::new(deps.config.theme.as_deref())?;
        let app = Arc::new(App::new(deps, pages, signer, watch));
        app.db.finish_removals().await.map_err(|e| StartError::Storage(e.to_string()))?;
        Ok(Self { app })
    }

    /// What the password threads did so far.
    #[must_use]
    pub fn password_figures(&self) -> PoolFigures {
        self.app.passwords.figures()
    }

    /// Sends logout messages until `stop` turns true. Every process runs one.
    pub async fn send_logouts(self, stop: Receiver<bool>) {
        backchannel::run(self.app, stop).await;
    }

    /// Sends the logout messages that are due now, once, and waits until each was answered or failed.
    pub async fn send_due_logouts(&self) {
        backchannel::send_due(&self.app).await;
    }

    /// Every route of the face.
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.app), routes::Part::Whole)
    }

    /// What users and applications need: neither `/admin` nor the master realm.
    pub fn public_router(&self) -> Router {
        routes::router(Arc::clone(&self.app), routes::Part::Public)
    }

    /// `/admin` and the master realm, for a listener of their own.
    pub fn admin_router(&self) -> Router {
        routes::router(Arc::clone(&self.app), routes::Part::Admin)
    }

    /// The signed frames of a realm's cut-offs after a cursor, in this process: what the endpoint sends to service accounts.
    ///
    /// # Errors
    /// [`FeedRefused`]: no such realm, too many readers, or no answer from the store.
    pub async fn revocations(&self, realm: &str, issuer: &str, after: Option<Cursor>) -> Result<Frames, FeedRefused> {
        revocations::open(&self.app, realm, issuer, after).await
    }

    /// What the feeds did so far.
    #[must_use]
    pub fn feed_figures(&self) -> FeedFigures {
        self.app.feeds.figures()
    }

    /// How often introspection gave a document made before.
    #[must_use]
    pub fn introspection_figures(&self) -> IntrospectionFigures {
        self.app.introspected.figures()
    }

    /// Ends the streams that would otherwise hold up a stop. Their readers come back to another node, or later.
    pub fn end_streams(&self) {
        self.app.feeds.close();
    }
}
