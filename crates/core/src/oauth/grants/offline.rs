//! Offline sessions (OIDC Core §11): sessions of one client that outlive the browser's login.
//!
//! A login that is used for `offline_access` alone becomes the offline session itself, so no single sign-on stays behind (Keycloak
//! 26.1 and later). Where other clients share the login, the offline session is a new one with an id of its own: what ends the
//! login must not end it, nor the other way round.

use crate::claims::roles;
use crate::client::Client;
use crate::entropy::uuid;
use crate::oauth::error::Reason;
use crate::oauth::scope::{ActiveScopes, OFFLINE_ACCESS};
use crate::oauth::token::Context;
use crate::plan::Write;
use crate::session::UserSession;
use crate::user::User;

/// Whether these scopes make the session an offline one. They are those that were asked for, before any was taken away for want of a
/// role.
///
/// # Errors
/// [`Reason::OfflineNotAllowed`] when the token would not carry the realm role `offline_access`.
pub(crate) fn admit<'a>(
    cx: &Context<'a>,
    client: &'a Client,
    user: &'a User,
    asked: &ActiveScopes<'a>,
) -> Result<bool, Reason> {
    if !asked.offline() {
        return Ok(false);
    }
    let role = cx.records.roles.named(None, OFFLINE_ACCESS).ok_or(Reason::OfflineNotAllowed)?;
    let granted = roles::granted(cx.records, client, user, asked);
    if granted.contains(&role.id) { Ok(true) } else { Err(Reason::OfflineNotAllowed) }
}

/// The offline session that a login becomes, or gives rise to when it is `shared` with other clients, and the write that makes it.
pub(crate) fn from_login(cx: &Context<'_>, client: &Client, login: &UserSession, shared: bool) -> (UserSession, Write) {
    let (now, realm) = (cx.now.secs(), cx.records.realm.id.clone());
    let mut session = UserSession { offline: true, started: now, last_seen: now, ..login.clone() };
    if shared {
        session.id = uuid(cx.entropy).into();
        let write = Write::CreateUserSession(realm, session.clone());
        return (session, write);
    }
    let write = Write::MakeOffline { realm, session: session.id.clone(), client: client.id.clone(), at: now };
    (session, write)
}
