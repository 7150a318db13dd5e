//! The authorization endpoint (RFC 6749 §3.1, OIDC Core §3.1.2) as a table of checks.
//!
//! Order is law: parse -> client -> redirect URI -> everything else. Only after the third may an error travel by redirect.

mod acr_claim;
mod checks;
mod prompt;

pub use acr_claim::AcrClaim;
pub use prompt::Prompt;

use serde::{Deserialize, Serialize};

use super::device::DeviceCall;
use portcullis_jose::KeySet;

use super::error::Reason;
use super::logout;
use super::par::PushedCall;
use super::params::Params;
use super::redirect_uri::{MatchedRedirectUri, Matching};
use super::resource;
use super::response_mode::{self, ResponseMode};
use super::response_type::ResponseType;
use crate::client::Client;
use crate::flow::CodeChallenge;
use crate::ids::{ClientUuid, UserId};
use crate::realm::Profile;
use crate::records::RealmRecords;

/// Longest value of a parameter, bytes (SE-21; Keycloak 26.4 has the same number).
pub const MAX_VALUE: usize = 4000;

/// Most words in `scope` (DS-13).
pub const MAX_SCOPES: usize = 100;

/// A request that passed every check, as data: kept in the login flow and, sealed, in the restart cookie.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuthorizeRequest {
    /// Keycloak's id of the client.
    pub client: ClientUuid,
    /// `client_id`
    pub client_id: String,
    /// `redirect_uri` as sent; `None` when the only registered one was meant.
    pub redirect_uri: Option<String>,
    /// `response_type`.
    pub response_type: ResponseType,
    /// `response_mode`, asked or default.
    pub response_mode: ResponseMode,
    /// `scope` as sent (empty when absent).
    pub scope: String,
    /// `state`, even when empty.
    pub state: Option<String>,
    /// `nonce`
    pub nonce: Option<String>,
    /// `prompt`
    pub prompt: Prompt,
    /// `max_age`, seconds.
    pub max_age: Option<i64>,
    /// `login_hint`
    pub login_hint: Option<String>,
    /// `acr_values`, in order of preference.
    pub acr_values: Vec<String>,
    /// What `claims` says of `acr`.
    pub acr_claim: Option<AcrClaim>,
    /// `ui_locales`, in order of preference.
    pub ui_locales: Vec<String>,
    /// `resource`, sorted (RFC 8707).
    pub resources: Vec<String>,
    /// RFC 7636.
    pub challenge: Option<CodeChallenge>,
    /// RFC 9449 §10.
    pub dpop_jkt: Option<String>,
    /// Whom a verified `id_token_hint` names (strict realms): nobody else is logged in by this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<UserId>,
    /// The device grant that this login is about (RFC 8628 §3.3): its end is an approval, not a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceCall>,
    /// The request that the client left here before the browser came (RFC 9126): one answer uses it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<PushedCall>,
}

/// Proof that a request passed the table against the realm as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValidAuthorize {
    request: AuthorizeRequest,
    redirect: MatchedRedirectUri,
}

impl ValidAuthorize {
    /// The request.
    #[must_use]
    pub fn request(&self) -> &AuthorizeRequest {
        &self.request
    }

    /// Where the answer goes.
    #[must_use]
    pub fn redirect(&self) -> &MatchedRedirectUri {
        &self.redirect
    }

    /// Reads `id_token_hint` (OIDC Core §3.1.2.1; AZ-11): an ID token of this realm for this client, expired or not. It logs nobody in.
    /// Keycloak 26.4 ignores it, and so does a keycloak realm.
    ///
    /// # Errors
    /// A hint of anything else.
    pub fn hinted(
        mut self,
        records: &RealmRecords,
        params: &Params,
        keys: &KeySet,
        issuer: &str,
    ) -> Result<Self, Refusal> {
        let strict = records.realm.profile() == Profile::Strict;
        let Some(token) = params.get("id_token_hint").filter(|_| strict) else { return Ok(self) };
        match logout::read_hint(token, keys, issuer).filter(|hint| hint.client_id == self.request.client_id) {
            Some(hint) => {
                self.request.subject = Some(hint.user.as_str().into());
                Ok(self)
            }
            None => Err(Refusal::Redirect {
                to: self.redirect,
                mode: self.request.response_mode,
                state: self.request.state,
                // Only strict realms refuse a hint, and those always name themselves.
                names_issuer: true,
                reason: Reason::InvalidIdTokenHint,
            }),
        }
    }
}

/// Why a request goes no further, and who may be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Shown by this server; nothing goes to the client.
    Page(Reason),
    /// Sent to the matched redirect URI.
    Redirect {
        /// Where to.
        to: MatchedRedirectUri,
        /// How.
        mode: ResponseMode,
        /// `state` to give back.
        state: Option<String>,
        /// Whether the answer names the issuer (RFC 9207).
        names_issuer: bool,
        /// Why.
        reason: Reason,
    },
}

/// The doors that share the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// The authorization endpoint itself.
    Authorize,
    /// The endpoint that keeps requests until the browser comes (RFC 9126): nobody is redirected.
    Push,
    /// Data of this server that comes back (restart cookie, login flow): judged as a fresh request (AZ-07).
    Restart,
}

/// What the checks look at and fill in.
struct Draft<'a> {
    records: &'a RealmRecords,
    base: &'a str,
    params: &'a Params,
    client: Option<&'a Client>,
    redirect: Option<MatchedRedirectUri>,
    response_type: ResponseType,
    mode: ResponseMode,
    challenge: Option<CodeChallenge>,
    acr_claim: Option<AcrClaim>,
    resources: Vec<String>,
    max_age: Option<i64>,
    pushed: Option<PushedCall>,
}

type Check = fn(&mut Draft<'_>) -> Result<(), Reason>;

use Door::{Authorize, Push, Restart};

/// The table: name, check, doors. Up to `redirect_uri` a refusal is a page, from there on it travels.
const TABLE: &[(&str, Check, &[Door])] = &[
    ("client_id", checks::client_id, &[Authorize, Push, Restart]),
    ("client", checks::client, &[Authorize, Push, Restart]),
    ("request object", checks::request_object, &[Authorize, Push, Restart]),
    ("max_age", checks::max_age, &[Authorize, Push, Restart]),
    ("redirect_uri", checks::redirect_uri, &[Authorize, Push, Restart]),
    // --- from here on the client may be told ---
    ("lengths", checks::lengths, &[Authorize, Push, Restart]),
    ("response_mode known", checks::response_mode_word, &[Authorize, Push, Restart]),
    ("repeated", checks::repeated, &[Authorize, Push, Restart]),
    ("response_type", checks::response_type, &[Authorize, Push, Restart]),
    ("response_mode", checks::response_mode, &[Authorize, Push, Restart]),
    ("flow allowed", checks::flow_allowed, &[Authorize, Push, Restart]),
    ("pushed", checks::pushed, &[Authorize, Restart]),
    ("scope", checks::scopes, &[Authorize, Push, Restart]),
    ("resource", checks::resource, &[Authorize, Push, Restart]),
    ("nonce", checks::nonce, &[Authorize, Push, Restart]),
    ("prompt", checks::prompt, &[Authorize, Push, Restart]),
    ("claims", checks::claims, &[Authorize, Push, Restart]),
    ("code_challenge", checks::code_challenge, &[Authorize, Push, Restart]),
];

/// Runs the table over a request.
///
/// # Errors
/// The first check that refuses, with who may be told.
pub fn decide(records: &RealmRecords, base: &str, params: &Params) -> Result<ValidAuthorize, Refusal> {
    run(records, base, params, (Door::Authorize, None))
}

/// Runs the table over a request that was pushed and has now come back by its handle (AZ-21).
///
/// # Errors
/// As [`decide`].
pub(crate) fn decide_pushed(
    records: &RealmRecords,
    base: &str,
    params: &Params,
    call: PushedCall,
) -> Result<ValidAuthorize, Refusal> {
    run(records, base, params, (Door::Authorize, Some(call)))
}

/// Runs the table over a request that is to be kept. Nothing is redirected: the client itself is told.
///
/// # Errors
/// The first check that refuses.
pub(crate) fn push(records: &RealmRecords, base: &str, params: &Params) -> Result<(), Reason> {
    match run(records, base, params, (Door::Push, None)) {
        Ok(_) => Ok(()),
        Err(Refusal::Page(reason) | Refusal::Redirect { reason, .. }) => Err(reason),
    }
}

/// Runs the table again over a request that this server kept (AZ-07, AZ-21): a client disabled or a URI removed meanwhile refuses.
/// A device's request has no address to go to and never passes: [`super::device::standing`] judges it.
///
/// # Errors
/// As [`decide`].
pub fn revalidate(records: &RealmRecords, base: &str, request: &AuthorizeRequest) -> Result<ValidAuthorize, Refusal> {
    if request.device.is_some() {
        return Err(Refusal::Page(Reason::InvalidRequest));
    }
    let mut valid = run(records, base, &request.to_params(), (Door::Restart, request.pushed.clone()))?;
    valid.request.subject.clone_from(&request.subject);
    Ok(valid)
}

/// `pushed`: the handle that the request came by.
fn run(
    records: &RealmRecords,
    base: &str,
    params: &Params,
    (door, pushed): (Door, Option<PushedCall>),
) -> Result<ValidAuthorize, Refusal> {
    let mut draft = Draft { pushed, ..Draft::new(records, base, params) };
    for (_, check, _) in TABLE.iter().filter(|(_, _, doors)| doors.contains(&door)) {
        check(&mut draft).map_err(|reason| draft.refusal(reason))?;
    }
    draft.finish()
}

impl<'a> Draft<'a> {
    fn new(records: &'a RealmRecords, base: &'a str, params: &'a Params) -> Self {
        Self {
            records,
            base,
            params,
            client: None,
            redirect: None,
            response_type: ResponseType::CODE,
            mode: ResponseMode::Query,
            challenge: None,
            acr_claim: None,
            resources: Vec::new(),
            max_age: None,
            pushed: None,
        }
    }

    fn profile(&self) -> Profile {
        self.records.realm.profile()
    }

    /// A parameter as it was sent, empty or not as the profile has it.
    fn sent(&self, name: &str) -> Option<&'a str> {
        self.params.sent(self.profile(), name)
    }

    fn matching(&self, client: &'a Client) -> Matching<'a> {
        Matching { client, profile: self.profile(), base: self.base }
    }

    fn refusal(&self, reason: Reason) -> Refusal {
        match &self.redirect {
            None => Refusal::Page(reason),
            Some(to) => {
                let state = self.params.raw("state").filter(|s| s.len() <= MAX_VALUE).map(str::to_owned);
                let names_issuer = self.client.is_none_or(|client| response_mode::names_issuer(self.records, client));
                Refusal::Redirect { to: to.clone(), mode: self.mode, state, names_issuer, reason }
            }
        }
    }

    fn finish(self) -> Result<ValidAuthorize, Refusal> {
        let (Some(client), Some(redirect)) = (self.client, self.redirect.clone()) else {
            return Err(Refusal::Page(Reason::InvalidRequest));
        };
        let words = |name| self.params.get(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let text = |name| self.params.get(name).map(str::to_owned);
        let request = AuthorizeRequest {
            client: client.id.clone(),
            client_id: client.client_id.clone(),
            redirect_uri: text("redirect_uri"),
            response_type: self.response_type,
            response_mode: self.mode,
            scope: text("scope").unwrap_or_default(),
            state: self.params.raw("state").map(str::to_owned),
            nonce: text("nonce"),
            prompt: Prompt::parse(self.params.get("prompt").unwrap_or_default()),
            max_age: self.max_age,
            login_hint: text("login_hint"),
            acr_values: words("acr_values"),
            acr_claim: self.acr_claim,
            ui_locales: words("ui_locales"),
            resources: self.resources,
            challenge: self.challenge,
            dpop_jkt: text("dpop_jkt"),
            subject: None,
            device: None,
            pushed: self.pushed,
        };
        Ok(ValidAuthorize { request, redirect })
    }
}

impl AuthorizeRequest {
    /// The request as parameters again, for [`revalidate`].
    fn to_params(&self) -> Params {
        let mut pairs = vec![("client_id", self.client_id.clone())];
        pairs.push(("response_type", self.response_type.as_str().to_owned()));
        pairs.push(("response_mode", self.response_mode.as_str().to_owned()));
        let mut put = |name, value: Option<String>| {
            if let Some(value) = value {
                pairs.push((name, value));
            }
        };
        put("redirect_uri", self.redirect_uri.clone());
        put("scope", Some(self.scope.clone()).filter(|s| !s.is_empty()));
        put("state", self.state.clone());
        put("nonce", self.nonce.clone());
        put("prompt", self.prompt.to_param());
        put("max_age", self.max_age.map(|n| n.to_string()));
        put("login_hint", self.login_hint.clone());
        put("acr_values", Some(self.acr_values.join(" ")));
        put("claims", self.acr_claim.as_ref().map(AcrClaim::to_param));
        put("ui_locales", Some(self.ui_locales.join(" ")));
        for resource in &self.resources {
            put(resource::PARAMETER, Some(resource.clone()));
        }
        put("dpop_jkt", self.dpop_jkt.clone());
        if let Some(challenge) = &self.challenge {
            put("code_challenge", Some(challenge.challenge.clone()));
            put("code_challenge_method", Some(challenge.method.as_str().to_owned()));
        }
        Params::from_pairs(pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
    }
}

#[cfg(test)]
mod tests;
