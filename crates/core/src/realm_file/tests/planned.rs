//! Plans of a new realm.

use std::collections::HashSet;

use serde_json::json;

use super::super::plans::{Hashes, ROWS_MAX, plans, rows};
use super::super::{RealmContents, master};
use super::{Counter, DEMO, import, records};
use crate::plan::{Plan, Write};
use crate::realm::RealmState;
use crate::secret::Secret;

fn hashes(contents: &RealmContents) -> Hashes {
    contents.passwords().map(|(id, _)| (id.clone(), (Secret::new("{}"), "{}".to_owned()))).collect()
}

fn plans_of(text: &str) -> Vec<Plan> {
    let contents = import(text).unwrap();
    let hashed = hashes(&contents);
    plans(contents, Vec::new(), hashed, Vec::new()).unwrap()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other writes refer to nothing here")]
/// Every reference points into the same plan or an earlier one (store sorts a plan by table, parents first).
fn in_order(plans: &[Plan]) {
    let mut known: HashSet<String> = HashSet::new();
    for plan in plans {
        let mut needs: Vec<String> = Vec::new();
        for write in &plan.writes {
            let mut add = |id: &str| assert!(known.insert(id.to_owned()));
            match write {
                Write::CreateRole(_, role) => {
                    add(role.id.as_str());
                    needs.extend(role.client.iter().map(|c| c.as_str().to_owned()));
                    assert!(role.composites.is_empty());
                }
                Write::CreateClient(_, client) => {
                    add(client.id.as_str());
                    needs.extend(client.default_scopes.iter().map(|s| s.as_str().to_owned()));
                    needs.extend(client.optional_scopes.iter().map(|s| s.as_str().to_owned()));
                    assert!(client.scope_mappings.is_empty());
                }
                Write::UpdateClient(_, client) => {
                    needs.extend(client.default_scopes.iter().map(|s| s.as_str().to_owned()));
                    needs.extend(client.scope_mappings.iter().map(|s| s.as_str().to_owned()));
                }
                Write::CreateClientScope(_, scope) => {
                    add(scope.id.as_str());
                    needs.extend(scope.scope_mappings.iter().map(|r| r.as_str().to_owned()));
                }
                Write::AddComposites(_, role, list) => {
                    needs.push(role.as_str().to_owned());
                    needs.extend(list.iter().map(|r| r.as_str().to_owned()));
                }
                Write::AddClientScopeMappings(_, client, list) => {
                    needs.push(client.as_str().to_owned());
                    needs.extend(list.iter().map(|r| r.as_str().to_owned()));
                }
                Write::CreateGroup(_, group) => {
                    add(group.id.as_str());
                    needs.extend(group.parent.iter().map(|g| g.as_str().to_owned()));
                    needs.extend(group.roles.iter().map(|r| r.as_str().to_owned()));
                }
                Write::CreateUser(_, user) => {
                    add(user.id.as_str());
                    needs.extend(user.groups.iter().map(|g| g.as_str().to_owned()));
                    needs.extend(user.roles.iter().map(|r| r.as_str().to_owned()));
                    needs.extend(user.service_account_client.iter().map(|c| c.as_str().to_owned()));
                }
                Write::AddCredential(_, user, _) => needs.push(user.as_str().to_owned()),
                _ => {}
            }
        }
        for need in needs {
            assert!(known.contains(&need), "{need} comes too late");
        }
    }
}

#[test]
fn the_realm_is_filled_first_and_flipped_last() {
    let all = plans_of(DEMO);
    assert!(matches!(all[0].writes.as_slice(), [Write::CreateRealm(r)] if r.state == RealmState::Filling));
    let last = all.last().unwrap().writes.last().unwrap();
    assert!(matches!(last, Write::SetRealmState(_, RealmState::Filling, RealmState::Ready)));
    let flips = all.iter().flat_map(|p| &p.writes).filter(|w| matches!(w, Write::SetRealmState(..))).count();
    assert_eq!(flips, 1);
    in_order(&all);
}

#[test]
fn a_thousand_users_make_plans_of_at_most_a_thousand_rows() {
    let users: Vec<_> = (0..1000)
        .map(|i| {
            json!({"username": format!("u{i}"), "enabled": true, "groups": ["/g"], "realmRoles": ["default-roles-big", "r"],
                "attributes": {"n": [i.to_string()]}, "credentials": [{"value": "x"}]})
        })
        .collect();
    let file = json!({"realm": "big", "roles": {"realm": [{"name": "r"}]}, "groups": [{"name": "g"}], "users": users});
    let all = plans_of(&file.to_string());
    assert!(all.len() > 6);
    for plan in &all {
        assert!(plan.writes.iter().map(rows).sum::<usize>() <= ROWS_MAX);
    }
    let created = all.iter().flat_map(|p| &p.writes).filter(|w| matches!(w, Write::CreateUser(..))).count();
    assert_eq!(created, 1000);
    in_order(&all);
}

#[test]
fn a_scope_that_lets_client_roles_through_comes_after_them() {
    let text = r#"{"realm":"r","clients":[{"clientId":"c","defaultClientScopes":["s"]}],"clientScopes":[{"name":"s"}],
        "roles":{"client":{"c":[{"name":"x"}]}},"clientScopeMappings":{"c":[{"clientScope":"s","roles":["x"]},{"client":"c","roles":["x"]}]}}"#;
    let all = plans_of(text);
    in_order(&all);
    assert!(
        all.iter().flat_map(|p| &p.writes).any(
            |w| matches!(w, Write::UpdateClient(_, c) if c.default_scopes.len() == 1 && c.scope_mappings.len() == 1)
        )
    );
}

#[test]
fn a_password_without_its_hash_is_refused() {
    let contents = import(r#"{"realm":"r","users":[{"username":"a","credentials":[{"value":"x"}]}]}"#).unwrap();
    let refused = plans(contents, Vec::new(), Hashes::new(), Vec::new()).unwrap_err();
    assert_eq!(refused.to_string(), "user a: the password was not hashed");
}

#[test]
fn master_gets_one_client_with_18_roles_inside_admin() {
    let of_master = records(&import(r#"{"realm":"master","enabled":true}"#).unwrap());
    let writes = master::for_realm(&of_master, "mini", &Counter::default());
    let roles = writes.iter().filter(|w| matches!(w, Write::CreateRole(..))).count();
    assert_eq!(roles, 18);
    let admin = &of_master.roles.named(None, "admin").unwrap().id;
    assert!(
        writes.iter().any(|w| matches!(w, Write::AddComposites(_, role, list) if role == admin && list.len() == 18))
    );
    assert!(
        writes
            .iter()
            .any(|w| matches!(w, Write::CreateClient(_, c) if c.client_id == "mini-realm" && c.settings.bearer_only))
    );
}
