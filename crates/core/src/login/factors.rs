//! What was proven in a session, kept in its notes: Keycloak's note `authenticators-completed`, a JSON object of
//! authenticator and second.
//!
//! Keycloak's keys are the ids of a realm's flow executions; ours are the authenticators' names, because a realm's
//! flow is fixed here.

use std::collections::BTreeMap;

/// The session note.
pub const NOTE: &str = "authenticators-completed";

/// A password on the page (Keycloak's authenticator).
pub const PASSWORD: &str = "auth-username-password-form";

/// A one-time code on the page (Keycloak's authenticator).
pub const ONE_TIME_CODE: &str = "auth-otp-form";

/// Notes of a session.
pub type Notes = BTreeMap<String, String>;

/// Adds that `authenticator` was passed at `now`, seconds. The latest time of each stands.
pub fn prove(notes: &mut Notes, authenticator: &str, now: i64) {
    let mut all = proven(notes);
    all.insert(authenticator.to_owned(), now);
    notes.insert(NOTE.to_owned(), serde_json::to_string(&all).unwrap_or_default());
}

/// What was passed and when, seconds. A note that cannot be read proves nothing.
#[must_use]
pub fn proven(notes: &Notes) -> BTreeMap<String, i64> {
    notes.get(NOTE).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The notes of a session in which more was proven: what it held stays.
#[must_use]
pub fn joined(before: &Notes, proven_now: &Notes) -> Notes {
    let mut notes = before.clone();
    notes.extend(proven_now.iter().filter(|(name, _)| *name != NOTE).map(|(n, v)| (n.clone(), v.clone())));
    for (authenticator, at) in proven(proven_now) {
        prove(&mut notes, &authenticator, at);
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mf_09_notes_say_what_was_proven_and_when() {
        let mut notes = Notes::new();
        assert!(proven(&notes).is_empty());
        prove(&mut notes, PASSWORD, 100);
        prove(&mut notes, ONE_TIME_CODE, 130);
        prove(&mut notes, PASSWORD, 200);
        assert_eq!(proven(&notes), BTreeMap::from([(ONE_TIME_CODE.to_owned(), 130), (PASSWORD.to_owned(), 200)]));
        notes.insert(NOTE.to_owned(), "[]".to_owned());
        assert!(proven(&notes).is_empty());
    }

    #[test]
    fn a_session_forgets_nothing_when_more_is_proven() {
        let (mut before, mut more) = (Notes::from([("k".to_owned(), "v".to_owned())]), Notes::new());
        prove(&mut before, PASSWORD, 100);
        prove(&mut before, ONE_TIME_CODE, 100);
        prove(&mut more, PASSWORD, 200);
        let all = joined(&before, &more);
        assert_eq!(proven(&all), BTreeMap::from([(ONE_TIME_CODE.to_owned(), 100), (PASSWORD.to_owned(), 200)]));
        assert_eq!(all.get("k").map(String::as_str), Some("v"));
    }
}
