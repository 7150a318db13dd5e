//! Every recorded answer of Keycloak 26.4.2 against the server in this process.

use std::sync::Arc;

use anyhow::Result;
use portcullis_testkit::clock::MovableClock;
use portcullis_testkit::golden;
use portcullis_testkit::server::{Options, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_keycloak() -> Result<()> {
    let clock = Arc::new(MovableClock::running());
    let options = Options { clock: Arc::clone(&clock), ..Options::default() };
    let server = TestServer::with(options).await?;
    let report = golden::run_at(&server.base, None, clock, |_| {}).await?;
    println!("{}", report.totals());
    assert!(report.is_green(), "{report}");
    Ok(())
}
