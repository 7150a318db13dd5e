//! The login that a code or a device's approval stands for.

use crate::client::Client;
use crate::oauth::error::Reason;
use crate::oauth::token::Context;
use crate::pending::Consent;
use crate::session::{ClientSession, UserSession};
use crate::session_limits;
use crate::user::User;

/// A login as it is stored now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Login<'a> {
    /// The user session; `last_seen` is the latest activity of it and its children.
    pub session: Option<&'a UserSession>,
    /// The client's part in it.
    pub client_session: Option<&'a ClientSession>,
    /// Whether other clients have a part in the session; counts where an offline session is asked for.
    pub shared: bool,
    /// The user.
    pub user: Option<&'a User>,
    /// What the user allowed the client; read after the user, whose version guards it.
    pub consent: Option<&'a Consent>,
}

/// Whether a session still gives tokens to a client that asked for them at `asked_at`, seconds.
pub(super) fn active(
    cx: &Context<'_>,
    client: &Client,
    (session, user): (&UserSession, &User),
    asked_at: i64,
) -> Result<(), Reason> {
    let realm = &cx.records.realm;
    let over = session_limits::is_cut_off(realm, user, session)
        || session_limits::is_before(client, asked_at)
        || !session_limits::is_active(realm, session, session.last_seen, cx.now.secs());
    if over { Err(Reason::SessionNotActive) } else { Ok(()) }
}
