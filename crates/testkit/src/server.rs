//! The whole identity provider in this process.
//!
//! **Owns** wiring the idp over a database and short-lived values in memory, with a movable clock and seeded randomness,
//! and serving it on a loopback port of its own; several such nodes over one store ([`Cluster`]).
//!
//! **Does not own** the limits and TLS of the real listeners (the binary), or any realm: tests import what they need.
//!
//! **Flow** [`TestServer::start`] -> [`TestServer::import`] -> requests to [`TestServer::base`] -> `clock.advance` -> more.

use std::future::IntoFuture as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use portcullis_core::entropy::Entropy;
use portcullis_core::secret::Secret;
use portcullis_core::time::Clock;
use portcullis_idp::{Deps, Idp, IdpConfig, ImportOptions, Imported, Local, Reach, Signer, Watch};
use portcullis_store::{Db, Ephemeral, MemoryEphemeral, OpenOptions, ServerKeys};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::{MovableClock, SeededEntropy};
use crate::http1::Connection;
use crate::rp::{Registration, RelyingParty};

/// Name and password of the administrator in every test server.
pub const ADMIN: (&str, &str) = ("admin", "admin");

/// How a test server is made.
#[derive(Clone)]
pub struct Options {
    /// Its time.
    pub clock: Arc<MovableClock>,
    /// Decides every id, code and key.
    pub seed: u64,
    /// Gives the bytes instead; `None`: those of the seed.
    pub entropy: Option<Arc<dyn Entropy>>,
    /// Settings of the idp.
    pub config: IdpConfig,
    /// Its signatures.
    pub signer: Arc<dyn Signer>,
    /// Who watches it.
    pub watch: Watch,
    /// Where its rows are kept; `None`: in memory.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    /// A clock that stands at the present, seed 1, signatures made in the process; clients of tests live on this machine, so
    /// logout messages may reach it.
    fn default() -> Self {
        let config = IdpConfig { outbound: Reach::Configured, ..IdpConfig::default() };
        Self {
            clock: Arc::new(MovableClock::standing()),
            seed: 1,
            entropy: None,
            config,
            signer: Arc::new(Local),
            watch: Watch::default(),
            folder: None,
        }
    }
}

/// What the nodes of a server share.
#[derive(Clone)]
struct Ground {
    db: Db,
    ephemeral: Arc<dyn Ephemeral>,
    clock: Arc<MovableClock>,
    entropy: Arc<dyn Entropy>,
    config: IdpConfig,
    signer: Arc<dyn Signer>,
    watch: Watch,
}

impl Ground {
    fn new(options: Options) -> Result<Self> {
        let keys = ServerKeys { current: (1, [7; 32]), previous: None };
        Ok(Self {
            db: match &options.folder {
                Some(folder) => Db::open(folder, keys, OpenOptions::default())?,
                None => Db::in_memory(keys)?,
            },
            ephemeral: Arc::new(MemoryEphemeral::new("test")),
            clock: options.clock,
            entropy: options.entropy.unwrap_or_else(|| Arc::new(SeededEntropy::new(options.seed))),
            config: options.config,
            signer: options.signer,
            watch: options.watch,
        })
    }

    /// One idp with caches of its own.
    async fn idp(&self) -> Result<Idp> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let deps = Deps {
            db: self.db.clone(),
            ephemeral: Arc::clone(&self.ephemeral),
            clock,
            entropy: Arc::clone(&self.entropy),
            config: self.config.clone(),
        };
        Ok(Idp::open_with(deps, Arc::clone(&self.signer), self.watch.clone()).await?)
    }
}

/// One node, serving until it is dropped.
pub struct TestServer {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    /// Its time.
    pub clock: Arc<MovableClock>,
    /// Its rows.
    pub db: Db,
    /// Its short-lived values.
    pub ephemeral: Arc<dyn Ephemeral>,
    /// The idp itself.
    pub idp: Idp,
    task: JoinHandle<()>,
    sender: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
        self.sender.abort();
    }
}

impl TestServer {
    /// An empty server with the master realm and its administrator ([`ADMIN`]).
    ///
    /// # Errors
    /// When the idp does not start.
    pub async fn start() -> Result<Self> {
        Self::with(Options::default()).await
    }

    /// The same with other options.
    ///
    /// # Errors
    /// When the idp does not start.
    pub async fn with(options: Options) -> Result<Self> {
        let server = Self::serve(&Ground::new(options)?, listener().await?).await?;
        server.bootstrap().await?;
        Ok(server)
    }

    /// Another process over the same rows: nothing that was only in memory is there. Its time and settings are the options'.
    ///
    /// # Errors
    /// When the idp does not start.
    pub async fn again(&self, options: Options) -> Result<Self> {
        let seed = options.seed.wrapping_add(1);
        let ground = Ground { db: self.db.clone(), ..Ground::new(Options { seed, ..options })? };
        Self::serve(&ground, listener().await?).await
    }

    async fn serve(ground: &Ground, listener: TcpListener) -> Result<Self> {
        let base = format!("http://{}", listener.local_addr()?);
        let idp = ground.idp().await?;
        let serving = axum::serve(listener, idp.router()).into_future();
        let task = tokio::spawn(async move {
            // It ends only when the task is aborted.
            let _ = serving.await;
        });
        let (stop, stopped) = watch::channel(false);
        let sender = tokio::spawn(idp.clone().send_logouts(stopped));
        Ok(Self {
            base,
            clock: Arc::clone(&ground.clock),
            db: ground.db.clone(),
            ephemeral: Arc::clone(&ground.ephemeral),
            idp,
            task,
            sender,
            _stop: stop,
        })
    }

    async fn bootstrap(&self) -> Result<()> {
        let (name, password) = ADMIN;
        self.idp.bootstrap_master(name, &Secret::new(password)).await?;
        Ok(())
    }

    /// Imports a realm as it is in the file: Keycloak's profile unless it names another.
    ///
    /// # Errors
    /// When the file is refused.
    pub async fn import(&self, realm: &Value) -> Result<Imported> {
        let bytes = realm.to_string();
        let options = ImportOptions::default();
        Ok(self.idp.import_realm(bytes.as_bytes(), options).await?)
    }

    /// Imports a realm under the strict profile.
    ///
    /// # Errors
    /// When the file is refused.
    pub async fn import_strict(&self, realm: &Value) -> Result<Imported> {
        let bytes = realm.to_string();
        let options = ImportOptions { strict: true, ..ImportOptions::default() };
        Ok(self.idp.import_realm(bytes.as_bytes(), options).await?)
    }

    /// Imports the golden set's realm `demo`.
    ///
    /// # Errors
    /// When the file is refused.
    pub async fn import_demo(&self) -> Result<Imported> {
        self.import(&crate::golden::realm("demo")?).await
    }

    /// A plain client of this node.
    ///
    /// # Errors
    /// Never for a server that started.
    pub fn client(&self) -> Result<Connection> {
        Connection::to(&self.base)
    }

    /// `host:port`, for raw sockets.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.base.strip_prefix("http://").unwrap_or(&self.base)
    }

    /// A browser with a relying party.
    ///
    /// # Errors
    /// Never for a server that started.
    pub fn relying_party(&self, registration: Registration) -> Result<RelyingParty> {
        RelyingParty::new(&self.base, registration)
    }

    /// The routes, for tests that call them without a socket.
    pub fn router(&self) -> Router {
        self.idp.router()
    }
}

/// Several nodes with caches of their own over one database, one ephemeral store, one clock and one public address (the
/// first node's).
pub struct Cluster {
    /// The nodes.
    pub nodes: Vec<TestServer>,
    /// Their time.
    pub clock: Arc<MovableClock>,
}

impl Cluster {
    /// Starts so many nodes.
    ///
    /// # Errors
    /// When a node does not start, or none is asked for.
    pub async fn start(count: usize, mut options: Options) -> Result<Self> {
        let clock = Arc::clone(&options.clock);
        let mut sockets = Vec::new();
        for _ in 0..count {
            sockets.push(listener().await?);
        }
        let first = sockets.first().context("a cluster of no node")?;
        options.config.public_url = Some(format!("http://{}", first.local_addr()?));
        let ground = Ground::new(options)?;
        let mut nodes = Vec::new();
        for socket in sockets {
            let node = TestServer::serve(&ground, socket).await?;
            if nodes.is_empty() {
                node.bootstrap().await?;
            }
            nodes.push(node);
        }
        ensure!(nodes.len() == count, "every socket has a node");
        Ok(Self { nodes, clock })
    }

    /// A node by number, counted round and round.
    ///
    /// # Errors
    /// Never for a cluster that started.
    pub fn node(&self, number: usize) -> Result<&TestServer> {
        let at = number % self.nodes.len().max(1);
        self.nodes.get(at).context("no node")
    }
}

async fn listener() -> Result<TcpListener> {
    Ok(TcpListener::bind("127.0.0.1:0").await?)
}
