//! Rows and commits per operation, counted by the store itself in one process.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use portcullis::clock::SystemEntropy;
use portcullis_core::ids::RealmId;
use portcullis_core::secret::Secret;
use portcullis_idp::PasswordPool;
use portcullis_testkit::rp::{Pkce, Registration, RelyingParty};
use portcullis_testkit::server::{Options, TestServer};

use crate::calibrate::Base;
use crate::drive;
use crate::realm::{self, CALLBACK};
use crate::table::{Row, Table};
use crate::work::refreshers;

const ROUNDS: u64 = 20;

/// How many passwords are hashed to measure the pool.
const HASHES: u32 = 60;

/// The password pool with one thread against the bare kernel.
///
/// # Errors
/// When the pool has no room, which one caller cannot bring about.
#[expect(clippy::disallowed_methods, reason = "measuring is this crate's job")]
pub async fn pool(base: Base, table: &mut Table) -> Result<()> {
    let pool = PasswordPool::new(1, Arc::new(SystemEntropy));
    let (realm, password) = (RealmId::new("bench"), Secret::new("bench-password"));
    let mut best = 0.0f64;
    for _ in 0..3 {
        let start = Instant::now();
        for _ in 0..HASHES {
            pool.hash(&realm, &password).await.map_err(|e| anyhow::anyhow!("{e:?}"))?;
        }
        best = best.max(f64::from(HASHES) / start.elapsed().as_secs_f64());
    }
    table.push(Row {
        what: "Argon2id through the password pool, one thread".to_owned(),
        rate: format!("{best:.0}"),
        note: format!("{:.0} % of the bare kernel (target 90)", best / base.argon2 * 100.0),
        ..Row::default()
    });
    Ok(())
}

/// Counts and prints.
///
/// # Errors
/// When a walk fails.
pub async fn run(table: &mut Table) -> Result<()> {
    let server = TestServer::start().await?;
    server.import(&serde_json::from_str(&realm::strict())?).await?;
    let registration = Registration {
        realm: "strict".to_owned(),
        client_id: "es".to_owned(),
        client_secret: None,
        redirect_uri: CALLBACK.to_owned(),
    };
    let before = server.db.stats();
    let mut refreshes = 0;
    let mut after_logins = before;
    let mut tokens = Vec::new();
    for _ in 0..ROUNDS {
        let mut party = RelyingParty::new(&server.base, registration.clone())?;
        let pkce = Pkce::new()?;
        let code = party.code(&pkce, &[("scope", "openid")], "user0", "bench-password").await?;
        tokens.push((party, pkce, code));
        after_logins = server.db.stats();
    }
    row(
        table,
        "login (page and password)",
        after_logins.commits - before.commits,
        after_logins.rows - before.rows,
        ROUNDS,
    );
    let mut sessions = Vec::new();
    for (mut party, pkce, code) in tokens {
        let answer = party.exchange(&code, &pkce).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        sessions.push((party, answer.json()));
    }
    let after_codes = server.db.stats();
    row(
        table,
        "code exchange",
        after_codes.commits - after_logins.commits,
        after_codes.rows - after_logins.rows,
        ROUNDS,
    );
    for (party, json) in &mut sessions {
        let token = json.get("refresh_token").and_then(|t| t.as_str()).unwrap_or_default().to_owned();
        let answer = party.token(&[("grant_type", "refresh_token"), ("refresh_token", &token)]).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        refreshes += 1;
    }
    let after = server.db.stats();
    row(table, "refresh with rotation", after.commits - after_codes.commits, after.rows - after_codes.rows, refreshes);
    Ok(())
}

/// Commits for each refresh when 64 come at once, over a file.
///
/// # Errors
/// When a refresh fails.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub async fn load(seconds: u64, table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = TestServer::with(Options { folder: Some(folder.path().to_owned()), ..Options::default() }).await?;
    server.import(&serde_json::from_str(&realm::strict())?).await?;
    let workers = refreshers(&server.base, "strict", "es").await?;
    let before = server.db.stats();
    drive::measure(None, workers, seconds).await?;
    let after = server.db.stats();
    let per = |now: u64, then: u64| (now - then) as f64 / (after.plans - before.plans) as f64;
    let (commits, rows) = (per(after.commits, before.commits), per(after.rows, before.rows));
    table.push(Row {
        what: "writes of one refresh with rotation, 64 at once".to_owned(),
        note: format!("{commits:.3} commits (fsync; target 0.1), {rows:.2} rows (target 1)"),
        ..Row::default()
    });
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn row(table: &mut Table, what: &str, commits: u64, rows: u64, of: u64) {
    let per = |n: u64| n as f64 / of as f64;
    table.push(Row {
        what: format!("writes of one {what}, alone"),
        note: format!("{:.2} commits (fsync), {:.2} rows", per(commits), per(rows)),
        ..Row::default()
    });
}
