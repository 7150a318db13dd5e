//! Second factors: one-time codes on the page and at the password grant (group MF).

use std::sync::Arc;

use anyhow::{Context as _, Result};
use portcullis_core::login::factors;
use portcullis_core::login::one_time_code::Generator;
use portcullis_core::plan::Write;
use portcullis_core::user::Credential;
use portcullis_idp::watch::Entry;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Connection, Exchange};
use portcullis_testkit::server::{Cluster, Options};
use serde_json::{Value, json};

use super::stage::{
    Browser, Outcome, PROFILES, REALM, Stage, action, claims, device, edited, import, outcome, part, realm, set, text,
    totp,
};

/// Failures before an account rests.
const LIMIT: usize = 5;

/// The usual people (`otto` has a phone); `olga` has two devices, `hedda` one that counts.
fn people() -> Value {
    let mut users = realm(&json!({})).get("users").and_then(Value::as_array).cloned().unwrap_or_default();
    let hotp = device("hedda-1", "token", &json!({ "subType": "hotp", "digits": 8, "algorithm": "HmacSHA256" }));
    for (name, devices) in [("olga", vec![totp("olga-1", "phone"), totp("olga-2", "")]), ("hedda", vec![hotp])] {
        let mut user = users.first().cloned().unwrap_or_default();
        let mut credentials = vec![json!({ "type": "password", "value": format!("{name}-password") })];
        credentials.extend(devices);
        set(&mut user, "username", name);
        set(&mut user, "email", format!("{name}@shop.test"));
        set(&mut user, "credentials", credentials);
        users.push(user);
    }
    json!({ "users": users })
}

async fn stage(strict: bool) -> Result<Stage> {
    Stage::with(strict, Options::default(), &people()).await
}

fn now(stage: &Stage) -> i64 {
    use portcullis_core::time::Clock as _;
    stage.server.clock.now().secs()
}

async fn credential(stage: &Stage, id: &str) -> Result<Credential> {
    let name = id.split('-').next().unwrap_or_default();
    let user = stage.user(name).await?;
    let all = stage.server.db.credentials(&stage.realm, &user.id).await?;
    all.into_iter().find(|c| c.id.as_str() == id).context("no such device")
}

/// The device's code so many steps from now (for a counter: that counter's).
async fn code(stage: &Stage, id: &str, step: i64) -> Result<String> {
    let generator = Generator::read(&credential(stage, id).await?).context("no generator")?;
    Ok(generator.code(if id.starts_with("hedda") { step } else { now(stage) / 30 + step }))
}

/// A code that is no device's.
async fn wrong_code(stage: &Stage, id: &str) -> Result<String> {
    let right = [code(stage, id, -1).await?, code(stage, id, 0).await?, code(stage, id, 1).await?];
    let wrong = (0..4).map(|n| format!("00000{n}")).find(|c| !right.contains(c));
    wrong.context("no wrong code")
}

async fn show(browser: &mut Browser, page: &Answer, fields: &[(&str, &str)]) -> Result<Answer> {
    browser.rp.send(Exchange::form(&action(page)?, fields)).await
}

/// The page for the code, password given.
async fn half(stage: &Stage, name: &str) -> Result<(Browser, Answer)> {
    let mut browser = stage.browser()?;
    let page = browser.login(name, &format!("{name}-password")).await?;
    assert_eq!(outcome(&page), Outcome::OneTimeCode, "{}", page.text());
    Ok((browser, page))
}

fn is_code(answer: &Answer) -> bool {
    matches!(outcome(answer), Outcome::Code(_))
}

fn says_wrong(answer: &Answer) -> bool {
    answer.text().contains("id=\"input-error-otp-code\"") && answer.text().contains("Invalid authenticator code.")
}

async fn grant(base: &str, name: &str, more: &[(&str, &str)]) -> Result<Answer> {
    let password = format!("{name}-password");
    let mut fields =
        vec![("grant_type", "password"), ("client_id", "app"), ("username", name), ("password", &password)];
    fields.extend_from_slice(more);
    let path = format!("/realms/{REALM}/protocol/openid-connect/token");
    Connection::to(base)?.send(&Exchange::form(&path, &fields)).await
}

#[tokio::test]
async fn a_right_code_logs_in_and_the_session_says_what_was_proven() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict).await?;
        let (mut browser, page) = half(&stage, "otto").await?;
        assert!(page.text().contains("autocomplete=\"one-time-code\""));
        assert_eq!(stage.sessions("otto").await?, 0, "nothing yet");
        let right = code(&stage, "otto-1", 0).await?;
        let spaced = format!(" {} {} ", &right[..3], &right[3..]);
        let done = show(&mut browser, &page, &[("otp", &spaced)]).await?;
        assert!(is_code(&done), "{:?} {}", outcome(&done), done.text());
        browser.tokens(&done).await?;
        let user = stage.user("otto").await?;
        let sessions = stage.server.db.user_sessions_of(&stage.realm, &user.id).await?;
        let notes = sessions.first().map(|s| s.notes.clone()).unwrap_or_default();
        let proven = factors::proven(&notes);
        assert!(proven.contains_key(factors::PASSWORD) && proven.contains_key(factors::ONE_TIME_CODE), "{notes:?}");
        // Single sign-on does not ask again.
        assert!(is_code(&browser.ask(&[]).await?));
        // Somebody without a device is not asked.
        assert!(is_code(&stage.browser()?.login("alice", "alice-password").await?));
    }
    Ok(())
}

#[tokio::test]
async fn mf_01_a_pending_factor_opens_no_other_door() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict).await?;
        stage.change_user("otto", |user| user.settings.required_actions = vec!["UPDATE_PASSWORD".to_owned()]).await?;
        let (mut browser, page) = half(&stage, "otto").await?;
        for name in ["KEYCLOAK_IDENTITY", "KEYCLOAK_SESSION"] {
            assert_eq!(browser.cookie(name), "", "{name}");
        }
        let here = action(&page)?;
        for (path, execution) in [
            ("required-action", "UPDATE_PASSWORD"),
            ("required-action", "OAUTH_GRANT"),
            ("required-action", "CONFIGURE_TOTP"),
            ("authenticate", ""),
        ] {
            let jump = here.replace("/authenticate?", &format!("/{path}?"));
            let jump = edited(&jump, &[("execution", Some(execution))]);
            let fields = [("password-new", "taken-1"), ("password-confirm", "taken-1"), ("accept", "Yes")];
            for step in [Exchange::get(&edited(&jump, &[("session_code", None)])), Exchange::form(&jump, &fields)] {
                let mut answer = browser.rp.send(step).await?;
                if let Outcome::Onward(to) = outcome(&answer) {
                    answer = browser.rp.open(&to).await?;
                }
                assert_eq!(outcome(&answer), Outcome::OneTimeCode, "{path} {execution}: {}", answer.text());
            }
        }
        // A second tab of this browser knows nobody.
        assert_eq!(outcome(&browser.copy()?.ask(&[]).await?), Outcome::LoginPage);
        assert!(!browser.is_signed_in().await?);
        assert_eq!(stage.sessions("otto").await?, 0);
        // With the factor the owed action comes next.
        let page = browser.rp.send(Exchange::get(&edited(&here, &[("session_code", None)]))).await?;
        let right = code(&stage, "otto-1", 0).await?;
        let next = show(&mut browser, &page, &[("otp", &right)]).await?;
        let Outcome::Onward(to) = outcome(&next) else { anyhow::bail!("{:?}", outcome(&next)) };
        assert_eq!(part(&to, "execution"), "UPDATE_PASSWORD");
    }
    Ok(())
}

#[tokio::test]
async fn mf_02_the_password_grant_asks_for_the_code() -> Result<()> {
    let stage = stage(false).await?;
    let base = stage.server.base.clone();
    let missing = grant(&base, "otto", &[]).await?;
    assert_eq!((missing.status, text(&missing.json(), "error")), (401, "invalid_grant"), "{}", missing.text());
    assert_eq!(text(&missing.json(), "error_description"), "Invalid user credentials");
    let wrong = wrong_code(&stage, "otto-1").await?;
    assert_eq!(grant(&base, "otto", &[("totp", &wrong)]).await?.body, missing.body);
    let right = code(&stage, "otto-1", 0).await?;
    assert_eq!(grant(&base, "otto", &[("totp", &right)]).await?.status, 200);
    assert_eq!(grant(&base, "otto", &[("totp", &right)]).await?.body, missing.body, "MF-03");
    let next = code(&stage, "otto-1", 1).await?;
    assert_eq!(grant(&base, "otto", &[("otp", &next)]).await?.status, 200, "the other name");
    assert_eq!(
        grant(&base, "alice", &[("totp", "123456")]).await?.status,
        200,
        "a dummy code of a user without a device"
    );
    // The grant takes the first device only (Keycloak 26.4).
    let (first, second) = (code(&stage, "olga-1", 0).await?, code(&stage, "olga-2", 0).await?);
    assert_eq!(grant(&base, "olga", &[("totp", &second)]).await?.status, 401);
    assert_eq!(grant(&base, "olga", &[("totp", &first)]).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn logins_are_counted_by_their_flow() -> Result<()> {
    let options = Options::default();
    let figures = Arc::clone(&options.watch.figures);
    let stage = Stage::with(false, options, &people()).await?;
    let mut browser = stage.browser()?;
    assert!(!is_code(&browser.login("alice", "wrong").await?));
    assert!(is_code(&browser.login("alice", "alice-password").await?));
    assert!(is_code(&browser.ask(&[]).await?));
    let (mut browser, page) = half(&stage, "otto").await?;
    let right = code(&stage, "otto-1", 0).await?;
    assert!(is_code(&show(&mut browser, &page, &[("otp", &right)]).await?));
    assert_eq!(grant(&stage.server.base, "otto", &[]).await?.status, 401);
    assert_eq!(grant(&stage.server.base, "alice", &[]).await?.status, 200);
    let counted = |entry| figures.blocks().map(|(_, block)| block.entries(entry)).sum::<u64>();
    let words = ["browser", "browser_otp", "single_sign_on", "device", "password_grant"];
    let counted: Vec<_> = Entry::ALL.into_iter().map(|entry| (entry.name(), counted(entry))).collect();
    assert_eq!(counted, words.into_iter().zip([1, 1, 1, 0, 1]).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn mf_03_te_13_a_code_is_taken_once_on_all_nodes() -> Result<()> {
    let cluster = Cluster::start(2, Options::default()).await?;
    let realm = import(cluster.node(0)?, false, &people()).await?;
    let user = cluster.node(0)?.db.user_by_username(&realm, "otto").await?.context("otto")?;
    let all = cluster.node(0)?.db.credentials(&realm, &user.id).await?;
    let generator = all.iter().find_map(Generator::read).context("no device")?;
    for round in 0..3 {
        cluster.clock.shift_secs(120);
        let code = {
            use portcullis_core::time::Clock as _;
            generator.code(cluster.clock.now().secs() / 30)
        };
        let mut tries = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (base, code) = (cluster.node(number % 2)?.base.clone(), code.clone());
            tries.spawn(async move { grant(&base, "otto", &[("totp", &code)]).await.map(|answer| answer.status) });
        }
        let mut taken = 0;
        while let Some(status) = tries.join_next().await {
            taken += usize::from(status?? == 200);
        }
        assert_eq!(taken, 1, "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn mf_03_mf_04_used_and_far_codes_are_refused_on_the_page() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict).await?;
        let used = code(&stage, "otto-1", 0).await?;
        let (mut browser, page) = half(&stage, "otto").await?;
        assert!(is_code(&show(&mut browser, &page, &[("otp", &used)]).await?));
        let (mut browser, mut page) = half(&stage, "otto").await?;
        let (early, late) = (code(&stage, "otto-1", -2).await?, code(&stage, "otto-1", 2).await?);
        for refused in [&used, &early, &late] {
            page = show(&mut browser, &page, &[("otp", refused)]).await?;
            assert!(outcome(&page) == Outcome::OneTimeCode && says_wrong(&page), "{}", page.text());
        }
        let near = code(&stage, "otto-1", 1).await?;
        assert!(is_code(&show(&mut browser, &page, &[("otp", &near)]).await?), "the next step is near enough");
    }
    Ok(())
}

#[tokio::test]
async fn mf_03_a_counter_moves_past_the_code_it_took() -> Result<()> {
    let stage = stage(true).await?;
    for (counter, taken) in [(0, true), (0, false), (2, true), (1, false), (4, true), (9, false)] {
        let code = code(&stage, "hedda-1", counter).await?;
        let (mut browser, page) = half(&stage, "hedda").await?;
        let answer = show(&mut browser, &page, &[("otp", &code)]).await?;
        assert_eq!(is_code(&answer), taken, "{counter}: {}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn mf_05_codes_and_passwords_count_together_whatever_the_flow() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict).await?;
        let wrong = wrong_code(&stage, "otto-1").await?;
        // A new flow each time: the right password in between forgets nothing.
        for number in 0..LIMIT - 1 {
            let (mut browser, page) = half(&stage, "otto").await?;
            let answer = show(&mut browser, &page, &[("otp", &wrong)]).await?;
            assert!(says_wrong(&answer), "{number}");
        }
        let (mut inside, page) = half(&stage, "otto").await?;
        stage.browser()?.login("otto", "wrong").await?;
        let right = code(&stage, "otto-1", 0).await?;
        let answer = show(&mut inside, &page, &[("otp", &right)]).await?;
        assert!(says_wrong(&answer), "it rests, the right code too: {:?}", outcome(&answer));
        assert_eq!(outcome(&stage.browser()?.login("otto", "otto-password").await?), Outcome::LoginPage);
        stage.server.clock.shift_secs(61);
        let right = code(&stage, "otto-1", 0).await?;
        assert!(is_code(&show(&mut inside, &answer, &[("otp", &right)]).await?), "the rest is over");
        // And everything is forgotten.
        let row = stage.server.db.login_failures_of(&stage.realm, &stage.user("otto").await?.id).await?;
        assert!(row.is_empty(), "{row:?}");
    }
    Ok(())
}

#[tokio::test]
async fn mf_05_parallel_guesses_are_bounded() -> Result<()> {
    let stage = stage(false).await?;
    let (base, wrong) = (stage.server.base.clone(), wrong_code(&stage, "otto-1").await?);
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (base, wrong) = (base.clone(), wrong.clone());
        tries.spawn(async move { grant(&base, "otto", &[("totp", &wrong)]).await.map(|answer| answer.status) });
    }
    while let Some(status) = tries.join_next().await {
        assert_eq!(status??, 401);
    }
    let rows = stage.server.db.login_failures_of(&stage.realm, &stage.user("otto").await?.id).await?;
    assert!(rows.iter().all(|row| row.failures <= 5) && !rows.is_empty(), "{rows:?}");
    Ok(())
}

#[tokio::test]
async fn mf_10_the_person_stays_the_one_whose_password_was_right() -> Result<()> {
    for strict in PROFILES {
        let stage = stage(strict).await?;
        let theirs = code(&stage, "olga-1", 0).await?;
        let (mut browser, page) = half(&stage, "otto").await?;
        for fields in [
            vec![("otp", theirs.as_str()), ("selectedCredentialId", "olga-1")],
            vec![("otp", theirs.as_str()), ("username", "olga")],
            vec![("otp", theirs.as_str()), ("selectedCredentialId", "")],
        ] {
            let (mut fresh, page) = half(&stage, "otto").await?;
            let answer = show(&mut fresh, &page, &fields).await?;
            assert!(says_wrong(&answer), "{fields:?} {:?}", outcome(&answer));
            stage.server.clock.shift_secs(61);
        }
        // A tab that olga began does not take otto's code, and his own does.
        let right = code(&stage, "otto-1", 0).await?;
        let done = show(&mut browser, &page, &[("otp", &right), ("username", "olga")]).await?;
        assert!(is_code(&done), "{:?}", outcome(&done));
        assert_eq!((stage.sessions("otto").await?, stage.sessions("olga").await?), (1, 0));
    }
    Ok(())
}

#[tokio::test]
async fn several_devices_are_offered_and_the_chosen_one_counts() -> Result<()> {
    let stage = stage(true).await?;
    let (mut browser, page) = half(&stage, "olga").await?;
    let html = page.text();
    assert!(html.contains("value=\"olga-1\" checked") && html.contains("value=\"olga-2\""), "{html}");
    let second = code(&stage, "olga-2", 0).await?;
    let again = show(&mut browser, &page, &[("otp", &second), ("selectedCredentialId", "olga-1")]).await?;
    assert!(says_wrong(&again));
    let answer = show(&mut browser, &again, &[("otp", &second), ("selectedCredentialId", "olga-2")]).await?;
    assert!(is_code(&answer), "{:?}", outcome(&answer));
    // One device is not a choice: it is named without one (Keycloak 26.4).
    let (_, page) = half(&stage, "otto").await?;
    let html = page.text();
    assert!(html.contains("name=\"selectedCredentialId\" type=\"hidden\"") && !html.contains("type=\"radio\""));
    Ok(())
}

#[tokio::test]
async fn se_04_only_the_latest_code_page_of_this_browser_is_answered() -> Result<()> {
    let stage = stage(true).await?;
    let (mut browser, first) = half(&stage, "otto").await?;
    let wrong = wrong_code(&stage, "otto-1").await?;
    let latest = show(&mut browser, &first, &[("otp", &wrong)]).await?;
    let right = code(&stage, "otto-1", 0).await?;
    let old = show(&mut browser, &first, &[("otp", &right)]).await?;
    let Outcome::Onward(to) = outcome(&old) else { anyhow::bail!("{:?}", outcome(&old)) };
    let page = browser.rp.open(&to).await?;
    assert_eq!(outcome(&page), Outcome::OneTimeCode);
    assert!(page.text().contains("Action expired"), "{}", page.text());
    // Nothing was looked at: the code is still good. Another browser does not get to the tab.
    let mut stranger = stage.browser()?;
    stranger.ask(&[]).await?;
    let foreign = show(&mut stranger, &page, &[("otp", &right)]).await?;
    assert!(!is_code(&foreign) && outcome(&foreign) != Outcome::OneTimeCode, "AZ-24 {:?}", outcome(&foreign));
    let form = Exchange::form(&action(&page)?, &[("otp", &right)]);
    let posted = browser.rp.send(form.header("Origin", "https://evil.test")).await?;
    assert_eq!(outcome(&posted), Outcome::ErrorPage(403), "SE-03");
    assert!(!is_code(&show(&mut browser, &latest, &[("otp", &right)]).await?));
    let Outcome::OneTimeCode = outcome(&browser.rp.open(&to).await?) else { anyhow::bail!("the page is gone") };
    let page = browser.rp.open(&to).await?;
    assert!(is_code(&show(&mut browser, &page, &[("otp", &right)]).await?));
    Ok(())
}

#[tokio::test]
async fn the_way_back_leads_to_the_password() -> Result<()> {
    let stage = stage(true).await?;
    let (mut browser, page) = half(&stage, "otto").await?;
    let read = Page::read(&page.text());
    assert!(read.form("kc-otp-login-form").is_some());
    let html = page.text();
    let at = html.find("id=\"reset-login\" href=\"").context("no way back")? + "id=\"reset-login\" href=\"".len();
    let link = html[at..].split('"').next().unwrap_or_default().replace("&amp;", "&");
    let onward = browser.rp.send(Exchange::get(&link)).await?;
    let Outcome::Onward(to) = outcome(&onward) else { anyhow::bail!("{:?}", outcome(&onward)) };
    assert_eq!(outcome(&browser.rp.open(&to).await?), Outcome::LoginPage);
    Ok(())
}

#[tokio::test]
async fn mf_15_an_account_whose_device_went_away_starts_over() -> Result<()> {
    let stage = stage(true).await?;
    let (mut browser, page) = half(&stage, "otto").await?;
    let right = code(&stage, "otto-1", 0).await?;
    let user = stage.user("otto").await?;
    stage.apply(Write::DeleteCredential(stage.realm.clone(), user.id.clone(), "otto-1".into())).await?;
    let answer = show(&mut browser, &page, &[("otp", &right)]).await?;
    assert_eq!(outcome(&answer), Outcome::LoginPage, "nothing is jumped over");
    assert!(is_code(&browser.submit(&answer, "otto", "otto-password").await?));
    // Switched off between the two factors: nothing.
    let (mut browser, page) = half(&stage, "olga").await?;
    stage.change_user("olga", |user| user.enabled = false).await?;
    let right = code(&stage, "olga-1", 0).await?;
    assert_eq!(outcome(&show(&mut browser, &page, &[("otp", &right)]).await?), Outcome::LoginPage);
    Ok(())
}

#[tokio::test]
async fn mf_09_a_level_of_two_factors_needs_both_in_this_login() -> Result<()> {
    let essential = json!({ "id_token": { "acr": { "essential": true, "values": ["2"] } } }).to_string();
    for strict in PROFILES {
        let stage = stage(strict).await?;
        let mut browser = stage.browser()?;
        let page = browser.login("otto", "otto-password").await?;
        let answer = show(&mut browser, &page, &[("otp", &code(&stage, "otto-1", 0).await?)]).await?;
        let acr = |tokens: &Value| anyhow::Ok(text(&claims(tokens, "id_token")?, "acr").to_owned());
        // Keycloak 26.4 counts no second factor where the realm's flow has no levels.
        let both = if strict { "2" } else { "1" };
        assert_eq!(acr(&browser.tokens(&answer).await?)?, both);
        stage.server.clock.shift_secs(60);
        let silent = browser.ask(&[("claims", Some(&essential)), ("prompt", Some("none"))]).await?;
        assert_eq!(outcome(&silent), Outcome::Error("login_required".to_owned()), "the session's proof is an old one");
        let page = browser.ask(&[("claims", Some(&essential))]).await?;
        assert_eq!(outcome(&page), Outcome::LoginPage);
        let page = browser.submit(&page, "otto", "otto-password").await?;
        assert_eq!(outcome(&page), Outcome::OneTimeCode);
        let answer = show(&mut browser, &page, &[("otp", &code(&stage, "otto-1", 0).await?)]).await?;
        if strict {
            assert_eq!(acr(&browser.tokens(&answer).await?)?, "2");
        } else {
            assert_eq!(outcome(&answer), Outcome::Error("unmet_authentication_requirements".to_owned()));
        }
        // Who has no second factor does not get there.
        let mut other = stage.browser()?;
        let page = other.ask(&[("claims", Some(&essential))]).await?;
        let answer = other.submit(&page, "alice", "alice-password").await?;
        assert_eq!(outcome(&answer), Outcome::Error("unmet_authentication_requirements".to_owned()));
        assert_eq!(acr(&other.enter("alice").await?)?, "1");
    }
    Ok(())
}
