//! The first thing a request meets: is this a host we serve, and who is calling?

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::header::HOST;
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use portcullis_idp::Peer;
use tokio::sync::Notify;
use tower::Service;

use super::Network;
use crate::telemetry::metrics;

/// Host names that are served; others get 421 (SE-28: DNS rebinding and forged `Host`).
#[derive(Clone, Debug)]
pub enum Hosts {
    /// Any: the configuration fixes the server's own address.
    Any,
    /// Loopback names only.
    Loopback,
    /// These names, without port.
    Only(Arc<[String]>),
}

impl Hosts {
    fn serve(&self, host: Option<&str>) -> bool {
        match (self, host.map(without_port)) {
            (Self::Any, _) => true,
            (_, None) => false,
            (Self::Loopback, Some(host)) => {
                host.eq_ignore_ascii_case("localhost")
                    || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
            (Self::Only(names), Some(host)) => names.iter().any(|n| n.eq_ignore_ascii_case(host)),
        }
    }
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    host.split(':').next().unwrap_or(host)
}

struct Rules {
    hosts: Hosts,
    trusted: Vec<Network>,
    https: bool,
}

/// Shared rules of a listener.
#[derive(Clone)]
pub(super) struct Gate(Arc<Rules>);

impl Gate {
    pub(super) fn new(hosts: Hosts, trusted: Vec<Network>, https: bool) -> Self {
        Self(Arc::new(Rules { hosts, trusted, https }))
    }

    pub(super) fn for_peer(&self, router: Router, peer: SocketAddr) -> Guarded {
        Guarded { rules: Arc::clone(&self.0), router, peer: peer.ip(), asked: Arc::new(Notify::new()) }
    }
}

impl Rules {
    fn peer(&self, ip: IpAddr, headers: &HeaderMap) -> Peer {
        let believed = self.trusted.iter().any(|net| net.contains(ip));
        if !believed {
            return Peer { ip: ip.to_canonical().to_string(), https: self.https };
        }
        let forwarded = last(headers, "x-forwarded-proto");
        let https = forwarded.as_deref().map_or(self.https, |p| p.eq_ignore_ascii_case("https"));
        Peer { ip: self.client(headers).unwrap_or(ip).to_canonical().to_string(), https }
    }

    /// EN-10: the nearest hop that is not ours; what stands further left was written by strangers.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut hops: Vec<&str> = Vec::new();
        for value in headers.get_all("x-forwarded-for") {
            hops.extend(value.to_str().ok()?.split(',').map(str::trim));
        }
        let addresses = hops.iter().rev().map_while(|hop| hop.parse::<IpAddr>().ok());
        addresses.into_iter().find(|ip| !self.trusted.iter().any(|net| net.contains(*ip)))
    }
}

fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(|v| v.trim().to_owned())
}

/// The router of one connection.
#[derive(Clone)]
pub(super) struct Guarded {
    rules: Arc<Rules>,
    router: Router,
    peer: IpAddr,
    asked: Arc<Notify>,
}

impl Guarded {
    /// Told of every request that came.
    pub(super) fn asked(&self) -> Arc<Notify> {
        Arc::clone(&self.asked)
    }
}

impl Service<Request<Incoming>> for Guarded {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        <Router as Service<Request<Body>>>::poll_ready(&mut self.router, cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        self.asked.notify_one();
        let host = match request.uri().authority() {
            Some(authority) => Some(authority.as_str()),
            None => single_host(request.headers()),
        };
        if !self.rules.hosts.serve(host) {
            metrics::count(&metrics::counters().misdirected);
            return Box::pin(async { Ok(misdirected()) });
        }
        let peer = self.rules.peer(self.peer, request.headers());
        request.extensions_mut().insert(peer);
        // DS-26: faces answer for their own handlers, in their own words. Whatever else panics ends here, or it would take the
        // connection with it and on HTTP/2 every other stream of that connection.
        let answer = AssertUnwindSafe(self.router.call(request.map(Body::new))).catch_unwind();
        Box::pin(async move { answer.await.unwrap_or_else(|said| Ok(sorry(said))) })
    }
}

fn single_host(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(HOST).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

/// The answer in place of one that panicked. What it said may hold data of the request: it is dropped unread (LG-05).
fn sorry(_said: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked; its request is answered 500");
    let mut response = Response::new(Body::from("Internal server error.\n"));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn misdirected() -> Response {
    let mut response = Response::new(Body::from("This server does not serve that host name.\n"));
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_28_only_own_host_names_are_served() {
        for (host, served) in [
            ("localhost:8080", true),
            ("127.0.0.1", true),
            ("[::1]:8080", true),
            ("LOCALHOST", true),
            ("evil.test", false),
            ("localhost.evil.test", false),
            ("127.0.0.1.evil.test", false),
        ] {
            assert_eq!(Hosts::Loopback.serve(Some(host)), served, "{host}");
        }
        assert!(!Hosts::Loopback.serve(None));
        let named = Hosts::Only(Arc::from(["login.test".to_owned()]));
        assert!(named.serve(Some("login.test:443")) && !named.serve(Some("login.test.evil")));
    }

    #[test]
    fn en_10_forwarded_addresses_are_believed_of_trusted_hops_only() {
        let rules = Rules { hosts: Hosts::Any, trusted: vec!["10.0.0.0/8".parse().unwrap()], https: false };
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.3".parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        let stranger = rules.peer("203.0.113.1".parse().unwrap(), &headers);
        assert_eq!((stranger.ip.as_str(), stranger.https), ("203.0.113.1", false));
        let proxied = rules.peer("10.0.0.2".parse().unwrap(), &headers);
        assert_eq!((proxied.ip.as_str(), proxied.https), ("203.0.113.9", true));
    }
}
