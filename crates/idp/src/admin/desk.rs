//! What every door below a realm begins with: the caller, the realm, the caller's rights over it, the method.
//!
//! **Owns** the order of those checks (token 401, realm 404, method 405) and the audit row of an administrator's act. **Does not
//! own** rights ([`portcullis_core::admin`]) and what a door needs (its own file).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use portcullis_core::admin::{AdminPermit, Right};
use portcullis_core::client::Client;
use portcullis_core::entropy;
use portcullis_core::event::Event;
use portcullis_core::ids::{ClientUuid, EventId, SessionId, UserId};
use portcullis_core::oauth::params::Params;
use portcullis_core::plan::Write;
use portcullis_core::user::User;

use super::Refused;
use super::caller::Caller;
use crate::ending::Place;
use crate::extract::Peer;
use crate::respond;
use crate::state::{App, RealmView};

/// Largest document of one user, client or the like, bytes.
const MAX_DOCUMENT: usize = 1024 * 1024;

/// A realm at hand of somebody with rights over it.
pub(super) struct Desk {
    pub(super) app: Arc<App>,
    pub(super) view: Arc<RealmView>,
    pub(super) permit: AdminPermit,
    /// The realm's issuer as this request names it.
    pub(super) issuer: String,
    /// Who asks, and from where.
    pub(super) by: (UserId, String),
}

/// What was asked.
pub(super) struct Visit {
    /// `HEAD` counts as `GET`.
    pub(super) method: Method,
    headers: HeaderMap,
    query: Option<Params>,
    body: Body,
}

impl Visit {
    /// The query; one that cannot be read names nothing (Keycloak 26.4).
    pub(super) fn query(&self) -> Result<&Params, Refused> {
        self.query.as_ref().ok_or(Refused::NotFound("HTTP 404 Not Found"))
    }

    /// The JSON document of a write.
    pub(super) async fn document(self) -> Result<Bytes, Refused> {
        if !is_json(&self.headers) {
            return Err(Refused::MediaType);
        }
        bytes(self.body, MAX_DOCUMENT).await
    }
}

/// Whether a body is JSON by its own word: what a foreign page can post says something else, or nothing (SE-08).
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|v| {
        let media = v.split(';').next().unwrap_or(v).trim();
        media.eq_ignore_ascii_case("application/json")
    })
}

/// The whole body.
pub(super) async fn bytes(body: Body, limit: usize) -> Result<Bytes, Refused> {
    to_bytes(body, limit).await.map_err(|_| Refused::TooLarge)
}

/// An empty answer with the headers of JSON ones: as recorded for a creation and an update, not for a removal.
pub(super) fn updated(status: StatusCode) -> Response {
    let mut response = respond::empty(status);
    respond::shield(response.headers_mut(), respond::Shield::Api);
    response
}

/// An empty answer that nobody keeps: as recorded for the removal of a user, a client, a consent.
pub(super) fn removed() -> Response {
    let mut response = respond::empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
    response
}

/// What an audit row is about.
#[derive(Clone, Copy, Default)]
pub(super) struct About<'a> {
    pub(super) user: Option<&'a UserId>,
    pub(super) client: Option<&'a ClientUuid>,
    pub(super) session: Option<&'a SessionId>,
}

impl Desk {
    pub(super) fn place(&self) -> Place<'_> {
        Place { app: &self.app, view: &self.view, issuer: &self.issuer, now: self.app.now() }
    }

    /// The audit row of an act (AD-26).
    pub(super) fn audit(&self, kind: &'static str, about: About<'_>, more: &[(&str, String)]) -> Write {
        let (administrator, ip_address) = &self.by;
        let mut details: BTreeMap<String, String> = more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        details.insert("administrator".to_owned(), administrator.to_string());
        Write::Audit(Event {
            id: EventId::new(entropy::uuid(self.app.entropy.as_ref())),
            time: self.app.now().millis(),
            realm: self.view.records.realm.id.clone(),
            kind,
            user: about.user.cloned(),
            client: about.client.cloned(),
            session: about.session.cloned(),
            ip_address: ip_address.clone(),
            error: None,
            details,
        })
    }

    /// A user by id.
    pub(super) async fn user(&self, id: &str) -> Result<User, Refused> {
        let found = self.app.db.user(&self.view.records.realm.id, &UserId::new(id)).await;
        let missing = || Refused::NotFound("User not found");
        found.map_err(|_| Refused::Unavailable)?.ok_or_else(missing)
    }

    /// A user by id for somebody with `right`. Who may not even query learns nothing about ids (Keycloak 26.4).
    pub(super) async fn user_for(&self, id: &str, right: Right) -> Result<User, Refused> {
        self.permit.require(Right::QueryUsers)?;
        let user = self.user(id).await?;
        self.permit.require(right)?;
        Ok(user)
    }

    /// A client by Keycloak's `id` for somebody with `right`; as with users.
    pub(super) fn client_for(&self, id: &str, right: Right) -> Result<&Client, Refused> {
        self.permit.require(Right::QueryClients)?;
        let missing = || Refused::NotFound("Could not find client");
        let client = self.view.records.client_by_uuid(&ClientUuid::new(id)).ok_or_else(missing)?;
        self.permit.require(right)?;
        Ok(client)
    }
}

/// Opens the desk for one of `methods` and does the work.
pub(super) async fn at_desk(
    app: Arc<App>,
    realm: &str,
    request: Request,
    methods: &[Method],
    work: impl AsyncFnOnce(Desk, Visit) -> Result<Response, Refused>,
) -> Response {
    let (parts, body) = request.into_parts();
    let answer = async {
        let (desk, visit) = opened(app, realm, parts, body, methods).await?;
        work(desk, visit).await
    };
    answer.await.unwrap_or_else(Refused::answer)
}

async fn opened(
    app: Arc<App>,
    realm: &str,
    parts: Parts,
    body: Body,
    methods: &[Method],
) -> Result<(Desk, Visit), Refused> {
    let caller = Caller::of(&app, &parts).await?;
    let view = app.realm(realm).await?.ok_or(Refused::NoRealm)?;
    let permit = caller.standing().permit(realm)?;
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() };
    if !methods.contains(&method) {
        return Err(Refused::Method);
    }
    let issuer = caller.base.issuer(&view.records.realm.name);
    let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
    let query = crate::extract::query(&parts.uri).ok();
    let by = (caller.user.id.clone(), peer.ip);
    Ok((Desk { app, view, permit, issuer, by }, Visit { method, headers: parts.headers, query, body }))
}
