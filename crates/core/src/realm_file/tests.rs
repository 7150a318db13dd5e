//! Tests of realm files.

mod broken;
mod fresh;
mod imported;
mod planned;

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::entropy::Entropy;
use crate::group::Groups;
use crate::records::RealmRecords;
use crate::role::Roles;
use crate::time::Now;

pub(super) const DEMO: &str = include_str!("../../../testkit/golden/realms/demo.json");
pub(super) const MINI: &str = include_str!("../../../testkit/golden/realms/mini.json");
pub(super) const NOW: Now = Now::from_secs(1_790_000_000);

/// Counts up: every id differs, every run is the same.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let n = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            chunk.copy_from_slice(&n[8 - chunk.len()..]);
        }
    }
}

pub(super) fn import(text: &str) -> Result<RealmContents, Refusal> {
    assemble(RealmFile::read(text.as_bytes())?, &Counter::default(), NOW)
}

pub(super) fn records(contents: &RealmContents) -> RealmRecords {
    RealmRecords::new(
        contents.realm.clone(),
        contents.scopes.clone(),
        Roles::new(contents.roles.clone()),
        Groups::new(contents.groups.clone()),
        Vec::new(),
        contents.clients.clone(),
    )
}

#[test]
fn a_misspelt_profile_is_refused_at_import_and_at_update() {
    let with = |profile: &str| format!("{{\"realm\":\"x\",\"attributes\":{{\"portcullis.profile\":\"{profile}\"}}}}");
    let contents = import(&with("strict")).unwrap();
    for (profile, good) in [("strict", true), ("keycloak", true), ("Strict", false), ("", false), ("strickt", false)] {
        assert_eq!(import(&with(profile)).is_ok(), good, "{profile}");
        assert_eq!(file::updated(&contents.realm, with(profile).as_bytes()).is_ok(), good, "{profile}");
    }
}
