//! The doors, what somebody has for them, how they are tried and how they answer.

use anyhow::{Context as _, Result};
use portcullis_core::oauth::token::GrantType;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::{Pkce, RelyingParty, parameter};
use portcullis_testkit::server::TestServer;
use serde_json::Value;

use crate::devices::{self, Device};
use crate::ground::{BACK, REALM, Tokens, by_client, by_password, code, exchange, login, party, refresh, userinfo};

/// Where somebody may come in, or be let out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Door {
    Grant(GrantType),
    Introspection,
    Userinfo,
    AdminApi,
    Revocation,
    SingleSignOn,
    LoginPage,
    BrowserLogout,
    TokenLogout,
}

impl Door {
    /// All of them.
    pub(super) fn all() -> Vec<Self> {
        let others = [
            Self::Introspection,
            Self::Userinfo,
            Self::AdminApi,
            Self::Revocation,
            Self::SingleSignOn,
            Self::LoginPage,
            Self::BrowserLogout,
            Self::TokenLogout,
        ];
        GrantType::ALL.into_iter().map(Self::Grant).chain(others).collect()
    }

    /// Whether passing it, or revoking what it takes, ends the session: then no other door may lead through the same one.
    pub(super) fn ends_session(self) -> bool {
        match self {
            Self::Grant(GrantType::RefreshToken) | Self::BrowserLogout | Self::TokenLogout => true,
            Self::Grant(
                GrantType::AuthorizationCode
                | GrantType::Password
                | GrantType::ClientCredentials
                | GrantType::TokenExchange
                | GrantType::DeviceCode
                | GrantType::Implicit,
            )
            | Self::Introspection
            | Self::Userinfo
            | Self::AdminApi
            | Self::Revocation
            | Self::SingleSignOn
            | Self::LoginPage => false,
        }
    }

    /// Whether passing it leaves what was shown as it was, to be shown again.
    pub(super) fn takes_nothing(self) -> bool {
        !self.ends_session()
            && !matches!(self, Self::Grant(GrantType::AuthorizationCode | GrantType::DeviceCode) | Self::Revocation)
    }

    /// Whether a refused try leaves what was shown as it was.
    pub(super) fn spends_nothing(self) -> bool {
        !matches!(self, Self::Grant(GrantType::AuthorizationCode | GrantType::DeviceCode))
    }
}

/// What alice has for one door, from before the rule.
pub(super) struct Held {
    pub(super) browser: RelyingParty,
    pub(super) tokens: Tokens,
    code: Option<(String, Pkce)>,
    device: Option<Device>,
}

/// What a door answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    Open,
    Refused(u16, String),
    Inactive,
    Page(u16),
}

/// What alice needs for such doors. They share a session but for those that end it.
pub(super) async fn lay(server: &TestServer, wanted: impl Fn(Door) -> bool) -> Result<Vec<(Door, Held)>> {
    let mut shared = party(server, "app")?;
    login(&mut shared).await?;
    let mut all = Vec::new();
    for door in Door::all().into_iter().filter(|door| wanted(*door)) {
        let mut browser = party(server, "app")?;
        if !door.ends_session() {
            browser.jar = shared.jar.clone();
        }
        let tokens = login(&mut browser).await.with_context(|| format!("for {door:?}"))?;
        let (mut code_of, mut device) = (None, None);
        if door == Door::Grant(GrantType::AuthorizationCode) {
            code_of = Some(code(&mut browser).await?);
        }
        if door == Door::Grant(GrantType::DeviceCode) {
            device = Some(devices::approved(server, "tv").await?.0);
        }
        all.push((door, Held { browser, tokens, code: code_of, device }));
    }
    Ok(all)
}

/// Tries a door.
pub(super) async fn knock(server: &TestServer, door: Door, held: &Held) -> Result<Answer> {
    let endpoint = |name: &str| format!("/realms/{REALM}/protocol/openid-connect/{name}");
    let access = held.tokens.access.as_str();
    match door {
        Door::Grant(grant) => by_grant(server, grant, held).await,
        Door::Introspection => {
            let form = [("client_id", "web"), ("client_secret", "web-secret"), ("token", access)];
            server.client()?.send(&Exchange::form(&endpoint("token/introspect"), &form)).await
        }
        Door::Userinfo => userinfo(server, access).await,
        Door::AdminApi => {
            let ask = Exchange::get(&format!("/admin/realms/{REALM}"));
            server.client()?.send(&ask.header("Authorization", &format!("Bearer {access}"))).await
        }
        Door::Revocation => revoke(server, access).await,
        Door::SingleSignOn => {
            let mut browser = same_browser(server, held)?;
            browser.open(&browser.authorize_target(&Pkce::new()?, &[("scope", "openid")])).await
        }
        Door::LoginPage => {
            let mut browser = party(server, "app")?;
            let page = browser.open(&browser.authorize_target(&Pkce::new()?, &[("scope", "openid")])).await?;
            if page.status != 200 {
                return Ok(page);
            }
            browser.post_credentials(&page, "alice", "alice-password").await
        }
        Door::BrowserLogout => {
            let target = format!(
                "{}?id_token_hint={}&post_logout_redirect_uri={}",
                endpoint("logout"),
                held.tokens.id,
                url_encoded(BACK)
            );
            same_browser(server, held)?.open(&target).await
        }
        Door::TokenLogout => {
            let form = [("client_id", "app"), ("refresh_token", held.tokens.refresh.as_str())];
            server.client()?.send(&Exchange::form(&endpoint("logout"), &form)).await
        }
    }
}

/// The browser as it was: an answer may take its cookies away.
fn same_browser(server: &TestServer, held: &Held) -> Result<RelyingParty> {
    let mut browser = party(server, "app")?;
    browser.jar = held.browser.jar.clone();
    Ok(browser)
}

fn url_encoded(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}

async fn by_grant(server: &TestServer, grant: GrantType, held: &Held) -> Result<Answer> {
    match grant {
        GrantType::AuthorizationCode => {
            let (code, pkce) = held.code.as_ref().context("a code")?;
            party(server, "app")?.exchange(code, pkce).await
        }
        GrantType::RefreshToken => refresh(&mut party(server, "app")?, &held.tokens.refresh).await,
        GrantType::Password => by_password(server, "alice").await,
        GrantType::ClientCredentials => by_client(server, "service", "openid").await,
        GrantType::TokenExchange => exchange(server, &held.tokens.access, &[]).await,
        GrantType::DeviceCode => devices::poll(server, held.device.as_ref().context("a device")?).await,
        GrantType::Implicit => anyhow::bail!("no grant of the token endpoint"),
    }
}

pub(super) async fn revoke(server: &TestServer, token: &str) -> Result<Answer> {
    let path = format!("/realms/{REALM}/protocol/openid-connect/revoke");
    server.client()?.send(&Exchange::form(&path, &[("client_id", "app"), ("token", token)])).await
}

/// Reads an answer as its door writes them.
pub(super) fn seen(door: Door, answer: &Answer) -> Seen {
    let location = answer.header("location").unwrap_or_default();
    let refused = || {
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        let told = challenge.split_once("error=\"").and_then(|(_, rest)| rest.split('"').next());
        let json = serde_json::from_str::<Value>(&answer.text()).unwrap_or_default();
        let error = told.or(json["error"].as_str()).unwrap_or_default();
        Seen::Refused(answer.status, error.to_owned())
    };
    let open = |good: bool| if good { Seen::Open } else { refused() };
    match door {
        Door::Grant(_) => open(answer.status == 200 && answer.json()["access_token"].is_string()),
        Door::Introspection if answer.text() == "{\"active\":false}" => Seen::Inactive,
        Door::Introspection => open(answer.status == 200 && answer.json()["active"] == true),
        Door::Userinfo | Door::AdminApi => open(answer.status == 200),
        Door::Revocation => open(answer.status == 200 && answer.text().is_empty()),
        Door::TokenLogout => open(answer.status == 204),
        Door::SingleSignOn | Door::LoginPage if parameter(location, "code").is_some() => Seen::Open,
        Door::BrowserLogout if answer.status == 302 && location == BACK => Seen::Open,
        Door::SingleSignOn | Door::LoginPage | Door::BrowserLogout => Seen::Page(answer.status),
    }
}
