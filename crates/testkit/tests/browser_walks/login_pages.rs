//! What only a browser shows of a login: a page that posts itself, and two tabs with one session.

use anyhow::{Context as _, Result};
use portcullis_testkit::rp::{Pkce, Registration, RelyingParty, parameter};
use serde_json::{Value, json};

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
async fn a_login_in_one_tab_serves_the_form_of_another() -> Result<()> {
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
