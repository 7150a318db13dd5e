//! JSON as strict as a realm file needs it: no member twice, bounded depth, bounded size.

use portcullis_jose::parse_located;
use serde_json::Value;

use super::refusal::{Reason, Refusal};

/// Largest realm file, bytes.
pub const MAX_BYTES: usize = 512 * 1024 * 1024;
/// Deepest nesting (a group tree needs two levels per group).
pub const MAX_DEPTH: usize = 100;

/// Reads one JSON value.
///
/// # Errors
/// [`Reason::TooLarge`], [`Reason::Duplicate`], or [`Reason::Syntax`] with line and column.
pub fn strict(bytes: &[u8]) -> Result<Value, Refusal> {
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::at("", Reason::TooLarge(MAX_BYTES)));
    }
    parse_located(bytes, MAX_DEPTH).map_err(|refusal| match refusal.member {
        Some(name) => {
            let place = format!("line {} column {}", refusal.line, refusal.column);
            Refusal::at(place, Reason::Duplicate(name))
        }
        None => Refusal::at("", Reason::Syntax(refusal.words)),
    })
}

/// Line and column (both from 1) where Keycloak's parser stands when it refuses the top-level member `name`: behind the
/// first token of its value. For valid JSON; `None` when there is no such member.
#[must_use]
pub fn behind_member(bytes: &[u8], name: &str) -> Option<(usize, usize)> {
    let at = |i: usize| bytes.get(i).copied();
    let skip = |mut i: usize| {
        while at(i).is_some_and(|b| b.is_ascii_whitespace()) {
            i += 1;
        }
        i
    };
    let (mut i, mut depth) = (0, 0_usize);
    loop {
        match at(i)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = string_end(bytes, i)?;
                let colon = skip(end);
                let named = bytes.get(i + 1..end - 1) == Some(name.as_bytes());
                if depth == 1 && named && at(colon) == Some(b':') {
                    return Some(position(bytes, token_end(bytes, skip(colon + 1))?));
                }
                i = end;
                continue;
            }
            _ => {}
        }
        i += 1;
    }
}

/// The index behind the closing quote of the string that opens at `start`.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut i = start + 1;
    loop {
        match bytes.get(i)? {
            b'"' => return Some(i + 1),
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
}

/// Behind a bracket or an opening quote (strings are read lazily), else behind the whole token.
fn token_end(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'{' | b'[' | b'"' => Some(start + 1),
        _ => {
            let rest = bytes.get(start..)?;
            let len = rest.iter().position(|b| b",]}".contains(b) || b.is_ascii_whitespace()).unwrap_or(rest.len());
            Some(start + len)
        }
    }
}

fn position(bytes: &[u8], index: usize) -> (usize, usize) {
    let before = bytes.get(..index).unwrap_or(bytes);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    (line, index - start + 1)
}
