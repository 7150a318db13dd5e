//! Runs the target `jws`.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_fuzz::runner::main("jws", portcullis_fuzz::jws)
}
