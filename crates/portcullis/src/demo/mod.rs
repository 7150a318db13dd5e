//! The demo: everything on one machine, to look at in the first five minutes.
//!
//! **Owns** the realm `acme` with alice (an administrator) and bob, the app page on 3000, the API on 8000.
//! **Does not own** production: it binds loopback only, answers 421 to other hosts, and its database is marked so that `serve` refuses it.
//! **Flow** ports -> data folder -> seed once -> print where to go -> serve until Ctrl-C.

mod api;
mod app;
mod seed;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use portcullis_client::Traces;
use portcullis_idp::import::{ImportError, ImportOptions};
use portcullis_idp::{IdpConfig, Reach};
use portcullis_store::Db;
use tokio::sync::watch;

use crate::clock::{Stopwatch, SystemClock, SystemEntropy};
use crate::command::{Cli, Environment};
use crate::data;
use crate::failure::Failure;
use crate::listen::{Hosts, Listener};
use crate::run::stop_signal;
use crate::serve::{self, cores, folder, show};
use crate::start::{self, Place, Seen, Started};
use crate::telemetry::GuardRefusals;
use crate::telemetry::spans::{self, Face, Faces};

pub use seed::{DEMO_ATTRIBUTE, People, realm_file};

/// Ports of the demo.
const IDP: u16 = 8080;
const APP: u16 = 3000;
const API: u16 = 8000;

/// Addresses the demo's parts know of each other.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The identity provider, no trailing slash.
    pub idp: String,
    /// The app page, no trailing slash.
    pub app: String,
    /// The API, no trailing slash.
    pub api: String,
}

impl Addresses {
    /// On `localhost` with these ports.
    #[must_use]
    pub fn on_ports(idp: u16, app: u16, api: u16) -> Self {
        let at = |port| format!("http://localhost:{port}");
        Self { idp: at(idp), app: at(app), api: at(api) }
    }

    /// The issuer of the demo's realm.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/realms/{}", self.idp, seed::REALM)
    }
}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// A port in use, a data folder that cannot be used.
pub async fn run(cli: &Cli, environment: &Environment, clock: Stopwatch, faces: Option<Faces>) -> Result<(), Failure> {
    let bound = async |port, face| -> Result<Listener, Failure> {
        let mut listener = bind(port).await?;
        listener.spans = faces.clone().map(|faces| (faces, face));
        Ok(listener)
    };
    let idp = bound(IDP, Face::Idp).await?;
    let app = bound(APP, Face::App).await?;
    let api = bound(API, Face::Api).await?;
    let metrics = serve::bound(cli.watch.metrics).await?;
    let addresses = Addresses::on_ports(IDP, APP, API);
    let place = if cli.in_memory {
        Place::Memory(data::passing_keys(&SystemEntropy))
    } else {
        folder(&cli.data, environment, None)?
    };
    let kept = (!cli.in_memory).then(|| cli.data.join("demo-passwords.json"));
    let (started, people) = open(place, kept.as_deref(), &addresses, faces.is_some()).await?;
    let stop = stop_signal()?;
    let shown = metrics.map(|metrics| show(&started, metrics, clock, stop.clone()));
    announce(&addresses, &people, if cli.in_memory { None } else { Some(&cli.data) }, clock);
    serve_all(&started, [idp, app, api], &addresses, stop).await?;
    if let Some(shown) = shown {
        let _ended_by_itself = shown.await;
    }
    println!("Stopped.");
    started.db.close().await;
    Ok(())
}

/// Opens the demo's store and seeds it once; `traced`: its outbound calls are spans.
///
/// # Errors
/// A store that cannot be opened, passwords that cannot be kept.
pub async fn open(
    place: Place,
    passwords: Option<&Path>,
    addresses: &Addresses,
    traced: bool,
) -> Result<(Started, People), Failure> {
    let config = IdpConfig { hash_threads: cores(), outbound: Reach::Configured, ..IdpConfig::default() };
    let people = People::kept(passwords, &SystemEntropy)?;
    let started = start::open(place, config, Seen { traced, counted: &[] }).await?;
    let made = started.idp.bootstrap_master("admin", &people.admin).await;
    made.map_err(|e| Failure::failed(format!("master realm: {e}")))?;
    let file = realm_file(addresses, &people);
    match started.idp.import_realm(file.as_bytes(), ImportOptions::default()).await {
        Ok(_) | Err(ImportError::Exists(_)) => Ok((started, people)),
        Err(error) => Err(Failure::failed(format!("demo realm: {error}"))),
    }
}

/// Serves idp, app and API until `stop`.
///
/// # Errors
/// When a part ends by itself.
pub async fn serve_all(
    started: &Started,
    [idp, app, api]: [Listener; 3],
    addresses: &Addresses,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    tokio::spawn(crate::chores::end_streams(started.idp.clone(), stop.clone()));
    let app = tokio::spawn(app.serve(app::router(addresses), stop.clone()));
    let refusals = GuardRefusals::into(Arc::clone(&started.refusals), Arc::new(SystemClock));
    let traces = api.spans.as_ref().map(|_| Traces::new(spans::traceparent));
    let (router, followed) = api::router(addresses, &started.idp, refusals, traces)?;
    let _the_only_guard = started.followed.set(followed);
    let api = tokio::spawn(api.serve(router, stop.clone()));
    let sender = tokio::spawn(started.idp.clone().send_logouts(stop.clone()));
    let control = started.control(stop.clone());
    idp.serve(started.idp.router(), stop).await;
    for part in [app, api, control, sender] {
        part.await.map_err(|e| Failure::failed(format!("a part of the demo ended: {e}")))?;
    }
    Ok(())
}

async fn bind(port: u16) -> Result<Listener, Failure> {
    let mut listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    listener.hosts = Hosts::Loopback;
    Ok(listener)
}

/// Whether a store belongs to a demo.
///
/// # Errors
/// When the store does not answer.
pub async fn is_marked(db: &Db) -> Result<bool, Failure> {
    let lost = |e: portcullis_store::ReadError| Failure::failed(format!("storage: {e}"));
    let records = db.realm_records(seed::REALM).await.map_err(lost)?;
    Ok(records.is_some_and(|r| r.realm.settings.attributes.contains_key(DEMO_ATTRIBUTE)))
}

fn announce(addresses: &Addresses, people: &People, folder: Option<&Path>, clock: Stopwatch) {
    let place = folder.map_or("in memory; nothing is left behind".to_owned(), |f| format!("in {}", f.display()));
    println!(
        "\nPortcullis demo, ready in {} ms (data {place})\n\n  App    {}   <- start here\n  API    {}\n  Login  {}\n\n  alice  {}   (administrator of the app)\n  bob    {}\n  admin  {}   (administrator of the server, realm master)\n\nCtrl-C stops it.",
        clock.elapsed().as_millis(),
        addresses.app,
        addresses.api,
        addresses.issuer(),
        people.alice.expose(),
        people.bob.expose(),
        people.admin.expose(),
    );
}
