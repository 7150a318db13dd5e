//! Who calls the Admin API: the token's realm verifies it, the store says who the user is now.
//!
//! | check | else |
//! |---|---|
//! | exactly one `Authorization: Bearer` | 401 |
//! | the issuer is a ready, enabled realm of this server | 401 |
//! | all of [`bearer::verify`] | 401 |
//! | not narrowed to resources elsewhere (RFC 8707) | 401 |

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use portcullis_core::admin::Standing;
use portcullis_core::oauth::resource;
use portcullis_core::user::User;
use portcullis_jose::{Limits, Reject, jws};

use super::{Refused, cors};
use crate::bearer;
use crate::extract::{Base, Peer};
use crate::state::{App, RealmView};
use crate::watch::{Halt, Why};

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
        let token = credential(parts).map_err(unauthorized)?;
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
        let base = Base::of(&app.config, &parts.headers, &parts.uri, &peer);
        let home = issuer_realm(app, &base, token).await?;
        let (user, client_id) = verify(app, &home, &base, token).await?;
        if let Some(client) = home.records.client(&client_id) {
            cors::allow(&parts.extensions, client);
        }
        Ok(Self { home, user, client_id, base })
    }

    /// What it holds, from the store.
    pub(super) fn standing(&self) -> Standing<'_> {
        Standing::of(&self.home.records, &self.user, &self.client_id)
    }
}

fn unauthorized(why: impl Into<Why>) -> Refused {
    Refused::Unauthorized(Box::new(why.into()))
}

fn credential(parts: &Parts) -> Result<&str, Halt> {
    let mut all = parts.headers.get_all(AUTHORIZATION).iter();
    let one = match (all.next(), all.next()) {
        (Some(one), None) => one,
        (Some(_), Some(_)) => return Err(Halt::SeveralTokens),
        (None, _) => return Err(Halt::NoToken),
    };
    let pair = one.to_str().ok().and_then(|text| text.split_once(' '));
    let token = pair.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    token.filter(|token| !token.is_empty()).ok_or(Halt::NoToken)
}

async fn issuer_realm(app: &App, base: &Base, token: &str) -> Result<Arc<RealmView>, Refused> {
    let parsed = jws::parse(token, &Limits::default()).map_err(unauthorized)?;
    let foreign = || unauthorized(Halt::ForeignIssuer);
    let name = parsed.unverified_issuer().and_then(|iss| iss.strip_prefix(&base.issuer(""))).ok_or_else(foreign)?;
    let home = app.realm(name).await?.ok_or_else(foreign)?;
    if home.records.realm.settings.enabled { Ok(home) } else { Err(foreign()) }
}

/// The user behind the token and the token's client.
async fn verify(app: &App, home: &RealmView, base: &Base, token: &str) -> Result<(User, String), Refused> {
    let issuer = base.issuer(&home.records.realm.name);
    let principal = match bearer::verify(app, home, &issuer, token, app.now()).await {
        Ok(principal) => principal,
        Err(bearer::Refused::Unavailable) => return Err(Refused::Unavailable),
        Err(refused) => return Err(unauthorized(refused)),
    };
    if !resource::opens_this_server(principal.client, principal.claims.aud(), &base.url) {
        return Err(unauthorized(Reject::WrongAudience));
    }
    Ok((Arc::unwrap_or_clone(principal.user), principal.client.client_id.clone()))
}
