//! Runs the target `params`.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_fuzz::runner::main("params", portcullis_fuzz::params)
}
