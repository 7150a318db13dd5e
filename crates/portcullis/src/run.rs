//! From a parsed command line to the command itself.

use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Stopwatch;
use crate::command::{Cli, Command, Environment};
use crate::config::{Config, LogFormat};
use crate::failure::Failure;
use crate::{demo, logs, serve};

/// Runs a command to its end.
///
/// # Errors
/// One line and an exit code.
pub fn run(cli: &Cli, environment: &Environment, clock: Stopwatch) -> Result<(), Failure> {
    let filter = environment.get("PORTCULLIS_LOG");
    match &cli.command {
        None => {
            let cap = logs::start(LogFormat::Text, filter.or(Some("warn")), clock);
            block_on(cap, demo::run(cli, environment, clock))
        }
        Some(Command::Idp(arguments)) => {
            let cap = logs::start(LogFormat::Text, filter, clock);
            block_on(cap, serve::idp(arguments, environment, clock))
        }
        Some(Command::Serve { config }) => {
            let config = Config::read(config)?;
            let cap = logs::start(config.log.format, filter.or(config.log.filter.as_deref()), clock);
            block_on(cap, serve::serve(&config, environment, clock))
        }
        Some(Command::CheckConfig { config }) => {
            let read = Config::read(config)?;
            if let Some(section) = &read.tls {
                crate::listen::tls::read(section)?;
            }
            println!("{}: ok", config.display());
            Ok(())
        }
        Some(Command::Why(arguments)) => crate::telemetry::why::run(arguments),
        Some(Command::Keys(arguments)) => crate::keys::run(arguments),
        Some(Command::DocsReference { out }) => crate::reference::write(out),
    }
}

fn block_on(cap: Arc<logs::Cap>, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start threads: {e}")))?
        .block_on(async {
            let (done, stop) = watch::channel(false);
            let teller = tokio::spawn(cap.keep_telling(stop));
            let result = work.await;
            let _told_already = done.send(true);
            let _ended_by_itself = teller.await;
            result
        })
}

/// A channel that turns true at Ctrl-C or SIGTERM.
///
/// # Errors
/// When signals cannot be received.
pub fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let cannot = |e: std::io::Error| Failure::failed(format!("signals: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _nobody_listens = sender.send(true);
    });
    Ok(receiver)
}
