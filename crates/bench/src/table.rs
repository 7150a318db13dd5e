//! The printed table.

use std::fmt;

/// One row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// Per second (one server core), or empty.
    pub rate: String,
    /// Median and 99th percentile, or empty.
    pub latency: String,
    /// Server CPU per request, or empty.
    pub cpu: String,
    /// Anything else.
    pub note: String,
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a row and shows it at once, so that long work is seen to go on.
    pub fn push(&mut self, row: Row) {
        eprintln!("  {}: {} {} {} {}", row.what, row.rate, row.latency, row.cpu, row.note);
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | per second | p50 / p99 | server CPU per request | note |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "| {} | {} | {} | {} | {} |", row.what, row.rate, row.latency, row.cpu, row.note)?;
        }
        Ok(())
    }
}

/// `12,345`.
#[must_use]
pub fn thousands(n: f64) -> String {
    let digits = format!("{n:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
