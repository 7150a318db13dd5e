//! Runs the target `authorize`.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_fuzz::runner::main("authorize", portcullis_fuzz::authorize)
}
