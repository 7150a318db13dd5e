//! The public keys of a client, where Keycloak 26.4 keeps them: behind `jwks.url`, in `jwks.string`, as certificate or as bare key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_jose::{Jwk, JwkSet, KeySet};

use crate::client::Client;

/// Longest certificate or key read, characters.
const MAX_TEXT: usize = 16 * 1024;

/// The keys. `fetched` are those of `jwks.url`; `kid` is what a single registered key, which has no name, is called.
pub(super) fn of(client: &Client, fetched: Option<&KeySet>, kid: Option<&str>) -> Option<KeySet> {
    if client.flag("use.jwks.url") {
        return fetched.cloned();
    }
    let set = if client.flag("use.jwks.string") {
        JwkSet::parse(client.attribute("jwks.string")?.as_bytes()).ok()?
    } else {
        let mut key = registered(client)?;
        key.kid = kid.map(str::to_owned);
        JwkSet { keys: vec![key] }
    };
    Some(KeySet::from_jwks(&set))
}

/// Where the client publishes its keys.
pub(super) fn address(client: &Client) -> Option<&str> {
    client.attribute("jwks.url").filter(|url| client.flag("use.jwks.url") && !url.is_empty())
}

fn registered(client: &Client) -> Option<Jwk> {
    let text = |name| client.attribute(name).filter(|text| !text.is_empty());
    match text("jwt.credential.certificate") {
        Some(certificate) => Jwk::from_certificate(&der(certificate)?).ok(),
        None => Jwk::from_spki(&der(text("jwt.credential.public.key")?)?).ok(),
    }
}

/// Base64 of DER, with or without the lines of PEM.
fn der(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let bare: String = lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(bare).ok()
}
