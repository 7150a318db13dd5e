//! Roles of the realm and of clients, and what they contain.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::ids::{ClientUuid, RoleId};

/// A stored role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// Its name, unique in its container.
    pub name: String,
    /// Free text (`${role_x}` keys for the built-in ones).
    pub description: Option<String>,
    /// The client it belongs to; `None` for a realm role.
    pub client: Option<ClientUuid>,
    /// Free attributes.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Roles inside it.
    pub composites: Vec<RoleId>,
}

/// All roles of a realm.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    by_id: HashMap<RoleId, Role>,
}

impl Roles {
    /// From the stored rows.
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Self {
        Self { by_id: roles.into_iter().map(|r| (r.id.clone(), r)).collect() }
    }

    /// One role.
    #[must_use]
    pub fn get(&self, id: &RoleId) -> Option<&Role> {
        self.by_id.get(id)
    }

    /// A role by its container (`None`: the realm) and name.
    #[must_use]
    pub fn named(&self, client: Option<&ClientUuid>, name: &str) -> Option<&Role> {
        self.by_id.values().find(|r| r.client.as_ref() == client && r.name == name)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.by_id.values()
    }

    /// `start` with everything the composites contain. Cycles end by themselves; unknown ids are dropped.
    #[must_use]
    pub fn expand<'a>(&'a self, start: impl IntoIterator<Item = &'a RoleId>) -> BTreeSet<&'a RoleId> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&RoleId> = start.into_iter().collect();
        while let Some(id) = open.pop() {
            if let Some(role) = self.by_id.get(id)
                && seen.insert(&role.id)
            {
                open.extend(&role.composites);
            }
        }
        seen
    }
}
