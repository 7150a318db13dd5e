//! From a parsed command line to the command itself.

use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::{Stopwatch, SystemEntropy};
use crate::command::{Cli, Command, Environment, WatchArgs};
use crate::config::{Config, LogFormat, TracingSection};
use crate::failure::Failure;
use crate::telemetry::spans::{Exporter, Faces, Settings, Spans};
use crate::{demo, logs, serve};

/// Runs a command to its end.
///
/// # Errors
/// One line and an exit code.
pub fn run(cli: &Cli, environment: &Environment, clock: Stopwatch) -> Result<(), Failure> {
    let filter = environment.get("PORTCULLIS_LOG");
    match &cli.command {
        None => {
            let watched = watched(&cli.watch, LogFormat::Text, filter.or(Some("warn")), clock)?;
            let faces = watched.faces.clone();
            block_on(watched, demo::run(cli, environment, clock, faces))
        }
        Some(Command::Idp(arguments)) => {
            let watched = watched(&arguments.watch, LogFormat::Text, filter, clock)?;
            let faces = watched.faces.clone();
            block_on(watched, serve::idp(arguments, environment, clock, faces))
        }
        Some(Command::Serve { config }) => {
            let config = Config::read(config)?;
            let settings = config.tracing.as_ref().map(TracingSection::settings).transpose();
            let settings = settings.map_err(Failure::configuration)?;
            let filter = filter.or(config.log.filter.as_deref());
            let watched = Watched::start(config.log.format, filter, clock, settings.as_ref())?;
            let faces = watched.faces.clone();
            block_on(watched, serve::serve(&config, environment, clock, faces))
        }
        Some(Command::CheckConfig { config }) => {
            let read = Config::read(config)?;
            if let Some(section) = &read.tls {
                crate::listen::tls::read(section)?;
            }
            if let Some(section) = &read.tracing {
                let settings = section.settings().map_err(Failure::configuration)?;
                Spans::open(&settings, clock, Arc::new(SystemEntropy))?;
            }
            read.check_files()?;
            println!("{}: ok", config.display());
            Ok(())
        }
        Some(Command::Why(arguments)) => crate::telemetry::why::run(arguments),
        Some(Command::Keys(arguments)) => crate::keys::run(arguments),
        Some(Command::DocsReference { out }) => crate::reference::write(out),
    }
}

/// What watches a server from its first line to its last.
struct Watched {
    cap: Arc<logs::Cap>,
    faces: Option<Faces>,
    exporter: Option<Exporter>,
}

impl Watched {
    fn start(
        format: LogFormat,
        filter: Option<&str>,
        clock: Stopwatch,
        settings: Option<&Settings>,
    ) -> Result<Self, Failure> {
        let spans = settings.map(|settings| Spans::open(settings, clock, Arc::new(SystemEntropy))).transpose()?;
        let (collector, exporter, faces) = match spans {
            Some(Spans { collector, exporter, faces }) => (Some(collector), Some(exporter), Some(faces)),
            None => (None, None, None),
        };
        // A file's filter was checked with the file: what is wrong here is the environment's.
        let filter = logs::filter(filter.unwrap_or(logs::FILTER));
        let filter = filter.map_err(|cause| Failure::configuration(format!("PORTCULLIS_LOG: {cause}")))?;
        Ok(Self { cap: logs::start(format, filter, clock, collector), faces, exporter })
    }
}

fn watched(
    arguments: &WatchArgs,
    format: LogFormat,
    filter: Option<&str>,
    clock: Stopwatch,
) -> Result<Watched, Failure> {
    let settings = arguments.otlp.as_deref().map(Settings::to).transpose();
    let settings = settings.map_err(|cause| Failure::configuration(format!("--otlp: {cause}")))?;
    Watched::start(format, filter, clock, settings.as_ref())
}

fn block_on(watched: Watched, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start threads: {e}")))?
        .block_on(async {
            let (done, stop) = watch::channel(false);
            let sender = watched.exporter.map(|exporter| tokio::spawn(exporter.run(stop.clone())));
            let teller = tokio::spawn(watched.cap.keep_telling(stop));
            let result = work.await;
            // Afterwards, so that the last requests' spans are sent too.
            let _told_already = done.send(true);
            let _ended_by_itself = teller.await;
            if let Some(sender) = sender {
                let _ended_by_itself = sender.await;
            }
            result
        })
}

/// Exit code of who was told twice to stop: 128 and SIGINT, as shells count.
const IMPATIENT: i32 = 130;

/// A channel that turns true at Ctrl-C or SIGTERM. A second one ends the program at once: nothing that was answered is lost
/// by it, because every answer waits for its commit.
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
        for asked in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked {
                eprintln!("portcullis: asked twice to stop: requests in flight are cut");
                std::process::exit(IMPATIENT);
            }
            let _nobody_listens = sender.send(true);
        }
    });
    Ok(receiver)
}
