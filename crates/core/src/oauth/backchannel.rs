//! Telling clients of a logout: OpenID Connect Back-Channel Logout 1.0 and Front-Channel Logout 1.0.
//!
//! **Owns** which clients of an ended session are told and by which way, what a logout token says, when a message is tried again.
//! **Does not own** ending sessions, signing and sending (idp).

use serde_json::{Map, Value, json};
use url::Url;

use crate::client::Client;
use crate::entropy::{self, Entropy};
use crate::ids::SessionId;
use crate::pending::LogoutDelivery;
use crate::records::RealmRecords;
use crate::session::{ClientSession, UserSession};
use crate::time::Now;

/// Client attribute: where logout tokens go.
const URL: &str = "backchannel.logout.url";

/// Client attribute: the logout token names the session.
const SESSION_REQUIRED: &str = "backchannel.logout.session.required";

/// Client attribute: the client shall give up offline tokens too.
const REVOKE_OFFLINE: &str = "backchannel.logout.revoke.offline.tokens";

/// Client attribute: what the logout page frames.
const FRONT_URL: &str = "frontchannel.logout.url";

/// Client attribute: the frame's address names session and issuer; unless it says otherwise, it does (Keycloak 26.4).
const FRONT_SESSION_REQUIRED: &str = "frontchannel.logout.session.required";

/// The member of `events` (Back-Channel Logout §2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How long a logout token counts, seconds (Back-Channel Logout §4: at most two minutes).
const TOKEN_SECONDS: i64 = 120;

/// How long a message is tried, seconds.
const TRIED_FOR: i64 = 3600;

/// Shortest and longest wait between two tries, seconds.
const WAITS: (i64, i64) = (2, 300);

/// Tries that a client may refuse with 400 before it is believed (Back-Channel Logout §2.8).
const REFUSALS: i64 = 3;

/// Who learns of a logout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// A browser is there and shows frames: clients with front-channel logout are told by it alone.
    Browser,
    /// No browser: every client with an address for logout tokens is told by the server.
    Server,
}

/// One client that the logout page tells by a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The client's name, else its `client_id`.
    pub name: String,
    /// Its address with `sid` and `iss` where it wants them (Front-Channel Logout §3).
    pub url: String,
}

/// The messages that the end of a session owes to its clients.
#[must_use]
pub fn owed(
    records: &RealmRecords,
    issuer: &str,
    (session, clients): (&UserSession, &[ClientSession]),
    audience: Audience,
    (entropy, now): (&dyn Entropy, Now),
) -> Vec<LogoutDelivery> {
    told(records, clients)
        .filter(|client| url(client).is_some() && !(audience == Audience::Browser && front_url(client).is_some()))
        .map(|client| delivery(issuer, session, client, (entropy, now)))
        .collect()
}

/// The message that one client is owed when only its part of a session ends because its user took the consent back. Keycloak 26.4
/// sends one for each login; for offline sessions, and when a token is revoked, it sends none.
#[must_use]
pub fn owed_for_consent(
    issuer: &str,
    session: &UserSession,
    client: &Client,
    by: (&dyn Entropy, Now),
) -> Option<LogoutDelivery> {
    (!session.offline && url(client).is_some()).then(|| delivery(issuer, session, client, by))
}

fn delivery(
    issuer: &str,
    session: &UserSession,
    client: &Client,
    (entropy, now): (&dyn Entropy, Now),
) -> LogoutDelivery {
    LogoutDelivery {
        id: entropy::uuid(entropy),
        client: client.id.clone(),
        user: session.user.clone(),
        session: session.id.clone(),
        issuer: issuer.to_owned(),
        due_at: now.secs(),
        attempts: 0,
        expires_at: now.secs() + TRIED_FOR,
    }
}

/// The frames of the logout page.
#[must_use]
pub fn frames(records: &RealmRecords, issuer: &str, session: &SessionId, clients: &[ClientSession]) -> Vec<Frame> {
    told(records, clients)
        .filter_map(|client| {
            let mut url = front_url(client)?;
            if client.attribute(FRONT_SESSION_REQUIRED).is_none_or(|text| text == "true") {
                url.query_pairs_mut().append_pair("sid", session.as_str()).append_pair("iss", issuer);
            }
            let name = client.settings.name.as_deref().filter(|name| !name.is_empty());
            Some(Frame { name: name.unwrap_or(&client.client_id).to_owned(), url: url.into() })
        })
        .collect()
}

fn told<'a>(records: &'a RealmRecords, clients: &'a [ClientSession]) -> impl Iterator<Item = &'a Client> {
    clients.iter().filter_map(|session| records.client_by_uuid(&session.client))
}

/// The attempts of a message that was queued ahead of its session's end, and waits for it.
pub const HELD: i64 = -1;

/// When a message was queued, seconds.
#[must_use]
pub const fn queued_at(delivery: &LogoutDelivery) -> i64 {
    delivery.expires_at.saturating_sub(TRIED_FOR)
}

/// Where a client's logout tokens go: as registered, a relative address below the client's root.
#[must_use]
pub fn url(client: &Client) -> Option<Url> {
    web(client, client.attribute(URL).filter(|url| !url.is_empty())?)
}

fn front_url(client: &Client) -> Option<Url> {
    let registered = client.attribute(FRONT_URL).filter(|url| !url.trim().is_empty())?;
    client.settings.frontchannel_logout.then(|| web(client, registered)).flatten()
}

fn web(client: &Client, address: &str) -> Option<Url> {
    // Keycloak's placeholder for a host that the client chose: nobody but the registration says where a token goes (SS-06).
    if address.contains("${") {
        return None;
    }
    let whole = match (&client.settings.root_url, address.starts_with('/')) {
        (Some(root), true) => format!("{}{address}", root.trim_end_matches('/')),
        _ => address.to_owned(),
    };
    Url::parse(&whole).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// The claims of a logout token (Back-Channel Logout §2.4; Keycloak 26.4's order).
#[must_use]
pub fn logout_token(delivery: &LogoutDelivery, client: &Client, now: Now) -> Vec<u8> {
    let mut events = Map::from_iter([(EVENT.to_owned(), json!({}))]);
    if client.flag(REVOKE_OFFLINE) {
        events.insert("revoke_offline_access".to_owned(), json!(true));
    }
    let sid = client.flag(SESSION_REQUIRED).then(|| ("sid", json!(delivery.session)));
    let head = [
        ("exp", json!(now.secs() + TOKEN_SECONDS)),
        ("iat", json!(now.secs())),
        ("jti", json!(delivery.id)),
        ("iss", json!(delivery.issuer)),
        ("aud", json!(client.client_id)),
        ("sub", json!(delivery.user)),
        ("typ", json!("Logout")),
    ];
    let claims = head.into_iter().chain(sid).chain([("events", Value::Object(events))]);
    let claims: Map<String, Value> = claims.map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Object(claims).to_string().into_bytes()
}

/// What came of a try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The client answered with this status.
    Answered(u16),
    /// It did not answer, or must not be reached.
    Failed,
}

/// When a message is tried again, seconds; `None`: it arrived, or was given up.
#[must_use]
pub fn next_try(delivery: &LogoutDelivery, outcome: Outcome, now: Now) -> Option<i64> {
    let tries = delivery.attempts + 1;
    match outcome {
        Outcome::Answered(200..=299) => return None,
        Outcome::Answered(400) if tries >= REFUSALS => return None,
        Outcome::Answered(_) | Outcome::Failed => {}
    }
    let (shortest, longest) = WAITS;
    let doubled = shortest.saturating_mul(1 << delivery.attempts.clamp(0, 20));
    let at = now.secs() + doubled.min(longest);
    (at < delivery.expires_at).then_some(at)
}

#[cfg(test)]
mod tests;
