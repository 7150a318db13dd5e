//! Access tokens of a realm at the identity provider itself: a token counts while the store still says so.
//!
//! | check | else |
//! |---|---|
//! | signature by the realm, `iss`, `exp`, `typ` Bearer, not bound to a key | [`Refused::Token`] with its [`Flaw`] |
//! | not before realm, client and user | [`Refused::Token`] |
//! | not revoked (RFC 7009) | [`Refused::Token`] |
//! | client there and enabled | [`Refused::Token`], [`Refused::ClientDisabled`] |
//! | user session and client session alive, younger than the token | [`Refused::SessionGone`] |
//! | without a session (RFC 6749 §4.4): the subject is the service account of the client | [`Refused::Token`] |
//! | user there and enabled | [`Refused::SessionGone`], [`Refused::UserDisabled`] |

use std::sync::Arc;

use portcullis_core::client::Client;
use portcullis_core::cutoff::Ended;
use portcullis_core::ids::SessionId;
use portcullis_core::session::{ClientSession, UserSession};
use portcullis_core::session_limits;
use portcullis_core::time::Now;
use portcullis_core::user::User;
use portcullis_jose::{Algorithm, AudienceRule, Profile, Reject, TypeRule, Verified, jwt};

use crate::state::{App, RealmView};
use crate::watch;

/// Who presented a token, as stored now.
#[derive(Debug)]
pub(crate) struct BearerPrincipal<'v> {
    /// Whose token it is.
    pub(crate) user: Arc<User>,
    /// The client it was given to.
    pub(crate) client: &'v Client,
    /// The session behind it and the client's part of it; `None` for a service account's token without one.
    pub(crate) session: Option<(UserSession, ClientSession)>,
    /// What the token says.
    pub(crate) claims: Verified,
}

/// Why a token does not count (surface §1.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// It does not verify, or was issued before a not-before.
    Token(Flaw),
    /// Its client is switched off.
    ClientDisabled,
    /// Its user is switched off.
    UserDisabled,
    /// Logged out, idle, too old, detached, or the user is gone.
    SessionGone,
    /// The store did not answer.
    Unavailable,
}

/// What is wrong with a token itself. Callers are told one text for all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    /// It breaks a rule that every token must keep.
    Rejected(Reject),
    /// Not an access token.
    NotBearer,
    /// Bound to a key.
    Bound,
    /// A claim is missing.
    Incomplete,
    /// Its client is not there.
    NoClient,
    /// Older than a not-before.
    TooOld,
    /// Revoked (RFC 7009).
    Revoked,
    /// Its subject is not the session's user.
    AnotherUser,
    /// Without a session and without a service account.
    NoServiceAccount,
}

impl Refused {
    /// Keycloak's `error_description`.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Token(_) | Self::Unavailable => "Token verification failed",
            Self::ClientDisabled => "Client disabled",
            Self::UserDisabled => "User disabled",
            Self::SessionGone => "user_session_not_found",
        }
    }
}

/// Verifies an access token of this realm and loads who stands behind it.
pub(crate) async fn verify<'v>(
    app: &App,
    view: &'v RealmView,
    issuer: &str,
    token: &str,
    now: Now,
) -> Result<BearerPrincipal<'v>, Refused> {
    let claims = signed(view, issuer, token, now).map_err(Refused::Token)?;
    stand(app, view, claims, now).await
}

/// Loads who stands behind an access token whose signature, issuer, time and kind hold.
pub(crate) async fn stand<'v>(
    app: &App,
    view: &'v RealmView,
    claims: Verified,
    now: Now,
) -> Result<BearerPrincipal<'v>, Refused> {
    let issued_at = claims.iat().ok_or(Refused::Token(Flaw::Incomplete))?;
    let client = claims.str("azp").and_then(|id| view.records.client(id)).ok_or(Refused::Token(Flaw::NoClient))?;
    watch::tell_client(&client.client_id);
    if !client.settings.enabled {
        return Err(Refused::ClientDisabled);
    }
    let realm = &view.records.realm;
    if issued_at < realm.settings.not_before.max(client.settings.not_before) {
        return Err(Refused::Token(Flaw::TooOld));
    }
    if let Some(jti) = claims.jti() {
        let ended = app.db.cut_off(&realm.id, &Ended::Token(jti.to_owned())).await;
        if ended.map_err(|_| Refused::Unavailable)?.is_some() {
            return Err(Refused::Token(Flaw::Revoked));
        }
    }
    let Some(sid) = claims.str("sid").map(SessionId::from) else {
        return service_account(app, view, client, claims).await;
    };
    let loaded = app.db.session_and_client(&realm.id, &sid, &client.id).await.map_err(|_| Refused::Unavailable)?;
    let Some((session, Some(client_session))) = loaded else { return Err(Refused::SessionGone) };
    let alive = session_limits::is_active(realm, &session, session.last_seen, now.secs())
        && session_limits::is_client_active(realm, client, &session, &client_session, now.secs());
    if !alive || issued_at < session.started || issued_at < client_session.started {
        return Err(Refused::SessionGone);
    }
    let user = app.db.shared_user(&realm.id, &session.user).await.map_err(|_| Refused::Unavailable)?;
    let user = user.ok_or(Refused::SessionGone)?;
    if user.service_account_client.is_some() && !client.settings.service_accounts_enabled {
        return Err(Refused::SessionGone);
    }
    whose(&claims, &user)?;
    if user.enabled {
        Ok(BearerPrincipal { user, client, session: Some((session, client_session)), claims })
    } else {
        Err(Refused::UserDisabled)
    }
}

/// Tokens without a session are those of service accounts (RFC 6749 §4.4). The client and its not-before were judged.
async fn service_account<'v>(
    app: &App,
    view: &RealmView,
    client: &'v Client,
    claims: Verified,
) -> Result<BearerPrincipal<'v>, Refused> {
    if client.is_public() || !client.settings.service_accounts_enabled {
        return Err(Refused::Token(Flaw::NoServiceAccount));
    }
    let realm = &view.records.realm.id;
    let account = app.db.service_account(realm, &client.id).await.map_err(|_| Refused::Unavailable)?;
    let user = account.ok_or(Refused::Token(Flaw::NoServiceAccount))?;
    whose(&claims, &user)?;
    if user.enabled { Ok(BearerPrincipal { user, client, session: None, claims }) } else { Err(Refused::UserDisabled) }
}

/// The token is this user's and younger than its not-before.
fn whose(claims: &Verified, user: &User) -> Result<(), Refused> {
    if claims.sub().is_some_and(|sub| sub != user.id.as_str()) {
        return Err(Refused::Token(Flaw::AnotherUser));
    }
    let fresh = claims.iat().is_some_and(|at| at >= user.not_before);
    if fresh { Ok(()) } else { Err(Refused::Token(Flaw::TooOld)) }
}

/// The claims of an access token of this realm: signature, issuer, time and kind; nothing of the store.
pub(crate) fn signed(view: &RealmView, issuer: &str, token: &str, now: Now) -> Result<Verified, Flaw> {
    let claims = read(view, issuer, token, now).map_err(Flaw::Rejected)?;
    if !is_access(&claims) {
        return Err(Flaw::NotBearer);
    }
    if claims.get("cnf").is_some() { Err(Flaw::Bound) } else { Ok(claims) }
}

/// Whether a token of this realm is an access token, bound to a key or not.
pub(crate) fn is_access(claims: &Verified) -> bool {
    claims.str("typ").is_some_and(|typ| typ.eq_ignore_ascii_case("bearer"))
}

/// The claims of any token of this realm that is signed for others to read: signature, issuer and time.
pub(crate) fn read(view: &RealmView, issuer: &str, token: &str, now: Now) -> Result<Verified, Reject> {
    let algorithms: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|a| !a.is_symmetric()).collect();
    let typ = TypeRule::one_of(&["JWT", "at+jwt"]);
    let profile = Profile::new(&algorithms, typ, issuer, AudienceRule::Any).expiry_leeway(0);
    jwt::verify(token, view.keys.verifying(), &profile, now.secs())
}
