//! Why a command failed: one clear line and the documented exit code (1 failed, 2 usage or configuration, 3 not found, 4 busy).

use std::fmt;
use std::process::ExitCode;

/// A failure that ends the program.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    line: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Failed,
    Configuration,
    NotFound,
    Busy,
}

impl Failure {
    /// Exit code 1.
    pub fn failed(line: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, line: line.into() }
    }

    /// Exit code 2.
    pub fn configuration(line: impl Into<String>) -> Self {
        Self { kind: Kind::Configuration, line: line.into() }
    }

    /// Exit code 3.
    pub fn not_found(line: impl Into<String>) -> Self {
        Self { kind: Kind::NotFound, line: line.into() }
    }

    /// Exit code 4: a port or a folder is in use.
    pub fn busy(line: impl Into<String>) -> Self {
        Self { kind: Kind::Busy, line: line.into() }
    }

    /// The process's exit code.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::Failed => 1,
            Kind::Configuration => 2,
            Kind::NotFound => 3,
            Kind::Busy => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl std::error::Error for Failure {}
