//! The single sign-on cookie `KEYCLOAK_IDENTITY` and how long the session behind it lives (Keycloak 26.4).

use portcullis_jose::{Algorithm, AudienceRule, KeySet, Profile, TypeRule, digest, jwt};
use serde_json::{Value, json};

use crate::ids::{SessionId, UserId};
use crate::realm::Realm;
use crate::session::{ClientSession, UserSession};
use crate::session_limits;
use crate::user::User;

/// Claim `typ` of the cookie: no other token of the realm can stand in for it.
const TYPE: &str = "Serialized-ID";

/// What the cookie says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The session.
    pub session: SessionId,
    /// Its user.
    pub user: UserId,
    /// When the cookie was made, seconds.
    pub issued_at: i64,
    /// `state_checker`: proves that a form of the account came from this browser.
    pub state_checker: String,
}

/// The claims in Keycloak's order.
#[must_use]
pub fn claims(identity: &Identity, issuer: &str, jti: &str, expires_at: i64) -> Value {
    json!({
        "exp": expires_at,
        "iat": identity.issued_at,
        "jti": jti,
        "iss": issuer,
        "sub": identity.user,
        "typ": TYPE,
        "sid": identity.session,
        "state_checker": identity.state_checker,
    })
}

/// Reads a cookie: signed by this realm's HS512 key, for this issuer, not past its end (SE-13, SE-15).
#[must_use]
pub fn read(cookie: &str, keys: &KeySet, issuer: &str, now: i64) -> Option<Identity> {
    let profile = Profile::new(&[Algorithm::HS512], TypeRule::one_of_or_absent(&["JWT"]), issuer, AudienceRule::Any)
        .expiry_leeway(0)
        .require(&["sub", "sid", "jti"]);
    let verified = jwt::verify(cookie, keys, &profile, now).ok()?;
    if verified.str("typ") != Some(TYPE) {
        return None;
    }
    Some(Identity {
        session: SessionId::new(verified.str("sid")?),
        user: UserId::new(verified.sub()?),
        issued_at: verified.iat()?,
        state_checker: verified.str("state_checker").unwrap_or_default().to_owned(),
    })
}

/// Whether the cookie still signs its user in: session and account stand, belong to each other, and nothing was cut off since.
#[must_use]
pub fn accepts(
    identity: &Identity,
    session: &UserSession,
    children: &[ClientSession],
    user: &User,
    realm: &Realm,
    now: i64,
) -> bool {
    let cut_off = realm.settings.not_before.max(user.not_before);
    let children = children.iter().map(|c| c.last_refresh);
    let last_used = children.chain([session.last_seen, session.started]).max().unwrap_or(0);
    session.user == identity.user
        && user.id == identity.user
        && user.enabled
        && !session.offline
        && !session_limits::is_cut_off(realm, user, session)
        && identity.issued_at >= cut_off
        && (!session.remember_me || realm.settings.remember_me)
        && session_limits::is_active(realm, session, last_used, now)
}

/// `KEYCLOAK_SESSION`: what the session iframe compares (base64url of SHA-256 of the id, Keycloak 26.1+).
#[must_use]
pub fn session_digest(session: &SessionId) -> String {
    digest::base64url_encode(&digest::sha256(session.as_str().as_bytes()))
}

#[cfg(test)]
mod tests;
