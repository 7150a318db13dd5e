//! Audit rows of the token endpoint: only where the realm keeps events, so that a refresh stays one row elsewhere.

use std::collections::BTreeMap;

use super::Context;
use crate::client::Client;
use crate::entropy::uuid;
use crate::event::Event;
use crate::ids::{SessionId, UserId};
use crate::plan::Write;

fn event(cx: &Context<'_>, kind: &'static str, client: &Client) -> Event {
    Event {
        id: uuid(cx.entropy).into(),
        time: cx.now.millis(),
        realm: cx.records.realm.id.clone(),
        kind,
        user: None,
        client: Some(client.id.clone()),
        session: None,
        ip_address: cx.ip.to_owned(),
        error: None,
        details: BTreeMap::new(),
    }
}

/// The row of a success. Who: the user, and the session unless there is none.
pub(crate) fn audit<'s>(
    cx: &Context<'_>,
    kind: &'static str,
    client: &Client,
    who: (&UserId, impl Into<Option<&'s SessionId>>),
) -> Option<Write> {
    let keeps = cx.records.realm.settings.events_enabled;
    let (user, session) = (who.0.clone(), who.1.into().cloned());
    keeps.then(|| Write::Audit(Event { user: Some(user), session, ..event(cx, kind, client) }))
}

/// The row of a refusal after the client proved who it is.
pub(crate) fn audit_error(cx: &Context<'_>, kind: &'static str, client: &Client, error: &'static str) -> Option<Write> {
    let keeps = cx.records.realm.settings.events_enabled;
    keeps.then(|| Write::Audit(Event { error: Some(error), ..event(cx, kind, client) }))
}
