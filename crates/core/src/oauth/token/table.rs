//! The ordered checks that stand before every grant.

use super::GrantType;
use crate::oauth::client_auth::AuthenticatedClient;
use crate::oauth::device;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::resource;
use crate::realm::Profile;
use crate::records::RealmRecords;

/// Client attribute that lets one client use the password grant in a strict realm.
const PASSWORD_GRANT_ATTRIBUTE: &str = "portcullis.password.grant";

/// Who may read an answer from another origin (surface §1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cors {
    /// Nobody: faults of `grant_type`.
    Nobody,
    /// Any origin: the client is not known yet.
    Any,
    /// The client's origins.
    Client,
}

/// A request that is refused before its grant looked at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Who may read it.
    pub cors: Cors,
    /// The client that proved who it is, by `client_id`.
    pub client_id: Option<String>,
}

/// A request whose grant is known and whose client proved who it is.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    /// Which grant.
    pub grant: GrantType,
    /// Who asks.
    pub client: AuthenticatedClient<'a>,
    /// The resources it names, sorted (RFC 8707 §2.2).
    pub resources: Vec<String>,
}

struct Draft<'a, 'r> {
    records: &'a RealmRecords,
    proven: &'r Result<AuthenticatedClient<'a>, Reason>,
    params: &'r Params,
    grant: Option<GrantType>,
    client: Option<AuthenticatedClient<'a>>,
    resources: Vec<String>,
}

type Check = fn(&mut Draft<'_, '_>) -> Result<(), Reason>;

const ALL: &[GrantType] = &GrantType::ALL;
const PASSWORD: &[GrantType] = &[GrantType::Password];
const DEVICE: &[GrantType] = &[GrantType::DeviceCode];
const SERVICE: &[GrantType] = &[GrantType::ClientCredentials];

/// The table: name, check, who may read its refusal, the grants it stands before. The first two rows find the grant.
const TABLE: &[(&str, Check, Cors, &[GrantType])] = &[
    ("realm enabled", realm_enabled, Cors::Any, ALL),
    ("grant_type", grant_type, Cors::Nobody, ALL),
    ("repeated", repeated, Cors::Any, ALL),
    ("client authentication", authentication, Cors::Any, ALL),
    ("resource", resource, Cors::Client, ALL),
    ("direct grants", direct_grants, Cors::Client, PASSWORD),
    ("no consent needed", no_consent, Cors::Client, PASSWORD),
    ("device grant", device_grant, Cors::Client, DEVICE),
    ("confidential client", confidential, Cors::Client, SERVICE),
    ("service account", service_account, Cors::Client, SERVICE),
];

/// Grants of Keycloak 26.4 that do not work here: the shared checks come first, as there.
const ELSEWHERE: &[&str] = &["urn:openid:params:grant-type:ciba"];

/// Runs the table. `proven` is who the request is from, or why nobody knows.
///
/// # Errors
/// The first check that refuses (TE-01 to TE-06).
pub fn open<'a>(
    records: &'a RealmRecords,
    proven: &Result<AuthenticatedClient<'a>, Reason>,
    params: &Params,
) -> Result<Opened<'a>, Refusal> {
    let mut draft = Draft { records, proven, params, grant: None, client: None, resources: Vec::new() };
    for (_, check, cors, grants) in TABLE {
        if draft.grant.map_or(grants.len() == ALL.len(), |grant| grants.contains(&grant)) {
            check(&mut draft).map_err(|reason| refusal(&draft, reason, *cors))?;
        }
    }
    match (draft.grant, draft.client) {
        (Some(grant), Some(client)) => Ok(Opened { grant, client, resources: draft.resources }),
        (None, Some(_)) => Err(refusal(&draft, Reason::UnsupportedGrantType, Cors::Client)),
        (_, None) => Err(refusal(&draft, Reason::UnknownClient, Cors::Any)),
    }
}

fn refusal(draft: &Draft<'_, '_>, reason: Reason, cors: Cors) -> Refusal {
    Refusal { reason, cors, client_id: draft.client.map(|c| c.client().client_id.clone()) }
}

fn realm_enabled(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    if draft.records.realm.settings.enabled { Ok(()) } else { Err(Reason::RealmDisabled) }
}

fn grant_type(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let name = draft.params.raw("grant_type").ok_or(Reason::MissingGrantType)?;
    draft.grant = GrantType::parse(name);
    if draft.grant.is_some() || ELSEWHERE.contains(&name) { Ok(()) } else { Err(Reason::UnsupportedGrantType) }
}

fn repeated(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    // RFC 8693 §2.1: an exchange may name several audiences. Resources are judged with the client's own.
    let exchange = draft.grant == Some(GrantType::TokenExchange);
    let several: &[&str] = if exchange { &["audience", resource::PARAMETER] } else { &[resource::PARAMETER] };
    if draft.params.repeated_besides(several).is_some() { Err(Reason::DuplicatedParameter) } else { Ok(()) }
}

fn authentication(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    draft.client = Some(draft.proven.clone()?);
    Ok(())
}

/// RFC 8707 §2.2 (TE-32), before a code or refresh token is touched.
fn resource(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let Some(client) = draft.client.map(|c| c.client()) else { return Err(Reason::UnknownClient) };
    draft.resources = resource::asked(draft.records, client, draft.params)?;
    Ok(())
}

fn direct_grants(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let Some(client) = draft.client.map(|c| c.client()) else { return Err(Reason::UnknownClient) };
    let in_profile = match draft.records.realm.profile() {
        Profile::Keycloak => true,
        Profile::Strict => client.flag(PASSWORD_GRANT_ATTRIBUTE),
    };
    if client.settings.direct_access_grants_enabled && in_profile { Ok(()) } else { Err(Reason::DirectGrantOff) }
}

fn no_consent(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let consent = draft.client.is_some_and(|c| c.client().settings.consent_required);
    if consent { Err(Reason::ConsentRequired) } else { Ok(()) }
}

/// RFC 8628: a switch of the client (Keycloak 26.4).
fn device_grant(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let on = draft.client.is_some_and(|c| device::enabled(c.client()));
    if on { Ok(()) } else { Err(Reason::DeviceGrantOff) }
}

/// RFC 6749 §4.4: only for confidential clients. A bearer-only client did not pass client authentication.
fn confidential(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let public = draft.client.is_none_or(|c| c.client().is_public());
    if public { Err(Reason::PublicServiceAccount) } else { Ok(()) }
}

fn service_account(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let on = draft.client.is_some_and(|c| c.client().settings.service_accounts_enabled);
    if on { Ok(()) } else { Err(Reason::ServiceAccountOff) }
}

#[cfg(test)]
pub(super) fn columns(name: &str) -> &'static [GrantType] {
    TABLE.iter().find(|(n, ..)| *n == name).map(|(.., grants)| *grants).unwrap_or_default()
}
