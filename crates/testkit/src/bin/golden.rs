//! Replays the golden set: `golden [--base URL] [--only AREA[/NAME]] [--write-pending]`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;
use portcullis_testkit::clock::MovableClock;
use portcullis_testkit::golden::{self, Report};
use portcullis_testkit::pace::WallPace;
use portcullis_testkit::server::{Options, TestServer};

#[derive(Parser)]
#[command(about = "Replay Keycloak's recorded answers against a server")]
struct Arguments {
    /// A running server with the administrator admin/admin; none: one in this process.
    #[arg(long)]
    base: Option<String>,
    /// An area, or one scenario of it.
    #[arg(long)]
    only: Option<String>,
    /// Rewrite pending.txt from what is found.
    #[arg(long)]
    write_pending: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = replay(&arguments).await?;
    println!("{report}");
    if arguments.write_pending {
        println!("pending.txt has {} lines", golden::update_pending(&report)?);
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if report.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn replay(arguments: &Arguments) -> Result<Report> {
    let only = arguments.only.as_deref();
    let tell = |name: &str| eprintln!("... {name}");
    if let Some(base) = &arguments.base {
        return golden::run_at(base, only, Arc::new(WallPace), tell).await;
    }
    let clock = Arc::new(MovableClock::running());
    let options = Options { clock: Arc::clone(&clock), ..Options::default() };
    let server = TestServer::with(options).await?;
    golden::run_at(&server.base, only, clock, tell).await
}
