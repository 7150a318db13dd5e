//! `/admin/realms/{realm}/users`: searching, counting, reading, changing and removing users.
//!
//! | endpoint | needs | else |
//! |---|---|---|
//! | `GET users` | `query-users`; without `view-users` the list is empty | 403 |
//! | `GET users/count` | `query-users` | 403 |
//! | `GET users/{id}` | `view-users` | 403 |
//! | `PUT users/{id}` | `manage-users`; in a strict realm every right that the user has (AD-09) | 403 |
//! | `DELETE users/{id}` | the same, and not oneself in a strict realm (AD-25) | 403, 409 |
//!
//! Order: token (401), realm (404), method (405), right to query (403), user (404), right (403), body (400), conflict (409).

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::Method;
use axum::response::Response;
use http::StatusCode;
use portcullis_core::admin::{AdminPermit, Right};
use portcullis_core::ending as law;
use portcullis_core::plan::{Entity, Gate, Lane, Plan, Write};
use portcullis_core::realm::Profile;
use portcullis_core::realm_file::{EditRefusal, Reason, represent, user_edited};
use portcullis_core::user::User;
use portcullis_core::user::profile::{Fault, UserProfile};
use portcullis_core::user::search::{Name, PAGE, PAGE_MAX, Page, Unreadable, UserSearch};
use portcullis_store::{ApplyError, ReadError};
use serde_json::{Value, json};

use super::desk::{About, Desk, Visit, at_desk, removed, updated};
use super::{Refused, document, unknown_member};
use crate::ending;
use crate::state::App;

/// How often a lost gate is decided again (architecture §3: Keycloak's clients never see a conflict).
const TRIES: usize = 5;

impl From<Unreadable> for Refused {
    fn from(_: Unreadable) -> Self {
        Self::NotFound("HTTP 404 Not Found")
    }
}

/// `/admin/realms/{realm}/users`.
pub(super) async fn collection(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    // Users are created by realm files; this has no door yet.
    if *request.method() == Method::POST {
        return super::unknown(State(app), request).await;
    }
    at_desk(app, &realm, request, &[Method::GET], async |desk, visit| {
        desk.permit.require(Right::QueryUsers)?;
        let query = visit.query()?;
        let (search, page) = (UserSearch::read(query)?, Page::read(query, PAGE, PAGE_MAX)?);
        let brief = query.get("briefRepresentation") == Some("true");
        let mut shown = Vec::new();
        if desk.permit.has(Right::ViewUsers) {
            let rules = UserProfile::of(&desk.view.records.realm);
            let metadata = rules.metadata(&desk.view.records.realm);
            for user in found(&desk, &search, page).await? {
                let mut one = representation(&desk, &rules, &user, listed(&desk.permit), Some(&metadata)).await?;
                if let Some(members) = one.as_object_mut().filter(|_| brief) {
                    members.shift_remove("federatedIdentities");
                }
                shown.push(one);
            }
        }
        Ok(document(&shown))
    })
    .await
}

/// Names that are asked for whole are looked up by their index.
async fn found(desk: &Desk, search: &UserSearch, page: Page) -> Result<Vec<User>, Refused> {
    let (db, realm) = (&desk.app.db, &desk.view.records.realm.id);
    let only = match (search.id(), search.username(), search.email()) {
        (Some(id), ..) => db.user(realm, id).await,
        (None, Some(Name::Is(name)), _) => db.user_by_username(realm, name).await,
        // Where e-mails may be shared there are others than the first.
        (None, _, Some(Name::Is(address))) if !desk.view.records.realm.settings.duplicate_emails_allowed => {
            db.user_by_email(realm, address).await
        }
        (None, ..) => return db.find_users(realm, search, page).await.map_err(unread),
    };
    let only = only.map_err(unread)?.filter(|user| search.id().is_some() || search.matches(user));
    Ok(only.into_iter().skip(page.first).take(page.max).collect())
}

fn unread(_: ReadError) -> Refused {
    Refused::Unavailable
}

/// `/admin/realms/{realm}/users/count`. Who may query and not view gets the true number too (Keycloak 26.4).
pub(super) async fn count(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, visit| {
        desk.permit.require(Right::QueryUsers)?;
        let search = UserSearch::read(visit.query()?)?;
        let n = match whole(&search) {
            true => found(&desk, &search, Page { first: 0, max: 1 }).await?.len(),
            false => desk.app.db.count_users(&desk.view.records.realm.id, &search).await.map_err(unread)?,
        };
        Ok(document(&n))
    })
    .await
}

/// Whether at most one user can be meant.
fn whole(search: &UserSearch) -> bool {
    search.id().is_some() || matches!(search.username(), Some(Name::Is(_)))
}

/// `access` in a list.
fn listed(permit: &AdminPermit) -> Value {
    json!({ "manage": permit.has(Right::ManageUsers) })
}

/// `access` of one user.
fn access(permit: &AdminPermit) -> Value {
    let manages = permit.has(Right::ManageUsers);
    json!({
        "manageGroupMembership": manages,
        "resetPassword": manages,
        "view": permit.has(Right::ViewUsers),
        "mapRoles": manages,
        "impersonate": permit.has(Right::Impersonation),
        "manage": manages,
    })
}

async fn representation(
    desk: &Desk,
    rules: &UserProfile,
    user: &User,
    access: Value,
    metadata: Option<&Value>,
) -> Result<Value, Refused> {
    let credentials = desk.app.db.credentials(&desk.view.records.realm.id, &user.id).await.map_err(unread)?;
    let totp = credentials.iter().any(|credential| credential.kind == "otp");
    let mut seen = user.clone();
    seen.settings.attributes = rules.seen(&user.settings.attributes);
    Ok(represent::user(&seen, totp, Some(access), metadata))
}

/// `/admin/realms/{realm}/users/{id}`.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path((realm, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    let methods = [Method::GET, Method::PUT, Method::DELETE];
    at_desk(app, &realm, request, &methods, async |desk, visit| match visit.method {
        Method::PUT => update(&desk, &id, visit).await,
        Method::DELETE => delete(&desk, &id).await,
        _ => {
            let user = desk.user_for(&id, Right::ViewUsers).await?;
            let realm = &desk.view.records.realm;
            let rules = UserProfile::of(realm);
            let asked = visit.query()?.get("userProfileMetadata") == Some("true");
            let metadata = asked.then(|| rules.metadata(realm));
            let access = access(&desk.permit);
            Ok(document(&representation(&desk, &rules, &user, access, metadata.as_ref()).await?))
        }
    })
    .await
}

async fn update(desk: &Desk, id: &str, visit: Visit) -> Result<Response, Refused> {
    let mut user = desk.user_for(id, Right::ManageUsers).await?;
    desk.permit.may_change(&desk.view.records, &user)?;
    let body = visit.document().await?;
    let records = &desk.view.records;
    for _ in 0..TRIES {
        let after = user_edited(&user, &records.realm, &body).map_err(|refusal| refused(refusal, &body))?;
        let about = About { user: Some(&user.id), ..About::default() };
        let mut writes = vec![desk.audit("UPDATE_PROFILE", about, &changes(&user, &after))];
        if user.enabled && !after.enabled {
            // Guards refuse what was given; the sessions stay and give nothing while the account rests (Keycloak 26.4).
            writes.push(law::subject(records, &user.id, desk.app.now()));
        }
        writes.push(Write::UpdateUser(records.realm.id.clone(), after));
        match desk.app.db.apply(Plan::new(Lane::Admin, writes)).await {
            Ok(()) => return Ok(updated(StatusCode::NO_CONTENT)),
            Err(ApplyError::Gate(Gate::Stale(_) | Gate::Gone(_))) => {
                user = desk.user(id).await?;
                desk.permit.may_change(records, &user)?;
            }
            Err(ApplyError::Gate(Gate::Taken(Entity::Email))) => return Err(taken("email")),
            Err(ApplyError::Gate(Gate::Taken(Entity::User))) => return Err(taken("username")),
            Err(_) => return Err(Refused::Unavailable),
        }
    }
    Err(Refused::Unavailable)
}

fn taken(what: &str) -> Refused {
    Refused::Admin(StatusCode::CONFLICT, format!("User exists with same {what}"))
}

/// Which members changed, never what they say.
fn changes(before: &User, after: &User) -> Vec<(&'static str, String)> {
    let (old, new) = (&before.settings, &after.settings);
    let table = [
        ("username", before.username != after.username),
        ("email", before.email != after.email),
        ("firstName", old.first_name != new.first_name),
        ("lastName", old.last_name != new.last_name),
        ("emailVerified", old.email_verified != new.email_verified),
        ("requiredActions", old.required_actions != new.required_actions),
        ("attributes", old.attributes != new.attributes),
    ];
    let changed: Vec<&str> = table.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name).collect();
    let mut out = vec![("updated", changed.join(" "))];
    if before.enabled != after.enabled {
        out.push(("enabled", after.enabled.to_string()));
    }
    out
}

/// Keycloak 26.4's answers to a document that it cannot take.
fn refused(refusal: EditRefusal, body: &[u8]) -> Refused {
    match refusal {
        EditRefusal::Profile(faults) => Refused::Profile(faults),
        EditRefusal::Credentials => {
            Refused::Admin(StatusCode::BAD_REQUEST, "An update of a user sets no credentials".to_owned())
        }
        EditRefusal::Document(refusal) => match &refusal.reason {
            Reason::UnknownMember(_, name) => unknown_member(&refusal, name, body),
            Reason::NotAllowed(_) | Reason::TooMany(_) => Refused::Admin(StatusCode::BAD_REQUEST, refusal.to_string()),
            Reason::Syntax(_)
            | Reason::TooLarge(_)
            | Reason::Duplicate(_)
            | Reason::Expected(_)
            | Reason::Missing(_)
            | Reason::NoName
            | Reason::ReservedCharacter(_)
            | Reason::Unknown(..)
            | Reason::Taken(..) => Refused::Unparsable,
        },
    }
}

/// The body of a validation answer: one fault by itself, several in a list.
pub(super) fn told(faults: &[Fault]) -> Value {
    let one = |fault: &Fault| json!({ "field": fault.field, "errorMessage": fault.message, "params": fault.params });
    match faults {
        [fault] => one(fault),
        _ => json!({ "errors": faults.iter().map(one).collect::<Vec<_>>() }),
    }
}

/// Sessions, consents, credentials and whatever else hangs below the row go with it; clients are told of the sessions' end,
/// guards of the subject's.
async fn delete(desk: &Desk, id: &str) -> Result<Response, Refused> {
    let user = desk.user_for(id, Right::ManageUsers).await?;
    let records = &desk.view.records;
    desk.permit.may_change(records, &user)?;
    if records.realm.profile() == Profile::Strict && desk.by.0 == user.id {
        return Err(Refused::Admin(StatusCode::CONFLICT, "User couldn't be deleted".to_owned()));
    }
    for _ in 0..TRIES {
        let place = desk.place();
        let mut writes = ending::of_user(place, &user.id, None).await?;
        writes.push(law::subject(records, &user.id, place.now));
        let about = About { user: Some(&user.id), ..About::default() };
        writes.push(desk.audit("DELETE_ACCOUNT", about, &[("username", user.username.clone())]));
        writes.push(Write::DeleteUser(records.realm.id.clone(), user.id.clone()));
        match desk.app.db.apply(Plan::new(Lane::Gate, writes)).await {
            Ok(()) => {
                ending::wake(place);
                return Ok(removed());
            }
            Err(ApplyError::Gate(Gate::Gone(Entity::User))) => return Err(Refused::NotFound("User not found")),
            Err(ApplyError::Gate(_)) => {}
            Err(_) => return Err(Refused::Unavailable),
        }
    }
    Err(Refused::Unavailable)
}
