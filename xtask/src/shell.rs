//! Starting other programs from the root of the repository, with a line before and after.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

/// Something must be installed by hand: exit code 2.
#[derive(Debug)]
pub(crate) struct Missing(pub(crate) String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Where everything stands, and what was done so far.
pub(crate) struct Shell {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) metadata: Metadata,
    started: Instant,
    done: RefCell<Vec<(String, Duration, bool)>>,
}

impl Shell {
    pub(crate) fn new() -> Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        Ok(Self {
            root: metadata.workspace_root.clone().into(),
            target: metadata.target_directory.clone().into(),
            metadata,
            started: now(),
            done: RefCell::default(),
        })
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub(crate) fn run(&self, title: &str, mut command: Command) -> Result<()> {
        println!("[{}] {title} ...", clock(self.started.elapsed()));
        let begun = now();
        if command.get_current_dir().is_none() {
            command.current_dir(&self.root);
        }
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command.status().with_context(|| format!("{title}: {program} does not start"))?;
        let (took, word) = (begun.elapsed(), if status.success() { "ok" } else { "FAILED" });
        println!("[{}] {title}: {word} after {}", clock(self.started.elapsed()), clock(took));
        self.done.borrow_mut().push((title.to_owned(), took, status.success()));
        if !status.success() {
            bail!("{title} failed");
        }
        Ok(())
    }

    /// Prints everything that ran with its time.
    pub(crate) fn summary(&self) {
        println!("\nsummary after {}", clock(self.started.elapsed()));
        for (title, took, good) in self.done.borrow().iter() {
            let word = if *good { "ok" } else { "FAILED" };
            println!("  {word:<6} {:>7}  {title}", clock(*took));
        }
    }
}

/// `cargo` with these arguments.
pub(crate) fn cargo(args: &[&str]) -> Command {
    command("cargo", args)
}

/// Any program.
pub(crate) fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// Whether a program is there and answers to these arguments.
pub(crate) fn answers(program: &str, args: &[&str]) -> bool {
    command(program, args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

#[expect(clippy::disallowed_methods, reason = "progress lines tell how long a part took")]
fn now() -> Instant {
    Instant::now()
}

fn clock(span: Duration) -> String {
    format!("{}:{:02}", span.as_secs() / 60, span.as_secs() % 60)
}
