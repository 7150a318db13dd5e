//! Runs the target `realm_file`.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_fuzz::runner::main("realm_file", portcullis_fuzz::realm_file)
}
