//! # xtask: the chores of this repository
//!
//! **Owns** what is run by hand and by the pipeline: tests with what they need installed, checks, golden replay, a real
//! Keycloak to ask, generated tables, pictures.
//!
//! **Does not own** any test or rule: it starts cargo, npm, python and looks at how they end.
//!
//! **Flow** `cargo xtask NAME` -> one function of the module of that name -> progress lines with elapsed times -> exit 0, 1
//! (failed) or 2 (something that must be installed by hand is missing).

mod cases;
mod ci;
mod docs;
mod examples;
mod install;
mod keycloak;
mod links;
mod shell;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::shell::{Missing, Shell, cargo};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of this repository")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing, run every test, sum up.
    Test(TestArgs),
    /// Formatting, lints, dependencies, then all tests.
    Ci(TestArgs),
    /// Replay Keycloak's recorded answers.
    Golden {
        /// A running server with the administrator admin/admin; none: one in process.
        #[arg(long)]
        base: Option<String>,
        /// An area, or one scenario of it (`login/consent`).
        #[arg(long)]
        only: Option<String>,
        /// Rewrite pending.txt from what is found.
        #[arg(long)]
        write_pending: bool,
    },
    /// Measure.
    Bench {
        /// Arguments of the bench.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// A real Keycloak to ask.
    Keycloak {
        #[command(subcommand)]
        action: keycloak::Action,
    },
    /// Write the generated tables of docs/reference.
    Docs {
        /// Write nothing; fail when a table is not what the code says.
        #[arg(long)]
        check: bool,
    },
    /// Take pictures of every page into target/screenshots.
    Gallery,
}

/// How the tests run.
#[derive(Args, Clone)]
pub(crate) struct TestArgs {
    /// The full figures of races and kill points (PORTCULLIS_LONG=1 for the tests).
    #[arg(long)]
    pub(crate) long: bool,
    /// One part only: rust, docs.
    #[arg(long)]
    pub(crate) part: Option<String>,
    /// Given on to `cargo test`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(if error.is::<Missing>() { 2 } else { 1 })
        }
    }
}

fn run(task: Task) -> Result<()> {
    let shell = Shell::new()?;
    match task {
        Task::Test(args) => test::run(&shell, &args),
        Task::Ci(args) => ci::run(&shell, &args),
        Task::Golden { base, only, write_pending } => {
            let mut run =
                cargo(&["run", "--quiet", "-p", "portcullis-testkit", "--features", "server", "--bin", "golden", "--"]);
            if let Some(base) = base {
                run.args(["--base", &base]);
            }
            if let Some(only) = only {
                run.args(["--only", &only]);
            }
            if write_pending {
                run.arg("--write-pending");
            }
            shell.run("golden", run)
        }
        Task::Bench { args } => {
            shell.run("server, release build", cargo(&["build", "--release", "-p", "portcullis"]))?;
            let mut run = cargo(&["run", "--release", "-p", "portcullis-bench", "--", "--server"]);
            run.arg(shell.target.join("release/portcullis")).args(args);
            shell.run("bench", run)
        }
        Task::Keycloak { action } => keycloak::run(&shell, &action),
        Task::Docs { check } => docs::run(&shell, check),
        Task::Gallery => {
            install::browser(&shell)?;
            let walks =
                ["test", "-p", "portcullis-testkit", "--features", "browser", "--test", "browser_walks", "gallery"];
            shell.run("gallery", cargo(&walks))?;
            println!("pictures: {}", shell.target.join("screenshots").display());
            Ok(())
        }
    }
}
