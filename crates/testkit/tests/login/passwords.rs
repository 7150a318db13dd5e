//! EN, P: passwords as people type them, and names that must not be taken twice.

use anyhow::Result;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::{Options, TestServer};
use serde_json::{Value, json};

use crate::stage::{Browser, Outcome, PROFILES, REALM, Stage, action, edited, outcome, realm, text};

fn person(name: &str, password: &str) -> Value {
    json!({
        "username": name, "enabled": true, "email": format!("{name}@shop.test"), "emailVerified": true,
        "firstName": "A", "lastName": "B", "credentials": [{ "type": "password", "value": password }],
    })
}

#[tokio::test]
async fn p_20_en_17_passwords_are_taken_whole() -> Result<()> {
    let long = "0123456789abcdef".repeat(8);
    let longest = "\u{1f510}".repeat(1024);
    let cases: Vec<(&str, String, Vec<String>, Vec<String>)> = vec![
        (
            "long",
            long.clone(),
            vec![],
            vec![long[..72].into(), long[..64].into(), long[..127].into(), format!("{long}0")],
        ),
        ("longest", longest.clone(), vec![], vec![longest.chars().take(1023).collect(), format!("{longest}x")]),
        (
            "blanks",
            "  two  words ".into(),
            vec![],
            vec!["two  words".into(), " two words ".into(), "  two  words".into()],
        ),
        ("emoji", "\u{1f469}\u{200d}\u{1f52c} key".into(), vec![], vec!["\u{1f469}\u{1f52c} key".into()]),
        ("composed", "caf\u{e9}-cr\u{e8}me".into(), vec!["cafe\u{301}-cre\u{300}me".into()], vec!["cafe-creme".into()]),
        ("decomposed", "nai\u{308}ve \u{212b}".into(), vec!["na\u{ef}ve \u{c5}".into()], vec!["naive A".into()]),
        ("signs", "a+b&c=d%20;e\"<>'".into(), vec![], vec!["a b&c=d%20;e\"<>'".into(), "a+b&c=d ;e\"<>'".into()]),
        ("case", "CaseMatters1".into(), vec![], vec!["casematters1".into(), "CASEMATTERS1".into()]),
    ];
    for strict in PROFILES {
        let users: Vec<Value> = cases.iter().map(|(name, password, ..)| person(name, password)).collect();
        let stage = Stage::with(strict, Options::default(), &json!({ "users": users })).await?;
        for (name, password, equal, different) in &cases {
            for wrong in different {
                let answer = stage.browser()?.login(name, wrong).await?;
                assert_eq!(outcome(&answer), Outcome::LoginPage, "strict {strict} {name}: {wrong:.30?}");
            }
            for right in equal.iter().chain([password]) {
                let answer = stage.browser()?.login(name, right).await?;
                assert!(matches!(outcome(&answer), Outcome::Code(_)), "strict {strict} {name}: {right:.30?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn en_17_a_new_password_obeys_the_policy_and_is_taken_whole() -> Result<()> {
    let policy = json!({ "passwordPolicy": "length(12) and notUsername and notEmail and passwordHistory(2)" });
    let good = format!("{} \u{1f511} caf\u{e9} ", "x".repeat(100));
    for strict in PROFILES {
        let stage = Stage::with(strict, Options::default(), &policy).await?;
        let mut browser = stage.browser()?;
        let answer = browser.login("ulla", "ulla-password").await?;
        let Outcome::Onward(owed) = outcome(&answer) else { anyhow::bail!("ulla owes an action") };
        let mut page = browser.rp.open(&owed).await?;
        for (new, confirm) in [
            ("", ""),
            ("short", "short"),
            ("ulla@shop.test", "ulla@shop.test"),
            ("ulla-password", "ulla-password"),
            ("long-enough-1", "long-enough-2"),
            (&"x".repeat(5000), &"x".repeat(5000)),
        ] {
            let fields = [("password-new", new), ("password-confirm", confirm)];
            page = browser.rp.send(Exchange::form(&action(&page)?, &fields)).await?;
            assert_eq!(outcome(&page), Outcome::UpdatePassword, "strict {strict} {new:.20}");
        }
        assert_eq!(stage.sessions("ulla").await?, 0, "nothing is given before the action is done");
        let fields = [("password-new", good.as_str()), ("password-confirm", &good)];
        let answer = browser.rp.send(Exchange::form(&action(&page)?, &fields)).await?;
        assert!(matches!(outcome(&answer), Outcome::Code(_)), "{:?}", outcome(&answer));
        for cut in [good.trim(), &good[..72]] {
            assert_eq!(outcome(&stage.browser()?.login("ulla", cut).await?), Outcome::LoginPage);
        }
        assert!(matches!(outcome(&stage.browser()?.login("ulla", &good).await?), Outcome::Code(_)));
    }
    Ok(())
}

#[tokio::test]
async fn en_15_one_name_belongs_to_one_account() -> Result<()> {
    let twins = |first: Value, second: Value| realm(&json!({ "users": [first, second] }));
    let with_email = |name: &str, email: &str| {
        let mut user = person(name, "password-1");
        user["email"] = email.into();
        user
    };
    let server = TestServer::start().await?;
    for (what, file) in [
        ("same name", twins(person("admin", "p"), person("admin", "q"))),
        ("other case", twins(person("admin", "p"), with_email("Admin", "b@shop.test"))),
        ("same e-mail", twins(person("one", "p"), with_email("two", "one@shop.test"))),
        ("e-mail in other case", twins(person("one", "p"), with_email("two", "ONE@Shop.test"))),
        ("e-mail that is a name", twins(person("bob@shop.test", "p"), with_email("eve", "bob@shop.test"))),
        ("that name in other case", twins(person("bob@shop.test", "p"), with_email("eve", "BOB@shop.test"))),
    ] {
        assert!(server.import_strict(&file).await.is_err(), "{what}");
    }
    let own = twins(with_email("bob@shop.test", "bob@shop.test"), person("eve", "q"));
    server.import_strict(&own).await?;
    Ok(())
}

#[tokio::test]
async fn en_15_in_a_keycloak_realm_the_name_wins_over_anothers_email() -> Result<()> {
    let mut eve = person("eve", "eve-password");
    eve["email"] = "bob@shop.test".into();
    let mut bob = person("bob@shop.test", "bob-password");
    bob["email"] = "real-bob@shop.test".into();
    let stage = Stage::with(false, Options::default(), &json!({ "users": [eve, bob] })).await?;
    let by_password = async |password: &str| -> Result<Outcome> {
        Ok(outcome(&stage.browser()?.login("bob@shop.test", password).await?))
    };
    assert_eq!(by_password("eve-password").await?, Outcome::LoginPage);
    assert!(matches!(by_password("bob-password").await?, Outcome::Code(_)));
    Ok(())
}

/// Everything that could be taken for a door to a password, but the page that an owed action shows.
async fn knocks(stage: &Stage, browser: &mut Browser, bearer: &str) -> Result<Vec<(String, Answer)>> {
    let new = [
        ("password-new", "forged-1"),
        ("password-confirm", "forged-1"),
        ("password", "forged-1"),
        ("username", "alice"),
    ];
    let id = stage.user("alice").await?.id;
    let mut answers = Vec::new();
    // Tabs in which nobody proved anything, in which the owner is asked again, and one where she did and owes a consent only.
    let mut tabs = Vec::new();
    for changes in [&[][..], &[("prompt", Some("login"))], &[("kc_action", Some("UPDATE_PASSWORD"))]] {
        let opened = browser.ask(changes).await?;
        assert_ne!(outcome(&opened), Outcome::UpdatePassword, "{changes:?}");
        let nowhere = || format!("/realms/{REALM}/login-actions/authenticate?client_id=app");
        tabs.push((browser.copy()?, action(&opened).unwrap_or_else(|_| nowhere())));
    }
    let mut asking = browser.at_client("asker")?;
    let answer = asking.ask(&[]).await?;
    let Outcome::Onward(consent) = outcome(&answer) else { anyhow::bail!("no consent: {:?}", outcome(&answer)) };
    let page = asking.rp.open(&consent).await?;
    let code = portcullis_testkit::golden::Page::read(&page.text()).input("code").unwrap_or_default().to_owned();
    let own = edited(&crate::stage::relative(&consent)?, &[("session_code", Some(&code))]);
    tabs.push((asking, own));
    for (tab, own) in tabs {
        let owed = own.replace("/authenticate?", "/required-action?");
        for execution in [None, Some("UPDATE_PASSWORD"), Some("update_password"), Some("UPDATE_PROFILE")] {
            let target = edited(&owed, &[("execution", execution)]);
            answers.push((target.clone(), tab.copy()?.rp.send(Exchange::form(&target, &new)).await?));
            answers.push((target.clone(), tab.copy()?.rp.send(Exchange::get(&target)).await?));
        }
    }
    let credential = json!({ "type": "password", "value": "forged-1", "temporary": false });
    let user = json!({ "username": "alice", "credentials": [credential], "requiredActions": ["UPDATE_PASSWORD"] });
    for (method, path, body) in [
        ("PUT", format!("/admin/realms/{REALM}/users/{id}"), &user),
        ("PUT", format!("/admin/realms/{REALM}/users/{id}/reset-password"), &credential),
        ("PUT", format!("/realms/{REALM}/users/{id}"), &user),
        ("POST", format!("/realms/{REALM}/account"), &user),
        ("POST", format!("/realms/{REALM}/account/credentials/password"), &credential),
        ("POST", format!("/realms/{REALM}/login-actions/reset-credentials"), &credential),
    ] {
        let ask = || Exchange::json(method, &path, body);
        answers.push((path.clone(), browser.copy()?.rp.send(ask()).await?));
        answers.push((path.clone(), stage.server.client()?.send(&ask().header("Authorization", bearer)).await?));
    }
    Ok(answers)
}

#[tokio::test]
async fn en_18_a_password_is_changed_by_who_showed_the_old_one_and_by_no_other_door() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        let bearer = format!("Bearer {}", text(&browser.enter("alice").await?, "access_token"));
        let credential = async || -> Result<String> {
            let id = stage.user("alice").await?.id;
            let all = stage.server.db.credentials(&stage.realm, &id).await?;
            Ok(all.iter().map(|c| format!("{} {}", c.id, c.secret_data.expose())).collect())
        };
        let before = credential().await?;
        for (what, answer) in knocks(&stage, &mut browser, &bearer).await? {
            assert_ne!(answer.status, 204, "strict {strict} {what}");
            assert_ne!(outcome_here(&answer), Some(Outcome::UpdatePassword), "strict {strict} {what}");
            assert_eq!(credential().await?, before, "strict {strict} {what}");
        }
        assert!(matches!(outcome(&stage.browser()?.login("alice", "alice-password").await?), Outcome::Code(_)));
        // The one door: an owed action, behind the old password, and for oneself whatever the form says.
        let mut owing = stage.browser()?;
        let answer = owing.login("ulla", "ulla-password").await?;
        let Outcome::Onward(owed) = outcome(&answer) else { anyhow::bail!("ulla owes an action") };
        let page = owing.rp.open(&owed).await?;
        let fields = [("username", "alice"), ("password-new", "ulla-2"), ("password-confirm", "ulla-2")];
        let answer = owing.rp.send(Exchange::form(&action(&page)?, &fields)).await?;
        assert!(matches!(outcome(&answer), Outcome::Code(_)), "{:?}", outcome(&answer));
        assert_eq!(credential().await?, before, "strict {strict}: the name in the form is nobody's");
        assert!(matches!(outcome(&stage.browser()?.login("ulla", "ulla-2").await?), Outcome::Code(_)));
    }
    Ok(())
}

/// The outcome of an answer of the pages; other faces have none.
fn outcome_here(answer: &Answer) -> Option<Outcome> {
    answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")).then(|| outcome(answer))
}
