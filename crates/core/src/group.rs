//! Groups: a tree whose members inherit roles.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::ids::{GroupId, RoleId};

/// A stored group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name, unique among its siblings.
    pub name: String,
    /// The group it stands in; `None` at the top.
    pub parent: Option<GroupId>,
    /// Free attributes.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Roles its members have.
    pub roles: Vec<RoleId>,
}

/// All groups of a realm.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    by_id: HashMap<GroupId, Group>,
}

impl Groups {
    /// From the stored rows.
    pub fn new(groups: impl IntoIterator<Item = Group>) -> Self {
        Self { by_id: groups.into_iter().map(|g| (g.id.clone(), g)).collect() }
    }

    /// One group.
    #[must_use]
    pub fn get(&self, id: &GroupId) -> Option<&Group> {
        self.by_id.get(id)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.by_id.values()
    }

    /// The group and its ancestors, nearest first. A broken chain or a cycle ends the walk.
    #[must_use]
    pub fn lineage<'a>(&'a self, id: &GroupId) -> Vec<&'a Group> {
        let mut chain: Vec<&Group> = Vec::new();
        let mut next = self.by_id.get(id);
        while let Some(group) = next {
            if chain.iter().any(|g| g.id == group.id) {
                break;
            }
            chain.push(group);
            next = group.parent.as_ref().and_then(|p| self.by_id.get(p));
        }
        chain
    }

    /// `/staff/engineering`; `/` inside a name is written `~/` (Keycloak 26.4).
    #[must_use]
    pub fn path(&self, id: &GroupId) -> String {
        let names: Vec<String> = self.lineage(id).iter().rev().map(|g| g.name.replace('/', "~/")).collect();
        format!("/{}", names.join("/"))
    }
}
