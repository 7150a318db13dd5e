//! The resource owner password grant (RFC 6749 §4.3), for realms and clients that still have it.
//!
//! The password itself is judged by the login room (one verdict, one brute-force count for both doors).

use super::{family, offline};
use crate::entropy::uuid;
use crate::oauth::client_auth::AuthenticatedClient;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::oauth::scope;
use crate::oauth::token::{self, Context, Decision, GrantType};
use crate::plan::{Lane, Plan, Write};
use crate::session::{Grant, UserSession};
use crate::user::User;

/// What is needed before a password is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'p> {
    /// `username`
    pub username: &'p str,
    /// `password`; absent counts as wrong.
    pub password: &'p str,
    /// `scope`, validated.
    pub scope: &'p str,
}

/// Reads the parameters. A scope that cannot be given is refused before the password costs anything.
///
/// # Errors
/// A bad scope, or no user name.
pub fn admit<'p>(cx: &Context<'_>, client: &AuthenticatedClient<'_>, params: &'p Params) -> Result<Asked<'p>, Reason> {
    let asked = scope::asked(cx.records, params);
    if let Some(asked) = asked {
        scope::validate(cx.records, client.client(), asked)?;
    }
    let scope = asked.unwrap_or_default();
    let username = params.sent(cx.records.realm.profile(), "username").ok_or(Reason::MissingUsername)?;
    Ok(Asked { username, password: params.raw("password").unwrap_or_default(), scope })
}

/// Decides after the login room accepted user name and password. `owes_action`: a required action stands in the way.
pub fn decide<'a>(
    cx: &Context<'a>,
    client: &AuthenticatedClient<'a>,
    asked: Asked<'_>,
    user: &'a User,
    owes_action: bool,
) -> Decision<'a> {
    let client = client.client();
    if !user.enabled {
        return refuse(cx, client, Reason::AccountDisabled, "user_disabled");
    }
    if user.service_account_client.is_some() {
        return refuse(cx, client, Reason::InvalidUserCredentials, "invalid_user_credentials");
    }
    if owes_action {
        return refuse(cx, client, Reason::AccountNotSetUp, "resolve_required_actions");
    }
    match give(cx, client, asked, user) {
        Ok(decision) => decision,
        Err(reason) => Decision::refuse(reason),
    }
}

fn refuse<'a>(cx: &Context<'_>, client: &crate::client::Client, reason: Reason, error: &'static str) -> Decision<'a> {
    let audit = token::audit_error(cx, "LOGIN_ERROR", client, error);
    Decision { plan: Plan::new(Lane::Login, audit.into_iter().collect()), answer: Err(reason) }
}

fn give<'a>(
    cx: &Context<'a>,
    client: &'a crate::client::Client,
    asked: Asked<'_>,
    user: &'a User,
) -> Result<Decision<'a>, Reason> {
    let (now, realm) = (cx.now.secs(), &cx.records.realm);
    let asked_scopes = scope::active(cx.records, client, asked.scope);
    let offline = offline::admit(cx, client, user, &asked_scopes)?;
    let session = UserSession { offline, ..UserSession::begun(uuid(cx.entropy).into(), user.id.clone(), cx.ip, now) };
    let grant = Grant { scope: asked.scope.to_owned(), resources: cx.resources.to_vec(), ..Grant::default() };
    let mut writes = vec![
        Write::ExpectUser(realm.id.clone(), user.id.clone(), user.version),
        Write::CreateUserSession(realm.id.clone(), session.clone()),
    ];
    let (joined, family) = family::join(cx, client, &session, &grant, now)?;
    writes.extend(joined);
    writes.extend(token::audit(cx, "LOGIN", client, (&user.id, &session.id)));
    let scopes = asked_scopes.permitted(cx.records, user);
    let all = scopes.all_names();
    let to = token::Recipient { client, user, session, grant, client_started: now };
    let issue = token::issue(cx, GrantType::Password, to, (scopes, &all), family)?;
    Ok(Decision { plan: Plan::new(Lane::Login, writes), answer: Ok(issue) })
}
