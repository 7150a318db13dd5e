//! Runs the target `redirect_uri`.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_fuzz::runner::main("redirect_uri", portcullis_fuzz::redirect_uri)
}
