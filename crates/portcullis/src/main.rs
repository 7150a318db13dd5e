//! The `portcullis` program.

use std::process::ExitCode;

/// Short requests are mostly allocations: 15 % of a token's CPU time with the C library's allocator (decision 0015).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::main()
}
