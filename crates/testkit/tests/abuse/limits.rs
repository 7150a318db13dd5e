//! DS: what is too much is refused early, at every door; and JW-23: no protected door reads a token without verifying it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::raw::RawSocket;
use portcullis_testkit::rp::parameter;
use portcullis_testkit::server::TestServer;

use crate::forge;
use crate::ground::{BACK, House, REALM, admin_token, fault, login, open, party, refresh, refused, tokens, userinfo};

/// What a door does with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A form of at most 64 KB.
    Form,
    /// None: it answers this without reading one.
    Unread(u16),
    /// JSON, for administrators.
    Json,
}

/// One route: the file that names it, its pattern there, a real path, its body, the methods that need a token.
pub(crate) type Row = (&'static str, &'static str, &'static str, Body, &'static [&'static str]);

pub(crate) const OIDC: &str = "/realms/yard/protocol/openid-connect";
const ROUTES: &str = "routes.rs";
const ADMIN: &str = "admin/mod.rs";
const LOGIN: &str = "login/mod.rs";
const ALL: &[&str] = &["GET", "POST", "PUT", "DELETE"];
const WRITES: &[&str] = &["POST", "PUT", "DELETE"];

/// Every route of the identity provider: a new one must be added here.
pub(crate) static DOORS: &[Row] = &[
    (ROUTES, "/", "/", Body::Unread(405), &[]),
    (ROUTES, "/resources/{version}/login/{*path}", "/resources/x/login/css/login.css", Body::Unread(405), &[]),
    (
        ROUTES,
        "/.well-known/oauth-authorization-server/realms/{realm}",
        "/.well-known/oauth-authorization-server/realms/yard",
        Body::Unread(404),
        &[],
    ),
    (ROUTES, "", "/realms/yard", Body::Unread(405), &[]),
    (
        ROUTES,
        "/.well-known/openid-configuration",
        "/realms/yard/.well-known/openid-configuration",
        Body::Unread(404),
        &[],
    ),
    (
        ROUTES,
        "/.well-known/oauth-authorization-server",
        "/realms/yard/.well-known/oauth-authorization-server",
        Body::Unread(404),
        &[],
    ),
    (ROUTES, "/portcullis/revocations", "/realms/yard/portcullis/revocations", Body::Unread(405), &[]),
    (ROUTES, "/protocol/{protocol}/{*rest}", "/realms/yard/protocol/saml/x", Body::Unread(404), &[]),
    (ROUTES, "/auth", "/realms/yard/protocol/openid-connect/auth", Body::Form, &[]),
    (ROUTES, "/ext/par/request", "/realms/yard/protocol/openid-connect/ext/par/request", Body::Form, &[]),
    (ROUTES, "/auth/device", "/realms/yard/protocol/openid-connect/auth/device", Body::Form, &[]),
    (ROUTES, "/device", "/realms/yard/device", Body::Form, &[]),
    (ROUTES, "/device/status", "/realms/yard/device/status", Body::Form, &[]),
    // Not there in a strict realm.
    (ROUTES, "/oauth/oob", "/realms/yard/protocol/openid-connect/oauth/oob", Body::Unread(404), &[]),
    (ROUTES, "/token", "/realms/yard/protocol/openid-connect/token", Body::Form, &[]),
    (ROUTES, "/token/introspect", "/realms/yard/protocol/openid-connect/token/introspect", Body::Form, &[]),
    (ROUTES, "/revoke", "/realms/yard/protocol/openid-connect/revoke", Body::Form, &[]),
    (ROUTES, "/certs", "/realms/yard/protocol/openid-connect/certs", Body::Unread(405), &[]),
    (ROUTES, "/userinfo", "/realms/yard/protocol/openid-connect/userinfo", Body::Form, &["GET", "POST"]),
    (ROUTES, "/logout", "/realms/yard/protocol/openid-connect/logout", Body::Form, &[]),
    (ROUTES, "/logout/logout-confirm", "/realms/yard/protocol/openid-connect/logout/logout-confirm", Body::Form, &[]),
    (
        ROUTES,
        "/login-status-iframe.html",
        "/realms/yard/protocol/openid-connect/login-status-iframe.html",
        Body::Unread(405),
        &[],
    ),
    (
        ROUTES,
        "/login-status-iframe.html/init",
        "/realms/yard/protocol/openid-connect/login-status-iframe.html/init",
        Body::Unread(405),
        &[],
    ),
    (
        ROUTES,
        "/3p-cookies/step1.html",
        "/realms/yard/protocol/openid-connect/3p-cookies/step1.html",
        Body::Unread(405),
        &[],
    ),
    (
        ROUTES,
        "/3p-cookies/step2.html",
        "/realms/yard/protocol/openid-connect/3p-cookies/step2.html",
        Body::Unread(405),
        &[],
    ),
    (LOGIN, "/authenticate", "/realms/yard/login-actions/authenticate", Body::Form, &[]),
    (LOGIN, "/required-action", "/realms/yard/login-actions/required-action", Body::Form, &[]),
    (LOGIN, "/consent", "/realms/yard/login-actions/consent", Body::Form, &[]),
    (LOGIN, "/restart", "/realms/yard/login-actions/restart", Body::Form, &[]),
    (LOGIN, "/reset-credentials", "/realms/yard/login-actions/reset-credentials", Body::Form, &[]),
    (LOGIN, "/{*rest}", "/realms/yard/login-actions/x", Body::Unread(404), &[]),
    (ADMIN, "/realms", "/admin/realms", Body::Json, ALL),
    (ADMIN, "/realms/{realm}", "/admin/realms/yard", Body::Json, ALL),
    (ADMIN, "/realms/{realm}/users/{id}/consents", "/admin/realms/yard/users/id-of-alice/consents", Body::Json, ALL),
    (
        ADMIN,
        "/realms/{realm}/users/{id}/consents/{client}",
        "/admin/realms/yard/users/u/consents/app",
        Body::Json,
        &["DELETE"],
    ),
    (ADMIN, "/realms/{realm}/users", "/admin/realms/yard/users?username=bob&exact=true", Body::Unread(401), ALL),
    (ADMIN, "/realms/{realm}/users/count", "/admin/realms/yard/users/count", Body::Unread(401), ALL),
    (ADMIN, "/realms/{realm}/users/{id}", "/admin/realms/yard/users/id-of-alice", Body::Json, ALL),
    (ADMIN, "/realms/{realm}/clients", "/admin/realms/yard/clients", Body::Unread(401), ALL),
    (ADMIN, "/realms/{realm}/clients/{id}", "/admin/realms/yard/clients/x", Body::Unread(401), WRITES),
    (
        ADMIN,
        "/realms/{realm}/clients/{id}/session-count",
        "/admin/realms/yard/clients/x/session-count",
        Body::Unread(401),
        WRITES,
    ),
    (
        ADMIN,
        "/realms/{realm}/clients/{id}/user-sessions",
        "/admin/realms/yard/clients/x/user-sessions",
        Body::Unread(401),
        WRITES,
    ),
    (
        ADMIN,
        "/realms/{realm}/clients/{id}/offline-session-count",
        "/admin/realms/yard/clients/x/offline-session-count",
        Body::Unread(401),
        WRITES,
    ),
    (
        ADMIN,
        "/realms/{realm}/clients/{id}/offline-sessions",
        "/admin/realms/yard/clients/x/offline-sessions",
        Body::Unread(401),
        WRITES,
    ),
    (ADMIN, "/realms/{realm}/client-session-stats", "/admin/realms/yard/client-session-stats", Body::Unread(401), ALL),
    (
        ADMIN,
        "/realms/{realm}/users/{id}/offline-sessions/{client}",
        "/admin/realms/yard/users/x/offline-sessions/y",
        Body::Unread(401),
        WRITES,
    ),
    (ADMIN, "/realms/{realm}/users/{id}/sessions", "/admin/realms/yard/users/x/sessions", Body::Unread(401), WRITES),
    (ADMIN, "/realms/{realm}/users/{id}/logout", "/admin/realms/yard/users/x/logout", Body::Unread(401), WRITES),
    (ADMIN, "/realms/{realm}/sessions/{sid}", "/admin/realms/yard/sessions/x", Body::Unread(401), WRITES),
    (ADMIN, "/realms/{realm}/logout-all", "/admin/realms/yard/logout-all", Body::Unread(401), WRITES),
];

/// Routes that differ from one above by a slash at the end.
const SLASHED: [(&str, &str); 2] = [(ADMIN, "/realms/"), (ADMIN, "/realms/{realm}/")];

/// Every `.route("...")` and `.route(&at("..."))` of a folder of sources, by file.
fn written(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            written(&path, root, found)?;
            continue;
        }
        let file = path.strip_prefix(root)?.to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap_or_default();
        for rest in text.split(".route(").skip(1) {
            let rest = rest.trim_start();
            let pattern =
                rest.strip_prefix("&at(").unwrap_or(rest).strip_prefix('"').and_then(|rest| rest.split('"').next());
            found.push((file.clone(), pattern.with_context(|| format!("{file}: a route that is no text"))?.to_owned()));
        }
    }
    Ok(())
}

#[test]
fn every_route_stands_in_the_table() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../idp/src");
    let mut found = Vec::new();
    written(&root, &root, &mut found)?;
    let mut listed: Vec<(String, String)> = DOORS
        .iter()
        .map(|(file, pattern, ..)| (*file, *pattern))
        .chain(SLASHED)
        .map(|(f, p)| (f.to_owned(), p.to_owned()))
        .collect();
    found.sort();
    listed.sort();
    assert_eq!(found, listed, "routes of crates/idp/src against DOORS");
    Ok(())
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
const MOST: usize = 64 * 1024;

async fn chunked(server: &TestServer, path: &str, kind: &str, body: &[u8]) -> Result<Answer> {
    let mut socket = RawSocket::dial(server.authority()).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.authority()
    );
    let mut bytes = head.into_bytes();
    for piece in body.chunks(10_000) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    socket.send(&bytes).await?;
    socket.answer().await
}

async fn counted(server: &TestServer, path: &str, kind: &str, body: &[u8]) -> Result<Answer> {
    server.client()?.send(&Exchange::new("POST", path).header("Content-Type", kind).body(body.to_vec())).await
}

#[tokio::test]
async fn ds_01_a_body_over_the_limit_is_refused_at_every_door() -> Result<()> {
    let server = open(House::Strict).await?;
    let at_limit = format!("x={}", "a".repeat(MOST - 2));
    for &(_, _, path, body, _) in DOORS {
        let (kind, expected) = match body {
            Body::Form => (FORM, 413),
            Body::Unread(status) => (FORM, status),
            Body::Json => ("application/json", 401),
        };
        for size in [MOST + 1, MOST * 4] {
            let large = format!("x={}", "a".repeat(size - 2));
            let one = counted(&server, path, kind, large.as_bytes()).await?;
            assert_eq!(one.status, expected, "{path} {size} counted: {}", one.text());
            let other = chunked(&server, path, kind, large.as_bytes()).await?;
            assert_eq!(other.status, expected, "{path} {size} in chunks: {}", other.text());
        }
        if body == Body::Form {
            let fits = counted(&server, path, kind, at_limit.as_bytes()).await?;
            assert!(fits.status < 500 && fits.status != 413, "{path} at the limit: {}", fits.status);
        }
    }
    let token = admin_token(&server).await?;
    let bearer = format!("Bearer {token}");
    for (size, expected) in [(1024 * 1024 + 1, 413), (1024 * 1024, 400)] {
        let ask = Exchange::new("PUT", "/admin/realms/yard")
            .header("Content-Type", "application/json")
            .header("Authorization", &bearer)
            .body(vec![b' '; size]);
        assert_eq!(server.client()?.send(&ask).await?.status, expected, "PUT of {size}");
    }
    login(&mut party(&server, "app")?).await?;
    Ok(())
}

#[tokio::test]
async fn ds_02_a_hundred_parameters_are_enough() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let mut held = login(&mut app).await?;
    let names = |count: usize| (0..count).map(|n| format!("&p{n}=1")).collect::<String>();
    for (name, more, good) in [
        ("97 more", names(97), true),
        ("98 more", names(98), false),
        ("5 000 more", names(5_000), false),
        ("the same name", "&a".repeat(20_000), false),
        ("indexed", (0..200).map(|n| format!("&a[{n}][b][c]=1")).collect(), false),
    ] {
        let form = format!("grant_type=refresh_token&client_id=app&refresh_token={}{more}", held.refresh);
        let answer = counted(&server, &format!("{OIDC}/token"), FORM, form.as_bytes()).await?;
        if good {
            held = tokens(&answer).context(name)?;
        } else {
            refused(&answer, 400, "invalid_request", name);
        }
    }
    for &(_, _, path, body, _) in DOORS {
        if body == Body::Form {
            let answer = counted(&server, path, FORM, names(101).trim_start_matches('&').as_bytes()).await?;
            assert!(matches!(answer.status, 400 | 401), "{path}: {}", answer.status);
            let answer = server.client()?.send(&Exchange::get(&format!("{path}?{}", names(5_000)))).await?;
            assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        }
    }
    tokens(&refresh(&mut app, &held.refresh).await?)?;
    Ok(())
}

#[tokio::test]
async fn ds_13_long_lists_are_refused() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        let many = |word: &str| vec![word; 10_000].join(" ");
        for (name, value, errors) in [
            ("scope", many("a"), &["invalid_scope", "invalid_request"][..]),
            ("scope", vec!["openid"; 101].join(" "), &["invalid_scope"]),
            ("claims", "[".repeat(10_000), &["invalid_request"]),
            ("acr_values", many("1"), &["invalid_request"]),
            ("ui_locales", many("en"), &["invalid_request"]),
            ("nonce", many("n"), &["invalid_request"]),
        ] {
            let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
            let mut fields = vec![
                ("response_type", "code"),
                ("client_id", "app"),
                ("redirect_uri", BACK),
                ("code_challenge", challenge),
                ("code_challenge_method", "S256"),
            ];
            fields.push((name, &value));
            let answer = server.client()?.send(&Exchange::form(&format!("{OIDC}/auth"), &fields)).await?;
            let location = answer.header("location").unwrap_or_default();
            let error = parameter(location, "error").unwrap_or_default();
            assert!(location.starts_with(BACK), "{house:?} {name}: {} {location}", answer.status);
            assert!(errors.contains(&error.as_str()), "{house:?} {name}: {error}");
        }
        for scope in [many("a"), vec!["nonsense"; 5_000].join(" ")] {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", &held.refresh), ("scope", &scope)];
            let answer = app.token(&fields).await?;
            refused(&answer, 400, "invalid_scope", "refresh");
        }
        tokens(&refresh(&mut app, &held.refresh).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn ds_19_monstrous_json_is_refused() -> Result<()> {
    let server = open(House::Strict).await?;
    let bearer = format!("Bearer {}", admin_token(&server).await?);
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    for (name, text) in [
        ("arrays", nested("[", "]")),
        ("objects", format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000))),
        ("nested in a member", format!("{{\"realm\":\"x\",\"attributes\":{}}}", nested("[", "]"))),
        ("never closed", "[".repeat(200_000)),
        ("a giant number", "{\"realm\":\"x\",\"notBefore\":1e99999}".to_owned()),
        ("many digits", format!("{{\"realm\":\"x\",\"notBefore\":{}}}", "9".repeat(100_000))),
        ("no UTF-8 escape", "{\"realm\":\"\\ud800\"}".to_owned()),
        ("twice", "{\"realm\":\"x\",\"realm\":\"y\"}".to_owned()),
        ("a giant name", format!("{{\"realm\":\"{}\"}}", "x".repeat(500_000))),
        ("empty", String::new()),
    ] {
        for (method, path) in [("POST", "/admin/realms"), ("PUT", "/admin/realms/yard")] {
            let ask = Exchange::new(method, path)
                .header("Content-Type", "application/json")
                .header("Authorization", &bearer)
                .body(text.clone().into_bytes());
            let answer = server.client()?.send(&ask).await?;
            assert_eq!(answer.status, 400, "{method} {name}: {:.200}", answer.text());
        }
    }
    let names = server.db.realm_names().await?;
    assert_eq!(names.len(), 2, "nothing came of it: {names:?}");
    let ask = Exchange::get("/admin/realms/yard").header("Authorization", &bearer);
    assert_eq!(server.client()?.send(&ask).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn jw_23_one_changed_byte_opens_no_door() -> Result<()> {
    let server = open(House::Strict).await?;
    let own = login(&mut party(&server, "app")?).await?.access;
    let admin = admin_token(&server).await?;
    for &(file, _, path, _, methods) in DOORS {
        for method in methods {
            let genuine = if file == ADMIN { &admin } else { &own };
            let (head, body, signature) = forge::parts(genuine)?;
            for at in [0, body.len() / 3, body.len() / 2, body.len() - 2] {
                let changed: String = body
                    .char_indices()
                    .map(|(i, c)| if i == at { if c == 'Q' { 'R' } else { 'Q' } } else { c })
                    .collect();
                let bearer = format!("Bearer {head}.{changed}.{signature}");
                let ask = Exchange::new(method, path).header("Authorization", &bearer).body(Vec::new());
                let answer = server.client()?.send(&ask).await?;
                assert_eq!(answer.status, 401, "{method} {path} at {at}: {}", answer.text());
            }
            for bearer in [String::new(), "Bearer".to_owned(), "Bearer ".to_owned(), "Bearer x".to_owned()] {
                let ask = Exchange::new(method, path).header("Authorization", &bearer).body(Vec::new());
                assert_eq!(server.client()?.send(&ask).await?.status, 401, "{method} {path} {bearer:?}");
            }
            if *method == "GET" {
                let ask = Exchange::get(path).header("Authorization", &format!("Bearer {genuine}"));
                assert_eq!(server.client()?.send(&ask).await?.status, 200, "{path}: the genuine one");
            }
        }
    }
    // Below /admin nothing is told to strangers, not even what is not there.
    let ask = Exchange::get("/admin/realms/yard/nowhere").header("Authorization", "Bearer x");
    assert_eq!(server.client()?.send(&ask).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn jw_17_p_22_a_long_token_costs_nothing_and_a_full_jar_is_read() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let held = login(&mut app).await?;
    for token in ["a".repeat(40_000), "a.".repeat(20_000), format!("{}x", held.access.repeat(20))] {
        assert_eq!(userinfo(&server, &token).await?.status, 401);
        assert_eq!(fault(&refresh(&mut app, &token).await?).0, 400);
    }
    let cookies: String = (0..70).map(|n| format!("c{n}={}; ", "v".repeat(95))).collect();
    let path = format!("{OIDC}/userinfo");
    let ask =
        Exchange::get(&path).header("Authorization", &format!("Bearer {}", held.access)).header("Cookie", &cookies);
    assert_eq!(server.client()?.send(&ask).await?.status, 200, "7 KB of cookies");
    assert!(OIDC.contains(REALM));
    Ok(())
}
