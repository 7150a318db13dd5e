//! How long sessions and their tokens hold (Keycloak 26.4's realm and client settings, seconds).
//!
//! **Owns** idle and maximum of user and client sessions, lifetimes of access and refresh tokens.
//! **Does not own** the session records ([`crate::session`]) nor ending them (plans of the endpoints).

use crate::client::Client;
use crate::realm::Realm;
use crate::records::RealmRecords;
use crate::session::{ClientSession, UserSession};
use crate::user::User;

/// Idle time and longest life of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Seconds without activity.
    pub idle: i64,
    /// Seconds since the start.
    pub max: i64,
}

impl Limits {
    /// Until when a session that started and was last used at these seconds holds.
    #[must_use]
    pub fn ends_at(self, started: i64, last_used: i64) -> i64 {
        started.saturating_add(self.max).min(last_used.saturating_add(self.idle))
    }

    /// Each limit the smaller of the two.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self { idle: self.idle.min(other.idle), max: self.max.min(other.max) }
    }
}

fn positive(first: i64, else_: i64) -> i64 {
    if first > 0 { first } else { else_ }
}

/// The limits of a user session; a remembered one has its own where the realm sets them.
#[must_use]
pub fn of_user_session(realm: &Realm, remember_me: bool) -> Limits {
    let settings = &realm.settings;
    let plain = Limits { idle: settings.sso_session_idle_timeout, max: settings.sso_session_max_lifespan };
    if !remember_me {
        return plain;
    }
    // Never shorter than an unremembered session (Keycloak 26.4).
    let longer = |own: i64, plain: i64| positive(own, plain).max(plain);
    Limits {
        idle: longer(settings.sso_session_idle_timeout_remember_me, plain.idle),
        max: longer(settings.sso_session_max_lifespan_remember_me, plain.max),
    }
}

/// The limits of an offline session: no longest life unless the realm says so.
#[must_use]
pub fn of_offline_session(realm: &Realm) -> Limits {
    let settings = &realm.settings;
    let max =
        if settings.offline_session_max_lifespan_enabled { settings.offline_session_max_lifespan } else { i64::MAX };
    Limits { idle: settings.offline_session_idle_timeout, max }
}

/// The limits of a stored session of either kind.
#[must_use]
pub fn of_session(realm: &Realm, session: &UserSession) -> Limits {
    if session.offline { of_offline_session(realm) } else { of_user_session(realm, session.remember_me) }
}

/// The limits of a client session, without those of its user session: the client's own, else the realm's, else none.
#[must_use]
pub fn of_client_session(realm: &Realm, client: &Client, offline: bool) -> Limits {
    let own =
        |attribute: &str, of_realm: i64| client.seconds(attribute).unwrap_or_else(|| positive(of_realm, i64::MAX));
    if offline {
        let max = own("client.offline.session.max.lifespan", realm.settings.client_offline_session_max_lifespan);
        let max = if realm.settings.offline_session_max_lifespan_enabled { max } else { i64::MAX };
        let idle = own("client.offline.session.idle.timeout", realm.settings.client_offline_session_idle_timeout);
        return Limits { idle, max };
    }
    Limits {
        idle: own("client.session.idle.timeout", realm.settings.client_session_idle_timeout),
        max: own("client.session.max.lifespan", realm.settings.client_session_max_lifespan),
    }
}

/// Whether a user session still holds. `last_used` is the latest activity of the session and its children.
#[must_use]
pub fn is_active(realm: &Realm, session: &UserSession, last_used: i64, now: i64) -> bool {
    now < of_session(realm, session).ends_at(session.started, last_used)
}

/// What a live session has behind it: both later than these seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AliveAfter {
    /// Its start.
    pub started_after: i64,
    /// Its latest use.
    pub used_after: i64,
}

/// Which user sessions of a realm are alive, for lists: [`is_active`] and the realm's not-before as bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alive {
    /// Whether offline sessions are meant, or the others.
    pub offline: bool,
    /// Sessions as they are.
    pub plain: AliveAfter,
    /// Remembered ones.
    pub remembered: AliveAfter,
}

impl Alive {
    /// The live sessions of a kind at `now`, seconds.
    #[must_use]
    pub fn at(realm: &Realm, offline: bool, now: i64) -> Self {
        let after = |limits: Limits| AliveAfter {
            started_after: now.saturating_sub(limits.max).max(realm.settings.not_before.saturating_sub(1)),
            used_after: now.saturating_sub(limits.idle),
        };
        let of = |remembered| if offline { of_offline_session(realm) } else { of_user_session(realm, remembered) };
        Self { offline, plain: after(of(false)), remembered: after(of(true)) }
    }

    /// Whether a session is one of them.
    #[must_use]
    pub fn has(&self, session: &UserSession) -> bool {
        let bounds = if session.remember_me { self.remembered } else { self.plain };
        session.offline == self.offline
            && session.started > bounds.started_after
            && session.last_seen > bounds.used_after
    }
}

/// Whether a login began before a not-before of its realm or its user (RT-16): no code, approval or cookie of it counts any more.
#[must_use]
pub fn is_cut_off(realm: &Realm, user: &User, session: &UserSession) -> bool {
    session.started < realm.settings.not_before.max(user.not_before)
}

/// RT-16: whether something that a client was given or asked for at `at` (seconds) is from before its not-before.
#[must_use]
pub fn is_before(client: &Client, at: i64) -> bool {
    at < client.settings.not_before
}

/// Whether a client session still holds, the limits of its user session aside.
#[must_use]
pub fn is_client_active(
    realm: &Realm,
    client: &Client,
    above: &UserSession,
    session: &ClientSession,
    now: i64,
) -> bool {
    now < of_client_session(realm, client, above.offline).ends_at(session.started, session.last_refresh)
}

/// Until when a client session holds if nobody uses it again: the end of it or of the session above, whichever comes first.
#[must_use]
pub fn ends_at(realm: &Realm, client: &Client, above: &UserSession, below: &ClientSession) -> i64 {
    let own = of_client_session(realm, client, above.offline).ends_at(below.started, below.last_refresh);
    own.min(of_session(realm, above).ends_at(above.started, above.last_seen))
}

/// `exp` of an access token: the client's or realm's lifespan, but not past the longest life of the session.
#[must_use]
pub fn access_expires_at(realm: &Realm, client: &Client, session: Option<&UserSession>, now: i64) -> i64 {
    let lifespan = client.seconds("access.token.lifespan").unwrap_or(realm.settings.access_token_lifespan);
    let wanted = now.saturating_add(lifespan);
    session.map_or(wanted, |session| within_session(realm, session, wanted))
}

/// A time, but not past the longest life of the session.
#[must_use]
pub fn within_session(realm: &Realm, session: &UserSession, wanted: i64) -> i64 {
    wanted.min(session.started.saturating_add(of_session(realm, session).max))
}

/// The longest life of any access token of the realm, seconds: the realm's lifespans and those of its clients.
#[must_use]
pub fn longest_access(records: &RealmRecords) -> i64 {
    let settings = &records.realm.settings;
    records.clients().fold(settings.access_token_lifespan, |longest, client| {
        let implicit =
            client.settings.implicit_flow_enabled.then_some(settings.access_token_lifespan_for_implicit_flow);
        longest.max(client.seconds("access.token.lifespan").unwrap_or(0)).max(implicit.unwrap_or(0))
    })
}

/// `exp` of a refresh token made now (RT-12: never past the longest life of either session). 0: none, for an offline token where the
/// realm knows no longest life (Keycloak 26.4); its session ends by idleness.
#[must_use]
pub fn refresh_expires_at(realm: &Realm, client: &Client, session: &UserSession, client_started: i64, now: i64) -> i64 {
    if session.offline && !realm.settings.offline_session_max_lifespan_enabled {
        return 0;
    }
    let of_user = of_session(realm, session).ends_at(session.started, now);
    of_user.min(of_client_session(realm, client, session.offline).ends_at(client_started, now))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::fixture;

    #[test]
    fn rt_12_rt_13_the_smallest_limit_holds() {
        let realm = fixture::realm(json!({}));
        let client = fixture::client("app", json!({}));
        let session = fixture::session(0);
        assert_eq!(refresh_expires_at(&realm, &client, &session, 0, 100), 1900);
        assert_eq!(refresh_expires_at(&realm, &client, &session, 0, 35_000), 36_000);
        assert_eq!(access_expires_at(&realm, &client, Some(&session), 35_900), 36_000);
        assert_eq!(access_expires_at(&realm, &client, None, 35_900), 36_200);
        for (last_used, now, active) in
            [(0, 1799, true), (0, 1800, false), (35_000, 35_999, true), (35_000, 36_000, false)]
        {
            assert_eq!(is_active(&realm, &session, last_used, now), active, "{last_used} {now}");
        }
    }

    #[test]
    fn rt_16_the_later_not_before_cuts_a_login_off() {
        let mut user = fixture::user();
        let session = fixture::session(1000);
        for (of_realm, of_user, cut) in
            [(0, 0, false), (1000, 1000, false), (1001, 0, true), (0, 1001, true), (900, 1001, true)]
        {
            user.not_before = of_user;
            let realm = fixture::realm(json!({ "notBefore": of_realm }));
            assert_eq!(is_cut_off(&realm, &user, &session), cut, "{of_realm} {of_user}");
        }
    }

    #[test]
    fn the_longest_access_token_of_a_realm_is_known() {
        let longest = |settings| longest_access(&fixture::records_with(settings));
        let base = longest(json!({ "accessTokenLifespan": 1 }));
        assert_eq!(longest(json!({ "accessTokenLifespan": base + 7 })), base + 7);
    }

    #[test]
    fn clients_and_remembered_sessions_have_limits_of_their_own() {
        let realm = fixture::realm(json!({ "clientSessionMaxLifespan": 500, "ssoSessionIdleTimeoutRememberMe": 9000 }));
        let own = json!({ "attributes": { "client.session.idle.timeout": "600", "access.token.lifespan": "2" } });
        let client = fixture::client("app", own);
        let mut session = fixture::session(0);
        assert_eq!(refresh_expires_at(&realm, &client, &session, 0, 0), 500);
        assert_eq!(refresh_expires_at(&realm, &client, &session, 400, 400), 900);
        assert_eq!(access_expires_at(&realm, &client, Some(&session), 10), 12);
        session.remember_me = true;
        assert_eq!(of_user_session(&realm, true), Limits { idle: 9000, max: 36_000 });
        assert!(is_active(&realm, &session, 0, 8999) && !is_active(&realm, &session, 0, 9000));
    }
}
