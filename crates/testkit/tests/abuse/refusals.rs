//! LG: every refusal has a trace id of ours and a record that says which check failed; no record holds a secret or a stranger's line break.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use portcullis_core::refusal::{Record, RefusalSink, TraceId};
use portcullis_idp::Watch;
use portcullis_idp::watch::Endpoint;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::Pkce;
use portcullis_testkit::server::{Options, TestServer};

use crate::ground::{
    BACK, House, REALM, admin_token, by_password, code, edit_user, furnish, login, party, refresh, tokens, userinfo,
};
use crate::limits::DOORS;

/// A sink that keeps everything.
#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

impl RefusalSink for Kept {
    fn refused(&self, record: Record) -> bool {
        self.0.lock().is_ok_and(|mut all| {
            all.push(record);
            true
        })
    }
}

impl Kept {
    fn all(&self) -> Vec<Record> {
        self.0.lock().map(|all| all.clone()).unwrap_or_default()
    }

    /// The record of an answer, found by the answer's own header.
    fn of(&self, answer: &Answer) -> Result<Record> {
        let trace = answer.header("portcullis-trace").with_context(|| format!("no trace id: {}", answer.status))?;
        assert!(TraceId::is_one(trace), "{trace}");
        let mut found: Vec<Record> = self.all().into_iter().filter(|r| r.trace == trace).collect();
        assert_eq!(found.len(), 1, "one record of one refusal");
        found.pop().context("no record")
    }
}

async fn watched(house: House) -> Result<(TestServer, Arc<Kept>)> {
    let kept = Arc::new(Kept::default());
    let options = Options { watch: Watch { refusals: kept.clone(), ..Watch::default() }, ..Options::default() };
    let server = TestServer::with(options).await?;
    furnish(&server, house).await?;
    Ok((server, kept))
}

fn oidc(path: &str) -> String {
    format!("/realms/{REALM}/protocol/openid-connect/{path}")
}

/// Endpoint, reason, realm, client.
type Facts<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>);

fn facts(record: &Record) -> Facts<'_> {
    (&record.endpoint, &record.reason, record.realm.as_deref(), record.client_id.as_deref())
}

#[tokio::test]
async fn lg_04_every_refusal_of_the_protocol_is_explained_under_its_id() -> Result<()> {
    let (server, kept) = watched(House::Strict).await?;
    let form = |path: &str, pairs: &[(&str, &str)]| Exchange::form(&oidc(path), pairs);
    let get = |path: &str| Exchange::get(&oidc(path));
    let yard = Some(REALM);
    let authorize = format!("auth?client_id=app&response_type=code&redirect_uri={BACK}");
    let foreign = "auth?client_id=app&response_type=code&redirect_uri=https://evil.test/cb%3Fcode%3Dcanary";
    let web = [("client_id", "web"), ("client_secret", "web-secret")];
    let rows: Vec<(Exchange, u16, Facts<'_>)> = vec![
        (form("token", &[]), 400, ("token", "MissingGrantType", yard, None)),
        (
            form("token", &[("grant_type", "authorization_code"), ("client_id", "app"), ("code", "x")]),
            400,
            ("token", "CodeNotValid", yard, Some("app")),
        ),
        (
            form("token", &[("grant_type", "client_credentials"), ("scope", "moon"), web[0], web[1]]),
            401,
            ("token", "ServiceAccountOff", yard, Some("web")),
        ),
        (get("token"), 405, ("token", "Method", yard, None)),
        (form("token/introspect", &[("token", "x")]), 401, ("introspect", "IntrospectionUnauthenticated", yard, None)),
        (
            form("token/introspect", &[("token", "x"), web[0], web[1]]),
            200,
            ("introspect", "not_three_parts", yard, Some("web")),
        ),
        (get("userinfo"), 401, ("userinfo", "NoToken", yard, None)),
        (get("userinfo").header("Authorization", "Bearer a.b.c"), 401, ("userinfo", "bad_base64", yard, None)),
        (get("userinfo").header("Authorization", "DPoP a.b.c"), 401, ("userinfo", "DpopToken", yard, None)),
        (get("auth?client_id=nobody"), 400, ("authorize", "ClientNotFound", yard, Some("nobody"))),
        (get(foreign), 400, ("authorize", "InvalidRedirectUri", yard, Some("app"))),
        (get(&authorize), 302, ("authorize", "MissingCodeChallengeMethod", yard, Some("app"))),
        (
            get(&format!("logout?client_id=app&post_logout_redirect_uri={BACK}x")),
            400,
            ("logout", "LogoutRedirect", yard, Some("app")),
        ),
        (
            form("logout", &[("client_id", "app"), ("refresh_token", "x")]),
            400,
            ("logout", "InvalidRefreshToken", yard, Some("app")),
        ),
        (
            Exchange::get(&format!("/realms/{REALM}/login-actions/authenticate?client_id=app&tab_id=x")),
            400,
            ("login", "CookieNotFound", yard, None),
        ),
        (Exchange::get("/realms/moon/protocol/openid-connect/certs"), 404, ("certs", "UnknownRealm", None, None)),
        (Exchange::get("/realms/moon/protocol/openid-connect/auth"), 404, ("authorize", "UnknownRealm", None, None)),
        (Exchange::get("/nowhere"), 404, ("other", "UnknownPath", None, None)),
        (Exchange::get("/admin/realms"), 401, ("admin", "NoToken", None, None)),
        (
            Exchange::get("/admin/realms/yard").header("Authorization", "Bearer a.b"),
            401,
            ("admin", "not_three_parts", yard, None),
        ),
    ];
    for (exchange, status, expected) in rows {
        let answer = server.client()?.send(&exchange).await?;
        assert_eq!(answer.status, status, "{expected:?}: {}", answer.text());
        let record = kept.of(&answer)?;
        assert_eq!(facts(&record), expected);
        assert_eq!(record.status, status);
        for words in [&record.check, &record.expected, &record.got, &record.advice] {
            assert!(!words.is_empty(), "{record:?}");
        }
        if answer.text().contains("<html") {
            assert!(answer.text().contains(&record.trace), "the page shows the id");
        } else {
            assert!(!answer.text().contains(&record.trace), "the wire stays Keycloak's");
        }
    }
    let all = kept.all();
    let mut ids: Vec<&str> = all.iter().map(|r| r.trace.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "an id of its own each");
    Ok(())
}

#[tokio::test]
async fn lg_04_what_succeeds_has_no_id_and_no_record() -> Result<()> {
    let (server, kept) = watched(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let given = login(&mut app).await?;
    let answers = [
        refresh(&mut app, &given.refresh).await?,
        userinfo(&server, &given.access).await?,
        server.client()?.send(&Exchange::get(&oidc("certs"))).await?,
        server.client()?.send(&Exchange::new("OPTIONS", &oidc("token"))).await?,
    ];
    for answer in answers {
        assert_eq!((answer.status, answer.header("portcullis-trace")), (200, None));
    }
    assert_eq!(kept.all(), []);
    Ok(())
}

#[tokio::test]
async fn lg_04_a_login_page_that_says_no_is_a_refusal() -> Result<()> {
    let (server, kept) = watched(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let page = app.open(&app.authorize_target(&Pkce::new()?, &[])).await?;
    assert_eq!((page.status, page.header("portcullis-trace")), (200, None));
    for (user, password, reason) in [
        ("alice", "canary-password", "WrongPassword"),
        ("canary-password", "", "WrongPassword"),
        ("", "x", "NoUsername"),
    ] {
        let page = app.open(&app.authorize_target(&Pkce::new()?, &[])).await?;
        let answer = app.post_credentials(&page, user, password).await?;
        let record = kept.of(&answer)?;
        assert_eq!(facts(&record), ("login", reason, Some(REALM), Some("app")), "{user}");
    }
    // LG-11: the user name field holds passwords now and then.
    assert!(!format!("{:?}", kept.all()).contains("canary"));
    Ok(())
}

#[tokio::test]
async fn lg_04_a_token_that_does_not_count_names_its_check() -> Result<()> {
    let (server, kept) = watched(House::Keycloak).await?;
    let mut app = party(&server, "app")?;
    let given = login(&mut app).await?;
    assert_eq!(userinfo(&server, &given.access).await?.status, 200);
    let id = kept.of(&userinfo(&server, &given.id).await?)?;
    assert_eq!((id.reason.as_str(), id.got.as_str()), ("NotBearer", "a token of another kind"));
    edit_user(&server, "alice", |user| user.enabled = false).await?;
    assert_eq!(kept.of(&userinfo(&server, &given.access).await?)?.reason, "UserOff");
    assert_eq!(kept.of(&refresh(&mut app, &given.refresh).await?)?.reason, "UserDisabled");
    assert_eq!(kept.of(&by_password(&server, "alice").await?)?.reason, "AccountDisabled");
    let wrong = [("grant_type", "password"), ("username", "bob"), ("password", "canary")];
    let mut tool = party(&server, "tool")?;
    assert_eq!(kept.of(&tool.token(&wrong).await?)?.reason, "WrongPassword");
    let stranger = tokens(&by_password(&server, "bob").await?)?.access;
    let call = |token: &str| Exchange::get("/admin/realms/yard").header("Authorization", &format!("Bearer {token}"));
    let denied = kept.of(&server.client()?.send(&call(&stranger)).await?)?;
    assert_eq!((denied.status, denied.reason.as_str()), (403, "MissingRight"));
    assert_eq!(server.client()?.send(&call(&admin_token(&server).await?)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn lg_04_every_door_gives_an_id_and_has_a_word() -> Result<()> {
    let (server, kept) = watched(House::Strict).await?;
    for (.., path, _, _) in DOORS {
        let answer = server.client()?.send(&Exchange::new("BREW", path)).await?;
        if answer.status < 400 {
            continue;
        }
        let record = kept.of(&answer)?;
        assert_ne!(record.reason, "Unnamed", "{path}");
        let unknown = path.contains("/saml/");
        assert_eq!(Endpoint::of(path).0 == Endpoint::Other, unknown, "{path}: a door needs a word of its own");
    }
    Ok(())
}

#[tokio::test]
async fn lg_01_a_strangers_text_stays_one_line_and_short() -> Result<()> {
    let (server, kept) = watched(House::Strict).await?;
    let long = "x".repeat(3000);
    for id in ["a%0d%0aPortcullis-Trace:%20forged", "%1b%5b31m", "%e2%80%a8next", "%22%7d%2c%7b", long.as_str()] {
        let answer = server.client()?.send(&Exchange::get(&oidc(&format!("auth?client_id={id}")))).await?;
        let record = kept.of(&answer)?;
        let shown = record.client_id.clone().context("no client")?;
        assert!(!shown.chars().any(|c| c.is_control() || c == '\u{2028}') && shown.chars().count() <= 121, "{shown:?}");
        let line = serde_json::to_string(&record)?;
        assert!(!line.contains('\n') && serde_json::from_str::<Record>(&line)? == record, "{line}");
    }
    let realm = server.client()?.send(&Exchange::get("/realms/a%0ab/protocol/openid-connect/certs")).await?;
    let record = kept.of(&realm)?;
    assert_eq!((record.realm.as_deref(), record.got.as_str()), (None, "no realm of that name: a?b"));
    Ok(())
}

#[tokio::test]
async fn lg_02_no_record_holds_a_secret() -> Result<()> {
    let (server, kept) = watched(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let given = login(&mut app).await?;
    let (spent, pkce) = code(&mut app).await?;
    app.exchange(&spent, &pkce).await?;
    app.exchange(&spent, &pkce).await?;
    let basic = "Basic Y2FuYXJ5LXNlY3JldA==";
    let secret = |name: &'static str| (name, "canary-secret");
    let mut sent = vec![
        Exchange::form(
            &oidc("token"),
            &[("grant_type", "refresh_token"), secret("refresh_token"), ("client_id", "app")],
        ),
        Exchange::form(&oidc("token"), &[("grant_type", "password"), secret("password"), ("client_id", "tool")]),
        Exchange::form(
            &oidc("token"),
            &[("grant_type", "client_credentials"), ("client_id", "web"), secret("client_secret")],
        ),
        Exchange::form(&oidc("token"), &[("grant_type", "client_credentials"), secret("client_assertion")]),
        Exchange::form(
            &oidc("token"),
            &[("grant_type", "authorization_code"), ("client_id", "app"), secret("code"), secret("code_verifier")],
        ),
        Exchange::form(&oidc("token"), &[("grant_type", "client_credentials")]).header("Authorization", basic),
        Exchange::form(&oidc("token/introspect"), &[secret("token"), secret("client_secret"), ("client_id", "web")]),
        Exchange::get(&oidc("userinfo"))
            .header("Authorization", "Bearer canary-secret")
            .header("Cookie", "a=canary-secret"),
        Exchange::get(&oidc(
            "logout?id_token_hint=canary-secret&post_logout_redirect_uri=http://x/?code=canary-secret",
        )),
        Exchange::get(&oidc(
            "auth?client_id=app&redirect_uri=http://u:canary-secret@x/cb?code=canary-secret&login_hint=canary-secret&state=canary-secret",
        )),
        Exchange::get("/admin/realms").header("Authorization", "Bearer canary-secret"),
        Exchange::get(&format!(
            "/realms/{REALM}/login-actions/authenticate?session_code=canary-secret&tab_id=canary-secret"
        )),
    ];
    for token in [&given.access, &given.refresh, &given.id] {
        sent.push(Exchange::form(
            &oidc("token"),
            &[("grant_type", "refresh_token"), ("client_id", "second"), ("refresh_token", token)],
        ));
    }
    for exchange in &sent {
        kept.of(&server.client()?.send(exchange).await?)?;
    }
    let told = format!("{:?}", kept.all());
    for secret in ["canary", &given.access, &given.refresh, &given.id, &spent, &pkce.verifier] {
        assert!(!told.contains(secret), "{secret} in a record");
    }
    Ok(())
}

#[tokio::test]
async fn lg_01_an_inbound_traceparent_is_linked_and_never_the_id() -> Result<()> {
    let (server, kept) = watched(House::Strict).await?;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (sent, linked) in [(parent, Some(parent)), ("00-forged", None), ("canary", None)] {
        let exchange = Exchange::get(&oidc("userinfo")).header("traceparent", sent).header("Portcullis-Trace", parent);
        let record = kept.of(&server.client()?.send(&exchange).await?)?;
        assert_eq!(record.traceparent.as_deref(), linked);
        assert!(!parent.contains(&record.trace));
    }
    Ok(())
}
