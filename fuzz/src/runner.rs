//! Runs a target over files, or over seeds that it mutates by a fixed sequence: the same seeds give the same run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io, panic};

/// One target: it panics when an invariant breaks.
pub type Target = fn(&[u8]);

/// Longest input, bytes: enough for every limit worth crossing.
const LONGEST: usize = 64 * 1024;

/// Steps of an ordinary run.
const ITERATIONS: u64 = 20_000;

/// An input that broke an invariant.
#[derive(Debug)]
pub struct Broken {
    /// The input.
    pub input: Vec<u8>,
    /// At which step.
    pub step: u64,
}

/// What a binary of this package does: `[--iterations N] [file ...]`. Files are run as they are; without any, the seeds are mutated.
#[must_use]
pub fn main(name: &str, target: Target) -> ExitCode {
    match command(name, target) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(broken)) => {
            println!("{name}: broken at step {} by {:?}", broken.step, String::from_utf8_lossy(&broken.input));
            println!("bytes: {:02x?}", broken.input);
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(name: &str, target: Target) -> io::Result<Option<Broken>> {
    let (iterations, files) = arguments()?;
    if files.is_empty() {
        return Ok(mutate(target, &seeds(name)?, iterations, &mut |step| println!("{name}: {step} of {iterations}")));
    }
    for (step, file) in (0..).zip(files) {
        let input = fs::read(&file)?;
        println!("{name}: {}", file.display());
        if !holds(target, &input) {
            return Ok(Some(Broken { input, step }));
        }
    }
    Ok(None)
}

fn arguments() -> io::Result<(u64, Vec<PathBuf>)> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "--iterations needs a number");
    let mut iterations = ITERATIONS;
    let mut files = Vec::new();
    let mut rest = env::args_os().skip(1);
    while let Some(argument) = rest.next() {
        if argument == "--iterations" {
            let number = rest.next().and_then(|n| n.into_string().ok()).and_then(|n| n.parse().ok());
            iterations = number.ok_or_else(wrong)?;
        } else {
            files.push(argument.into());
        }
    }
    Ok((iterations, files))
}

/// The seeds of a target, in the order of their names.
///
/// # Errors
/// The folder cannot be read or is empty.
pub fn seeds(name: &str) -> io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut paths = fs::read_dir(&folder)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    if paths.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("no seeds in {}", folder.display())));
    }
    paths.iter().map(fs::read).collect()
}

/// Runs the seeds as they are, then `iterations` mutations. `progress` hears every ten thousandth step.
pub fn mutate(target: Target, seeds: &[Vec<u8>], iterations: u64, progress: &mut dyn FnMut(u64)) -> Option<Broken> {
    for input in seeds {
        if !holds(target, input) {
            return Some(Broken { input: input.clone(), step: 0 });
        }
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for step in 1..=iterations {
        let input = dice.mutated(seeds);
        if !holds(target, &input) {
            return Some(Broken { input, step });
        }
        if step % 10_000 == 0 {
            progress(step);
        }
    }
    None
}

fn holds(target: Target, input: &[u8]) -> bool {
    panic::catch_unwind(|| target(input)).is_ok()
}

/// Marsaglia's xorshift64.
struct Dice(u64);

/// Bytes that grammars care about.
const SPECIAL: &[u8] = b".%&=+/\\?#@:;*\"'{}[],<>-_\0\r\n \t~0aAzZ\x7f\x80\xff";
/// Words that grammars care about.
const WORDS: [&str; 20] = [
    "none",
    "../",
    "%2e%2e",
    "%00",
    "%25",
    "//",
    "null",
    "-1",
    "1e400",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\u{e9}",
    "xn--",
    "https://",
    "@evil.test",
    "127.0.0.1",
    "[::1]",
    "&&",
];

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `bound`; 0 if there is no room.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.next().checked_rem(bound).unwrap_or(0)).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = self.below(all.len());
        all.get(at)
    }

    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(seeds).cloned().unwrap_or_default();
        for _ in 0..=self.below(6) {
            self.change(&mut input, seeds);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let to = (at + self.below(32)).min(input.len());
        match self.below(9) {
            0 => {
                let bit = 1 << self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= bit;
                }
            }
            1 => {
                let byte = self.pick(SPECIAL).copied().unwrap_or_default();
                input.insert(at, byte);
            }
            2 => {
                let byte = self.next().to_le_bytes().first().copied().unwrap_or_default();
                if let Some(old) = input.get_mut(at) {
                    *old = byte;
                }
            }
            3 => drop(input.drain(at..to)),
            4 => {
                let piece = input.get(at..to).unwrap_or_default().repeat(1 + self.below(40));
                input.splice(at..at, piece);
            }
            5 => {
                let word = self.pick(&WORDS).copied().unwrap_or_default();
                input.splice(at..at, word.bytes());
            }
            6 => {
                let word = self.pick(&WORDS).copied().unwrap_or_default();
                input.splice(at..to, word.bytes());
            }
            7 => {
                let other = self.pick(seeds).cloned().unwrap_or_default();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend(other.get(from..).unwrap_or_default());
            }
            _ => input.truncate(at),
        }
    }
}
