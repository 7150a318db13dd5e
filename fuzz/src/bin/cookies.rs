//! Runs the target `cookies`.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_fuzz::runner::main("cookies", portcullis_fuzz::cookies)
}
