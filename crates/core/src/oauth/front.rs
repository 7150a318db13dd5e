//! Tokens that travel by the browser: implicit and hybrid flow (RFC 6749 §4.2, OIDC Core §3.2, §3.3; keycloak realms only).
//!
//! **Owns** the facts of such tokens and the client session that stands behind them. **Does not own** who may ask
//! ([`super::authorize`]), the login (idp), the answer's form ([`super::response_mode`]).
//! **Flow** a session -> [`decide`] -> the login's plan with these writes -> signed by idp.

use crate::client::Client;
use crate::oauth::error::Reason;
use crate::oauth::grants::family;
use crate::oauth::response_type::ResponseType;
use crate::oauth::scope;
use crate::oauth::token::{self, Context, GrantType, Issue, Recipient};
use crate::plan::Write;
use crate::session::{ClientSession, Grant, UserSession};
use crate::session_limits;
use crate::user::User;

/// Who gets the tokens.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The client.
    pub client: &'a Client,
    /// The user.
    pub user: &'a User,
}

/// The tokens of an authorization answer, and what is written with the login. `below` is the client's session in `session` if it
/// took part before.
///
/// # Errors
/// [`Reason::UserDisabled`] when the account was switched off meanwhile.
pub fn decide<'a>(
    cx: &Context<'a>,
    to: Parties<'a>,
    session: &UserSession,
    below: Option<&ClientSession>,
    (response_type, grant): (ResponseType, Grant),
) -> Result<(Issue<'a>, Vec<Write>), Reason> {
    let Parties { client, user } = to;
    if !user.enabled || user.id != session.user {
        return Err(Reason::UserDisabled);
    }
    let (now, realm) = (cx.now.secs(), &cx.records.realm);
    let known = below.filter(|c| session_limits::is_client_active(realm, client, session, c, now));
    let started = known.map_or(now, |c| c.started);
    let writes = vec![
        Write::ExpectClient(realm.id.clone(), client.id.clone(), client.version),
        Write::ExpectUser(realm.id.clone(), user.id.clone(), user.version),
        family::part(cx, client, session, &grant, started),
    ];
    let scopes = scope::active(cx.records, client, &grant.scope);
    let to = Recipient { client, user, session: session.clone(), grant, client_started: started };
    let mut issue = token::issue(cx, GrantType::Implicit, to, (scopes, ""), None)?;
    if response_type.is_implicit() {
        // The client cannot refresh, so these live longer; a client's own lifespan does not count (Keycloak 26.4).
        let lifespan = realm.settings.access_token_lifespan_for_implicit_flow;
        issue.access_expires_at = session_limits::within_session(realm, session, now.saturating_add(lifespan));
    }
    Ok((issue, writes))
}
