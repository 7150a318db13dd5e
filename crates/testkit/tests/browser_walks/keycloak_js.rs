//! A page with keycloak-js from npm, unmodified.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::stage::idp::{Idp, realm};
use crate::stage::libraries;
use crate::stage::person::Person;
use crate::stage::site::{self, Place, Site};

/// Asks the session iframe as keycloak-js does, for a session given by its id.
pub(crate) const ASK_THE_FRAME: &str = "
    const [session, done] = arguments;
    const frame = [...document.querySelectorAll('iframe')].find((f) => f.src.includes('/login-status-iframe.html'));
    if (!frame) return done('there is no frame');
    addEventListener('message', (event) => { if (event.source === frame.contentWindow) done(event.data); });
    frame.contentWindow.postMessage(`page ${session}`, new URL(frame.src).origin);";

/// A server and a site with the page; gives the page's address too.
pub(crate) async fn stage(page: &str) -> Result<(Idp, Site, String)> {
    let place = Place::take().await?;
    let here = format!("{}/{page}", place.base);
    let idp = Idp::start(&realm(&[("page", &here)])).await?;
    let api = format!("{}/api/me", place.base);
    let config = json!({ "url": idp.base, "realm": "walk", "clientId": "page", "api": api });
    let issuer = format!("{}/realms/walk", idp.base);
    let router = site::files(libraries::folder(), config).merge(site::guarded(&issuer)?);
    Ok((idp, place.serve(router), here))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p_23_keycloak_js_logs_in_refreshes_calls_and_leaves() -> Result<()> {
    libraries::is_unmodified("keycloak-js")?;
    let (_idp, _site, here) = stage("keycloak-js.html").await?;
    let person = Person::sit_down().await?;
    person.open(&here).await?;
    person.read("#status", "anonymous").await?;
    person.click("#login").await?;
    person.log_in("alice", "alice-password").await?;
    person.read("#status", "authenticated").await?;
    assert_eq!(person.address().await?.as_str(), here, "the answer is taken out of the address");
    let claims = person.json("#result").await?["claims"].clone();
    assert_eq!(claims["preferred_username"], json!("alice"), "{claims}");
    let before = claims["iat"].as_i64().context("no iat")?;

    let refreshed = person.result_of("#refresh").await?;
    assert_eq!(refreshed["refreshed"], json!(true), "{refreshed}");
    assert!(refreshed["exp"].as_i64().is_some_and(|exp| exp > before), "{refreshed}");
    let called = person.result_of("#call").await?;
    assert_eq!((&called["status"], &called["body"]["subject"]), (&json!(200), &claims["sub"]), "{called}");
    person.browser.screenshot("keycloak-js").await?;
    let said = person.browser.page.execute_async(ASK_THE_FRAME, vec![claims["sid"].clone()]).await?;
    assert_eq!(said, json!("unchanged"));

    a_logout_in_another_tab_is_seen(&person, &here).await?;
    person.click("#login").await?;
    person.log_in("alice", "alice-password").await?;
    person.read("#status", "authenticated").await?;
    person.click("#logout").await?;
    person.read("#status", "anonymous").await?;
    let called = person.result_of("#call").await?;
    assert_eq!(called["status"], json!(401), "{called}");
    person.stand_up().await
}

/// The other tab is logged in by single sign-on, and its logout reaches this one through the session iframe.
async fn a_logout_in_another_tab_is_seen(person: &Person, here: &str) -> Result<()> {
    let page = &person.browser.page;
    let first = page.window().await?;
    let other = page.new_window(true).await?.handle;
    page.switch_to_window(other).await?;
    person.open(here).await?;
    person.read("#status", "authenticated").await?;
    person.click("#logout").await?;
    person.read("#status", "anonymous").await?;
    page.close_window().await?;
    page.switch_to_window(first).await?;
    person.see("#status[data-ended='true']").await?;
    person.read("#status", "anonymous").await?;
    let said = page.execute_async(ASK_THE_FRAME, vec![Value::from("another-session")]).await?;
    assert_eq!(said, json!("changed"));
    Ok(())
}
