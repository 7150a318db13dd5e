//! One event of the feed, verified: signature, type, issuer, age, shape.

use portcullis_jose::{Algorithm, AudienceRule, KeySet, Limits, Profile, Reject, TypeRule, Verified, jwt};
use serde_json::Value;

/// Largest event, bytes.
pub(super) const MAX_EVENT: usize = 256 * 1024;

/// What an event says besides its cut-offs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    After(i64),
    Page { number: u64, last: bool },
    Heartbeat,
}

/// One cut-off as told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cut {
    pub(super) kind: String,
    pub(super) value: String,
    pub(super) before: i64,
    pub(super) expires_at: i64,
}

/// A verified event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) issued_at: i64,
    pub(super) epoch: i64,
    pub(super) sequence: i64,
    pub(super) part: Part,
    pub(super) cuts: Vec<Cut>,
}

/// The rules of an event; clocks may differ by `leeway` seconds.
pub(super) fn profile(issuer: &str, leeway: i64) -> Profile {
    let algorithms: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|a| !a.is_symmetric()).collect();
    Profile::new(&algorithms, TypeRule::one_of(&["revocation+jwt"]), issuer, AudienceRule::Any)
        .leeway(leeway)
        .exp_optional()
        .with_limits(Limits { max_bytes: MAX_EVENT, max_depth: 8 })
}

/// Verifies and reads.
pub(super) fn read(text: &str, keys: &KeySet, profile: &Profile, now: i64) -> Result<Frame, Reject> {
    let token = jwt::verify(text, keys, profile, now)?;
    shape(&token).ok_or(Reject::BadClaimType("cuts"))
}

fn shape(token: &Verified) -> Option<Frame> {
    let number = |name: &str| token.get(name).and_then(Value::as_i64);
    let part = match (token.get("after"), token.get("page"), token.get("cuts")) {
        (None, None, None) => Part::Heartbeat,
        (Some(after), None, Some(_)) => Part::After(after.as_i64()?),
        (None, Some(page), Some(_)) => Part::Page { number: page.as_u64()?, last: token.get("last")?.as_bool()? },
        _ => return None,
    };
    let cuts = match token.get("cuts") {
        None => Vec::new(),
        Some(list) => list.as_array()?.iter().map(cut).collect::<Option<_>>()?,
    };
    Some(Frame { issued_at: token.iat()?, epoch: number("epoch")?, sequence: number("seq")?, part, cuts })
}

fn cut(value: &Value) -> Option<Cut> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| value.get(name).and_then(Value::as_i64);
    Some(Cut { kind: text("kind")?, value: text("value")?, before: number("before")?, expires_at: number("exp")? })
}
