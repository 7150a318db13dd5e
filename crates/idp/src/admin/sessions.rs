//! `/admin/realms/{realm}/...`: ending sessions, and finding the user whose sessions they are.
//!
//! | endpoint | needs | else |
//! |---|---|---|
//! | `GET users?username=..&exact=true`, by `email` too | `query-users`; without `view-users` nobody is found | 403 |
//! | `GET users/{id}/sessions` | `view-users` | 403 |
//! | `POST users/{id}/logout` | `manage-users` | 403 |
//! | `DELETE sessions/{sid}` | `manage-users` | 403 |
//! | `POST logout-all` | `manage-users` | 403 |
//!
//! Order: token (401), realm (404), method (405), right (403), user or session (404).

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode};
use portcullis_core::admin::{AdminPermit, Right};
use portcullis_core::ending as law;
use portcullis_core::entropy;
use portcullis_core::event::Event;
use portcullis_core::ids::{EventId, SessionId, UserId};
use portcullis_core::oauth::backchannel::Audience;
use portcullis_core::plan::{Entity, Gate, Lane, Plan, Write};
use portcullis_core::realm_file::represent;
use portcullis_core::session::{ClientSession, UserSession};
use portcullis_core::user::User;
use portcullis_store::ApplyError;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::{Refused, document};
use crate::ending::{self, Place};
use crate::extract::Peer;
use crate::respond;
use crate::state::{App, RealmView};

/// How often a lost gate is decided again.
const TRIES: usize = 5;

/// Sessions ended by one look of a logout of all.
const BATCH: i64 = 50;

/// A realm at hand of somebody with rights over it.
struct Desk {
    app: Arc<App>,
    view: Arc<RealmView>,
    permit: AdminPermit,
    issuer: String,
    /// Who asks, and from where.
    by: (UserId, String),
}

impl Desk {
    fn place(&self) -> Place<'_> {
        Place { app: &self.app, view: &self.view, issuer: &self.issuer, now: self.app.now() }
    }

    /// The audit row of an end (AD-26).
    fn audit(&self, user: &UserId, session: Option<&SessionId>) -> Write {
        let (administrator, ip_address) = &self.by;
        Write::Audit(Event {
            id: EventId::new(entropy::uuid(self.app.entropy.as_ref())),
            time: self.app.now().millis(),
            realm: self.view.records.realm.id.clone(),
            kind: "LOGOUT",
            user: Some(user.clone()),
            client: None,
            session: session.cloned(),
            ip_address: ip_address.clone(),
            error: None,
            details: [("administrator".to_owned(), administrator.to_string())].into(),
        })
    }

    /// Ends one session.
    async fn end(&self, id: &SessionId) -> Result<bool, Refused> {
        let audit = |found: &UserSession| vec![self.audit(&found.user, Some(&found.id))];
        Ok(ending::end(self.place(), id, Audience::Server, audit).await?.is_some())
    }

    async fn user(&self, id: &str) -> Result<User, Refused> {
        let found = self.app.db.user(&self.view.records.realm.id, &UserId::new(id)).await;
        let missing = || Refused::NotFound("User not found");
        found.map_err(|_| Refused::Unavailable)?.ok_or_else(missing)
    }
}

async fn at_desk(
    app: Arc<App>,
    realm: &str,
    request: Request,
    method: Method,
    work: impl AsyncFnOnce(Desk) -> Result<Response, Refused>,
) -> Response {
    let (parts, _) = request.into_parts();
    let answer = async {
        let caller = Caller::of(&app, &parts).await?;
        let view = app.realm(realm).await?.ok_or(Refused::NoRealm)?;
        let permit = caller.standing().permit(realm)?;
        let asked = if parts.method == Method::HEAD { Method::GET } else { parts.method };
        if asked != method {
            return Err(Refused::Method);
        }
        let issuer = caller.base.issuer(&view.records.realm.name);
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
        let by = (caller.user.id.clone(), peer.ip);
        work(Desk { app, view, permit, issuer, by }).await
    };
    answer.await.unwrap_or_else(Refused::answer)
}

/// `GET users` for one exact name or address, as tools ask to learn an id. Other searches have no door yet.
pub(super) async fn find_user(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return super::unknown(State(app), request).await;
    }
    let asked = crate::extract::query(request.uri());
    at_desk(app, &realm, request, Method::GET, async |desk: Desk| {
        desk.permit.require(Right::QueryUsers)?;
        let asked = asked.map_err(|_| Refused::Generic("HTTP 400 Bad Request".to_owned()))?;
        let exact = asked.get("exact") == Some("true");
        let narrows = |name: &str| !matches!(name, "exact" | "briefRepresentation" | "first" | "max");
        let keys: Vec<(&str, &str)> = asked.iter().filter(|(name, _)| narrows(name)).collect();
        let (db, id) = (&desk.app.db, &desk.view.records.realm.id);
        let found = match keys.as_slice() {
            [("username", name)] if exact => db.user_by_username(id, &name.to_lowercase()).await,
            [("email", address)] if exact => db.user_by_email(id, &address.to_lowercase()).await,
            _ => return Err(Refused::NotFound("HTTP 404 Not Found")),
        };
        let found = found.map_err(|_| Refused::Unavailable)?.filter(|_| desk.permit.has(Right::ViewUsers));
        let mut shown = Vec::new();
        if let Some(user) = found {
            let credentials = db.credentials(id, &user.id).await.map_err(|_| Refused::Unavailable)?;
            let access = json!({ "manage": desk.permit.has(Right::ManageUsers) });
            shown.push(represent::user(&user, credentials.iter().any(|c| c.kind == "otp"), Some(access)));
        }
        Ok(document(&shown))
    })
    .await
}

/// `GET users/{id}/sessions`: without offline sessions, as in Keycloak.
pub(super) async fn of_user(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, Method::GET, async |desk: Desk| {
        desk.permit.require(Right::ViewUsers)?;
        let user = desk.user(&id).await?;
        let (db, realm) = (&desk.app.db, &desk.view.records.realm.id);
        let mut shown = Vec::new();
        for session in db.user_sessions_of(realm, &user.id).await.map_err(|_| Refused::Unavailable)? {
            if !session.offline {
                let clients = db.client_sessions(realm, &session.id).await.map_err(|_| Refused::Unavailable)?;
                shown.push(representation(&desk.view, &user, &session, &clients));
            }
        }
        Ok(document(&shown))
    })
    .await
}

/// Keycloak's `UserSessionRepresentation`.
fn representation(view: &RealmView, user: &User, session: &UserSession, clients: &[ClientSession]) -> Value {
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
    at_desk(app, &realm, request, Method::POST, async |desk: Desk| {
        desk.permit.require(Right::ManageUsers)?;
        for _ in 0..TRIES {
            let mut user = desk.user(&id).await?;
            let place = desk.place();
            let mut writes = ending::of_user(place, &user.id, None).await?;
            writes.push(law::subject(&desk.view.records, &user.id, place.now));
            writes.push(desk.audit(&user.id, None));
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
    at_desk(app, &realm, request, Method::DELETE, async |desk: Desk| {
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
    at_desk(app, &realm, request, Method::POST, async |desk: Desk| {
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
