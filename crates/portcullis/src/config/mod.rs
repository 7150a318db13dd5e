//! `portcullis.toml`: strict sections. An unknown key is refused with line and column.
//!
//! **Owns** the shape, defaults and cross-checks of the configuration. **Does not own** what a section means at run time.
//! **Flow** text -> [`Config::parse`] -> [`Config::check`] -> the command.

mod sections;

pub use sections::{
    AdminSection, IdpSection, LogFormat, LogSection, MetricsSection, OutboundSection, ServerSection, StorageSection,
    TlsSection, TracingSection,
};

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use crate::failure::Failure;

const MOST_CONNECTIONS: usize = 1_000_000;
const MOST_THREADS: usize = 512;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[server]`
    pub server: ServerSection,
    /// `[tls]`: absent means plain http, behind a proxy.
    pub tls: Option<TlsSection>,
    /// `[storage]`
    pub storage: StorageSection,
    /// `[idp]`
    #[serde(default)]
    pub idp: IdpSection,
    /// `[outbound]`
    #[serde(default)]
    pub outbound: OutboundSection,
    /// `[admin]`: absent means `/admin` and the master realm answer on the main listener, loopback only.
    pub admin: Option<AdminSection>,
    /// `[metrics]`: absent means nothing is shown.
    pub metrics: Option<MetricsSection>,
    /// `[tracing]`: absent means no traces.
    pub tracing: Option<TracingSection>,
    /// `[log]`
    #[serde(default)]
    pub log: LogSection,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Exit code 2 with file, line, column and cause; 3 when there is no such file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let line = format!("{}: {error}", path.display());
            if error.kind() == std::io::ErrorKind::NotFound {
                Failure::not_found(line)
            } else {
                Failure::configuration(line)
            }
        })?;
        Self::parse(&text).map_err(|cause| Failure::configuration(format!("{}: {cause}", path.display())))
    }

    /// Parses and checks a text.
    ///
    /// # Errors
    /// One line: place and cause.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| one_line(text, &error))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let url = url::Url::parse(&self.server.public_url)
            .map_err(|e| format!("server.public_url: {e}; write it like https://login.example.com"))?;
        if !matches!(url.scheme(), "http" | "https") || url.path() != "/" || url.query().is_some() {
            return Err("server.public_url: a scheme and a host, for example https://login.example.com".to_owned());
        }
        let loopback = url.host_str().is_some_and(|h| h == "localhost" || h.starts_with("127.") || h == "[::1]");
        if url.scheme() == "http" && !loopback {
            return Err(
                "server.public_url: plain http is for loopback only; users' passwords would travel in clear".to_owned()
            );
        }
        if self.admin.is_none() && !self.server.listen.ip().is_loopback() {
            return Err("admin: a server that listens beyond loopback needs [admin] listen = \"ADDR\" for /admin and the master realm".to_owned());
        }
        let admin_in_clear = self.admin.as_ref().is_some_and(|a| !a.listen.ip().is_loopback()) && self.tls.is_none();
        if admin_in_clear {
            return Err(
                "admin.listen: beyond loopback it needs [tls]; administrators' passwords would travel in clear"
                    .to_owned(),
            );
        }
        self.numbers()?;
        self.places()?;
        self.tracing.as_ref().map(TracingSection::settings).transpose()?;
        for (name, proxy) in self.server.trusted_proxies.iter().enumerate() {
            proxy.parse::<crate::listen::Network>().map_err(|e| format!("server.trusted_proxies[{name}]: {e}"))?;
        }
        for (at, host) in self.outbound.allow.iter().enumerate() {
            // What a URL makes of it must be the same text, or the entry would never match.
            let url = url::Url::parse(&format!("https://{host}/")).ok();
            let same = |url: &url::Url| {
                let name = url.host_str().unwrap_or_default();
                let (name, rest) = (name.to_owned(), host.get(name.len()..).unwrap_or_default());
                host.to_ascii_lowercase().starts_with(&name)
                    && (rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
            };
            if !url.as_ref().is_some_and(same) {
                return Err(format!(
                    "outbound.allow[{at}]: a host, or a host and a port, for example keys.example.internal:8443"
                ));
            }
        }
        Ok(())
    }

    fn numbers(&self) -> Result<(), String> {
        if !(1..=MOST_CONNECTIONS).contains(&self.server.max_connections) {
            return Err(format!("server.max_connections: between 1 and {MOST_CONNECTIONS}"));
        }
        if self.idp.hash_threads > MOST_THREADS {
            return Err(format!("idp.hash_threads: 0 (one for each core) to {MOST_THREADS}"));
        }
        if self.storage.data.as_os_str().is_empty() {
            return Err("storage.data: a folder, for example /var/lib/portcullis".to_owned());
        }
        let filter = self.log.filter.as_deref().map(crate::logs::filter).transpose();
        filter.map(|_| ()).map_err(|cause| format!("log.filter: {cause}"))
    }

    /// No two listeners at one place.
    fn places(&self) -> Result<(), String> {
        let all = [
            ("server.listen", Some(self.server.listen)),
            ("server.health_listen", self.server.health_listen),
            ("admin.listen", self.admin.as_ref().map(|section| section.listen)),
            ("metrics.listen", self.metrics.as_ref().map(|section| section.listen)),
        ];
        let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
        for (name, place) in all.into_iter().filter_map(|(name, place)| Some((name, place?))) {
            let meets = |other: &SocketAddr| {
                let everywhere = place.ip().is_unspecified() || other.ip().is_unspecified();
                place.port() != 0 && place.port() == other.port() && (everywhere || place.ip() == other.ip())
            };
            if let Some((other, _)) = taken.iter().find(|(_, other)| meets(other)) {
                return Err(format!("{name}: {place} is taken by {other}; choose another port"));
            }
            taken.push((name, place));
        }
        Ok(())
    }

    /// Whether the files that it names can be read.
    ///
    /// # Errors
    /// Exit code 2 with the setting, the file and the cause.
    pub fn check_files(&self) -> Result<(), Failure> {
        let imports = self.idp.import.iter().map(|file| ("idp.import", file));
        let key = self.storage.server_key_file.iter().map(|file| ("storage.server_key_file", file));
        for (name, file) in imports.chain(key) {
            // A folder opens, but does not read.
            let read = std::fs::File::open(file).and_then(|mut file| file.read(&mut [0; 1]));
            read.map_err(|e| Failure::configuration(format!("{name}: {}: {e}", file.display())))?;
        }
        if let Some(theme) = &self.idp.theme {
            let listed = std::fs::read_dir(theme);
            listed.map_err(|e| Failure::configuration(format!("idp.theme: {}: {e}", theme.display())))?;
        }
        Ok(())
    }

    /// `public_url` without a trailing slash.
    #[must_use]
    pub fn public_url(&self) -> &str {
        self.server.public_url.trim_end_matches('/')
    }
}

fn one_line(text: &str, error: &toml::de::Error) -> String {
    let mut message = error.message().replace('\n', " ");
    if message == "invalid socket address syntax" {
        message.push_str("; an IP address and a port, for example 127.0.0.1:8443");
    }
    match error.span() {
        None => message,
        Some(span) => {
            let before = text.get(..span.start).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
            format!("line {line}, column {column}: {message}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[server]\nlisten = \"127.0.0.1:8443\"\npublic_url = \"https://login.example.com\"\n[storage]\ndata = \"/var/lib/portcullis\"\n";

    #[test]
    fn a_small_file_is_enough() {
        let config = Config::parse(GOOD).unwrap();
        assert_eq!(config.public_url(), "https://login.example.com");
        let tracing = "otlp = \"http://[::1]:4318\"\nsample = 0.1\ncallers = \"link\"\nservice = \"login\"\nheaders_file = \"/h\"";
        let tracing = Config::parse(&format!("{GOOD}[tracing]\n{tracing}\n")).unwrap().tracing.unwrap();
        assert_eq!(tracing.settings().unwrap().url, "http://[::1]:4318/v1/traces");
        let hosts = "allow = [\"keys.example.internal\", \"Keys.test:8443\", \"10.0.0.5\", \"[fd00::1]:8443\"]";
        assert_eq!(Config::parse(&format!("{GOOD}[outbound]\n{hosts}\n")).unwrap().outbound.allow.len(), 4);
    }

    /// A block without a section that must be there stands for a part of a file.
    #[test]
    fn every_file_that_the_texts_show_is_good() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let guide = std::fs::read_dir(root.join("docs/guide/src")).unwrap().map(|entry| entry.unwrap().path());
        let mut shown = 0;
        for page in guide.chain([root.join("README.md")]) {
            let text = std::fs::read_to_string(&page).unwrap();
            for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
                let (server, storage) = GOOD.split_once("[storage]").unwrap();
                let server = if block.contains("[server]") { "" } else { server };
                let storage = if block.contains("[storage]") { String::new() } else { format!("[storage]{storage}") };
                let read = Config::parse(&format!("{server}{block}{storage}"));
                assert!(read.is_ok(), "{}: {:?}\n{block}", page.display(), read.err());
                shown += 1;
            }
        }
        assert!(shown >= 8, "{shown} blocks");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, expected) in [
            (GOOD.replace("listen", "lisen"), "line 2, column 1: unknown field `lisen`"),
            (GOOD.replace("\"127.0.0.1:8443\"", "8443"), "line 2, column 10"),
            (format!("{GOOD}[indp]\n"), "line 6"),
            (GOOD.replace("https://login.example.com", "http://login.example.com"), "server.public_url: plain http"),
            (
                GOOD.replace("https://login.example.com", "https://login.example.com/x"),
                "server.public_url: a scheme and a host",
            ),
            (GOOD.replace("127.0.0.1:8443", "0.0.0.0:8443"), "admin: a server that listens beyond loopback"),
            (GOOD.replace("[storage]", "trusted_proxies = [\"10.0.0.0/99\"]\n[storage]"), "server.trusted_proxies[0]"),
            (format!("{GOOD}[admin]\nlisten = \"0.0.0.0:8081\"\n"), "admin.listen: beyond loopback it needs [tls]"),
            (format!("{GOOD}[outbound]\nallow = [\"https://keys.test\"]\n"), "outbound.allow[0]: a host"),
            (format!("{GOOD}[outbound]\nallow = [\"keys.test\", \"keys.test/x\"]\n"), "outbound.allow[1]: a host"),
            (format!("{GOOD}[tracing]\notlp = \"collector:4318\"\n"), "tracing.otlp: OTLP travels by http or https"),
            (format!("{GOOD}[tracing]\notlp = \"http://c:4317\"\n"), "tracing.otlp: port 4317 speaks gRPC"),
            (format!("{GOOD}[tracing]\nsample = 0.5\n"), "missing field `otlp`"),
            (
                format!("{GOOD}[tracing]\notlp = \"http://c\"\nsample = 1.5\n"),
                "tracing.sample: a share between 0 and 1",
            ),
            (
                format!("{GOOD}[tracing]\notlp = \"http://c\"\ncallers = \"trust\"\n"),
                "line 8, column 11: unknown variant",
            ),
            (
                format!("{GOOD}[tracing]\notlp = \"http://c\"\nheaders_file = \"/h\"\n"),
                "tracing.headers_file: beyond loopback",
            ),
            (GOOD.replace("127.0.0.1:8443", "localhost:8443"), "an IP address and a port, for example 127.0.0.1:8443"),
            (GOOD.replace("https://login.example.com", "login"), "write it like https://login.example.com"),
            (GOOD.replace("/var/lib/portcullis", ""), "storage.data: a folder"),
            (GOOD.replace("[storage]", "max_connections = 0\n[storage]"), "server.max_connections: between 1 and"),
            (GOOD.replace("[storage]", "max_connections = 9223372036854775807\n[storage]"), "server.max_connections:"),
            (format!("{GOOD}[idp]\nhash_threads = 100000\n"), "idp.hash_threads: 0 (one for each core) to 512"),
            (format!("{GOOD}[log]\nfilter = \"portcullis=loud\"\n"), "log.filter: `portcullis=loud`"),
            (
                format!("{GOOD}[metrics]\nlisten = \"127.0.0.1:8443\"\n"),
                "metrics.listen: 127.0.0.1:8443 is taken by server",
            ),
            (
                format!("{GOOD}[admin]\nlisten = \"0.0.0.0:8443\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n"),
                "admin.listen: 0.0.0.0:8443 is",
            ),
            (String::new(), "missing field `server`"),
            ("[server".to_owned(), "line 1"),
        ] {
            let error = Config::parse(&text).unwrap_err();
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
            assert!(!error.contains('\n'), "{error:?}");
        }
    }
}
