//! `client_secret_basic` and `client_secret_post` (RFC 6749 §2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_jose::digest;

use super::Method;
use crate::client::Client;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::realm::Profile;

/// Compares the secret. No password hash is computed: secrets are stored sealed, not hashed.
pub(super) fn prove(client: &Client, basic: Option<&(String, String)>, params: &Params) -> Result<Method, Reason> {
    let secret = client.secret.as_ref().filter(|s| !s.is_empty()).ok_or(Reason::BadClientCredentials)?;
    // Basic for A with client_id=B in the form tries B, and A's secret is not B's.
    let basic = basic.filter(|(id, _)| *id == client.client_id);
    let (given, method) = match (params.raw("client_secret"), basic) {
        (Some(secret), _) => (secret, Method::Post),
        (None, Some((_, secret))) => (secret.as_str(), Method::Basic),
        (None, None) => return Err(Reason::BadClientCredentials),
    };
    // Hashes have one length, so not even the length of the secret shows.
    let same = digest::constant_time_eq(&digest::sha256(given.as_bytes()), &digest::sha256(secret.expose().as_bytes()));
    match (same, given.is_empty()) {
        (_, true) => Err(Reason::BadClientCredentials),
        (true, false) => Ok(method),
        (false, false) => Err(Reason::WrongClientSecret),
    }
}

/// Reads `Authorization: Basic`. Another scheme and a value without colon count as absent (Keycloak 26.4). TE-05: a strict realm takes
/// one blank before the value, Keycloak several.
pub(super) fn basic(authorization: &[&str], profile: Profile) -> Result<Option<(String, String)>, Reason> {
    let header = match authorization {
        [] => return Ok(None),
        [one] => *one,
        _ => return Err(Reason::UndecodableClientAuthentication),
    };
    let Some((scheme, value)) = header.split_once(' ') else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let value = match profile {
        Profile::Keycloak => value.trim_start_matches(' '),
        Profile::Strict => value,
    };
    let bytes = STANDARD.decode(value).map_err(|_| Reason::UndecodableClientAuthentication)?;
    let text = String::from_utf8(bytes).map_err(|_| Reason::UndecodableClientAuthentication)?;
    let Some((id, secret)) = text.split_once(':') else { return Ok(None) };
    Ok(Some((form_decode(id)?, form_decode(secret)?)))
}

/// RFC 6749 §2.3.1: both halves are form-encoded.
fn form_decode(text: &str) -> Result<String, Reason> {
    let refused = Reason::UndecodableClientAuthentication;
    // A lone pair parser: `&` and `=` inside a half are data.
    let quoted = text.replace('&', "%26").replace('=', "%3D");
    let params = Params::parse(format!("v={quoted}").as_bytes()).map_err(|_| refused.clone())?;
    params.raw("v").map(str::to_owned).ok_or(refused)
}
