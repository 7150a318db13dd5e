//! What only a browser shows of a logout: the frames of the front-channel page are loaded, then the browser goes on by itself.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::http::Uri;
use axum::response::Html;
use axum::routing::get;
use portcullis_testkit::rp::{Pkce, Registration, RelyingParty, parameter};
use serde_json::{Value, json};

use crate::stage::idp::{Idp, realm};
use crate::stage::person::Person;
use crate::stage::site::{Place, callbacks};
use crate::stage::token;

/// The realm with one client at `back` whose logout page frames `front`.
fn with_front_channel(back: &str, front: &str) -> Value {
    let mut realm = realm(&[("told", back)]);
    realm["clients"][0]["frontchannelLogout"] = json!(true);
    realm["clients"][0]["attributes"]["frontchannel.logout.url"] = json!(front);
    realm
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lo_15_the_front_channel_page_tells_the_client_and_goes_on() -> Result<()> {
    let (place, told) = (Place::take().await?, Place::take().await?);
    let back = format!("{}/back", place.base);
    let idp = Idp::start(&with_front_channel(&back, &format!("{}/gone", told.base))).await?;
    let _site = place.serve(callbacks());
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let ear = Arc::clone(&heard);
    let gone = move |uri: Uri| async move {
        ear.lock().unwrap_or_else(PoisonError::into_inner).push(uri.to_string());
        Html("<!doctype html><title>Gone</title>")
    };
    let _told = told.serve(axum::Router::new().route("/gone", get(gone)));
    let registration = Registration {
        realm: "walk".to_owned(),
        client_id: "told".to_owned(),
        client_secret: None,
        redirect_uri: back.clone(),
    };
    let (mut party, pkce) = (RelyingParty::new(&idp.base, registration)?, Pkce::new()?);
    let person = Person::sit_down().await?;
    person.open(&format!("{}{}", idp.base, party.authorize_target(&pkce, &[("scope", "openid")]))).await?;
    person.log_in("alice", "alice-password").await?;
    let came = person.text("#came").await?;
    let code = parameter(&format!("?{came}"), "code").with_context(|| format!("no code: {came}"))?;
    let answer = party.exchange(&code, &pkce).await?.json();
    let hint = answer["id_token"].as_str().context("no ID token")?;
    let sid = token::claims(answer["access_token"].as_str().context("no access token")?)?["sid"].clone();

    // Without a hint: the question first.
    let endpoint = format!("{}/realms/walk/protocol/openid-connect/logout", idp.base);
    person.open(&format!("{endpoint}?client_id=told")).await?;
    person.see("#kc-logout").await?;
    person.browser.screenshot("walk-logout-confirm").await?;

    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("id_token_hint", hint), ("post_logout_redirect_uri", &back), ("state", "bye")])
        .finish();
    person.open(&format!("{endpoint}?{query}")).await?;
    person.read("#came", "state=bye").await?;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let [call] = heard.as_slice() else { anyhow::bail!("the frame was loaded once, not: {heard:?}") };
    assert_eq!(parameter(call, "sid").map(|sid| json!(sid)), Some(sid));
    assert_eq!(parameter(call, "iss"), Some(format!("{}/realms/walk", idp.base)));

    // Nobody is logged in any more; asked again, there is a plain goodbye.
    person.open(&format!("{endpoint}?client_id=told")).await?;
    person.click("#kc-logout").await?;
    person.read("#kc-page-title", "You are logged out").await?;
    person.browser.screenshot("walk-logged-out").await?;
    person.stand_up().await
}
