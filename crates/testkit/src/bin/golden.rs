//! Replays the golden set: `golden --base URL [--only AREA[/NAME]] [--write-pending]`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser;
use portcullis_testkit::golden;
use portcullis_testkit::pace::WallPace;

#[derive(Parser)]
#[command(about = "Replay Keycloak's recorded answers against a server")]
struct Options {
    /// Server with the administrator admin/admin.
    #[arg(long)]
    base: Option<String>,
    /// An area, or one scenario of it.
    #[arg(long)]
    only: Option<String>,
    /// Rewrite pending.txt from what is found.
    #[arg(long)]
    write_pending: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let base = options.base.context("--base is needed")?;
    let tell = |name: &str| eprintln!("... {name}");
    let report = golden::run_at(&base, options.only.as_deref(), Arc::new(WallPace), tell).await?;
    println!("{report}");
    if options.write_pending {
        println!("pending.txt has {} lines", golden::update_pending(&report)?);
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if report.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
