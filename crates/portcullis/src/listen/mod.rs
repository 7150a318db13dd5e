//! Listeners: the accept loop, TLS, limits against slow and silent peers, and the graceful stop.
//!
//! **Owns** sockets, timers, who the peer is ([`Network`]: trusted proxies) and which host names are served ([`Hosts`]).
//! **Does not own** routes.
//! **Flow** accept -> connection limit -> TLS handshake under a timer -> HTTP/1 or 2 -> host check -> peer -> router.

mod gate;
mod network;
pub mod tls;

pub use gate::Hosts;
pub use network::Network;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::failure::Failure;
use crate::telemetry::metrics;
use crate::telemetry::spans::{Face, Faces};

/// [`Listener::patience`] unless it is set.
const PATIENCE: Duration = Duration::from_secs(10);

/// Largest header block, bytes (DS-03).
const MAX_HEADERS: usize = 64 * 1024;

/// One listening address.
pub struct Listener {
    socket: TcpListener,
    /// TLS; `None` is plain http.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Host names served here.
    pub hosts: Hosts,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Connections at once.
    pub max_connections: usize,
    /// How long requests in flight may go on after a stop.
    pub stop_within: Duration,
    /// How long a peer may take for its TLS handshake, for its first request and for the headers of each (DS-05, DS-07).
    pub patience: Duration,
    /// Opens a span for each request, as one of a face.
    pub spans: Option<(Faces, Face)>,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// Exit code 4 when the port is in use, 1 otherwise.
    pub async fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let socket = TcpListener::bind(address).await.map_err(|error| {
            if error.kind() == std::io::ErrorKind::AddrInUse {
                let (port, ip) = (address.port(), address.ip());
                return Failure::busy(format!(
                    "port {port} on {ip} is in use; stop the other program or choose another port"
                ));
            }
            let next = if error.kind() == std::io::ErrorKind::PermissionDenied {
                "; ports below 1024 need CAP_NET_BIND_SERVICE or a proxy in front"
            } else {
                "; an address of this machine is expected"
            };
            Failure::failed(format!("cannot listen on {address}: {error}{next}"))
        })?;
        Ok(Self {
            socket,
            tls: None,
            hosts: Hosts::Any,
            trusted_proxies: Vec::new(),
            max_connections: 10_000,
            stop_within: Duration::from_secs(20),
            patience: PATIENCE,
            spans: None,
        })
    }

    /// The bound address.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        self.socket.local_addr().map_err(|e| Failure::failed(format!("listener: {e}")))
    }

    /// Accepts until `stop` says so, then lets requests in flight finish.
    pub async fn serve(self, router: Router, mut stop: watch::Receiver<bool>) {
        let router = match &self.spans {
            Some((faces, face)) => router.layer(faces.layer(*face)),
            None => router,
        };
        let gate = gate::Gate::new(self.hosts.clone(), self.trusted_proxies.clone(), self.tls.is_some());
        let places = Arc::new(Semaphore::new(self.max_connections));
        let graceful = GracefulShutdown::new();
        let acceptor = self.tls.clone().map(TlsAcceptor::from);
        let patience = self.patience;
        loop {
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                _ = stop.changed() => break,
            };
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stop.changed() => break,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of descriptors: breathe instead of spinning (DS-23).
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let service = gate.for_peer(router.clone(), peer);
            let watcher = graceful.watcher();
            let acceptor = acceptor.clone();
            metrics::count(&metrics::counters().accepted);
            tokio::spawn(async move {
                let _place = place;
                let _counted = Ended;
                connection(stream, acceptor, service, (watcher, patience)).await;
            });
        }
        drop(self.socket);
        if tokio::time::timeout(self.stop_within, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not end in time and were cut");
        }
    }
}

/// However a connection ends, it is counted.
struct Ended;

impl Drop for Ended {
    fn drop(&mut self) {
        metrics::count(&metrics::counters().ended);
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    service: gate::Guarded,
    (watcher, patience): (Watcher, Duration),
) {
    let _not_vital = stream.set_nodelay(true);
    match acceptor {
        None => http(stream, service, watcher, patience).await,
        Some(acceptor) => match tokio::time::timeout(patience, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => http(stream, service, watcher, patience).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake timed out"),
        },
    }
}

async fn http<S>(stream: S, service: gate::Guarded, watcher: Watcher, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_header_list_size(64 * 1024)
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(20));
    let asked = service.asked();
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::select! {
        served = watcher.watch(served.into_owned()) => {
            if let Err(error) = served {
                tracing::debug!(%error, "connection ended");
            }
        }
        () = silence(asked, patience) => tracing::debug!("no request came in time"),
    }
}

/// Ends when no request came in time. The header timer does not see a peer that says nothing at all: which version
/// of HTTP it speaks is found out first, without a limit.
async fn silence(asked: Arc<Notify>, patience: Duration) {
    if tokio::time::timeout(patience, asked.notified()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}
