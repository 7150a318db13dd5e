//! `cargo xtask bench`.

use anyhow::Result;
use clap::Parser;
use portcullis_bench::against::{self, Against};
use portcullis_bench::{calibrate, guard, store, table::Table, work};

/// Measures a release build and prints a table.
#[derive(Debug, Parser)]
struct Cli {
    /// What to measure: start, login, sso, refresh, grant, jwks, introspect, revocation, guard, store (with --against: jwks, login, sso, refresh, grant,
    /// introspect); none: all.
    what: Vec<String>,
    /// Seconds of load per row.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// The server program.
    #[arg(long, default_value = "target/release/portcullis")]
    server: std::path::PathBuf,
    #[command(flatten)]
    other: Against,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let wanted = |name: &str| cli.what.is_empty() || cli.what.iter().any(|w| w == name);
    let mut table = Table::default();
    let base = calibrate::run(&mut table)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let load = work::Load { server: cli.server.clone(), seconds: cli.seconds, base };
    if cli.other.against.is_some() {
        runtime.block_on(against::run(&load, &cli.other, wanted, &mut table))?;
        println!("{table}");
        return Ok(());
    }
    for (name, job) in work::JOBS {
        if wanted(name) {
            eprintln!("{name} ...");
            runtime.block_on(job(&load, &mut table))?;
        }
    }
    if wanted("guard") {
        eprintln!("guard ...");
        runtime.block_on(guard::run(&mut table))?;
    }
    if wanted("store") {
        eprintln!("store ...");
        runtime.block_on(store::pool(base, &mut table))?;
        runtime.block_on(store::run(&mut table))?;
        runtime.block_on(store::load(cli.seconds, &mut table))?;
    }
    println!("{table}");
    Ok(())
}
