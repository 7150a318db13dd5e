//! The checks of the authorization endpoint, one function each.

use super::{AcrClaim, Draft, MAX_SCOPES, MAX_VALUE};
use crate::login::level;
use crate::oauth::error::Reason;
use crate::oauth::pkce;
use crate::oauth::resource;
use crate::oauth::response_mode::ResponseMode;
use crate::oauth::response_type::ResponseType;
use crate::oauth::scope;
use crate::realm::Profile;

/// Parameters whose length is limited; others are not read.
const READ: [&str; 13] = [
    "scope",
    "state",
    "nonce",
    "prompt",
    "login_hint",
    "acr_values",
    "ui_locales",
    "claims",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "response_type",
    "response_mode",
];

/// AZ-01, AZ-03: exactly one `client_id`, at most one `redirect_uri`.
pub(super) fn client_id(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let params = draft.params;
    if draft.sent("client_id").is_none() || params.count("client_id") > 1 || params.count("redirect_uri") > 1 {
        return Err(Reason::InvalidRequest);
    }
    Ok(())
}

/// The client stands, is switched on and has a login.
pub(super) fn client(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let name = draft.params.get("client_id").unwrap_or_default();
    let client = draft.records.client(name).ok_or(Reason::ClientNotFound)?;
    if client.settings.protocol != "openid-connect" {
        return Err(Reason::WrongClientProtocol);
    }
    if !client.settings.enabled {
        return Err(Reason::ClientDisabled);
    }
    if client.settings.bearer_only {
        return Err(Reason::BearerOnlyLogin);
    }
    draft.client = Some(client);
    Ok(())
}

/// RFC 9101: request objects are not taken (discovery says so), so one is never half believed.
pub(super) fn request_object(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let sent = draft.sent("request").or_else(|| draft.sent("request_uri"));
    if sent.is_some() { Err(Reason::InvalidRequest) } else { Ok(()) }
}

/// A `max_age` that is no number is a broken request; no login is younger than a negative one (Keycloak 26.4).
pub(super) fn max_age(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let seconds = draft.sent("max_age").map(str::parse).transpose();
    draft.max_age = seconds.map_err(|_| Reason::InvalidRequest)?;
    Ok(())
}

/// RFC 6749 §3.1.2: registered, or the only registered one where OAuth 2.0 alone is spoken.
pub(super) fn redirect_uri(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let client = draft.client.ok_or(Reason::InvalidRequest)?;
    let matching = draft.matching(client);
    let openid = scope::names_openid(draft.params.get("scope").unwrap_or_default());
    let found = match draft.params.get("redirect_uri") {
        Some(uri) => matching.find(uri),
        None if draft.params.has("redirect_uri") || openid => None,
        None => matching.only_registered(),
    };
    draft.redirect = Some(found.ok_or(Reason::InvalidRedirectUri)?);
    Ok(())
}

/// SE-21: bounded before anything is stored.
pub(super) fn lengths(draft: &mut Draft<'_>) -> Result<(), Reason> {
    match READ.into_iter().find(|name| draft.params.raw(name).is_some_and(|v| v.len() > MAX_VALUE)) {
        Some(name) => Err(Reason::ParameterTooLong(name.to_owned())),
        None => Ok(()),
    }
}

/// The mode is settled first, so that later refusals travel the way the client asked for.
pub(super) fn response_mode_word(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let response_type = ResponseType::parse(draft.params.get("response_type").unwrap_or_default());
    draft.mode = ResponseMode::default_of(response_type.is_some_and(ResponseType::is_front));
    if let Some(word) = draft.sent("response_mode") {
        draft.mode = ResponseMode::parse(word).ok_or(Reason::InvalidResponseMode)?;
    }
    Ok(())
}

/// AZ-03: one value each, resources aside: they are judged with the client's own.
pub(super) fn repeated(draft: &mut Draft<'_>) -> Result<(), Reason> {
    if draft.params.repeated_besides(&[resource::PARAMETER]).is_some() {
        Err(Reason::DuplicatedParameter)
    } else {
        Ok(())
    }
}

/// AZ-05: known words only, and `none` alone.
pub(super) fn response_type(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let text = draft.sent("response_type").ok_or(Reason::MissingResponseType)?;
    draft.response_type = ResponseType::parse(text).ok_or(Reason::UnsupportedResponseType)?;
    Ok(())
}

/// Tokens never travel in a query (OAuth 2.0 Multiple Response Types §3).
pub(super) fn response_mode(draft: &mut Draft<'_>) -> Result<(), Reason> {
    if draft.response_type.is_front() && draft.mode == ResponseMode::Query {
        return Err(Reason::QueryModeForTokens);
    }
    Ok(())
}

/// AZ-06: what the profile gives, then the client's flow switches. The hybrid flow needs both (Keycloak 26.4).
pub(super) fn flow_allowed(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let client = draft.client.ok_or(Reason::InvalidRequest)?;
    let asked = draft.response_type;
    if !ResponseType::offered(draft.profile()).contains(&asked.as_str()) {
        return Err(Reason::UnsupportedResponseType);
    }
    if (asked.code || !asked.is_front()) && !client.settings.standard_flow_enabled {
        return Err(Reason::StandardFlowOff);
    }
    if asked.is_front() && !client.settings.implicit_flow_enabled {
        return Err(Reason::ImplicitFlowOff);
    }
    // RFC 9449 §5: only the token endpoint sees a proof, so a token that travels by the browser could not be bound.
    if asked.token && client.flag("dpop.bound.access.tokens") {
        return Err(Reason::UnsupportedResponseType);
    }
    Ok(())
}

/// RFC 8707 §2.1 (TE-32).
pub(super) fn resource(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let client = draft.client.ok_or(Reason::InvalidRequest)?;
    draft.resources = resource::asked(draft.records, client, draft.params)?;
    Ok(())
}

/// OIDC Core §3.2.2.1, §3.3.2.11: an ID token in the front channel needs a nonce.
pub(super) fn nonce(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let needed = draft.response_type.id_token && draft.params.get("nonce").is_none();
    if needed { Err(Reason::MissingNonce) } else { Ok(()) }
}

/// RFC 9126 §5: a client that must push cannot ask here.
pub(super) fn pushed(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let must = draft.client.is_some_and(|c| c.flag("require.pushed.authorization.requests"));
    if must && draft.pushed.is_none() { Err(Reason::PushedRequestRequired) } else { Ok(()) }
}

/// RFC 6749 §3.3: words of the client only; in a strict realm each once (AZ-08), never more than a hundred (DS-13).
pub(super) fn scopes(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let Some(text) = draft.sent("scope") else { return Ok(()) };
    let client = draft.client.ok_or(Reason::InvalidRequest)?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let twice = words.iter().enumerate().any(|(i, w)| words.iter().skip(i + 1).any(|o| o == w));
    if words.len() > MAX_SCOPES || (draft.profile() == Profile::Strict && twice) {
        return Err(Reason::InvalidScopes(text.to_owned()));
    }
    scope::validate(draft.records, client, text)
}

/// AZ-09: `none` stands alone in a strict realm; in a keycloak realm it wins (Keycloak 26.4).
pub(super) fn prompt(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let words = draft.params.get("prompt").unwrap_or_default().split_whitespace().count();
    let none = super::Prompt::parse(draft.params.get("prompt").unwrap_or_default()).none;
    let combined = draft.profile() == Profile::Strict && none && words > 1;
    if combined { Err(Reason::PromptNoneCombined) } else { Ok(()) }
}

/// AZ-31: `claims` that cannot be read are refused; a keycloak realm goes on without them (Keycloak 26.4). An essential `acr` that
/// is no level of this realm could never be reached.
pub(super) fn claims(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let Some(text) = draft.params.get("claims") else { return Ok(()) };
    let client = draft.client.ok_or(Reason::InvalidRequest)?;
    draft.acr_claim = match AcrClaim::parse(text) {
        Ok(claim) => claim,
        Err(_) if draft.profile() == Profile::Strict => return Err(Reason::InvalidClaims),
        Err(_) => None,
    };
    let unknown = draft.acr_claim.as_ref().is_some_and(|claim| level::is_unknown(draft.records, client, claim));
    if unknown { Err(Reason::InvalidClaims) } else { Ok(()) }
}

/// RFC 7636 §4.3, §4.4.1 (PC-08 to PC-11). Without a code there is nothing to bind (Keycloak 26.4 asks for it beside `none` too).
pub(super) fn code_challenge(draft: &mut Draft<'_>) -> Result<(), Reason> {
    let client = draft.client.ok_or(Reason::InvalidRequest)?;
    let strict = draft.profile() == Profile::Strict;
    if draft.response_type.is_implicit() || (strict && !draft.response_type.code) {
        return Ok(());
    }
    let configured = client.attribute("pkce.code.challenge.method").filter(|m| !m.is_empty());
    let bound = if strict { Some("S256") } else { configured };
    draft.challenge = pkce::asked(draft.params, bound, strict)?;
    Ok(())
}
