//! `/admin/realms` and `/admin/realms/{realm}`.
//!
//! | endpoint | needs | else |
//! |---|---|---|
//! | `GET /admin/realms` | any administrative role over a realm; the list holds those realms | 403 |
//! | `POST /admin/realms` | master's `create-realm` | 403 |
//! | `GET /admin/realms/{realm}` | `view-realm`: all; any other administrative role: the reduced document | 403 |
//! | `PUT /admin/realms/{realm}` | `manage-realm` | 403 |
//! | `DELETE /admin/realms/{realm}` | `manage-realm`; never master | 403, 400 |
//!
//! Order, as recorded: token (401), realm (404), method and media type (405, 415), right (403), body (400), conflict (409).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::admin::{AdminPermit, Reason as Denied, Right};
use portcullis_core::ending;
use portcullis_core::plan::{Entity, Gate, Lane, Plan, Write};
use portcullis_core::realm::RealmState;
use portcullis_core::realm_file::{self, RealmFile, Reason, Refusal, master, represent};
use portcullis_store::ApplyError;
use serde_json::Value;

use super::caller::Caller;
use super::desk::{bytes, is_json, updated};
use super::{MAX_REALM_FILE, Refused, document, unknown_member};
use crate::import::{self, ImportError, ImportOptions};
use crate::respond;
use crate::state::{App, RealmView};

/// A path segment (RFC 3986 §3.3 unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Largest update of a realm, bytes.
const MAX_UPDATE: usize = 1024 * 1024;

/// `/admin/realms`.
pub(super) async fn collection(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = async {
        let caller = Caller::of(&app, &parts).await?;
        match parts.method {
            Method::GET | Method::HEAD => list(&app, &caller, &parts).await,
            Method::POST => create(&app, caller, &parts, body).await,
            _ => Err(Refused::Method),
        }
    };
    answer.await.unwrap_or_else(Refused::answer)
}

/// `/admin/realms/{realm}`.
pub(super) async fn one(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = async {
        let caller = Caller::of(&app, &parts).await?;
        let view = app.realm(&name).await?.ok_or(Refused::NoRealm)?;
        let permit = caller.standing().permit(&name)?;
        match parts.method {
            Method::GET | Method::HEAD => read(&view, &permit),
            Method::PUT => change(&app, &view, &permit, &parts, body).await,
            Method::DELETE => delete(&app, &view, &permit).await,
            _ => Err(Refused::Method),
        }
    };
    answer.await.unwrap_or_else(Refused::answer)
}

async fn list(app: &App, caller: &Caller, parts: &Parts) -> Result<Response, Refused> {
    let brief = parts.uri.query().unwrap_or_default().split('&').any(|pair| pair == "briefRepresentation=true");
    let names = app.db.realm_names().await.map_err(|_| Refused::Unavailable)?;
    let standing = caller.standing();
    let mut documents = Vec::new();
    for (_, name) in names {
        let Ok(permit) = standing.permit(&name) else { continue };
        if !permit.has(Right::Any) {
            continue;
        }
        if let Some(view) = app.realm(&name).await? {
            documents.push(shown(&view, &permit, brief));
        }
    }
    if documents.is_empty() { Err(Refused::Forbidden(Denied::NotAllowed)) } else { Ok(document(&documents)) }
}

fn shown(view: &RealmView, permit: &AdminPermit, brief: bool) -> Value {
    match (permit.has(Right::ViewRealm), brief) {
        (true, false) => represent::realm(&view.records),
        (true, true) => represent::realm_brief(&view.records.realm),
        (false, _) => represent::realm_reduced(&view.records.realm),
    }
}

fn read(view: &RealmView, permit: &AdminPermit) -> Result<Response, Refused> {
    permit.require(Right::Any)?;
    Ok(document(&shown(view, permit, false)))
}

async fn create(app: &Arc<App>, caller: Caller, parts: &Parts, body: Body) -> Result<Response, Refused> {
    if !is_json(&parts.headers) {
        return Err(Refused::MediaType);
    }
    caller.standing().may_create_realms()?;
    let file = RealmFile::read(&bytes(body, MAX_REALM_FILE).await?).map_err(refused_file)?;
    let (name, user) = (file.name.clone(), caller.user);
    // The import goes on when the caller hangs up: half a realm would block its name until the next start.
    let work = Arc::clone(app);
    let task = tokio::spawn(async move { import::import(&work, file, ImportOptions::default(), Some(user)).await });
    task.await.map_err(|_| Refused::Unavailable)?.map_err(refused_import)?;
    let mut response = updated(StatusCode::CREATED);
    let place = format!("{}/admin/realms/{}", caller.base.url, utf8_percent_encode(&name, SEGMENT));
    if let Ok(value) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(LOCATION, value);
    }
    Ok(response)
}

/// Keycloak 26.4's words for a file that it cannot read; ours, with the place, for what it would answer 500 to.
fn refused_file(refusal: Refusal) -> Refused {
    let admin = |text: String| Refused::Admin(StatusCode::BAD_REQUEST, text);
    tracing::debug!(%refusal, "realm file refused");
    match &refusal.reason {
        Reason::NoName => admin("Realm name cannot be empty".to_owned()),
        Reason::ReservedCharacter(_) => Refused::Generic(refusal.reason.to_string()),
        Reason::TooLarge(_) => Refused::TooLarge,
        Reason::Syntax(_) | Reason::Duplicate(_) | Reason::UnknownMember(..) | Reason::Expected(_) => {
            admin("unable to read contents from stream".to_owned())
        }
        Reason::Missing(_) | Reason::Unknown(..) | Reason::Taken(..) | Reason::NotAllowed(_) | Reason::TooMany(_) => {
            admin(refusal.to_string())
        }
    }
}

fn refused_import(error: ImportError) -> Refused {
    match error {
        ImportError::Refused(refusal) => refused_file(refusal),
        ImportError::Exists(_) => Refused::Admin(StatusCode::CONFLICT, error.to_string()),
        ImportError::Password => Refused::Admin(StatusCode::BAD_REQUEST, error.to_string()),
        ImportError::Busy | ImportError::Keys(_) | ImportError::Storage(_) => {
            tracing::error!(%error, "a realm was not imported");
            Refused::Unavailable
        }
    }
}

/// How often a lost gate is decided again (architecture §3: Keycloak's clients never see a conflict).
const TRIES: usize = 5;

async fn change(
    app: &App,
    view: &RealmView,
    permit: &AdminPermit,
    parts: &Parts,
    body: Body,
) -> Result<Response, Refused> {
    if !is_json(&parts.headers) {
        return Err(Refused::MediaType);
    }
    permit.require(Right::ManageRealm)?;
    let body = bytes(body, MAX_UPDATE).await?;
    let unread = |_| Refused::Unavailable;
    for _ in 0..TRIES {
        let id = &view.records.realm.id;
        let records = app.db.realm_records_any_state(id).await.map_err(unread)?.ok_or(Refused::NoRealm)?;
        let realm = realm_file::file::updated(&records.realm, &body).map_err(|r| refused_update(r, &body))?;
        let mut writes = Vec::new();
        if realm.name != records.realm.name {
            if records.realm.name == master::NAME {
                let text = "Can't rename master realm".to_owned();
                return Err(Refused::Admin(StatusCode::BAD_REQUEST, text));
            }
            let of_master = app.realm(master::NAME).await?;
            writes.extend(master::renamed(&records, of_master.as_deref().map(|m| &m.records), &realm.name));
        }
        // RT-16: guards learn of a pushed not-before with the same plan.
        let not_before = realm.settings.not_before;
        if not_before > records.realm.settings.not_before {
            writes.push(ending::realm(&records, not_before, app.now()));
        }
        writes.push(Write::UpdateRealm(realm));
        match app.db.apply(Plan::new(Lane::Admin, writes)).await {
            Ok(()) => return Ok(updated(StatusCode::NO_CONTENT)),
            Err(ApplyError::Gate(Gate::Stale(_))) => {}
            Err(ApplyError::Gate(Gate::Taken(Entity::Realm | Entity::Client))) => {
                return Err(Refused::Admin(StatusCode::CONFLICT, "Realm with same name exists".to_owned()));
            }
            Err(_) => return Err(Refused::Unavailable),
        }
    }
    Err(Refused::Unavailable)
}

/// The words of an update: here an unknown member is named, with the place of Keycloak's parser behind it.
fn refused_update(refusal: Refusal, body: &[u8]) -> Refused {
    match &refusal.reason {
        Reason::UnknownMember(_, name) => unknown_member(&refusal, name, body),
        Reason::ReservedCharacter(_) => Refused::Generic(refusal.reason.to_string()),
        Reason::Syntax(_)
        | Reason::TooLarge(_)
        | Reason::Duplicate(_)
        | Reason::Expected(_)
        | Reason::Missing(_)
        | Reason::NoName
        | Reason::Unknown(..)
        | Reason::Taken(..)
        | Reason::NotAllowed(_)
        | Reason::TooMany(_) => Refused::Unparsable,
    }
}

async fn delete(app: &App, view: &RealmView, permit: &AdminPermit) -> Result<Response, Refused> {
    permit.require(Right::ManageRealm)?;
    let realm = &view.records.realm;
    if realm.name == master::NAME {
        return Err(Refused::Admin(StatusCode::BAD_REQUEST, "Can't remove master realm".to_owned()));
    }
    let mut writes = vec![Write::SetRealmState(realm.id.clone(), RealmState::Ready, RealmState::Emptying)];
    if let Some(of_master) = app.realm(master::NAME).await? {
        writes.extend(master::without_realm(&of_master.records, &realm.name));
    }
    match app.db.apply(Plan::new(Lane::Admin, writes)).await {
        Ok(()) => {}
        Err(ApplyError::Gate(_)) => return Err(Refused::NoRealm),
        Err(_) => return Err(Refused::Unavailable),
    }
    // Invisible from here on; what a stop leaves is removed at the next start.
    app.db.remove_realm(&realm.id).await.map_err(|_| Refused::Unavailable)?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}
