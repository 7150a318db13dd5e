//! The one door for outbound calls: no redirects, short deadlines, bounded answers, and a choice of whom it may reach.

mod names;
mod traces;
mod traffic;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use names::{Names, SystemNames};
pub use traces::Traces;

use names::{Judged, is_public};
use traffic::Traffic;

/// Whole calls end within this time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// Largest answer, bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Whom a door may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Any address: for URLs that the operator wrote (a configured issuer).
    Configured,
    /// Public addresses only: for URLs that others supply.
    PublicOnly,
}

/// Makes outbound calls.
#[derive(Clone, Debug)]
pub struct Door {
    /// For addresses within reach.
    judged: reqwest::Client,
    /// For the hosts that are allowed by name.
    free: reqwest::Client,
    allowed: Arc<[String]>,
    traffic: Traffic,
    reach: Reach,
    traces: Option<Traces>,
}

/// Why a call gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// Not a usable URL, or one this door must not reach.
    #[error("{url}: {cause}")]
    Refused {
        /// The URL.
        url: String,
        /// Why.
        cause: &'static str,
    },
    /// The other side did not answer well.
    #[error("{url}: {cause}")]
    Failed {
        /// The URL.
        url: String,
        /// What happened.
        cause: String,
    },
}

impl Door {
    /// A door with the given reach.
    ///
    /// # Errors
    /// When the TLS roots of the system cannot be read.
    pub fn new(reach: Reach) -> Result<Self, CallError> {
        Self::with(reach, &[], Arc::new(SystemNames))
    }

    /// The same, which also reaches some hosts by name, whatever their address: `host` (any port) or `host:port`.
    ///
    /// # Errors
    /// When the TLS roots of the system cannot be read.
    pub fn with(reach: Reach, allowed: &[String], names: Arc<dyn Names>) -> Result<Self, CallError> {
        let free = http(Judged { reach: Reach::Configured, names: Arc::clone(&names) })?;
        let judged = http(Judged { reach, names })?;
        let allowed = allowed.iter().map(|host| host.to_ascii_lowercase()).collect();
        Ok(Self { judged, free, allowed, traffic: Traffic::default(), reach, traces: None })
    }

    /// The same door, whose calls are spans of a trace.
    #[must_use]
    pub fn traced(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// `GET`s a JSON document.
    ///
    /// # Errors
    /// A refused URL, another status than 200, a long or slow answer.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, CallError> {
        let target = self.check(url)?;
        let failed = |cause: String| CallError::Failed { url: url.to_owned(), cause };
        // What is read is believed, so nobody on the way may change it.
        if self.reach == Reach::PublicOnly && !target.allowed && target.scheme != "https" {
            return Err(CallError::Refused { url: url.to_owned(), cause: "only https is read" });
        }
        let _turn = match self.reach {
            Reach::Configured => None,
            Reach::PublicOnly => {
                Some(self.traffic.enter(&target.host).ok_or_else(|| failed("too many calls".to_owned()))?)
            }
        };
        let request = self.client(&target).get(url).header("accept", "application/json");
        let mut answer = self.send("GET", &target, request).await.map_err(|e| failed(reason(&e)))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(failed(format!("answered {}", answer.status())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| failed(reason(&e)))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(failed("the answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// `POST`s a form and gives the status; what else the other side says is not read.
    ///
    /// # Errors
    /// A refused URL, a slow answer or none.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Result<u16, CallError> {
        let target = self.check(url)?;
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request =
            self.client(&target).post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = self.send("POST", &target, request).await;
        let failed = |e| CallError::Failed { url: url.to_owned(), cause: reason(&e) };
        Ok(answer.map_err(failed)?.status().as_u16())
    }

    /// `POST`s protobuf with some headers and gives the status; what else the other side says is not read. It is no span of a
    /// trace: it is how those travel.
    ///
    /// # Errors
    /// A refused URL, a header that is none, a slow answer or none.
    pub async fn post(&self, url: &str, headers: &[(String, String)], body: Vec<u8>) -> Result<u16, CallError> {
        let mut request = self.request(reqwest::Method::POST, url)?.header("content-type", "application/x-protobuf");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await;
        let failed = |e| CallError::Failed { url: url.to_owned(), cause: reason(&e) };
        Ok(answer.map_err(failed)?.status().as_u16())
    }

    /// Sends a request, as a span of a trace where there is one. Only addresses that the operator chose are told which: to
    /// others it would say which calls belong together.
    async fn send(
        &self,
        method: &'static str,
        target: &Target,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let told = self.reach == Reach::Configured || target.allowed;
        match &self.traces {
            None => request.send().await,
            Some(traces) => traces.send((method, &target.host, target.port), request, told).await,
        }
    }

    /// A request to a URL that this door may reach.
    pub(crate) fn request(&self, method: reqwest::Method, url: &str) -> Result<reqwest::RequestBuilder, CallError> {
        let target = self.check(url)?;
        Ok(self.client(&target).request(method, url))
    }

    fn client(&self, target: &Target) -> &reqwest::Client {
        if target.allowed { &self.free } else { &self.judged }
    }

    /// SS-04, SS-10: what can be told from the text. Addresses of names are judged when they are resolved.
    fn check(&self, text: &str) -> Result<Target, CallError> {
        let refused = |cause| CallError::Refused { url: text.to_owned(), cause };
        // A parser of URLs takes line breaks out silently.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(refused("not a URL"));
        }
        let url = url::Url::parse(text).map_err(|_| refused("not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("only http and https are called"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("user information in the URL"));
        }
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let port = url.port_or_known_default().unwrap_or_default();
        let with_port = format!("{host}:{port}");
        let target = Target {
            allowed: self.allowed.iter().any(|known| *known == host || *known == with_port),
            scheme: url.scheme().to_owned(),
            host,
            port,
        };
        if self.reach == Reach::Configured || target.allowed {
            return Ok(target);
        }
        // Below 1024 other services listen, some of which take HTTP for their own words.
        if port < 1024 && ![80, 443].contains(&port) {
            return Err(refused("the port is no web server's"));
        }
        match target.host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) if !is_public(ip) => Err(refused("the address is not public")),
            // A name without a dot is one of this network.
            Err(_) if !target.host.trim_end_matches('.').contains('.') => Err(refused("the name is not public")),
            Ok(_) | Err(_) => Ok(target),
        }
    }
}

/// Where a call goes.
struct Target {
    scheme: String,
    host: String,
    port: u16,
    /// By name, whatever its address.
    allowed: bool,
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn http(names: Judged) -> Result<reqwest::Client, CallError> {
    let failed = |cause: String| CallError::Failed { url: "TLS".to_owned(), cause };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(e.to_string()))?;
    use rustls_platform_verifier::BuilderVerifierExt as _;
    let tls = builder.with_platform_verifier().map_err(|e| failed(e.to_string()))?.with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(3))
        .timeout(DEADLINE)
        .no_proxy()
        .dns_resolver(Arc::new(names))
        .build()
        .map_err(|e| failed(e.to_string()))
}

/// The innermost cause, which says more than reqwest's own line.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
