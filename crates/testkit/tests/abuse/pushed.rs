//! AZ, SS: pushed authorization requests (RFC 9126).

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_core::time::Clock as _;
use portcullis_store::{Key, Kind};
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::{Pkce, RelyingParty, parameter};
use portcullis_testkit::server::{Cluster, Options, TestServer};
use tokio::task::JoinSet;

use crate::forge::claims;
use crate::ground::{
    BACK, House, REALM, TWIN, edit_client, fault, furnish, open, open_both, party, records, registration, tokens,
    userinfo,
};

const STATE: &str = "state-of-the-pushed-request";
const NONCE: &str = "nonce-of-the-pushed-request";

fn path(realm: &str) -> String {
    format!("/realms/{realm}/protocol/openid-connect/ext/par/request")
}

/// Pushes the usual request of a client with `more` instead or besides.
async fn push(server: &TestServer, client: &str, pkce: &Pkce, more: &[(&str, &str)]) -> Result<Answer> {
    let secret = registration(REALM, client).client_secret;
    let usual = [
        ("client_id", client),
        ("client_secret", secret.as_deref().unwrap_or_default()),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", STATE),
        ("nonce", NONCE),
        ("code_challenge", pkce.challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let kept =
        usual.into_iter().filter(|(name, value)| !value.is_empty() && more.iter().all(|(other, _)| other != name));
    let fields: Vec<_> = kept.chain(more.iter().copied().filter(|(_, value)| !value.is_empty())).collect();
    server.client()?.send(&Exchange::form(&path(REALM), &fields)).await
}

async fn handle(server: &TestServer, client: &str, pkce: &Pkce) -> Result<String> {
    let answer = push(server, client, pkce, &[]).await?;
    assert_eq!((answer.status, &answer.json()["expires_in"]), (201, &60.into()), "{}", answer.text());
    answer.json()["request_uri"].as_str().map(str::to_owned).context("no request_uri")
}

/// The browser's way to the authorization endpoint.
fn target(realm: &str, client: &str, uri: &str, more: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", client)
        .append_pair("request_uri", uri)
        .finish();
    format!("/realms/{realm}/protocol/openid-connect/auth?{query}{more}")
}

/// Opens a handle and follows to the login page.
async fn arrive(browser: &mut RelyingParty, client: &str, uri: &str) -> Result<Answer> {
    let first = browser.open(&target(REALM, client, uri, "")).await?;
    let next = first.header("location").context("no login begins")?.to_owned();
    browser.open(&next).await
}

/// Logs alice in on the page and exchanges the code.
async fn finish(browser: &mut RelyingParty, page: &Answer, pkce: &Pkce) -> Result<()> {
    let answer = browser.post_credentials(page, "alice", "alice-password").await?;
    let location = answer.header("location").unwrap_or_default();
    assert!(location.starts_with(BACK), "{} {location}", answer.status);
    assert_eq!(parameter(location, "state").as_deref(), Some(STATE));
    let code = parameter(location, "code").context("no code")?;
    let held = tokens(&browser.exchange(&code, pkce).await?)?;
    assert_eq!(claims(&held.id)?["nonce"], NONCE);
    Ok(())
}

/// A page, and nothing for the client.
fn shown(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.header("location")), (400, None), "{what}: {}", answer.text());
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{what}");
    assert_eq!(answer.header("set-cookie"), None, "{what}");
}

#[tokio::test]
async fn az_17_az_18_a_handle_begins_one_login_of_its_client_in_time() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        let (pkce, mut browser) = (Pkce::new()?, party(&server, "web")?);
        let uri = handle(&server, "web", &pkce).await?;
        for (name, realm, client, uri) in [
            ("another client", REALM, "other", uri.as_str()),
            ("a public client", REALM, "app", uri.as_str()),
            ("another realm", TWIN, "web", uri.as_str()),
            ("guessed", REALM, "web", "urn:ietf:params:oauth:request_uri:00000000-0000-0000-0000-000000000000"),
            ("cut", REALM, "web", &uri[..uri.len() - 1]),
            ("in capitals", REALM, "web", &uri.to_uppercase()),
        ] {
            shown(&party(&server, client)?.open(&target(realm, client, uri, "")).await?, name);
        }
        let nameless = target(REALM, "", &uri, "");
        shown(&browser.open(&nameless).await?, "without a client");
        let late = handle(&server, "web", &pkce).await?;
        // None of that spent it.
        let page = arrive(&mut browser, "web", &uri).await?;
        finish(&mut browser, &page, &pkce).await.context(format!("{house:?}"))?;
        shown(&browser.open(&target(REALM, "web", &uri, "")).await?, "after the login");
        shown(&party(&server, "web")?.open(&target(REALM, "web", &uri, "")).await?, "after it, in another browser");
        server.clock.advance(Duration::from_secs(60));
        shown(&browser.open(&target(REALM, "web", &late, "")).await?, "too late");
    }
    Ok(())
}

/// Nothing for the client and no session: the request was used up.
fn came_second(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.header("location")), (400, None), "{what}: {}", answer.text());
    let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).collect();
    let begins = |cookie: &str| cookie.starts_with("KEYCLOAK_IDENTITY=") && !cookie.starts_with("KEYCLOAK_IDENTITY=;");
    assert!(!cookies.iter().any(|(_, cookie)| begins(cookie)), "{what}: {cookies:?}");
}

#[tokio::test]
async fn p_06_the_page_may_be_opened_again_until_an_answer_was_made() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        let (pkce, mut browser) = (Pkce::new()?, party(&server, "web")?);
        let uri = handle(&server, "web", &pkce).await?;
        let first = browser.open(&target(REALM, "web", &uri, "")).await?;
        let next = first.header("location").context("no login begins")?.to_owned();
        let _page = browser.open(&next).await?;
        let reloaded = browser.open(&next).await?;
        let wrong = browser.post_credentials(&reloaded, "alice", "not-hers").await?;
        assert_eq!(wrong.status, 200, "{house:?}");
        // Another tab, and another browser with two.
        let beside = arrive(&mut browser, "web", &uri).await?;
        let mut other = party(&server, "web")?;
        let late = arrive(&mut other, "web", &uri).await?;
        let later = arrive(&mut other, "web", &uri).await?;
        for (realm, client) in [(REALM, "other"), (REALM, "app"), (TWIN, "web")] {
            shown(&party(&server, client)?.open(&target(realm, client, &uri, "")).await?, "still nobody else's");
        }
        // What was opened in time may be finished later.
        server.clock.advance(Duration::from_secs(61));
        finish(&mut browser, &beside, &pkce).await.context(format!("{house:?}"))?;
        for page in [&late, &later] {
            came_second(&other.post_credentials(page, "alice", "alice-password").await?, "came second");
        }
        for (name, browser) in [("after it", &mut browser), ("in the other browser", &mut other)] {
            shown(&browser.open(&target(REALM, "web", &uri, "")).await?, name);
        }
        // A request of its own goes through in both.
        let again = handle(&server, "web", &pkce).await?;
        let page = arrive(&mut other, "web", &again).await?;
        finish(&mut other, &page, &pkce).await?;
    }
    Ok(())
}

#[tokio::test]
async fn p_06_single_sign_on_uses_the_request_up_too() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let (pkce, mut browser) = (Pkce::new()?, party(&server, "web")?);
        let known = handle(&server, "web", &pkce).await?;
        let page = arrive(&mut browser, "web", &known).await?;
        finish(&mut browser, &page, &pkce).await?;
        let uri = handle(&server, "web", &pkce).await?;
        let mut links = Vec::new();
        for _ in 0..2 {
            let first = browser.open(&target(REALM, "web", &uri, "")).await?;
            links.push(first.header("location").context("no login begins")?.to_owned());
        }
        let mut answers = Vec::new();
        for link in &links {
            answers.push(browser.open(link).await?);
        }
        let given = answers.first().and_then(|a| a.header("location")).unwrap_or_default();
        assert!(parameter(given, "code").is_some(), "{house:?} {given}");
        came_second(answers.last().context("two")?, "the second tab");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p_06_az_17_many_at_once_get_one_code() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await?;
    furnish(cluster.node(0)?, House::Strict).await?;
    let pkce = Pkce::new()?;
    for _ in 0..3 {
        let uri = handle(cluster.node(0)?, "web", &pkce).await?;
        // All stand at the page before the first one is through.
        let mut pages = Vec::new();
        for place in 0..6 {
            let mut browser = party(cluster.node(place % 2)?, "web")?;
            let page = arrive(&mut browser, "web", &uri).await?;
            pages.push((browser, page));
        }
        let mut tasks = JoinSet::new();
        for (mut browser, page) in pages {
            tasks.spawn(async move { browser.post_credentials(&page, "alice", "alice-password").await });
        }
        let answers = tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        let code = |answer: &Answer| parameter(answer.header("location").unwrap_or_default(), "code");
        assert_eq!(answers.iter().filter(|answer| code(answer).is_some()).count(), 1);
        for answer in answers.iter().filter(|answer| code(answer).is_none()) {
            came_second(answer, "another was first");
        }
    }
    Ok(())
}

#[tokio::test]
async fn az_19_who_may_push_and_what() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let pkce = Pkce::new()?;
        let secret = |value| ("client_secret", value);
        for (name, client, more, expected) in [
            ("no secret", "web", vec![secret("")], (401, "invalid_request")),
            ("wrong secret", "web", vec![secret("x")], (401, "invalid_request")),
            ("another's secret", "web", vec![secret("other-secret")], (401, "invalid_request")),
            ("nobody", "nobody", vec![], (401, "invalid_request")),
            ("no name", "web", vec![("client_id", "")], (401, "invalid_request")),
            ("request_uri", "web", vec![("request_uri", "urn:x")], (400, "invalid_request")),
            ("request object", "web", vec![("request", "e30.e30.")], (400, "invalid_request")),
            ("redirect_uri", "web", vec![("redirect_uri", "https://evil.test/")], (400, "invalid_request")),
            ("scope", "web", vec![("scope", "openid odd")], (400, "invalid_request")),
            ("response_type", "web", vec![("response_type", "")], (400, "invalid_request")),
            ("long", "web", vec![("state", LONG)], (400, "invalid_request")),
        ] {
            let answer = push(&server, client, &pkce, &more).await?;
            assert_eq!(fault(&answer), (expected.0, expected.1.to_owned()), "{house:?} {name}: {}", answer.text());
            assert!(!answer.text().contains("urn:ietf"), "{name}");
        }
        for method in ["GET", "PUT", "DELETE"] {
            let answer = server.client()?.send(&Exchange::new(method, &path(REALM))).await?;
            assert_eq!(answer.status, 405, "{method}");
        }
        edit_client(&server, "web", |c| c.settings.enabled = false).await?;
        assert_eq!(push(&server, "web", &pkce, &[]).await?.status, 401, "disabled");
        edit_client(&server, "web", |c| c.settings.enabled = true).await?;
        let (uri, mut browser) = (handle(&server, "web", &pkce).await?, party(&server, "web")?);
        let page = arrive(&mut browser, "web", &uri).await?;
        finish(&mut browser, &page, &pkce).await?;
    }
    Ok(())
}

const LONG: &str = match std::str::from_utf8(&[b's'; 4001]) {
    Ok(text) => text,
    Err(_) => "",
};

#[tokio::test]
async fn az_20_a_client_that_must_push_cannot_ask_in_the_open() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let must = |c: &mut portcullis_core::client::Client| {
            c.settings.attributes.insert("require.pushed.authorization.requests".to_owned(), "true".to_owned());
        };
        // One that began before the switch does not slip through (AZ-07).
        let pkce = Pkce::new()?;
        let mut early = party(&server, "web")?;
        let page = early.open(&early.authorize_target(&pkce, &[("scope", "openid")])).await?;
        edit_client(&server, "web", must).await?;
        let answer = early.post_credentials(&page, "alice", "alice-password").await?;
        assert_eq!(parameter(answer.header("location").unwrap_or_default(), "code"), None, "{house:?}");
        let mut browser = party(&server, "web")?;
        let plain = browser.open(&browser.authorize_target(&pkce, &[("scope", "openid")])).await?;
        let location = plain.header("location").unwrap_or_default();
        assert_eq!(parameter(location, "error").as_deref(), Some("invalid_request"), "{house:?} {location}");
        let uri = handle(&server, "web", &pkce).await?;
        let page = arrive(&mut browser, "web", &uri).await?;
        finish(&mut browser, &page, &pkce).await?;
    }
    Ok(())
}

#[tokio::test]
async fn az_21_what_changed_since_the_push_counts() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let pkce = Pkce::new()?;
        let uris = [handle(&server, "web", &pkce).await?, handle(&server, "web", &pkce).await?];
        let mut waiting = party(&server, "web")?;
        let third = handle(&server, "web", &pkce).await?;
        let page = arrive(&mut waiting, "web", &third).await?;
        edit_client(&server, "web", |c| c.redirect_uris = vec!["http://127.0.0.1:9876/elsewhere".to_owned()]).await?;
        shown(&party(&server, "web")?.open(&target(REALM, "web", &uris[0], "")).await?, "address removed");
        let answer = waiting.post_credentials(&page, "alice", "alice-password").await?;
        assert_eq!(answer.header("location"), None, "{house:?}: on its way already");
        edit_client(&server, "web", |c| c.redirect_uris = vec![BACK.to_owned()]).await?;
        edit_client(&server, "web", |c| c.settings.enabled = false).await?;
        shown(&party(&server, "web")?.open(&target(REALM, "web", &uris[1], "")).await?, "client disabled");
        edit_client(&server, "web", |c| c.settings.enabled = true).await?;
        let (uri, mut browser) = (handle(&server, "web", &pkce).await?, party(&server, "web")?);
        let page = arrive(&mut browser, "web", &uri).await?;
        finish(&mut browser, &page, &pkce).await?;
    }
    Ok(())
}

#[tokio::test]
async fn az_15_what_stands_beside_the_handle_is_not_read() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let (pkce, mut browser) = (Pkce::new()?, party(&server, "web")?);
        let uri = handle(&server, "web", &pkce).await?;
        let beside = "&redirect_uri=https%3A%2F%2Fevil.test%2F&scope=openid+phone&state=other&nonce=other&prompt=none\
                      &response_mode=fragment&code_challenge=x";
        let first = browser.open(&target(REALM, "web", &uri, beside)).await?;
        let next = first.header("location").context("no login begins")?.to_owned();
        assert!(!next.contains("evil"), "{next}");
        let page = browser.open(&next).await?;
        finish(&mut browser, &page, &pkce).await.context(format!("{house:?}"))?;
        let uri = handle(&server, "web", &pkce).await?;
        shown(&browser.open(&target(REALM, "web", &uri, "&request=e30.e30.")).await?, "az_16 both");
    }
    Ok(())
}

#[tokio::test]
async fn az_22_what_was_pushed_is_shown_to_no_browser() -> Result<()> {
    let server = open(House::Strict).await?;
    let (pkce, mut browser) = (Pkce::new()?, party(&server, "web")?);
    let uri = handle(&server, "web", &pkce).await?;
    let first = browser.open(&target(REALM, "web", &uri, "")).await?;
    let next = first.header("location").context("no login begins")?.to_owned();
    let page = browser.open(&next).await?;
    let wrong = browser.post_credentials(&page, "alice", "not-hers").await?;
    let encoded = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
    };
    let parts = [STATE.to_owned(), NONCE.to_owned(), BACK.to_owned(), pkce.challenge.clone()];
    for (name, answer) in [("redirect", &first), ("page", &page), ("page again", &wrong)] {
        let all = format!("{:?} {}", answer.headers, answer.text());
        for part in &parts {
            // Base64 at each of the three offsets, its edges left out.
            let hidden: Vec<String> = (0..3)
                .map(|n| encoded(&format!("{}{part}", "x".repeat(n))))
                .map(|t| t[4..t.len() - 4].to_owned())
                .collect();
            assert!(!all.contains(part.as_str()), "{name}: {part}");
            assert!(hidden.iter().all(|hidden| !all.contains(hidden.as_str())), "{name}: {part} in base64");
        }
    }
    finish(&mut browser, &wrong, &pkce).await
}

#[tokio::test]
async fn ss_01_no_address_in_request_uri_is_ever_fetched() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let pkce = Pkce::new()?;
        for uri in [
            format!("http://127.0.0.1:{port}/request.jwt"),
            format!("https://127.0.0.1:{port}/request.jwt"),
            format!("HTTP://127.0.0.1:{port}/"),
            format!("//127.0.0.1:{port}/"),
            format!("urn:ietf:params:oauth:request_uri:http://127.0.0.1:{port}/"),
            "file:///etc/passwd".to_owned(),
        ] {
            let mut browser = party(&server, "web")?;
            shown(&browser.open(&target(REALM, "web", &uri, "")).await?, &uri);
            let full = browser.authorize_target(&pkce, &[("request_uri", &uri)]);
            shown(&browser.open(&full).await?, &uri);
            let form = [("client_id", "web"), ("request_uri", uri.as_str())];
            let auth = format!("/realms/{REALM}/protocol/openid-connect/auth");
            shown(&browser.send(Exchange::form(&auth, &form)).await?, &uri);
            assert_eq!(push(&server, "web", &pkce, &[("request_uri", &uri)]).await?.status, 400, "{uri}");
        }
        let nobody = listener.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(nobody, Err(ErrorKind::WouldBlock), "{house:?}: somebody called");
        // The honest twin.
        let (uri, mut browser) = (handle(&server, "web", &pkce).await?, party(&server, "web")?);
        let page = arrive(&mut browser, "web", &uri).await?;
        finish(&mut browser, &page, &pkce).await?;
    }
    Ok(())
}

#[tokio::test]
async fn p_14_a_pushed_request_uses_the_session_that_stands() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let pkce = Pkce::new()?;
        let mut browser = party(&server, "app")?;
        let uri = handle(&server, "app", &pkce).await?;
        let silent = push(&server, "app", &pkce, &[("prompt", "none")]).await?.json();
        let silent = silent["request_uri"].as_str().context("no request_uri")?.to_owned();
        let nobody = browser.open(&target(REALM, "app", &silent, "")).await?;
        let location = nobody.header("location").unwrap_or_default();
        assert_eq!(parameter(location, "error").as_deref(), Some("login_required"), "{house:?} AZ-09");
        let page = arrive(&mut browser, "app", &uri).await?;
        finish(&mut browser, &page, &pkce).await?;
        let uri = handle(&server, "app", &pkce).await?;
        let answer = arrive(&mut browser, "app", &uri).await?;
        let code = parameter(answer.header("location").unwrap_or_default(), "code").context("no single sign-on")?;
        let held = tokens(&browser.exchange(&code, &pkce).await?)?;
        assert_eq!(userinfo(&server, &held.access).await?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn ds_17_one_place_cannot_fill_the_table_of_pushed_requests() -> Result<()> {
    let server = open(House::Strict).await?;
    let pkce = Pkce::new()?;
    let mut told = Vec::new();
    for _ in 0..125 {
        told.push(push(&server, "app", &pkce, &[]).await?.status);
    }
    assert_eq!(told.iter().filter(|status| **status == 201).count(), 120);
    handle(&server, "web", &pkce).await?;
    server.clock.advance(Duration::from_secs(61));
    handle(&server, "app", &pkce).await?;
    Ok(())
}

#[tokio::test]
async fn ds_17_a_client_with_a_secret_has_a_bound_of_its_own() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await?;
    let (first, second) = (cluster.node(0)?, cluster.node(1)?);
    furnish(first, House::Strict).await?;
    let pkce = Pkce::new()?;
    handle(first, "web", &pkce).await?;
    // 5,998 more of this minute, as other nodes would have counted them.
    let records = records(first, REALM).await?;
    let id = format!("pushed-request-client/{}", records.client("web").context("web")?.id);
    let now = first.clock.now();
    let key = Key::new(Kind::Rate, records.realm.id.clone(), id);
    assert_eq!(first.ephemeral.bump(&key, 5_998, now.secs() + 60, now).await?, 5_999, "its own count, by client");
    handle(second, "web", &pkce).await?;
    for server in [first, second] {
        let answer = push(server, "web", &pkce, &[]).await?;
        assert_eq!(fault(&answer), (429, "temporarily_unavailable".to_owned()));
        assert_eq!((answer.header("retry-after"), answer.json().get("request_uri")), (Some("60"), None));
        // The honest twins: another client, and a public one at the same place.
        handle(server, "other", &pkce).await?;
        handle(server, "app", &pkce).await?;
    }
    cluster.clock.advance(Duration::from_secs(60));
    handle(first, "web", &pkce).await?;
    Ok(())
}
