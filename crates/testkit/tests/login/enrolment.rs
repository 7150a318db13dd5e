//! Adding an authenticator app: the required action `CONFIGURE_TOTP` (MF-03, MF-06, MF-13).

use anyhow::{Context as _, Result};
use portcullis_core::login::one_time_code::Generator;
use portcullis_core::plan::Write;
use portcullis_core::secret::Secret;
use portcullis_core::user::Credential;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::Options;
use serde_json::{Value, json};

use super::stage::{Browser, Outcome, PROFILES, Stage, action, outcome, part, set};

async fn owes(stage: &Stage, name: &str) -> Result<()> {
    stage.change_user(name, |user| user.settings.required_actions = vec!["CONFIGURE_TOTP".to_owned()]).await
}

async fn credentials(stage: &Stage, name: &str) -> Result<Vec<Credential>> {
    let user = stage.user(name).await?;
    let all = stage.server.db.credentials(&stage.realm, &user.id).await?;
    Ok(all.into_iter().filter(|c| c.kind == "otp").collect())
}

fn now(stage: &Stage) -> i64 {
    use portcullis_core::time::Clock as _;
    stage.server.clock.now().secs()
}

/// The key that a page shows.
fn key(page: &Answer) -> Result<String> {
    let html = page.text();
    let at = html.find("id=\"kc-totp-secret-key\"").with_context(|| format!("no key: {html}"))?;
    let rest = html[at..].split_once('>').map(|(_, rest)| rest).unwrap_or_default();
    Ok(rest.split('<').next().unwrap_or_default().replace(' ', ""))
}

fn generator(key: &str, data: Value) -> Result<Generator> {
    let mut data = data;
    set(&mut data, "secretEncoding", "BASE32");
    Generator::parse(&json!({ "value": key }).to_string(), &data.to_string()).context("no generator")
}

/// What an app shows that was given the key by hand.
fn code(stage: &Stage, page: &Answer) -> Result<String> {
    Ok(generator(&key(page)?, json!({}))?.code(now(stage) / 30))
}

fn is_setup(page: &Answer) -> bool {
    page.status == 200 && page.text().contains("id=\"kc-totp-settings-form\"")
}

async fn setup(browser: &mut Browser, answer: &Answer) -> Result<Answer> {
    let Outcome::Onward(to) = outcome(answer) else { anyhow::bail!("{:?} {}", outcome(answer), answer.text()) };
    assert_eq!(part(&to, "execution"), "CONFIGURE_TOTP", "{to}");
    browser.rp.open(&to).await
}

async fn send(browser: &mut Browser, page: &Answer, fields: &[(&str, &str)]) -> Result<Answer> {
    browser.rp.send(Exchange::form(&action(page)?, fields)).await
}

fn is_code(answer: &Answer) -> bool {
    matches!(outcome(answer), Outcome::Code(_))
}

#[tokio::test]
async fn an_app_is_kept_once_it_showed_a_code() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        owes(&stage, "alice").await?;
        let mut browser = stage.browser()?;
        let answer = browser.login("alice", "alice-password").await?;
        let page = setup(&mut browser, &answer).await?;
        assert!(is_setup(&page) && page.text().contains("<svg id=\"kc-totp-secret-qr-code\""), "{}", page.text());
        let shown = key(&page)?;
        let wrong = send(&mut browser, &page, &[("totp", "000000"), ("userLabel", "Phone")]).await?;
        assert!(is_setup(&wrong) && wrong.text().contains("input-error-otp-code"), "{}", wrong.text());
        assert!(wrong.text().contains("value=\"Phone\""), "what was typed stays");
        let empty = send(&mut browser, &wrong, &[]).await?;
        assert!(is_setup(&empty) && empty.text().contains("Please specify authenticator code."));
        assert_eq!(key(&empty)?, shown, "the app that was set up already goes on");
        assert!(credentials(&stage, "alice").await?.is_empty() && stage.sessions("alice").await? == 0);
        let right = code(&stage, &empty)?;
        let done = send(&mut browser, &empty, &[("totp", &right), ("userLabel", " Phone ")]).await?;
        assert!(is_code(&done), "{:?} {}", outcome(&done), done.text());
        let kept = credentials(&stage, "alice").await?;
        assert_eq!(kept.iter().map(|c| c.user_label.as_deref()).collect::<Vec<_>>(), [Some("Phone")]);
        assert!(stage.user("alice").await?.settings.required_actions.is_empty());
        // From now on the code is asked for, and the one that set it up is used (MF-03).
        let mut next = stage.browser()?;
        let page = next.login("alice", "alice-password").await?;
        assert_eq!(outcome(&page), Outcome::OneTimeCode);
        let used = send(&mut next, &page, &[("otp", &right)]).await?;
        assert_eq!(outcome(&used), Outcome::OneTimeCode);
        let later = Generator::read(kept.first().context("a device")?).context("no generator")?;
        let later = later.code(now(&stage) / 30 + 1);
        assert!(is_code(&send(&mut next, &used, &[("otp", &later)]).await?));
    }
    Ok(())
}

#[tokio::test]
async fn mf_06_who_has_a_device_shows_it_before_another_is_added() -> Result<()> {
    let stage = Stage::of(true).await?;
    owes(&stage, "otto").await?;
    let mut browser = stage.browser()?;
    let page = browser.login("otto", "otto-password").await?;
    assert_eq!(outcome(&page), Outcome::OneTimeCode);
    // A session from before there was a device: single sign-on does not stand for it.
    let mut inside = stage.browser()?;
    inside.enter("alice").await?;
    let alice = stage.user("alice").await?.id;
    let device = Credential {
        id: "alice-1".into(),
        kind: "otp".to_owned(),
        user_label: Some("Phone".to_owned()),
        created_date: 0,
        priority: 20,
        secret_data: Secret::new(json!({ "value": "a seed of alice" }).to_string()),
        credential_data: json!({}).to_string(),
    };
    stage.apply(Write::AddCredential(stage.realm.clone(), alice, device.clone())).await?;
    owes(&stage, "alice").await?;
    let answer = inside.ask(&[]).await?;
    let page = setup(&mut inside, &answer).await?;
    assert_eq!(outcome(&page), Outcome::OneTimeCode, "the first device comes first: {}", page.text());
    assert!(!page.text().contains("kc-totp-secret-key"));
    let jump = action(&page)?.replace("/authenticate?", "/required-action?");
    let jumped = inside.rp.send(Exchange::form(&jump, &[("totp", "123456"), ("userLabel", "Evil")])).await?;
    assert!(!is_setup(&jumped) && credentials(&stage, "alice").await?.len() == 1, "{:?}", outcome(&jumped));
    let Outcome::OneTimeCode = outcome(&jumped) else { anyhow::bail!("{:?} {}", outcome(&jumped), jumped.text()) };
    let shown = Generator::read(&device).context("no generator")?.code(now(&stage) / 30);
    let answer = send(&mut inside, &jumped, &[("otp", &shown)]).await?;
    let mut page = setup(&mut inside, &answer).await?;
    assert!(is_setup(&page), "{}", page.text());
    // A second device needs a name of its own.
    let right = code(&stage, &page)?;
    for (name, why) in [("", "Please specify device name."), ("Phone", "has this name already")] {
        page = send(&mut inside, &page, &[("totp", &right), ("userLabel", name)]).await?;
        assert!(is_setup(&page) && page.text().contains(why), "{name}: {}", page.text());
        assert_eq!(credentials(&stage, "alice").await?.len(), 1);
    }
    let done = send(&mut inside, &page, &[("totp", &right), ("userLabel", "Tablet")]).await?;
    assert!(is_code(&done), "{:?} {}", outcome(&done), done.text());
    assert_eq!(credentials(&stage, "alice").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn mf_13_each_login_has_a_key_of_its_own_and_none_is_shown_again() -> Result<()> {
    let stage = Stage::of(true).await?;
    owes(&stage, "alice").await?;
    owes(&stage, "bob").await?;
    let mut pages = Vec::new();
    for name in ["alice", "alice", "bob"] {
        let mut browser = stage.browser()?;
        let answer = browser.login(name, &format!("{name}-password")).await?;
        let page = setup(&mut browser, &answer).await?;
        pages.push((browser, page));
    }
    let keys = pages.iter().map(|(_, page)| key(page)).collect::<Result<std::collections::BTreeSet<_>>>()?;
    assert_eq!(keys.len(), 3);
    let [(mut first, one), (mut second, two), _] = pages.try_into().map_err(|_| anyhow::anyhow!("three pages"))?;
    // A key of the form's own is none.
    let (theirs, posted) = (code(&stage, &two)?, key(&two)?);
    let wrong = send(&mut first, &one, &[("totp", &theirs), ("totpSecret", &posted)]).await?;
    assert!(is_setup(&wrong) && credentials(&stage, "alice").await?.is_empty());
    assert!(is_code(&send(&mut second, &two, &[("totp", &theirs)]).await?));
    // The other login finds the device there: its page is over, and nothing shows a key.
    let right = code(&stage, &wrong)?;
    let late = send(&mut first, &wrong, &[("totp", &right), ("userLabel", "Other")]).await?;
    assert!(!is_setup(&late), "{}", late.text());
    assert_eq!(credentials(&stage, "alice").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_realm_may_give_devices_that_count() -> Result<()> {
    let policy = json!({ "otpPolicyType": "hotp", "otpPolicyAlgorithm": "HmacSHA256", "otpPolicyDigits": 8, "otpPolicyInitialCounter": 3 });
    let stage = Stage::with(true, Options::default(), &policy).await?;
    owes(&stage, "alice").await?;
    let mut browser = stage.browser()?;
    let answer = browser.login("alice", "alice-password").await?;
    let page = setup(&mut browser, &answer).await?;
    let app = generator(&key(&page)?, json!({ "subType": "hotp", "algorithm": "HmacSHA256", "digits": 8 }))?;
    assert!(is_code(&send(&mut browser, &page, &[("totp", &app.code(3))]).await?));
    let mut next = stage.browser()?;
    let page = next.login("alice", "alice-password").await?;
    let used = send(&mut next, &page, &[("otp", &app.code(3))]).await?;
    assert_eq!(outcome(&used), Outcome::OneTimeCode);
    assert!(is_code(&send(&mut next, &used, &[("otp", &app.code(4))]).await?));
    Ok(())
}
