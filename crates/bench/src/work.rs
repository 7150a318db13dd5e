//! The jobs over HTTP: start, jwks, login, single sign-on, refresh, client credentials.

use std::path::{Path, PathBuf};
use std::pin::Pin;

use anyhow::{Context as _, Result, ensure};
use portcullis_testkit::http1::{Connection, Exchange};
use portcullis_testkit::rp::{Pkce, Registration, RelyingParty};
use serde_json::Value;
use tempfile::TempDir;

use crate::calibrate::Base;
use crate::drive::{self, Step};
use crate::realm::{self, CALLBACK, USERS};
use crate::server::Server;
use crate::table::{Row, Table};

/// What every job gets.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server program.
    pub server: PathBuf,
    /// Seconds of load per row.
    pub seconds: u64,
    /// Raw rates of this run.
    pub base: Base,
}

type Job = for<'a> fn(&'a Load, &'a mut Table) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// The jobs by name.
pub const JOBS: [(&str, Job); 8] = [
    ("start", |load, table| Box::pin(start(load, table))),
    ("jwks", |load, table| Box::pin(jwks(load, table))),
    ("login", |load, table| Box::pin(login(load, table))),
    ("sso", |load, table| Box::pin(sso(load, table))),
    ("refresh", |load, table| Box::pin(refresh(load, table))),
    ("grant", |load, table| Box::pin(grant(load, table))),
    ("introspect", |load, table| Box::pin(introspect(load, table))),
    ("revocation", |load, table| Box::pin(crate::revocation::run(load, table))),
];

pub(crate) struct Ground {
    data: TempDir,
    pub(crate) server: Server,
}

/// A filled data folder and a server over it.
pub(crate) async fn ground(load: &Load) -> Result<Ground> {
    let data = tempfile::tempdir()?;
    for (name, text) in [("bench", realm::keycloak()), ("strict", realm::strict())] {
        let file = data.path().join(format!("{name}.json"));
        std::fs::write(&file, text)?;
        let ready = Exchange::get(&format!("/realms/{name}/.well-known/openid-configuration"));
        drop(Server::start(&load.server, &data.path().join("data"), Some(&file), &ready).await?);
    }
    let server = run_on(load, data.path()).await?;
    Ok(Ground { data, server })
}

async fn run_on(load: &Load, folder: &Path) -> Result<Server> {
    Server::start(&load.server, &folder.join("data"), None, &password_grant()).await
}

fn password_grant() -> Exchange {
    Exchange::form(
        "/realms/bench/protocol/openid-connect/token",
        &[
            ("grant_type", "password"),
            ("client_id", "web"),
            ("client_secret", "bench-secret"),
            ("username", "user0"),
            ("password", "bench-password"),
        ],
    )
}

async fn start(load: &Load, table: &mut Table) -> Result<()> {
    let Ground { data, server } = ground(load).await?;
    drop(server);
    let mut times = Vec::new();
    let mut memory = 0.0;
    for _ in 0..7 {
        let server = run_on(load, data.path()).await?;
        times.push(server.ready_in.as_secs_f64() * 1000.0);
        memory = server.memory()?;
    }
    times.sort_by(f64::total_cmp);
    let at = |n: usize| times.get(n).copied().unwrap_or_default();
    table.push(Row {
        what: "start on an existing database to the first token (password grant, Argon2)".to_owned(),
        latency: format!("median {:.0} ms, worst {:.0} ms", at(3), at(6)),
        note: format!("target 150 ms; then {memory:.0} MB resident"),
        ..Row::default()
    });
    Ok(())
}

struct Jwks(Connection);

impl Step for Jwks {
    async fn once(&mut self) -> Result<()> {
        let answer = self.0.send(&Exchange::get("/realms/bench/protocol/openid-connect/certs")).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    }
}

/// Workers that read the realm's keys.
pub(crate) fn readers(base: &str) -> Result<Vec<impl Step + use<>>> {
    (0..64).map(|_| Ok(Jwks(Connection::to(base)?))).collect()
}

async fn jwks(load: &Load, table: &mut Table) -> Result<()> {
    let ground = ground(load).await?;
    drive::run("JWKS", &ground.server, readers(ground.server.base())?, load.seconds, table).await?;
    Ok(())
}

/// A browser with an application behind it.
struct Walker {
    party: RelyingParty,
    user: String,
    pkce: Pkce,
    registration: Registration,
    base: String,
    forget: bool,
}

impl Walker {
    fn new(base: &str, realm: &str, client: &str, n: usize, forget: bool) -> Result<Self> {
        let registration = Registration {
            realm: realm.to_owned(),
            client_id: client.to_owned(),
            client_secret: (client == "web").then(|| "bench-secret".to_owned()),
            redirect_uri: CALLBACK.to_owned(),
        };
        let party = RelyingParty::new(base, registration.clone())?;
        Ok(Self { party, user: format!("user{n}"), pkce: Pkce::new()?, registration, base: base.to_owned(), forget })
    }

    async fn tokens(&mut self) -> Result<Value> {
        let code = self.party.code(&self.pkce, &[("scope", "openid")], &self.user, "bench-password").await?;
        let answer = self.party.exchange(&code, &self.pkce).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(answer.json())
    }
}

impl Step for Walker {
    async fn once(&mut self) -> Result<()> {
        if self.forget {
            self.party = RelyingParty::new(&self.base, self.registration.clone())?;
        }
        self.tokens().await.map(|_| ())
    }
}

/// Workers that log in: each time anew (`forget`), or by single sign-on.
pub(crate) fn walkers(base: &str, realm: &str, client: &str, forget: bool) -> Result<Vec<impl Step + use<>>> {
    (0..USERS).map(|n| Walker::new(base, realm, client, n, forget)).collect()
}

async fn login(load: &Load, table: &mut Table) -> Result<()> {
    let ground = ground(load).await?;
    let workers = walkers(ground.server.base(), "bench", "web", true)?;
    let what = "login: page, password (Argon2), code exchange, RS256";
    let rate = drive::run(what, &ground.server, workers, load.seconds * 2, table).await?;
    table.push(Row {
        what: "whole login against the bare Argon2 rate".to_owned(),
        note: format!("{:.0} % of {:.0} hashes/s", rate / load.base.argon2 * 100.0, load.base.argon2),
        ..Row::default()
    });
    Ok(())
}

async fn sso(load: &Load, table: &mut Table) -> Result<()> {
    for (realm, client, algorithm) in [("bench", "web", "RS256"), ("strict", "es", "ES256")] {
        let ground = ground(load).await?;
        let workers = walkers(ground.server.base(), realm, client, false)?;
        let what = format!("single sign-on: authorize with cookie, code exchange, {algorithm}");
        drive::run(&what, &ground.server, workers, load.seconds, table).await?;
    }
    Ok(())
}

struct Refresher {
    connection: Connection,
    target: String,
    client: String,
    secret: &'static str,
    token: String,
}

impl Step for Refresher {
    async fn once(&mut self) -> Result<()> {
        let mut form =
            vec![("grant_type", "refresh_token"), ("client_id", &self.client), ("refresh_token", &self.token)];
        if !self.secret.is_empty() {
            form.push(("client_secret", self.secret));
        }
        let answer = self.connection.send(&Exchange::form(&self.target, &form)).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        let json = answer.json();
        json.get("refresh_token").and_then(Value::as_str).context("a refresh token")?.clone_into(&mut self.token);
        Ok(())
    }
}

/// Workers that refresh, each with a login of its own.
pub(crate) async fn refreshers(base: &str, realm: &str, client: &str) -> Result<Vec<impl Step + use<>>> {
    let mut workers = Vec::new();
    for n in 0..64 {
        let mut walker = Walker::new(base, realm, client, n % USERS, true)?;
        let tokens = walker.tokens().await?;
        workers.push(Refresher {
            connection: Connection::to(base)?,
            target: walker.party.endpoint("token"),
            client: client.to_owned(),
            secret: if client == "web" { "bench-secret" } else { "" },
            token: tokens.get("refresh_token").and_then(Value::as_str).context("a refresh token")?.to_owned(),
        });
    }
    Ok(workers)
}

async fn refresh(load: &Load, table: &mut Table) -> Result<()> {
    for (realm, client, what) in [
        ("bench", "web", "refresh, RS256 access and ID token, durable"),
        ("strict", "es", "refresh with rotation, ES256, durable"),
    ] {
        let ground = ground(load).await?;
        let workers = refreshers(ground.server.base(), realm, client).await?;
        drive::run(what, &ground.server, workers, load.seconds, table).await?;
    }
    Ok(())
}

struct Service {
    connection: Connection,
    client: &'static str,
}

impl Step for Service {
    async fn once(&mut self) -> Result<()> {
        let form =
            [("grant_type", "client_credentials"), ("client_id", self.client), ("client_secret", "bench-secret")];
        let exchange = Exchange::form("/realms/bench/protocol/openid-connect/token", &form);
        let answer = self.connection.send(&exchange).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    }
}

/// Workers that ask for a client's own token.
pub(crate) fn services(base: &str, client: &'static str) -> Result<Vec<impl Step + use<>>> {
    (0..64).map(|_| Ok(Service { connection: Connection::to(base)?, client })).collect()
}

async fn grant(load: &Load, table: &mut Table) -> Result<()> {
    let ground = ground(load).await?;
    for (client, what) in [
        ("job-rs", "client credentials, RS256, nothing stored"),
        ("job-es", "client credentials, ES256, nothing stored"),
    ] {
        let workers = services(ground.server.base(), client)?;
        drive::run(what, &ground.server, workers, load.seconds, table).await?;
    }
    Ok(())
}

async fn introspect(load: &Load, table: &mut Table) -> Result<()> {
    let ground = ground(load).await?;
    let workers = crate::against::inquirers(ground.server.base()).await?;
    drive::run("introspection of a token asked for before", &ground.server, workers, load.seconds, table).await?;
    Ok(())
}
