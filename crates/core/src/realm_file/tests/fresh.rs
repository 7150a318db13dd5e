//! A fresh realm against the recording of Keycloak 26.4.2 (`admin-realms/fresh-realm-contents`).

use serde_json::{Map, Value, json};

use super::super::represent;
use super::{MINI, import, records};

const RECORDED: &str =
    include_str!("../../../../testkit/golden/recorded/26.4.2/admin-realms/fresh-realm-contents.json");

fn recorded(step: &str) -> Value {
    let all: Value = serde_json::from_str(RECORDED).unwrap();
    let steps = all["steps"].as_array().unwrap().clone();
    let found = steps.into_iter().find(|s| s["name"] == step);
    found.unwrap()["json"].clone()
}

/// Drops ids (they differ), sorts lists of named things and object members.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map
                .iter()
                .filter(|(k, _)| !matches!(k.as_str(), "id" | "containerId" | "access"))
                .map(|(k, v)| (k.clone(), plain(v)))
                .collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(pairs.into_iter().collect())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(plain).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn same(ours: &Value, step: &str) {
    assert_eq!(
        serde_json::to_string_pretty(&plain(ours)).unwrap(),
        serde_json::to_string_pretty(&plain(&recorded(step))).unwrap(),
        "{step}"
    );
}

#[test]
fn the_document_has_the_recorded_members_in_the_recorded_order() {
    let contents = import(MINI).unwrap();
    let document = represent::realm(&records(&contents));
    let want = recorded("realm");
    let names = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&document), names(&want));
    same(&document, "realm");
    assert_eq!(document["defaultRole"]["containerId"], document["id"]);
}

#[test]
fn roles_are_the_recorded_ones() {
    let contents = import(MINI).unwrap();
    let list = |client: Option<&str>, brief: bool| -> Value {
        let uuid = client.map(|c| contents.client(c).unwrap().id.clone());
        contents
            .roles
            .iter()
            .filter(|r| r.client == uuid)
            .map(|r| represent::role(r, &contents.realm.id, brief))
            .collect()
    };
    same(&list(None, true), "roles");
    same(&list(Some("realm-management"), false), "realm-management roles");
    same(&list(Some("account"), true), "account roles");
    assert_eq!(list(Some("broker"), true)[0]["name"], "read-token");
}

#[test]
fn composites_are_the_recorded_ones() {
    let contents = import(MINI).unwrap();
    let inside = |client: Option<&str>, name: &str| -> Value {
        let uuid = client.map(|c| contents.client(c).unwrap().id.clone());
        let role = contents.role(uuid.as_ref(), name).unwrap();
        contents
            .roles
            .iter()
            .filter(|r| role.composites.contains(&r.id))
            .map(|r| represent::role(r, &contents.realm.id, true))
            .collect()
    };
    same(&inside(None, "default-roles-mini"), "default role composites");
    same(&inside(Some("realm-management"), "realm-admin"), "realm-admin composites");
}

#[test]
fn clients_are_the_recorded_ones() {
    let contents = import(MINI).unwrap();
    let records = records(&contents);
    let ours: Value = contents.clients.iter().map(|c| represent::client(c, &records, None)).collect();
    same(&ours, "clients");
    let console = contents.client("account-console").unwrap();
    let mapped = represent::role_names(&console.scope_mappings, &records.roles, &records).1;
    assert_eq!(json!(mapped), json!({"account": ["manage-account", "view-groups"]}));
}

#[test]
fn client_scopes_and_mappers_are_the_recorded_ones() {
    let contents = import(MINI).unwrap();
    let ours: Value = contents.scopes.iter().map(represent::scope).collect();
    same(&ours, "client scopes");
    let list = |default: bool| -> Vec<Value> {
        let mut scopes = contents.scopes.iter().filter(|s| s.realm_default == Some(default)).map(|s| {
            let mut short = Map::new();
            short.insert("name".to_owned(), json!(s.name));
            short.insert("protocol".to_owned(), json!(s.protocol));
            Value::Object(short)
        });
        scopes.by_ref().collect()
    };
    same(&Value::Array(list(true)), "default default client scopes");
    same(&Value::Array(list(false)), "default optional client scopes");
}

#[test]
fn required_actions_and_keys_are_the_recorded_ones() {
    let contents = import(MINI).unwrap();
    same(&json!(contents.realm.settings.required_actions), "required actions");
    let algorithms: Vec<&str> = contents.keys.iter().map(|k| k.algorithm.as_str()).collect();
    assert_eq!(algorithms, ["RS256", "RSA-OAEP", "HS512", "AES"]);
}

#[test]
fn a_name_alone_is_a_disabled_realm() {
    let contents = import(r#"{"realm":"Mini"}"#).unwrap();
    assert!(!contents.realm.settings.enabled);
    assert!(contents.role(None, "default-roles-mini").is_some());
    assert_eq!(contents.users.len(), 0);
}

#[test]
fn strict_realms_get_an_es256_key_and_exact_console_uris() {
    let text = r#"{"realm":"acme","attributes":{"portcullis.profile":"strict"}}"#;
    let contents = import(text).unwrap();
    assert!(contents.keys.iter().any(|k| k.algorithm == "ES256"));
    assert!(contents.clients.iter().flat_map(|c| &c.redirect_uris).all(|u| !u.contains('*')));
}

#[test]
fn master_has_its_own_roles_and_client() {
    let contents = import(r#"{"realm":"master","enabled":true}"#).unwrap();
    let mut names: Vec<&str> = contents.roles.iter().filter(|r| r.client.is_none()).map(|r| r.name.as_str()).collect();
    names.sort_unstable();
    let mut want: Vec<String> = serde_json::from_value(recorded("master: roles")).unwrap();
    want.sort();
    assert_eq!(names, want);
    assert!(contents.client("realm-management").is_none());
    let client = contents.client("master-realm").unwrap();
    let admin = contents.role(None, "admin").unwrap();
    assert_eq!(admin.composites.len(), 19);
    assert_eq!(contents.roles.iter().filter(|r| r.client.as_ref() == Some(&client.id)).count(), 18);
    assert_eq!(contents.realm.settings.access_token_lifespan, 60);
}
