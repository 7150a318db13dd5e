//! RT: refresh tokens and their families.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_core::entropy::Entropy;
use portcullis_core::plan::Write;
use portcullis_core::time::Clock;
use portcullis_idp::{Deps, Idp, IdpConfig};
use portcullis_jose::{Algorithm, SigningKey};
use portcullis_store::MemoryEphemeral;
use portcullis_testkit::clock::SeededEntropy;
use portcullis_testkit::golden::Jar;
use portcullis_testkit::rp::{Pkce, RelyingParty};
use portcullis_testkit::server::{Cluster, Options, TestServer};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::forge::{self, claims};
use crate::ground::{
    House, REALM, TWIN, Tokens, edit_client, edit_realm, edit_user, furnish, login, login_of, open, open_both, party,
    realm_id, records, refresh, refused, registration, stored_user, tokens, userinfo, write,
};

/// Keycloak's rotation, with no reuse.
async fn rotate(server: &TestServer, house: House) -> Result<()> {
    match house {
        House::Strict => Ok(()),
        House::Keycloak => edit_realm(server, |realm| realm.settings.revoke_refresh_token = true).await,
    }
}

fn text(token: &str, name: &str) -> Result<String> {
    Ok(claims(token)?[name].as_str().context("a text claim")?.to_owned())
}

#[tokio::test]
async fn rt_02_rt_04_a_rotated_token_ends_its_family() -> Result<()> {
    for house in House::BOTH {
        // In a strict realm a lost answer may be asked for again for some seconds; two generations back never.
        for (name, rotations, later) in [("within the second", 2, 0), ("later", 2, 1), ("much later", 1, 31)] {
            let server = open(house).await?;
            rotate(&server, house).await?;
            let mut app = party(&server, "app")?;
            let first = login(&mut app).await?;
            let mut live = first.clone();
            for _ in 0..rotations {
                let next = tokens(&refresh(&mut app, &live.refresh).await?)?;
                assert_ne!(next.refresh, live.refresh, "{house:?} {name}: rotated");
                live = next;
            }
            server.clock.advance(Duration::from_secs(later));
            let what = format!("{house:?} {name}");
            refused(&refresh(&mut app, &first.refresh).await?, 400, "invalid_grant", &what);
            refused(&refresh(&mut app, &live.refresh).await?, 400, "invalid_grant", &format!("{what}: the family"));
            let mut other = party(&server, "app")?;
            let apart = login(&mut other).await?;
            tokens(&refresh(&mut other, &apart.refresh).await?).context("another family")?;
            let events = server.db.events(&realm_id(&server).await?, 50).await?;
            assert!(events.iter().any(|e| format!("{e:?}").contains("REFRESH_TOKEN_ERROR")), "{what}: an event");
        }
    }
    Ok(())
}

/// The server after a restart: nothing is left but its rows, its address and the time.
async fn restarted(server: &TestServer, public_url: &str) -> Result<(Idp, SocketAddr)> {
    let clock: Arc<dyn Clock> = server.clock.clone();
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(77));
    let config = IdpConfig { public_url: Some(public_url.to_owned()), ..IdpConfig::default() };
    let ephemeral = Arc::new(MemoryEphemeral::new("after the restart"));
    let idp = Idp::open(Deps { db: server.db.clone(), ephemeral, clock, entropy, config }).await?;
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?;
    let router = idp.router();
    // Ends with the test's runtime.
    tokio::spawn(async move { axum::serve(socket, router).await });
    Ok((idp, address))
}

#[tokio::test]
async fn rt_03_a_restart_revives_no_rotated_token() -> Result<()> {
    for house in House::BOTH {
        for (rotations, later) in [(2, 0), (1, 31)] {
            let cluster = Cluster::start(1, Options::default()).await?;
            let server = cluster.node(0)?;
            furnish(server, house).await?;
            rotate(server, house).await?;
            let (mut app, mut web) = (party(server, "app")?, party(server, "app")?);
            let (first, honest) = (login(&mut app).await?, login(&mut web).await?);
            let mut live = first.clone();
            for _ in 0..rotations {
                live = tokens(&refresh(&mut app, &live.refresh).await?)?;
            }
            let (_idp, address) = restarted(server, &server.base).await?;
            cluster.clock.advance(Duration::from_secs(later));
            let mut after = RelyingParty::new(&format!("http://{address}"), registration(REALM, "app"))?;
            let what = format!("{house:?} after {rotations} rotations");
            tokens(&refresh(&mut after, &honest.refresh).await?).with_context(|| format!("{what}: the honest one"))?;
            refused(&refresh(&mut after, &first.refresh).await?, 400, "invalid_grant", &what);
            refused(&refresh(&mut after, &live.refresh).await?, 400, "invalid_grant", &what);
            refused(&refresh(&mut app, &live.refresh).await?, 400, "invalid_grant", &what);
        }
    }
    Ok(())
}

#[tokio::test]
async fn rt_15_p_11_a_lost_answer_is_given_again_for_half_a_minute() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let first = login(&mut app).await?;
    let next = tokens(&refresh(&mut app, &first.refresh).await?)?;
    for _ in 0..3 {
        server.clock.advance(Duration::from_secs(10));
        let again = tokens(&refresh(&mut app, &first.refresh).await?)?;
        assert_eq!(again.refresh, next.refresh, "the same successor, never a second branch");
    }
    let third = tokens(&refresh(&mut app, &next.refresh).await?)?;
    server.clock.advance(Duration::from_secs(31));
    refused(&refresh(&mut app, &next.refresh).await?, 400, "invalid_grant", "after the grace");
    refused(&refresh(&mut app, &third.refresh).await?, 400, "invalid_grant", "the family");
    // A confidential client's token is bound to its secret: it does not rotate in a strict realm.
    let mut web = party(&server, "web")?;
    let held = login(&mut web).await?;
    for _ in 0..3 {
        tokens(&refresh(&mut web, &held.refresh).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn rt_06_a_refresh_token_belongs_to_one_client_of_one_realm() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        for client in ["app", "web"] {
            let mut own = party(&server, client)?;
            let held = login(&mut own).await?;
            for name in ["second", "other", "tool"] {
                // It stands in the same session of the same browser: only the token's own client tells them apart.
                let mut thief = party(&server, name)?;
                thief.jar = own.jar.clone();
                assert_eq!(text(&login(&mut thief).await?.access, "sid")?, text(&held.access, "sid")?);
                let answer = refresh(&mut thief, &held.refresh).await?;
                refused(&answer, 400, "invalid_grant", &format!("{house:?} {name} with {client}'s"));
            }
            let answer = refresh(&mut server.relying_party(registration(TWIN, client))?, &held.refresh).await?;
            refused(&answer, 400, "invalid_grant", "another realm");
            tokens(&refresh(&mut own, &held.refresh).await?).context("none of it touched the family")?;
        }
        let mut nameless = registration(REALM, "web");
        nameless.client_secret = None;
        let held = login(&mut party(&server, "web")?).await?;
        let answer = refresh(&mut server.relying_party(nameless)?, &held.refresh).await?;
        refused(&answer, 401, "unauthorized_client", "without its secret");
    }
    Ok(())
}

fn scopes(access: &str) -> Result<Vec<String>> {
    let mut words: Vec<String> = text(access, "scope")?.split(' ').map(str::to_owned).collect();
    words.sort();
    Ok(words)
}

#[tokio::test]
async fn rt_08_p_10_a_refresh_narrows_and_never_widens() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let first = login(&mut app).await?;
        let full = scopes(&first.access)?;
        let mut live = first.refresh;
        for (asked, good) in [
            (Some("openid"), true),
            (None, true),
            (Some("openid email"), true),
            (Some("openid phone"), false),
            (Some("openid nonsense"), false),
            (Some("address"), false),
            (None, true),
        ] {
            let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", live.as_str())];
            fields.extend(asked.map(|scope| ("scope", scope)));
            let answer = app.token(&fields).await?;
            let what = format!("{house:?} {asked:?}");
            if !good {
                // RFC 6749 §6: what was not granted is refused, or it is left out.
                if answer.status == 200 {
                    let got = scopes(&tokens(&answer)?.access)?;
                    assert!(got.iter().all(|word| full.contains(word)), "{what}: {got:?} of {full:?}");
                    live = tokens(&answer)?.refresh;
                } else {
                    refused(&answer, 400, "invalid_scope", &what);
                }
                continue;
            }
            let next = tokens(&answer).context(what.clone())?;
            let got = scopes(&next.access)?;
            match asked {
                None => assert_eq!(got, full, "{what}"),
                Some(_) => assert!(got.iter().all(|word| full.contains(word)), "{what}: {got:?}"),
            }
            live = next.refresh;
        }
    }
    Ok(())
}

#[tokio::test]
async fn rt_09_what_was_withdrawn_is_gone_at_the_next_refresh() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let first = login(&mut app).await?;
    let holds = |token: &str| -> Result<bool> {
        let claims = claims(token)?;
        let roles = claims["realm_access"]["roles"].as_array().cloned().unwrap_or_default();
        Ok(roles.contains(&Value::from("auditor")))
    };
    assert!(holds(&first.access)?, "honest twin");
    let records = records(&server, REALM).await?;
    let auditor = records.roles.iter().find(|role| role.name == "auditor").context("role")?.id.clone();
    edit_user(&server, "alice", |user| user.roles.retain(|role| *role != auditor)).await?;
    edit_client(&server, "app", |client| {
        client.default_scopes.retain(|id| records.scopes.get(id).is_none_or(|scope| scope.name != "email"));
    })
    .await?;
    assert!(scopes(&first.access)?.contains(&"email".to_owned()), "honest twin");
    let next = tokens(&refresh(&mut app, &first.refresh).await?)?;
    assert!(!holds(&next.access)?);
    assert!(!scopes(&next.access)?.contains(&"email".to_owned()));
    Ok(())
}

/// What an administrator does, and the refusal of every refresh after it.
const ENDINGS: [(&str, (u16, &str)); 6] = [
    ("user disabled", (400, "invalid_grant")),
    ("user deleted", (400, "invalid_grant")),
    ("user's not-before", (400, "invalid_grant")),
    ("session ended", (400, "invalid_grant")),
    ("all sessions ended", (400, "invalid_grant")),
    ("client disabled", (401, "invalid_client")),
];

async fn end(server: &TestServer, how: &str, held: &Tokens) -> Result<()> {
    let realm = realm_id(server).await?;
    let user = stored_user(server, "alice").await?.id;
    match how {
        "user disabled" => edit_user(server, "alice", |user| user.enabled = false).await,
        "user deleted" => write(server, vec![Write::DeleteUser(realm, user)]).await,
        "user's not-before" => {
            let later = server.clock.now().secs() + 1;
            edit_user(server, "alice", |user| user.not_before = later).await
        }
        "session ended" => {
            write(server, vec![Write::EndUserSession(realm, text(&held.access, "sid")?.as_str().into())]).await
        }
        "all sessions ended" => write(server, vec![Write::EndUserSessions { realm, user, except: None }]).await,
        _ => edit_client(server, "app", |client| client.settings.enabled = false).await,
    }
}

#[tokio::test]
async fn rt_10_what_ended_gives_no_tokens() -> Result<()> {
    for house in House::BOTH {
        for (how, (status, error)) in ENDINGS {
            let server = open(house).await?;
            let mut app = party(&server, "app")?;
            let held = login(&mut app).await?;
            let bob = login_of(&mut party(&server, "web")?, "bob").await?;
            end(&server, how, &held).await?;
            refused(&refresh(&mut app, &held.refresh).await?, status, error, &format!("{house:?} {how}"));
            assert_eq!(userinfo(&server, &held.access).await?.status, 401, "{house:?} {how}");
            tokens(&refresh(&mut party(&server, "web")?, &bob.refresh).await?).context("bob's")?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn rt_11_a_second_user_in_the_browser_inherits_nothing() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let alice = login(&mut app).await?;
        // The same browser, another user: alice's cookies of the session are gone, the rest stays.
        let target = app.authorize_target(&Pkce::new()?, &[("prompt", "login")]);
        assert_eq!(app.open(&target).await?.status, 200, "prompt=login shows the form");
        app.jar = Jar::default();
        let bob = login_of(&mut app, "bob").await?;
        assert_eq!(text(&bob.access, "preferred_username")?, "bob");
        assert_ne!(text(&bob.access, "sid")?, text(&alice.access, "sid")?);
        let next = tokens(&refresh(&mut app, &alice.refresh).await?)?;
        assert_eq!(text(&next.access, "sub")?, text(&alice.access, "sub")?, "{house:?}");
        // A token that names another subject than its session's user: good signature, refused.
        let key = forge::stored_key(&server, REALM, "HS512").await?;
        let key = SigningKey::from_hmac(Algorithm::HS512, key.kid.as_str(), key.private.expose())?;
        let (header, payload) = forge::texts(&bob.refresh)?;
        let subject = format!("\"{}\"", text(&alice.access, "sub")?);
        let forged = forge::under(&key, &header, &forge::with_member(&payload, "sub", &subject)?)?;
        refused(&refresh(&mut app, &forged).await?, 400, "invalid_grant", "another subject");
        tokens(&refresh(&mut app, &bob.refresh).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn rt_14_only_a_refresh_token_refreshes() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let (code, _) = crate::ground::code(&mut app).await?;
        let held = login(&mut app).await?;
        let (header, payload) = forge::texts(&held.refresh)?;
        let hmac = forge::stored_key(&server, REALM, "HS512").await?;
        let hmac = SigningKey::from_hmac(Algorithm::HS512, hmac.kid.as_str(), hmac.private.expose())?;
        let rsa = forge::realm_key(&server, REALM).await?;
        let rsa_header = forge::texts(&held.access)?.0;
        let typed = |typ: &str| forge::under(&hmac, &header, &forge::with_member(&payload, "typ", typ)?);
        let (head, body, signature) = forge::parts(&held.refresh)?;
        let mut forged = vec![
            ("access token", held.access.clone()),
            ("ID token", held.id.clone()),
            ("code", code),
            ("offline", typed("\"Offline\"")?),
            ("bearer", typed("\"Bearer\"")?),
            ("no typ", forge::under(&hmac, &header, &forge::without_member(&payload, "typ")?)?),
            ("lower case", typed("\"refresh\"")?),
            ("signed with the public keys' pair", forge::under(&rsa, &rsa_header, &payload)?),
            ("unsigned", format!("{head}.{body}.")),
            ("alg none", format!("{}.{body}.", forge::b64(b"{\"alg\":\"none\",\"typ\":\"JWT\"}"))),
            ("cut", held.refresh[..held.refresh.len() - 1].to_owned()),
            ("padded", format!("{}=", held.refresh)),
            ("another end", format!("{head}.{body}.{}AA", &signature[..signature.len() - 2])),
            ("text", "x".to_owned()),
        ];
        for name in ["iss", "azp", "sid", "exp", "jti"] {
            forged.push(("member gone", forge::under(&hmac, &header, &forge::without_member(&payload, name)?)?));
            forged.push(("member empty", forge::under(&hmac, &header, &forge::with_member(&payload, name, "\"\"")?)?));
        }
        for exp in ["\"99999999999\"", "null", "1e400", "[99999999999]", "-1"] {
            forged.push(("jw_04 exp", forge::under(&hmac, &header, &forge::with_member(&payload, "exp", exp)?)?));
        }
        for (name, token) in &forged {
            refused(&refresh(&mut app, token).await?, 400, "invalid_grant", &format!("{house:?} {name}: {token}"));
        }
        let same = forge::under(&hmac, &header, &payload)?;
        tokens(&refresh(&mut app, &same).await?).context("the key and the claims are the right ones")?;
        for token in [&held.refresh, &held.id] {
            assert_eq!(userinfo(&server, token).await?.status, 401, "te_25");
        }
    }
    Ok(())
}
