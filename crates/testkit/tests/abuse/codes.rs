//! PC: authorization codes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_core::flow::{CODE_FORMAT, IssuedCode};
use portcullis_core::oauth::grants::authorization_code;
use portcullis_core::plan::Write;
use portcullis_core::session::Grant;
use portcullis_core::time::Clock as _;
use portcullis_store::{Key, Kind};
use portcullis_testkit::rp::{Pkce, RelyingParty};
use portcullis_testkit::server::TestServer;

use crate::forge;
use crate::ground::{
    BACK, House, REALM, TWIN, code, edit_client, edit_user, fault, invalid_grant, login, login_of, open, open_both,
    party, realm_id, records, refresh, refused, registration, stored_user, tokens, userinfo, write,
};

/// What is done to one field of the honest request.
enum Change {
    Drop,
    Set(String),
    Append(&'static str),
    Cut,
    Flip,
}

impl Change {
    fn apply(&self, value: &str) -> Option<String> {
        let mut chars: Vec<char> = value.chars().collect();
        match self {
            Self::Drop => return None,
            Self::Set(text) => return Some(text.clone()),
            Self::Append(more) => chars.extend(more.chars()),
            Self::Cut => {
                chars.pop();
            }
            Self::Flip => {
                let last = chars.pop();
                chars.push(if last == Some('0') { '1' } else { '0' });
            }
        }
        Some(chars.into_iter().collect())
    }
}

/// One attack on the exchange of a fresh code of `app`.
struct Attack {
    name: &'static str,
    client: &'static str,
    field: &'static str,
    change: Change,
    expect: (u16, &'static str),
    /// Whether the code is dead afterwards: it is, once the client proved who it is.
    spent: bool,
}

fn attack(name: &'static str, field: &'static str, change: Change, spent: bool) -> Attack {
    Attack { name, client: "app", field, change, expect: (400, "invalid_grant"), spent }
}

fn attacks() -> Vec<Attack> {
    let verifier = |text: &str| Change::Set(text.to_owned());
    let same = || Change::Append("");
    vec![
        Attack { client: "other", ..attack("pc_01 a confidential client", "code", same(), true) },
        Attack { client: "second", ..attack("pc_01 a public client", "code", same(), true) },
        attack("pc_05 redirect_uri missing", "redirect_uri", Change::Drop, true),
        attack("pc_05 redirect_uri empty", "redirect_uri", verifier(""), true),
        attack("pc_05 redirect_uri longer", "redirect_uri", Change::Append("/"), true),
        attack("pc_05 redirect_uri of somebody else", "redirect_uri", verifier("https://evil.test/cb"), true),
        attack("pc_06 verifier missing", "code_verifier", Change::Drop, true),
        attack("pc_06 verifier empty", "code_verifier", verifier(""), true),
        attack("pc_07 verifier wrong", "code_verifier", Change::Flip, true),
        attack("pc_07 the challenge as its verifier", "code_verifier", verifier(&"c".repeat(43)), true),
        attack("pc_11 verifier short", "code_verifier", Change::Cut, true),
        attack("pc_11 verifier long", "code_verifier", verifier(&"v".repeat(129)), true),
        attack("pc_11 verifier with a blank", "code_verifier", Change::Append(" "), true),
        attack("pc_11 verifier with padding", "code_verifier", Change::Append("="), true),
        attack("pc_13 code changed", "code", Change::Flip, false),
        attack("pc_13 code cut", "code", Change::Cut, false),
        attack("pc_13 code padded", "code", Change::Append("="), false),
        attack("pc_13 code with a blank", "code", Change::Append(" "), false),
        attack("pc_13 code with a line end", "code", Change::Append("\n"), false),
        attack("pc_13 code twice", "code", Change::Append(".x"), false),
        Attack { expect: (400, "invalid_request"), ..attack("te_12 no code", "code", Change::Drop, false) },
    ]
}

async fn present(party: &mut RelyingParty, code: &str, pkce: &Pkce, attack: &Attack) -> Result<(u16, String)> {
    let honest = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", &pkce.verifier),
    ];
    let changed: Vec<(&str, String)> = honest
        .into_iter()
        .filter_map(|(name, value)| {
            let value = if name == attack.field { attack.change.apply(value) } else { Some(value.to_owned()) };
            Some((name, value?))
        })
        .collect();
    let fields: Vec<(&str, &str)> = changed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = party.token(&fields).await?;
    refused(&answer, attack.expect.0, attack.expect.1, attack.name);
    Ok(fault(&answer))
}

#[tokio::test]
async fn pc_01_pc_05_pc_06_pc_07_pc_11_pc_13_a_code_serves_its_own_request_once() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        for attack in attacks() {
            let (code, pkce) = code(&mut app).await?;
            let mut thief = party(&server, attack.client)?;
            present(&mut thief, &code, &pkce, &attack).await?;
            let honest = app.exchange(&code, &pkce).await?;
            if attack.spent {
                refused(&honest, 400, "invalid_grant", attack.name);
            } else {
                tokens(&honest).with_context(|| format!("{house:?} {}: the code itself", attack.name))?;
            }
            login(&mut app).await.with_context(|| format!("{house:?} after {}", attack.name))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn pc_01_a_client_that_fails_to_prove_itself_spends_no_code() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut web = party(&server, "web")?;
    let (code, pkce) = code(&mut web).await?;
    let mut registration = registration(REALM, "web");
    for secret in [None, Some("other-secret".to_owned()), Some("web-secret ".to_owned())] {
        registration.client_secret = secret;
        let answer = server.relying_party(registration.clone())?.exchange(&code, &pkce).await?;
        refused(&answer, 401, "unauthorized_client", "te_03");
    }
    tokens(&web.exchange(&code, &pkce).await?)?;
    Ok(())
}

/// What a code of this login of alice's at `client` would stand for.
pub(crate) async fn issued(server: &TestServer, client: &str, session: &str, pkce: &Pkce) -> Result<IssuedCode> {
    let records = records(server, REALM).await?;
    Ok(IssuedCode {
        format: CODE_FORMAT,
        issued_at: server.clock.now().secs(),
        expires_at: server.clock.now().secs() + 60,
        realm: records.realm.id.clone(),
        session: session.into(),
        client: records.client(client).context("client")?.id.clone(),
        user: stored_user(server, "alice").await?.id,
        grant: Grant { scope: "openid".to_owned(), redirect_uri: Some(BACK.to_owned()), ..Grant::default() },
        challenge: Some(portcullis_core::flow::CodeChallenge {
            challenge: pkce.challenge.clone(),
            method: portcullis_core::flow::ChallengeMethod::S256,
        }),
        dpop_jkt: None,
    })
}

pub(crate) async fn plant(server: &TestServer, kind: Kind, text: &str, value: &IssuedCode) -> Result<()> {
    let id = authorization_code::storage_id(&authorization_code::hash(text));
    let key = Key::new(kind, value.realm.clone(), id);
    let now = server.clock.now();
    server.ephemeral.put(&key, serde_json::to_vec(value)?, now.secs() + 120, now).await?;
    Ok(())
}

pub(crate) fn session_of(access: &str) -> Result<String> {
    Ok(forge::claims(access)?["sid"].as_str().context("sid")?.to_owned())
}

#[tokio::test]
async fn pc_02_a_value_of_another_kind_is_no_code() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let first = login(&mut app).await?;
        let pkce = Pkce::new()?;
        let value = issued(&server, "app", &session_of(&first.access)?, &pkce).await?;
        for kind in [Kind::LoginFlow, Kind::LoginSlot, Kind::Replay, Kind::Rate, Kind::Lease, Kind::Restart] {
            let name = format!("planted as {kind:?}");
            plant(&server, kind, &name, &value).await?;
            refused(&app.exchange(&name, &pkce).await?, 400, "invalid_grant", &name);
        }
        // The value itself is sound: under the kind of codes it is one.
        plant(&server, Kind::Code, "planted", &value).await?;
        let good = tokens(&app.exchange("planted", &pkce).await?)?;
        let cookie = app.jar.get("AUTH_SESSION_ID").unwrap_or("none").to_owned();
        let session = session_of(&good.access)?;
        let hash = authorization_code::storage_id(&authorization_code::hash("planted"));
        for text in [&good.access, &good.refresh, &good.id, &cookie, &session, &hash] {
            refused(&app.exchange(text, &pkce).await?, 400, "invalid_grant", text);
        }
        tokens(&refresh(&mut app, &good.refresh).await?).context("none of it touched the login")?;
    }
    Ok(())
}

#[tokio::test]
async fn pc_02_a_planted_value_of_another_realm_or_format_is_no_code() -> Result<()> {
    let server = open_both(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let first = login(&mut app).await?;
    let pkce = Pkce::new()?;
    let value = issued(&server, "app", &session_of(&first.access)?, &pkce).await?;
    let twin = records(&server, TWIN).await?;
    let bob = stored_user(&server, "bob").await?.id;
    let second = twin.client("app").context("client")?.id.clone();
    for (name, changed) in [
        ("format", IssuedCode { format: CODE_FORMAT + 1, ..value.clone() }),
        ("user", IssuedCode { user: bob, ..value.clone() }),
        ("session", IssuedCode { session: "nobody".into(), ..value.clone() }),
        ("client", IssuedCode { client: second, ..value.clone() }),
        ("expired", IssuedCode { expires_at: server.clock.now().secs(), ..value.clone() }),
        ("no challenge", IssuedCode { challenge: None, ..value.clone() }),
    ] {
        plant(&server, Kind::Code, name, &changed).await?;
        refused(&app.exchange(name, &pkce).await?, 400, "invalid_grant", name);
    }
    // A value that names another realm, under this realm's key.
    let foreign = IssuedCode { realm: twin.realm.id.clone(), ..value.clone() };
    let id = authorization_code::storage_id(&authorization_code::hash("realm"));
    let key = Key::new(Kind::Code, value.realm.clone(), id);
    let now = server.clock.now();
    server.ephemeral.put(&key, serde_json::to_vec(&foreign)?, now.secs() + 120, now).await?;
    refused(&app.exchange("realm", &pkce).await?, 400, "invalid_grant", "realm");
    plant(&server, Kind::Code, "good", &value).await?;
    tokens(&app.exchange("good", &pkce).await?)?;
    Ok(())
}

#[tokio::test]
async fn pc_03_a_second_use_revokes_what_the_first_gave() -> Result<()> {
    for house in House::BOTH {
        for later in [1, 30, 61, 300] {
            let server = open(house).await?;
            let (mut app, mut web) = (party(&server, "app")?, party(&server, "web")?);
            let (code, pkce) = code(&mut app).await?;
            let given = tokens(&app.exchange(&code, &pkce).await?)?;
            // The same browser at another client, and the same client in another browser.
            web.jar = app.jar.clone();
            let beside = login(&mut web).await?;
            let mut elsewhere = party(&server, "app")?;
            let apart = login(&mut elsewhere).await?;
            server.clock.advance(Duration::from_secs(later));
            let before = userinfo(&server, &given.access).await?.status;
            assert_eq!(before, if later < 300 { 200 } else { 401 }, "honest twin");
            let name = format!("{house:?} {later} s later");
            refused(&app.exchange(&code, &pkce).await?, 400, "invalid_grant", &name);
            assert_eq!(userinfo(&server, &given.access).await?.status, 401, "{name}");
            refused(&refresh(&mut app, &given.refresh).await?, 400, "invalid_grant", &name);
            tokens(&refresh(&mut web, &beside.refresh).await?).context("the other client")?;
            tokens(&refresh(&mut elsewhere, &apart.refresh).await?).context("the other browser")?;
            login(&mut app).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn pc_04_a_code_lives_for_a_minute() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    for (age, good) in [(59, true), (60, false), (61, false), (3600, false)] {
        let (code, pkce) = code(&mut app).await?;
        server.clock.advance(Duration::from_secs(age));
        let answer = app.exchange(&code, &pkce).await?;
        if good {
            tokens(&answer)?;
        } else {
            refused(&answer, 400, "invalid_grant", &format!("{age} s"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn pc_14_a_code_is_good_in_its_own_realm_only() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        for client in ["app", "web"] {
            let mut home = party(&server, client)?;
            let (code, pkce) = code(&mut home).await?;
            let answer = server.relying_party(registration(TWIN, client))?.exchange(&code, &pkce).await?;
            refused(&answer, 400, "invalid_grant", client);
            tokens(&home.exchange(&code, &pkce).await?).context("the other realm cannot spend it")?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn pc_15_what_changed_since_the_login_counts() -> Result<()> {
    for house in House::BOTH {
        for change in ["user disabled", "client disabled", "redirect lost", "flow off", "session ended", "user deleted"]
        {
            let server = open(house).await?;
            let mut app = party(&server, "app")?;
            let kept = login(&mut app).await?;
            let (code, pkce) = code(&mut app).await?;
            let mut expect = (400, "invalid_grant");
            match change {
                "user disabled" => edit_user(&server, "alice", |u| u.enabled = false).await?,
                "client disabled" => {
                    edit_client(&server, "app", |c| c.settings.enabled = false).await?;
                    expect = (401, "invalid_client");
                }
                "redirect lost" => {
                    edit_client(&server, "app", |c| c.redirect_uris = vec!["https://app.test/cb".to_owned()]).await?;
                }
                "flow off" => edit_client(&server, "app", |c| c.settings.standard_flow_enabled = false).await?,
                "session ended" => {
                    let session = session_of(&kept.access)?.as_str().into();
                    write(&server, vec![Write::EndUserSession(realm_id(&server).await?, session)]).await?;
                }
                _ => {
                    let user = stored_user(&server, "alice").await?.id;
                    write(&server, vec![Write::DeleteUser(realm_id(&server).await?, user)]).await?;
                }
            }
            refused(&app.exchange(&code, &pkce).await?, expect.0, expect.1, &format!("{house:?} {change}"));
            let mut web = party(&server, "web")?;
            login_of(&mut web, "bob").await.with_context(|| format!("bob after {change}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn pc_16_guessing_leads_nowhere() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let (honest, pkce) = code(&mut app).await?;
    let (first, rest) = honest.split_once('.').context("parts")?;
    let random: String = first.chars().filter(char::is_ascii_hexdigit).collect();
    assert!(random.len() >= 32 && rest.len() >= 36, "128 bits and more: {honest}");
    for _ in 0..300 {
        let guess = forge::b64(&portcullis_testkit::pace::random(16)?);
        let answer = app.exchange(&format!("{guess}.{rest}"), &pkce).await?;
        assert_eq!(fault(&answer), invalid_grant());
    }
    tokens(&app.exchange(&honest, &pkce).await?)?;
    Ok(())
}
