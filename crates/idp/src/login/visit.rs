//! A request to `login-actions` or `logout`, read.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::header::{CACHE_CONTROL, ORIGIN};
use http::{HeaderMap, Method, StatusCode};
use portcullis_core::login::flow::LoginTab;
use portcullis_core::oauth::params::Params;
use portcullis_core::time::Now;

use crate::authorize;
use crate::extract::{self, Arrival, Base, Peer};
use crate::pages::security;
use crate::respond;
use crate::state::{App, RealmView, Unavailable};
use crate::watch::Halt;

use super::flows::{self, Flow};
use super::{Cx, page, restart};

/// What a request brought.
pub(crate) struct Visit {
    /// The realm.
    pub(crate) view: Arc<RealmView>,
    /// The method; HEAD counts as GET.
    pub(crate) method: Method,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The query; names that a scraper left escaped (`amp;tab_id`) are mended (surface §1.6).
    pub(crate) query: Params,
    /// The form of a POST.
    pub(crate) form: Params,
    base: Base,
    peer: Peer,
    now: Now,
}

impl Visit {
    /// Reads a request, or answers it where there is nothing to read.
    async fn read(app: &Arc<App>, realm: &str, request: Request) -> Result<Self, Response> {
        let arrival = Arrival::read(app, realm, request).await?;
        let base = arrival.base(app);
        let Arrival { parts, body, peer, view } = arrival;
        let broken = |_| respond::halted(StatusCode::BAD_REQUEST, "HTTP 400 Bad Request", Halt::Unreadable);
        let query = mended(&extract::query(&parts.uri).map_err(broken)?);
        let form = match parts.method {
            Method::POST => extract::form(&parts.headers, &body).map_err(broken)?,
            _ => Params::default(),
        };
        let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
        Ok(Self { view, method, headers: parts.headers, query, form, base, peer, now: app.now() })
    }

    /// Reads a request and has it answered.
    pub(crate) async fn answered(
        app: &Arc<App>,
        realm: &str,
        request: Request,
        answer: impl AsyncFnOnce(&Cx<'_>, &Self) -> Result<Response, Unavailable>,
    ) -> Response {
        match Self::read(app, realm, request).await {
            Ok(visit) => answer(&visit.cx(app), &visit).await.unwrap_or_else(|Unavailable| respond::unavailable()),
            Err(response) => response,
        }
    }

    /// The login that the address of one of its forms names, or the answer where there is none to go on with.
    pub(super) async fn login(&self, cx: &Cx<'_>) -> Result<Result<(Flow, LoginTab), Response>, Unavailable> {
        if let Some(response) = self.odd_method() {
            return Ok(Err(response));
        }
        if let Some(closed) = page::closed(cx) {
            return Ok(Err(closed));
        }
        if self.method == Method::POST && is_foreign(cx.headers, &cx.base) {
            return Ok(Err(page::foreign(cx)));
        }
        let Some(flow) = flows::lookup(cx, &self.query).await? else {
            let response = restart::recover(cx, &self.query).await?;
            // Keycloak 26.4 answers a form with the headers of a page, whatever it is.
            return Ok(Err(if self.method == Method::POST { page::as_page(cx, response) } else { response }));
        };
        let login = flow.tab.login().cloned();
        Ok(login.map(|login| (flow, login)).ok_or_else(|| page::invalid_code(cx)))
    }

    /// The answer to anything but GET and POST.
    pub(super) fn odd_method(&self) -> Option<Response> {
        let mut response = match self.method {
            Method::GET | Method::POST => return None,
            Method::OPTIONS => authorize::options(),
            _ => respond::wrong_method(),
        };
        response.headers_mut().insert(CACHE_CONTROL, security::NO_STORE);
        Some(response)
    }

    /// What the steps have at hand.
    pub(crate) fn cx<'a>(&'a self, app: &'a Arc<App>) -> Cx<'a> {
        let (base, peer) = (self.base.clone(), self.peer.clone());
        Cx { app, view: &self.view, base, peer, headers: &self.headers, now: self.now }
    }
}

fn mended(query: &Params) -> Params {
    let mend = |(name, value): (&str, &str)| (name.strip_prefix("amp;").unwrap_or(name).to_owned(), value.to_owned());
    Params::from_pairs(query.iter().map(mend).collect())
}

/// Whether a form was posted by a page of somebody else (SE-03 to SE-05). Callers that send neither header are no browsers
/// of today; the session code protects them.
pub(crate) fn is_foreign(headers: &HeaderMap, base: &Base) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    if let Some(origin) = origins.next() {
        let ours = url::Url::parse(&base.url).map(|u| u.origin().ascii_serialization());
        let same = origins.next().is_none() && ours.is_ok_and(|ours| origin.as_bytes() == ours.as_bytes());
        // A page with `Referrer-Policy: no-referrer` posts with `Origin: null`; the browser vouches for it in the other header.
        // Where browsers send none (plain http from afar) the session code alone stands.
        let vouched = origin.as_bytes() == b"null" && fetch_site(headers).map_or(!base.secure, |s| s == b"same-origin");
        return !(same || vouched);
    }
    fetch_site(headers).is_some_and(|site| site != b"same-origin" && site != b"none")
}

fn fetch_site(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes)
}
