//! TE-16, TE-17, TE-22, RT-10, RT-16, LO-05: every rule that keeps somebody out, at every door.
//!
//! **Owns** the rules, how each is put in force and lifted. [`doors`] owns how each door is tried, [`cells`] what must come of it.
//!
//! **Does not own** the answers' exact bytes (the golden set), the single attacks (the other files).
//!
//! **Flow** all doors open -> a rule is put in force -> each door answers as its cell says -> the rule is lifted -> all doors open.
//! A new grant or rule does not compile before its cells are written.

mod cells;
mod doors;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use portcullis_core::ids::SessionId;
use portcullis_core::plan::Write;
use portcullis_core::time::Clock as _;
use portcullis_testkit::http1::Answer;
use portcullis_testkit::server::TestServer;
use serde_json::json;

use crate::forge::claims;
use crate::ground::{
    House, REALM, audience, by_password, edit_client, edit_realm, edit_user, fault, file, party, realm_id, stored_user,
    write,
};
use cells::cell;
use doors::{Door, Held, Seen, knock, lay, revoke, seen};

/// Why somebody is kept out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    DisabledUser,
    DisabledClient,
    DisabledRealm,
    RealmNotBefore,
    ClientNotBefore,
    UserNotBefore,
    LockedUser,
    Revoked,
    EndedSession,
    Expired,
    DeletedUser,
}

impl Rule {
    /// All; the last one cannot be lifted.
    const ALL: [Self; 11] = [
        Self::DisabledUser,
        Self::DisabledClient,
        Self::DisabledRealm,
        Self::RealmNotBefore,
        Self::ClientNotBefore,
        Self::UserNotBefore,
        Self::LockedUser,
        Self::Revoked,
        Self::EndedSession,
        Self::Expired,
        Self::DeletedUser,
    ];
}

/// The clients of the doors; `web` asks at introspection, so it stays.
const CLIENTS: [&str; 5] = ["app", "tool", "service", "swap", "tv"];

/// The client of codes and tokens, and the one of the device.
async fn not_before(server: &TestServer, at: i64) -> Result<()> {
    for client in ["app", "tv"] {
        edit_client(server, client, |client| client.settings.not_before = at).await?;
    }
    Ok(())
}

async fn furnished(house: House) -> Result<TestServer> {
    let server = TestServer::start().await?;
    let mut realm = file(REALM);
    realm["users"][0]["clientRoles"] = json!({ "realm-management": ["view-realm"] });
    realm["failureFactor"] = json!(2);
    let clients = realm["clients"].as_array_mut().context("clients")?;
    let app = clients.iter_mut().find(|client| client["clientId"] == "app").context("app")?;
    app["protocolMappers"].as_array_mut().context("mappers")?.push(audience("web"));
    app["attributes"] = json!({ "post.logout.redirect.uris": "+" });
    match house {
        House::Strict => server.import_strict(&realm).await?,
        House::Keycloak => server.import(&realm).await?,
    };
    Ok(server)
}

/// Puts a rule in force.
async fn apply(server: &TestServer, rule: Rule, all: &[(Door, Held)]) -> Result<()> {
    let cut = server.clock.now().secs() + 1;
    match rule {
        Rule::DisabledUser => edit_user(server, "alice", |user| user.enabled = false).await?,
        Rule::DisabledClient => clients(server, false).await?,
        Rule::DisabledRealm => edit_realm(server, |realm| realm.settings.enabled = false).await?,
        Rule::RealmNotBefore => edit_realm(server, |realm| realm.settings.not_before = cut).await?,
        Rule::ClientNotBefore => not_before(server, cut).await?,
        Rule::UserNotBefore => edit_user(server, "alice", |user| user.not_before = cut).await?,
        Rule::LockedUser => lock(server).await?,
        Rule::Revoked => revoke_all(server, all).await?,
        Rule::EndedSession => {
            let user = stored_user(server, "alice").await?.id;
            write(server, vec![Write::EndUserSessions { realm: realm_id(server).await?, user, except: None }]).await?;
        }
        Rule::Expired => server.clock.advance(Duration::from_secs(40_000)),
        Rule::DeletedUser => {
            let user = stored_user(server, "alice").await?.id;
            write(server, vec![Write::DeleteUser(realm_id(server).await?, user)]).await?;
        }
    }
    // What is given from here on is younger than every not-before.
    server.clock.advance(Duration::from_secs(1));
    Ok(())
}

async fn clients(server: &TestServer, enabled: bool) -> Result<()> {
    for client in CLIENTS {
        edit_client(server, client, |client| client.settings.enabled = enabled).await?;
    }
    Ok(())
}

async fn lock(server: &TestServer) -> Result<()> {
    edit_realm(server, |realm| realm.settings.brute_force_protected = true).await?;
    for _ in 0..2 {
        let wrong = [("grant_type", "password"), ("username", "alice"), ("password", "wrong")];
        assert_eq!(party(server, "tool")?.token(&wrong).await?.status, 401);
    }
    Ok(())
}

/// The token that each door looks at.
async fn revoke_all(server: &TestServer, all: &[(Door, Held)]) -> Result<()> {
    for (door, held) in all {
        let token = if door.ends_session() { &held.tokens.refresh } else { &held.tokens.access };
        let answer = revoke(server, token).await?;
        ensure!(answer.status == 200 && answer.text().is_empty(), "{door:?} {}", answer.text());
    }
    Ok(())
}

/// Lifts a rule. `false`: it cannot be lifted; what comes next is given anew.
async fn lift(server: &TestServer, rule: Rule) -> Result<bool> {
    match rule {
        Rule::DisabledUser => edit_user(server, "alice", |user| user.enabled = true).await?,
        Rule::DisabledClient => clients(server, true).await?,
        Rule::DisabledRealm => edit_realm(server, |realm| realm.settings.enabled = true).await?,
        Rule::RealmNotBefore => edit_realm(server, |realm| realm.settings.not_before = 0).await?,
        Rule::ClientNotBefore => not_before(server, 0).await?,
        Rule::UserNotBefore => edit_user(server, "alice", |user| user.not_before = 0).await?,
        Rule::LockedUser => server.clock.advance(Duration::from_secs(901)),
        Rule::Revoked | Rule::EndedSession | Rule::Expired | Rule::DeletedUser => return Ok(false),
    }
    Ok(true)
}

/// The honest twin: every door opens.
async fn all_open(server: &TestServer, all: &[(Door, Held)], what: &str) -> Result<()> {
    let spent = lay(server, |door| !door.takes_nothing()).await?;
    for (door, held) in all.iter().filter(|(door, _)| door.takes_nothing()).chain(&spent) {
        let answer = knock(server, *door, held).await?;
        assert_eq!(seen(*door, &answer), Seen::Open, "{what}: {door:?} {} {:.200}", answer.status, answer.text());
    }
    Ok(())
}

/// No refusal carries anything.
fn empty_handed(answer: &Answer, what: &str) {
    let location = answer.header("location").unwrap_or_default();
    for secret in ["access_token", "refresh_token\":", "id_token\":", "code="] {
        assert!(!location.contains(secret) && !answer.text().contains(&format!("\"{secret}\"")), "{what}: {secret}");
    }
}

async fn is_gone(server: &TestServer, held: &Held) -> Result<bool> {
    let sid = claims(&held.tokens.access)?["sid"].as_str().map(SessionId::from).context("sid")?;
    Ok(server.db.user_session(&realm_id(server).await?, &sid).await?.is_none())
}

async fn run(house: House) -> Result<()> {
    let server = furnished(house).await?;
    let mut wrong = Vec::new();
    for rule in Rule::ALL {
        let all = lay(&server, |_| true).await?;
        all_open(&server, &all, &format!("{house:?} before {rule:?}")).await?;
        apply(&server, rule, &all).await?;
        let mut shut = Vec::new();
        for (at, (door, held)) in all.iter().enumerate() {
            let answer = knock(&server, *door, held).await?;
            let (found, expected) = (seen(*door, &answer), cell(rule, *door));
            if !expected.is(&found) {
                wrong.push(format!("{house:?} {rule:?} {door:?}: {found:?}, not {expected:?}: {:.200}", answer.text()));
            }
            if found == Seen::Open {
                let ended = matches!(door, Door::BrowserLogout | Door::TokenLogout);
                assert!(!ended || is_gone(&server, held).await?, "{house:?} {rule:?} {door:?} ended nothing");
            } else {
                empty_handed(&answer, &format!("{rule:?} {door:?}"));
                shut.push(at);
            }
        }
        if lift(&server, rule).await? {
            for at in shut {
                let Some((door, held)) = all.get(at).filter(|(door, _)| door.spends_nothing()) else { continue };
                let answer = knock(&server, *door, held).await?;
                if seen(*door, &answer) != Seen::Open {
                    wrong.push(format!(
                        "{house:?} {rule:?} lifted: {door:?}: {} {:.200}",
                        answer.status,
                        answer.text()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
    // The deleted user took nobody along.
    crate::ground::tokens(&by_password(&server, "bob").await?)?;
    assert_eq!(fault(&by_password(&server, "alice").await?).0, 401);
    Ok(())
}

#[tokio::test]
async fn te_16_te_17_te_22_every_rule_at_every_door_of_a_strict_realm() -> Result<()> {
    run(House::Strict).await
}

#[tokio::test]
async fn te_16_te_17_te_22_every_rule_at_every_door_of_a_keycloak_realm() -> Result<()> {
    run(House::Keycloak).await
}
