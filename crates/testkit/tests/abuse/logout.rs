//! LO: logout at the browser's door. Who may end a session, where it leads, what is left of it, and what is said when it failed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::{RelyingParty, parameter};
use portcullis_testkit::server::{Cluster, Options, TestServer};
use serde_json::json;

use crate::forge::{claims, realm_key, texts, under, with_member};
use crate::ground::{
    House, REALM, TWIN, Tokens, code, edit_client, furnish, login, open, open_both, party, realm_id, refresh,
    registration, tokens, userinfo,
};

const BYE: &str = "http://127.0.0.1:9876/bye";

/// What registers [`BYE`] and the frame for a client.
async fn furnished(house: House) -> Result<TestServer> {
    let server = open(house).await?;
    for client in ["app", "second"] {
        set(&server, client, &[("post.logout.redirect.uris", BYE)]).await?;
    }
    Ok(server)
}

async fn set(server: &TestServer, client: &str, attributes: &[(&str, &str)]) -> Result<()> {
    edit_client(server, client, |client| {
        for (name, value) in attributes {
            client.settings.attributes.insert((*name).to_owned(), (*value).to_owned());
        }
    })
    .await
}

async fn logout(app: &mut RelyingParty, params: &[(&str, &str)]) -> Result<Answer> {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let target = format!("{}?{query}", app.endpoint("logout"));
    app.send(Exchange::get(&target)).await
}

fn action(page: &str) -> Result<String> {
    let page = Page::read(page);
    let action = page.form("*").and_then(|form| form.action.clone()).context("a page without form")?;
    Ok(action.find("/realms/").map_or(action.clone(), |at| action.split_at(at).1.to_owned()))
}

async fn say_yes(app: &mut RelyingParty, page: &Answer) -> Result<Answer> {
    let code = Page::read(&page.text()).input("session_code").unwrap_or_default().to_owned();
    let target = action(&page.text())?;
    app.send(Exchange::form(&target, &[("session_code", &code), ("confirmLogout", "Logout")])).await
}

fn asks(answer: &Answer) -> bool {
    answer.status == 200 && answer.text().contains("Do you want to log out?")
}

async fn lives(app: &mut RelyingParty, held: &mut Tokens) -> Result<bool> {
    let answer = refresh(app, &held.refresh).await?;
    if answer.status == 200 {
        *held = tokens(&answer)?;
    }
    Ok(answer.status == 200)
}

#[tokio::test]
async fn lo_01_an_address_that_is_not_registered_gets_no_redirect_and_ends_nothing() -> Result<()> {
    for house in House::BOTH {
        let server = furnished(house).await?;
        let mut app = party(&server, "app")?;
        let mut held = login(&mut app).await?;
        for address in [
            "https://evil.test/",
            "//evil.test/bye",
            "/bye",
            "http://127.0.0.1:9876/bye/",
            "http://127.0.0.1:9876/bye/../x",
            "http://127.0.0.1:9876/bye%2f..%2fx",
            "http://127.0.0.1:9876/BYE",
            "http://127.0.0.1:9876/bye?x=1",
            "http://127.0.0.1:9876/bye#x",
            "http://127.0.0.1:9876@evil.test/bye",
            "http://evil.test\\@127.0.0.1:9876/bye",
            "http://127.0.0.1:9876.evil.test/bye",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://127.0.0.1:9876/bye\r\nLocation: https://evil.test/",
            "http://127.0.0.1:9876/bye ",
        ] {
            let hint = held.id.clone();
            for named in [("id_token_hint", hint.as_str()), ("client_id", "app")] {
                let answer = logout(&mut app, &[named, ("post_logout_redirect_uri", address)]).await?;
                assert_eq!(answer.status, 400, "{house:?} {address:?}");
                assert_eq!(answer.header("location"), None, "{house:?} {address:?}");
                assert!(!answer.text().contains("evil.test/\""), "{address:?}: no link there");
            }
            assert!(lives(&mut app, &mut held).await?, "{house:?} {address:?}");
        }
        let twin = [("id_token_hint", held.id.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s")];
        let answer = logout(&mut app, &twin).await?;
        assert_eq!((answer.status, answer.header("location")), (302, Some(format!("{BYE}?state=s").as_str())));
        assert!(!lives(&mut app, &mut held).await?);
    }
    Ok(())
}

#[tokio::test]
async fn lo_03_lo_02_without_a_hint_the_person_is_asked_and_nothing_ends_before_the_yes() -> Result<()> {
    for house in House::BOTH {
        let server = furnished(house).await?;
        let mut app = party(&server, "app")?;
        let mut held = login(&mut app).await?;
        let nobody = logout(&mut app, &[("post_logout_redirect_uri", BYE)]).await?;
        assert_eq!((nobody.status, nobody.header("location")), (400, None), "{house:?}: whose address is it?");
        for params in [
            vec![],
            vec![("client_id", "app")],
            vec![("client_id", "app"), ("post_logout_redirect_uri", BYE)],
            vec![("client_id", "no-such-client")],
        ] {
            let answer = logout(&mut app, &params).await?;
            assert!(asks(&answer), "{house:?} {params:?}: {}", answer.text());
            assert!(lives(&mut app, &mut held).await?, "{house:?} {params:?}");
        }
        let form = Exchange::form(&app.endpoint("logout"), &[("client_id", "app")]);
        assert!(asks(&app.send(form.header("Origin", "https://evil.test")).await?), "{house:?}: by a foreign form");
        assert!(lives(&mut app, &mut held).await?);
        let page = logout(&mut app, &[("client_id", "app"), ("post_logout_redirect_uri", BYE), ("state", "x")]).await?;
        let answer = say_yes(&mut app, &page).await?;
        assert_eq!((answer.status, answer.header("location")), (302, Some(format!("{BYE}?state=x").as_str())));
        assert!(!lives(&mut app, &mut held).await?, "{house:?}: the yes counts");
    }
    Ok(())
}

#[tokio::test]
async fn lo_04_a_hint_speaks_for_its_own_session_of_this_realm_only() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        let mut app = party(&server, "app")?;
        let mut held = login(&mut app).await?;
        let mut elsewhere = server.relying_party(registration(TWIN, "app"))?;
        let foreign = login(&mut elsewhere).await?;
        let key = realm_key(&server, REALM).await?;
        let (header, payload) = texts(&held.id)?;
        let signed = |name: &str, value: &str| under(&key, &header, &with_member(&payload, name, value)?);
        let broken = format!("{}AAAA", held.id.get(..held.id.len().saturating_sub(4)).unwrap_or_default());
        for (what, hint) in [
            ("forged", broken),
            ("of another realm", foreign.id.clone()),
            ("an access token", held.access.clone()),
            ("a refresh token", held.refresh.clone()),
            ("another issuer", signed("iss", "\"https://evil.test\"")?),
            ("another kind", signed("typ", "\"Logout\"")?),
            ("no token", "x".to_owned()),
        ] {
            let answer = logout(&mut app, &[("id_token_hint", &hint)]).await?;
            assert_eq!((answer.status, answer.header("location")), (400, None), "{house:?} {what}");
            assert!(lives(&mut app, &mut held).await?, "{house:?} {what}");
        }
        let other_client = logout(&mut app, &[("id_token_hint", &held.id), ("client_id", "second")]).await?;
        assert_eq!(other_client.status, 400, "{house:?}: not this client's hint");
        // A good hint of another session in this browser: the person decides, and the other session lives.
        let mut second = party(&server, "app")?;
        let mut other = login(&mut second).await?;
        assert!(asks(&logout(&mut app, &[("id_token_hint", &other.id)]).await?), "{house:?}");
        assert!(lives(&mut app, &mut held).await? && lives(&mut second, &mut other).await?, "{house:?}");
        // Its own hint counts, and it may be past its end.
        server.clock.advance(Duration::from_secs(900));
        assert_eq!(logout(&mut app, &[("id_token_hint", &held.id)]).await?.status, 200);
        assert!(!lives(&mut app, &mut held).await?, "{house:?}");
        assert!(lives(&mut second, &mut other).await?, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn lo_05_nothing_works_after_a_logout() -> Result<()> {
    for house in House::BOTH {
        let server = furnished(house).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        let (code, pkce) = code(&mut app).await?;
        let before = app.jar.clone();
        let answer = logout(&mut app, &[("id_token_hint", &held.id)]).await?;
        for name in ["KEYCLOAK_IDENTITY", "KEYCLOAK_SESSION"] {
            let cleared = |line: &str| line.starts_with(&format!("{name}=;")) && line.contains("Max-Age=0");
            assert!(answer.all("set-cookie").any(cleared), "{house:?}: {name}");
        }
        assert_eq!(refresh(&mut app, &held.refresh).await?.status, 400, "{house:?}: refresh token");
        assert_eq!(userinfo(&server, &held.access).await?.status, 401, "{house:?}: access token");
        assert_eq!(app.exchange(&code, &pkce).await?.status, 400, "{house:?}: a code on its way");
        let form = [("token", held.access.as_str()), ("client_id", "web"), ("client_secret", "web-secret")];
        let said = server.client()?.send(&Exchange::form(&app.endpoint("token/introspect"), &form)).await?;
        assert_eq!(said.json(), json!({ "active": false }), "{house:?}");
        let mut thief = party(&server, "app")?;
        thief.jar = before;
        let target = thief.authorize_target(&pkce, &[("scope", "openid"), ("prompt", "none")]);
        let answer = thief.open(&target).await?;
        let error = parameter(answer.header("location").unwrap_or_default(), "error");
        assert_eq!(error.as_deref(), Some("login_required"), "{house:?}: the old cookies");
    }
    Ok(())
}

#[tokio::test]
async fn lo_14_what_is_echoed_stays_text() -> Result<()> {
    for house in House::BOTH {
        for evil in ["\"><script>alert(1)</script>", "a\r\nSet-Cookie: x=y", "a&post=1#b", "\u{202e}'x"] {
            let server = furnished(house).await?;
            set(&server, "app", &[("frontchannel.logout.url", "https://app.test/gone")]).await?;
            let mut app = party(&server, "app")?;
            let held = login(&mut app).await?;
            let params = [("id_token_hint", held.id.as_str()), ("post_logout_redirect_uri", BYE), ("state", evil)];
            let answer = logout(&mut app, &params).await?;
            let location = answer.header("location").unwrap_or_default().to_owned();
            assert!(location.starts_with(&format!("{BYE}?state=")), "{house:?} {location}");
            assert_eq!(parameter(&location, "state").as_deref(), Some(evil), "{house:?}: whole again at the client");
            assert!(!location.contains(['"', '<', '\r', '\n', '#']), "{location}");
            assert_eq!(answer.header("x"), None);
            // In a page: the way on of the front-channel page, and the form that asks.
            edit_client(&server, "app", |client| client.settings.frontchannel_logout = true).await?;
            let mut app = party(&server, "app")?;
            let held = login(&mut app).await?;
            let params = [("id_token_hint", held.id.as_str()), ("post_logout_redirect_uri", BYE), ("state", evil)];
            let page = logout(&mut app, &params).await?;
            assert_eq!(page.status, 200);
            let asked = logout(&mut app, &[("client_id", evil), ("state", evil)]).await?;
            for text in [page.text(), asked.text()] {
                assert!(!text.contains("<script>alert") && !text.contains("\nSet-Cookie"), "{house:?} {evil:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn lo_15_the_front_channel_page_names_session_and_issuer_and_frames_only_registered_hosts() -> Result<()> {
    for house in House::BOTH {
        let server = furnished(house).await?;
        let frame = "https://app.test/gone?from=us";
        for client in ["app", "second"] {
            edit_client(&server, client, |client| client.settings.frontchannel_logout = true).await?;
        }
        set(&server, "app", &[("frontchannel.logout.url", frame)]).await?;
        set(&server, "second", &[("frontchannel.logout.url", "javascript:alert(1)")]).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        let mut second = party(&server, "second")?;
        second.jar = app.jar.clone();
        login(&mut second).await?;
        let params = [("id_token_hint", held.id.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s")];
        let answer = logout(&mut app, &params).await?;
        let page = Page::read(&answer.text());
        assert_eq!((answer.status, page.frames.len()), (200, 1), "{house:?}: {:?}", page.frames);
        let url = page.frames.first().context("no frame")?;
        assert!(url.starts_with("https://app.test/gone?from=us&sid="), "{url}");
        assert_eq!(parameter(url, "sid").map(|sid| json!(sid)), Some(claims(&held.access)?["sid"].clone()));
        assert_eq!(parameter(url, "iss"), Some(format!("{}/realms/{REALM}", server.base)));
        assert!(page.links.contains(&format!("{BYE}?state=s")), "{:?}: the way on needs no script", page.links);
        let policies: Vec<&str> = answer.all("content-security-policy").collect();
        let ours = policies.last().context("no policy")?;
        assert!(ours.contains("frame-src https://app.test") && !ours.contains("javascript"), "{ours}");
        assert!(ours.contains("script-src 'sha256-") && !ours.contains("unsafe"), "{ours}");
        let framed = answer.header("x-frame-options");
        assert_eq!(framed, Some(if house == House::Strict { "DENY" } else { "SAMEORIGIN" }), "{house:?}");
        assert_eq!(refresh(&mut app, &held.refresh).await?.status, 400, "ended before any frame was loaded");
        // The twin: who has no front-channel client in the session goes on at once.
        edit_client(&server, "app", |client| client.settings.frontchannel_logout = false).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        let params = [("id_token_hint", held.id.as_str()), ("post_logout_redirect_uri", BYE)];
        assert_eq!(logout(&mut app, &params).await?.status, 302);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lo_16_a_logout_that_races_a_refresh_and_an_exchange_leaves_nothing_alive() -> Result<()> {
    for house in House::BOTH {
        let cluster = Cluster::start(2, Options::default()).await?;
        let (here, there) = (cluster.node(0)?, cluster.node(1)?);
        furnish(here, house).await?;
        for round in 0..10 {
            let mut app = party(here, "app")?;
            let held = login(&mut app).await?;
            let (code, pkce) = code(&mut app).await?;
            let (mut one, mut two) = (party(there, "app")?, party(there, "app")?);
            let hint = [("id_token_hint", held.id.as_str())];
            let (out, refreshed, exchanged) =
                tokio::join!(logout(&mut app, &hint), refresh(&mut one, &held.refresh), two.exchange(&code, &pkce),);
            assert_eq!(out?.status, 200);
            for answer in [refreshed?, exchanged?] {
                let Ok(late) = tokens(&answer) else { continue };
                for node in [here, there] {
                    assert_eq!(userinfo(node, &late.access).await?.status, 401, "{house:?} round {round}");
                    let again = refresh(&mut party(node, "app")?, &late.refresh).await?;
                    assert_eq!(again.status, 400, "{house:?} round {round}");
                }
            }
            let alice = here.db.user_by_username(&realm_id(here).await?, "alice").await?.context("no alice")?;
            assert_eq!(here.db.user_sessions_of(&realm_id(here).await?, &alice.id).await?.len(), 0, "round {round}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn lo_17_a_session_that_could_not_be_ended_is_never_called_ended() -> Result<()> {
    for house in House::BOTH {
        for way in ["hint", "confirmed", "refresh token"] {
            let server = furnished(house).await?;
            let mut app = party(&server, "app")?;
            let held = login(&mut app).await?;
            let page = logout(&mut app, &[("client_id", "app")]).await?;
            // From here on the store takes no writes.
            server.db.close().await;
            let answer = match way {
                "hint" => {
                    let params = [("id_token_hint", held.id.as_str()), ("post_logout_redirect_uri", BYE)];
                    logout(&mut app, &params).await?
                }
                "confirmed" => say_yes(&mut app, &page).await?,
                _ => {
                    let form = [("client_id", "app"), ("refresh_token", held.refresh.as_str())];
                    app.send(Exchange::form(&app.endpoint("logout"), &form)).await?
                }
            };
            let what = format!("{house:?} {way}");
            assert_eq!((answer.status, answer.header("location")), (503, None), "{what}");
            assert!(!answer.text().contains("You are logged out"), "{what}");
            if way == "refresh token" {
                continue;
            }
            assert!(answer.text().contains("Logout failed"), "{what}: {}", answer.text());
            assert!(answer.all("set-cookie").any(|line| line.starts_with("KEYCLOAK_IDENTITY=;")), "{what}: forgotten");
            // The page tries again, for the same session, though the browser has no cookie of it any more.
            let again = say_yes(&mut app, &answer).await?;
            assert_eq!(again.status, 503, "{what}");
            assert!(again.text().contains("Logout failed") && action(&again.text()).is_ok(), "{what}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn lo_02_the_old_parameter_needs_the_clients_switch_a_registered_address_and_a_yes() -> Result<()> {
    for house in House::BOTH {
        let server = furnished(house).await?;
        let mut app = party(&server, "app")?;
        let mut held = login(&mut app).await?;
        let old = [("client_id", "app"), ("redirect_uri", BYE)];
        let page = logout(&mut app, &old).await?;
        let answer = say_yes(&mut app, &page).await?;
        assert_eq!((answer.status, answer.header("location")), (200, None), "{house:?}: without the switch");
        set(&server, "app", &[("portcullis.logout.redirect_uri", "true")]).await?;
        assert!(!lives(&mut app, &mut held).await?);
        for named in [true, false] {
            let mut app = party(&server, "app")?;
            let mut held = login(&mut app).await?;
            let evil = [("client_id", "app"), ("redirect_uri", "https://evil.test/")];
            assert_eq!(logout(&mut app, &evil).await?.status, 400, "{house:?}");
            let params = if named { &old[..] } else { &old[1..] };
            let page = logout(&mut app, params).await?;
            assert!(asks(&page), "{house:?} named {named}");
            assert!(lives(&mut app, &mut held).await?);
            let answer = say_yes(&mut app, &page).await?;
            assert_eq!((answer.status, answer.header("location")), (302, Some(BYE)), "{house:?} named {named}");
            // Nobody is logged in any more: asked all the same.
            assert!(asks(&logout(&mut app, params).await?), "{house:?} named {named}");
        }
    }
    Ok(())
}
