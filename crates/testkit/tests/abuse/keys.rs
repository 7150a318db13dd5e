//! JW: the realm's keys and what a token's claims come from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::key::KeyStatus;
use portcullis_core::plan::Write;
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::forge::{self, b64};
use crate::ground::{
    House, REALM, TWIN, admin_token, code, file, login, open, open_both, party, realm_id, records, refresh,
    registration, tokens, userinfo, write,
};

#[tokio::test]
async fn jw_27_p_12_a_rotated_key_verifies_and_a_disabled_one_does_not() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        let realm = realm_id(&server).await?;
        let old = forge::stored_key(&server, REALM, "RS256").await?;
        let certs = "/realms/yard/protocol/openid-connect/certs";
        for (status, expected, published) in
            [(KeyStatus::Passive, 200, true), (KeyStatus::Disabled, 401, false), (KeyStatus::Passive, 200, true)]
        {
            write(&server, vec![Write::SetKeyStatus(realm.clone(), old.kid.clone(), status)]).await?;
            assert_eq!(userinfo(&server, &held.access).await?.status, expected, "{house:?} {status:?}");
            // What is signed now is signed with another key, which is published.
            let fresh = login(&mut app).await?;
            let header: Value = serde_json::from_str(&forge::texts(&fresh.access)?.0)?;
            assert_ne!(header["kid"], Value::from(old.kid.as_str()), "{house:?} {status:?}");
            let shown = server.client()?.send(&Exchange::get(certs)).await?.text();
            assert!(shown.contains(header["kid"].as_str().context("kid")?), "{house:?} {status:?}");
            assert_eq!(shown.contains(old.kid.as_str()), published, "{house:?} {status:?}");
            assert_eq!(userinfo(&server, &fresh.access).await?.status, 200);
        }
        server.clock.advance(Duration::from_secs(300));
        assert_eq!(userinfo(&server, &held.access).await?.status, 401, "and no longer than its life");
    }
    Ok(())
}

/// No private member of a key, at any depth.
fn private_members(value: &Value, found: &mut Vec<String>) {
    const PRIVATE: [&str; 12] =
        ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "privateKey", "private_key", "secretData", "hashedSaltedValue"];
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if PRIVATE.contains(&name.as_str()) {
                    found.push(name.clone());
                }
                private_members(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| private_members(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn jw_26_no_answer_shows_a_private_key() -> Result<()> {
    let server = open_both(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let (code, pkce) = code(&mut app).await?;
    let exchange = app.exchange(&code, &pkce).await?;
    let held = tokens(&exchange)?;
    let bearer = format!("Bearer {}", admin_token(&server).await?);
    let mut answers =
        vec![("token".to_owned(), exchange), ("userinfo".to_owned(), userinfo(&server, &held.access).await?)];
    for path in [
        "/realms/yard",
        "/realms/yard/protocol/openid-connect/certs",
        "/realms/yard/.well-known/openid-configuration",
        "/admin/realms",
        "/admin/realms/yard",
        "/admin/realms/master",
        "/admin/realms/yard/keys",
        "/admin/realms/yard/components",
    ] {
        let ask = Exchange::get(path).header("Authorization", &bearer);
        answers.push((path.to_owned(), server.client()?.send(&ask).await?));
    }
    let secrets = secrets(&server).await?;
    for (name, answer) in &answers {
        let mut found = Vec::new();
        private_members(&answer.json(), &mut found);
        assert_eq!(found, Vec::<String>::new(), "{name}");
        for secret in &secrets {
            assert!(!answer.text().contains(secret.as_str()), "{name} shows {secret:.8}...");
        }
    }
    let mut found = Vec::new();
    private_members(&json!({ "keys": [{ "kty": "RSA", "d": "x" }] }), &mut found);
    assert_eq!(found, ["d"], "the search finds what it is for");
    Ok(())
}

/// Every stored secret in the shapes it could be printed in.
async fn secrets(server: &TestServer) -> Result<Vec<String>> {
    let mut secrets = vec!["web-secret".to_owned(), "other-secret".to_owned(), "alice-password".to_owned()];
    for realm in [REALM, TWIN, "master"] {
        for key in records(server, realm).await?.keys {
            let bytes = key.private.expose();
            let part = bytes.get(..bytes.len() / 3 * 3).unwrap_or_default();
            secrets.extend([b64(part), STANDARD.encode(part)]);
        }
    }
    Ok(secrets)
}

#[tokio::test]
async fn jw_28_no_mapper_writes_what_only_the_server_may_say() -> Result<()> {
    let mapper = |claim: &str| {
        json!({
            "name": format!("evil {claim}"),
            "protocol": "openid-connect",
            "protocolMapper": "oidc-usermodel-attribute-mapper",
            "config": {
                "user.attribute": "evil", "claim.name": claim, "jsonType.label": "String",
                "id.token.claim": "true", "access.token.claim": "true", "userinfo.token.claim": "true",
            },
        })
    };
    let reserved =
        ["sub", "iss", "aud", "exp", "iat", "jti", "azp", "sid", "typ", "cnf", "scope", "realm_access.roles"];
    for house in House::BOTH {
        let server = open(house).await?;
        for (name, mappers) in reserved
            .iter()
            .map(|claim| (*claim, vec![mapper(claim)]))
            .chain([("twin", vec![mapper("nickname2"), mapper("address.street")])])
        {
            let realm = format!("mapped-{}", name.replace('.', "-"));
            let mut text = file(&realm);
            text["clients"][0]["protocolMappers"] = Value::from(mappers);
            text["users"] = json!([text["users"][0].clone()]);
            text["users"][0]["attributes"] = json!({ "evil": ["4102444800"] });
            let imported = match house {
                House::Strict => server.import_strict(&text).await,
                House::Keycloak => server.import(&text).await,
            };
            if name != "twin" && imported.is_err() {
                // Refused at configuration, as it should be.
                continue;
            }
            imported.with_context(|| format!("{house:?} {name}"))?;
            let held = login(&mut server.relying_party(registration(&realm, "app"))?).await?;
            for token in [&held.access, &held.id] {
                let claims = forge::claims(token)?;
                if name == "twin" {
                    assert_eq!(claims["nickname2"], "4102444800", "{house:?}");
                } else {
                    let shown = claims.pointer(&format!("/{}", name.replace('.', "/"))).cloned().unwrap_or_default();
                    assert_ne!(shown, json!("4102444800"), "{house:?} {name}");
                    assert_ne!(shown, json!(["4102444800"]), "{house:?} {name}");
                }
            }
        }
    }
    Ok(())
}

/// Refreshes and asks for userinfo until `stop`; how many rounds.
async fn keeps_going(server: Arc<TestServer>, stop: Arc<AtomicBool>) -> Result<usize> {
    let mut web = party(&server, "web")?;
    let mut held = login(&mut web).await?;
    let mut rounds = 0;
    while !stop.load(Ordering::SeqCst) || rounds < 3 {
        let older = held.access.clone();
        held = tokens(&refresh(&mut web, &held.refresh).await?).context("a refresh while keys rotate")?;
        for token in [&older, &held.access] {
            anyhow::ensure!(userinfo(&server, token).await?.status == 200, "a token while keys rotate");
        }
        rounds += 1;
    }
    Ok(rounds)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p_12_no_request_fails_while_keys_rotate() -> Result<()> {
    let server = Arc::new(open(House::Strict).await?);
    let stop = Arc::new(AtomicBool::new(false));
    let users: Vec<_> = (0..3).map(|_| tokio::spawn(keeps_going(Arc::clone(&server), Arc::clone(&stop)))).collect();
    let mut made = Vec::new();
    for algorithm in ["RS256", "ES256", "RS256", "EdDSA", "RS256"] {
        made.push((algorithm, server.idp.rotate_key(REALM, algorithm).await?));
    }
    stop.store(true, Ordering::SeqCst);
    for user in users {
        assert!(user.await?? >= 3);
    }
    let keys = server.idp.keys(REALM).await?;
    let of = |kid: &str| keys.iter().find(|k| k.kid == kid).map(|k| k.status);
    assert_eq!(of(&made[0].1), Some(KeyStatus::Passive));
    assert_eq!(of(&made[4].1), Some(KeyStatus::Active));
    // The one in charge cannot be taken away; the one before it can, and its tokens die.
    let mut app = party(&server, "app")?;
    let before = login(&mut app).await?;
    assert!(server.idp.set_key_status(REALM, &made[4].1, KeyStatus::Disabled).await.is_err(), "the last active key");
    server.idp.rotate_key(REALM, "RS256").await?;
    assert_eq!(userinfo(&server, &before.access).await?.status, 200);
    server.idp.set_key_status(REALM, &made[4].1, KeyStatus::Disabled).await?;
    assert_eq!(userinfo(&server, &before.access).await?.status, 401);
    tokens(&refresh(&mut app, &before.refresh).await?)?;
    Ok(())
}
