//! `/admin/realms/{realm}/users/{id}/consents`: what a user allowed clients, offline access included.
//!
//! | endpoint | needs | else |
//! |---|---|---|
//! | `GET /admin/realms/{realm}/users/{id}/consents` | `view-users` | 403 |
//! | `DELETE /admin/realms/{realm}/users/{id}/consents/{client}` | `manage-users` | 403 |
//!
//! Order: token (401), realm (404), method (405), right (403), user, client, consent (404).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::Method;
use portcullis_core::admin::Right;
use portcullis_core::ending;
use portcullis_core::ids::{ClientUuid, UserId};
use portcullis_core::login::consent as law;
use portcullis_core::oauth::backchannel;
use portcullis_core::pending::Consent;
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::session::UserSession;
use serde_json::{Value, json};

use super::desk::{self, About, Desk, at_desk};
use super::{Refused, document};
use crate::ending::{self as ends, Place};
use crate::state::{App, RealmView};

/// Writes of one plan: one of them may take several rows, and a plan has room for 1,000.
const PART: usize = 300;

/// `/admin/realms/{realm}/users/{id}/consents`.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path((realm, user)): Path<(String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::GET], async |desk, _| {
        desk.permit.require(Right::ViewUsers)?;
        Ok(document(&Given::of(&desk, &user).await?.shown(&desk.view)))
    })
    .await
}

/// `/admin/realms/{realm}/users/{id}/consents/{client}`.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path((realm, user, client)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    at_desk(app, &realm, request, &[Method::DELETE], async |desk, _| {
        desk.permit.require(Right::ManageUsers)?;
        take_back(&desk, &user, &client).await
    })
    .await
}

/// What a user gave.
struct Given {
    user: UserId,
    consents: Vec<Consent>,
    /// Its sessions, and the clients in each.
    sessions: Vec<(UserSession, BTreeSet<ClientUuid>)>,
}

impl Given {
    async fn of(desk: &Desk, id: &str) -> Result<Self, Refused> {
        let (db, realm) = (&desk.app.db, &desk.view.records.realm.id);
        let user = desk.user(id).await?.id;
        let consents = db.consents(realm, &user).await.map_err(|_| Refused::Unavailable)?;
        let mut sessions = Vec::new();
        for session in db.user_sessions_of(realm, &user).await.map_err(|_| Refused::Unavailable)? {
            let below = db.client_sessions(realm, &session.id).await.map_err(|_| Refused::Unavailable)?;
            sessions.push((session, below.into_iter().map(|below| below.client).collect()));
        }
        Ok(Self { user, consents, sessions })
    }

    fn is_offline(&self, client: &ClientUuid) -> bool {
        self.sessions.iter().any(|(session, clients)| session.offline && clients.contains(client))
    }

    /// Keycloak 26.4's list: members and their order as recorded.
    fn shown(&self, view: &RealmView) -> Vec<Value> {
        let records = &view.records;
        let mut rows: BTreeMap<&ClientUuid, Option<&Consent>> =
            self.consents.iter().map(|consent| (&consent.client, Some(consent))).collect();
        for (session, clients) in &self.sessions {
            for client in clients.iter().filter(|_| session.offline) {
                rows.entry(client).or_insert(None);
            }
        }
        let row = |(id, consent): (&ClientUuid, Option<&Consent>)| {
            let client = records.client_by_uuid(id)?;
            let additional = match self.is_offline(id) {
                true => vec![json!({ "client": client.id, "key": "Offline Token" })],
                false => Vec::new(),
            };
            Some(match consent {
                Some(consent) => json!({
                    "lastUpdatedDate": consent.updated,
                    "clientId": client.client_id,
                    "createdDate": consent.created,
                    "grantedClientScopes": law::names(records, consent),
                    "additionalGrants": additional,
                }),
                None => json!({
                    "clientId": client.client_id, "grantedClientScopes": [], "additionalGrants": additional,
                }),
            })
        };
        rows.into_iter().filter_map(row).collect()
    }
}

/// Takes a consent back: the client's part of every session goes with it, and its offline sessions (RT-09). The client is told of
/// each login that ends for it.
async fn take_back(desk: &Desk, user: &str, client_id: &str) -> Result<Response, Refused> {
    let place = desk.place();
    let Place { app, view, issuer, now } = place;
    let realm = &view.records.realm.id;
    let given = Given::of(desk, user).await?;
    let client = view.records.client(client_id).ok_or(Refused::NotFound("Client not found"))?;
    let has_consent = given.consents.iter().any(|consent| consent.client == client.id);
    if !has_consent && !given.is_offline(&client.id) {
        return Err(Refused::NotFound("Consent nor offline token not found"));
    }
    let told = |session: &UserSession| {
        let owed = backchannel::owed_for_consent(issuer, session, client, (app.entropy.as_ref(), now));
        owed.filter(|_| has_consent).map(|delivery| Write::QueueLogout(realm.clone(), delivery))
    };
    let ended =
        given.sessions.iter().filter(|(_, clients)| clients.contains(&client.id)).flat_map(|(session, clients)| {
            let mut writes = match session.offline && clients.len() == 1 {
                true => ending::session(&view.records, &session.id, now),
                false => ending::client_session(&view.records, &session.id, &client.id, now),
            };
            writes.extend(told(session));
            writes
        });
    let delete = Write::DeleteConsent(realm.clone(), given.user.clone(), client.id.clone());
    let about = About { user: Some(&given.user), client: Some(&client.id), session: None };
    let audit = desk.audit("REVOKE_GRANT", about, &[]);
    // The consent goes first: without it no session of the client gets another token.
    let writes: Vec<Write> = [delete, audit].into_iter().chain(ended).collect();
    for part in writes.chunks(PART) {
        app.db.apply(Plan::new(Lane::Gate, part.to_vec())).await.map_err(|_| Refused::Unavailable)?;
    }
    ends::wake(place);
    Ok(desk::removed())
}
