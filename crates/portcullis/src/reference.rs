//! Reference tables of the documentation, made from the code that acts on them.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;

use crate::command::Cli;
use crate::failure::Failure;
use crate::telemetry::{metrics, spans};

/// Writes the tables to a folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path) -> Result<(), Failure> {
    for (name, text) in
        [("command-line.md", command_line()), ("metrics.md", metrics::reference()), ("traces.md", spans::reference())]
    {
        let file = folder.join(name);
        std::fs::write(&file, text).map_err(|e| Failure::failed(format!("{}: {e}", file.display())))?;
        println!("{}", file.display());
    }
    Ok(())
}

fn command_line() -> String {
    let mut text = String::from(
        "# Command line\n\nMade from the code by `cargo xtask docs`. Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 not found, 4 busy.\n",
    );
    let root = Cli::command();
    section(&mut text, "portcullis", &root);
    for command in root.get_subcommands().filter(|c| !c.is_hide_set()) {
        let name = format!("portcullis {}", command.get_name());
        section(&mut text, &name, command);
        for below in command.get_subcommands() {
            section(&mut text, &format!("{name} {}", below.get_name()), below);
        }
    }
    text
}

fn section(text: &mut String, name: &str, command: &clap::Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n## `{name}`\n\n{about}\n\n| option | default | what |\n|---|---|---|\n");
    for argument in
        command.get_arguments().filter(|a| !a.is_hide_set() && a.get_id() != "help" && a.get_id() != "version")
    {
        let long = argument.get_long().unwrap_or_default();
        let value = argument.get_value_names().map(|v| v.join(" ")).filter(|_| argument.get_action().takes_values());
        let flag = match value {
            Some(value) if long.is_empty() => value,
            Some(value) => format!("--{long} {value}"),
            None => format!("--{long}"),
        };
        let default: Vec<String> =
            argument.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
        let default = if argument.get_action().takes_values() { default.join(" ") } else { String::new() };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "| `{flag}` | {default} | {help} |");
    }
}
