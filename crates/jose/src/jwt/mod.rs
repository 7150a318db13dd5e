//! Tokens judged: signature first, then every rule of a profile.
//!
//! Owns: the profile (what is acceptable here), the order of checks, the verified result.
//! Does not own: the token's shape (`jws`), whose keys to use, what claims grant.
//! Flow: token -> `jws::parse` -> header rules -> key by (kid, alg) -> signature -> claims -> [`Verified`].

mod profile;
mod verified;

pub use profile::{AudienceRule, Profile, TypeRule};
pub use verified::Verified;

use crate::{Header, KeySet, Parsed, Reject, jws};

/// Verifies a token against one issuer's keys. `now` is epoch seconds.
///
/// # Errors
/// The first [`Reject`]; a claim is looked at only once the signature has verified.
pub fn verify(token: &str, keys: &KeySet, profile: &Profile, now: i64) -> Result<Verified, Reject> {
    verify_parsed(jws::parse(token, profile.limits())?, keys, profile, now)
}

/// The same for a token already parsed, for instance to find its issuer's keys.
///
/// # Errors
/// The first [`Reject`].
pub fn verify_parsed(parsed: Parsed<'_>, keys: &KeySet, profile: &Profile, now: i64) -> Result<Verified, Reject> {
    let header = parsed.header();
    refuse_embedded_key(header)?;
    profile.check_header(header)?;
    let key = keys.find(header.kid.as_deref(), header.alg).ok_or(Reject::UnknownKey)?;
    parsed.verify(key)?;
    let (header, claims) = parsed.into_parts();
    let verified = Verified::read(header, claims)?;
    profile.check_claims(&verified, now)?;
    Ok(verified)
}

/// Keys come from the issuer's set only; a header that brings its own is an attack or a mistake (JW-11).
fn refuse_embedded_key(header: &Header) -> Result<(), Reject> {
    let found = [("jwk", header.has_jwk), ("jku", header.has_jku), ("x5u", header.has_x5u), ("x5c", header.has_x5c)];
    match found.into_iter().find(|(_, present)| *present) {
        Some((name, _)) => Err(Reject::EmbeddedKey(name)),
        None => Ok(()),
    }
}
