//! What every case stands on: two realms, their clients and users, and ways to change what is stored.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use portcullis_client::{Door, IssuerKeys, KeyPolicy, Reach};
use portcullis_core::client::Client;
use portcullis_core::ids::RealmId;
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::realm::Realm;
use portcullis_core::records::RealmRecords;
use portcullis_core::time::Clock as _;
use portcullis_core::user::User;
use portcullis_guard::{Guard, Principal};
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::{Pkce, Registration, RelyingParty};
use portcullis_testkit::server::{ADMIN, TestServer};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// The realm under attack.
pub(crate) const REALM: &str = "yard";
/// Another realm with the same clients and users.
pub(crate) const TWIN: &str = "annex";
/// The redirect URI of every client.
pub(crate) const BACK: &str = "http://127.0.0.1:9876/callback";
/// Its origin, the only web origin.
pub(crate) const ORIGIN: &str = "http://127.0.0.1:9876";
/// A secret that must be form-encoded (RFC 6749 §2.3.1).
pub(crate) const ODD_SECRET: &str = "s3cr:et%+ä &=";

/// Which profile the realms have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum House {
    /// Ours.
    Strict,
    /// Keycloak's.
    Keycloak,
}

impl House {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::Strict, Self::Keycloak];
}

/// A server with [`REALM`].
pub(crate) async fn open(house: House) -> Result<TestServer> {
    let server = TestServer::start().await?;
    furnish(&server, house).await?;
    Ok(server)
}

/// A server with both realms.
pub(crate) async fn open_both(house: House) -> Result<TestServer> {
    let server = open(house).await?;
    import(&server, house, TWIN).await?;
    Ok(server)
}

/// Imports [`REALM`].
pub(crate) async fn furnish(server: &TestServer, house: House) -> Result<()> {
    import(server, house, REALM).await
}

async fn import(server: &TestServer, house: House, name: &str) -> Result<()> {
    match house {
        House::Strict => server.import_strict(&file(name)).await?,
        House::Keycloak => server.import(&file(name)).await?,
    };
    Ok(())
}

fn client(id: &str, more: &Value) -> Value {
    let mut client = json!({
        "clientId": id,
        "enabled": true,
        "protocol": "openid-connect",
        "publicClient": true,
        "standardFlowEnabled": true,
        "directAccessGrantsEnabled": true,
        "redirectUris": [BACK],
        "webOrigins": [ORIGIN],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        client[name] = value.clone();
    }
    client
}

/// A mapper that puts a client into the audience.
pub(crate) fn audience(client: &str) -> Value {
    json!({
        "name": format!("audience {client}"), "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": { "included.client.audience": client, "access.token.claim": "true" },
    })
}

fn user(name: &str, more: &Value) -> Value {
    let mut user = json!({
        "id": format!("id-of-{name}"),
        "username": name,
        "enabled": true,
        "emailVerified": true,
        "email": format!("{name}@example.test"),
        "firstName": name,
        "lastName": "Tester",
        "credentials": [{ "type": "password", "value": format!("{name}-password"), "temporary": false }],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        user[name] = value.clone();
    }
    user
}

/// A realm file.
pub(crate) fn file(name: &str) -> Value {
    let device = json!({ "oauth2.device.authorization.grant.enabled": "true" });
    let secret = |text: &str| json!({ "publicClient": false, "secret": text });
    json!({
        "realm": name,
        "enabled": true,
        "sslRequired": "external",
        "eventsEnabled": true,
        "roles": { "realm": [{ "name": "auditor" }] },
        "users": [
            user("alice", &json!({ "realmRoles": [format!("default-roles-{name}"), "auditor"] })),
            user("bob", &json!({})),
        ],
        "clients": [
            client("app", &json!({ "protocolMappers": [audience("swap")] })),
            client("swap", &json!({
                "publicClient": false, "secret": "swap-secret",
                "attributes": { "standard.token.exchange.enabled": "true" },
                "protocolMappers": [audience("service")]
            })),
            client("second", &json!({})),
            client("tool", &json!({ "attributes": { "portcullis.password.grant": "true" } })),
            client("bound", &json!({ "attributes": { "pkce.code.challenge.method": "S256" } })),
            client("tv", &json!({ "standardFlowEnabled": false, "attributes": device })),
            client("box", &json!({ "publicClient": false, "secret": "box-secret", "attributes": device })),
            client("web", &secret("web-secret")),
            client("other", &secret("other-secret")),
            client("odd", &secret(ODD_SECRET)),
            client("service", &json!({ "publicClient": false, "secret": "service-secret", "serviceAccountsEnabled": true })),
            client("keeper", &json!({
                "publicClient": false, "secret": "keeper-secret", "serviceAccountsEnabled": true,
                "attributes": { "client_credentials.use_refresh_token": "true" }
            })),
        ],
    })
}

/// Who a client is.
pub(crate) fn registration(realm: &str, client_id: &str) -> Registration {
    let client_secret = match client_id {
        "web" => Some("web-secret".to_owned()),
        "other" => Some("other-secret".to_owned()),
        "swap" => Some("swap-secret".to_owned()),
        "box" => Some("box-secret".to_owned()),
        "service" => Some("service-secret".to_owned()),
        "keeper" => Some("keeper-secret".to_owned()),
        "odd" => Some(ODD_SECRET.to_owned()),
        _ => None,
    };
    Registration {
        realm: realm.to_owned(),
        client_id: client_id.to_owned(),
        client_secret,
        redirect_uri: BACK.to_owned(),
    }
}

/// A browser with a client of [`REALM`].
pub(crate) fn party(server: &TestServer, client_id: &str) -> Result<RelyingParty> {
    server.relying_party(registration(REALM, client_id))
}

/// What a token request gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) id: String,
}

/// The tokens of an answer that must be good.
pub(crate) fn tokens(answer: &Answer) -> Result<Tokens> {
    if answer.status != 200 {
        bail!("{} {}", answer.status, answer.text());
    }
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let tokens = Tokens { access: text("access_token"), refresh: text("refresh_token"), id: text("id_token") };
    if tokens.access.is_empty() { bail!("no access token: {body}") } else { Ok(tokens) }
}

/// A code of alice's with its verifier. The first one costs a password, the others come by single sign-on.
pub(crate) async fn code(party: &mut RelyingParty) -> Result<(String, Pkce)> {
    code_of(party, "alice").await
}

/// A code of a user's.
pub(crate) async fn code_of(party: &mut RelyingParty, user: &str) -> Result<(String, Pkce)> {
    let pkce = Pkce::new()?;
    let code = party.code(&pkce, &[("scope", "openid"), ("state", "s")], user, &format!("{user}-password")).await?;
    Ok((code, pkce))
}

/// A login of alice's.
pub(crate) async fn login(party: &mut RelyingParty) -> Result<Tokens> {
    let (code, pkce) = code(party).await?;
    tokens(&party.exchange(&code, &pkce).await?)
}

/// A login of a user's.
pub(crate) async fn login_of(party: &mut RelyingParty, user: &str) -> Result<Tokens> {
    let (code, pkce) = code_of(party, user).await?;
    tokens(&party.exchange(&code, &pkce).await?)
}

/// A refresh.
pub(crate) async fn refresh(party: &mut RelyingParty, token: &str) -> Result<Answer> {
    party.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

/// A password grant of `tool`.
pub(crate) async fn by_password(server: &TestServer, user: &str) -> Result<Answer> {
    let password = format!("{user}-password");
    let fields = [("grant_type", "password"), ("scope", "openid"), ("username", user), ("password", &password)];
    party(server, "tool")?.token(&fields).await
}

/// A client's own token.
pub(crate) async fn by_client(server: &TestServer, client: &str, scope: &str) -> Result<Answer> {
    party(server, client)?.token(&[("grant_type", "client_credentials"), ("scope", scope)]).await
}

/// What `swap` gets for an access token.
pub(crate) async fn exchange(server: &TestServer, subject: &str, more: &[(&str, &str)]) -> Result<Answer> {
    let mut fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", subject),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    fields.extend_from_slice(more);
    party(server, "swap")?.token(&fields).await
}

/// Status and `error`.
pub(crate) fn fault(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

/// `invalid_grant`.
pub(crate) fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

/// Holds an answer against status and `error`, and against what no refusal may carry.
pub(crate) fn refused(answer: &Answer, status: u16, error: &str, what: &str) {
    assert_eq!(fault(answer), (status, error.to_owned()), "{what}: {}", answer.text());
    for secret in ["access_token", "refresh_token", "id_token", "web-secret"] {
        assert!(!answer.text().contains(secret), "{what}: {secret} in {}", answer.text());
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(answer.header("set-cookie"), None, "{what}");
}

/// The userinfo answer to a bearer token.
pub(crate) async fn userinfo(server: &TestServer, token: &str) -> Result<Answer> {
    let path = format!("/realms/{REALM}/protocol/openid-connect/userinfo");
    server.client()?.send(&Exchange::get(&path).header("Authorization", &format!("Bearer {token}"))).await
}

/// What an API says whose guard is for the audience `web`, and whom it takes the caller for.
pub(crate) async fn at_api(server: &TestServer, token: &str) -> Result<(u16, String)> {
    let issuer = format!("{}/realms/{REALM}", server.base);
    let keys = IssuerKeys::new(issuer.as_str(), Door::new(Reach::Configured)?, KeyPolicy::default());
    let clock = Arc::clone(&server.clock);
    let guard = Guard::builder().issuer(issuer).audience("web").bearer().keys(Arc::new(keys));
    let guard = guard.clock(move || clock.now().secs()).build()?;
    let who = async |principal: Principal| principal.subject().to_owned();
    let router = Router::new().route("/", get(who)).layer(guard.layer());
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
    let answer = router.oneshot(request.body(Body::empty())?).await?;
    let status = answer.status().as_u16();
    Ok((status, String::from_utf8(axum::body::to_bytes(answer.into_body(), 4096).await?.to_vec())?))
}

/// An administrator's access token.
pub(crate) async fn admin_token(server: &TestServer) -> Result<String> {
    let (name, password) = ADMIN;
    let form = [("grant_type", "password"), ("client_id", "admin-cli"), ("username", name), ("password", password)];
    let path = "/realms/master/protocol/openid-connect/token";
    Ok(tokens(&server.client()?.send(&Exchange::form(path, &form)).await?)?.access)
}

/// A realm's stored picture.
pub(crate) async fn records(server: &TestServer, realm: &str) -> Result<RealmRecords> {
    server.db.realm_records(realm).await?.context("no such realm")
}

/// Its id.
pub(crate) async fn realm_id(server: &TestServer) -> Result<RealmId> {
    Ok(records(server, REALM).await?.realm.id)
}

/// Writes as an administrator would.
pub(crate) async fn write(server: &TestServer, writes: Vec<Write>) -> Result<()> {
    server.db.apply(Plan::new(Lane::Admin, writes)).await.context("a write of the test")
}

/// A user as stored.
pub(crate) async fn stored_user(server: &TestServer, name: &str) -> Result<User> {
    let realm = realm_id(server).await?;
    server.db.user_by_username(&realm, name).await?.context("no such user")
}

/// Changes a user.
pub(crate) async fn edit_user(server: &TestServer, name: &str, edit: impl FnOnce(&mut User)) -> Result<()> {
    let mut user = stored_user(server, name).await?;
    edit(&mut user);
    write(server, vec![Write::UpdateUser(realm_id(server).await?, user)]).await
}

/// Changes a client.
pub(crate) async fn edit_client(server: &TestServer, client_id: &str, edit: impl FnOnce(&mut Client)) -> Result<()> {
    let records = records(server, REALM).await?;
    let mut client = records.client(client_id).context("no such client")?.clone();
    edit(&mut client);
    write(server, vec![Write::UpdateClient(records.realm.id.clone(), client)]).await
}

/// Changes the realm.
pub(crate) async fn edit_realm(server: &TestServer, edit: impl FnOnce(&mut Realm)) -> Result<()> {
    let mut realm = records(server, REALM).await?.realm;
    edit(&mut realm);
    write(server, vec![Write::UpdateRealm(realm)]).await
}
