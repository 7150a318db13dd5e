//! TE: the token endpoint.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::{Pkce, parameter};
use portcullis_testkit::server::TestServer;
use serde_json::Value;

use crate::forge::claims;
use crate::ground::{
    BACK, House, ODD_SECRET, ORIGIN, REALM, by_password, code, fault, login, open, party, refresh, refused, tokens,
};

const TOKEN: &str = "/realms/yard/protocol/openid-connect/token";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) async fn post(server: &TestServer, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let mut exchange = Exchange::new("POST", TOKEN).body(body.to_vec());
    for (name, value) in headers {
        exchange = exchange.header(name, value);
    }
    server.client()?.send(&exchange).await
}

#[tokio::test]
async fn te_01_only_post_and_only_its_body() -> Result<()> {
    let server = open(House::Strict).await?;
    let held = login(&mut party(&server, "web")?).await?;
    let refresh_token = held.refresh.as_str();
    let body = format!("grant_type=refresh_token&client_id=web&client_secret=web-secret&refresh_token={refresh_token}");
    let target = format!("{TOKEN}?{body}");
    let mut http = server.client()?;
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"] {
        let answer = http.send(&Exchange::new(method, &target)).await?;
        assert_eq!(answer.status, 405, "{method}");
        assert!(!answer.text().contains("token"), "{method}: {}", answer.text());
    }
    let answer = http.send(&Exchange::new("POST", &target).header("Content-Type", FORM).body(Vec::new())).await?;
    refused(&answer, 400, "invalid_request", "a query");
    tokens(&post(&server, &[("Content-Type", FORM)], body.as_bytes()).await?)?;
    Ok(())
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[tokio::test]
async fn te_02_te_06_one_method_and_one_name() -> Result<()> {
    let server = open(House::Strict).await?;
    let held = login(&mut party(&server, "web")?).await?;
    let web = basic("web:web-secret");
    let grant = format!("grant_type=refresh_token&refresh_token={}", held.refresh);
    for (name, more, good) in [
        ("basic alone", "", true),
        ("basic and its own client_id", "&client_id=web", true),
        ("two methods", "&client_id=web&client_secret=web-secret", false),
        ("two methods, one name", "&client_secret=web-secret", false),
        ("an assertion besides", "&client_assertion=x.y.z", false),
        ("te_06 another client", "&client_id=other", false),
        ("te_06 a public client", "&client_id=app", false),
        ("te_06 in another case", "&client_id=WEB", false),
        ("az_03 client_id twice", "&client_id=web&client_id=web", false),
        ("az_03 grant_type twice", "&grant_type=refresh_token", false),
        ("az_03 refresh_token twice", "&refresh_token=x", false),
    ] {
        let headers = [("Content-Type", FORM), ("Authorization", web.as_str())];
        let answer = post(&server, &headers, format!("{grant}{more}").as_bytes()).await?;
        if good {
            tokens(&answer).context(name)?;
        } else {
            assert_eq!(answer.status, 400, "{name}: {}", answer.text());
            assert!(answer.json().get("access_token").is_none(), "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_03_te_04_te_05_p_09_a_client_proves_itself_exactly() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = login(&mut party(&server, "odd")?).await?;
        let grant = format!("grant_type=refresh_token&refresh_token={}", held.refresh);
        let encoded = "s3cr%3Aet%25%2B%C3%A4+%26%3D";
        let good = basic(&format!("odd:{encoded}"));
        let form = |secret: &str| {
            let pairs = [("client_id", "odd"), ("client_secret", secret)];
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
        };
        let latin = format!("Basic {}", STANDARD.encode(b"odd:\xff\xfe"));
        let rows: Vec<(&str, Vec<String>, String, bool)> = vec![
            ("p_09 basic, form-encoded", vec![good.clone()], String::new(), true),
            ("basic, scheme in another case", vec![good.replacen("Basic", "bASIC", 1)], String::new(), true),
            ("post", vec![], form(ODD_SECRET), true),
            ("te_03 wrong secret, basic", vec![basic("odd:wrong")], String::new(), false),
            ("te_03 wrong secret, post", vec![], form("wrong"), false),
            ("te_03 secret and more", vec![], form(&format!("{ODD_SECRET}x")), false),
            ("te_03 secret cut", vec![], form(&ODD_SECRET[..ODD_SECRET.len() - 1]), false),
            ("te_03 unknown client, basic", vec![basic("nobody:wrong")], String::new(), false),
            ("te_03 unknown client, post", vec![], "client_id=nobody&client_secret=wrong".to_owned(), false),
            ("te_04 no credentials", vec![], "client_id=odd".to_owned(), false),
            ("te_04 nothing at all", vec![], String::new(), false),
            ("te_04 an empty secret", vec![], "client_id=odd&client_secret=".to_owned(), false),
            ("te_05 no colon", vec![basic("odd")], String::new(), false),
            ("te_05 empty", vec!["Basic ".to_owned()], String::new(), false),
            ("te_05 no value", vec!["Basic".to_owned()], String::new(), false),
            ("te_05 bad base64", vec!["Basic !!!".to_owned()], String::new(), false),
            ("te_05 stray padding", vec![format!("{good}==")], String::new(), false),
            ("te_05 invalid UTF-8", vec![latin], String::new(), false),
            // Recorded: Keycloak reads over them.
            ("te_05 two blanks", vec![good.replacen(' ', "  ", 1)], String::new(), house == House::Keycloak),
            ("te_05 a comma list", vec![format!("{good}, {good}")], String::new(), false),
            ("te_05 two headers", vec![good.clone(), good.clone()], String::new(), false),
            ("te_05 not form-encoded", vec![basic(&format!("odd:{ODD_SECRET}"))], String::new(), false),
            ("te_05 half an escape", vec![basic("odd:%4")], String::new(), false),
            ("te_05 name in another case", vec![basic(&format!("Odd:{encoded}"))], String::new(), false),
            ("te_05 bytes that are no text", vec!["Basic \u{ff}".to_owned()], String::new(), false),
        ];
        for (name, authorization, more, good) in rows {
            let mut headers = vec![("Content-Type", FORM)];
            headers.extend(authorization.iter().map(|value| ("Authorization", value.as_str())));
            let answer = post(&server, &headers, format!("{grant}&{more}").as_bytes()).await?;
            if good {
                tokens(&answer).with_context(|| format!("{house:?} {name}"))?;
                continue;
            }
            let (status, error) = fault(&answer);
            assert!(matches!(status, 400 | 401), "{house:?} {name}: {} {}", answer.status, answer.text());
            assert!(matches!(error.as_str(), "invalid_client" | "unauthorized_client"), "{name}: {}", answer.text());
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
        }
        // Wrong and unknown say the same to a person.
        let said = |body: &Value| body["error_description"].as_str().unwrap_or_default().to_owned();
        let mut texts = Vec::new();
        for header in [basic("odd:wrong"), basic("nobody:wrong")] {
            let answer = post(&server, &[("Content-Type", FORM), ("Authorization", &header)], grant.as_bytes()).await?;
            assert_eq!(answer.status, 401);
            texts.push(said(&answer.json()));
        }
        assert_eq!(texts.first(), texts.last());
    }
    Ok(())
}

#[tokio::test]
async fn te_14_te_15_only_a_clean_form_is_read() -> Result<()> {
    let server = open(House::Strict).await?;
    let held = login(&mut party(&server, "app")?).await?;
    let form = format!("grant_type=refresh_token&client_id=app&refresh_token={}", held.refresh);
    let json = serde_json::json!({ "grant_type": "refresh_token", "client_id": "app", "refresh_token": held.refresh });
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let multipart = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", &held.refresh)]
        .map(|(n, v)| part(n, v))
        .concat();
    let big = |name: &str| format!("{form}&{name}={}", "x".repeat(100 * 1024));
    for (name, kind, body, status) in [
        ("te_14 json", Some("application/json"), json.to_string(), 400),
        ("te_14 multipart", Some("multipart/form-data; boundary=b"), format!("{multipart}--b--"), 400),
        ("te_14 text", Some("text/plain"), form.clone(), 400),
        ("te_14 none", None, form.clone(), 400),
        ("te_14 a longer type", Some("application/x-www-form-urlencoded2"), form.clone(), 400),
        ("te_15 broken percent", Some(FORM), format!("{form}&x=%"), 400),
        ("te_15 half a percent", Some(FORM), format!("{form}&x=%4"), 400),
        ("te_15 no hex", Some(FORM), format!("{form}&x=%zz"), 400),
        ("te_15 broken name", Some(FORM), format!("{form}&%zz=x"), 400),
        ("te_15 NUL", Some(FORM), format!("{form}%00"), 400),
        ("te_15 invalid UTF-8", Some(FORM), format!("{form}&x=%ff"), 400),
        ("te_15 overlong UTF-8", Some(FORM), format!("{form}&x=%c0%af"), 400),
        ("te_15 a large value", Some(FORM), big("x"), 413),
        ("te_15 a large scope", Some(FORM), big("scope"), 413),
    ] {
        let headers: Vec<(&str, &str)> = kind.map(|kind| ("Content-Type", kind)).into_iter().collect();
        let answer = post(&server, &headers, body.as_bytes()).await?;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert!(answer.json().get("access_token").is_none(), "{name}");
    }
    for field in ["code", "redirect_uri", "code_verifier", "client_id", "client_secret", "refresh_token", "username"] {
        let long = format!("grant_type=authorization_code&{field}={}", "x".repeat(60_000));
        let answer = post(&server, &[("Content-Type", FORM)], long.as_bytes()).await?;
        assert!(matches!(answer.status, 400 | 401), "{field}: {}", answer.status);
    }
    let kind = [("Content-Type", "APPLICATION/X-WWW-Form-Urlencoded; charset=UTF-8")];
    tokens(&post(&server, &kind, form.as_bytes()).await?).context("the form itself")?;
    Ok(())
}

#[tokio::test]
async fn te_27_p_19_only_the_clients_origins_may_read() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut held = login(&mut party(&server, "app")?).await?;
        for (origin, allowed) in [
            (ORIGIN, true),
            ("null", false),
            ("http://127.0.0.1", false),
            ("http://127.0.0.1:98760", false),
            ("http://127.0.0.1:9876.evil.test", false),
            ("https://127.0.0.1:9876", false),
            ("http://127.0.0.1:9876/", false),
            ("http://evil.test", false),
            ("*", false),
        ] {
            let form = format!("grant_type=refresh_token&client_id=app&refresh_token={}", held.refresh);
            let answer = post(&server, &[("Content-Type", FORM), ("Origin", origin)], form.as_bytes()).await?;
            held = tokens(&answer)?;
            let path = "/realms/yard/protocol/openid-connect/userinfo";
            let bearer = format!("Bearer {}", held.access);
            let ask = Exchange::get(path).header("Authorization", &bearer).header("Origin", origin);
            let info = server.client()?.send(&ask).await?;
            assert_eq!(info.status, 200);
            for answer in [answer, info] {
                let seen = answer.header("access-control-allow-origin");
                assert_eq!(seen, allowed.then_some(origin), "{house:?} {origin}");
                let credentials = answer.header("access-control-allow-credentials");
                assert_eq!(credentials, allowed.then_some("true"), "{house:?} {origin}");
            }
        }
        let twice = [("Content-Type", FORM), ("Origin", ORIGIN), ("Origin", "http://evil.test")];
        let form = format!("grant_type=refresh_token&client_id=app&refresh_token={}", held.refresh);
        assert_eq!(post(&server, &twice, form.as_bytes()).await?.header("access-control-allow-origin"), None);
        let ask = Exchange::new("OPTIONS", TOKEN)
            .header("Origin", ORIGIN)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization,dpop,content-type");
        let answer = server.client()?.send(&ask).await?;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(ORIGIN)));
        let headers = answer.header("access-control-allow-headers").unwrap_or_default().to_ascii_lowercase();
        for name in ["authorization", "dpop", "content-type"] {
            assert!(headers.contains(name), "{name} in {headers}");
        }
        assert!(answer.header("access-control-allow-methods").is_some_and(|m| m.contains("POST")));
    }
    Ok(())
}

#[tokio::test]
async fn te_28_whatever_carries_a_secret_is_not_kept() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let (code, pkce) = code(&mut app).await?;
        let first = app.exchange(&code, &pkce).await?;
        let second = refresh(&mut app, &tokens(&first)?.refresh).await?;
        let third = by_password(&server, "alice").await?;
        let redirect = app.open(&app.authorize_target(&Pkce::new()?, &[("scope", "openid")])).await?;
        assert!(redirect.header("location").is_some_and(|l| l.contains("code=")), "{}", redirect.status);
        let wrong = app.exchange("wrong", &pkce).await?;
        for (name, answer) in
            [("code", first), ("refresh", second), ("password", third), ("redirect", redirect), ("error", wrong)]
        {
            let cache = answer.header("cache-control").unwrap_or_default();
            assert!(cache.contains("no-store"), "{house:?} {name}: {cache}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn p_01_p_05_more_parameters_and_long_ones_are_no_fault() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let long = "s".repeat(400);
        let pkce = Pkce::new()?;
        let more = [("scope", "openid"), ("state", long.as_str()), ("nonce", &long), ("unknown", "x"), ("empty", "")];
        let target = app.authorize_target(&pkce, &more);
        let page = app.open(&target).await?;
        let back = app.post_credentials(&page, "alice", "alice-password").await?;
        let location = back.header("location").context("location")?.to_owned();
        assert_eq!(parameter(&location, "state").as_deref(), Some(long.as_str()), "{house:?}");
        let code = parameter(&location, "code").context("code")?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", BACK),
            ("code_verifier", &pkce.verifier),
            ("unknown", "x"),
            ("audience", ""),
        ];
        let given = tokens(&app.token(&fields).await?)?;
        assert_eq!(claims(&given.id)?["nonce"], Value::from(long.as_str()));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &given.refresh), ("scope", ""), ("x", "y")];
        let answer = app.token(&fields).await?;
        match house {
            House::Strict => drop(tokens(&answer).context("an empty scope counts as absent")?),
            // Keycloak 26.4, as recorded.
            House::Keycloak => refused(&answer, 400, "invalid_scope", "an empty scope"),
        }
    }
    Ok(())
}

#[test]
fn the_realm_of_the_paths_is_the_one_under_attack() {
    assert!(TOKEN.starts_with(&format!("/realms/{REALM}/")));
}
