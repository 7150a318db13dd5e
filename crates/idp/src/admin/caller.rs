//! Who calls the Admin API: the token's realm verifies it, the store says who the user is now.
//!
//! | check | else |
//! |---|---|
//! | exactly one `Authorization: Bearer` | 401 |
//! | the issuer is a ready, enabled realm of this server | 401 |
//! | all of [`bearer::verify`] | 401 |

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use portcullis_core::admin::Standing;
use portcullis_core::time::Now;
use portcullis_core::user::User;
use portcullis_jose::{Limits, jws};

use super::Refused;
use crate::bearer;
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
        let token = credential(parts).ok_or(Refused::Unauthorized)?;
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
        let base = Base::of(&app.config, &parts.headers, &parts.uri, &peer);
        let home = issuer_realm(app, &base, token).await?;
        let issuer = base.issuer(&home.records.realm.name);
        let (user, client_id) = verify(app, &home, &issuer, token, app.now()).await?;
        Ok(Self { home, user, client_id, base })
    }

    /// What it holds, from the store.
    pub(super) fn standing(&self) -> Standing<'_> {
        Standing::of(&self.home.records, &self.user, &self.client_id)
    }
}

fn credential(parts: &Parts) -> Option<&str> {
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

/// The user behind the token and the token's client.
async fn verify(app: &App, home: &RealmView, issuer: &str, token: &str, now: Now) -> Result<(User, String), Refused> {
    match bearer::verify(app, home, issuer, token, now).await {
        Ok(principal) => Ok((principal.user, principal.client.client_id.clone())),
        Err(bearer::Refused::Unavailable) => Err(Refused::Unavailable),
        Err(refused) => {
            tracing::debug!(?refused, "an administrator's token does not count");
            Err(Refused::Unauthorized)
        }
    }
}
