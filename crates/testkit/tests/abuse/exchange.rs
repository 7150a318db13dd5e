//! TE: token exchange (RFC 8693).

use anyhow::Result;
use portcullis_core::plan::Write;
use portcullis_testkit::http1::Answer;
use portcullis_testkit::server::TestServer;
use serde_json::json;

use crate::forge::claims;
use crate::ground::{
    House, Tokens, by_client, edit_client, exchange, fault, login, open, party, realm_id, refused, tokens, userinfo,
    write,
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const REFRESH: &str = "urn:ietf:params:oauth:token-type:refresh_token";

async fn held(server: &TestServer) -> Result<Tokens> {
    login(&mut party(server, "app")?).await
}

async fn of(server: &TestServer, client: &str, subject: &str) -> Result<Answer> {
    let fields = [("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS)];
    party(server, client)?.token(&fields).await
}

fn error(answer: &Answer) -> (u16, String) {
    fault(answer)
}

#[tokio::test]
async fn te_18_only_a_client_with_the_switch_to_which_the_token_was_meant_exchanges_it() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = held(&server).await?;
        // The honest twin first: `swap` has the switch and stands in the audience.
        let given = tokens(&exchange(&server, &held.access, &[]).await?)?;
        let said = claims(&given.access)?;
        assert_eq!((&said["azp"], &said["sid"]), (&json!("swap"), &claims(&held.access)?["sid"]), "{house:?}");
        assert!(given.refresh.is_empty() && given.id.is_empty(), "{house:?}: an access token only");
        assert_eq!(userinfo(&server, &given.access).await?.status, 200, "{house:?}");
        for client in ["web", "app"] {
            refused(&of(&server, client, &held.access).await?, 400, "invalid_request", &format!("{house:?} {client}"));
        }
        // The switch does not help a public client, nor one to which the token was not meant.
        for (client, expected) in [("app", (400, "invalid_client")), ("web", (403, "access_denied"))] {
            edit_client(&server, client, |c| {
                c.settings.attributes.insert("standard.token.exchange.enabled".to_owned(), "true".to_owned());
            })
            .await?;
            refused(&of(&server, client, &held.access).await?, expected.0, expected.1, &format!("{house:?} {client}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_18_te_32_neither_a_foreign_audience_nor_another_person_nor_another_issuer() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = held(&server).await?;
        for (name, value) in [
            ("audience", "web"),
            ("audience", "nobody"),
            ("requested_subject", "bob"),
            ("requested_issuer", "google"),
            ("subject_issuer", "google"),
            ("requested_token_type", REFRESH),
            ("requested_token_type", "urn:x"),
        ] {
            let answer = exchange(&server, &held.access, &[(name, value)]).await?;
            let error = if value == "nobody" { "invalid_client" } else { "invalid_request" };
            refused(&answer, 400, error, &format!("{house:?} {name}={value}"));
        }
        let both = [("audience", "service"), ("audience", "web")];
        refused(&exchange(&server, &held.access, &both).await?, 400, "invalid_request", "one of two");
        let given = tokens(&exchange(&server, &held.access, &[("audience", "service")]).await?)?;
        assert_eq!(claims(&given.access)?["aud"], json!("service"), "{house:?}: no other audience");
    }
    Ok(())
}

#[tokio::test]
async fn te_19_a_subject_that_is_no_live_access_token_is_never_the_client_itself() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = held(&server).await?;
        let stripped = held.access.rsplit_once('.').map(|(head, _)| format!("{head}.")).unwrap_or_default();
        for (name, subject) in
            [("empty", ""), ("garbage", "abc"), ("stripped", &stripped), ("refresh", &held.refresh), ("id", &held.id)]
        {
            let answer = exchange(&server, subject, &[]).await?;
            refused(&answer, 400, "invalid_request", &format!("{house:?} {name}"));
        }
        let none = [("grant_type", EXCHANGE), ("subject_token_type", ACCESS)];
        assert_eq!(error(&party(&server, "swap")?.token(&none).await?), (400, "invalid_request".to_owned()));
        let untyped = [("grant_type", EXCHANGE), ("subject_token", held.access.as_str())];
        assert_eq!(error(&party(&server, "swap")?.token(&untyped).await?), (400, "invalid_request".to_owned()));
        tokens(&exchange(&server, &held.access, &[]).await?)?;
        // RT-05: what ended the session ended the subject, and what was exchanged from it.
        let given = tokens(&exchange(&server, &held.access, &[]).await?)?;
        let sid = claims(&held.access)?["sid"].as_str().unwrap_or_default().to_owned();
        write(&server, vec![Write::EndUserSession(realm_id(&server).await?, sid.as_str().into())]).await?;
        refused(&exchange(&server, &held.access, &[]).await?, 400, "invalid_request", "after the logout");
        assert_eq!(userinfo(&server, &given.access).await?.status, 401, "{house:?}: exchanged before the logout");
    }
    Ok(())
}

#[tokio::test]
async fn te_18_te_36_scopes_are_the_clients_and_the_same_in_any_order() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = held(&server).await?;
        let scope = |asked: &'static str| {
            let (server, subject) = (&server, held.access.clone());
            async move {
                let answer = exchange(server, &subject, &[("scope", asked)]).await?;
                let text = claims(&tokens(&answer)?.access)?["scope"].as_str().unwrap_or_default().to_owned();
                let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
                words.sort();
                anyhow::Ok(words)
            }
        };
        assert_eq!(scope("openid phone").await?, scope("phone openid").await?, "{house:?}");
        let offline = scope("openid offline_access").await?;
        assert!(!offline.iter().any(|word| word == "offline_access"), "{house:?}: no offline session");
        let nonsense = exchange(&server, &held.access, &[("scope", "nonsense")]).await?;
        refused(&nonsense, 400, "invalid_scope", &format!("{house:?}"));
        // A service account's own token has no session, and what is exchanged from it has none either.
        edit_client(&server, "service", |c| {
            c.settings.attributes.insert("standard.token.exchange.enabled".to_owned(), "true".to_owned());
        })
        .await?;
        let own = tokens(&by_client(&server, "service", "openid").await?)?;
        let given = tokens(&of(&server, "service", &own.access).await?)?;
        assert!(claims(&given.access)?["sid"].is_null(), "{house:?}");
    }
    Ok(())
}
