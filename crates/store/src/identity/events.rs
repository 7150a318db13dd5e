//! Audit rows: written with the plan they describe, read newest first.

use std::collections::BTreeMap;

use portcullis_core::event::Event;
use portcullis_core::ids::{ClientUuid, EventId, RealmId, SessionId, UserId};
use portcullis_core::plan::{Entity, Gate};

use super::{Compile, json};
use crate::error::{ApplyError, ReadError};
use crate::sql::{Phase, Source, Step, Table, statements, values};

statements! {
    INSERT = "INSERT INTO events (realm_id, id, time, kind, user_id, client_id, session_id, ip_address, error, details) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    LATEST = "SELECT id, time, kind, user_id, client_id, session_id, ip_address, error, details \
              FROM events WHERE realm_id = $1 ORDER BY time DESC, id DESC LIMIT $2";
}

/// An audit row as read back: [`Event`] with owned words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// When, milliseconds.
    pub time: i64,
    /// Keycloak's event type.
    pub kind: String,
    /// Who, when known.
    pub user: Option<UserId>,
    /// Which client, when known.
    pub client: Option<ClientUuid>,
    /// Which session, when known.
    pub session: Option<SessionId>,
    /// The peer's address.
    pub ip_address: String,
    /// Keycloak's error word.
    pub error: Option<String>,
    /// Free details.
    pub details: BTreeMap<String, String>,
}

pub(super) fn audit(out: &mut Compile<'_>, event: &Event) -> Result<(), ApplyError> {
    let params = values![
        event.realm.as_str(),
        event.id.as_str(),
        event.time,
        event.kind,
        event.user.as_ref().map(AsRef::<str>::as_ref),
        event.client.as_ref().map(AsRef::<str>::as_ref),
        event.session.as_ref().map(AsRef::<str>::as_ref),
        &event.ip_address,
        event.error,
        json(&event.details)?,
    ];
    out.push(
        Step::new(Table::Events, Phase::Create, &INSERT, params)
            .key(event.id.as_str())
            .foreign(Gate::Gone(Entity::Realm)),
    );
    Ok(())
}

pub(crate) fn latest(db: &dyn Source, realm: &RealmId, limit: i64) -> Result<Vec<StoredEvent>, ReadError> {
    let rows = db.rows(&LATEST, values![realm.as_str(), limit])?;
    rows.into_iter()
        .map(|mut row| {
            Ok(StoredEvent {
                id: row.id(0)?,
                time: row.int(1)?,
                kind: row.text(2)?,
                user: row.opt_id(3)?,
                client: row.opt_id(4)?,
                session: row.opt_id(5)?,
                ip_address: row.text(6)?,
                error: row.opt_text(7)?,
                details: row.json(8)?,
            })
        })
        .collect()
}
