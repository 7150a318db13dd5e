//! The server in this process and its cluster: they answer, live in the test's time, share what they must, and end.

use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_testkit::golden::realm;
use portcullis_testkit::http1::{Connection, Exchange};
use portcullis_testkit::raw::RawSocket;
use portcullis_testkit::rp::Registration;
use portcullis_testkit::server::{ADMIN, Cluster, Options, TestServer};

async fn admin_token(server: &TestServer) -> Result<String> {
    let (name, password) = ADMIN;
    let login = [("grant_type", "password"), ("client_id", "admin-cli"), ("username", name), ("password", password)];
    let path = "/realms/master/protocol/openid-connect/token";
    let answer = server.client()?.send(&Exchange::form(path, &login)).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let token = body.get("access_token").and_then(|t| t.as_str());
    Ok(token.context("a token")?.to_owned())
}

async fn realms_status(server: &TestServer, token: &str) -> Result<u16> {
    let bearer = format!("Bearer {token}");
    let ask = Exchange::get("/admin/realms").header("Authorization", &bearer);
    Ok(server.client()?.send(&ask).await?.status)
}

#[tokio::test]
async fn a_token_ends_when_the_clock_is_moved() -> Result<()> {
    let server = TestServer::start().await?;
    let token = admin_token(&server).await?;
    assert_eq!(realms_status(&server, &token).await?, 200);
    server.clock.advance(Duration::from_secs(61));
    assert_eq!(realms_status(&server, &token).await?, 401);
    Ok(())
}

#[tokio::test]
async fn a_relying_party_logs_in() -> Result<()> {
    let server = TestServer::start().await?;
    server.import_demo().await?;
    let mut rp = server.relying_party(Registration {
        realm: "demo".into(),
        client_id: "spa".into(),
        client_secret: None,
        redirect_uri: "http://127.0.0.1:9876/callback".into(),
    })?;
    let tokens = rp.login("openid", "alice", "alice-password").await?;
    for member in ["access_token", "refresh_token", "id_token"] {
        assert!(tokens.get(member).is_some(), "{member} in {tokens}");
    }
    assert!(rp.login("openid", "alice", "alice-password").await.is_ok(), "single sign-on");
    rp.jar = portcullis_testkit::golden::Jar::default();
    assert!(rp.login("openid", "alice", "wrong").await.is_err());
    Ok(())
}

#[tokio::test]
async fn nodes_share_rows_and_one_issuer() -> Result<()> {
    let cluster = Cluster::start(3, Options::default()).await?;
    cluster.node(0)?.import(&realm("mini")?).await?;
    let path = "/realms/mini/.well-known/openid-configuration";
    for number in 0..4 {
        let answer = cluster.node(number)?.client()?.send(&Exchange::get(path)).await?;
        let issuer = format!("{}/realms/mini", cluster.node(0)?.base);
        assert_eq!(answer.json().get("issuer").and_then(|i| i.as_str()), Some(issuer.as_str()));
    }
    Ok(())
}

#[tokio::test]
async fn raw_bytes_reach_it_and_it_ends_with_its_handle() -> Result<()> {
    let server = TestServer::start().await?;
    let mut socket = RawSocket::dial(server.authority()).await?;
    socket.send(b"NOT HTTP\r\n\r\n").await?;
    assert_eq!(socket.answer().await?.status, 400);
    let base = server.base.clone();
    drop(server);
    // The task ends at its next turn.
    tokio::task::yield_now().await;
    let gone = Connection::to(&base)?.send(&Exchange::get("/realms/master")).await;
    assert!(gone.is_err());
    Ok(())
}
