//! Who calls the Admin API: the token's realm verifies it, the store says who the user is now.
//!
//! | check | else |
//! |---|---|
//! | exactly one `Authorization: Bearer` | 401 |
//! | the issuer is a ready, enabled realm of this server | 401 |
//! | signature, `exp`, `iat`, claim `typ` = Bearer, not bound to a key (`cnf`) | 401 |
//! | client there and enabled; realm, client and user not-before passed | 401 |
//! | session (or service account) alive, user enabled | 401 |

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use portcullis_core::admin::Standing;
use portcullis_core::client::Client;
use portcullis_core::ids::{SessionId, UserId};
use portcullis_core::session_limits;
use portcullis_core::time::Now;
use portcullis_core::user::User;
use portcullis_jose::{Algorithm, AudienceRule, Limits, Profile, TypeRule, Verified, jws, jwt};

use super::Refused;
use crate::extract::{Base, Peer};
use crate::state::{App, RealmView};

/// An administrator who proved who it is. What it may do is asked of [`portcullis_core::admin`].
pub(super) struct Caller {
    home: Arc<RealmView>,
    /// The user as stored now.
    pub(super) user: User,
    client_id: String,
    /// The server's own address.
    pub(super) base: Base,
}

impl Caller {
    /// The caller of a request.
    pub(super) async fn of(app: &App, parts: &Parts) -> Result<Self, Refused> {
        let token = bearer(parts).ok_or(Refused::Unauthorized)?;
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
        let base = Base::of(&app.config, &parts.headers, &parts.uri, &peer);
        let home = issuer_realm(app, &base, token).await?;
        let now = app.now();
        let verified = verify(&home, &base, token, now).ok_or(Refused::Unauthorized)?;
        let client = enabled_client(&home, &verified).ok_or(Refused::Unauthorized)?;
        let user = user(app, &home, client, &verified, now).await?;
        let client_id = client.client_id.clone();
        Ok(Self { home, user, client_id, base })
    }

    /// What it holds, from the store.
    pub(super) fn standing(&self) -> Standing<'_> {
        Standing::of(&self.home.records, &self.user, &self.client_id)
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let mut all = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

async fn issuer_realm(app: &App, base: &Base, token: &str) -> Result<Arc<RealmView>, Refused> {
    let parsed = jws::parse(token, &Limits::default()).map_err(|_| Refused::Unauthorized)?;
    let name =
        parsed.unverified_issuer().and_then(|iss| iss.strip_prefix(&base.issuer(""))).ok_or(Refused::Unauthorized)?;
    let home = app.realm(name).await?.ok_or(Refused::Unauthorized)?;
    if home.records.realm.settings.enabled { Ok(home) } else { Err(Refused::Unauthorized) }
}

fn verify(home: &RealmView, base: &Base, token: &str, now: Now) -> Option<Verified> {
    let algorithms: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|a| !a.is_symmetric()).collect();
    let issuer = base.issuer(&home.records.realm.name);
    let profile = Profile::new(&algorithms, TypeRule::one_of(&["JWT", "at+jwt"]), issuer, AudienceRule::Any);
    let verified = jwt::verify(token, home.keys.verifying(), &profile, now.secs()).ok()?;
    let is_bearer = verified.str("typ").is_some_and(|typ| typ.eq_ignore_ascii_case("bearer"));
    let bound = verified.get("cnf").is_some();
    let fresh = verified.iat()? >= home.records.realm.settings.not_before;
    (is_bearer && !bound && fresh).then_some(verified)
}

fn enabled_client<'a>(home: &'a RealmView, verified: &Verified) -> Option<&'a Client> {
    let client = home.records.client(verified.str("azp")?)?;
    let fresh = verified.iat()? >= client.settings.not_before;
    (client.settings.enabled && fresh).then_some(client)
}

async fn user(app: &App, home: &RealmView, client: &Client, verified: &Verified, now: Now) -> Result<User, Refused> {
    let realm = &home.records.realm;
    let unread = |_| Refused::Unavailable;
    let id = match verified.str("sid") {
        Some(sid) => {
            let both = app.db.session_and_client(&realm.id, &SessionId::new(sid), &client.id).await.map_err(unread)?;
            let (session, Some(below)) = both.ok_or(Refused::Unauthorized)? else {
                return Err(Refused::Unauthorized);
            };
            let last = session.last_seen.max(below.last_refresh);
            let limits = session_limits::of_user_session(realm, session.remember_me);
            if !session.offline && limits.ends_at(session.started, last) <= now.secs() {
                return Err(Refused::Unauthorized);
            }
            session.user
        }
        // Tokens without a session are those of service accounts.
        None => {
            let account = app.db.service_account(&realm.id, &client.id).await.map_err(unread)?;
            let account = account.ok_or(Refused::Unauthorized)?;
            if !client.settings.service_accounts_enabled {
                return Err(Refused::Unauthorized);
            }
            account.id
        }
    };
    // Lightweight tokens have no subject; one that is there must be the session's.
    if verified.sub().is_some_and(|sub| UserId::new(sub) != id) {
        return Err(Refused::Unauthorized);
    }
    let user = app.db.user(&realm.id, &id).await.map_err(unread)?.ok_or(Refused::Unauthorized)?;
    let fresh = verified.iat().is_some_and(|iat| iat >= user.not_before);
    if user.enabled && fresh { Ok(user) } else { Err(Refused::Unauthorized) }
}
