//! Consent: per user, per client, per scope, and gone when it is taken back (AZ-09, AZ-25, AZ-30, TE-35, RT-09).

use anyhow::{Context as _, Result};
use portcullis_core::plan::Write;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::rp::parameter;
use portcullis_testkit::server::ADMIN;
use serde_json::{Value, json};

use super::stage::{Browser, Change, Outcome, PROFILES, REALM, Stage, action, outcome, part, text};

/// What every request asks for.
const DEFAULT: [&str; 3] = ["Email address", "User profile", "User roles"];

fn lines(page: &Answer) -> Vec<String> {
    let html = page.text();
    let items = html.split("<li>").skip(1).filter_map(|rest| rest.split("</li>").next());
    let mut items: Vec<String> = items.map(str::to_owned).collect();
    items.sort();
    items
}

fn code(page: &Answer) -> Result<String> {
    let html = page.text();
    let rest = html.split("<input name=\"code\" type=\"hidden\" value=\"").nth(1).context("no code")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// The consent page that an answer leads to.
async fn page(browser: &mut Browser, answer: &Answer) -> Result<Answer> {
    let Outcome::Onward(to) = outcome(answer) else { anyhow::bail!("{:?} {}", outcome(answer), answer.text()) };
    assert_eq!(part(&to, "execution"), "OAUTH_GRANT", "{to}");
    let page = browser.rp.open(&to).await?;
    assert_eq!(outcome(&page), Outcome::Consent, "{}", page.text());
    Ok(page)
}

async fn say(browser: &mut Browser, page: &Answer, word: &str) -> Result<Answer> {
    let code = code(page)?;
    browser.rp.send(Exchange::form(&action(page)?, &[("code", &code), (word, "")])).await
}

async fn asked(stage: &Stage, user: &str, changes: &[Change<'_>]) -> Result<(Browser, Answer)> {
    let mut browser = stage.browser()?.at_client("asker")?;
    let login = browser.ask(changes).await?;
    let answer = browser.submit(&login, user, &format!("{user}-password")).await?;
    let page = page(&mut browser, &answer).await?;
    Ok((browser, page))
}

/// Logged in with a yes; the tokens.
async fn inside(stage: &Stage, user: &str) -> Result<(Browser, Value)> {
    let (mut browser, page) = asked(stage, user, &[]).await?;
    let answer = say(&mut browser, &page, "accept").await?;
    let tokens = browser.tokens(&answer).await?;
    Ok((browser, tokens))
}

fn is_code(answer: &Answer) -> bool {
    matches!(outcome(answer), Outcome::Code(_))
}

async fn stored(stage: &Stage, user: &str) -> Result<usize> {
    let user = stage.user(user).await?;
    Ok(stage.server.db.consents(&stage.realm, &user.id).await?.iter().map(|c| c.scopes.len()).sum())
}

#[tokio::test]
async fn te_35_consent_is_per_user_per_client_and_per_scope() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let (mut browser, first) = asked(&stage, "alice", &[]).await?;
        assert_eq!(lines(&first), DEFAULT);
        assert!(first.text().contains("Grant Access to asker"), "{}", first.text());
        assert_eq!((stage.sessions("alice").await?, stored(&stage, "alice").await?), (0, 0), "nothing before the yes");
        let answer = say(&mut browser, &first, "accept").await?;
        assert!(is_code(&answer), "{:?} {}", outcome(&answer), answer.text());
        browser.tokens(&answer).await?;
        assert!(is_code(&browser.ask(&[]).await?), "remembered");
        // More scopes: only what is missing is asked for.
        let more = browser.ask(&[("scope", Some("openid phone"))]).await?;
        let more = page(&mut browser, &more).await?;
        assert_eq!(lines(&more), ["Phone number"]);
        assert!(is_code(&say(&mut browser, &more, "accept").await?));
        assert!(is_code(&browser.ask(&[("scope", Some("openid phone"))]).await?));
        // Another client asks for all of it, and so does the same client of another user.
        let mut two = browser.at_client("asker-two")?;
        let answer = two.ask(&[]).await?;
        assert_eq!(lines(&page(&mut two, &answer).await?), DEFAULT);
        assert_eq!(lines(&asked(&stage, "bob", &[]).await?.1), DEFAULT);
        assert!(is_code(&browser.at_client("app")?.ask(&[]).await?), "a client without consentRequired");
    }
    Ok(())
}

#[tokio::test]
async fn a_no_goes_to_the_client_and_gives_nothing() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let (mut browser, page) = asked(&stage, "alice", &[]).await?;
        let answer = say(&mut browser, &page, "cancel").await?;
        assert_eq!(outcome(&answer), Outcome::Error("access_denied".to_owned()));
        let location = answer.header("location").unwrap_or_default();
        assert_eq!((part(location, "state"), parameter(location, "error_description")), ("st-1".to_owned(), None));
        assert!(answer.all("set-cookie").any(|c| c.starts_with("KC_RESTART=;")));
        let late = say(&mut browser, &page, "accept").await?;
        assert!(!is_code(&late), "the login is over: {:?}", outcome(&late));
        assert_eq!((stage.sessions("alice").await?, stored(&stage, "alice").await?), (0, 0));
        // A no inside a session leaves the session alone.
        let (mut browser, _) = inside(&stage, "bob").await?;
        let more = browser.ask(&[("scope", Some("openid phone"))]).await?;
        let Outcome::Onward(to) = outcome(&more) else { anyhow::bail!("{:?}", outcome(&more)) };
        let more = browser.rp.open(&to).await?;
        assert_eq!(outcome(&say(&mut browser, &more, "cancel").await?), Outcome::Error("access_denied".to_owned()));
        assert!(is_code(&browser.ask(&[]).await?));
    }
    Ok(())
}

#[tokio::test]
async fn az_25_only_the_page_that_was_shown_is_answered() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let (mut browser, first) = asked(&stage, "alice", &[]).await?;
        let to = action(&first)?;
        let old = code(&first)?;
        let address = to.replace("/consent?", "/required-action?") + "&execution=OAUTH_GRANT";
        let latest = browser.rp.send(Exchange::get(&address)).await?;
        let good = code(&latest)?;
        assert_ne!(old, good);
        let (_, foreign) = asked(&stage, "mallory", &[]).await?;
        for (what, fields) in [
            ("no code", vec![("accept", "Yes")]),
            ("an older page's", vec![("code", old.as_str()), ("accept", "Yes")]),
            ("another browser's", vec![("code", &code(&foreign)?), ("accept", "Yes")]),
            ("neither yes nor no", vec![("code", good.as_str())]),
        ] {
            let answer = browser.rp.send(Exchange::form(&to, &fields)).await?;
            assert!(matches!(outcome(&answer), Outcome::Onward(_)), "{what}: {:?}", outcome(&answer));
        }
        let form = || Exchange::form(&to, &[("code", &good), ("accept", "Yes"), ("scope", "openid phone address")]);
        let posted = browser.rp.send(form().header("Origin", "https://evil.test")).await?;
        assert_eq!(outcome(&posted), Outcome::ErrorPage(403), "SE-03");
        let get = browser.rp.send(Exchange::get(&format!("{to}&code={good}&accept=Yes"))).await?;
        assert_eq!(get.status, 404, "SE-07");
        let mut stranger = stage.browser()?.at_client("asker")?;
        stranger.ask(&[]).await?;
        assert!(!is_code(&stranger.rp.send(form()).await?), "AZ-24");
        assert_eq!(stored(&stage, "alice").await?, 0);
        let answer = browser.rp.send(form()).await?;
        assert!(is_code(&answer), "{:?}", outcome(&answer));
        assert_eq!(stored(&stage, "alice").await?, DEFAULT.len(), "cut to what was shown");
    }
    Ok(())
}

#[tokio::test]
async fn az_30_a_yes_before_the_password_or_the_second_factor_is_none() -> Result<()> {
    let stage = Stage::of(true).await?;
    let mut browser = stage.browser()?.at_client("asker")?;
    let login = browser.ask(&[]).await?;
    let jump = action(&login)?.replace("/authenticate?", "/consent?");
    let code = parameter(&jump, "session_code").context("no code")?;
    let answer = browser.rp.send(Exchange::form(&jump, &[("code", &code), ("accept", "Yes")])).await?;
    let Outcome::Onward(to) = outcome(&answer) else { anyhow::bail!("{:?}", outcome(&answer)) };
    assert!(to.contains("/login-actions/authenticate?"), "{to}");
    let login = browser.rp.open(&to).await?;
    let second = browser.submit(&login, "otto", "otto-password").await?;
    assert_eq!(outcome(&second), Outcome::OneTimeCode);
    let jump = action(&second)?.replace("/authenticate?", "/consent?");
    let code = parameter(&jump, "session_code").context("no code")?;
    let answer = browser.rp.send(Exchange::form(&jump, &[("code", &code), ("accept", "Yes")])).await?;
    let Outcome::Onward(to) = outcome(&answer) else { anyhow::bail!("{:?}", outcome(&answer)) };
    assert_eq!(outcome(&browser.rp.open(&to).await?), Outcome::OneTimeCode);
    assert_eq!((stage.sessions("otto").await?, stored(&stage, "otto").await?), (0, 0));
    Ok(())
}

#[tokio::test]
async fn az_09_prompt_none_and_prompt_consent() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let (mut browser, _) = inside(&stage, "alice").await?;
        let none = |scope| [("prompt", Some("none")), ("scope", Some(scope))];
        assert!(is_code(&browser.ask(&none("openid")).await?));
        let owed = browser.ask(&none("openid phone")).await?;
        assert_eq!(outcome(&owed), Outcome::Error("interaction_required".to_owned()));
        let again = browser.ask(&[("prompt", Some("consent"))]).await?;
        let again = page(&mut browser, &again).await?;
        assert_eq!(lines(&again), DEFAULT, "all of it, though it was given");
        assert!(is_code(&say(&mut browser, &again, "accept").await?), "asked once");
        assert_eq!(stored(&stage, "alice").await?, DEFAULT.len());
        let plain = browser.at_client("app")?.ask(&[("prompt", Some("consent"))]).await?;
        assert!(is_code(&plain), "no page for a client that needs no consent");
    }
    Ok(())
}

async fn admin(stage: &Stage, method: &str, path: &str) -> Result<Answer> {
    let (name, password) = ADMIN;
    let form = [("grant_type", "password"), ("client_id", "admin-cli"), ("username", name), ("password", password)];
    let mut to = stage.server.client()?;
    let tokens = to.send(&Exchange::form("/realms/master/protocol/openid-connect/token", &form)).await?.json();
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    to.send(&Exchange::new(method, path).header("Authorization", &bearer).body(Vec::new())).await
}

#[tokio::test]
async fn rt_09_a_consent_that_was_taken_back_ends_what_it_gave() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let (mut browser, tokens) = inside(&stage, "alice").await?;
        let user = stage.user("alice").await?.id;
        let all = format!("/admin/realms/{REALM}/users/{user}/consents");
        let listed = admin(&stage, "GET", &all).await?;
        let row = listed.json().get(0).cloned().unwrap_or_default();
        assert_eq!((listed.status, text(&row, "clientId")), (200, "asker"), "{}", listed.text());
        let mut names: Vec<&str> = row
            .get("grantedClientScopes")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["email", "profile", "roles"]);
        assert_eq!(row.get("additionalGrants"), Some(&json!([])));
        for (path, error) in [
            (format!("{all}/nobody"), "Client not found"),
            (format!("{all}/app"), "Consent nor offline token not found"),
            (format!("/admin/realms/{REALM}/users/nobody/consents/asker"), "User not found"),
        ] {
            let answer = admin(&stage, "DELETE", &path).await?;
            assert_eq!((answer.status, text(&answer.json(), "error")), (404, error), "{path}");
        }
        // A user is no administrator (AD).
        let own = format!("Bearer {}", text(&tokens, "access_token"));
        for (method, path) in [("GET", all.clone()), ("DELETE", format!("{all}/asker"))] {
            let ask = Exchange::new(method, &path).header("Authorization", &own).body(Vec::new());
            assert_eq!(stage.server.client()?.send(&ask).await?.status, 403, "{method}");
        }
        assert_eq!(admin(&stage, "DELETE", &format!("{all}/asker")).await?.status, 204);
        assert_eq!(admin(&stage, "DELETE", &format!("{all}/asker")).await?.status, 404, "once");
        assert_eq!(admin(&stage, "GET", &all).await?.json(), json!([]));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
        let refused = browser.rp.token(&fields).await?;
        assert_eq!((refused.status, text(&refused.json(), "error")), (400, "invalid_grant"));
        assert_eq!(text(&refused.json(), "error_description"), "Session doesn't have required client");
        // The session itself stands; the client is asked about again.
        assert!(is_code(&browser.at_client("app")?.ask(&[]).await?));
        let again = browser.ask(&[]).await?;
        assert_eq!(lines(&page(&mut browser, &again).await?), DEFAULT);
    }
    Ok(())
}

/// The sessions that messages to `asker` are about.
async fn owed(stage: &Stage) -> Result<Vec<String>> {
    let records = stage.server.db.realm_records(REALM).await?.context("realm")?;
    let asker = &records.client("asker").context("asker")?.id;
    let waiting = stage.server.db.due_logouts(&stage.realm, i64::MAX, 100).await?;
    assert!(waiting.iter().all(|delivery| delivery.client == *asker), "{waiting:?}");
    let mut sessions: Vec<String> = waiting.into_iter().map(|delivery| delivery.session.to_string()).collect();
    sessions.sort_unstable();
    Ok(sessions)
}

#[tokio::test]
async fn lo_12_a_client_is_told_of_each_login_whose_consent_was_taken_back() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        // Nobody listens there: what is owed stays.
        let nowhere = [("backchannel.logout.url", "http://127.0.0.1:9/logout")];
        let records = stage.server.db.realm_records(REALM).await?.context("realm")?;
        for name in ["asker", "app"] {
            let mut client = records.client(name).context("client")?.clone();
            let attributes = nowhere.map(|(name, value)| (name.to_owned(), value.to_owned()));
            client.settings.attributes.extend(attributes);
            stage.apply(Write::UpdateClient(stage.realm.clone(), client)).await?;
        }
        let (one, first) = inside(&stage, "alice").await?;
        let answer = one.at_client("app")?.ask(&[]).await?;
        assert!(is_code(&answer), "another client in the same session");
        // Remembered: no page this time.
        let mut two = stage.browser()?.at_client("asker")?;
        let page = two.ask(&[]).await?;
        let answer = two.submit(&page, "alice", "alice-password").await?;
        let second = two.tokens(&answer).await?;
        let user = stage.user("alice").await?.id;
        let form = [("token", text(&second, "access_token"))];
        let revoke = format!("/realms/{REALM}/protocol/openid-connect/revoke");
        let form: Vec<_> = form.into_iter().chain([("client_id", "asker")]).collect();
        stage.server.client()?.send(&Exchange::form(&revoke, &form)).await?;
        assert_eq!(owed(&stage).await?, Vec::<String>::new(), "a revoked token is no logout (Keycloak 26.4)");
        let all = format!("/admin/realms/{REALM}/users/{user}/consents");
        assert_eq!(admin(&stage, "DELETE", &format!("{all}/asker")).await?.status, 204);
        let mut sids = Vec::new();
        for held in [&first, &second] {
            sids.push(text(&super::stage::claims(held, "access_token")?, "sid").to_owned());
        }
        sids.sort_unstable();
        assert_eq!(owed(&stage).await?, sids, "{strict}: each login, this client alone");
    }
    Ok(())
}

#[tokio::test]
async fn rt_09_a_code_dies_with_its_consent() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let (mut browser, _) = inside(&stage, "alice").await?;
        let answer = browser.ask(&[]).await?;
        let Outcome::Code(code) = outcome(&answer) else { anyhow::bail!("{:?}", outcome(&answer)) };
        let user = stage.user("alice").await?;
        let records = stage.server.db.realm_records(REALM).await?.context("the realm")?;
        let client = records.client("asker").context("the client")?.id.clone();
        stage.apply(Write::DeleteConsent(stage.realm.clone(), user.id.clone(), client)).await?;
        let refused = browser.rp.exchange(&code, &browser.pkce).await?;
        assert_eq!((refused.status, text(&refused.json(), "error")), (400, "invalid_scope"), "{}", refused.text());
        let why = "Client no longer has requested consent from user";
        assert_eq!(text(&refused.json(), "error_description"), why);
    }
    Ok(())
}

#[tokio::test]
async fn the_page_needs_no_script_and_names_its_buttons() -> Result<()> {
    let stage = Stage::of(true).await?;
    let (_, page) = asked(&stage, "alice", &[]).await?;
    let read = Page::read(&page.text());
    let form = read.form("*").context("no form")?;
    assert!(form.action.as_deref().is_some_and(|a| !a.contains("session_code")), "its code stands in the form");
    for part in ["name=\"accept\"", "name=\"cancel\"", "name=\"code\" type=\"hidden\""] {
        assert!(page.text().contains(part), "{part}");
    }
    Ok(())
}
