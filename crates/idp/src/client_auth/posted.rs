//! A form that a client posts to an endpoint of clients alone: no browser, no cookie, no page.
//!
//! **Owns** what such endpoints begin with: method, realm, form, who it is from. **Does not own** their tables and answers.
//! **Flow** [`Posted::read`] -> [`Posted::client`] -> the endpoint's table -> [`Posted::context`] -> the endpoint's work.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, Method};
use portcullis_core::oauth::client_auth::AuthenticatedClient;
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::params::Params;
use portcullis_core::oauth::token::Context;
use portcullis_core::time::Now;

use super::{Asking, Marked};
use crate::extract::{self, Arrival, Peer};
use crate::respond;
use crate::state::{App, RealmView};
use crate::token;
use crate::watch;

/// How an endpoint answers what is no form of a client.
pub(crate) struct Manners {
    /// `OPTIONS`.
    pub(crate) options: fn(&HeaderMap) -> Response,
    /// A refusal before the client is known.
    pub(crate) refused: fn(&HeaderMap, &Reason) -> Response,
}

/// What was posted.
pub(crate) struct Posted {
    pub(crate) view: Arc<RealmView>,
    pub(crate) headers: HeaderMap,
    pub(crate) params: Params,
    peer: Peer,
    base: String,
    issuer: String,
    now: Now,
}

impl Posted {
    /// Reads a request, or answers it where there is nothing to read: another method, a closed realm, a form that cannot be read.
    pub(crate) async fn read(app: &App, realm: &str, request: Request, manners: &Manners) -> Result<Self, Response> {
        let arrival = Arrival::read(app, realm, request).await?;
        let base = arrival.base(app);
        let issuer = base.issuer(realm);
        let Arrival { parts, body, peer, view } = arrival;
        match parts.method {
            Method::OPTIONS => return Err((manners.options)(&parts.headers)),
            Method::POST => {}
            _ => return Err(respond::wrong_method()),
        }
        if let Some(reason) = token::closed(&view, &peer) {
            return Err((manners.refused)(&parts.headers, &reason));
        }
        let Ok(params) = extract::form(&parts.headers, &body) else {
            return Err((manners.refused)(&parts.headers, &Reason::InvalidRequest));
        };
        Ok(Self { view, headers: parts.headers, params, peer, base: base.url, issuer, now: app.now() })
    }

    /// Who it is from, or why nobody knows.
    pub(crate) async fn client(&self, app: &App) -> Result<AuthenticatedClient<'_>, Reason> {
        let Self { headers, params, issuer, now, .. } = self;
        let asking = Asking { headers, params, issuer, now: *now, ip: &self.peer.ip };
        super::authenticate(app, &self.view, asking, &mut Marked::default()).await
    }

    /// What the law's decisions need.
    pub(crate) fn context<'c>(&'c self, app: &'c App) -> Context<'c> {
        Context {
            now: self.now,
            records: &self.view.records,
            base: &self.base,
            issuer: &self.issuer,
            ip: &self.peer.ip,
            entropy: &*app.entropy,
            resources: &[],
        }
    }

    /// A refusal, with the client as the request names itself.
    pub(crate) fn named(&self, mut response: Response) -> Response {
        watch::client(&mut response, || watch::named_client(&self.headers, &self.params));
        response
    }
}
