//! Single sign-on: the browser's session by its cookie, and the cookies that carry it.

use http::HeaderMap;
use portcullis_core::entropy;
use portcullis_core::ids::SessionId;
use portcullis_core::login::session_cookie::{self, Identity};
use portcullis_core::session::UserSession;
use portcullis_core::session_limits;
use portcullis_core::user::User;
use portcullis_jose::{SignError, jws};

use crate::respond::cookies::{self, Attributes};
use crate::state::Unavailable;

use super::Cx;

/// A browser's live session.
pub(crate) struct Sso {
    /// The session.
    pub(crate) session: UserSession,
    /// Its user.
    pub(crate) user: User,
}

impl Sso {
    /// The session that the browser's cookie names, whether it lives or not.
    pub(crate) fn named(cx: &Cx<'_>) -> Option<SessionId> {
        let value = cookies::get(cx.headers, cookies::KEYCLOAK_IDENTITY)?;
        session_cookie::read(value, cx.view.keys.verifying(), &cx.issuer(), cx.now.secs()).map(|found| found.session)
    }

    /// The live session of the browser, with its user.
    pub(crate) async fn current(cx: &Cx<'_>) -> Result<Option<Self>, Unavailable> {
        let Some(value) = cookies::get(cx.headers, cookies::KEYCLOAK_IDENTITY) else { return Ok(None) };
        let keys = cx.view.keys.verifying();
        let Some(identity) = session_cookie::read(value, keys, &cx.issuer(), cx.now.secs()) else { return Ok(None) };
        let (db, realm) = (&cx.app.db, &cx.view.records.realm);
        let Some(session) = db.user_session(&realm.id, &identity.session).await.map_err(|_| Unavailable)? else {
            return Ok(None);
        };
        let Some(user) = db.user(&realm.id, &session.user).await.map_err(|_| Unavailable)? else { return Ok(None) };
        let children = db.client_sessions(&realm.id, &session.id).await.map_err(|_| Unavailable)?;
        let alive = session_cookie::accepts(&identity, &session, &children, &user, realm, cx.now.secs());
        Ok(alive.then_some(Self { session, user }))
    }
}

/// Sets `KEYCLOAK_IDENTITY` and `KEYCLOAK_SESSION` of a session (surface §1.6).
pub(super) fn set_cookies(cx: &Cx<'_>, headers: &mut HeaderMap, session: &UserSession) -> Result<(), SignError> {
    let limits = session_limits::of_user_session(&cx.view.records.realm, session.remember_me);
    let identity = Identity {
        session: session.id.clone(),
        user: session.user.clone(),
        issued_at: cx.now.secs(),
        state_checker: entropy::token::<32>(cx.app.entropy.as_ref()),
    };
    let jti = entropy::uuid(cx.app.entropy.as_ref());
    let claims = session_cookie::claims(&identity, &cx.issuer(), &jti, cx.now.secs() + limits.max);
    let key = cx.view.keys.hmac().ok_or(SignError)?;
    let token = jws::encode(key, Some("JWT"), claims.to_string().as_bytes())?;
    let own = |max_age, http_only| Attributes { max_age, http_only };
    let (realm, secure) = (cx.realm_name(), cx.base.secure);
    let lasting = session.remember_me.then_some(limits.max);
    cookies::set(headers, realm, secure, cookies::KEYCLOAK_IDENTITY, &token, own(lasting, true));
    let digest = session_cookie::session_digest(&session.id);
    cookies::set(headers, realm, secure, cookies::KEYCLOAK_SESSION, &digest, own(Some(limits.max), false));
    Ok(())
}

/// Deletes the cookies of a session, those that the browser has.
pub(crate) fn delete_cookies(cx: &Cx<'_>, headers: &mut HeaderMap) {
    for name in [cookies::KEYCLOAK_IDENTITY, cookies::KEYCLOAK_SESSION] {
        cookies::delete_if_sent(cx.headers, headers, cx.realm_name(), name);
    }
}
