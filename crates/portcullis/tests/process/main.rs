//! The program as a process: its commands, `serve`, metrics, `why`.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

#[path = "../program/alone.rs"]
mod alone;
mod commands;
mod metrics;
mod serve;
#[path = "../program/served.rs"]
mod served;
mod why;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");
