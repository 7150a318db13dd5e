//! The steps between a password and a code, by hand: the second factor and the consent, in light and in dark.

use anyhow::{Context as _, Result};
use portcullis_core::login::one_time_code::Generator;
use portcullis_core::time::Clock as _;
use portcullis_testkit::browser::ColorScheme;
use portcullis_testkit::rp::{Pkce, Registration, RelyingParty, parameter};
use serde_json::json;

use crate::stage::idp::{Idp, realm};
use crate::stage::person::Person;
use crate::stage::site::{Place, callbacks};

/// Pictures of the page as it stands.
async fn pictures(person: &Person, name: &str) -> Result<()> {
    for scheme in [ColorScheme::Light, ColorScheme::Dark] {
        person.browser.color_scheme(scheme).await?;
        person.browser.screenshot(&format!("steps-{name}-{scheme:?}").to_lowercase()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_shows_a_code_and_says_yes() -> Result<()> {
    let place = Place::take().await?;
    let back = format!("{}/back", place.base);
    let (secret, data) = (json!({ "value": "a seed of this walk" }), json!({ "subType": "totp", "digits": 6 }));
    let otp = |label: &str| {
        json!({
            "type": "otp", "userLabel": label, "secretData": secret.to_string(), "credentialData": data.to_string(),
        })
    };
    let mut realm = realm(&[("orders", &back)]);
    realm["clients"][0]["consentRequired"] = json!(true);
    realm["clients"][0]["name"] = json!("Orders");
    let password = realm["users"][0]["credentials"][0].clone();
    realm["users"][0]["credentials"] = json!([password, otp("Phone"), otp("Tablet")]);
    let idp = Idp::start(&realm).await?;
    let _site = place.serve(callbacks());

    let registration = Registration {
        realm: "walk".to_owned(),
        client_id: "orders".to_owned(),
        client_secret: None,
        redirect_uri: back,
    };
    let (mut party, pkce) = (RelyingParty::new(&idp.base, registration)?, Pkce::new()?);
    let start = party.authorize_target(&pkce, &[("scope", "openid phone"), ("state", "s")]);
    let person = Person::sit_down().await?;
    person.open(&format!("{}{start}", idp.base)).await?;
    person.log_in("alice", "alice-password").await?;

    person.see("#kc-otp-login-form").await?;
    pictures(&person, "code").await?;
    assert_eq!(person.count("input[name=selectedCredentialId]").await?, 2);
    person.type_into("#otp", "000000").await?;
    person.click("#kc-login").await?;
    person.read("#input-error-otp-code", "Invalid authenticator code.").await?;
    pictures(&person, "wrong-code").await?;
    person.click("#kc-otp-credential-1").await?;
    let generator = Generator::parse(&secret.to_string(), &data.to_string()).context("a generator")?;
    let code = generator.code(idp.server.clock.now().secs() / 30);
    person.type_into("#otp", &code).await?;
    person.click("#kc-login").await?;

    person.see("#kc-cancel").await?;
    pictures(&person, "consent").await?;
    assert_eq!(person.count(".grants li").await?, 4);
    person.click("#kc-login").await?;
    let came = person.text("#came").await?;
    let code = parameter(&format!("?{came}"), "code").with_context(|| format!("no code: {came}"))?;
    assert_eq!(party.exchange(&code, &pkce).await?.status, 200);
    assert_eq!(person.complaints(&idp.base).await?.iter().filter(|line| line.contains("Refused")).count(), 0);
    person.stand_up().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_adds_an_app() -> Result<()> {
    let place = Place::take().await?;
    let back = format!("{}/back", place.base);
    let mut realm = realm(&[("orders", &back)]);
    realm["users"][0]["requiredActions"] = json!(["CONFIGURE_TOTP"]);
    let idp = Idp::start(&realm).await?;
    let _site = place.serve(callbacks());
    let registration = Registration {
        realm: "walk".to_owned(),
        client_id: "orders".to_owned(),
        client_secret: None,
        redirect_uri: back,
    };
    let (party, pkce) = (RelyingParty::new(&idp.base, registration)?, Pkce::new()?);
    let start = party.authorize_target(&pkce, &[("scope", "openid"), ("state", "s")]);
    let person = Person::sit_down().await?;
    person.open(&format!("{}{start}", idp.base)).await?;
    person.log_in("alice", "alice-password").await?;

    person.see("#kc-totp-secret-qr-code path").await?;
    person.click("#kc-totp-settings summary").await?;
    pictures(&person, "app").await?;
    let key = person.text("#kc-totp-secret-key").await?.replace(' ', "");
    let data = json!({ "secretEncoding": "BASE32" }).to_string();
    let app = Generator::parse(&json!({ "value": key }).to_string(), &data).context("a generator")?;
    person.type_into("#totp", &app.code(idp.server.clock.now().secs() / 30)).await?;
    person.type_into("#userLabel", "Phone").await?;
    person.click("#saveTOTPBtn").await?;
    let came = person.text("#came").await?;
    assert!(parameter(&format!("?{came}"), "code").is_some(), "{came}");
    person.stand_up().await
}
