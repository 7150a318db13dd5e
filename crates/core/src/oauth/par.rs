//! Pushed authorization requests (RFC 9126): a client leaves its request here and gets a handle for the browser.
//!
//! **Owns** the check table of the endpoint, the handle, what it is worth at the authorization endpoint.
//! **Does not own** the checks of the request itself: they are those of [`super::authorize`], run at the push and again at the use.
//! **Flow** [`open`] -> [`push`] -> the browser comes, perhaps again: [`handle`] -> [`redeem`] -> login -> the plan of the answer has
//! [`PushedCall::taken`], the gate: one request, one answer (FAPI 2.0 §5.3.2.2, note 3).

use portcullis_jose::digest;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::entropy;
use crate::ids::RealmId;
use crate::oauth::authorize::{self, ValidAuthorize};
use crate::oauth::client_auth::AuthenticatedClient;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::token::{Context, Cors, Refusal};
use crate::pending::PushedRequest;
use crate::plan::{Lane, Plan, Write};
use crate::records::RealmRecords;

/// What every handle begins with (RFC 9126 §2.2). Any other `request_uri` is refused and never fetched (SS-01).
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// Realm attribute: how long a handle holds, seconds (Keycloak 26.4).
const LIFESPAN_ATTRIBUTE: &str = "parRequestUriLifespan";
const LIFESPAN: i64 = 60;

/// How a client proves who it is: judged at the push and not kept.
const PROOFS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// A request that may be kept.
#[derive(Clone, Debug)]
pub struct Accepted<'a> {
    /// Who pushes.
    pub client: AuthenticatedClient<'a>,
    kept: Params,
}

struct Draft<'a, 'r> {
    records: &'a RealmRecords,
    base: &'r str,
    proven: &'r Result<AuthenticatedClient<'a>, Reason>,
    params: &'r Params,
    accepted: Option<Accepted<'a>>,
}

type Check = fn(&mut Draft<'_, '_>) -> Result<(), Reason>;

/// The table: name, check, who may read its refusal.
const TABLE: &[(&str, Check, Cors)] = &[
    ("realm enabled", realm_enabled, Cors::Any),
    ("client authentication", authentication, Cors::Any),
    ("request_uri", no_request_uri, Cors::Client),
    ("repeated", repeated, Cors::Client),
    ("the request itself", request, Cors::Client),
];

/// Runs the table. `proven` is who the request is from, or why nobody knows.
///
/// # Errors
/// The first check that refuses (AZ-19).
pub fn open<'a>(
    records: &'a RealmRecords,
    base: &str,
    proven: &Result<AuthenticatedClient<'a>, Reason>,
    params: &Params,
) -> Result<Accepted<'a>, Refusal> {
    let mut draft = Draft { records, base, proven, params, accepted: None };
    let client_id = || proven.as_ref().ok().map(|client| client.client().client_id.clone());
    for (_, check, cors) in TABLE {
        check(&mut draft).map_err(|reason| Refusal { reason, cors: *cors, client_id: client_id() })?;
    }
    draft.accepted.ok_or(Refusal { reason: Reason::PushUnauthenticated, cors: Cors::Any, client_id: None })
}

fn realm_enabled(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    if draft.records.realm.settings.enabled { Ok(()) } else { Err(Reason::RealmDisabled) }
}

/// RFC 9126 §2.1. Keycloak 26.4 has one answer, however the client failed. What it leaves here carries its name and no proof.
fn authentication(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let client = match draft.proven {
        Ok(client) => *client,
        Err(reason @ (Reason::Unavailable | Reason::TooManyWrongSecrets)) => return Err(reason.clone()),
        Err(_) => return Err(Reason::PushUnauthenticated),
    };
    let own = ("client_id".to_owned(), client.client().client_id.clone());
    let rest = draft.params.iter().filter(|(name, _)| *name != "client_id" && !PROOFS.contains(name));
    let pairs = std::iter::once(own).chain(rest.map(|(name, value)| (name.to_owned(), value.to_owned())));
    draft.accepted = Some(Accepted { client, kept: Params::from_pairs(pairs.collect()) });
    Ok(())
}

/// RFC 9126 §2.1: a pushed request refers to no other.
fn no_request_uri(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    if draft.params.has("request_uri") { Err(Reason::RequestUriPushed) } else { Ok(()) }
}

/// What is not kept stands there once too; the rest is counted with the request.
fn repeated(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let twice = PROOFS.iter().chain(&["client_id"]).any(|name| draft.params.count(name) > 1);
    if twice { Err(Reason::DuplicatedParameter) } else { Ok(()) }
}

/// The checks of the authorization endpoint. Two of its refusals have other words here (Keycloak 26.4).
fn request(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let Some(accepted) = &draft.accepted else { return Err(Reason::PushUnauthenticated) };
    match authorize::push(draft.records, draft.base, &accepted.kept) {
        Ok(()) => Ok(()),
        Err(Reason::InvalidScopes(scopes)) => Err(Reason::InvalidPushedScopes(scopes)),
        Err(Reason::StandardFlowOff) => Err(Reason::PushedStandardFlowOff),
        Err(Reason::ImplicitFlowOff) => Err(Reason::PushedImplicitFlowOff),
        Err(Reason::UnsupportedResponseType) => Err(Reason::UnsupportedPushedResponseType),
        Err(reason) => Err(reason),
    }
}

/// A request to be kept, and what its client is told (RFC 9126 §2.2).
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The row.
    pub plan: Plan,
    /// `request_uri`
    pub request_uri: String,
    /// `expires_in`, seconds.
    pub expires_in: i64,
}

/// Keeps a request under the hash of a new handle.
#[must_use]
pub fn push(cx: &Context<'_>, accepted: &Accepted<'_>) -> Pushed {
    let realm = &cx.records.realm;
    let lifespan = realm.settings.attributes.get(LIFESPAN_ATTRIBUTE).and_then(|text| text.parse().ok());
    let expires_in = lifespan.filter(|seconds: &i64| *seconds > 0).unwrap_or(LIFESPAN);
    let handle = entropy::uuid(cx.entropy);
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    parameters.extend_pairs(accepted.kept.iter());
    let row = PushedRequest {
        hash: digest::sha256(handle.as_bytes()),
        client: accepted.client.client().id.clone(),
        parameters: parameters.finish(),
        expires_at: cx.now.secs().saturating_add(expires_in),
    };
    let plan = Plan::new(Lane::Login, vec![Write::CreatePushed(realm.id.clone(), row)]);
    Pushed { plan, request_uri: format!("{PREFIX}{handle}"), expires_in }
}

/// A handle that a browser brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handle {
    /// SHA-256 of it.
    pub hash: [u8; 32],
    client_id: String,
}

/// The handle of an authorization request, if it brings one of ours: with one `client_id` (RFC 9126 §4) and without a request
/// object (AZ-16). Whatever else stands beside it is not read (AZ-15).
#[must_use]
pub fn handle(params: &Params) -> Option<Handle> {
    let handle = params.get("request_uri")?.strip_prefix(PREFIX)?;
    let once = params.count("request_uri") == 1 && params.count("client_id") == 1 && !params.has("request");
    let client_id = params.get("client_id").filter(|_| once)?.to_owned();
    Some(Handle { hash: digest::sha256(handle.as_bytes()), client_id })
}

/// The pushed request that a login is about, as kept with the login.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PushedCall([u8; 32]);

impl PushedCall {
    /// Uses the request up. It stands in the plan of the authorization answer; its gate `PushedTaken` says that there was one before
    /// (AZ-17).
    #[must_use]
    pub fn taken(&self, realm: &RealmId) -> Write {
        Write::TakePushed(realm.clone(), self.0)
    }
}

impl From<PushedCall> for String {
    fn from(call: PushedCall) -> Self {
        digest::base64url_encode(&call.0)
    }
}

impl TryFrom<String> for PushedCall {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hash = digest::base64url_decode(&text).and_then(|bytes| bytes.try_into().ok());
        hash.map(Self).ok_or("no hash of a handle")
    }
}

/// What a handle is worth.
#[derive(Debug)]
pub struct Redeemed {
    /// The request as it was kept.
    pub params: Params,
    /// The request, judged by the realm as it is now.
    pub answer: Result<ValidAuthorize, authorize::Refusal>,
}

/// Judges a handle at the authorization endpoint. `found` is the row under its hash; it stays until an answer was made from it, so that
/// the page may be opened again (P-06).
#[must_use]
pub fn redeem(cx: &Context<'_>, handle: &Handle, found: Option<&PushedRequest>) -> Redeemed {
    let refused = |reason| Redeemed { params: Params::default(), answer: Err(authorize::Refusal::Page(reason)) };
    let nothing = || refused(Reason::InvalidRequest);
    if cx.records.client(&handle.client_id).is_none() {
        return refused(Reason::ClientNotFound);
    }
    let Some(kept) = found.filter(|kept| kept.hash == handle.hash) else { return nothing() };
    // AZ-18: of this client, and in time.
    let client = cx.records.client(&handle.client_id).filter(|client| client.id == kept.client);
    if client.is_none() || kept.expires_at <= cx.now.secs() {
        return nothing();
    }
    let Ok(params) = Params::parse(kept.parameters.as_bytes()) else { return nothing() };
    Redeemed { answer: authorize::decide_pushed(cx.records, cx.base, &params, PushedCall(kept.hash)), params }
}

#[cfg(test)]
mod tests;
