//! Ending sessions: what is loaded for it, and what its plan writes.
//!
//! **Owns** the loading, the retry when a gate is lost, waking the sender of logout messages. **Does not own** what ends
//! ([`portcullis_core::ending`]), who is told ([`portcullis_core::oauth::backchannel`]), cookies and pages ([`crate::logout`]).

use portcullis_core::ending as law;
use portcullis_core::ids::{SessionId, UserId};
use portcullis_core::oauth::backchannel::{self, Audience, Frame};
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::session::{ClientSession, UserSession};
use portcullis_core::time::Now;
use portcullis_store::ApplyError;

use crate::state::{App, RealmView, Unavailable};

/// Reloads when a client that is told went away meanwhile.
const TRIES: usize = 3;

/// Messages of one plan: it has room for 1,000 rows, and what ends has its own. What is more goes ahead in plans of its own, and
/// is sent once the session is over (DS-25).
const MOST_MESSAGES: usize = 300;

/// Where a session ends.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) app: &'a App,
    pub(crate) view: &'a RealmView,
    /// Under which name: `iss` of the messages.
    pub(crate) issuer: &'a str,
    pub(crate) now: Now,
}

/// A session with the clients in it.
pub(crate) struct Ending {
    session: UserSession,
    clients: Vec<ClientSession>,
}

impl Ending {
    /// A session by its id.
    pub(crate) async fn of(place: Place<'_>, id: &SessionId) -> Result<Option<Self>, Unavailable> {
        let (db, realm) = (&place.app.db, &place.view.records.realm.id);
        let Some(session) = db.user_session(realm, id).await.map_err(|_| Unavailable)? else { return Ok(None) };
        let clients = db.client_sessions(realm, id).await.map_err(|_| Unavailable)?;
        Ok(Some(Self { session, clients }))
    }

    fn messages(&self, place: Place<'_>, audience: Audience) -> Vec<Write> {
        let (records, entropy) = (&place.view.records, place.app.entropy.as_ref());
        let ended = (&self.session, self.clients.as_slice());
        let owed = backchannel::owed(records, place.issuer, ended, audience, (entropy, place.now));
        let realm = records.realm.id.clone();
        owed.into_iter().map(|delivery| Write::QueueLogout(realm.clone(), delivery)).collect()
    }

    /// What the logout page frames.
    pub(crate) fn frames(&self, place: Place<'_>) -> Vec<Frame> {
        backchannel::frames(&place.view.records, place.issuer, &self.session.id, &self.clients)
    }
}

/// Ends one session with everything below it, beside what `more` writes; one that ended before is no error. What it was is
/// given back.
pub(crate) async fn end(
    place: Place<'_>,
    id: &SessionId,
    audience: Audience,
    more: impl Fn(&UserSession) -> Vec<Write>,
) -> Result<Option<Ending>, Unavailable> {
    for _ in 0..TRIES {
        let Some(ending) = Ending::of(place, id).await? else { return Ok(None) };
        let mut messages = ending.messages(place, audience);
        ahead(place, &mut messages).await?;
        let mut writes = law::session(&place.view.records, &ending.session.id, place.now);
        writes.extend(messages);
        writes.extend(more(&ending.session));
        match place.app.db.apply(Plan::new(Lane::Gate, writes)).await {
            Ok(()) => {
                wake(place);
                return Ok(Some(ending));
            }
            Err(ApplyError::Gate(_)) => {}
            Err(_) => return Err(Unavailable),
        }
    }
    Err(Unavailable)
}

/// Queues what is more than one plan can take with it. Whoever stops now has ended nothing and told nobody.
async fn ahead(place: Place<'_>, messages: &mut Vec<Write>) -> Result<(), Unavailable> {
    let db = &place.app.db;
    while messages.len() > MOST_MESSAGES {
        let mut piece = messages.split_off(messages.len() - MOST_MESSAGES);
        for write in &mut piece {
            if let Write::QueueLogout(_, delivery) = write {
                delivery.attempts = backchannel::HELD;
            }
        }
        match db.apply(Plan::new(Lane::Admin, piece.clone())).await {
            Ok(()) => {}
            // A client of the piece was removed meanwhile: the others are told.
            Err(ApplyError::Gate(_)) => {
                for one in piece {
                    match db.apply(Plan::new(Lane::Admin, vec![one])).await {
                        Ok(()) | Err(ApplyError::Gate(_)) => {}
                        Err(_) => return Err(Unavailable),
                    }
                }
            }
            Err(_) => return Err(Unavailable),
        }
    }
    Ok(())
}

/// What ends all sessions of a user but one, with the messages that it owes. Listed before the plan: a session that begins
/// meanwhile ends with the others. [`wake`] after it was applied.
pub(crate) async fn of_user(
    place: Place<'_>,
    user: &UserId,
    except: Option<&SessionId>,
) -> Result<Vec<Write>, Unavailable> {
    let (db, realm) = (&place.app.db, &place.view.records.realm.id);
    let sessions = db.user_sessions_of(realm, user).await.map_err(|_| Unavailable)?;
    let mut writes = law::sessions(&place.view.records, user, &sessions, except, place.now);
    let mut messages = Vec::new();
    for session in sessions {
        if Some(&session.id) != except {
            let clients = db.client_sessions(realm, &session.id).await.map_err(|_| Unavailable)?;
            messages.extend(Ending { session, clients }.messages(place, Audience::Server));
            ahead(place, &mut messages).await?;
        }
    }
    writes.extend(messages);
    Ok(writes)
}

/// Messages were queued.
pub(crate) fn wake(place: Place<'_>) {
    let realm = &place.view.records.realm;
    place.app.outbox.wake(&realm.id, &realm.name);
}
