//! `POST /realms/{realm}/protocol/openid-connect/token` (RFC 6749 §3.2).
//!
//! **Owns** loading what a grant needs, applying its plan, signing, the answer's headers. **Does not own** any rule
//! ([`portcullis_core::oauth::token`]).
//! **Flow** form -> [`token::open`] -> load -> a grant's `decide` -> apply -> sign -> answer. A lost gate loads and decides again.

mod load;
pub(crate) mod mint;

pub(crate) use load::{consent_of, verified as refresh_claims};
pub(crate) use mint::{Beside, FrontTokens, after_cuts, prepare};
pub(crate) use mint::{front as sign_front, full as sign_full, introspection as sign_introspection};

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use portcullis_core::ids::UserId;
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::params::Params;
use portcullis_core::oauth::token::{self, Context, Cors, GrantType, Opened, Refusal};
use portcullis_core::time::Now;
use portcullis_store::ApplyError;

use crate::client_auth::{self, Asking, Marked};
use crate::extract::{self, Arrival, Base, Peer};
use crate::respond;
use crate::respond::cors::{self, Allowed};
use crate::state::{App, RealmView};
use crate::watch::{self, Why};

const METHODS: &str = "POST, OPTIONS";

/// First try and two more after lost gates; then the request ends with 503.
const ATTEMPTS: usize = 3;

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    let arrival = match Arrival::read(&app, &realm, request).await {
        Ok(arrival) => arrival,
        Err(turned) => return turned.into(),
    };
    let base = arrival.base(&app);
    let Arrival { parts, body, peer, .. } = arrival;
    match parts.method {
        Method::OPTIONS => return cors::preflight(&parts.headers, METHODS),
        Method::POST => {}
        _ => return respond::wrong_method(),
    }
    let Ok(params) = extract::form(&parts.headers, &body) else {
        return refused(&parts.headers, &Reason::InvalidRequest, &Allowed::Any);
    };
    let call = Call { app: &app, realm: &realm, parts: &parts, params: &params, base, peer, now: app.now() };
    let mut response = call.run().await;
    watch::client(&mut response, || watch::named_client(&parts.headers, &params));
    response
}

/// Whether the realm takes no requests of this kind: switched off, or plain http where that is not allowed (surface §1.1).
pub(crate) fn closed(view: &RealmView, peer: &Peer) -> Option<Reason> {
    let settings = &view.records.realm.settings;
    let needs_https = match settings.ssl_required.to_ascii_lowercase().as_str() {
        "none" => false,
        "all" => true,
        _ => !is_local(&peer.ip),
    };
    if needs_https && !peer.https {
        return Some(Reason::HttpsRequired);
    }
    (!settings.enabled).then_some(Reason::RealmDisabled)
}

/// Loopback and private networks count as inside (Keycloak's `external`).
fn is_local(ip: &str) -> bool {
    match ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// Who may read a refusal.
pub(crate) fn readers(view: &RealmView, refusal: &Refusal) -> Allowed {
    let client = refusal.client_id.as_deref().and_then(|id| view.records.client(id));
    match refusal.cors {
        Cors::Nobody => Allowed::Nobody,
        Cors::Any => Allowed::Any,
        Cors::Client => client.map_or(Allowed::Nobody, Allowed::of),
    }
}

fn refused(headers: &HeaderMap, reason: &Reason, allowed: &Allowed) -> Response {
    let mut response = respond::oauth_error(reason);
    cors::add(&mut response, headers, allowed, Some(cors::EXPOSED));
    response
}

/// One request.
pub(crate) struct Call<'r> {
    app: &'r Arc<App>,
    realm: &'r str,
    parts: &'r Parts,
    params: &'r Params,
    base: Base,
    peer: Peer,
    now: Now,
}

/// What one try came to.
enum Tried {
    /// Answered.
    Done(Response),
    /// A gate was lost: somebody else changed what was decided upon.
    Again,
}

/// What is kept from one try to the next.
#[derive(Default)]
struct Progress {
    tries: usize,
    /// The client's assertion counts once for the request.
    marked: Marked,
    /// The user whose password was right: it is compared (and counted) once.
    accepted: Option<UserId>,
    /// Why a password or a subject token was refused, finer than the public reason.
    finer: Option<Why>,
}

impl Call<'_> {
    async fn run(&self) -> Response {
        let mut progress = Progress::default();
        while progress.tries < ATTEMPTS {
            match self.attempt(&mut progress).await {
                Tried::Done(response) => return response,
                Tried::Again => progress.tries += 1,
            }
        }
        self.unavailable()
    }

    fn unavailable(&self) -> Response {
        refused(&self.parts.headers, &Reason::Unavailable, &Allowed::Any)
    }

    async fn attempt(&self, progress: &mut Progress) -> Tried {
        // Read again on every try: what was lost may be the realm's own version.
        let Ok(Some(view)) = self.app.realm(self.realm).await else { return Tried::Done(self.unavailable()) };
        if let Some(reason) = closed(&view, &self.peer) {
            return Tried::Done(refused(&self.parts.headers, &reason, &Allowed::Any));
        }
        let issuer = self.base.issuer(&view.records.realm.name);
        let asking = Asking {
            headers: &self.parts.headers,
            params: self.params,
            issuer: &issuer,
            now: self.now,
            ip: &self.peer.ip,
        };
        let proven = client_auth::authenticate(self.app, &view, asking, &mut progress.marked).await;
        let opened = match token::open(&view.records, &proven, self.params) {
            Ok(opened) => opened,
            Err(refusal) => {
                let allowed = readers(&view, &refusal);
                return Tried::Done(refused(&self.parts.headers, &refusal.reason, &allowed));
            }
        };
        self.grant(&view, opened, progress).await
    }

    async fn grant(&self, view: &Arc<RealmView>, mut opened: Opened<'_>, progress: &mut Progress) -> Tried {
        let issuer = self.base.issuer(&view.records.realm.name);
        let resources = std::mem::take(&mut opened.resources);
        let cx = Context {
            now: self.now,
            records: &view.records,
            base: &self.base.url,
            issuer: &issuer,
            ip: &self.peer.ip,
            entropy: &*self.app.entropy,
            resources: &resources,
        };
        let allowed = Allowed::of(opened.client.client());
        watch::tell("portcullis.grant", opened.grant.name());
        match mint::prepare(self.app, view, opened.client.client()).await {
            Ok(false) => {}
            Ok(true) => return Tried::Again,
            Err(reason) => return Tried::Done(refused(&self.parts.headers, &reason, &allowed)),
        }
        let tried = match opened.grant {
            GrantType::AuthorizationCode => self.code(view, &cx, opened, progress.tries > 0).await,
            GrantType::RefreshToken => self.refresh(view, &cx, opened).await,
            GrantType::DeviceCode => self.device(view, &cx, opened).await,
            GrantType::Password => self.password(view, &cx, opened, progress).await,
            GrantType::ClientCredentials => self.client_credentials(view, &cx, opened).await,
            GrantType::TokenExchange => self.exchange(view, &cx, opened, progress).await,
            // Tokens by the browser have no door here; the table let none through.
            GrantType::Implicit => Err(Reason::UnsupportedGrantType),
        };
        match tried {
            Ok(Some(json)) => {
                let mut response = respond::raw_json(StatusCode::OK, json);
                respond::no_store(response.headers_mut());
                cors::add(&mut response, &self.parts.headers, &allowed, Some(cors::EXPOSED));
                Tried::Done(response)
            }
            Ok(None) => Tried::Again,
            Err(reason) => {
                let mut response = refused(&self.parts.headers, &reason, &allowed);
                let coarse = [Reason::InvalidUserCredentials, Reason::ExchangeInvalidSubject];
                if let Some(why) = progress.finer.take().filter(|_| coarse.contains(&reason)) {
                    watch::mark(&mut response, why);
                }
                Tried::Done(response)
            }
        }
    }

    /// Applies the plan, then signs. `Ok(None)`: a gate was lost.
    async fn settle(&self, view: &RealmView, decision: token::Decision<'_>) -> Result<Option<Vec<u8>>, Reason> {
        match self.app.db.apply(decision.plan).await {
            Ok(()) => {}
            Err(ApplyError::Gate(gate)) => {
                tracing::debug!(?gate, "the plan lost its gate");
                return Ok(None);
            }
            Err(error @ (ApplyError::Busy | ApplyError::Unknown | ApplyError::Storage(_))) => {
                tracing::warn!(%error, "a token request was not written");
                return Err(Reason::Unavailable);
            }
        }
        let mut issue = decision.answer?;
        mint::after_cuts(self.app, view, &mut issue).await?;
        mint::mint(self.app, view, &issue).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn en_plain_http_is_local_only() {
        for (ip, local) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("::1", true),
            ("::ffff:192.168.0.1", true),
            ("fd00::1", true),
            ("8.8.8.8", false),
            ("::ffff:8.8.8.8", false),
            ("2001:db8::1", false),
            ("", false),
        ] {
            assert_eq!(is_local(ip), local, "{ip}");
        }
    }
}
