//! The one law that ends things: what is removed, and the cut-offs that tell guards so in the same plan.
//!
//! **Owns** which cut-offs follow from an end, and how long they are kept. **Does not own** their order (store) and their way to
//! guards (idp). **Flow** a decision or a handler asks here for its [`Write`]s; nothing else makes `End*` writes of sessions.
//!
//! The identity provider itself looks sessions up, so it needs no cut-off. A guard verifies alone: it refuses a token that a
//! [`CutOff`] names until the token would have expired by itself.

use crate::client::Client;
use crate::cutoff::{CutOff, Ended};
use crate::ids::{ClientUuid, KeyId, SessionId, UserId};
use crate::plan::Write;
use crate::records::RealmRecords;
use crate::session::UserSession;
use crate::session_limits;
use crate::time::Now;

/// Seconds that a cut-off outlives the tokens it names: clocks differ, and a guard may grant 60 seconds beyond `exp`.
pub const MARGIN: i64 = 120;

/// More sessions of one user are cut by their subject: a plan has room for 1,000 rows, and a cut-off takes two.
const LISTED: usize = 300;

/// Until when a cut-off made now has to be known.
#[must_use]
pub fn kept_until(records: &RealmRecords, now: Now) -> i64 {
    now.secs().saturating_add(session_limits::longest_access(records)).saturating_add(MARGIN)
}

fn cut(records: &RealmRecords, ended: Ended, before: i64, now: Now) -> Write {
    Write::CutOff(records.realm.id.clone(), CutOff { ended, before, expires_at: kept_until(records, now) })
}

/// Ends a user session and everything below it.
#[must_use]
pub fn session(records: &RealmRecords, id: &SessionId, now: Now) -> Vec<Write> {
    let end = Write::EndUserSession(records.realm.id.clone(), id.clone());
    vec![end, cut(records, Ended::Session(id.clone()), now.secs(), now)]
}

/// Ends all sessions of a user but `except`. `sessions` are those loaded just now: each is listed, so that a login in the same
/// second lives; one that began since is no part of the list, and the plan's gate `Stale(UserSessions)` asks for a new one. Of more than
/// 300 the subject is cut instead, and the session that stays needs a new access token.
#[must_use]
pub fn sessions(
    records: &RealmRecords,
    user: &UserId,
    sessions: &[UserSession],
    except: Option<&SessionId>,
    now: Now,
) -> Vec<Write> {
    let realm = records.realm.id.clone();
    let mut writes = vec![Write::EndUserSessions { realm: realm.clone(), user: user.clone(), except: except.cloned() }];
    let ended = || sessions.iter().filter(|s| s.user == *user && Some(&s.id) != except);
    if ended().count() > LISTED {
        writes.push(subject(records, user, now));
    } else {
        let known = ended().map(|s| s.id.clone()).chain(except.cloned()).collect();
        writes.push(Write::ExpectUserSessions(realm, user.clone(), known));
        writes.extend(ended().map(|s| cut(records, Ended::Session(s.id.clone()), now.secs(), now)));
    }
    writes
}

/// Detaches a client from a user session: its tokens of this session die, those of other clients live.
#[must_use]
pub fn client_session(records: &RealmRecords, id: &SessionId, client: &ClientUuid, now: Now) -> Vec<Write> {
    let end = Write::EndClientSession(records.realm.id.clone(), id.clone(), client.clone());
    // The tokens of a client that is gone were cut off with it.
    let named = records.client_by_uuid(client).map(|c| Ended::ClientSession(id.clone(), c.client_id.clone()));
    std::iter::once(end).chain(named.map(|ended| cut(records, ended, now.secs(), now))).collect()
}

/// One token ends, by its `jti` (RFC 7009). `exp` is its own: realms may have given longer lives before.
#[must_use]
pub fn token(records: &RealmRecords, jti: &str, exp: Option<i64>, now: Now) -> Write {
    let over = exp.map_or(0, |exp| exp.saturating_add(MARGIN));
    let expires_at = kept_until(records, now).max(over);
    let ended = Ended::Token(jti.to_owned());
    Write::CutOff(records.realm.id.clone(), CutOff { ended, before: now.secs(), expires_at })
}

/// All tokens of a user up to now end, those without a session too (switched off, removed, pushed not-before).
#[must_use]
pub fn subject(records: &RealmRecords, user: &UserId, now: Now) -> Write {
    cut(records, Ended::Subject(user.clone()), now.secs(), now)
}

/// All tokens of a client issued before `not_before` end (seconds; a client that is switched off or removed: now and one more).
#[must_use]
pub fn client(records: &RealmRecords, client: &Client, not_before: i64, now: Now) -> Write {
    cut(records, Ended::Client(client.client_id.clone()), not_before.saturating_sub(1), now)
}

/// All tokens of the realm issued before `not_before` end (seconds).
#[must_use]
pub fn realm(records: &RealmRecords, not_before: i64, now: Now) -> Write {
    cut(records, Ended::Realm, not_before.saturating_sub(1), now)
}

/// All tokens signed with a key end: it was switched off or removed.
#[must_use]
pub fn key(records: &RealmRecords, kid: &KeyId, now: Now) -> Write {
    cut(records, Ended::Key(kid.clone()), now.secs(), now)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::fixture;

    const NOW: Now = Now::from_secs(1000);

    /// What is ended, and the cut-offs: kind, value, before, kept for.
    fn told(writes: &[Write]) -> (usize, Vec<(&'static str, String, i64, i64)>) {
        let mut cuts = Vec::new();
        let mut others = 0;
        for write in writes {
            if let Write::CutOff(_, cut) = write {
                cuts.push((cut.ended.kind(), cut.ended.value().into_owned(), cut.before, cut.expires_at - 1000));
            } else if !matches!(write, Write::ExpectUserSessions(..)) {
                others += 1;
            }
        }
        (others, cuts)
    }

    /// The sessions that a plan takes for all there are.
    fn listed(writes: &[Write]) -> Option<Vec<&str>> {
        writes.iter().find_map(|write| {
            let Write::ExpectUserSessions(_, _, known) = write else { return None };
            Some(known.iter().map(SessionId::as_str).collect())
        })
    }

    #[test]
    fn lo_05_an_end_is_told_until_the_last_token_of_it_is_over() {
        let records = fixture::records_with(json!({ "accessTokenLifespan": 200 }));
        let longest = session_limits::longest_access(&records);
        assert!(longest >= 200);
        let kept = longest + MARGIN;
        assert_eq!(told(&session(&records, &"s".into(), NOW)), (1, vec![("sid", "s".to_owned(), 1000, kept)]));
        let below = client_session(&records, &"s".into(), &"uuid-app".into(), NOW);
        assert_eq!(told(&below), (1, vec![("session-client", "s app".to_owned(), 1000, kept)]));
        assert_eq!(told(&client_session(&records, &"s".into(), &"uuid-gone".into(), NOW)), (1, vec![]));
        let late = 1000 + 2 * longest;
        for (exp, kept) in [(None, kept), (Some(1001), kept), (Some(late), late - 1000 + MARGIN)] {
            assert_eq!(told(&[token(&records, "j", exp, NOW)]), (0, vec![("jti", "j".to_owned(), 1000, kept)]));
        }
        assert_eq!(told(&[realm(&records, 900, NOW)]), (0, vec![("realm", String::new(), 899, kept)]));
        assert_eq!(told(&[key(&records, &"k".into(), NOW)]), (0, vec![("kid", "k".to_owned(), 1000, kept)]));
        let app = records.client("app").unwrap();
        assert_eq!(told(&[client(&records, app, 1000, NOW)]), (0, vec![("client", "app".to_owned(), 999, kept)]));
    }

    #[test]
    fn lo_16_the_sessions_of_a_user_are_listed_but_the_one_that_stays() {
        let records = fixture::records_with(json!({}));
        let many = |n: usize| -> Vec<UserSession> {
            (0..n).map(|i| UserSession { id: format!("s{i}").into(), ..fixture::session(0) }).collect()
        };
        let user = fixture::session(0).user;
        let values = |n: usize, except: Option<&SessionId>| -> Vec<String> {
            let (ends, cuts) = told(&sessions(&records, &user, &many(n), except, NOW));
            assert_eq!(ends, 1);
            cuts.into_iter().map(|(kind, value, ..)| format!("{kind} {value}")).collect()
        };
        assert_eq!(values(3, Some(&"s1".into())), ["sid s0", "sid s2"]);
        assert_eq!(values(2, None), ["sid s0", "sid s1"]);
        assert_eq!(values(LISTED + 1, Some(&"s1".into())).len(), LISTED);
        assert_eq!(values(LISTED + 1, None), [format!("sub {user}")]);
        let plan = sessions(&records, &user, &many(3), Some(&"s1".into()), NOW);
        assert_eq!(listed(&plan), Some(vec!["s0", "s2", "s1"]), "a list that is not whole any more is made again");
        assert_eq!(listed(&sessions(&records, &user, &many(LISTED + 1), None, NOW)), None, "the subject is cut");
        let foreign = sessions(&records, &"somebody".into(), &many(2), None, NOW);
        assert_eq!(told(&foreign), (1, vec![]), "only sessions of the user itself");
    }
}
