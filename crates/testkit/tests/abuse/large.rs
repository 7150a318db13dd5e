//! P-22: what is large but lawful works, over IPv6 too. P-19: browsers of allowed origins may send what they need to.

use std::future::IntoFuture as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use axum::Extension;
use portcullis_idp::Peer;
use portcullis_testkit::http1::{Connection, Exchange};
use portcullis_testkit::rp::{Pkce, RelyingParty, parameter};
use portcullis_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::forge::claims;
use crate::ground::{BACK, House, ORIGIN, REALM, file, login, open, party, registration, tokens};
use crate::limits::OIDC;

const GROUPS: usize = 200;
const CLIENTS: usize = 100;

/// The realm with many groups, all of them of one user, and many clients.
fn crowded() -> Value {
    let mut realm = file(REALM);
    let groups: Vec<Value> = (0..GROUPS)
        .map(|n| json!({ "name": format!("department-number-{n}"), "path": format!("/department-number-{n}") }))
        .collect();
    realm["users"][0]["groups"] = (0..GROUPS).map(|n| json!(format!("/department-number-{n}"))).collect();
    realm["groups"] = json!(groups);
    let mapper = json!({
        "name": "groups", "protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper",
        "config": { "claim.name": "groups", "full.path": "true", "access.token.claim": "true",
                    "id.token.claim": "true", "userinfo.token.claim": "true" },
    });
    let clients = (0..CLIENTS).map(|n| {
        json!({
            "clientId": format!("client-{n}"), "enabled": true, "publicClient": true, "standardFlowEnabled": true,
            "redirectUris": [BACK], "protocolMappers": [mapper],
        })
    });
    let all = realm["clients"].as_array().cloned().unwrap_or_default().into_iter().chain(clients).collect();
    realm["clients"] = Value::Array(all);
    realm
}

/// The server's routes once more, on the IPv6 loopback, for a peer of the public internet behind TLS.
async fn over_ipv6(server: &TestServer) -> Result<String> {
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0))).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let peer = Peer { ip: "2001:db8:85a3::8a2e:370:7334".to_owned(), https: true };
    let serving = axum::serve(listener, server.router().layer(Extension(peer))).into_future();
    tokio::spawn(serving);
    Ok(base)
}

/// A header line of 7 KB besides the browser's own cookies.
fn cookies(own: Option<String>) -> String {
    let foreign: Vec<String> = (0..70).map(|n| format!("c{n}={}", "v".repeat(95))).collect();
    own.into_iter().chain(foreign).collect::<Vec<_>>().join("; ")
}

async fn send(
    rp: &mut RelyingParty,
    wire: &mut Connection,
    exchange: Exchange,
) -> Result<portcullis_testkit::http1::Answer> {
    let line = cookies(rp.jar.header(&exchange.target));
    let answer = wire.send(&exchange.header("Cookie", &line)).await?;
    rp.jar.update(&answer);
    Ok(answer)
}

#[tokio::test]
async fn p_22_seven_kilobytes_of_cookies_200_groups_and_100_clients_over_ipv6() -> Result<()> {
    for house in House::BOTH {
        let server = TestServer::start().await?;
        match house {
            House::Strict => server.import_strict(&crowded()).await?,
            House::Keycloak => server.import(&crowded()).await?,
        };
        let base = over_ipv6(&server).await?;
        let mut wire = Connection::to(&base)?;
        let mut browser = RelyingParty::new(&base, registration(REALM, "client-0"))?;
        let pkce = Pkce::new()?;
        let ask = browser.authorize_target(&pkce, &[("scope", "openid")]);
        let page = send(&mut browser, &mut wire, Exchange::get(&ask)).await?;
        let html = portcullis_testkit::golden::Page::read(&page.text());
        let action = html.form("kc-form-login").and_then(|f| f.action.clone()).context("no login form")?;
        let action = action.find("/realms/").map(|at| action[at..].to_owned()).context("an address of this server")?;
        let fields = [("username", "alice"), ("password", "alice-password")];
        let answer = send(&mut browser, &mut wire, Exchange::form(&action, &fields)).await?;
        let code = parameter(answer.header("location").unwrap_or_default(), "code");
        let code = code.with_context(|| format!("{house:?}: {} {}", answer.status, answer.text()))?;
        let held = tokens(&browser.exchange(&code, &pkce).await?)?;
        for token in [&held.access, &held.id] {
            assert_eq!(claims(token)?["groups"].as_array().map(Vec::len), Some(GROUPS), "{house:?}");
        }
        // Every other client by single sign-on: one session of a hundred parts.
        let sid = claims(&held.access)?["sid"].clone();
        let mut last = held.clone();
        for n in 1..CLIENTS {
            let mut next = RelyingParty::new(&base, registration(REALM, &format!("client-{n}")))?;
            next.jar = browser.jar.clone();
            let pkce = Pkce::new()?;
            let ask = next.authorize_target(&pkce, &[("scope", "openid")]);
            let answer = send(&mut next, &mut wire, Exchange::get(&ask)).await?;
            let code = parameter(answer.header("location").unwrap_or_default(), "code");
            let code = code.with_context(|| format!("{house:?} {n}: {} {}", answer.status, answer.text()))?;
            last = tokens(&next.exchange(&code, &pkce).await?)?;
            assert_eq!(claims(&last.access)?["sid"], sid, "{n}");
        }
        // The long token passes where tokens pass, the session refreshes and ends as a whole.
        let bearer = format!("Bearer {}", last.access);
        let info = Exchange::get(&format!("{OIDC}/userinfo")).header("Authorization", &bearer);
        let info = send(&mut browser, &mut wire, info).await?;
        assert_eq!((info.status, info.json()["groups"].as_array().map(Vec::len)), (200, Some(GROUPS)));
        let refreshed = browser.token(&[("grant_type", "refresh_token"), ("refresh_token", &held.refresh)]).await?;
        let held = tokens(&refreshed)?;
        let leave = format!("{OIDC}/logout?id_token_hint={}", held.id);
        assert_eq!(send(&mut browser, &mut wire, Exchange::get(&leave)).await?.status, 200);
        let refreshed = browser.token(&[("grant_type", "refresh_token"), ("refresh_token", &held.refresh)]).await?;
        assert_eq!(refreshed.status, 400, "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn p_19_te_27_a_preflight_lets_an_allowed_origin_send_its_headers() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        for (door, method) in [
            ("token", "POST"),
            ("revoke", "POST"),
            ("userinfo", "GET"),
            ("auth/device", "POST"),
            ("logout", "GET"),
            ("certs", "GET"),
        ] {
            let wanted = ["authorization", "dpop", "content-type", "x-requested-with"];
            let ask = Exchange::new("OPTIONS", &format!("{OIDC}/{door}"))
                .header("Origin", ORIGIN)
                .header("Access-Control-Request-Method", method)
                .header("Access-Control-Request-Headers", &wanted.join(","));
            let answer = server.client()?.send(&ask).await?;
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(ORIGIN)), "{door}");
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{door}");
            let list = |name: &str| answer.header(name).unwrap_or_default().to_ascii_lowercase();
            let (headers, methods) = (list("access-control-allow-headers"), list("access-control-allow-methods"));
            let has = |list: &str, word: &str| list.split(',').any(|item| item.trim() == word);
            for name in wanted {
                assert!(has(&headers, name), "{door}: {name} in {headers}");
            }
            assert!(has(&methods, &method.to_ascii_lowercase()), "{door}: {method} in {methods}");
            assert!(!headers.contains('*') && !methods.contains('*'), "{door}: no star beside credentials");
            // Without an origin nobody asked.
            let bare = server.client()?.send(&Exchange::new("OPTIONS", &format!("{OIDC}/{door}"))).await?;
            assert_eq!(bare.header("access-control-allow-origin"), None, "{door}");
        }
        // After the preflight: the answers themselves, and what of them a script may read.
        let form = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", held.refresh.as_str())];
        let refreshed = Exchange::form(&format!("{OIDC}/token"), &form).header("DPoP", "");
        let info = |token: &str| {
            let bearer = format!("Bearer {token}");
            Exchange::get(&format!("{OIDC}/userinfo")).header("Authorization", &bearer).header("X-Requested-With", "x")
        };
        const EXPOSED: &str = "Access-Control-Allow-Methods";
        for (exchange, status, exposed) in [
            (refreshed, 200, EXPOSED),
            (info(&held.access), 200, EXPOSED),
            (info("broken"), 401, "Access-Control-Allow-Methods, WWW-Authenticate"),
        ] {
            let answer = server.client()?.send(&exchange.header("Origin", ORIGIN)).await?;
            assert_eq!(answer.status, status, "{house:?} {}", answer.text());
            assert_eq!(answer.header("access-control-expose-headers"), Some(exposed), "{house:?} {status}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN), "{house:?} {status}");
        }
    }
    Ok(())
}
