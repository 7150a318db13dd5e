//! A page with oidc-client-ts from npm, unmodified.

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::keycloak_js::stage;
use crate::stage::libraries;
use crate::stage::person::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oidc_client_ts_logs_in_refreshes_calls_and_leaves() -> Result<()> {
    libraries::is_unmodified("oidc-client-ts")?;
    libraries::is_unmodified("jwt-decode")?;
    let (_idp, _site, here) = stage("oidc-client-ts.html").await?;
    let person = Person::sit_down().await?;
    person.open(&here).await?;
    person.read("#status", "anonymous").await?;
    let refused = person.result_of("#call").await?;
    assert_eq!(refused["status"], json!(401), "{refused}");
    person.click("#login").await?;
    person.log_in("alice", "alice-password").await?;
    person.read("#status", "authenticated").await?;
    assert_eq!(person.address().await?.as_str(), here);
    let claims = person.json("#result").await?["claims"].clone();
    assert_eq!(claims["email"], json!("alice@walk.test"), "from userinfo: {claims}");
    let subject = claims["sub"].as_str().context("no sub")?;

    let refreshed = person.result_of("#refresh").await?;
    assert_eq!(refreshed["refreshed"], json!(true), "{refreshed}");
    let called = person.result_of("#call").await?;
    assert_eq!((&called["status"], &called["body"]["subject"]), (&json!(200), &json!(subject)), "{called}");
    person.browser.screenshot("oidc-client-ts").await?;

    person.click("#logout").await?;
    person.read("#status", "anonymous").await?;
    assert_eq!(person.address().await?.as_str(), here);
    person.click("#login").await?;
    person.see("#kc-form-login #password").await?;
    person.stand_up().await
}
