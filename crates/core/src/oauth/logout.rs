//! Logout: RP-initiated (OpenID Connect RP-Initiated Logout 1.0) and by refresh token (Keycloak).
//!
//! **Owns** which request is refused, which one asks the person first, where it may go afterwards.
//! **Does not own** cookies and pages (idp), ending sessions (plans).

use portcullis_jose::{KeySet, Limits, jws};
use serde_json::Value;

use super::params::Params;
use super::redirect_uri::{MatchedRedirectUri, Matching};
use crate::client::Client;
use crate::ids::SessionId;
use crate::records::RealmRecords;

/// Client attribute that lists where a logout may lead, separated by `##`; `+` stands for the redirect URIs, `-` for none.
const POST_LOGOUT_URIS: &str = "post.logout.redirect.uris";

/// Client attribute (not Keycloak's) that lets the old parameter `redirect_uri` stand for `post_logout_redirect_uri`.
const OLD_PARAMETER: &str = "portcullis.logout.redirect_uri";

/// Languages that are looked at.
const MAX_LOCALES: usize = 10;

/// Why a logout is refused on a page (texts: Keycloak 26.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// An address without anything that says whose it is.
    MissingHint,
    /// Not an ID token of this realm for this client.
    InvalidHint,
    /// Not registered for logouts of this client.
    InvalidRedirect,
    /// A parameter that stands there twice.
    Repeated,
}

/// What a verified `id_token_hint` says. It may be past its end (RP-Initiated Logout §2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hint {
    /// `sid`
    pub session: Option<SessionId>,
    /// `sub`
    pub user: String,
    /// `azp`
    pub client_id: String,
}

/// A logout that may go on.
#[derive(Clone, Debug)]
pub struct ValidLogout<'a> {
    /// The client that asks, if it said so.
    pub client: Option<&'a Client>,
    /// What the hint says.
    pub hint: Option<Hint>,
    /// Where to go afterwards.
    pub redirect: Option<MatchedRedirectUri>,
    /// The address came in the old parameter: the person is asked unless a hint speaks for the session.
    pub old_parameter: bool,
    /// `state` to give back.
    pub state: Option<String>,
    /// `ui_locales`
    pub ui_locales: Vec<String>,
}

/// Whether the person is asked first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consent {
    /// The hint proves that the client speaks for this session.
    Given,
    /// Nobody is logged in: there is nothing to ask.
    Needless,
    /// Ask.
    Needed,
}

/// Judges a request of the logout endpoint.
///
/// # Errors
/// [`Refusal`].
pub fn decide<'a>(
    records: &'a RealmRecords,
    keys: &KeySet,
    issuer: &str,
    base: &str,
    params: &Params,
) -> Result<ValidLogout<'a>, Refusal> {
    let single = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"];
    if single.into_iter().any(|name| params.count(name) > 1) {
        return Err(Refusal::Repeated);
    }
    let (client_id, token) = (params.get("client_id"), params.get("id_token_hint"));
    let uri = params.get("post_logout_redirect_uri");
    if uri.is_some() && client_id.is_none() && token.is_none() {
        return Err(Refusal::MissingHint);
    }
    let hint = token.map(|token| read_hint(token, keys, issuer).ok_or(Refusal::InvalidHint)).transpose()?;
    if let (Some(hint), Some(client_id)) = (&hint, client_id)
        && hint.client_id != client_id
    {
        return Err(Refusal::InvalidHint);
    }
    let name = hint.as_ref().map(|h| h.client_id.as_str()).or(client_id);
    let named = name.and_then(|name| records.client(name)).filter(|c| c.settings.enabled);
    let old = if uri.is_some() { None } else { old_address(records, base, (name, named), params)? };
    let client = named.or(old.map(|(client, _)| client));
    let redirect = match uri.or(old.map(|(_, uri)| uri)) {
        None => None,
        Some(uri) => {
            let matched = client.and_then(|client| post_logout_redirect(records, client, base, uri));
            Some(matched.ok_or(Refusal::InvalidRedirect)?)
        }
    };
    let ui_locales = params.get("ui_locales").unwrap_or_default().split_whitespace().take(MAX_LOCALES);
    Ok(ValidLogout {
        client,
        hint,
        redirect,
        old_parameter: old.is_some(),
        state: params.get("state").map(str::to_owned),
        ui_locales: ui_locales.map(str::to_owned).collect(),
    })
}

/// The old parameter, where the client that asks takes it; nobody asked by name: the first client that takes and registered it.
fn old_address<'a, 'p>(
    records: &'a RealmRecords,
    base: &str,
    (name, named): (Option<&str>, Option<&'a Client>),
    params: &'p Params,
) -> Result<Option<(&'a Client, &'p str)>, Refusal> {
    let Some(uri) = params.get("redirect_uri") else { return Ok(None) };
    let takes = |client: &&Client| client.settings.enabled && client.flag(OLD_PARAMETER);
    let client = match name {
        Some(_) => named.filter(takes),
        None => records.clients().filter(takes).find(|c| post_logout_redirect(records, c, base, uri).is_some()),
    };
    if client.is_some() && params.count("redirect_uri") > 1 {
        return Err(Refusal::Repeated);
    }
    Ok(client.map(|client| (client, uri)))
}

/// Matches an address against what the client registered for logouts. Nothing registered: nowhere to go.
#[must_use]
pub fn post_logout_redirect(
    records: &RealmRecords,
    client: &Client,
    base: &str,
    uri: &str,
) -> Option<MatchedRedirectUri> {
    let mut registered = Vec::new();
    for entry in client.attribute(POST_LOGOUT_URIS)?.split("##").map(str::trim).filter(|e| !e.is_empty()) {
        match entry {
            "+" => registered.extend(client.redirect_uris.iter().cloned()),
            "-" => return None,
            entry => registered.push(entry.to_owned()),
        }
    }
    let asked = Client { redirect_uris: registered, ..client.clone() };
    Matching { client: &asked, profile: records.realm.profile(), base }.find(uri)
}

/// Whether to ask, given the session of the browser that came.
#[must_use]
pub fn consent(valid: &ValidLogout<'_>, browser: Option<&SessionId>) -> Consent {
    match (&valid.hint, browser) {
        (Some(hint), Some(here)) if hint.session.as_ref() == Some(here) => Consent::Given,
        // Another session than the browser's: the person decides (Keycloak 26.4).
        (_, Some(_)) => Consent::Needed,
        (Some(_), None) => Consent::Given,
        (None, None) if valid.redirect.is_some() && !valid.old_parameter => Consent::Needless,
        (None, None) => Consent::Needed,
    }
}

/// An ID token that we signed, of any age.
pub(super) fn read_hint(token: &str, keys: &KeySet, issuer: &str) -> Option<Hint> {
    let claims = signed(token, keys, issuer)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("typ") != Some("ID") {
        return None;
    }
    let azp = text("azp").or_else(|| text("aud"))?.to_owned();
    Some(Hint { session: text("sid").map(SessionId::new), user: text("sub")?.to_owned(), client_id: azp })
}

/// What a refresh token given to the logout endpoint says. Its age does not matter (surface §1.11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogoutToken {
    /// `sid`
    pub session: SessionId,
    /// `azp`
    pub client_id: String,
}

/// Reads a refresh or offline token of this realm.
#[must_use]
pub fn read_refresh_token(token: &str, keys: &KeySet, issuer: &str) -> Option<LogoutToken> {
    let claims = signed(token, keys, issuer)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if !matches!(text("typ"), Some("Refresh" | "Offline")) {
        return None;
    }
    Some(LogoutToken { session: SessionId::new(text("sid")?), client_id: text("azp")?.to_owned() })
}

/// Claims of a token signed by a key of the realm for its issuer, whatever its times say.
fn signed(token: &str, keys: &KeySet, issuer: &str) -> Option<serde_json::Map<String, Value>> {
    let parsed = jws::parse(token, &Limits::default()).ok()?;
    let key = keys.find(parsed.header().kid.as_deref(), parsed.header().alg)?;
    parsed.verify(key).ok()?;
    let claims = parsed.unverified_claims();
    (claims.get("iss").and_then(Value::as_str) == Some(issuer)).then(|| claims.clone())
}

#[cfg(test)]
mod tests;
