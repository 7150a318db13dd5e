//! The client credentials grant (RFC 6749 §4.4): a confidential client acts as its own service account.
//!
//! Nothing is stored: the session is for one answer and its token names none. A client that wants refresh tokens
//! ([`keeps_session`]) gets a stored session instead.

use super::{family, offline};
use crate::client::Client;
use crate::entropy::uuid;
use crate::oauth::client_auth::AuthenticatedClient;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::scope;
use crate::oauth::token::{self, Context, Decision, FamilyTerms, GrantType};
use crate::plan::{Lane, Plan, Write};
use crate::session::{Grant, UserSession};
use crate::user::User;

/// Client attribute: `true` means a stored session and refresh tokens (against RFC 6749 §4.4.3; off by default, Keycloak 26.4).
const REFRESH_ATTRIBUTE: &str = "client_credentials.use_refresh_token";

/// Whether the grant makes a stored session for this client.
#[must_use]
pub(crate) fn keeps_session(client: &Client) -> bool {
    client.flag(REFRESH_ATTRIBUTE)
}

/// What makes the account of a client that has none (removed, or the switch came by another way): Keycloak 26.4 makes it at the first
/// grant. Two at once: the username is one's alone, so one plan wins. The name of somebody else is never taken over.
#[must_use]
pub fn new_account(cx: &Context<'_>, client: &Client) -> Plan {
    let (records, realm) = (cx.records, &cx.records.realm);
    let account = User::service_account(client, realm.default_role.as_ref(), uuid(cx.entropy).into(), cx.now);
    let mut writes = vec![Write::CreateUser(realm.id.clone(), account)];
    let scope = records.scope_named("service_account").map(|scope| scope.id.clone());
    match scope.filter(|id| !client.default_scopes.contains(id)) {
        Some(id) => {
            let mut client = client.clone();
            client.default_scopes.push(id);
            writes.push(Write::UpdateClient(realm.id.clone(), client));
        }
        None => writes.push(Write::ExpectClient(realm.id.clone(), client.id.clone(), client.version)),
    }
    Plan::new(Lane::Login, writes)
}

/// Decides for a client that passed the table. `account` is its service account as stored now.
pub fn decide<'a>(
    cx: &Context<'a>,
    client: &AuthenticatedClient<'a>,
    params: &Params,
    account: Option<&'a User>,
) -> Decision<'a> {
    let client = client.client();
    let own = account.filter(|user| user.service_account_client.as_ref() == Some(&client.id));
    let Some(user) = own else { return refuse(cx, client, Reason::ServiceAccountOff, "invalid_client") };
    if !user.enabled {
        return refuse(cx, client, Reason::ServiceAccountDisabled(user.username.clone()), "user_disabled");
    }
    let asked = scope::asked(cx.records, params);
    if let Some(asked) = asked
        && let Err(reason) = scope::validate(cx.records, client, asked)
    {
        return refuse(cx, client, reason, "invalid_request");
    }
    match give(cx, client, asked.unwrap_or_default(), user) {
        Ok(decision) => decision,
        Err(reason) => Decision::refuse(reason),
    }
}

fn refuse<'a>(cx: &Context<'_>, client: &Client, reason: Reason, error: &'static str) -> Decision<'a> {
    let audit = token::audit_error(cx, "CLIENT_LOGIN_ERROR", client, error);
    Decision { plan: Plan::new(Lane::Login, audit.into_iter().collect()), answer: Err(reason) }
}

fn give<'a>(cx: &Context<'a>, client: &'a Client, asked: &str, user: &'a User) -> Result<Decision<'a>, Reason> {
    let keeps = keeps_session(client);
    let scopes = scope::active(cx.records, client, asked);
    let mut session = session(cx, client, user);
    // A sessionless token carries the word and it gives nothing (Keycloak 26.4).
    session.offline = keeps && offline::admit(cx, client, user, &scopes)?;
    let grant = Grant { scope: asked.to_owned(), resources: cx.resources.to_vec(), ..Grant::default() };
    let (mut writes, family) = if keeps { stored(cx, client, user, (&session, &grant))? } else { (Vec::new(), None) };
    writes.extend(token::audit(cx, "CLIENT_LOGIN", client, (&user.id, keeps.then_some(&session.id))));
    let scopes = scopes.permitted(cx.records, user);
    let all = scopes.all_names();
    let to = token::Recipient { client, user, session, grant, client_started: cx.now.secs() };
    let issue = token::issue(cx, GrantType::ClientCredentials, to, (scopes, &all), family)?;
    Ok(Decision { plan: Plan::new(Lane::Login, writes), answer: Ok(issue) })
}

/// The notes are what the mappers of the client scope `service_account` read (Keycloak 26.4).
fn session(cx: &Context<'_>, client: &Client, user: &User) -> UserSession {
    let notes = [("clientHost", cx.ip), ("clientAddress", cx.ip), ("client_id", client.client_id.as_str())];
    UserSession {
        notes: notes.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ..UserSession::begun(uuid(cx.entropy).into(), user.id.clone(), cx.ip, cx.now.secs())
    }
}

type Stored = (Vec<Write>, Option<FamilyTerms>);

/// The rows of a stored session.
fn stored(
    cx: &Context<'_>,
    client: &Client,
    user: &User,
    (session, grant): (&UserSession, &Grant),
) -> Result<Stored, Reason> {
    let realm = &cx.records.realm;
    let mut writes = vec![
        Write::ExpectClient(realm.id.clone(), client.id.clone(), client.version),
        Write::ExpectUser(realm.id.clone(), user.id.clone(), user.version),
        Write::CreateUserSession(realm.id.clone(), session.clone()),
    ];
    let (joined, family) = family::join(cx, client, session, grant, cx.now.secs())?;
    writes.extend(joined);
    Ok((writes, family))
}
