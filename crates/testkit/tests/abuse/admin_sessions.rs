//! AD and LO at the doors where an administrator ends sessions.

use anyhow::{Context as _, Result};
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::TestServer;
use serde_json::json;

use crate::forge::claims;
use crate::ground::{
    House, REALM, TWIN, admin_token, by_password, edit_user, fault, invalid_grant, login, login_of, open, open_both,
    party, realm_id, records, refresh, stored_user, tokens, userinfo,
};

const NOBODY: &str = "11111111-1111-1111-1111-111111111111";

pub(crate) async fn ask(server: &TestServer, token: &str, method: &str, path: &str) -> Result<Answer> {
    let ask =
        Exchange::new(method, &format!("/admin/realms/{path}")).header("Authorization", &format!("Bearer {token}"));
    server.client()?.send(&ask).await
}

/// The administrative role of the realm's own for bob, and no other.
pub(crate) async fn empower(server: &TestServer, role: Option<&str>) -> Result<()> {
    let records = records(server, REALM).await?;
    let holder = records.client("realm-management").context("realm-management")?.id.clone();
    let role = role.map(|name| records.roles.named(Some(&holder), name).map(|role| role.id.clone()).context("no role"));
    let role = role.transpose()?;
    edit_user(server, "bob", |user| user.roles = role.into_iter().collect()).await
}

#[tokio::test]
async fn ad_01_ad_02_ad_24_only_who_manages_users_ends_their_sessions() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let mut held = login(&mut app).await?;
        let alice = stored_user(&server, "alice").await?.id;
        let sid = claims(&held.access)?["sid"].as_str().unwrap_or_default().to_owned();
        let doors = [
            ("POST", format!("{REALM}/users/{alice}/logout")),
            ("DELETE", format!("{REALM}/sessions/{sid}")),
            ("POST", format!("{REALM}/logout-all")),
        ];
        for role in [None, Some("view-users"), Some("query-users"), Some("manage-clients"), Some("manage-realm")] {
            empower(&server, role).await?;
            let token = tokens(&by_password(&server, "bob").await?)?.access;
            for (method, path) in &doors {
                let answer = ask(&server, &token, method, path).await?;
                assert_eq!(answer.status, 403, "{house:?} {role:?} {path}: {}", answer.text());
            }
            let sees = role == Some("view-users");
            let list = ask(&server, &token, "GET", &format!("{REALM}/users/{alice}/sessions")).await?;
            assert_eq!(list.status, if sees { 200 } else { 403 }, "{house:?} {role:?}");
            held = tokens(&refresh(&mut app, &held.refresh).await?).context("alice lives on")?;
        }
        // A right that was taken away is gone at once (AD-24); the wrong method never reaches the work (AD-29).
        empower(&server, Some("manage-users")).await?;
        let token = tokens(&by_password(&server, "bob").await?)?.access;
        for (method, path) in [("GET", 0), ("PUT", 0), ("GET", 1), ("POST", 1), ("GET", 2), ("HEAD", 2)] {
            let path = doors.get(path).map(|(_, path)| path.as_str()).unwrap_or_default();
            assert_eq!(ask(&server, &token, method, path).await?.status, 405, "{house:?} {method} {path}");
        }
        empower(&server, None).await?;
        for (method, path) in &doors {
            assert_eq!(ask(&server, &token, method, path).await?.status, 403, "{house:?} {path}");
        }
        tokens(&refresh(&mut app, &held.refresh).await?)?;
        // The honest twin.
        empower(&server, Some("manage-users")).await?;
        let [first, second, all] = doors;
        assert_eq!(ask(&server, &token, second.0, &second.1).await?.status, 204, "{house:?}");
        assert_eq!(ask(&server, &token, second.0, &second.1).await?.status, 404, "{house:?}: once");
        assert_eq!(refresh(&mut app, &held.refresh).await?.status, 400, "{house:?}");
        assert_eq!(ask(&server, &token, first.0, &first.1).await?.status, 204, "{house:?}");
        assert_eq!(ask(&server, &token, all.0, &all.1).await?.status, 200, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ad_10_ad_12_sessions_and_users_of_another_realm_are_not_there() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        let root = admin_token(&server).await?;
        let (alice, bob) =
            (stored_user(&server, "alice").await?.id, stored_user(&server, "service-account-service").await?.id);
        let sid = claims(&held.access)?["sid"].as_str().unwrap_or_default().to_owned();
        for (method, path) in [
            ("DELETE", format!("{TWIN}/sessions/{sid}")),
            ("POST", format!("{TWIN}/users/{bob}/logout")),
            ("GET", format!("{TWIN}/users/{bob}/sessions")),
            ("POST", format!("{REALM}/users/{NOBODY}/logout")),
            ("DELETE", format!("{REALM}/sessions/{NOBODY}")),
            ("POST", format!("no-such-realm/users/{alice}/logout")),
        ] {
            assert_eq!(ask(&server, &root, method, &path).await?.status, 404, "{house:?} {path}");
        }
        // An administrator of one realm is nobody in the other.
        empower(&server, Some("manage-users")).await?;
        let token = tokens(&by_password(&server, "bob").await?)?.access;
        assert_eq!(ask(&server, &token, "POST", &format!("{TWIN}/logout-all")).await?.status, 403, "{house:?}");
        assert_eq!(userinfo(&server, &held.access).await?.status, 200, "{house:?}: nothing ended");
        let listed = ask(&server, &token, "GET", &format!("{REALM}/users/{alice}/sessions")).await?.json();
        assert_eq!((&listed[0]["id"], &listed[0]["username"]), (&json!(sid), &json!("alice")), "{house:?}");
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn lo_05_ad_26_an_administrator_ends_everything_and_leaves_a_record() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let (mut app, mut other) = (party(&server, "app")?, party(&server, "app")?);
        let (held, of_bob) = (login(&mut app).await?, login_of(&mut other, "bob").await?);
        let root = admin_token(&server).await?;
        let alice = stored_user(&server, "alice").await?.id;
        assert_eq!(ask(&server, &root, "POST", &format!("{REALM}/users/{alice}/logout")).await?.status, 204);
        assert_eq!(refresh(&mut app, &held.refresh).await?.status, 400, "{house:?}");
        assert_eq!(userinfo(&server, &held.access).await?.status, 401, "{house:?}");
        let of_bob = tokens(&refresh(&mut other, &of_bob.refresh).await?).context("bob lives on")?;
        server.clock.advance(std::time::Duration::from_secs(1));
        let root = admin_token(&server).await?;
        assert_eq!(ask(&server, &root, "POST", &format!("{REALM}/logout-all")).await?.status, 200);
        assert_eq!(refresh(&mut other, &of_bob.refresh).await?.status, 400, "{house:?}");
        assert_eq!(userinfo(&server, &of_bob.access).await?.status, 401, "{house:?}");
        assert!(server.db.online_sessions(&realm_id(&server).await?, 10).await?.is_empty(), "{house:?}");
        let events = server.db.events(&realm_id(&server).await?, 10).await?;
        let ended = events.iter().filter(|event| format!("{event:?}").contains("administrator")).count();
        assert_eq!(ended, 2, "{house:?}: {events:?}");
        // The honest twin: a new login is a new beginning.
        server.clock.advance(std::time::Duration::from_secs(1));
        let mut again = party(&server, "app")?;
        let fresh = login(&mut again).await?;
        assert_eq!(userinfo(&server, &fresh.access).await?.status, 200, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn rt_21_one_session_ended_of_many_takes_no_other_along() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let (mut first, mut second) = (party(&server, "app")?, party(&server, "app")?);
        let (ended, kept) = (login(&mut first).await?, login(&mut second).await?);
        let sid = claims(&ended.access)?["sid"].as_str().context("sid")?.to_owned();
        let root = admin_token(&server).await?;
        assert_eq!(ask(&server, &root, "DELETE", &format!("{REALM}/sessions/{sid}")).await?.status, 204, "{house:?}");
        assert_eq!(fault(&refresh(&mut first, &ended.refresh).await?), invalid_grant(), "{house:?}");
        tokens(&refresh(&mut second, &kept.refresh).await?).with_context(|| format!("{house:?}: her other session"))?;
    }
    Ok(())
}
