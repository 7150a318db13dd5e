//! `/admin/realms/{realm}/clients`: reading clients, and the sessions that they take part in.
//!
//! | endpoint | needs | else |
//! |---|---|---|
//! | `GET clients` | `query-clients`; without `view-clients` the list is empty | 403 |
//! | `GET clients/{id}`, with `session-count`, `user-sessions`, `offline-session-count`, `offline-sessions` | `view-clients` | 403 |
//! | `GET client-session-stats` | `view-realm` | 403 |
//!
//! Order: token (401), realm (404), method (405), right to query (403), client (404), right (403). Sessions are the live ones;
//! those of users whom the caller may not view are not shown (AD-21).

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::Method;
use portcullis_core::admin::{AdminPermit, Right};
use portcullis_core::client::Client;
use portcullis_core::oauth::params::Params;
use portcullis_core::realm::Profile;
use portcullis_core::realm_file::represent;
use portcullis_core::session_limits::{self, Alive};
use portcullis_core::user::search::{PAGE, PAGE_MAX, Page};
use portcullis_store::{Page as Rows, ReadError};
use serde_json::{Value, json};

use super::desk::{Desk, Visit, at_desk};
use super::{Refused, document, sessions};
use crate::state::App;

fn unread(_: ReadError) -> Refused {
    Refused::Unavailable
}

/// `access` of a client.
fn access(permit: &AdminPermit) -> Value {
    let manages = permit.has(Right::ManageClients);
    json!({ "view": permit.has(Right::ViewClients), "configure": manages, "manage": manages })
}

/// A client as the caller sees it. In a strict realm a secret is shown to those who may change it (AD-03); Keycloak 26.4 shows it to
/// whoever may view the client.
fn shown(desk: &Desk, client: &Client) -> Value {
    let records = &desk.view.records;
    let mut document = represent::client(client, records, Some(access(&desk.permit)));
    let hidden = records.realm.profile() == Profile::Strict && !desk.permit.has(Right::ManageClients);
    if let Some(members) = document.as_object_mut().filter(|_| hidden) {
        members.shift_remove("secret");
    }
    document
}

/// `/admin/realms/{realm}/clients`.
pub(super) async fn collection(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, visit| {
        desk.permit.require(Right::QueryClients)?;
        let query = visit.query()?;
        // All at once when nothing is said (Keycloak 26.4): a realm has few clients beside its users.
        let page = Page::read(query, usize::MAX, usize::MAX)?;
        let records = &desk.view.records;
        let mut found: Vec<&Client> = match desk.permit.has(Right::ViewClients) {
            true => records.clients().filter(|client| asked(client, query)).collect(),
            false => Vec::new(),
        };
        found.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        let page = found.into_iter().skip(page.first).take(page.max);
        Ok(document(&page.map(|client| shown(&desk, client)).collect::<Vec<_>>()))
    })
    .await
}

/// `clientId` names one client; with `search=true` it is a part of the names wanted, whatever their capitals. `q` asks for
/// attributes.
fn asked(client: &Client, query: &Params) -> bool {
    let named = match query.get("clientId") {
        None => true,
        Some(part) if query.get("search") == Some("true") => {
            client.client_id.to_lowercase().contains(&part.to_lowercase())
        }
        Some(name) => client.client_id == name,
    };
    let pairs = query.get("q").unwrap_or_default().split_whitespace().filter_map(|pair| pair.split_once(':'));
    named && pairs.into_iter().all(|(name, value)| client.attribute(name) == Some(value))
}

/// `/admin/realms/{realm}/clients/{id}`.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, _| {
        let client = desk.client_for(&id, Right::ViewClients)?;
        Ok(document(&shown(&desk, client)))
    })
    .await
}

/// `GET clients/{id}/session-count`.
pub(super) async fn session_count(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, _| counted(&desk, &id, false).await).await
}

/// `GET clients/{id}/offline-session-count`.
pub(super) async fn offline_session_count(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, _| counted(&desk, &id, true).await).await
}

/// `GET clients/{id}/user-sessions`.
pub(super) async fn user_sessions(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, visit| listed(&desk, &id, visit, false).await).await
}

/// `GET clients/{id}/offline-sessions`.
pub(super) async fn offline_sessions(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, visit| listed(&desk, &id, visit, true).await).await
}

impl Desk {
    fn alive(&self, offline: bool) -> Alive {
        Alive::at(&self.view.records.realm, offline, self.app.now().secs())
    }
}

async fn counted(desk: &Desk, id: &str, offline: bool) -> Result<Response, Refused> {
    let client = desk.client_for(id, Right::ViewClients)?.id.clone();
    let (db, realm) = (&desk.app.db, &desk.view.records.realm.id);
    let counts = db.user_session_counts(realm, vec![client], &desk.alive(offline)).await.map_err(unread)?;
    Ok(document(&json!({ "count": counts.first().copied().unwrap_or(0) })))
}

async fn listed(desk: &Desk, id: &str, visit: Visit, offline: bool) -> Result<Response, Refused> {
    let client = desk.client_for(id, Right::ViewClients)?.id.clone();
    let page = Page::read(visit.query()?, PAGE, PAGE_MAX)?;
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let rows = Rows { first: number(page.first), max: number(page.max) };
    let (db, realm) = (&desk.app.db, &desk.view.records.realm);
    let found = db.user_sessions_with(&realm.id, &client, &desk.alive(offline), rows).await.map_err(unread)?;
    let mut shown = Vec::new();
    if desk.permit.has(Right::ViewUsers) {
        for (session, clients) in found {
            let user = db.user(&realm.id, &session.user).await.map_err(unread)?;
            let alive = user.filter(|user| !session_limits::is_cut_off(realm, user, &session));
            shown.extend(alive.map(|user| sessions::representation(&desk.view, &user, &session, &clients)));
        }
    }
    Ok(document(&shown))
}

/// `GET client-session-stats`: the clients that take part in sessions, by name.
pub(super) async fn session_stats(
    State(app): State<Arc<App>>,
    Path(realm): Path<String>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, _| {
        desk.permit.require(Right::ViewRealm)?;
        let records = &desk.view.records;
        let mut clients: Vec<&Client> = records.clients().collect();
        clients.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        let ids: Vec<_> = clients.iter().map(|client| client.id.clone()).collect();
        let (db, realm) = (&desk.app.db, &records.realm.id);
        let active = db.user_session_counts(realm, ids.clone(), &desk.alive(false)).await.map_err(unread)?;
        let offline = db.user_session_counts(realm, ids, &desk.alive(true)).await.map_err(unread)?;
        let rows = clients.into_iter().zip(active.into_iter().zip(offline));
        let shown: Vec<Value> = rows
            .filter(|(_, (active, offline))| active + offline > 0)
            .map(|(client, (active, offline))| {
                json!({
                    "offline": offline.to_string(),
                    "clientId": client.client_id,
                    "active": active.to_string(),
                    "id": client.id,
                })
            })
            .collect();
        Ok(document(&shown))
    })
    .await
}
