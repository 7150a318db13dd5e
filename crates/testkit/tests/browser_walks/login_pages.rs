//! What only a browser shows of a login: a page that posts itself, two tabs with one session, frames, cookies.

use anyhow::{Context as _, Result};
use axum::Router;
use axum::response::Html;
use axum::routing::get;
use portcullis_testkit::rp::{Pkce, Registration, RelyingParty, parameter};
use serde_json::{Value, json};

use crate::keycloak_js::ASK_THE_FRAME;
use crate::stage::idp::{Idp, realm};
use crate::stage::person::Person;
use crate::stage::site::{Place, callbacks};
use crate::stage::token;

/// One application with its PKCE pair and the address that starts its login.
struct Application {
    party: RelyingParty,
    pkce: Pkce,
    start: String,
}

impl Application {
    fn new(idp: &Idp, client: &str, back: &str, more: &[(&str, &str)]) -> Result<Self> {
        let registration = Registration {
            realm: "walk".to_owned(),
            client_id: client.to_owned(),
            client_secret: None,
            redirect_uri: back.to_owned(),
        };
        let (party, pkce) = (RelyingParty::new(&idp.base, registration)?, Pkce::new()?);
        let mut all = vec![("scope", "openid"), ("state", client)];
        all.extend_from_slice(more);
        let start = format!("{}{}", idp.base, party.authorize_target(&pkce, &all));
        Ok(Self { party, pkce, start })
    }

    /// The claims of the access token that a code gives; `came` is the query or form with the code.
    async fn claims(&mut self, came: &str) -> Result<Value> {
        let code = parameter(&format!("?{came}"), "code").with_context(|| format!("no code: {came}"))?;
        let answer = self.party.exchange(&code, &self.pkce).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        token::claims(answer.json()["access_token"].as_str().context("no access token")?)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_post_answer_sends_itself() -> Result<()> {
    let place = Place::take().await?;
    let back = format!("{}/posted", place.base);
    let idp = Idp::start(&realm(&[("poster", &back)])).await?;
    let _site = place.serve(callbacks());
    let mut application = Application::new(&idp, "poster", &back, &[("response_mode", "form_post")])?;
    let person = Person::sit_down().await?;
    person.open(&application.start).await?;
    person.log_in("alice", "alice-password").await?;
    let came = person.text("#came").await?;
    assert_eq!(person.address().await?.as_str(), back, "nothing stands in the address");
    let of = |name: &str| parameter(&format!("?{came}"), name);
    assert_eq!(of("state").as_deref(), Some("poster"), "{came}");
    assert_eq!(of("iss"), Some(format!("{}/realms/walk", idp.base)), "RFC 9207");
    let claims = application.claims(&came).await?;
    assert_eq!((&claims["azp"], &claims["preferred_username"]), (&json!("poster"), &json!("alice")));
    person.stand_up().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn se_22_a_login_in_one_tab_serves_the_form_of_another() -> Result<()> {
    let place = Place::take().await?;
    let back = format!("{}/back", place.base);
    let idp = Idp::start(&realm(&[("one", &back), ("two", &back)])).await?;
    let _site = place.serve(callbacks());
    let mut one = Application::new(&idp, "one", &back, &[])?;
    let mut two = Application::new(&idp, "two", &back, &[])?;
    let person = Person::sit_down().await?;
    let page = &person.browser.page;
    let first = page.window().await?;
    person.open(&one.start).await?;
    person.see("#kc-form-login").await?;
    let second = page.new_window(true).await?.handle;
    page.switch_to_window(second.clone()).await?;
    person.open(&two.start).await?;
    person.see("#kc-form-login").await?;

    page.switch_to_window(first).await?;
    person.log_in("alice", "alice-password").await?;
    let came_to_one = person.text("#came").await?;
    page.switch_to_window(second).await?;
    // What was typed does not matter any more: the session is known.
    person.log_in("alice", "alice-password").await?;
    let came_to_two = person.text("#came").await?;
    assert_eq!(parameter(&format!("?{came_to_two}"), "state").as_deref(), Some("two"), "{came_to_two}");

    let (of_one, of_two) = (one.claims(&came_to_one).await?, two.claims(&came_to_two).await?);
    assert_eq!((&of_one["azp"], &of_two["azp"]), (&json!("one"), &json!("two")));
    assert!(of_one["sid"].is_string() && of_one["sid"] == of_two["sid"], "one session: {of_one} {of_two}");
    person.stand_up().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn se_17_no_foreign_page_frames_a_login() -> Result<()> {
    let place = Place::take().await?;
    let back = format!("{}/back", place.base);
    let idp = Idp::start(&realm(&[("framed", &back)])).await?;
    let application = Application::new(&idp, "framed", &back, &[])?;
    let endpoint = format!("{}/realms/walk/protocol/openid-connect", idp.base);
    let frame = |address: &str| format!("<iframe src=\"{}\"></iframe>", address.replace('&', "&amp;"));
    let (login, status) = (frame(&application.start), frame(&format!("{endpoint}/login-status-iframe.html")));
    let page = |body: String| get(move || async move { Html(format!("<!doctype html><title>Frames</title>{body}")) });
    let site = place.serve(Router::new().route("/login", page(login)).route("/status", page(status)));
    let person = Person::sit_down().await?;
    person.open(&format!("{}/login", site.base)).await?;
    person.hears(&["frame-ancestors", "X-Frame-Options"]).await?;
    person.browser.page.enter_frame(0).await?;
    assert_eq!(person.count("#kc-form-login").await?, 0);
    // The page that is made for frames is shown in one.
    person.open(&format!("{}/status", site.base)).await?;
    assert_eq!(person.complaints("http://localhost:").await?, [] as [String; 0]);
    person.browser.page.enter_frame(0).await?;
    assert_eq!(person.count("script").await?, 1);
    person.stand_up().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn se_18_the_session_iframe_tells_registered_origins_only() -> Result<()> {
    let (own, foreign) = (Place::take().await?, Place::take().await?);
    let idp = Idp::start(&realm(&[("page", &format!("{}/back", own.base))])).await?;
    let address = format!("{}/realms/walk/protocol/openid-connect/login-status-iframe.html", idp.base);
    let person = Person::sit_down().await?;
    for (place, answer) in [(own, "changed"), (foreign, "error")] {
        let page = Html(format!("<!doctype html><title>Frame</title><iframe src=\"{address}\"></iframe>"));
        let site = place.serve(Router::new().route("/", get(move || async move { page })));
        person.open(&site.base).await?;
        let said = person.browser.page.execute_async(ASK_THE_FRAME, vec![json!("a-session-that-is-not")]).await?;
        assert_eq!(said, json!(answer), "{}", site.base);
    }
    person.stand_up().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn se_09_scripts_see_no_cookie_that_logs_in() -> Result<()> {
    let place = Place::take().await?;
    let back = format!("{}/back", place.base);
    let idp = Idp::start(&realm(&[("cookies", &back)])).await?;
    let _site = place.serve(callbacks());
    let application = Application::new(&idp, "cookies", &back, &[])?;
    let person = Person::sit_down().await?;
    person.open(&application.start).await?;
    person.log_in("alice", "alice-password").await?;
    person.see("#came").await?;
    person.open(&format!("{}/realms/walk/protocol/openid-connect/login-status-iframe.html", idp.base)).await?;
    let seen = person.browser.page.execute("return document.cookie", Vec::new()).await?;
    let mut seen: Vec<&str> =
        seen.as_str().unwrap_or_default().split("; ").filter_map(|c| c.split('=').next()).collect();
    seen.sort_unstable();
    // Hashes of ids (Keycloak 26.4): with them pages see that a login or session is another one now.
    assert_eq!(seen, ["KC_AUTH_SESSION_HASH", "KEYCLOAK_SESSION"]);
    let all = person.browser.page.get_all_cookies().await?;
    let hidden = all.iter().filter(|cookie| cookie.http_only() == Some(true));
    let mut hidden: Vec<&str> = hidden.map(|cookie| cookie.name()).collect();
    hidden.sort_unstable();
    assert_eq!(hidden, ["AUTH_SESSION_ID", "KEYCLOAK_IDENTITY"], "of {all:?}");
    person.stand_up().await
}
