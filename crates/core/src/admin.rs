//! Who may administer what (Keycloak 26.4's role-based rules).
//!
//! **Owns** the rights, the roles that give them, and the decision over a realm. Rights are taken from the store, never
//! from the token: lightweight tokens carry none, and a right that was taken away must be gone at once.
//!
//! **Does not own** the verification of the token (idp), which endpoint needs which right (idp's admin files).

use std::collections::{BTreeSet, HashMap};

use crate::ids::{ClientUuid, RoleId};
use crate::realm::Profile;
use crate::realm_file::master;
use crate::records::RealmRecords;
use crate::user::User;

/// The client that holds a realm's own administrative roles.
pub const REALM_MANAGEMENT: &str = "realm-management";

/// The role of [`REALM_MANAGEMENT`] (ours) with which a service account follows the realm's cut-offs.
pub const READ_REVOCATIONS: &str = "read-revocations";

/// A right over one realm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are Keycloak's roles")]
pub enum Right {
    ManageRealm,
    ViewRealm,
    ManageUsers,
    ViewUsers,
    QueryUsers,
    ManageClients,
    ViewClients,
    QueryClients,
    QueryGroups,
    QueryRealms,
    ManageEvents,
    ViewEvents,
    ManageIdentityProviders,
    ViewIdentityProviders,
    ManageAuthorization,
    ViewAuthorization,
    Impersonation,
    CreateClient,
    /// Any of the administrative roles.
    Any,
}

impl Right {
    /// The roles that give it; `manage-x` implies `view-x`, `view-x` implies `query-x`.
    #[must_use]
    pub const fn roles(self) -> &'static [&'static str] {
        match self {
            Self::ManageRealm => &["manage-realm"],
            Self::ViewRealm => &["view-realm", "manage-realm"],
            Self::ManageUsers => &["manage-users"],
            Self::ViewUsers => &["view-users", "manage-users"],
            Self::QueryUsers => &["query-users", "view-users", "manage-users"],
            Self::ManageClients => &["manage-clients"],
            Self::ViewClients => &["view-clients", "manage-clients"],
            Self::QueryClients => &["query-clients", "view-clients", "manage-clients"],
            Self::QueryGroups => &["query-groups", "view-users", "manage-users"],
            Self::QueryRealms => &["query-realms", "view-realm", "manage-realm"],
            Self::ManageEvents => &["manage-events"],
            Self::ViewEvents => &["view-events", "manage-events"],
            Self::ManageIdentityProviders => &["manage-identity-providers"],
            Self::ViewIdentityProviders => &["view-identity-providers", "manage-identity-providers"],
            Self::ManageAuthorization => &["manage-authorization"],
            Self::ViewAuthorization => &["view-authorization", "manage-authorization"],
            Self::Impersonation => &["impersonation"],
            Self::CreateClient => &["create-client", "manage-clients"],
            Self::Any => &master::REALM_ROLES,
        }
    }
}

/// Why an administrator is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The account lacks the role (403).
    NotAllowed,
    /// A token of one realm for another (403).
    OtherRealm,
    /// The account to change holds administrative roles that the caller lacks (403, strict realms).
    Outranked,
}

/// An administrator and the names of its administrative roles over one realm: proof that [`Standing::permit`] looked.
#[derive(Clone, Debug)]
pub struct AdminPermit {
    roles: BTreeSet<String>,
}

impl AdminPermit {
    /// Whether the right is there.
    #[must_use]
    pub fn has(&self, right: Right) -> bool {
        right.roles().iter().any(|role| self.roles.contains(*role))
    }

    /// Demands the right.
    ///
    /// # Errors
    /// [`Reason::NotAllowed`].
    pub fn require(&self, right: Right) -> Result<(), Reason> {
        if self.has(right) { Ok(()) } else { Err(Reason::NotAllowed) }
    }

    /// AD-09: who manages users does not change those who may do more than he. Keycloak 26.4 lets him, and so do realms of its
    /// profile.
    ///
    /// # Errors
    /// [`Reason::Outranked`].
    pub fn may_change(&self, records: &RealmRecords, user: &User) -> Result<(), Reason> {
        let allowed = match records.realm.profile() {
            Profile::Keycloak => true,
            Profile::Strict => held(records, user).iter().all(|role| self.outranks(role)),
        };
        if allowed { Ok(()) } else { Err(Reason::Outranked) }
    }

    /// Whether what a role gives is there: by the role itself or by one that implies it.
    fn outranks(&self, role: &str) -> bool {
        let right = RIGHTS.iter().find(|right| right.roles().first() == Some(&role));
        self.roles.contains(role) || right.is_some_and(|right| self.has(*right))
    }
}

/// Every right of one role and those that imply it.
const RIGHTS: [Right; 18] = [
    Right::ManageRealm,
    Right::ViewRealm,
    Right::ManageUsers,
    Right::ViewUsers,
    Right::QueryUsers,
    Right::ManageClients,
    Right::ViewClients,
    Right::QueryClients,
    Right::QueryGroups,
    Right::QueryRealms,
    Right::ManageEvents,
    Right::ViewEvents,
    Right::ManageIdentityProviders,
    Right::ViewIdentityProviders,
    Right::ManageAuthorization,
    Right::ViewAuthorization,
    Right::Impersonation,
    Right::CreateClient,
];

/// The names of the administrative roles that a user of a realm holds. In master, who administers any realm counts as holding
/// all of them.
fn held(records: &RealmRecords, user: &User) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let in_master = records.realm.name == master::NAME;
    for role in effective_roles(records, user).into_iter().filter_map(|id| records.roles.get(id)) {
        let holder = role.client.as_ref().and_then(|id| records.client_by_uuid(id));
        match holder {
            Some(client) if client.client_id == REALM_MANAGEMENT => {
                out.extend(master::REALM_ROLES.iter().find(|name| **name == role.name).map(|name| (*name).to_owned()));
            }
            Some(client) if in_master && client.client_id.ends_with("-realm") => {
                out.extend(master::REALM_ROLES.map(str::to_owned));
            }
            None if in_master && [master::ADMIN, master::CREATE_REALM].contains(&role.name.as_str()) => {
                out.extend(master::REALM_ROLES.map(str::to_owned));
            }
            Some(_) | None => {}
        }
    }
    out
}

/// Everything the user has, by itself and through its groups, composites expanded.
#[must_use]
pub fn effective_roles<'a>(records: &'a RealmRecords, user: &'a User) -> BTreeSet<&'a RoleId> {
    let of_groups = user.groups.iter().flat_map(|group| records.groups.lineage(group)).flat_map(|group| &group.roles);
    records.roles.expand(user.roles.iter().chain(of_groups))
}

/// What a user of one realm holds with a token of one client: every role that the token lets through.
///
/// A token of a client without full scope loses the rights that its scope mappings do not name; lightweight tokens keep
/// theirs (Keycloak 26.4.2).
#[derive(Debug)]
pub struct Standing<'a> {
    home: &'a RealmRecords,
    by_client: HashMap<Option<&'a ClientUuid>, BTreeSet<&'a str>>,
}

impl<'a> Standing<'a> {
    /// The standing of `user` of `home` with a token given to `client_id`. An unknown client lets nothing through.
    #[must_use]
    pub fn of(home: &'a RealmRecords, user: &'a User, client_id: &str) -> Self {
        let mut by_client: HashMap<Option<&ClientUuid>, BTreeSet<&str>> = HashMap::new();
        if let Some(client) = home.client(client_id) {
            let full = client.settings.full_scope_allowed;
            let mapped = home.roles.expand(&client.scope_mappings);
            let held = effective_roles(home, user).into_iter().filter(|id| full || mapped.contains(id));
            for role in held.filter_map(|id| home.roles.get(id)) {
                by_client.entry(role.client.as_ref()).or_default().insert(&role.name);
            }
        }
        Self { home, by_client }
    }

    /// The administrative roles over the realm named `target`: those of master's client for it, or the realm's own.
    ///
    /// # Errors
    /// [`Reason::OtherRealm`] when the token's realm is neither master nor the target.
    pub fn permit(&self, target: &str) -> Result<AdminPermit, Reason> {
        let container = match self.home.realm.name.as_str() {
            master::NAME => master::realm_client_id(target),
            name if name == target => REALM_MANAGEMENT.to_owned(),
            _ => return Err(Reason::OtherRealm),
        };
        let roles = self
            .home
            .client(&container)
            .and_then(|client| self.by_client.get(&Some(&client.id)))
            .into_iter()
            .flatten()
            .map(|name| (*name).to_owned())
            .collect();
        Ok(AdminPermit { roles })
    }

    /// Whether the caller may follow the realm's cut-offs: a service account with the role [`READ_REVOCATIONS`].
    ///
    /// # Errors
    /// [`Reason::NotAllowed`].
    pub fn may_read_revocations(&self, user: &User) -> Result<(), Reason> {
        let container = match self.home.realm.name.as_str() {
            master::NAME => master::realm_client_id(master::NAME),
            _ => REALM_MANAGEMENT.to_owned(),
        };
        let client = self.home.client(&container);
        let held = client.and_then(|c| self.by_client.get(&Some(&c.id))).is_some_and(|n| n.contains(READ_REVOCATIONS));
        if held && user.service_account_client.is_some() { Ok(()) } else { Err(Reason::NotAllowed) }
    }

    /// Whether realms may be created: a role of master alone.
    ///
    /// # Errors
    /// [`Reason::NotAllowed`].
    pub fn may_create_realms(&self) -> Result<(), Reason> {
        let held = self.by_client.get(&None).is_some_and(|names| names.contains(master::CREATE_REALM));
        if held && self.home.realm.name == master::NAME { Ok(()) } else { Err(Reason::NotAllowed) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::entropy::Entropy;
    use crate::group::Groups;
    use crate::realm_file::{RealmContents, RealmFile, assemble};
    use crate::role::Roles;
    use crate::time::Now;

    struct Counter(std::sync::atomic::AtomicU64);

    impl Entropy for Counter {
        fn fill(&self, out: &mut [u8]) {
            for chunk in out.chunks_mut(8) {
                let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_be_bytes();
                chunk.copy_from_slice(&n[8 - chunk.len()..]);
            }
        }
    }

    fn realm(text: &str) -> (RealmRecords, RealmContents) {
        let file = RealmFile::read(text.as_bytes()).unwrap();
        let contents = assemble(file, &Counter(1.into()), Now::from_secs(0)).unwrap();
        let records = RealmRecords::new(
            contents.realm.clone(),
            contents.scopes.clone(),
            Roles::new(contents.roles.clone()),
            Groups::new(contents.groups.clone()),
            Vec::new(),
            contents.clients.clone(),
        );
        (records, contents)
    }

    fn demo() -> (RealmRecords, RealmContents) {
        realm(include_str!("../../testkit/golden/realms/demo.json"))
    }

    fn rights(records: &RealmRecords, contents: &RealmContents, name: &str, client: &str) -> Vec<bool> {
        let user = &contents.users.iter().find(|u| u.user.username == name).unwrap().user;
        let permit = Standing::of(records, user, client).permit("demo").unwrap();
        [Right::Any, Right::ViewRealm, Right::ManageRealm, Right::QueryUsers, Right::ViewUsers, Right::ManageUsers]
            .into_iter()
            .map(|right| permit.has(right))
            .collect()
    }

    #[test]
    fn rights_come_from_the_stored_roles() {
        // Recorded: `admin-permissions/roles-of-administrators`.
        let (records, contents) = demo();
        let table = [
            ("alice", [false, false, false, false, false, false]),
            ("quinn", [true, false, false, true, false, false]),
            ("vera", [true, true, false, true, true, false]),
            ("mona", [true, false, false, true, true, true]),
            ("rita", [true, true, true, true, true, true]),
        ];
        for (name, want) in table {
            assert_eq!(rights(&records, &contents, name, "backend"), want, "{name}");
        }
    }

    #[test]
    fn a_client_without_full_scope_carries_no_admin_rights_and_a_lightweight_one_does() {
        let (records, contents) = demo();
        assert_eq!(rights(&records, &contents, "rita", "limited-app"), [false; 6]);
        assert_eq!(rights(&records, &contents, "rita", "light-app"), [true; 6]);
        assert_eq!(rights(&records, &contents, "rita", "no-such-client"), [false; 6]);
    }

    #[test]
    fn a_token_of_one_realm_is_nothing_in_another() {
        let (records, contents) = demo();
        let rita = &contents.users.iter().find(|u| u.user.username == "rita").unwrap().user;
        assert_eq!(Standing::of(&records, rita, "backend").permit("mini").unwrap_err(), Reason::OtherRealm);
        assert_eq!(Standing::of(&records, rita, "backend").permit("master").unwrap_err(), Reason::OtherRealm);
        assert_eq!(Standing::of(&records, rita, "backend").may_create_realms(), Err(Reason::NotAllowed));
    }

    #[test]
    fn ad_09_in_a_strict_realm_nobody_changes_who_may_do_more() {
        let table = [
            ("mona", "bob", true),
            ("mona", "mona", true),
            ("mona", "rita", false),
            ("mona", "vera", false),
            ("rita", "mona", true),
            ("rita", "rita", true),
            ("mona", "quinn", false),
            ("vera", "quinn", true),
        ];
        for strict in [true, false] {
            let (mut records, contents) = demo();
            if strict {
                records.realm.settings.attributes.insert("portcullis.profile".to_owned(), "strict".to_owned());
            }
            let user = |name: &str| &contents.users.iter().find(|u| u.user.username == name).unwrap().user;
            for (who, whom, allowed) in table {
                let permit = Standing::of(&records, user(who), "backend").permit("demo").unwrap();
                let got = permit.may_change(&records, user(whom)).is_ok();
                assert_eq!(got, allowed || !strict, "{who} {whom} strict {strict}");
            }
        }
    }

    #[test]
    fn masters_admin_has_master_and_may_create_realms() {
        let users = json!([{"username": "root", "realmRoles": ["admin"]}, {"username": "maker", "realmRoles": ["create-realm"]}]);
        let file = json!({"realm": "master", "enabled": true, "users": users});
        let (records, contents) = realm(&file.to_string());
        let root = &contents.users[0].user;
        assert!(Standing::of(&records, root, "admin-cli").permit("master").unwrap().has(Right::ManageRealm));
        assert!(!Standing::of(&records, root, "admin-cli").permit("elsewhere").unwrap().has(Right::Any));
        assert_eq!(Standing::of(&records, root, "admin-cli").may_create_realms(), Ok(()));
        let maker = &contents.users[1].user;
        assert_eq!(Standing::of(&records, maker, "admin-cli").may_create_realms(), Ok(()));
        assert!(!Standing::of(&records, maker, "admin-cli").permit("master").unwrap().has(Right::Any));
    }
}
