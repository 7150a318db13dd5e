//! Guessing over many accounts (EN-13): wrong passwords are counted by the place they come from, and over the whole realm,
//! whatever names they were tried on.
//!
//! The counter of an account ([`super::brute_force`]) never sees one password tried on ten thousand names, nor a stolen list
//! tried from ten thousand addresses. Counted is what was compared; a refusal that compared nothing tells a guesser nothing.

use crate::realm::RealmSettings;

/// Seconds from the first wrong password on, after which a count starts over.
pub const WINDOW: i64 = 600;

/// Realm attribute: wrong passwords that one place may have within [`WINDOW`]; `0`: any number.
pub const PLACE_ATTRIBUTE: &str = "portcullis.failures.address";

/// Realm attribute: wrong passwords that the realm may have within [`WINDOW`] before every place has to be careful; `0`: any number.
pub const REALM_ATTRIBUTE: &str = "portcullis.failures.realm";

const PLACE: i64 = 50;
const REALM: i64 = 500;

/// What a place may have while the realm is under attack: a person who mistypes a few times.
const CAREFUL: i64 = 5;

/// What each account that logged in from a place adds: an office behind one address mistypes more often than a household. Who
/// guesses has few accounts, and logging in again with one of them adds nothing (EN-12).
const EARNED: i64 = 5;

/// How much guessing a realm bears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    place: i64,
    realm: i64,
}

/// What was counted within [`WINDOW`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Wrong passwords from this place.
    pub wrong_here: i64,
    /// Different accounts that logged in from this place.
    pub accounts_here: i64,
    /// Wrong passwords in the realm.
    pub wrong: i64,
    /// Right ones.
    pub right: i64,
}

impl Limits {
    /// Of a realm that asks for protection (`bruteForceProtected`).
    #[must_use]
    pub fn of(settings: &RealmSettings) -> Option<Self> {
        let number = |name: &str, default: i64| {
            let found = settings.attributes.get(name).and_then(|text| text.trim().parse().ok());
            found.filter(|n: &i64| *n >= 0).unwrap_or(default)
        };
        let limits = || Self { place: number(PLACE_ATTRIBUTE, PLACE), realm: number(REALM_ATTRIBUTE, REALM) };
        settings.brute_force_protected.then(limits)
    }

    /// Whether the realm is being guessed at from everywhere: too many wrong passwords, and more than right ones.
    #[must_use]
    pub const fn alarm(self, counts: Counts) -> bool {
        self.realm > 0 && counts.wrong >= self.realm && counts.wrong > counts.right
    }

    /// Whether the count of a place alone says that nothing more has to be looked at.
    #[must_use]
    pub const fn is_quiet(self, wrong_here: i64) -> bool {
        wrong_here < CAREFUL && (self.place == 0 || wrong_here < self.place)
    }

    /// Whether nothing is compared for this place until its window is over.
    #[must_use]
    pub fn rests(self, counts: Counts) -> bool {
        let most = match (self.place, self.alarm(counts)) {
            (0, false) => return false,
            (0, true) => CAREFUL,
            (most, false) => most,
            (most, true) => most.min(CAREFUL),
        };
        counts.wrong_here >= most.saturating_add(EARNED.saturating_mul(counts.accounts_here.max(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(attributes: &[(&str, &str)], protected: bool) -> Option<Limits> {
        let mut settings: RealmSettings =
            serde_json::from_value(serde_json::json!({ "bruteForceProtected": protected })).unwrap();
        let pairs = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        settings.attributes = pairs.collect();
        Limits::of(&settings)
    }

    #[test]
    fn en_13_a_realm_that_asks_for_no_protection_has_no_limit() {
        assert_eq!(limits(&[], false), None);
        assert_eq!(limits(&[], true), Some(Limits { place: PLACE, realm: REALM }));
        for (text, place) in [("7", 7), (" 7 ", 7), ("0", 0), ("-1", PLACE), ("many", PLACE), ("", PLACE)] {
            assert_eq!(limits(&[(PLACE_ATTRIBUTE, text)], true).map(|l| l.place), Some(place), "{text:?}");
        }
        assert_eq!(limits(&[(REALM_ATTRIBUTE, "9")], true).map(|l| l.realm), Some(9));
    }

    #[test]
    fn en_13_a_place_rests_after_its_share_and_sooner_in_an_attack() {
        let counts = |wrong_here, accounts_here, wrong, right| Counts { wrong_here, accounts_here, wrong, right };
        for (place, realm, seen, rests, alarm) in [
            (50, 500, counts(49, 0, 49, 0), false, false),
            (50, 500, counts(50, 0, 50, 0), true, false),
            // An office: each account that logged in from there makes room, one that logs in again does not.
            (50, 500, counts(54, 1, 54, 900), false, false),
            (50, 500, counts(55, 1, 55, 900), true, false),
            (50, 500, counts(299, 50, 299, 900), false, false),
            // The realm is guessed at from everywhere: a few mistakes are still forgiven.
            (50, 500, counts(4, 0, 500, 100), false, true),
            (50, 500, counts(5, 0, 500, 100), true, true),
            (50, 500, counts(9, 1, 500, 100), false, true),
            // A busy realm has many mistakes, and more people who come in.
            (50, 500, counts(5, 0, 5_000, 5_000), false, false),
            (50, 500, counts(5, 0, 499, 0), false, false),
            (3, 500, counts(3, 0, 500, 100), true, true),
            // Switched off, one by one.
            (0, 500, counts(400, 0, 400, 0), false, false),
            (0, 500, counts(400, 0, 500, 0), true, true),
            (50, 0, counts(5, 0, 90_000, 0), false, false),
            (0, 0, counts(90_000, 0, 90_000, 0), false, false),
        ] {
            let limits = Limits { place, realm };
            assert_eq!((limits.rests(seen), limits.alarm(seen)), (rests, alarm), "{place} {realm} {seen:?}");
            assert!(!(rests && limits.is_quiet(seen.wrong_here)), "{place} {realm} {seen:?}: nothing was looked at");
        }
    }
}
