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
}
