//! `portcullis idp` and `portcullis serve`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use portcullis_idp::{IdpConfig, Reach};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chores;
use crate::clock::{Stopwatch, SystemEntropy};
use crate::command::{Environment, IdpArgs};
use crate::config::Config;
use crate::data::{self, DataFolder};
use crate::failure::Failure;
use crate::health::Health;
use crate::listen::{Hosts, Listener, tls};
use crate::run::stop_signal;
use crate::start::{self, Place, Seen, Started};
use crate::telemetry::metrics;
use crate::telemetry::spans::{Face, Faces};

/// Cores of this machine.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// `portcullis idp`: the identity provider alone.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn idp(
    arguments: &IdpArgs,
    environment: &Environment,
    clock: Stopwatch,
    faces: Option<Faces>,
) -> Result<(), Failure> {
    let mut listener = Listener::bind(arguments.listen).await?;
    let metrics = bound(arguments.watch.metrics).await?;
    let seen = Seen { traced: faces.is_some(), counted: &[] };
    listener.spans = faces.map(|faces| (faces, Face::Idp));
    let address = listener.address()?;
    let loopback = address.ip().is_loopback();
    listener.hosts = if loopback { Hosts::Loopback } else { Hosts::Any };
    let config = IdpConfig {
        legacy_auth_prefix: arguments.legacy_auth_prefix,
        theme: arguments.theme.clone(),
        hash_threads: cores(),
        // On one machine applications stand on loopback.
        outbound: if loopback { Reach::Configured } else { Reach::PublicOnly },
        ..IdpConfig::default()
    };
    let place = if arguments.in_memory {
        Place::Memory(data::passing_keys(&SystemEntropy))
    } else {
        folder(&arguments.data, environment, None)?
    };
    let started = start::open(place, config, seen).await?;
    refuse_demo(&started).await?;
    start::bootstrap(&started, environment, loopback).await?;
    start::import(&started, &arguments.import).await?;
    chores::tell_profiles(&started.db).await;
    let stop = stop_signal()?;
    let sweeper = tokio::spawn(chores::sweep(started.db.clone(), clock, stop.clone()));
    tokio::spawn(chores::end_streams(started.idp.clone(), stop.clone()));
    let sender = tokio::spawn(started.idp.clone().send_logouts(stop.clone()));
    let control = started.control(stop.clone());
    let shown = metrics.map(|metrics| show(&started, metrics, clock, stop.clone()));
    println!("Identity provider: http://{address} (ready in {} ms; Ctrl-C stops it)", clock.elapsed().as_millis());
    listener.serve(started.idp.router(), stop).await;
    for other in [sweeper, sender, control].into_iter().chain(shown) {
        let _ended_by_itself = other.await;
    }
    close(started).await
}

/// Serves metrics and health on a listener of their own until `stop`.
pub fn show(started: &Started, listener: Listener, clock: Stopwatch, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let router = metrics::router(started.sources()).merge(Health::of(started.db.clone(), clock).router());
    tokio::spawn(listener.serve(router, stop))
}

/// The listeners of `serve`: all bound before the data folder is touched, so that a port in use changes nothing.
struct Listeners {
    main: Listener,
    admin: Option<Listener>,
    health: Option<Listener>,
    metrics: Option<Listener>,
}

impl Listeners {
    async fn bind(config: &Config, faces: Option<&Faces>) -> Result<Self, Failure> {
        let mut main = Listener::bind(config.server.listen).await?;
        main.tls = config.tls.as_ref().map(tls::read).transpose()?;
        main.max_connections = config.server.max_connections;
        main.stop_within = Duration::from_secs(config.server.stop_seconds);
        main.trusted_proxies = config.server.trusted_proxies.iter().filter_map(|p| p.parse().ok()).collect();
        main.hosts = own_host(config.public_url());
        main.spans = faces.map(|faces| (faces.clone(), Face::Idp));
        let mut admin = bound(config.admin.as_ref().map(|section| section.listen)).await?;
        if let Some(admin) = &mut admin {
            admin.spans = faces.map(|faces| (faces.clone(), Face::Admin));
            if !admin.address()?.ip().is_loopback() {
                admin.tls.clone_from(&main.tls);
            }
        }
        let health = bound(config.server.health_listen).await?;
        let metrics = bound(config.metrics.as_ref().map(|section| section.listen)).await?;
        Ok(Self { main, admin, health, metrics })
    }

    /// Says where each of them is: with port 0 nobody else knows.
    fn tell_ready(&self, url: &str, clock: Stopwatch) -> Result<(), Failure> {
        let place = |listener: &Option<Listener>| listener.as_ref().map(Listener::address).transpose();
        let (admin, health, metrics) = (place(&self.admin)?, place(&self.health)?, place(&self.metrics)?);
        tracing::info!(
            url,
            listen = %self.main.address()?,
            admin = admin.map(tracing::field::display),
            health = health.map(tracing::field::display),
            metrics = metrics.map(tracing::field::display),
            ms = clock.elapsed().as_millis(),
            "ready"
        );
        Ok(())
    }
}

/// A listener, where there is an address for one.
///
/// # Errors
/// An address that cannot be had.
pub(crate) async fn bound(address: Option<SocketAddr>) -> Result<Option<Listener>, Failure> {
    match address {
        Some(address) => Listener::bind(address).await.map(Some),
        None => Ok(None),
    }
}

/// `portcullis serve`: production, from a file.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn serve(
    config: &Config,
    environment: &Environment,
    clock: Stopwatch,
    faces: Option<Faces>,
) -> Result<(), Failure> {
    let listeners = Listeners::bind(config, faces.as_ref()).await?;
    let idp_config = IdpConfig {
        public_url: Some(config.public_url().to_owned()),
        legacy_auth_prefix: config.idp.legacy_auth_prefix,
        theme: config.idp.theme.clone(),
        hash_threads: if config.idp.hash_threads == 0 { cores() } else { config.idp.hash_threads },
        outbound: if config.outbound.allow_private { Reach::Configured } else { Reach::PublicOnly },
        outbound_hosts: config.outbound.allow.clone(),
    };
    let counted = config.metrics.as_ref().map(|m| m.realms.as_slice()).unwrap_or_default();
    let place = folder(&config.storage.data, environment, config.storage.server_key_file.as_deref())?;
    let seen = Seen { counted, traced: faces.is_some() };
    let started = start::open(place, idp_config, seen).await?;
    refuse_demo(&started).await?;
    start::bootstrap(&started, environment, config.server.listen.ip().is_loopback()).await?;
    start::import(&started, &config.idp.import).await?;
    chores::tell_profiles(&started.db).await;
    // Whoever reads that it is ready may stop it.
    let stop = stop_signal()?;
    listeners.tell_ready(config.public_url(), clock)?;
    run(listeners, started, clock, stop).await
}

async fn run(
    listeners: Listeners,
    started: Started,
    clock: Stopwatch,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let sweeper = tokio::spawn(chores::sweep(started.db.clone(), clock, stop.clone()));
    let mut others = vec![sweeper, started.control(stop.clone())];
    others.push(tokio::spawn(started.idp.clone().send_logouts(stop.clone())));
    others.push(tokio::spawn(chores::end_streams(started.idp.clone(), stop.clone())));
    if let Some(health) = listeners.health {
        others.push(tokio::spawn(health.serve(Health::of(started.db.clone(), clock).router(), stop.clone())));
    }
    others.extend(listeners.metrics.map(|metrics| show(&started, metrics, clock, stop.clone())));
    let main_router = match listeners.admin {
        None => started.idp.router(),
        Some(admin) => {
            others.push(tokio::spawn(admin.serve(started.idp.admin_router(), stop.clone())));
            started.idp.public_router()
        }
    };
    listeners.main.serve(main_router, stop).await;
    for other in others {
        let _ended_by_itself = other.await;
    }
    tracing::info!("stopped");
    close(started).await
}

async fn close(started: Started) -> Result<(), Failure> {
    started.db.close().await;
    Ok(())
}

/// The data folder with its key: the file's setting, the environment, else `DIR/server.key`.
///
/// # Errors
/// A folder or key that cannot be used.
pub fn folder(path: &Path, environment: &Environment, key_file: Option<&Path>) -> Result<Place, Failure> {
    let folder = DataFolder::open(path)?;
    let named = environment.get("PORTCULLIS_SERVER_KEY_FILE").map(Path::new);
    let keys = folder.server_keys(key_file.or(named), &SystemEntropy)?;
    Ok(Place::Folder(folder, keys))
}

fn own_host(public_url: &str) -> Hosts {
    match url::Url::parse(public_url).ok().and_then(|u| u.host_str().map(str::to_owned)) {
        Some(host) => Hosts::Only([host].into()),
        None => Hosts::Any,
    }
}

/// A demo's database has passwords that were printed on a terminal: it must never face users.
async fn refuse_demo(started: &Started) -> Result<(), Failure> {
    if crate::demo::is_marked(&started.db).await? {
        return Err(Failure::configuration("this data folder belongs to the demo; choose an empty one"));
    }
    Ok(())
}
