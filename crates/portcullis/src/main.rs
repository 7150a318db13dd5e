//! The `portcullis` program.

use std::process::ExitCode;

/// Short requests are mostly allocations: 10 % of a token's CPU time with the C library's allocator.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::main()
}
