//! AD, DS and EN at the doors where an administrator finds, changes and removes users and reads clients.

use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_core::cutoff::Ended;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::Pkce;
use portcullis_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::admin_sessions::{ask, empower};
use crate::ground::{
    House, ORIGIN, REALM, TWIN, Tokens, admin_token, by_password, edit_user, fault, invalid_grant, login, open,
    open_both, party, realm_id, records, refresh, stored_user, tokens, userinfo,
};

const NOBODY: &str = "11111111-1111-1111-1111-111111111111";

async fn put(server: &TestServer, token: &str, user: &str, body: &Value) -> Result<Answer> {
    let ask = Exchange::json("PUT", &format!("/admin/realms/{REALM}/users/{user}"), body);
    server.client()?.send(&ask.header("Authorization", &format!("Bearer {token}"))).await
}

async fn bobs_token(server: &TestServer, role: Option<&str>) -> Result<String> {
    empower(server, role).await?;
    Ok(tokens(&by_password(server, "bob").await?)?.access)
}

fn names(answer: &Answer, member: &str) -> Vec<String> {
    let list = answer.json().as_array().cloned().unwrap_or_default();
    list.iter().filter_map(|one| one[member].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn ds_21_signs_of_the_store_are_letters_and_pages_are_bounded() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let root = admin_token(&server).await?;
        let found = async |query: &str| -> Result<Answer> {
            ask(&server, &root, "GET", &format!("{REALM}/users?{query}")).await
        };
        for query in
            ["search=%25", "search=%25%25%25", "search=_", "search=!", "username=%25", "email=_lice", "search=*%25*"]
        {
            let answer = found(query).await?;
            assert_eq!((answer.status, names(&answer, "username")), (200, vec![]), "{house:?} {query}");
        }
        for query in ["search=*", "search=**a**", "search=*example*", "max=1000000000", "max=-1", "first=-5"] {
            let answer = found(query).await?;
            assert_eq!(
                (answer.status, names(&answer, "username")),
                (200, vec!["alice".into(), "bob".into()]),
                "{house:?} {query}"
            );
        }
        for query in ["first=9223372036854775807", "max=0", "search=nobody", "q=a:b"] {
            let answer = found(query).await?;
            assert_eq!((answer.status, names(&answer, "username")), (200, vec![]), "{house:?} {query}");
        }
        for query in ["first=x", "max=1e9", "max=99999999999999999999", "search=%00"] {
            assert_eq!(found(query).await?.status, 404, "{house:?} {query}");
        }
        let many = format!("search={}", "*a*+".repeat(200));
        assert_eq!(found(&many).await?.status, 404, "{house:?}: too many words");
        // The honest twins.
        for (query, want) in [
            ("search=ali", "alice"),
            ("username=OB", "bob"),
            ("email=bob@&max=1", "bob"),
            ("lastName=test&first=1", "bob"),
        ] {
            assert_eq!(names(&found(query).await?, "username"), [want], "{house:?} {query}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn en_16_ids_and_numbers_tell_nothing_to_those_without_a_right() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let alice = stored_user(&server, "alice").await?.id.to_string();
        let app = records(&server, REALM).await?.client("app").context("app")?.id.to_string();
        for role in [None, Some("manage-clients"), Some("view-realm")] {
            let token = bobs_token(&server, role).await?;
            for id in [&alice, NOBODY] {
                for method in ["GET", "PUT", "DELETE", "HEAD"] {
                    let answer = ask(&server, &token, method, &format!("{REALM}/users/{id}")).await?;
                    assert_eq!(answer.status, 403, "{house:?} {role:?} {method} {id}");
                }
            }
            for path in ["users", "users/count", "users?username=alice&exact=true"] {
                let answer = ask(&server, &token, "GET", &format!("{REALM}/{path}")).await?;
                assert_eq!(answer.status, 403, "{house:?} {role:?} {path}");
            }
        }
        for role in [None, Some("manage-users"), Some("view-realm")] {
            let token = bobs_token(&server, role).await?;
            for id in [&app, NOBODY] {
                for tail in ["", "/session-count", "/user-sessions", "/offline-session-count", "/offline-sessions"] {
                    let answer = ask(&server, &token, "GET", &format!("{REALM}/clients/{id}{tail}")).await?;
                    assert_eq!(answer.status, 403, "{house:?} {role:?} {id}{tail}");
                }
            }
            assert_eq!(
                ask(&server, &token, "GET", &format!("{REALM}/clients")).await?.status,
                403,
                "{house:?} {role:?}"
            );
        }
        // As recorded: who may query learns whether an id is one, and nothing more.
        let token = bobs_token(&server, Some("query-users")).await?;
        for method in ["GET", "PUT", "DELETE"] {
            for (id, status) in [(alice.as_str(), 403), (NOBODY, 404)] {
                let answer = ask(&server, &token, method, &format!("{REALM}/users/{id}")).await?;
                assert_eq!(answer.status, status, "{house:?} {method} {id}");
            }
        }
        for query in ["users", "users?username=alice&exact=true", "users?search=ali"] {
            let answer = ask(&server, &token, "GET", &format!("{REALM}/{query}")).await?;
            assert_eq!((answer.status, answer.text().as_str()), (200, "[]"), "{house:?} {query}");
        }
        assert!(stored_user(&server, "alice").await?.enabled, "{house:?}: nothing happened");
    }
    Ok(())
}

#[tokio::test]
async fn ad_09_who_manages_users_does_not_change_who_may_do_more() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let records = records(&server, REALM).await?;
        let holder = &records.client("realm-management").context("realm-management")?.id;
        let admin = records.roles.named(Some(holder), "realm-admin").context("realm-admin")?.id.clone();
        edit_user(&server, "alice", |user| user.roles = vec![admin]).await?;
        let alice = stored_user(&server, "alice").await?.id.to_string();
        let bob = stored_user(&server, "bob").await?.id.to_string();
        let token = bobs_token(&server, Some("manage-users")).await?;
        let body = json!({ "email": "bob@elsewhere.test" });
        let status = if house == House::Strict { 403 } else { 204 };
        assert_eq!(put(&server, &token, &alice, &body).await?.status, status, "{house:?}");
        if house == House::Strict {
            assert_eq!(ask(&server, &token, "DELETE", &format!("{REALM}/users/{alice}")).await?.status, 403);
            assert_eq!(stored_user(&server, "alice").await?.email.as_deref(), Some("alice@example.test"));
            // AD-25: nobody removes himself.
            assert_eq!(ask(&server, &token, "DELETE", &format!("{REALM}/users/{bob}")).await?.status, 409);
        }
        // The honest twin: oneself, and those without roles.
        assert_eq!(put(&server, &token, &bob, &json!({ "firstName": "Robert" })).await?.status, 204, "{house:?}");
        edit_user(&server, "alice", |user| user.roles.clear()).await?;
        assert_eq!(put(&server, &token, &alice, &json!({ "firstName": "A" })).await?.status, 204, "{house:?}");
        assert_eq!(ask(&server, &token, "DELETE", &format!("{REALM}/users/{alice}")).await?.status, 204, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn rt_16_an_account_that_is_switched_off_or_removed_gives_nothing() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let root = admin_token(&server).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        let user = stored_user(&server, "alice").await?.id;
        let realm = realm_id(&server).await?;
        let gone = Ended::Subject(user.clone());
        assert_eq!(server.db.cut_off(&realm, &gone).await?, None, "{house:?}");
        assert_eq!(put(&server, &root, user.as_str(), &json!({ "enabled": false })).await?.status, 204, "{house:?}");
        assert!(server.db.cut_off(&realm, &gone).await?.is_some(), "{house:?}: guards are told");
        assert_eq!(fault(&refresh(&mut app, &held.refresh).await?), invalid_grant(), "{house:?}");
        assert_eq!(userinfo(&server, &held.access).await?.status, 401, "{house:?}");
        // The honest twin: the session outlives the rest of its account (Keycloak 26.4).
        assert_eq!(put(&server, &root, user.as_str(), &json!({ "enabled": true })).await?.status, 204, "{house:?}");
        server.clock.advance(Duration::from_secs(1));
        let held = tokens(&refresh(&mut app, &held.refresh).await?)?;
        assert_eq!(userinfo(&server, &held.access).await?.status, 200, "{house:?}");
        assert_eq!(ask(&server, &root, "DELETE", &format!("{REALM}/users/{user}")).await?.status, 204, "{house:?}");
        assert_eq!(fault(&refresh(&mut app, &held.refresh).await?), invalid_grant(), "{house:?}");
        assert_eq!(userinfo(&server, &held.access).await?.status, 401, "{house:?}");
        assert!(server.db.user_sessions_of(&realm, &user).await?.is_empty(), "{house:?}");
        assert_eq!(
            ask(&server, &root, "DELETE", &format!("{REALM}/users/{user}")).await?.status,
            404,
            "{house:?}: once"
        );
        let kinds: Vec<String> = server.db.events(&realm, 10).await?.iter().map(|event| format!("{event:?}")).collect();
        for kind in ["DELETE_ACCOUNT", "UPDATE_PROFILE"] {
            let recorded = kinds.iter().filter(|event| event.contains(kind) && event.contains("administrator")).count();
            assert_eq!(recorded, if kind == "DELETE_ACCOUNT" { 1 } else { 2 }, "{house:?} {kind} (AD-26): {kinds:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn ad_10_ad_12_ids_of_one_realm_are_none_in_another() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        let root = admin_token(&server).await?;
        let own = stored_user(&server, "service-account-service").await?.id;
        let app = records(&server, REALM).await?.client("app").context("app")?.id.clone();
        for (method, path) in [
            ("GET", format!("{TWIN}/users/{own}")),
            ("DELETE", format!("{TWIN}/users/{own}")),
            ("GET", format!("{TWIN}/clients/{app}")),
            ("GET", format!("{TWIN}/clients/{app}/offline-sessions")),
            ("GET", format!("{TWIN}/users/id-of-alice/offline-sessions/{app}")),
        ] {
            assert_eq!(ask(&server, &root, method, &path).await?.status, 404, "{house:?} {method} {path}");
        }
        let token = bobs_token(&server, Some("manage-users")).await?;
        assert_eq!(ask(&server, &token, "GET", &format!("{TWIN}/users/id-of-alice")).await?.status, 403, "{house:?}");
        assert_eq!(ask(&server, &token, "GET", &format!("{REALM}/users/{own}")).await?.status, 200, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ad_03_a_viewer_of_clients_reads_no_secret_in_a_strict_realm() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let web = records(&server, REALM).await?.client("web").context("web")?.id.clone();
        for (role, shown) in [("view-clients", house == House::Keycloak), ("manage-clients", true)] {
            let token = bobs_token(&server, Some(role)).await?;
            for path in [format!("{REALM}/clients/{web}"), format!("{REALM}/clients?clientId=web")] {
                let answer = ask(&server, &token, "GET", &path).await?;
                assert_eq!(
                    (answer.status, answer.text().contains("web-secret")),
                    (200, shown),
                    "{house:?} {role} {path}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn ad_19_a_foreign_page_reads_no_admin_answer() -> Result<()> {
    let server = open(House::Keycloak).await?;
    let token = bobs_token(&server, Some("view-users")).await?;
    let from = async |origin: &str, token: &str| -> Result<Answer> {
        let ask = Exchange::get(&format!("/admin/realms/{REALM}/users/count")).header("Origin", origin);
        server.client()?.send(&ask.header("Authorization", &format!("Bearer {token}"))).await
    };
    let own = from(ORIGIN, &token).await?;
    assert_eq!((own.status, own.header("access-control-allow-origin")), (200, Some(ORIGIN)));
    for (origin, token) in [("https://evil.example", token.as_str()), ("null", &token), (ORIGIN, "x")] {
        assert_eq!(from(origin, token).await?.header("access-control-allow-origin"), None, "{origin} {token}");
    }
    Ok(())
}

async fn offline(server: &TestServer, client: &str) -> Result<Tokens> {
    let mut party = party(server, client)?;
    let pkce = Pkce::new()?;
    let asked = [("scope", "openid offline_access"), ("state", "s")];
    let code = party.code(&pkce, &asked, "alice", "alice-password").await?;
    tokens(&party.exchange(&code, &pkce).await?)
}

#[tokio::test]
async fn rt_20_offline_sessions_are_listed_counted_and_taken_back() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let (first, second) = (offline(&server, "app").await?, offline(&server, "second").await?);
        let id = |name: &'static str, records: &portcullis_core::records::RealmRecords| {
            records.client(name).map(|client| client.id.to_string()).context("no such client")
        };
        let stored = records(&server, REALM).await?;
        let (app, other) = (id("app", &stored)?, id("second", &stored)?);
        let alice = stored_user(&server, "alice").await?.id;
        let list = async |client: &str| -> Result<(usize, usize, i64)> {
            let root = admin_token(&server).await?;
            let get = async |path: String| -> Result<Value> {
                let answer = ask(&server, &root, "GET", &format!("{REALM}/{path}")).await?;
                assert_eq!(answer.status, 200, "{house:?} {path}: {}", answer.text());
                Ok(answer.json())
            };
            let of_user = get(format!("users/{alice}/offline-sessions/{client}")).await?;
            let of_client = get(format!("clients/{client}/offline-sessions")).await?;
            let count = get(format!("clients/{client}/offline-session-count")).await?;
            let len = |list: &Value| list.as_array().map_or(0, Vec::len);
            Ok((len(&of_user), len(&of_client), count["count"].as_i64().unwrap_or(-1)))
        };
        assert_eq!((list(&app).await?, list(&other).await?), ((1, 1, 1), (1, 1, 1)), "{house:?}");
        let root = admin_token(&server).await?;
        let consents = format!("{REALM}/users/{alice}/consents");
        assert_eq!(ask(&server, &root, "DELETE", &format!("{consents}/app")).await?.status, 204, "{house:?}");
        assert_eq!((list(&app).await?, list(&other).await?), ((0, 0, 0), (1, 1, 1)), "{house:?}");
        assert_eq!(fault(&refresh(&mut party(&server, "app")?, &first.refresh).await?), invalid_grant(), "{house:?}");
        assert_eq!(ask(&server, &root, "DELETE", &format!("{consents}/app")).await?.status, 404, "{house:?}: once");
        // The honest twin lives on, and is no longer listed once it is over.
        tokens(&refresh(&mut party(&server, "second")?, &second.refresh).await?)
            .with_context(|| format!("{house:?}"))?;
        server.clock.advance(Duration::from_secs(31 * 86_400));
        assert_eq!(list(&other).await?, (0, 0, 0), "{house:?}: idle for longer than the realm's limit");
    }
    Ok(())
}
