//! Device authorization (RFC 8628 §3.1 to §3.3): a device asks, a person enters its user code and decides.
//!
//! **Owns** the check table of the device endpoint, the shape of user codes, what an entered code is worth, the plan of a decision.
//! **Does not own** the polling device ([`super::grants::device`]), the login before the decision ([`crate::login`]), rates (idp).
//! **Flow** [`open`] -> [`begin`] -> the person's code: [`hash_user_code`] -> [`entered`] -> login -> [`standing`] -> [`approval`] or [`denial`].

use portcullis_jose::digest;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::entropy::{self, Entropy};
use crate::oauth::authorize::{AuthorizeRequest, MAX_SCOPES, MAX_VALUE, Prompt};
use crate::oauth::client_auth::AuthenticatedClient;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::response_mode::ResponseMode;
use crate::oauth::response_type::ResponseType;
use crate::oauth::token::{self, Context, Cors, Refusal};
use crate::oauth::{pkce, scope};
use crate::pending::{DeviceGrant, DeviceRequest, DeviceState};
use crate::plan::{Lane, Plan, Write};
use crate::realm::{Profile, Realm};
use crate::records::RealmRecords;
use crate::secret::Secret;
use crate::session::{ClientSession, Grant, UserSession};
use crate::session_limits;
use crate::user::User;

/// Client attribute: `true` lets the client use the device grant (Keycloak 26.4).
const GRANT_ATTRIBUTE: &str = "oauth2.device.authorization.grant.enabled";

/// RFC 8628 §6.1: twenty consonants, so that no code reads as a word. Keycloak 26.4 takes all capital letters.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Letters of a user code, shown as `XXXX-XXXX`.
const CODE_LETTERS: usize = 8;

/// Keycloak's defaults, seconds.
const LIFESPAN: i64 = 600;
const INTERVAL: i64 = 5;

/// Whether the client may use the device grant.
#[must_use]
pub(crate) fn enabled(client: &Client) -> bool {
    client.flag(GRANT_ATTRIBUTE)
}

// --- the device asks ------------------------------------------------------------------------------------------------

/// A device request that passed the table.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub client: AuthenticatedClient<'a>,
    /// For what.
    pub request: DeviceRequest,
}

struct Draft<'a, 'r> {
    records: &'a RealmRecords,
    proven: &'r Result<AuthenticatedClient<'a>, Reason>,
    params: &'r Params,
    client: Option<AuthenticatedClient<'a>>,
    request: DeviceRequest,
}

type Check = fn(&mut Draft<'_, '_>) -> Result<(), Reason>;

/// The table: name, check, who may read its refusal.
const TABLE: &[(&str, Check, Cors)] = &[
    ("realm enabled", realm_enabled, Cors::Any),
    ("repeated", repeated, Cors::Any),
    ("client authentication", authentication, Cors::Any),
    ("device flow", flow_allowed, Cors::Nobody),
    ("lengths", lengths, Cors::Client),
    ("scope", scopes, Cors::Client),
    ("code_challenge", code_challenge, Cors::Client),
];

/// Runs the table. `proven` is who the request is from, or why nobody knows.
///
/// # Errors
/// The first check that refuses.
pub fn open<'a>(
    records: &'a RealmRecords,
    proven: &Result<AuthenticatedClient<'a>, Reason>,
    params: &Params,
) -> Result<Asked<'a>, Refusal> {
    let request = DeviceRequest::default();
    let mut draft = Draft { records, proven, params, client: None, request };
    for (_, check, cors) in TABLE {
        check(&mut draft).map_err(|reason| refusal(&draft, reason, *cors))?;
    }
    match draft.client {
        Some(client) => Ok(Asked { client, request: draft.request }),
        None => Err(refusal(&draft, Reason::UnknownClient, Cors::Any)),
    }
}

fn refusal(draft: &Draft<'_, '_>, reason: Reason, cors: Cors) -> Refusal {
    Refusal { reason, cors, client_id: draft.client.map(|c| c.client().client_id.clone()) }
}

fn realm_enabled(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    if draft.records.realm.settings.enabled { Ok(()) } else { Err(Reason::RealmDisabled) }
}

fn repeated(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    if draft.params.repeated().is_some() { Err(Reason::DuplicatedDeviceParameter) } else { Ok(()) }
}

/// RFC 8628 §3.1: as at the token endpoint.
fn authentication(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    draft.client = Some(draft.proven.clone()?);
    Ok(())
}

fn flow_allowed(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let on = draft.client.is_some_and(|c| enabled(c.client()));
    if on { Ok(()) } else { Err(Reason::DeviceFlowOff) }
}

/// SE-21, DS-13: bounded before anything is stored.
fn lengths(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    for name in ["scope", "nonce"] {
        if draft.params.raw(name).is_some_and(|value| value.len() > MAX_VALUE) {
            return Err(Reason::ParameterTooLong(name.to_owned()));
        }
    }
    draft.request.nonce = draft.params.get("nonce").map(str::to_owned);
    Ok(())
}

/// Keycloak 26.4 takes any word here and forgets those the client does not have; a strict realm says so at once (RFC 6749 §3.3).
fn scopes(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let Some(text) = draft.params.get("scope") else { return Ok(()) };
    let client = draft.client.map(|c| c.client()).ok_or(Reason::UnknownClient)?;
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    if words.len() > MAX_SCOPES {
        return Err(Reason::InvalidScopes(text.to_owned()));
    }
    let known = |word: &&str| scope::validate(draft.records, client, word).is_ok();
    draft.request.scope = match draft.records.realm.profile() {
        Profile::Strict => {
            scope::validate(draft.records, client, text)?;
            words.join(" ")
        }
        Profile::Keycloak => words.into_iter().filter(known).collect::<Vec<_>>().join(" "),
    };
    Ok(())
}

/// As at the authorization endpoint, but not asked of every client: the device code itself never passes a browser.
fn code_challenge(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let client = draft.client.map(|c| c.client()).ok_or(Reason::UnknownClient)?;
    let bound = client.attribute("pkce.code.challenge.method").filter(|method| !method.is_empty());
    let strict = draft.records.realm.profile() == Profile::Strict;
    draft.request.challenge = pkce::asked(draft.params, bound, strict)?;
    Ok(())
}

/// A device grant to be written, and what the device is told (RFC 8628 §3.2).
#[derive(Debug)]
pub struct Begun {
    /// The row, pending. Its gate `Taken(UserCode)` asks for another try.
    pub plan: Plan,
    /// `device_code`
    pub device_code: Secret,
    /// `user_code`, as it is shown.
    pub user_code: String,
    /// `expires_in`, seconds.
    pub expires_in: i64,
    /// `interval`, seconds.
    pub interval: i64,
}

/// Begins a device grant.
#[must_use]
pub fn begin(cx: &Context<'_>, asked: &Asked<'_>) -> Begun {
    let (realm, client) = (&cx.records.realm, asked.client.client());
    let device_code = entropy::token::<32>(cx.entropy);
    let letters = mint_user_code(cx.entropy);
    let expires_in =
        seconds(realm, client, ("oauth2.device.code.lifespan", "oauth2DeviceCodeLifespan")).unwrap_or(LIFESPAN);
    let interval =
        seconds(realm, client, ("oauth2.device.polling.interval", "oauth2DevicePollingInterval")).unwrap_or(INTERVAL);
    let grant = DeviceGrant {
        hash: hash(&device_code),
        user_code: digest::sha256(letters.as_bytes()),
        client: client.id.clone(),
        request: DeviceRequest { asked_at: cx.now.secs(), ..asked.request.clone() },
        state: DeviceState::Pending,
        expires_at: cx.now.secs().saturating_add(expires_in),
        last_poll: 0,
        interval,
    };
    let plan = Plan::new(Lane::Login, vec![Write::CreateDevice(realm.id.clone(), grant)]);
    Begun { plan, device_code: Secret::new(device_code), user_code: shown(&letters), expires_in, interval }
}

/// The client's number, else the realm's; only whole positive ones count.
fn seconds(realm: &Realm, client: &Client, (of_client, of_realm): (&str, &str)) -> Option<i64> {
    let of_realm = || realm.settings.attributes.get(of_realm)?.parse().ok().filter(|n: &i64| *n > 0);
    client.seconds(of_client).or_else(of_realm)
}

/// SHA-256 of a device code: what is stored and looked up instead of it.
#[must_use]
pub fn hash(device_code: &str) -> [u8; 32] {
    digest::sha256(device_code.as_bytes())
}

// --- the person enters the code -------------------------------------------------------------------------------------

fn mint_user_code(entropy: &dyn Entropy) -> String {
    // Bytes of the last, incomplete round of the alphabet are thrown away, so that all letters are equally likely.
    let whole = u8::MAX - u8::MAX % 20;
    let mut letters = String::with_capacity(CODE_LETTERS);
    while letters.len() < CODE_LETTERS {
        let mut bytes = [0u8; 32];
        entropy.fill(&mut bytes);
        let fair = bytes.iter().filter(|byte| **byte < whole);
        let more = fair.filter_map(|byte| ALPHABET.get(usize::from(byte % 20))).map(|letter| char::from(*letter));
        letters.extend(more.take(CODE_LETTERS - letters.len()));
    }
    letters
}

fn shown(letters: &str) -> String {
    match letters.split_at_checked(CODE_LETTERS / 2) {
        Some((left, right)) => format!("{left}-{right}"),
        None => letters.to_owned(),
    }
}

/// A user code as typed: case, blanks and dashes do not count. Anything that is no code of ours is `None`.
#[must_use]
fn canonical(typed: &str) -> Option<String> {
    if typed.len() > 64 {
        return None;
    }
    let kept = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase());
    let letters: String = kept.collect();
    (letters.len() == CODE_LETTERS && letters.bytes().all(|b| b.is_ascii_uppercase())).then_some(letters)
}

/// SHA-256 of a typed user code.
#[must_use]
pub fn hash_user_code(typed: &str) -> Option<[u8; 32]> {
    canonical(typed).map(|letters| digest::sha256(letters.as_bytes()))
}

/// The device grant a login is about, as kept with the login.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeviceCall {
    /// Base64url of the SHA-256 of its device code.
    hash: String,
    /// The user code as it was entered, for the person to compare (RFC 8628 §3.3.1).
    pub user_code: String,
}

impl DeviceCall {
    /// The hash of its device code.
    #[must_use]
    pub fn hash(&self) -> Option<[u8; 32]> {
        digest::base64url_decode(&self.hash)?.try_into().ok()
    }
}

/// Why a user code leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadUserCode {
    /// Unknown, decided, or of a client that may not use it.
    Invalid,
    /// Past its end.
    Expired,
}

/// Judges an entered code. `found` is the row under its hash.
///
/// # Errors
/// A code that leads nowhere.
pub fn entered(
    records: &RealmRecords,
    now: i64,
    typed: &str,
    found: Option<&DeviceGrant>,
) -> Result<AuthorizeRequest, BadUserCode> {
    let letters = canonical(typed).ok_or(BadUserCode::Invalid)?;
    let grant = found.ok_or(BadUserCode::Invalid)?;
    let client = usable(records, now, grant)?;
    let call = DeviceCall { hash: digest::base64url_encode(&grant.hash), user_code: shown(&letters) };
    Ok(AuthorizeRequest {
        client: client.id.clone(),
        client_id: client.client_id.clone(),
        redirect_uri: None,
        response_type: ResponseType::CODE,
        response_mode: ResponseMode::Query,
        scope: grant.request.scope.clone(),
        state: None,
        nonce: grant.request.nonce.clone(),
        prompt: Prompt::default(),
        max_age: None,
        login_hint: None,
        acr_values: Vec::new(),
        acr_claim: None,
        resources: Vec::new(),
        ui_locales: Vec::new(),
        challenge: None,
        dpop_jkt: None,
        subject: None,
        device: Some(call),
        pushed: None,
    })
}

fn usable<'a>(records: &'a RealmRecords, now: i64, grant: &DeviceGrant) -> Result<&'a Client, BadUserCode> {
    let stands =
        |c: &&Client| c.settings.enabled && enabled(c) && !session_limits::is_before(c, grant.request.asked_at);
    let client = records.client_by_uuid(&grant.client).filter(stands);
    let client = client.ok_or(BadUserCode::Invalid)?;
    match grant.state {
        DeviceState::Pending if grant.expires_at > now => Ok(client),
        DeviceState::Pending => Err(BadUserCode::Expired),
        DeviceState::Approved { .. } | DeviceState::Denied => Err(BadUserCode::Invalid),
    }
}

/// Judges a kept request again, right before its decision (AZ-21): grant and client are as they were.
///
/// # Errors
/// The grant was decided, ended, or its client lost the right.
pub fn standing<'a>(
    records: &'a RealmRecords,
    now: i64,
    request: &AuthorizeRequest,
    found: Option<&DeviceGrant>,
) -> Result<&'a Client, BadUserCode> {
    let hash = request.device.as_ref().and_then(DeviceCall::hash);
    let grant = found.filter(|grant| Some(grant.hash) == hash).ok_or(BadUserCode::Invalid)?;
    usable(records, now, grant).and_then(|client| {
        // The request was made for this client; ids are never used again.
        if client.id == request.client { Ok(client) } else { Err(BadUserCode::Invalid) }
    })
}

/// Who said yes, in which session.
#[derive(Clone, Copy, Debug)]
pub struct Approver<'a> {
    /// The user as loaded.
    pub user: &'a User,
    /// The session, which stands or is written by the same plan.
    pub session: &'a UserSession,
    /// The client's earlier part in it.
    pub below: Option<&'a ClientSession>,
    /// What is granted.
    pub grant: &'a Grant,
}

/// What a yes writes beside the session: the decision (its gate: one person decides, once) and the client's part in the session.
#[must_use]
pub fn approval(cx: &Context<'_>, client: &Client, request: &AuthorizeRequest, by: Approver<'_>) -> Vec<Write> {
    let (now, realm) = (cx.now.secs(), &cx.records.realm);
    let Some(hash) = request.device.as_ref().and_then(DeviceCall::hash) else { return Vec::new() };
    let known = by.below.filter(|c| session_limits::is_client_active(realm, client, by.session, c, now));
    let below = ClientSession {
        session: by.session.id.clone(),
        client: client.id.clone(),
        started: known.map_or(now, |c| c.started),
        grant: by.grant.clone(),
        last_refresh: now,
    };
    let state = DeviceState::Approved { user: by.user.id.clone(), session: by.session.id.clone() };
    vec![
        Write::ExpectClient(realm.id.clone(), client.id.clone(), client.version),
        Write::ExpectUser(realm.id.clone(), by.user.id.clone(), by.user.version),
        Write::DecideDevice(realm.id.clone(), hash, state),
        Write::PutClientSession(realm.id.clone(), below),
    ]
}

/// What a no writes.
#[must_use]
pub fn denial(cx: &Context<'_>, client: &Client, request: &AuthorizeRequest) -> Plan {
    let Some(hash) = request.device.as_ref().and_then(DeviceCall::hash) else { return Plan::none() };
    let decide = Write::DecideDevice(cx.records.realm.id.clone(), hash, DeviceState::Denied);
    let told = token::audit_error(cx, "LOGIN_ERROR", client, "rejected_by_user");
    Plan::new(Lane::Login, std::iter::once(decide).chain(told).collect())
}

#[cfg(test)]
mod tests;
