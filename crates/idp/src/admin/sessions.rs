//! `/admin/realms/{realm}/...`: the sessions of users, listed and ended.
//!
//! | endpoint | needs | else |
//! |---|---|---|
//! | `GET users/{id}/sessions` | `view-users` | 403 |
//! | `GET users/{id}/offline-sessions/{client}` | `view-users` | 403 |
//! | `POST users/{id}/logout` | `manage-users` | 403 |
//! | `DELETE sessions/{sid}` | `manage-users` | 403 |
//! | `POST logout-all` | `manage-users` | 403 |
//!
//! Order: token (401), realm (404), method (405), right (403), user or session (404). Lists hold live sessions only.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode};
use portcullis_core::admin::Right;
use portcullis_core::ending as law;
use portcullis_core::ids::{ClientUuid, SessionId};
use portcullis_core::oauth::backchannel::Audience;
use portcullis_core::plan::{Entity, Gate, Lane, Plan, Write};
use portcullis_core::session::{ClientSession, UserSession};
use portcullis_core::session_limits::{self, Alive};
use portcullis_core::user::User;
use portcullis_store::ApplyError;
use serde_json::{Map, Value, json};

use super::desk::{About, Desk, at_desk};
use super::{Refused, document};
use crate::ending;
use crate::respond;
use crate::state::{App, RealmView};

/// How often a lost gate is decided again.
const TRIES: usize = 5;

/// Sessions ended by one look of a logout of all.
const BATCH: i64 = 50;

impl Desk {
    /// Ends one session.
    async fn end(&self, id: &SessionId) -> Result<bool, Refused> {
        let audit = |found: &UserSession| {
            let about = About { user: Some(&found.user), session: Some(&found.id), ..About::default() };
            vec![self.audit("LOGOUT", about, &[])]
        };
        Ok(ending::end(self.place(), id, Audience::Server, audit).await?.is_some())
    }

    /// The live sessions of a user of a kind, with the clients in each.
    async fn sessions_of(&self, user: &User, offline: bool) -> Result<Vec<(UserSession, Vec<ClientSession>)>, Refused> {
        let (db, realm) = (&self.app.db, &self.view.records.realm);
        let alive = Alive::at(realm, offline, self.app.now().secs());
        let mut out = Vec::new();
        for session in db.user_sessions_of(&realm.id, &user.id).await.map_err(|_| Refused::Unavailable)? {
            if alive.has(&session) && !session_limits::is_cut_off(realm, user, &session) {
                let clients = db.client_sessions(&realm.id, &session.id).await.map_err(|_| Refused::Unavailable)?;
                out.push((session, clients));
            }
        }
        Ok(out)
    }
}

/// `GET users/{id}/sessions`: without offline sessions, as in Keycloak.
pub(super) async fn of_user(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, _| {
        let user = desk.user_for(&id, Right::ViewUsers).await?;
        let sessions = desk.sessions_of(&user, false).await?;
        let shown = sessions.iter().map(|(session, clients)| representation(&desk.view, &user, session, clients));
        Ok(document(&shown.collect::<Vec<_>>()))
    })
    .await
}

/// `GET users/{id}/offline-sessions/{client}`: those in which the client takes part.
pub(super) async fn offline_of_user(
    State(app): State<Arc<App>>,
    Path((realm, id, client)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, _| {
        let user = desk.user_for(&id, Right::ViewUsers).await?;
        let client = desk.view.records.client_by_uuid(&ClientUuid::new(&client));
        let client = &client.ok_or(Refused::NotFound("Client not found"))?.id;
        let mut sessions = desk.sessions_of(&user, true).await?;
        sessions.retain(|(_, clients)| clients.iter().any(|part| part.client == *client));
        let shown = sessions.iter().map(|(session, clients)| representation(&desk.view, &user, session, clients));
        Ok(document(&shown.collect::<Vec<_>>()))
    })
    .await
}

/// Keycloak's `UserSessionRepresentation`.
pub(super) fn representation(view: &RealmView, user: &User, session: &UserSession, clients: &[ClientSession]) -> Value {
    let named = |part: &ClientSession| {
        let client = view.records.client_by_uuid(&part.client)?;
        Some((client.id.to_string(), json!(client.client_id)))
    };
    json!({
        "id": session.id,
        "username": user.username,
        "userId": user.id,
        "ipAddress": session.ip_address,
        "start": session.started * 1000,
        "lastAccess": session.last_seen * 1000,
        "rememberMe": session.remember_me,
        "clients": clients.iter().filter_map(named).collect::<Map<_, _>>(),
        "transientUser": false,
    })
}

/// `POST users/{id}/logout`: every session, and all tokens given before now.
pub(super) async fn log_out_user(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::POST], async |desk, _| {
        desk.permit.require(Right::ManageUsers)?;
        for _ in 0..TRIES {
            let mut user = desk.user(&id).await?;
            let place = desk.place();
            let mut writes = ending::of_user(place, &user.id, None).await?;
            writes.push(law::subject(&desk.view.records, &user.id, place.now));
            writes.push(desk.audit("LOGOUT", About { user: Some(&user.id), ..About::default() }, &[]));
            user.not_before = place.now.secs();
            writes.push(Write::UpdateUser(desk.view.records.realm.id.clone(), user));
            match desk.app.db.apply(Plan::new(Lane::Gate, writes)).await {
                Ok(()) => {
                    ending::wake(place);
                    return Ok(respond::empty(StatusCode::NO_CONTENT));
                }
                Err(ApplyError::Gate(Gate::Stale(_) | Gate::Gone(Entity::Client))) => {}
                Err(_) => return Err(Refused::Unavailable),
            }
        }
        Err(Refused::Unavailable)
    })
    .await
}

/// `DELETE sessions/{sid}`.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::DELETE], async |desk, _| {
        desk.permit.require(Right::ManageUsers)?;
        if desk.end(&SessionId::new(&id)).await? {
            Ok(respond::empty(StatusCode::NO_CONTENT))
        } else {
            // Keycloak's spelling.
            Err(Refused::NotFound("Sesssion not found"))
        }
    })
    .await
}

/// `POST logout-all`: the realm's not-before first, so that nothing given before counts any more; then the sessions, each with
/// its messages.
pub(super) async fn log_out_all(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    at_desk(app, &realm, request, &[Method::POST], async |desk, _| {
        desk.permit.require(Right::ManageUsers)?;
        cut_realm(&desk).await?;
        // Nothing is lost when the caller hangs up.
        let rest = tokio::spawn(async move { end_all(&desk).await });
        rest.await.map_err(|_| Refused::Unavailable)??;
        let mut response = respond::json(StatusCode::OK, &json!({}));
        let json = HeaderValue::from_static("application/json;charset=UTF-8");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        Ok(response)
    })
    .await
}

async fn cut_realm(desk: &Desk) -> Result<(), Refused> {
    for _ in 0..TRIES {
        let records = desk.app.db.realm_records_any_state(&desk.view.records.realm.id).await;
        let mut records = records.map_err(|_| Refused::Unavailable)?.ok_or(Refused::NoRealm)?;
        let now = desk.app.now();
        records.realm.settings.not_before = now.secs();
        let cut = law::realm(&records, now.secs(), now);
        let writes = vec![Write::UpdateRealm(records.realm), cut];
        match desk.app.db.apply(Plan::new(Lane::Admin, writes)).await {
            Ok(()) => return Ok(()),
            Err(ApplyError::Gate(Gate::Stale(_))) => {}
            Err(_) => return Err(Refused::Unavailable),
        }
    }
    Err(Refused::Unavailable)
}

async fn end_all(desk: &Desk) -> Result<(), Refused> {
    loop {
        let ids = desk.app.db.online_sessions(&desk.view.records.realm.id, BATCH).await;
        let ids = ids.map_err(|_| Refused::Unavailable)?;
        if ids.is_empty() {
            return Ok(());
        }
        for id in ids {
            desk.end(&id).await?;
        }
    }
}
