//! TE-22 to TE-24, TE-27: revocation (RFC 7009), and what is left of a token after it.

use anyhow::{Context as _, Result};
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::{Cluster, Options, TestServer};
use serde_json::json;

use crate::ground::{
    House, ORIGIN, REALM, admin_token, by_client, fault, furnish, login, open, party, refresh, tokens, userinfo,
};

fn path(endpoint: &str) -> String {
    format!("/realms/{REALM}/protocol/openid-connect/{endpoint}")
}

fn secret(client: &str) -> String {
    format!("{client}-secret")
}

async fn revoke(server: &TestServer, client: &str, token: &str) -> Result<Answer> {
    let secret = secret(client);
    let mut form = vec![("client_id", client), ("token", token)];
    if !["app", "second"].contains(&client) {
        form.push(("client_secret", &secret));
    }
    server.client()?.send(&Exchange::form(&path("revoke"), &form)).await
}

async fn is_active(server: &TestServer, token: &str) -> Result<bool> {
    let form = [("client_id", "web"), ("client_secret", "web-secret"), ("token", token)];
    let answer = server.client()?.send(&Exchange::form(&path("token/introspect"), &form)).await?;
    answer.json()["active"].as_bool().context("an answer")
}

/// 200 and nothing else.
fn done(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.text().as_str(), answer.header("content-type")), (200, "", None), "{what}");
}

/// RFC 7009 §2.2: 200 also for what is no token, and what Keycloak says about it.
fn nothing(answer: &Answer, what: &str) {
    assert_eq!(fault(answer), (200, "invalid_token".to_owned()), "{what}: {}", answer.text());
}

#[tokio::test]
async fn te_22_a_revoked_access_token_is_dead_at_every_node_at_once_and_nothing_else_is() -> Result<()> {
    for house in House::BOTH {
        let cluster = Cluster::start(2, Options::default()).await?;
        let (first, second) = (cluster.node(0)?, cluster.node(1)?);
        furnish(first, house).await?;
        let held = login(&mut party(first, "web")?).await?;
        let kept = login(&mut party(first, "web")?).await?;
        assert_eq!(userinfo(second, &held.access).await?.status, 200, "before");
        done(&revoke(first, "web", &held.access).await?, "access token");
        for node in [first, second] {
            assert_eq!(userinfo(node, &held.access).await?.status, 401, "{house:?}");
            assert!(!is_active(node, &held.access).await?, "{house:?}");
            // The honest twins: another login, and this login's refresh token with what it gives.
            assert_eq!(userinfo(node, &kept.access).await?.status, 200, "{house:?}");
        }
        let next = tokens(&refresh(&mut party(first, "web")?, &held.refresh).await?)?;
        assert_eq!(userinfo(second, &next.access).await?.status, 200, "{house:?}");
        done(&revoke(second, "web", &held.access).await?, "again");
    }
    Ok(())
}

#[tokio::test]
async fn te_22_a_revoked_service_account_token_is_dead() -> Result<()> {
    let server = open(House::Strict).await?;
    let token = tokens(&by_client(&server, "service", "openid").await?)?.access;
    let twin = tokens(&by_client(&server, "service", "openid").await?)?.access;
    done(&revoke(&server, "service", &token).await?, "service account");
    assert_eq!(userinfo(&server, &token).await?.status, 401);
    assert_eq!(userinfo(&server, &twin).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn te_22_a_revoked_administrators_token_opens_nothing() -> Result<()> {
    let server = open(House::Strict).await?;
    let token = admin_token(&server).await?;
    let ask = || async {
        let get = Exchange::get("/admin/realms").header("Authorization", &format!("Bearer {token}"));
        server.client()?.send(&get).await.map(|answer| answer.status)
    };
    assert_eq!(ask().await?, 200);
    let form = [("client_id", "admin-cli"), ("token", token.as_str())];
    let answer = server.client()?.send(&Exchange::form("/realms/master/protocol/openid-connect/revoke", &form)).await?;
    done(&answer, "admin-cli");
    assert_eq!(ask().await?, 401);
    Ok(())
}

#[tokio::test]
async fn rfc_7009_2_1_a_revoked_refresh_token_takes_its_access_tokens_along() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut browser = party(&server, "app")?;
        let first = login(&mut browser).await?;
        // The same browser's other client, by single sign-on: one user session, two parts.
        let mut second = party(&server, "second")?;
        second.jar = std::mem::take(&mut browser.jar);
        let other = login(&mut second).await?;
        done(&revoke(&server, "app", &first.refresh).await?, "refresh token");
        assert_eq!(fault(&refresh(&mut browser, &first.refresh).await?).1, "invalid_grant", "{house:?}");
        assert_eq!(userinfo(&server, &first.access).await?.status, 401, "{house:?}");
        nothing(&revoke(&server, "app", &first.refresh).await?, "again");
        nothing(&revoke(&server, "app", &first.access).await?, "its access token is over too");
        assert_eq!(userinfo(&server, &other.access).await?.status, 200, "{house:?} the other client goes on");
        let next = tokens(&refresh(&mut second, &other.refresh).await?)?;
        done(&revoke(&server, "second", &next.refresh).await?, "the last client's");
        assert_eq!(userinfo(&server, &next.access).await?.status, 401, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn te_23_only_the_token_of_the_caller_and_only_of_a_caller_that_is_known() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = login(&mut party(&server, "web")?).await?;
        for token in [&held.access, &held.refresh] {
            for (name, client) in [("another", "other"), ("a public one", "app")] {
                let answer = revoke(&server, client, token).await?;
                assert_eq!(fault(&answer), (400, "invalid_request".to_owned()), "{house:?} {name}");
                assert_eq!(answer.json()["error_description"], "Unmatching clients", "{house:?} {name}");
            }
            let form = [("client_id", "web"), ("client_secret", "x"), ("token", token.as_str())];
            let answer = server.client()?.send(&Exchange::form(&path("revoke"), &form)).await?;
            assert_eq!(fault(&answer), (401, "unauthorized_client".to_owned()), "{house:?}");
            assert!(is_active(&server, token).await?, "{house:?} still live");
        }
        let id = revoke(&server, "web", &held.id).await?;
        assert_eq!(fault(&id), (400, "unsupported_token_type".to_owned()), "{house:?}");
        let forged = format!("{}AAAA", held.access.rsplit_once('.').context("a token")?.0);
        for (name, token) in [("empty", ""), ("garbage", "a.b.c"), ("forged", &format!("{forged}.{forged}"))] {
            nothing(&revoke(&server, "web", token).await?, name);
        }
        assert_eq!(server.client()?.send(&Exchange::get(&path("revoke"))).await?.status, 405);
        assert_eq!(userinfo(&server, &held.access).await?.status, 200, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn te_24_nobody_hears_200_when_nothing_was_written() -> Result<()> {
    for kind in ["access", "refresh"] {
        let server = open(House::Strict).await?;
        let held = login(&mut party(&server, "web")?).await?;
        server.db.close().await;
        let token = if kind == "access" { &held.access } else { &held.refresh };
        let answer = revoke(&server, "web", token).await?;
        assert_eq!(fault(&answer), (503, "temporarily_unavailable".to_owned()), "{kind}");
        assert!(answer.header("retry-after").is_some(), "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn te_27_revocation_is_readable_by_the_clients_origins_only() -> Result<()> {
    let server = open(House::Strict).await?;
    for (origin, readable) in [(ORIGIN, true), ("http://127.0.0.1:9876.evil.test", false), ("null", false)] {
        let held = login(&mut party(&server, "app")?).await?;
        let form = [("client_id", "app"), ("token", held.access.as_str())];
        let answer = server.client()?.send(&Exchange::form(&path("revoke"), &form).header("Origin", origin)).await?;
        done(&answer, origin);
        let seen = answer.header("access-control-allow-origin");
        assert_eq!(seen, readable.then_some(origin), "{origin}");
    }
    let found =
        server.client()?.send(&Exchange::get(&format!("/realms/{REALM}/.well-known/openid-configuration"))).await?;
    assert_eq!(found.json()["revocation_endpoint"], json!(format!("{}{}", server.base, path("revoke"))));
    Ok(())
}
