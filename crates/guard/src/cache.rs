//! Tokens verified before: bounded, never beyond `exp`, keyed by the hash of the whole token (JW-24, DS-14).

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::principal::Principal;

/// Entries that share one lock. A token belongs to exactly one such set, chosen by its hash.
const WAYS: usize = 8;

/// SHA-256 of a token.
pub(crate) type Digest = [u8; 32];

struct Entry {
    token: Digest,
    principal: Principal,
}

/// Sets of entries. All memory it will ever take is bounded at construction.
pub(crate) struct Cache {
    sets: Box<[Mutex<Vec<Entry>>]>,
    ways: usize,
}

impl Cache {
    /// Of at most `entries`; 0 keeps nothing.
    pub(crate) fn new(entries: usize) -> Self {
        let ways = entries.clamp(1, WAYS);
        let sets = (0..entries / ways).map(|_| Mutex::new(Vec::new())).collect();
        Self { sets, ways }
    }

    /// The principal of this very token, if `exp` (seconds, without leeway) lies after `now`.
    pub(crate) fn get(&self, token: &Digest, now: i64) -> Option<Principal> {
        let set = self.set(token)?;
        let found = set.iter().find(|e| e.token == *token && now < e.principal.expires_at())?;
        Some(found.principal.clone())
    }

    /// Keeps a verified token. When its set is full, an expired entry goes first, else the one that ends soonest.
    pub(crate) fn put(&self, token: Digest, principal: Principal, now: i64) {
        if now >= principal.expires_at() {
            return;
        }
        let Some(mut set) = self.set(&token) else { return };
        set.retain(|e| now < e.principal.expires_at() && e.token != token);
        if set.len() >= self.ways {
            let soonest = set.iter().enumerate().min_by_key(|(_, e)| e.principal.expires_at()).map(|(at, _)| at);
            if let Some(at) = soonest {
                set.swap_remove(at);
            }
        }
        set.push(Entry { token, principal });
    }

    fn set(&self, token: &Digest) -> Option<MutexGuard<'_, Vec<Entry>>> {
        let [a, b, c, d, ..] = *token;
        let spread = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or_default();
        let set = self.sets.get(spread.checked_rem(self.sets.len())?)?;
        // Nothing inside panics halfway through a change.
        Some(set.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::tests::principal;

    fn digest(n: u32) -> Digest {
        portcullis_jose::digest::sha256(&n.to_le_bytes())
    }

    fn held(cache: &Cache) -> usize {
        cache.sets.iter().map(|s| s.lock().unwrap().len()).sum()
    }

    #[test]
    fn ds_14_a_flood_of_tokens_stays_within_the_bound() {
        for bound in [0, 1, 7, 8, 100, 1000] {
            let cache = Cache::new(bound);
            for n in 0..5000 {
                cache.put(digest(n), principal("u", 100), 0);
            }
            assert!(held(&cache) <= bound, "{bound}: {}", held(&cache));
            assert!(held(&cache) * 2 >= bound, "{bound}: hardly anything is kept");
        }
    }

    #[test]
    fn jw_24_an_entry_ends_at_exp_and_makes_room() {
        let cache = Cache::new(2);
        cache.put(digest(1), principal("one", 100), 0);
        cache.put(digest(2), principal("two", 200), 0);
        assert_eq!(cache.get(&digest(1), 99).unwrap().subject(), "one");
        assert!(cache.get(&digest(1), 100).is_none(), "exp is the end, leeway or not");
        cache.put(digest(3), principal("three", 300), 0);
        assert!(cache.get(&digest(1), 0).is_none(), "the one that ends soonest went");
        assert_eq!(cache.get(&digest(2), 0).unwrap().subject(), "two");
        assert_eq!(cache.get(&digest(3), 0).unwrap().subject(), "three");
        cache.put(digest(4), principal("late", 100), 100);
        assert!(cache.get(&digest(4), 0).is_none(), "what has ended is not kept");
    }
}
