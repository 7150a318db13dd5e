//! What Linux says of this process (`proc(5)`); elsewhere nothing.

use std::fs;

/// `USER_HZ`: 100 on every Linux since 2.6.
const TICKS: f64 = 100.0;

/// Resident memory, bytes.
#[must_use]
pub(super) fn resident_bytes() -> Option<u64> {
    resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Processor time, seconds.
#[must_use]
pub(super) fn cpu_seconds() -> Option<f64> {
    cpu(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Fields 14 and 15; the name in field 2 may hold blanks and brackets.
fn cpu(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   1024 kB\n"), Some(1_048_576));
        assert_eq!(cpu("7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0"), Some(2.0));
        assert_eq!((resident(""), cpu("")), (None, None));
    }
}
