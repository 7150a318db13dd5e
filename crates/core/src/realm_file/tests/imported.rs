//! Files laid over a fresh realm.

use serde_json::json;

use super::super::assemble::NewCredential;
use super::super::file::RealmFile;
use super::super::represent;
use super::{DEMO, RealmContents, import, records};
use crate::user::User;

fn user<'a>(contents: &'a RealmContents, name: &str) -> &'a super::NewUser {
    contents.users.iter().find(|u| u.user.username == name).unwrap()
}

fn role_names(contents: &RealmContents, user: &User) -> serde_json::Value {
    let records = records(contents);
    let (realm, client) = represent::role_names(&user.roles, &records.roles, &records);
    json!([realm, client])
}

#[test]
fn demo_imports_unchanged() {
    let contents = import(DEMO).unwrap();
    let file: serde_json::Value = serde_json::from_str(DEMO).unwrap();
    assert_eq!(contents.clients.len(), file["clients"].as_array().unwrap().len() + 6);
    for client in file["clients"].as_array().unwrap() {
        let ours = contents.client(client["clientId"].as_str().unwrap()).unwrap();
        assert_eq!(json!(ours.redirect_uris), *client.get("redirectUris").unwrap_or(&json!([])));
        assert_eq!(json!(ours.web_origins), *client.get("webOrigins").unwrap_or(&json!([])));
        let secret = ours.secret.as_ref().map(|s| s.expose().to_owned());
        assert_eq!(json!(secret), client["secret"], "{}", ours.client_id);
    }
    let paths: Vec<String> = contents.groups.iter().map(|g| records(&contents).groups.path(&g.id)).collect();
    assert_eq!(paths, ["/staff", "/staff/engineering", "/staff/sales", "/guests"]);
}

#[test]
fn users_have_the_listed_roles_and_no_others() {
    let contents = import(DEMO).unwrap();
    let table = [
        ("alice", json!([["default-roles-demo", "manager"], {"backend": ["reader"], "te-target": ["use"]}])),
        ("carol", json!([[], {}])),
        ("norole", json!([["user"], {}])),
        ("rita", json!([["default-roles-demo"], {"realm-management": ["realm-admin"]}])),
    ];
    for (name, want) in table {
        assert_eq!(role_names(&contents, &user(&contents, name).user), want, "{name}");
    }
    let manager = contents.role(None, "manager").unwrap();
    let records = records(&contents);
    assert_eq!(
        json!(represent::role_names(&manager.composites, &records.roles, &records)),
        json!([["user"], {"backend": ["writer"]}])
    );
}

#[test]
fn the_scope_service_account_comes_only_with_an_account_that_the_server_makes() {
    let contents = import(DEMO).unwrap();
    let scope = &contents.scopes.iter().find(|s| s.name == "service_account").unwrap().id;
    for (client_id, made) in [("backend", false), ("viewer", false), ("ccrefresh", true), ("pkjwt", true)] {
        let client = contents.client(client_id).unwrap();
        assert_eq!(client.default_scopes.contains(scope), made, "{client_id}");
        let account = user(&contents, &format!("service-account-{client_id}"));
        assert_eq!(account.user.service_account_client.as_ref(), Some(&client.id));
        assert!(account.user.enabled);
    }
    assert_eq!(
        role_names(&contents, &user(&contents, "service-account-ccrefresh").user),
        json!([["default-roles-demo"], {}])
    );
}

#[test]
fn credentials_are_kept_or_wait_for_a_hash() {
    let contents = import(DEMO).unwrap();
    assert_eq!(contents.passwords().count(), 12);
    let otto = user(&contents, "otto");
    assert!(
        matches!(&otto.credentials[0], NewCredential::Plain(c, p) if c.kind == "password" && p.expose() == "otto-password")
    );
    assert!(matches!(&otto.credentials[1], NewCredential::Stored(c)
        if c.kind == "otp" && c.user_label.as_deref() == Some("phone") && c.secret_data.expose().contains("DJmQ")));
    assert_eq!(user(&contents, "dave").user.settings.required_actions, ["UPDATE_PASSWORD"]);
    assert_eq!(user(&contents, "alice").user.settings.created_timestamp, 0, "none that the file does not give");
}

#[test]
fn what_users_allowed_is_imported_and_unknown_names_are_refused() {
    let file = |consents: &str| {
        format!(
            r#"{{"realm":"r","clients":[{{"clientId":"app","notBefore":7,"registeredNodes":{{"n":1}},
            "authenticationFlowBindingOverrides":{{"browser":"x"}}}}],
            "users":[{{"username":"a","notBefore":5,"requiredActions":["UPDATE_PASSWORD"],"disableableCredentialTypes":["otp"],
            "federatedIdentities":[{{"identityProvider":"up","userId":"1"}}],"clientConsents":{consents}}}]}}"#
        )
    };
    let given = r#"[{"clientId":"app","grantedClientScopes":["email","app","email"],"createdDate":5,"lastUpdatedDate":6,
        "grantedRealmRoles":["old"]}]"#;
    let contents = import(&file(given)).unwrap();
    let new = user(&contents, "a");
    let client = contents.client("app").unwrap();
    let email = &contents.scopes.iter().find(|scope| scope.name == "email").unwrap().id;
    let consent = &new.consents[0];
    assert_eq!((&consent.user, &consent.client, consent.created, consent.updated), (&new.user.id, &client.id, 5, 6));
    assert_eq!(consent.scopes, [email.clone(), client.id.as_str().into()]);
    let records = records(&contents);
    assert_eq!(crate::login::consent::names(&records, consent), ["email", "app"]);
    // What is acted on is no longer kept beside; what is not, is.
    assert_eq!((new.user.not_before, client.settings.not_before), (5, 7));
    assert_eq!(new.user.settings.other.keys().collect::<Vec<_>>(), ["federatedIdentities"]);
    assert_eq!(new.user.settings.required_actions, ["UPDATE_PASSWORD"]);
    assert_eq!(client.settings.other["registeredNodes"]["n"], 1);
    assert_eq!(client.settings.other["authenticationFlowBindingOverrides"]["browser"], "x");
    for (consents, place) in [
        (r#"[{"clientId":"nobody"}]"#, "users[0].clientConsents[0].clientId"),
        (r#"[{"clientId":"app","grantedClientScopes":["nothing"]}]"#, "users[0].clientConsents[0].grantedClientScopes"),
        (r#"[{"clientId":"app"},{"clientId":"app"}]"#, "users[0].clientConsents[1].clientId"),
        (r#"[{"grantedClientScopes":[]}]"#, "users[0].clientConsents[0].clientId"),
        (r#"[{"clientId":"app","more":1}]"#, "users[0].clientConsents[0]"),
    ] {
        assert_eq!(import(&file(consents)).unwrap_err().place, place, "{consents}");
    }
}

#[test]
fn the_older_form_of_a_password_hash_is_understood() {
    let text = r#"{"realm":"r","users":[{"username":"a","credentials":[{"type":"password","hashedSaltedValue":"aGFzaA==",
        "salt":"c2FsdA==","hashIterations":27500,"algorithm":"pbkdf2-sha256","temporary":true}]}]}"#;
    let contents = import(text).unwrap();
    let NewCredential::Stored(credential) = &contents.users[0].credentials[0] else { panic!("not stored") };
    let data: serde_json::Value = serde_json::from_str(&credential.credential_data).unwrap();
    assert_eq!(data["algorithm"], "pbkdf2-sha256");
    assert_eq!(data["hashIterations"], 27500);
    assert!(credential.secret_data.expose().contains("c2FsdA=="));
    assert_eq!(contents.users[0].user.settings.required_actions, ["UPDATE_PASSWORD"]);
}

#[test]
fn unknown_realm_roles_of_users_are_made() {
    // Recorded: `admin-realms/realms`, "import that refers to an unknown role" answers 201.
    let contents = import(r#"{"realm":"r","users":[{"username":"u1","realmRoles":["missing"]}]}"#).unwrap();
    assert!(contents.role(None, "missing").is_some());
}

#[test]
fn a_client_without_protocol_is_confidential_and_gets_a_secret() {
    // Recorded: `admin-realms/realms`, "import of a whole file: client".
    let contents = import(r#"{"realm":"r","clients":[{"clientId":"c1"}]}"#).unwrap();
    let client = contents.client("c1").unwrap();
    assert!(client.secret.as_ref().is_some_and(|s| s.expose().len() >= 32));
    let document = represent::client(client, &records(&contents), None);
    let names: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let recorded = "id clientId surrogateAuthRequired enabled alwaysDisplayInConsole clientAuthenticatorType secret redirectUris \
         webOrigins notBefore bearerOnly consentRequired standardFlowEnabled implicitFlowEnabled directAccessGrantsEnabled \
         serviceAccountsEnabled publicClient frontchannelLogout protocol attributes authenticationFlowBindingOverrides \
         fullScopeAllowed nodeReRegistrationTimeout defaultClientScopes optionalClientScopes";
    assert_eq!(names, recorded.split_whitespace().collect::<Vec<_>>());
    assert_eq!(
        document["attributes"],
        json!({"realm_client": "false", "client.secret.creation.time": "1790000000", "post.logout.redirect.uris": "+"})
    );
    assert_eq!(document["standardFlowEnabled"], true);
    assert_eq!(document["directAccessGrantsEnabled"], false);
}

#[test]
fn attributes_are_texts_whatever_the_file_writes() {
    let text = r#"{"realm":"r","attributes":{"a":true,"b":7},"clients":[{"clientId":"c","publicClient":"true","attributes":{"x":false}}]}"#;
    let contents = import(text).unwrap();
    assert_eq!(contents.realm.settings.attributes["a"], "true");
    assert_eq!(contents.realm.settings.attributes["b"], "7");
    assert_eq!(contents.realm.settings.attributes["cibaInterval"], "5");
    let client = contents.client("c").unwrap();
    assert!(client.settings.public_client);
    assert_eq!(client.settings.attributes["x"], "false");
}

#[test]
fn client_scopes_of_the_file_replace_the_built_in_ones() {
    let text = r#"{"realm":"r","clientScopes":[{"name":"one"},{"name":"two"}],"defaultDefaultClientScopes":["one"],
        "defaultOptionalClientScopes":["two"],"clients":[{"clientId":"c"},{"clientId":"d","defaultClientScopes":["two"]}]}"#;
    let contents = import(text).unwrap();
    let names: Vec<&str> = contents.scopes.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["one", "two", "offline_access"]);
    let scopes = |client: &str| {
        let document = represent::client(contents.client(client).unwrap(), &records(&contents), None);
        json!([document["defaultClientScopes"], document["optionalClientScopes"]])
    };
    assert_eq!(scopes("c"), json!([["one"], ["two", "offline_access"]]));
    assert_eq!(scopes("d"), json!([["two"], []]));
}

#[test]
fn listed_built_in_things_win_and_missing_ones_are_made() {
    let text = r#"{"realm":"r","roles":{"realm":[{"name":"offline_access","description":"mine"},{"name":"default-roles-r",
        "composites":{"realm":["offline_access"]}}],"client":{"realm-management":[{"name":"manage-users","description":"mine"}]}},
        "clients":[{"clientId":"account","name":"mine","publicClient":true}]}"#;
    let contents = import(text).unwrap();
    assert_eq!(contents.role(None, "offline_access").unwrap().description.as_deref(), Some("mine"));
    assert_eq!(contents.client("account").unwrap().settings.name.as_deref(), Some("mine"));
    let management = &contents.client("realm-management").unwrap().id;
    assert_eq!(contents.roles.iter().filter(|r| r.client.as_ref() == Some(management)).count(), 19);
    assert_eq!(contents.role(Some(management), "realm-admin").unwrap().composites.len(), 18);
    let records = records(&contents);
    let default = contents.role(None, "default-roles-r").unwrap();
    // The account client is the file's, so its roles stay out of the default role, as in Keycloak.
    assert_eq!(
        json!(represent::role_names(&default.composites, &records.roles, &records)),
        json!([["offline_access", "uma_authorization"], {}])
    );
}

#[test]
fn collections_that_are_not_acted_on_are_kept_and_secrets_masked() {
    let text = r#"{"realm":"r","authenticationFlows":[{"alias":"x"}],"smtpServer":{"host":"h","password":"p"},
        "components":{"org.keycloak.storage.UserStorageProvider":[{"name":"ldap"}]},"loginTheme":"mine"}"#;
    let contents = import(text).unwrap();
    let other = &contents.realm.settings.other;
    assert_eq!(other["authenticationFlows"], json!([{"alias": "x"}]));
    assert!(other["components"]["org.keycloak.storage.UserStorageProvider"].is_array());
    let document = represent::realm(&records(&contents));
    assert_eq!(document["smtpServer"], json!({"host": "h", "password": "**********"}));
    assert_eq!(document["loginTheme"], "mine");
    assert!(document.get("authenticationFlows").is_none());
}

const RSA: &str = include_str!("../../../../testkit/golden/keys/demo-client-rsa.pem");

#[test]
fn keys_of_the_file_keep_their_kids_and_leave_the_document() {
    use super::super::keys::KeySource;
    let text = json!({"realm": "r", "components": {"org.keycloak.keys.KeyProvider": [
        {"name": "rsa", "providerId": "rsa", "config": {"priority": ["200"], "privateKey": [RSA]}},
        {"name": "old", "providerId": "hmac-generated", "config": {"kid": ["k1"], "algorithm": ["HS512"], "active": ["false"],
            "secret": ["QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQQ"]}},
    ]}});
    let contents = import(&text.to_string()).unwrap();
    let rsa = &contents.keys[0];
    assert_eq!((rsa.algorithm.as_str(), rsa.priority), ("RS256", 200));
    assert!(matches!(&rsa.source, KeySource::Private { kid, .. } if kid.as_str().len() == 43));
    assert!(matches!(&contents.keys[1].source, KeySource::Symmetric { kid, .. } if kid.as_str() == "k1"));
    // The passive HS512 key verifies; a new one signs. RS256 is there already.
    let made: Vec<&str> = contents.keys[2..].iter().map(|k| k.algorithm.as_str()).collect();
    assert_eq!(made, ["RSA-OAEP", "HS512", "AES"]);
    assert!(!json!(contents.realm.settings).to_string().contains("PRIVATE"));
    let bad = json!({"realm": "r", "components": {"org.keycloak.keys.KeyProvider": [
        {"name": "rsa", "providerId": "rsa", "config": {"privateKey": ["AAAA"]}}]}});
    assert_eq!(
        import(&bad.to_string()).unwrap_err().to_string(),
        "components.org.keycloak.keys.KeyProvider[0].config.privateKey: not a private key for RS256"
    );
}

#[test]
fn the_example_imports_in_both_profiles() {
    let text = include_str!("../../../../../examples/login-and-api/realm.json");
    let mut file: serde_json::Value = serde_json::from_str(text).unwrap();
    import(text).unwrap();
    file["attributes"]["portcullis.profile"] = json!("strict");
    import(&file.to_string()).unwrap();
}

#[test]
fn an_update_keeps_what_it_does_not_name_and_never_leaves_the_strict_profile() {
    use super::super::file::updated;
    let text = r#"{"realm":"r","displayName":"R","attributes":{"portcullis.profile":"strict","mine":"1"}}"#;
    let realm = import(text).unwrap().realm;
    let body = br#"{"accessTokenLifespan":"77","attributes":{"custom":"x"},"users":[],"displayNameHtml":null}"#;
    let after = updated(&realm, body).unwrap();
    assert_eq!(after.settings.access_token_lifespan, 77);
    assert_eq!(after.settings.display_name.as_deref(), Some("R"));
    assert_eq!(after.settings.attributes.get("mine"), None);
    assert_eq!(after.settings.attributes["custom"], "x");
    assert_eq!(after.profile(), crate::realm::Profile::Strict);
    assert_eq!((&after.id, after.version), (&realm.id, realm.version));
    let switched = updated(&realm, br#"{"attributes":{"portcullis.profile":"keycloak"}}"#).unwrap();
    assert_eq!(switched.profile(), crate::realm::Profile::Keycloak);
    assert_eq!(updated(&realm, br#"{"enabled":[]}"#).unwrap_err().to_string(), "enabled: expected true or false");
}

/// A key that is stored and cannot be used takes its realm away, and every list of realms with it.
#[test]
fn ad_23_key_providers_of_a_file_name_algorithms_of_their_kind() {
    let file = |provider: &str, config: serde_json::Value| {
        let text = json!({"realm": "r", "components": {"org.keycloak.keys.KeyProvider": [
            {"name": "k", "providerId": provider, "config": config},
        ]}});
        RealmFile::read(text.to_string().as_bytes()).map(drop)
    };
    for (provider, good, bad) in [
        (
            "rsa",
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..],
            &["RSA-OAEP", "HS256", "ES256", "AES"][..],
        ),
        ("rsa-generated", &["RS256", "PS512"], &["RSA-OAEP", "RSA1_5", "EdDSA", "none", "rs256", "x"]),
        ("rsa-enc", &["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"], &["RS256", "A256GCM"]),
        ("rsa-enc-generated", &["RSA-OAEP", "RSA-OAEP-256"], &["RS256", "x"]),
        ("hmac-generated", &["HS256", "HS384", "HS512"], &["AES", "RS256", "ES256", "none", "hs512", "x"]),
    ] {
        for name in good {
            assert!(file(provider, json!({"algorithm": [name]})).is_ok(), "{provider} {name}");
        }
        assert!(file(provider, json!({})).is_ok(), "{provider}");
        for name in bad {
            let refusal = file(provider, json!({"algorithm": [name]})).unwrap_err().to_string();
            assert!(refusal.contains("config.algorithm"), "{provider} {name}: {refusal}");
        }
    }
    assert!(file("rsa", json!({"keyUse": ["enc"], "algorithm": ["RSA-OAEP"]})).is_ok());
    assert!(file("rsa", json!({"keyUse": ["enc"], "algorithm": ["RS256"]})).is_err());
}
