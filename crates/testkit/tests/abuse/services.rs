//! TE: clients that act for themselves (RFC 6749 §4.4).

use anyhow::{Context as _, Result};
use portcullis_core::plan::Write;
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::rp::Registration;
use portcullis_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::forge::{self, claims};
use crate::ground::{
    House, REALM, at_api, audience, by_client, by_password, edit_client, edit_user, file, login, open, party, records,
    refresh, refused, registration, stored_user, tokens, userinfo, write,
};

#[tokio::test]
async fn te_16_a_disabled_service_account_passes_no_grant() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        for client in ["service", "keeper"] {
            let account = format!("service-account-{client}");
            let held = tokens(&by_client(&server, client, "openid").await?)?;
            assert_eq!(userinfo(&server, &held.access).await?.status, 200, "{client}: before");
            edit_user(&server, &account, |user| user.enabled = false).await?;
            let answer = by_client(&server, client, "openid").await?;
            refused(&answer, 401, "invalid_request", client);
            assert_eq!(answer.json()["error_description"], format!("User '{account}' disabled"));
            assert_eq!(userinfo(&server, &held.access).await?.status, 401, "{client}");
            if client == "keeper" {
                refused(&refresh(&mut party(&server, client)?, &held.refresh).await?, 400, "invalid_grant", client);
            }
            // The honest twins: people go on, and the account once it is enabled again.
            tokens(&by_password(&server, "bob").await?)?;
            edit_user(&server, &account, |user| user.enabled = true).await?;
            tokens(&by_client(&server, client, "openid").await?)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_13_client_credentials_need_a_service_account() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        for (client, text) in [
            ("app", "Public client not allowed to retrieve service account"),
            ("tool", "Public client not allowed to retrieve service account"),
            ("web", "Client not enabled to retrieve service account"),
        ] {
            let answer = by_client(&server, client, "openid").await?;
            refused(&answer, 401, "unauthorized_client", client);
            assert_eq!(answer.json()["error_description"], text);
        }
        for client in ["service", "keeper"] {
            let held = tokens(&by_client(&server, client, "openid").await?).context(client)?;
            edit_client(&server, client, |c| c.settings.service_accounts_enabled = false).await?;
            refused(&by_client(&server, client, "openid").await?, 401, "unauthorized_client", client);
            assert_eq!(
                userinfo(&server, &held.access).await?.status,
                401,
                "{house:?} {client}: what it holds ends too"
            );
            edit_client(&server, client, |c| c.settings.service_accounts_enabled = true).await?;
            assert_eq!(userinfo(&server, &held.access).await?.status, 200, "{house:?} {client}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_34_a_clients_token_is_nobodys_login() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let account = stored_user(&server, "service-account-service").await?.id;
        for scope in ["openid", "openid offline_access", "openid profile email"] {
            let answer = by_client(&server, "service", scope).await?;
            let held = tokens(&answer)?;
            let access = claims(&held.access)?;
            assert_eq!(access["sub"], account.as_str(), "{house:?} {scope}");
            let absent = ["sid", "session_state", "auth_time", "name", "given_name", "family_name", "email", "nonce"];
            for name in absent {
                for document in [&access, &claims(&held.id)?] {
                    assert_eq!(document.get(name), None, "{house:?} {scope} {name}");
                }
            }
            let body = answer.json();
            assert_eq!((body.get("refresh_token"), body.get("session_state")), (None, None), "{house:?} {scope}");
            assert_eq!(body["refresh_expires_in"], 0);
            assert_eq!(answer.header("set-cookie"), None);
            let info = userinfo(&server, &held.access).await?;
            assert_eq!((info.status, &info.json()["sub"]), (200, &Value::from(account.as_str())));
            assert_eq!(info.json()["preferred_username"], "service-account-service");
        }
        for person in ["alice", "bob"] {
            assert_ne!(stored_user(&server, person).await?.id, account);
        }
        // No `openid`, no userinfo.
        let plain = tokens(&by_client(&server, "service", "profile").await?)?;
        assert_eq!(userinfo(&server, &plain.access).await?.status, 403, "{house:?}");
        assert_eq!(plain.id, "");
        // The honest twin: a client that asks for it has a session and may refresh.
        let kept = tokens(&by_client(&server, "keeper", "openid").await?)?;
        assert!(claims(&kept.access)?["sid"].is_string(), "{house:?}");
        let again = tokens(&refresh(&mut party(&server, "keeper")?, &kept.refresh).await?)?;
        assert_eq!(claims(&again.access)?["sid"], claims(&kept.access)?["sid"]);
    }
    Ok(())
}

/// A server whose client and user have one name: `client_id` is alice's id.
async fn namesakes(house: House) -> Result<TestServer> {
    let server = TestServer::start().await?;
    let mut realm = file(REALM);
    let clients = realm["clients"].as_array_mut().context("clients")?;
    let mut namesake = clients.iter().find(|c| c["clientId"] == "service").context("service")?.clone();
    namesake["clientId"] = ALICE.into();
    namesake["protocolMappers"] = json!([audience("web")]);
    clients.push(namesake);
    match house {
        House::Strict => server.import_strict(&realm).await?,
        House::Keycloak => server.import(&realm).await?,
    };
    Ok(server)
}

const ALICE: &str = "id-of-alice";

#[tokio::test]
async fn az_32_rfc_9700_4_15_a_client_named_like_a_user_is_not_that_user() -> Result<()> {
    for house in House::BOTH {
        let server = namesakes(house).await?;
        let grant = [("grant_type", "client_credentials"), ("scope", "openid")];
        let mut client = server.relying_party(Registration {
            client_id: ALICE.to_owned(),
            client_secret: Some("service-secret".to_owned()),
            ..registration(REALM, "service")
        })?;
        let token = tokens(&client.token(&grant).await?)?.access;
        let account = stored_user(&server, &format!("service-account-{ALICE}")).await?;
        let said = claims(&token)?;
        assert_eq!((&said["sub"], &said["azp"]), (&json!(account.id.as_str()), &json!(ALICE)), "{house:?}");
        assert_eq!(stored_user(&server, "alice").await?.id.as_str(), ALICE, "{house:?}: the import kept both names");
        // userinfo, introspection and an API's guard: the account, by every name they know.
        let info = userinfo(&server, &token).await?.json();
        assert_eq!((&info["sub"], &info["preferred_username"]), (&said["sub"], &json!(account.username)), "{house:?}");
        let told = introspected(&server, &token).await?;
        let names = (&told["active"], &told["sub"], &told["username"]);
        assert_eq!(names, (&json!(true), &said["sub"], &json!(account.username)), "{house:?}");
        assert_eq!(at_api(&server, &token).await?, (200, account.id.as_str().to_owned()), "{house:?}");
        // Were `sub` ever the client's name, or the user's without its session, it would still be nobody's token here.
        let key = forge::realm_key(&server, REALM).await?;
        let (header, payload) = forge::texts(&token)?;
        let as_alice = forge::with_member(&payload, "sub", &json!(ALICE).to_string())?;
        for (name, payload) in [
            ("sub is the name", as_alice.clone()),
            ("and of another client", forge::with_member(&as_alice, "azp", "\"app\"")?),
        ] {
            let forged = forge::under(&key, &header, &payload)?;
            assert_eq!(userinfo(&server, &forged).await?.status, 401, "{house:?} {name}");
            assert_eq!(introspected(&server, &forged).await?, json!({ "active": false }), "{house:?} {name}");
        }
        // What ends the one's tokens leaves the other's alone.
        edit_user(&server, "alice", |user| user.enabled = false).await?;
        assert_eq!(introspected(&server, &token).await?["active"], true, "{house:?}");
        edit_user(&server, "alice", |user| user.enabled = true).await?;
        edit_user(&server, &account.username, |user| user.enabled = false).await?;
        assert_eq!(introspected(&server, &token).await?, json!({ "active": false }), "{house:?}");
        // The honest twin: the person.
        let person = login(&mut party(&server, "app")?).await?;
        assert_eq!(userinfo(&server, &person.access).await?.json()["sub"], ALICE, "{house:?}");
        let told = introspected(&server, &person.access).await?;
        assert!(house == House::Strict || told["username"] == "alice", "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn az_32_a_person_cannot_be_a_clients_account_by_name() -> Result<()> {
    for house in House::BOTH {
        let server = TestServer::start().await?;
        let mut realm = file(REALM);
        realm["users"]
            .as_array_mut()
            .context("users")?
            .push(json!({ "username": "service-account-service", "enabled": true }));
        let refused = match house {
            House::Strict => server.import_strict(&realm).await,
            House::Keycloak => server.import(&realm).await,
        };
        let told = refused.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(told.contains("service-account-service"), "{house:?}: {told}");
        // The honest twin: the account itself may be listed.
        let users = realm["users"].as_array_mut().context("users")?;
        users.last_mut().context("the last")?["serviceAccountClientId"] = "service".into();
        server.import(&realm).await?;
        let token = tokens(&by_client(&server, "service", "openid").await?)?.access;
        assert_eq!(claims(&token)?["sub"], stored_user(&server, "service-account-service").await?.id.as_str());
    }
    Ok(())
}

async fn introspected(server: &TestServer, token: &str) -> Result<Value> {
    let form = [("client_id", "web"), ("client_secret", "web-secret"), ("token", token)];
    let path = format!("/realms/{REALM}/protocol/openid-connect/token/introspect");
    Ok(server.client()?.send(&Exchange::form(&path, &form)).await?.json())
}

#[tokio::test]
async fn ad_33_a_service_account_that_is_gone_is_made_anew_once_and_without_its_roles() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let stored = records(&server, REALM).await?;
        let (realm, client) = (stored.realm.id.clone(), stored.client("service").context("service")?.id.clone());
        let auditor = stored.roles.named(None, "auditor").context("auditor")?.id.clone();
        edit_user(&server, "service-account-service", |user| user.roles.push(auditor)).await?;
        let held = tokens(&by_client(&server, "service", "openid").await?)?;
        let old = stored_user(&server, "service-account-service").await?.id;
        write(&server, vec![Write::DeleteUser(realm.clone(), old.clone())]).await?;
        assert_eq!(userinfo(&server, &held.access).await?.status, 401, "{house:?}: its tokens are dead");
        let one = async || by_client(&server, "service", "openid").await;
        let (first, second, third) = tokio::join!(one(), one(), one());
        let mut subjects = Vec::new();
        for answer in [first?, second?, third?] {
            let access = tokens(&answer)?.access;
            assert_eq!(userinfo(&server, &access).await?.status, 200, "{house:?}");
            subjects.push(claims(&access)?["sub"].clone());
        }
        let account = server.db.service_account(&realm, &client).await?.context("no account")?;
        assert!(subjects.iter().all(|sub| *sub == account.id.as_str()), "{house:?}: {subjects:?}");
        assert_ne!(account.id, old, "{house:?}: nothing of the old one comes back");
        assert_eq!(account.roles, Vec::from_iter(stored.realm.default_role.clone()), "{house:?}");
        // The honest twin: while the switch is off none is made.
        write(&server, vec![Write::DeleteUser(realm.clone(), account.id.clone())]).await?;
        edit_client(&server, "service", |client| client.settings.service_accounts_enabled = false).await?;
        refused(&one().await?, 401, "unauthorized_client", "switched off");
        assert!(server.db.service_account(&realm, &client).await?.is_none(), "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ad_33_a_person_of_that_name_never_becomes_the_service_account() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let realm = records(&server, REALM).await?.realm.id;
        let mut person = stored_user(&server, "service-account-service").await?;
        write(&server, vec![Write::DeleteUser(realm.clone(), person.id.clone())]).await?;
        person.service_account_client = None;
        person.id = "somebody".into();
        write(&server, vec![Write::CreateUser(realm, person)]).await?;
        let answer = by_client(&server, "service", "openid").await?;
        assert_eq!(answer.status, 401, "{house:?}: {}", answer.text());
        let stored = stored_user(&server, "service-account-service").await?;
        assert_eq!(stored.service_account_client, None, "{house:?}");
        // The honest twin: another client's account is not touched by it.
        tokens(&by_client(&server, "keeper", "openid").await?)?;
    }
    Ok(())
}
