//! Runs the target `jwks`.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_fuzz::runner::main("jwks", portcullis_fuzz::jwks)
}
