//! One realm, its people, and browsers that go there.

use std::future::IntoFuture as _;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::ids::RealmId;
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::user::User;
use portcullis_testkit::clock::SeededEntropy;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Connection, Exchange};
use portcullis_testkit::rp::{Pkce, Registration, RelyingParty, parameter};
use portcullis_testkit::server::{Options, TestServer};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Name of the realm.
pub(crate) const REALM: &str = "shop";
/// Registered address of the client `app`.
pub(crate) const CALLBACK: &str = "https://app.test/cb";
/// Registered address of the client `second`.
pub(crate) const SECOND: &str = "https://second.test/cb";
/// Both profiles, the strict one first.
pub(crate) const PROFILES: [bool; 2] = [true, false];
/// A change of the usual authorization request: the value, or `None` to leave the parameter out.
pub(crate) type Change<'a> = (&'a str, Option<&'a str>);

/// The realm; members of `changes` replace its own.
pub(crate) fn realm(changes: &Value) -> Value {
    let person = |name: &str| {
        json!({
            "username": name, "enabled": true, "email": format!("{name}@shop.test"), "emailVerified": true,
            "firstName": name, "lastName": "Tester",
            "credentials": [{ "type": "password", "value": format!("{name}-password") }],
        })
    };
    let mut dora = person("dora");
    let mut nora = person("nora");
    let mut ulla = person("ulla");
    set(&mut dora, "enabled", false);
    set(&mut nora, "credentials", json!([]));
    set(&mut ulla, "requiredActions", json!(["UPDATE_PASSWORD"]));
    let mut otto = person("otto");
    let password = json!({ "type": "password", "value": "otto-password" });
    set(&mut otto, "credentials", json!([password, totp("otto-1", "phone")]));
    let public = |id: &str, uri: &str| {
        json!({
            "clientId": id, "name": id, "enabled": true, "publicClient": true, "standardFlowEnabled": true,
            "directAccessGrantsEnabled": true, "redirectUris": [uri], "webOrigins": [],
            "attributes": { "post.logout.redirect.uris": "https://app.test/bye" },
        })
    };
    let mut off = public("off", CALLBACK);
    let mut no_flow = public("no-flow", CALLBACK);
    let (mut asker, mut asker_two) = (public("asker", CALLBACK), public("asker-two", CALLBACK));
    set(&mut asker, "consentRequired", true);
    set(&mut asker_two, "consentRequired", true);
    set(&mut off, "enabled", false);
    set(&mut no_flow, "standardFlowEnabled", false);
    let mut realm = json!({
        "realm": REALM, "enabled": true, "rememberMe": true,
        "bruteForceProtected": true, "failureFactor": 5, "waitIncrementSeconds": 60, "maxFailureWaitSeconds": 900,
        "quickLoginCheckMilliSeconds": 0, "minimumQuickLoginWaitSeconds": 60,
        "users": [person("alice"), person("bob"), person("mallory"), dora, nora, ulla, otto],
        "clients": [
            public("app", CALLBACK), public("second", SECOND), off, no_flow, asker, asker_two,
            { "clientId": "api", "enabled": true, "bearerOnly": true },
        ],
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        set(&mut realm, name, value.clone());
    }
    realm
}

/// A device that makes one-time codes.
pub(crate) fn device(id: &str, label: &str, data: &Value) -> Value {
    json!({
        "id": id, "type": "otp", "userLabel": label,
        "secretData": json!({ "value": format!("seed of {id}") }).to_string(),
        "credentialData": data.to_string(),
    })
}

/// One that goes by the clock.
pub(crate) fn totp(id: &str, label: &str) -> Value {
    device(id, label, &json!({ "subType": "totp", "digits": 6, "period": 30, "counter": 0, "algorithm": "HmacSHA1" }))
}

/// Sets a member of a JSON object.
pub(crate) fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

/// A server with the realm.
pub(crate) struct Stage {
    pub(crate) server: TestServer,
    pub(crate) realm: RealmId,
}

impl Stage {
    pub(crate) async fn of(strict: bool) -> Result<Self> {
        Self::with(strict, Options::default(), &json!({})).await
    }

    pub(crate) async fn with(strict: bool, options: Options, changes: &Value) -> Result<Self> {
        let server = TestServer::with(options).await?;
        let realm = import(&server, strict, changes).await?;
        Ok(Self { server, realm })
    }

    pub(crate) fn browser(&self) -> Result<Browser> {
        Browser::at(&self.server.base, "app")
    }

    pub(crate) fn hash_calls(&self) -> u64 {
        self.server.idp.password_figures().hash_calls
    }

    pub(crate) async fn user(&self, name: &str) -> Result<User> {
        self.server.db.user_by_username(&self.realm, name).await?.context("no such user")
    }

    /// Live rows of user sessions.
    pub(crate) async fn sessions(&self, name: &str) -> Result<usize> {
        let user = self.user(name).await?;
        Ok(self.server.db.user_sessions_of(&self.realm, &user.id).await?.len())
    }

    /// As an administrator does.
    pub(crate) async fn change_user(&self, name: &str, change: impl FnOnce(&mut User)) -> Result<()> {
        let mut user = self.user(name).await?;
        change(&mut user);
        self.apply(Write::UpdateUser(self.realm.clone(), user)).await
    }

    pub(crate) async fn apply(&self, write: Write) -> Result<()> {
        Ok(self.server.db.apply(Plan::new(Lane::Admin, vec![write])).await?)
    }
}

/// Imports the realm.
pub(crate) async fn import(server: &TestServer, strict: bool, changes: &Value) -> Result<RealmId> {
    let realm = realm(changes);
    let imported = if strict { server.import_strict(&realm).await? } else { server.import(&realm).await? };
    Ok(imported.id)
}

/// A router on a port of its own, until it is dropped.
pub(crate) struct Door {
    pub(crate) base: String,
    task: JoinHandle<()>,
}

impl Door {
    pub(crate) async fn open(router: Router) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let serving = axum::serve(listener, router).into_future();
        let task = tokio::spawn(async move {
            // It ends only when the task is aborted.
            let _ = serving.await;
        });
        Ok(Self { base, task })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Random bytes of a second process.
pub(crate) fn other_entropy() -> Arc<SeededEntropy> {
    Arc::new(SeededEntropy::new(77))
}

/// A browser that uses one client.
pub(crate) struct Browser {
    pub(crate) rp: RelyingParty,
    pub(crate) pkce: Pkce,
    client: &'static str,
    base: String,
}

impl Browser {
    pub(crate) fn at(base: &str, client: &'static str) -> Result<Self> {
        let redirect_uri = callback_of(client).to_owned();
        let registration =
            Registration { realm: REALM.into(), client_id: client.into(), client_secret: None, redirect_uri };
        let rp = RelyingParty::new(base, registration)?;
        Ok(Self { rp, pkce: Pkce::new()?, client, base: base.to_owned() })
    }

    /// The same browser at another client: it takes the cookies along.
    pub(crate) fn at_client(&self, client: &'static str) -> Result<Self> {
        let mut other = Self::at(&self.base, client)?;
        other.rp.jar = self.rp.jar.clone();
        Ok(other)
    }

    /// A browser into which somebody planted all cookies of this one.
    pub(crate) fn copy(&self) -> Result<Self> {
        self.at_client(self.client)
    }

    pub(crate) fn cookie(&self, name: &str) -> String {
        self.rp.jar.get(name).unwrap_or_default().to_owned()
    }

    /// Sets a cookie by hand.
    pub(crate) fn plant(&mut self, name: &str, value: &str) {
        let line = format!("{name}={value};Path=/realms/{REALM}/");
        let answer = Answer { headers: vec![("Set-Cookie".into(), line)], ..Answer::default() };
        self.rp.jar.update(&answer);
    }

    /// The usual request with changes; a change of a name that is not there adds it.
    pub(crate) fn params(&self, changes: &[Change<'_>]) -> Vec<(String, String)> {
        let usual = [
            ("response_type", "code"),
            ("client_id", self.client),
            ("redirect_uri", callback_of(self.client)),
            ("scope", "openid"),
            ("state", "st-1"),
            ("code_challenge", &self.pkce.challenge),
            ("code_challenge_method", "S256"),
        ];
        let kept = usual.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let added = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        kept.copied().chain(added).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    pub(crate) fn target(&self, changes: &[Change<'_>]) -> String {
        format!("{}?{}", self.rp.endpoint("auth"), encoded(&self.params(changes)))
    }

    /// GET of the authorization endpoint.
    pub(crate) async fn ask(&mut self, changes: &[Change<'_>]) -> Result<Answer> {
        let target = self.target(changes);
        self.rp.send(Exchange::get(&target)).await
    }

    /// POST of the authorization endpoint with the parameters in the body.
    pub(crate) async fn ask_by_post(&mut self, changes: &[Change<'_>]) -> Result<Answer> {
        let params = self.params(changes);
        let pairs: Vec<(&str, &str)> = params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        self.rp.send(Exchange::form(&self.rp.endpoint("auth"), &pairs)).await
    }

    /// Name and password into the form of a page.
    pub(crate) async fn submit(&mut self, page: &Answer, user: &str, password: &str) -> Result<Answer> {
        let target = action(page)?;
        self.rp.send(Exchange::form(&target, &[("username", user), ("password", password)])).await
    }

    /// A new request, the page, name and password.
    pub(crate) async fn login(&mut self, user: &str, password: &str) -> Result<Answer> {
        let page = self.ask(&[]).await?;
        self.submit(&page, user, password).await
    }

    /// An honest login by `{user}-password`: the tokens.
    pub(crate) async fn enter(&mut self, user: &str) -> Result<Value> {
        let answer = self.login(user, &format!("{user}-password")).await?;
        self.tokens(&answer).await
    }

    /// Exchanges the code of an answer.
    pub(crate) async fn tokens(&mut self, answer: &Answer) -> Result<Value> {
        let Outcome::Code(code) = outcome(answer) else {
            anyhow::bail!("no code: {:?} {}", outcome(answer), answer.text())
        };
        let answer = self.rp.exchange(&code, &self.pkce).await?;
        anyhow::ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        Ok(answer.json())
    }

    /// Whether single sign-on works.
    pub(crate) async fn is_signed_in(&mut self) -> Result<bool> {
        let answer = self.copy()?.ask(&[("prompt", Some("none"))]).await?;
        let found = outcome(&answer);
        let out = found == Outcome::Error("login_required".to_owned());
        anyhow::ensure!(out || matches!(found, Outcome::Code(_)), "neither in nor out: {found:?}");
        Ok(!out)
    }
}

fn callback_of(client: &str) -> &'static str {
    if client == "second" { SECOND } else { CALLBACK }
}

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A code on its way to a client.
    Code(String),
    /// An error on its way to a client.
    Error(String),
    /// The page for a password.
    LoginPage,
    /// The page for a new password.
    UpdatePassword,
    /// The page for names, e-mail and the like.
    Profile,
    /// The page for a one-time code.
    OneTimeCode,
    /// The page that asks whether a client may.
    Consent,
    /// An error page with this status; nothing goes to any client.
    ErrorPage(u16),
    /// A redirect to an address of the server.
    Onward(String),
    /// Anything else.
    Other(u16),
}

/// Reads an answer.
pub(crate) fn outcome(answer: &Answer) -> Outcome {
    if let Some(location) = answer.header("location") {
        assert!([302, 303].contains(&answer.status), "AZ-27: {} {location}", answer.status);
        if location.contains("/login-actions/") {
            return Outcome::Onward(location.to_owned());
        }
        let to_client = [CALLBACK, SECOND].iter().any(|uri| location.starts_with(&format!("{uri}?")))
            || [CALLBACK, SECOND].iter().any(|uri| location.starts_with(&format!("{uri}#")));
        assert!(to_client, "a redirect to {location}");
        return match (parameter(location, "code"), parameter(location, "error")) {
            (Some(code), None) => Outcome::Code(code),
            (None, Some(error)) => Outcome::Error(error),
            _ => Outcome::Other(answer.status),
        };
    }
    let page = Page::read(&answer.text());
    let html = answer.header("content-type").is_some_and(|t| t.starts_with("text/html"));
    match answer.status {
        200 if page.form("kc-form-login").is_some() => Outcome::LoginPage,
        200 if page.form("kc-passwd-update-form").is_some() => Outcome::UpdatePassword,
        200 if page.form("kc-update-profile-form").is_some() => Outcome::Profile,
        200 if page.form("kc-otp-login-form").is_some() => Outcome::OneTimeCode,
        200 if action(answer).is_ok_and(|to| to.contains("/login-actions/consent?")) => Outcome::Consent,
        400.. if html && page.forms.is_empty() => Outcome::ErrorPage(answer.status),
        status => Outcome::Other(status),
    }
}

/// Where the form of a page posts to, as a request target.
pub(crate) fn action(page: &Answer) -> Result<String> {
    let read = Page::read(&page.text());
    let form = read.form("*").with_context(|| format!("no form: {} {}", page.status, page.text()))?;
    relative(form.action.as_deref().context("no action")?)
}

/// Path and query of an address.
pub(crate) fn relative(address: &str) -> Result<String> {
    let url = url::Url::parse("http://base.test")?.join(address)?;
    Ok(format!("{}?{}", url.path(), url.query().unwrap_or_default()))
}

/// A parameter of an address, empty when absent.
pub(crate) fn part(address: &str, name: &str) -> String {
    parameter(address, name).unwrap_or_default()
}

/// A target with some parameters replaced, or left out.
pub(crate) fn edited(target: &str, changes: &[Change<'_>]) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for (name, value) in changes {
        pairs.retain(|(n, _)| n != name);
        if let Some(value) = value {
            pairs.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    format!("{path}?{}", encoded(&pairs))
}

pub(crate) fn encoded(pairs: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Claims of a token, its signature aside.
pub(crate) fn claims(tokens: &Value, member: &str) -> Result<Value> {
    let token = tokens.get(member).and_then(Value::as_str).context("no token")?;
    let payload = token.split('.').nth(1).context("no payload")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

/// A member of a JSON object as text.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// The password grant.
pub(crate) async fn direct_grant(base: &str, user: &str, password: &str) -> Result<Answer> {
    let fields = [
        ("grant_type", "password"),
        ("client_id", "app"),
        ("username", user),
        ("password", password),
        ("scope", "openid"),
    ];
    let path = format!("/realms/{REALM}/protocol/openid-connect/token");
    Connection::to(base)?.send(&Exchange::form(&path, &fields)).await
}

/// Nothing came into being: no cookie, no way onward.
pub(crate) fn assert_nothing_made(answer: &Answer, what: &str) {
    let made: Vec<&str> = answer.all("set-cookie").filter(|c| !c.contains("Max-Age=0")).collect();
    assert!(made.is_empty(), "{what}: {made:?}");
    assert_eq!(answer.header("location"), None, "{what}");
}
