//! The one door for outbound calls: no redirects, short deadlines, bounded answers, and a choice of whom it may reach.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whole calls end within this time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// Largest answer, bytes.
const MAX_ANSWER: usize = 1024 * 1024;

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
    http: reqwest::Client,
    reach: Reach,
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
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn new(reach: Reach) -> Result<Self, CallError> {
        let failed = |cause: String| CallError::Failed { url: "TLS".to_owned(), cause };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(e.to_string()))?;
        use rustls_platform_verifier::BuilderVerifierExt as _;
        let tls = builder.with_platform_verifier().map_err(|e| failed(e.to_string()))?.with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .timeout(DEADLINE)
            .no_proxy()
            .dns_resolver(Arc::new(Filtered { reach }))
            .build()
            .map_err(|e| failed(e.to_string()))?;
        Ok(Self { http, reach })
    }

    /// `GET`s a JSON document.
    ///
    /// # Errors
    /// A refused URL, another status than 200, a long or slow answer.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, CallError> {
        self.check(url)?;
        let failed = |cause: String| CallError::Failed { url: url.to_owned(), cause };
        let request = self.http.get(url).header("accept", "application/json");
        let mut answer = request.send().await.map_err(|e| failed(reason(&e)))?;
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
        self.check(url)?;
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await;
        let failed = |e| CallError::Failed { url: url.to_owned(), cause: reason(&e) };
        Ok(answer.map_err(failed)?.status().as_u16())
    }

    /// A request to a URL that this door may reach.
    pub(crate) fn request(&self, method: reqwest::Method, url: &str) -> Result<reqwest::RequestBuilder, CallError> {
        self.check(url)?;
        Ok(self.http.request(method, url))
    }

    fn check(&self, text: &str) -> Result<(), CallError> {
        let refused = |cause| CallError::Refused { url: text.to_owned(), cause };
        let url = url::Url::parse(text).map_err(|_| refused("not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("only http and https are called"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("user information in the URL"));
        }
        let literal = url.host_str().and_then(|h| h.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if self.reach == Reach::PublicOnly && literal.is_some_and(|ip| !is_public(ip)) {
            return Err(refused("the address is not public"));
        }
        Ok(())
    }
}

/// The innermost cause, which says more than reqwest's own line.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Resolves names and keeps only addresses in reach, so that a name cannot point inside (SS group).
struct Filtered {
    reach: Reach,
}

impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let kept: Vec<SocketAddr> = found.filter(|a| reach == Reach::Configured || is_public(a.ip())).collect();
            if kept.is_empty() {
                return Err("no address in reach".into());
            }
            let addresses: Addrs = Box::new(kept.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address belongs to the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let benchmark = a == 198 && (18..20).contains(&b);
            let protocol = a == 192 && b == 0 && c == 0;
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_documentation()
                || ip.is_multicast()
                || a == 0
                || a >= 240
                || shared
                || benchmark
                || protocol)
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            // Global unicast only, without documentation, 6to4, Teredo and NAT64, which carry other addresses.
            (0x2000..0x4000).contains(&first)
                && !(first == 0x2001 && (second == 0xdb8 || second < 0x200))
                && first != 0x2002
                && first != 0x3fff
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_not_public() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "2001:db8::1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "2001::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "1.1.1.1", "2606:4700::1111"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[tokio::test]
    async fn a_public_door_refuses_inner_addresses_before_it_dials() {
        let door = Door::new(Reach::PublicOnly).unwrap();
        for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "file:///etc/passwd", "http://u@example.com/", "x"] {
            assert!(matches!(door.get(url).await, Err(CallError::Refused { .. })), "{url}");
        }
        let named = door.get("http://localhost:1/").await.unwrap_err().to_string();
        assert!(named.contains("no address in reach"), "{named}");
    }
}
