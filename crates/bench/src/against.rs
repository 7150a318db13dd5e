//! The same work against another server that speaks Keycloak's wire, within one run: ratios, no absolute figures.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use portcullis_testkit::http1::{Connection, Exchange};
use serde_json::Value;

use crate::drive::{self, Figures, Step};
use crate::realm;
use crate::table::{Row, Table, thousands};
use crate::work::{self, Load};

/// The other server.
#[derive(Args, Clone, Debug, Default)]
pub struct Against {
    /// Another server (`http://host:port`): does the same work there and prints ratios, ours to theirs. Its realm `bench` is
    /// made through the Admin REST API and removed afterwards.
    #[arg(long, value_name = "URL", value_parser = origin)]
    pub against: Option<String>,
    /// Its administrator.
    #[arg(long, default_value = "admin", requires = "against")]
    pub admin: String,
    /// The administrator's password.
    #[arg(long, env = "BENCH_ADMIN_PASSWORD", hide_env_values = true, default_value = "admin", requires = "against")]
    pub password: String,
    /// Its process on this machine: CPU time per request is compared too.
    #[arg(long, requires = "against")]
    pub pid: Option<u32>,
}

/// `http://host:port`, without a slash at the end.
fn origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").ok_or("only http:// is spoken here")?.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#', '@']) {
        return Err("expected http://host:port".to_owned());
    }
    Ok(format!("http://{host}"))
}

/// The jobs that both servers do.
const JOBS: [&str; 6] = ["jwks", "login", "sso", "refresh", "grant", "introspect"];

/// Does each wanted job here and there and adds a row of ratios.
///
/// # Errors
/// A server that refuses the work.
pub async fn run(load: &Load, other: &Against, wanted: impl Fn(&str) -> bool, table: &mut Table) -> Result<()> {
    let base = other.against.as_deref().context("--against")?;
    let token = admin_token(base, other).await?;
    furnish(base, &token).await?;
    let done = compare(load, base, other.pid, wanted, table).await;
    // Keycloak's administrators hold their tokens for a minute only.
    let token = admin_token(base, other).await?;
    let answer = Connection::to(base)?.send(&as_admin("DELETE", "/admin/realms/bench", &token)).await?;
    done?;
    ensure!(answer.status == 204, "the realm bench stays: {} {}", answer.status, answer.text());
    Ok(())
}

async fn compare(
    load: &Load,
    base: &str,
    pid: Option<u32>,
    wanted: impl Fn(&str) -> bool,
    table: &mut Table,
) -> Result<()> {
    let ground = work::ground(load).await?;
    for job in JOBS.into_iter().filter(|job| wanted(job)) {
        eprintln!("{job} here and there ...");
        let ours = measured(job, ground.server.base(), Some(ground.server.pid()), load.seconds).await?;
        let theirs = measured(job, base, pid, load.seconds).await.with_context(|| format!("{job} at {base}"))?;
        table.push(row(job, &ours, &theirs));
    }
    Ok(())
}

async fn measured(job: &str, base: &str, pid: Option<u32>, seconds: u64) -> Result<Figures> {
    match job {
        "jwks" => drive::measure(pid, work::readers(base)?, seconds).await,
        "login" => drive::measure(pid, work::walkers(base, "bench", "web", true)?, seconds).await,
        "sso" => drive::measure(pid, work::walkers(base, "bench", "web", false)?, seconds).await,
        "refresh" => drive::measure(pid, work::refreshers(base, "bench", "web").await?, seconds).await,
        "grant" => drive::measure(pid, work::services(base, "job-rs")?, seconds).await,
        "introspect" => drive::measure(pid, inquirers(base).await?, seconds).await,
        other => bail!("no such job: {other}"),
    }
}

fn row(job: &str, ours: &Figures, theirs: &Figures) -> Row {
    let mut note = format!("theirs {}/s", thousands(theirs.rate));
    let cpu = match (ours.cpu, theirs.cpu) {
        (Some(ours), Some(theirs)) => {
            let _infallible = write!(note, ", {theirs:.1} us");
            format!("{ours:.1} us, {} less", times(theirs, ours))
        }
        (Some(ours), None) => format!("{ours:.1} us"),
        (None, _) => String::new(),
    };
    Row {
        what: format!("{job}, ours to theirs"),
        rate: format!("{}/s, {}", thousands(ours.rate), times(ours.rate, theirs.rate)),
        latency: format!("{} / {}", times(theirs.latency.0, ours.latency.0), times(theirs.latency.1, ours.latency.1)),
        cpu,
        note,
    }
}

/// How many times one is in the other.
fn times(one: f64, other: f64) -> String {
    if other > 0.0 { format!("{:.2}x", one / other) } else { "-".to_owned() }
}

const TOKEN: &str = "/realms/bench/protocol/openid-connect/token";

fn as_admin(method: &str, path: &str, token: &str) -> Exchange {
    Exchange::new(method, path).header("Authorization", &format!("Bearer {token}"))
}

async fn admin_token(base: &str, other: &Against) -> Result<String> {
    let (name, password) = (other.admin.as_str(), other.password.as_str());
    let form = [("grant_type", "password"), ("client_id", "admin-cli"), ("username", name), ("password", password)];
    let ask = Exchange::form("/realms/master/protocol/openid-connect/token", &form);
    access_token(base, &ask).await.context("the administrator")
}

async fn access_token(base: &str, ask: &Exchange) -> Result<String> {
    let answer = Connection::to(base)?.send(ask).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    let json = answer.json();
    Ok(json.get("access_token").and_then(Value::as_str).context("an access token")?.to_owned())
}

async fn furnish(base: &str, token: &str) -> Result<()> {
    let ask = as_admin("POST", "/admin/realms", token)
        .header("Content-Type", "application/json")
        .body(realm::keycloak().into_bytes());
    let answer = Connection::to(base)?.send(&ask).await?;
    // A realm that somebody else made is neither used nor removed.
    ensure!(answer.status == 201, "the realm bench was not made: {} {}", answer.status, answer.text());
    Ok(())
}

struct Inquirer {
    connection: Connection,
    token: String,
}

impl Step for Inquirer {
    async fn once(&mut self) -> Result<()> {
        let form = [("client_id", "web"), ("client_secret", "bench-secret"), ("token", self.token.as_str())];
        let answer = self.connection.send(&Exchange::form(&format!("{TOKEN}/introspect"), &form)).await?;
        ensure!(answer.status == 200 && answer.json().get("active") == Some(&Value::Bool(true)), "{}", answer.text());
        Ok(())
    }
}

/// Workers that ask whether a token of a user holds.
pub(crate) async fn inquirers(base: &str) -> Result<Vec<impl Step + use<>>> {
    let form = [
        ("grant_type", "password"),
        ("client_id", "web"),
        ("client_secret", "bench-secret"),
        ("username", "user0"),
        ("password", "bench-password"),
    ];
    let token = access_token(base, &Exchange::form(TOKEN, &form)).await?;
    (0..64).map(|_| Ok(Inquirer { connection: Connection::to(base)?, token: token.clone() })).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        what: Vec<String>,
        #[command(flatten)]
        other: Against,
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()))
    }

    #[test]
    fn the_other_server_is_named_by_options() {
        let cli = parse("login --against http://localhost:8080/ --admin root --password secret --pid 42").unwrap();
        let Against { against, admin, password, pid } = cli.other;
        assert_eq!(cli.what, ["login"]);
        assert_eq!(against.as_deref(), Some("http://localhost:8080"));
        assert_eq!((admin.as_str(), password.as_str(), pid), ("root", "secret", Some(42)));
        let plain = parse("").unwrap().other;
        assert_eq!((plain.against, plain.pid), (None, None));
        for line in [
            "--against https://localhost",
            "--against localhost:8080",
            "--against http://",
            "--against http://a/auth",
            "--against http://user@a",
            "--against http://a --pid x",
            "--pid 42",
            "--admin root",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn ratios_say_how_many_times_better() {
        let ours = Figures { rate: 3_000.0, latency: (1.0, 2.0), cpu: Some(100.0) };
        let theirs = Figures { rate: 1_000.0, latency: (3.0, 3.0), cpu: None };
        let shown = row("refresh", &ours, &theirs);
        assert_eq!(shown.rate, "3,000/s, 3.00x");
        assert_eq!((shown.latency.as_str(), shown.cpu.as_str()), ("3.00x / 1.50x", "100.0 us"));
        let known = row("refresh", &ours, &Figures { cpu: Some(450.0), ..theirs });
        assert_eq!((known.cpu.as_str(), known.note.as_str()), ("100.0 us, 4.50x less", "theirs 1,000/s, 450.0 us"));
        assert_eq!(times(1.0, 0.0), "-");
    }
}
