//! # portcullis: the binary
//!
//! **Owns** the command line, configuration, the data folder, listeners and TLS, logs, refusals as operators see them, the demo, the wiring of the faces.
//!
//! **Does not own** any rule of login or tokens (`portcullis-core`), any answer of the identity provider (`portcullis-idp`).
//!
//! **Flow** arguments and environment, read once -> [`config`] -> data folder -> [`portcullis_idp::Idp`] -> [`listen`] until a signal.

pub mod chores;
pub mod clock;
pub mod command;
pub mod config;
pub mod data;
pub mod demo;
pub mod failure;
pub mod feed;
pub mod health;
pub mod keys;
pub mod listen;
pub mod logs;
pub mod reference;
pub mod run;
pub mod serve;
pub mod start;
pub mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

use crate::command::{Cli, Environment};

/// Runs the program with the process's arguments and environment.
#[must_use]
pub fn main() -> ExitCode {
    let clock = clock::Stopwatch::start();
    let environment = Environment::of_process();
    let cli = Cli::parse();
    match run::run(&cli, &environment, clock) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("portcullis: {failure}");
            failure.code()
        }
    }
}
