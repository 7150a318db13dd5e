//! Where spans go, which ones, and what a caller's own trace is worth.

use std::path::PathBuf;

use serde::Deserialize;

/// Path of OTLP over HTTP (OTLP 1.x, §OTLP/HTTP request).
const PATH: &str = "/v1/traces";

/// What a caller's `traceparent` does (W3C Trace Context).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Callers {
    /// The request belongs to the caller's trace.
    #[default]
    Continue,
    /// The request is a trace of its own that names the caller's: where callers are strangers.
    Link,
}

/// Settings of traces.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The whole address spans are posted to.
    pub url: String,
    /// Share of traces that are sent, 0 to 1; a caller that records its own trace gets our part of it as well.
    pub sample: f64,
    /// What a caller's `traceparent` does.
    pub callers: Callers,
    /// `service.name`.
    pub service: String,
    /// A file with a header per line, `Name: value`; it may hold a secret.
    pub headers_file: Option<PathBuf>,
}

impl Settings {
    /// All traces to a collector, as `service.name` portcullis.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn to(address: &str) -> Result<Self, String> {
        let url = endpoint(address)?;
        Ok(Self { url, sample: 1.0, callers: Callers::default(), service: "portcullis".to_owned(), headers_file: None })
    }

    /// Whether nobody on the way can read what is sent.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let url = url::Url::parse(&self.url).ok();
        url.is_some_and(|url| {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
            url.scheme() == "https" || loopback
        })
    }
}

/// The address of the traces of a collector.
fn endpoint(text: &str) -> Result<String, String> {
    let example = "for example http://collector:4318";
    let url = url::Url::parse(text).map_err(|e| format!("{e}; a scheme, a host and a port, {example}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("OTLP travels by http or https, {example}"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "no user, query or fragment belongs in it (secrets go into tracing.headers_file), {example}"
        ));
    }
    if url.port() == Some(4317) {
        return Err(format!("port 4317 speaks gRPC; spans are sent by HTTP, mostly on port 4318, {example}"));
    }
    let base = url.as_str().trim_end_matches('/');
    Ok(if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_collectors_or_it_is_told_why_not() {
        for (text, url) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("https://c.example/otlp", "https://c.example/otlp/v1/traces"),
            ("https://c.example/v1/traces", "https://c.example/v1/traces"),
        ] {
            assert_eq!(Settings::to(text).unwrap().url, url);
        }
        for (text, words) in [
            ("collector:4318", "http or https"),
            ("collector", "relative URL"),
            ("http://", "empty host"),
            ("grpc://collector:4317", "http or https"),
            ("http://collector:4317", "speaks gRPC"),
            ("http://user:secret@collector:4318", "no user, query or fragment"),
            ("http://collector:4318?api-key=secret", "no user, query or fragment"),
        ] {
            let error = Settings::to(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("secret@") && !error.contains("=secret"), "{error}");
        }
    }
}
