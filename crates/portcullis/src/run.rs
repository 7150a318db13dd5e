//! From a parsed command line to the command itself.

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
            logs::start(LogFormat::Text, filter.or(Some("warn")));
            block_on(demo::run(cli, environment, clock))
        }
        Some(Command::Idp(arguments)) => {
            logs::start(LogFormat::Text, filter);
            block_on(serve::idp(arguments, environment, clock))
        }
        Some(Command::Serve { config }) => {
            let config = Config::read(config)?;
            logs::start(config.log.format, filter.or(config.log.filter.as_deref()));
            block_on(serve::serve(&config, environment, clock))
        }
        Some(Command::CheckConfig { config }) => {
            let read = Config::read(config)?;
            if let Some(section) = &read.tls {
                crate::listen::tls::read(section)?;
            }
            println!("{}: ok", config.display());
            Ok(())
        }
        Some(Command::DocsReference { out }) => crate::reference::write(out),
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start threads: {e}")))?
        .block_on(work)
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
