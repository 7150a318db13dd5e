//! TE: clients that act for themselves (RFC 6749 §4.4).

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::forge::claims;
use crate::ground::{
    House, by_client, by_password, edit_client, edit_user, open, party, refresh, refused, stored_user, tokens, userinfo,
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
