//! The demo, as somebody sees it in the first five minutes (reference system 0, steps 1 to 12), and what an attacker would try.

use anyhow::{Context as _, Result};
use portcullis_testkit::browser::ColorScheme;
use portcullis_testkit::http1::{Answer, Connection, Exchange};
use portcullis_testkit::rp::{Pkce, Registration, RelyingParty};
use serde_json::{Value, json};

use crate::stage::demo::RunningDemo;
use crate::stage::person::Person;
use crate::stage::token;

const LOGGED_IN: &str = "#status[data-state='authenticated']";
const ANONYMOUS: &str = "#status[data-state='anonymous']";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_a_person_logs_in_calls_the_api_and_leaves() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let demo = RunningDemo::start(folder.path(), [0; 3]).await?;
    let person = Person::sit_down().await?;
    person.open(&demo.addresses.app).await?;
    person.see(ANONYMOUS).await?;
    person.browser.screenshot("demo-anonymous").await?;
    assert_eq!(person.complaints(&demo.addresses.app).await?, [] as [String; 0]);
    without_a_token(&person).await?;
    steps_1_to_3_the_page_leaves_for_the_login_page(&person, &demo).await?;
    step_4_the_login_page(&person, &demo).await?;
    step_5_a_wrong_password(&person).await?;
    steps_6_to_9_back_with_tokens(&person, &demo).await?;
    steps_10_to_12_alice_calls_the_api(&person).await?;
    refresh(&person).await?;
    logout(&person, &demo).await?;
    bob_is_no_administrator(&person, &demo).await?;
    let bob = person.json("#id-claims").await?;
    let ports = demo.stop().await?;
    let demo = RunningDemo::start(folder.path(), ports).await?;
    still_logged_in_after_a_restart(&person, &demo, &bob).await?;
    person.stand_up().await?;
    demo.stop().await.map(drop)
}

async fn without_a_token(person: &Person) -> Result<()> {
    let refused = person.result_of("#call-user").await?;
    assert_eq!((&refused["request"], &refused["status"]), (&json!("GET /me"), &json!(401)));
    let open = person.result_of("#call-public").await?;
    assert_eq!(open["status"], json!(200), "{open}");
    // A refused call is an error to the console; it is not to be blamed on the login page.
    person.complaints("").await.map(drop)
}

async fn steps_1_to_3_the_page_leaves_for_the_login_page(person: &Person, demo: &RunningDemo) -> Result<()> {
    person.click("#login").await?;
    person.see("#kc-form-login").await?;
    let address = person.address().await?;
    let endpoint = format!("{}/protocol/openid-connect/auth?", demo.addresses.issuer());
    assert!(address.as_str().starts_with(&endpoint), "{address}");
    let all: Vec<(String, String)> = address.query_pairs().into_owned().collect();
    let of = |name: &str| {
        let mut values = all.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let first = values.next().unwrap_or_default();
        assert!(values.next().is_none(), "{name} comes twice");
        first.to_owned()
    };
    assert_eq!(of("client_id"), "demo-app");
    assert_eq!(of("redirect_uri"), format!("{}/callback", demo.addresses.app));
    assert_eq!(of("response_type"), "code");
    assert!(of("scope").split(' ').any(|s| s == "openid"), "{}", of("scope"));
    assert_eq!(of("code_challenge_method"), "S256");
    let unguessable = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    assert!(of("code_challenge").len() == 43 && unguessable(&of("code_challenge")), "RFC 7636 §4.2");
    for name in ["state", "nonce"] {
        assert!(of(name).len() >= 22 && unguessable(&of(name)), "{name}: 128 bits at least, {}", of(name));
    }
    assert_ne!(of("state"), of("nonce"));
    Ok(())
}

async fn step_4_the_login_page(person: &Person, demo: &RunningDemo) -> Result<()> {
    assert_eq!(person.complaints(&demo.addresses.idp).await?, [] as [String; 0]);
    let styles = person.browser.page.execute("return document.styleSheets.length", Vec::new()).await?;
    assert_eq!(styles, json!(1), "the style is there, not only its link");
    assert_eq!(person.browser.page.title().await?, "Sign in to Acme");
    for (field, kind, autocomplete) in
        [("#username", "text", "username"), ("#password", "password", "current-password")]
    {
        assert_eq!(person.property(field, "type").await?, kind);
        assert_eq!(person.property(field, "autocomplete").await?, autocomplete);
        assert_eq!(person.property(field, "value").await?, "");
    }
    both_colours(person, "demo-login").await
}

async fn step_5_a_wrong_password(person: &Person) -> Result<()> {
    person.log_in("alice", "not-her-password").await?;
    let told = person.text("#input-error-username").await?;
    assert_eq!(told, "Invalid username or password.");
    assert_eq!(person.property("#username", "value").await?, "alice");
    assert_eq!(person.property("#password", "value").await?, "");
    person.browser.screenshot("demo-wrong-password").await.map(drop)
}

async fn steps_6_to_9_back_with_tokens(person: &Person, demo: &RunningDemo) -> Result<()> {
    person.log_in("alice", demo.people.alice.expose()).await?;
    person.read(LOGGED_IN, "Logged in as alice").await?;
    assert_eq!(person.address().await?.as_str(), format!("{}/", demo.addresses.app), "neither code nor state is left");
    for step in 1..=9 {
        person.see(&format!("#steps li[data-step='{step}'].done")).await?;
    }
    assert_eq!(person.complaints("http://localhost:").await?, [] as [String; 0]);
    let access = person.json("#access-claims").await?;
    assert_eq!(access["iss"], json!(demo.addresses.issuer()));
    assert_eq!(access["azp"], json!("demo-app"));
    assert_eq!(access["preferred_username"], json!("alice"));
    assert!(among(&access["aud"], "demo-api"), "{access}");
    assert!(among(&access["realm_access"]["roles"], "admin"), "{access}");
    let life = access["exp"].as_i64().zip(access["iat"].as_i64()).map(|(exp, iat)| exp - iat);
    assert_eq!(life, Some(300), "Keycloak's default");
    let id = person.json("#id-claims").await?;
    assert_eq!((&id["iss"], &id["aud"]), (&access["iss"], &json!("demo-app")));
    assert_eq!((&id["sub"], &id["sid"]), (&access["sub"], &access["sid"]));
    assert!(access["sub"].is_string() && access["sid"].is_string() && id["nonce"].is_string(), "{id}");
    both_colours(person, "demo-logged-in").await
}

/// The whole page, so tall that nothing of it is scrolled away.
async fn both_colours(person: &Person, name: &str) -> Result<()> {
    let screen = |height: u32| json!({ "width": 1280, "height": height, "deviceScaleFactor": 1, "mobile": false });
    let height = person.browser.page.execute("return document.documentElement.scrollHeight", Vec::new()).await?;
    let height = height.as_u64().and_then(|h| u32::try_from(h).ok()).unwrap_or(800).clamp(800, 4000);
    person.browser.cdp("Emulation.setDeviceMetricsOverride", screen(height)).await?;
    for scheme in [ColorScheme::Dark, ColorScheme::Light] {
        person.browser.color_scheme(scheme).await?;
        person.browser.screenshot(&format!("{name}-{scheme:?}").to_lowercase()).await?;
    }
    person.browser.cdp("Emulation.setDeviceMetricsOverride", screen(800)).await.map(drop)
}

/// A JSON string or list of strings that holds `wanted`.
fn among(value: &Value, wanted: &str) -> bool {
    value == wanted || value.as_array().is_some_and(|list| list.iter().any(|v| v == wanted))
}

async fn steps_10_to_12_alice_calls_the_api(person: &Person) -> Result<()> {
    for (button, route) in [("#call-public", "/public"), ("#call-user", "/me"), ("#call-admin", "/admin")] {
        let result = person.result_of(button).await?;
        assert_eq!((&result["request"], &result["status"]), (&json!(format!("GET {route}")), &json!(200)), "{result}");
    }
    let me = person.result_of("#call-user").await?;
    assert_eq!(me["body"]["name"], json!("Alice Adams"), "{me}");
    person.see("#steps li[data-step='12'].done").await?;
    assert_eq!(person.count("#steps li.done").await?, 12);
    both_colours(person, "demo-after-calls").await
}

async fn refresh(person: &Person) -> Result<()> {
    let before = person.json("#access-claims").await?;
    let result = person.result_of("#refresh").await?;
    assert_eq!(result["refreshed"], json!(true), "{result}");
    let after = person.json("#access-claims").await?;
    assert_ne!(before["jti"], after["jti"], "another token");
    assert_eq!(before["sid"], after["sid"], "of the same session");
    let called = person.result_of("#call-user").await?;
    assert_eq!(called["status"], json!(200), "{called}");
    Ok(())
}

async fn logout(person: &Person, demo: &RunningDemo) -> Result<()> {
    person.click("#logout").await?;
    person.see(ANONYMOUS).await?;
    assert_eq!(person.address().await?.as_str(), format!("{}/", demo.addresses.app));
    person.read("#access-claims", "").await?;
    person.browser.screenshot("demo-logged-out").await?;
    person.click("#login").await?;
    person.see("#kc-form-login #password").await?;
    Ok(())
}

async fn bob_is_no_administrator(person: &Person, demo: &RunningDemo) -> Result<()> {
    person.log_in("bob", demo.people.bob.expose()).await?;
    person.read(LOGGED_IN, "Logged in as bob").await?;
    let allowed = person.result_of("#call-user").await?;
    assert_eq!(allowed["status"], json!(200), "{allowed}");
    let refused = person.result_of("#call-admin").await?;
    assert_eq!(refused["status"], json!(403), "{refused}");
    person.browser.screenshot("demo-bob-refused").await.map(drop)
}

async fn still_logged_in_after_a_restart(person: &Person, demo: &RunningDemo, before: &Value) -> Result<()> {
    person.browser.page.refresh().await?;
    person.read(LOGGED_IN, "Logged in as bob").await?;
    let after = person.json("#id-claims").await?;
    assert_eq!((&after["sid"], &after["auth_time"]), (&before["sid"], &before["auth_time"]), "no new login");
    assert!(after["sid"].is_string());
    for step in [4, 5] {
        person.see(&format!("#steps li[data-step='{step}'].skipped")).await?;
    }
    assert_eq!(person.address().await?.as_str(), format!("{}/", demo.addresses.app));
    let called = person.result_of("#call-user").await?;
    assert_eq!(called["status"], json!(200), "{called}");
    person.browser.screenshot("demo-after-restart").await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_wrong_tokens_and_used_codes_open_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let demo = RunningDemo::start(folder.path(), [0; 3]).await?;
    let mut application = RelyingParty::new(
        &demo.addresses.idp,
        Registration {
            realm: "acme".to_owned(),
            client_id: "demo-app".to_owned(),
            client_secret: None,
            redirect_uri: format!("{}/callback", demo.addresses.app),
        },
    )?;
    let pkce = Pkce::new()?;
    let more = [("scope", "openid"), ("nonce", "a-nonce-of-the-test-itself")];
    let code = application.code(&pkce, &more, "alice", demo.people.alice.expose()).await?;
    let granted = application.exchange(&code, &pkce).await?;
    assert_eq!(granted.status, 200, "{}", granted.text());
    let granted = granted.json();
    wrong_tokens(&demo, granted["access_token"].as_str().context("no access token")?).await?;
    // Last, because a second use ends what the first one gave (RFC 6749 §4.1.2).
    let again = application.exchange(&code, &pkce).await?;
    assert_eq!((again.status, &again.json()["error"]), (400, &json!("invalid_grant")), "{}", again.text());
    // The API hears of it by the feed.
    let access = granted["access_token"].as_str().context("no access token")?;
    let mut api = Connection::to(&demo.addresses.api)?;
    let refused = async {
        while me(&mut api, Some(access)).await?.status != 401 {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), refused).await.context("the API never heard")??;
    let refresh = granted["refresh_token"].as_str().context("no refresh token")?;
    let ended = application.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await?;
    assert_eq!((ended.status, &ended.json()["error"]), (400, &json!("invalid_grant")), "{}", ended.text());
    demo.stop().await.map(drop)
}

async fn wrong_tokens(demo: &RunningDemo, good: &str) -> Result<()> {
    let records = demo.started.db.realm_records("acme").await?.context("no realm")?;
    let (own, foreign) = (token::own_key(&records, good)?, token::foreign_key(good)?);
    let claims = token::claims(good)?;
    let mut expired = claims.clone();
    for name in ["iat", "exp", "nbf", "auth_time"] {
        if let Some(time) = expired[name].as_i64() {
            expired[name] = json!(time - 3600);
        }
    }
    let mut elsewhere = claims.clone();
    elsewhere["aud"] = json!(["another-api"]);
    let mut api = Connection::to(&demo.addresses.api)?;
    for (what, token, status) in [
        ("the server's own", good.to_owned(), 200),
        ("the same claims, signed by the realm's key here", token::signed(&own, good, &claims)?, 200),
        ("signed by a foreign key", token::signed(&foreign, good, &claims)?, 401),
        ("of an hour ago", token::signed(&own, good, &expired)?, 401),
        ("for another API", token::signed(&own, good, &elsewhere)?, 401),
        ("no token at all", "garbage".to_owned(), 401),
    ] {
        let answer = me(&mut api, Some(&token)).await?;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        let told = answer.header("www-authenticate").unwrap_or_default();
        let says = told.starts_with("Bearer") && told.contains("error=\"invalid_token\"");
        assert_eq!(says, status == 401, "{what}: {told}");
    }
    let bare = me(&mut api, None).await?;
    let told = bare.header("www-authenticate").unwrap_or_default();
    assert!(bare.status == 401 && told.starts_with("Bearer"), "{} {told}", bare.status);
    assert!(!told.contains("error="), "RFC 6750 §3.1: no error code where no token was shown, {told}");
    Ok(())
}

async fn me(api: &mut Connection, token: Option<&str>) -> Result<Answer> {
    let ask = Exchange::get("/me");
    let ask = match token {
        Some(token) => ask.header("Authorization", &format!("Bearer {token}")),
        None => ask,
    };
    api.send(&ask).await
}
