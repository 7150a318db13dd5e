//! The command line and the environment, read once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A Keycloak-compatible login server in one binary. Without a command it starts the demo.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, long_about = None)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The demo's data folder.
    #[arg(long, value_name = "DIR", default_value = ".portcullis")]
    pub data: PathBuf,
    /// Run the demo without leaving anything behind.
    #[arg(long)]
    pub in_memory: bool,
    /// How to watch the demo.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// How to watch a server that has no configuration file.
#[derive(Clone, Debug, Default, Args)]
pub struct WatchArgs {
    /// Send traces to a collector that takes OTLP by HTTP, for example http://localhost:4318.
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Answer /metrics here.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub metrics: Option<SocketAddr>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the identity provider alone, with an empty server.
    Idp(IdpArgs),
    /// Start from a configuration file.
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Read a configuration file and say what is wrong with it.
    CheckConfig {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Say why a request was refused, by the trace id of its answer (header Portcullis-Trace).
    Why(WhyArgs),
    /// List a realm's signature keys, make a new one, or switch one off: at the running server, while requests run.
    Keys(KeysArgs),
    /// Print the reference tables of the documentation, made from the code.
    #[command(hide = true)]
    DocsReference {
        /// The folder to write them to.
        #[arg(long, value_name = "DIR", default_value = "docs/reference")]
        out: PathBuf,
    },
}

/// `portcullis idp`.
#[derive(Debug, Args)]
pub struct IdpArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = ".portcullis-idp", conflicts_with = "in_memory")]
    pub data: PathBuf,
    /// Keep everything in memory.
    #[arg(long)]
    pub in_memory: bool,
    /// A Keycloak realm file; realms that exist already are left as they are.
    #[arg(long, value_name = "FILE")]
    pub import: Vec<PathBuf>,
    /// Also answer under the old `/auth` prefix.
    #[arg(long)]
    pub legacy_auth_prefix: bool,
    /// A folder that overrides templates, messages and style.
    #[arg(long, value_name = "DIR")]
    pub theme: Option<PathBuf>,
    /// How to watch it.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// `portcullis why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The trace id: 32 hexadecimal digits.
    #[arg(value_name = "ID")]
    pub id: String,
    /// The data folder of the running server; absent: the demo's or that of `portcullis idp`, here.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print the record as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `portcullis keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub what: KeysCommand,
    /// The realm.
    #[arg(long, value_name = "NAME", global = true, default_value = "master")]
    pub realm: String,
    /// The data folder of the running server; absent: the demo's or that of `portcullis idp`, here.
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
}

/// What `portcullis keys` does.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// One line a key: algorithm, status, kid.
    List,
    /// Make a key and let it sign; the one before it goes on verifying.
    Rotate {
        /// The JOSE algorithm.
        #[arg(long, value_name = "ALG", default_value = "RS256")]
        algorithm: String,
    },
    /// Let a key sign (active), only verify (passive), or neither (disabled: its tokens end at once).
    Set {
        /// The key.
        #[arg(value_name = "KID")]
        kid: String,
        /// The status.
        #[arg(value_name = "STATUS", value_parser = ["active", "passive", "disabled"])]
        status: String,
    },
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an IP address and a port are expected, for example 127.0.0.1:8080")
}

/// The environment variables this program reads.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
}

/// Names of the variables.
const NAMES: [&str; 5] = [
    "KC_BOOTSTRAP_ADMIN_USERNAME",
    "KC_BOOTSTRAP_ADMIN_PASSWORD",
    "PORTCULLIS_SERVER_KEY_FILE",
    "PORTCULLIS_LOG",
    "CREDENTIALS_DIRECTORY",
];

impl Environment {
    /// Reads the process's environment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    pub fn of_process() -> Self {
        Self::from_pairs(NAMES.iter().filter_map(|name| std::env::var(name).ok().map(|v| ((*name).to_owned(), v))))
    }

    /// From pairs, for tests.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: pairs.into_iter().collect() }
    }

    /// A variable; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }
}
