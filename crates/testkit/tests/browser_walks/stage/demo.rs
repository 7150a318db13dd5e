//! The demo on free ports, as `portcullis` without a command starts it; it can be stopped and started again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use portcullis::clock::SystemEntropy;
use portcullis::data::DataFolder;
use portcullis::demo::{self, Addresses, People};
use portcullis::failure::Failure;
use portcullis::listen::{Hosts, Listener};
use portcullis::start::{Place, Started};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Identity provider, app page and API.
pub(crate) struct RunningDemo {
    pub(crate) started: Arc<Started>,
    pub(crate) people: People,
    pub(crate) addresses: Addresses,
    ports: [u16; 3],
    stop: watch::Sender<bool>,
    serving: JoinHandle<Result<(), Failure>>,
}

impl RunningDemo {
    /// Starts it with its data in `folder`; port 0 is any free one.
    pub(crate) async fn start(folder: &Path, ports: [u16; 3]) -> Result<Self> {
        let [idp, app, api] = ports;
        let listeners = [bind(idp).await?, bind(app).await?, bind(api).await?];
        let mut ports = [0; 3];
        for (port, listener) in ports.iter_mut().zip(&listeners) {
            *port = listener.address()?.port();
        }
        let [idp, app, api] = ports;
        let addresses = Addresses::on_ports(idp, app, api);
        let data = DataFolder::open(folder)?;
        let keys = data.server_keys(None, &SystemEntropy)?;
        let passwords = data.file("demo-passwords.json");
        let (started, people) = demo::open(Place::Folder(data, keys), Some(&passwords), &addresses, false).await?;
        let started = Arc::new(started);
        let (stop, stopped) = watch::channel(false);
        let (shared, known) = (Arc::clone(&started), addresses.clone());
        let serving = tokio::spawn(async move { demo::serve_all(&shared, listeners, &known, stopped).await });
        Ok(Self { started, people, addresses, ports, stop, serving })
    }

    /// Stops it as Ctrl-C does; gives its ports.
    pub(crate) async fn stop(self) -> Result<[u16; 3]> {
        self.stop.send(true)?;
        self.serving.await??;
        self.started.db.close().await;
        Ok(self.ports)
    }
}

async fn bind(port: u16) -> Result<Listener> {
    let mut listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    listener.hosts = Hosts::Loopback;
    Ok(listener)
}
