//! Rotation of realm keys: a new key signs at once, the one before it goes on verifying, and a disabled one does neither.
//!
//! No request fails by a rotation: what the old key signed verifies until it expires, and both keys are published. Disabling is for
//! a key that leaked: its tokens end, at guards too.

use crate::ending;
use crate::ids::KeyId;
use crate::key::{KeyStatus, RealmKey};
use crate::plan::{Lane, Plan, Write};
use crate::records::RealmRecords;
use crate::time::Now;

/// Why a key's status stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No such key.
    Unknown,
    /// No other active key of its algorithm: nothing could be signed. Rotate first.
    LastActive(String),
}

fn active<'a>(records: &'a RealmRecords, algorithm: &'a str) -> impl Iterator<Item = &'a RealmKey> {
    records.keys.iter().filter(move |k| k.algorithm == algorithm && k.status == KeyStatus::Active)
}

/// Makes `made` the key that signs with its algorithm; the active ones become passive.
#[must_use]
pub fn rotate(records: &RealmRecords, made: RealmKey) -> Plan {
    let realm = &records.realm.id;
    let highest = records.keys.iter().filter(|k| k.algorithm == made.algorithm).map(|k| k.priority).max();
    let retired = active(records, &made.algorithm).map(|k| k.kid.clone());
    let mut writes: Vec<Write> =
        retired.map(|kid| Write::SetKeyStatus(realm.clone(), kid, KeyStatus::Passive)).collect();
    let priority = highest.map_or(made.priority, |highest| highest.saturating_add(1).max(made.priority));
    writes.push(Write::CreateKey(realm.clone(), RealmKey { priority, ..made }));
    Plan::new(Lane::Admin, writes)
}

/// Changes a key's status.
///
/// # Errors
/// [`Refusal`].
pub fn set_status(records: &RealmRecords, kid: &KeyId, to: KeyStatus, now: Now) -> Result<Plan, Refusal> {
    let key = records.keys.iter().find(|k| k.kid == *kid).ok_or(Refusal::Unknown)?;
    let others = active(records, &key.algorithm).filter(|k| k.kid != *kid).count();
    if to != KeyStatus::Active && key.status == KeyStatus::Active && others == 0 {
        return Err(Refusal::LastActive(key.algorithm.clone()));
    }
    let mut writes = vec![Write::SetKeyStatus(records.realm.id.clone(), kid.clone(), to)];
    if to == KeyStatus::Disabled {
        writes.push(ending::key(records, kid, now));
    }
    Ok(Plan::new(Lane::Admin, writes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::fixture;
    use crate::key::KeyUse;
    use crate::secret::SecretBytes;

    fn key(kid: &str, algorithm: &str, status: KeyStatus, priority: i64) -> RealmKey {
        RealmKey {
            kid: kid.into(),
            provider: "rsa-generated".to_owned(),
            algorithm: algorithm.to_owned(),
            key_use: KeyUse::Signature,
            status,
            priority,
            private: SecretBytes::new(vec![1]),
            certificate: None,
            created: 0,
        }
    }

    fn records(keys: Vec<RealmKey>) -> RealmRecords {
        let mut records = fixture::records();
        records.keys = keys;
        records
    }

    fn told(plan: &Plan) -> Vec<String> {
        let one = |write: &Write| {
            if let Write::SetKeyStatus(_, kid, status) = write {
                format!("{kid} {status:?}")
            } else if let Write::CreateKey(_, key) = write {
                format!("new {} {}", key.kid, key.priority)
            } else if let Write::CutOff(_, cut) = write {
                format!("cut {} {}", cut.ended.kind(), cut.ended.value())
            } else {
                format!("{write:?}")
            }
        };
        plan.writes.iter().map(one).collect()
    }

    #[test]
    fn the_new_key_is_above_all_of_its_algorithm_and_the_active_ones_retire() {
        let (active, passive) = (KeyStatus::Active, KeyStatus::Passive);
        let there = vec![key("a", "RS256", active, 100), key("b", "RS256", passive, 200), key("c", "ES256", active, 5)];
        let plan = rotate(&records(there), key("new", "RS256", active, 100));
        assert_eq!(told(&plan), ["a Passive", "new new 201"]);
        let plan = rotate(&records(Vec::new()), key("first", "EdDSA", active, 100));
        assert_eq!(told(&plan), ["new first 100"]);
    }

    #[test]
    fn the_last_active_key_stays_and_a_disabled_one_is_cut_off() {
        let now = Now::from_secs(1000);
        let there = || vec![key("a", "RS256", KeyStatus::Active, 1), key("b", "RS256", KeyStatus::Passive, 0)];
        let records = records(there());
        let set = |kid: &str, to| set_status(&records, &kid.into(), to, now).map(|plan| told(&plan));
        assert_eq!(set("a", KeyStatus::Passive), Err(Refusal::LastActive("RS256".to_owned())));
        assert_eq!(set("a", KeyStatus::Disabled), Err(Refusal::LastActive("RS256".to_owned())));
        assert_eq!(set("x", KeyStatus::Disabled), Err(Refusal::Unknown));
        assert_eq!(set("b", KeyStatus::Active), Ok(vec!["b Active".to_owned()]));
        assert_eq!(set("b", KeyStatus::Disabled), Ok(vec!["b Disabled".to_owned(), "cut kid b".to_owned()]));
    }
}
