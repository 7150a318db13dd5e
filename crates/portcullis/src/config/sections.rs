//! One struct per section.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::telemetry::spans::{Callers, Settings};

const fn max_connections() -> usize {
    10_000
}

const fn stop_seconds() -> u64 {
    20
}

const fn all() -> f64 {
    1.0
}

const fn hash_threads() -> usize {
    0
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSection {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The address users see.
    pub public_url: String,
    /// Connections at once.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// How long requests in flight may go on after a stop signal, seconds.
    #[serde(default = "stop_seconds")]
    pub stop_seconds: u64,
    /// Addresses whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
    /// Where `/health/live`, `/health/ready` answer; absent: nowhere.
    pub health_listen: Option<SocketAddr>,
}

/// `[tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// `[storage]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSection {
    /// The data folder (SQLite).
    pub data: PathBuf,
    /// The server key's file; absent: `PORTCULLIS_SERVER_KEY_FILE`, else `DATA/server.key`.
    pub server_key_file: Option<PathBuf>,
}

/// `[idp]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdpSection {
    /// Realm files to import when their realm does not exist.
    #[serde(default)]
    pub import: Vec<PathBuf>,
    /// Also answer under the old `/auth` prefix.
    #[serde(default)]
    pub legacy_auth_prefix: bool,
    /// A folder that overrides templates, messages and style.
    pub theme: Option<PathBuf>,
    /// Password hashes at once; 0: one per core.
    #[serde(default = "hash_threads")]
    pub hash_threads: usize,
}

/// `[outbound]`: calls to addresses that clients name (logout messages, their keys).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundSection {
    /// Also reach this machine and private networks, where applications often stand.
    #[serde(default)]
    pub allow_private: bool,
    /// Hosts that are reached by name, whatever their address: `host` or `host:port`.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSection {
    /// Where `/admin` and the master realm answer.
    pub listen: SocketAddr,
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSection {
    /// Where `/metrics` and `/health` answer; nobody has to log in there, so keep it from strangers.
    pub listen: SocketAddr,
    /// Realms that are counted each by itself.
    #[serde(default)]
    pub realms: Vec<String>,
}

/// `[tracing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracingSection {
    /// A collector that takes OTLP by HTTP: `http://collector:4318`.
    pub otlp: String,
    /// Share of traces that are sent, 0 to 1.
    #[serde(default = "all")]
    pub sample: f64,
    /// What a caller's `traceparent` does: `continue` or `link`.
    #[serde(default)]
    pub callers: Callers,
    /// `service.name`; absent: portcullis.
    pub service: Option<String>,
    /// A file with a header per line for the collector, `Name: value`.
    pub headers_file: Option<PathBuf>,
}

impl TracingSection {
    /// The settings.
    ///
    /// # Errors
    /// The setting and what is wrong with it.
    pub fn settings(&self) -> Result<Settings, String> {
        let to = Settings::to(&self.otlp).map_err(|cause| format!("tracing.otlp: {cause}"))?;
        if !(0.0..=1.0).contains(&self.sample) {
            return Err("tracing.sample: a share between 0 and 1, for example 0.1".to_owned());
        }
        if self.headers_file.is_some() && !to.is_private() {
            return Err(
                "tracing.headers_file: beyond loopback it needs an https collector; its secrets would travel in clear"
                    .to_owned(),
            );
        }
        let service = self.service.clone().unwrap_or(to.service);
        let headers_file = self.headers_file.clone();
        Ok(Settings { sample: self.sample, callers: self.callers, service, headers_file, ..to })
    }
}

/// `[log]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSection {
    /// `text` or `json`.
    #[serde(default)]
    pub format: LogFormat,
    /// `info`, `debug`, or a filter such as `portcullis_idp=debug`.
    pub filter: Option<String>,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for a person.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
