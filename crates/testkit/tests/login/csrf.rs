//! SE: forms that somebody else's page posts, and requests that only look like forms.

use anyhow::Result;
use portcullis_testkit::http1::Exchange;

use crate::stage::{Outcome, PROFILES, Stage, action, assert_nothing_made, edited, outcome, part, relative};

const RIGHT: [(&str, &str); 2] = [("username", "alice"), ("password", "alice-password")];

#[tokio::test]
async fn se_03_se_04_se_05_forms_from_elsewhere_are_refused_unread() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let base = stage.server.base.clone();
        let port = stage.server.authority().rsplit(':').next().unwrap_or_default().to_owned();
        let cases = [
            vec![("Origin", "https://evil.test".to_owned())],
            vec![("Origin", base.replace("http://", "https://"))],
            vec![("Origin", format!("{base}.evil.test"))],
            vec![("Origin", format!("{base}0"))],
            vec![("Origin", "http://127.0.0.1".to_owned())],
            vec![("Origin", format!("http://127.0.0.2:{port}"))],
            vec![("Origin", format!("http://localhost:{port}"))],
            vec![("Origin", stage.server.authority().to_owned())],
            vec![("Origin", String::new())],
            vec![("Origin", "null".to_owned())],
            vec![("Origin", "null".to_owned()), ("Sec-Fetch-Site", "cross-site".to_owned())],
            vec![("Origin", base.clone()), ("Origin", "https://evil.test".to_owned())],
            vec![("Sec-Fetch-Site", "cross-site".to_owned())],
            vec![("Sec-Fetch-Site", "same-site".to_owned())],
        ];
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        let before = stage.hash_calls();
        for headers in cases {
            let mut form = Exchange::form(&action(&page)?, &RIGHT);
            for (name, value) in &headers {
                form = form.header(name, value);
            }
            let answer = browser.rp.send(form).await?;
            assert_eq!(outcome(&answer), Outcome::ErrorPage(403), "{headers:?}");
            assert_nothing_made(&answer, "foreign form");
        }
        assert_eq!((stage.hash_calls(), stage.sessions("alice").await?), (before, 0));
        // The honest page is still good, with the headers browsers send for it.
        let form = Exchange::form(&action(&page)?, &RIGHT).header("Origin", &base);
        let answer = browser.rp.send(form.header("Sec-Fetch-Site", "same-origin")).await?;
        assert!(matches!(outcome(&answer), Outcome::Code(_)), "{:?}", outcome(&answer));
        assert_eq!(stage.sessions("alice").await?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn se_04_the_new_password_form_is_guarded_alike() -> Result<()> {
    let stage = Stage::of(true).await?;
    let mut browser = stage.browser()?;
    let answer = browser.login("ulla", "ulla-password").await?;
    let Outcome::Onward(owed) = outcome(&answer) else { anyhow::bail!("ulla owes an action") };
    let page = browser.rp.open(&owed).await?;
    let target = action(&page)?;
    let fields = [("password-new", "attacker-1"), ("password-confirm", "attacker-1")];
    let before = stage.hash_calls();
    for (name, value) in [("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site")] {
        let answer = browser.rp.send(Exchange::form(&target, &fields).header(name, value)).await?;
        assert_eq!(outcome(&answer), Outcome::ErrorPage(403), "{name}");
    }
    for code in [None, Some(""), Some("guess"), Some(part(&owed, "tab_id").as_str())] {
        let mut copy = browser.copy()?;
        let bad = edited(&target, &[("session_code", code)]);
        let answer = copy.rp.send(Exchange::form(&bad, &fields)).await?;
        assert!(!matches!(outcome(&answer), Outcome::Code(_)), "{code:?}");
    }
    assert_eq!(stage.hash_calls(), before, "no password was set");
    let page = browser.rp.open(&owed).await?;
    let honest = [("password-new", "ulla-password-2"), ("password-confirm", "ulla-password-2")];
    let answer = browser.rp.send(Exchange::form(&action(&page)?, &honest)).await?;
    assert!(matches!(outcome(&answer), Outcome::Code(_)));
    Ok(())
}

#[tokio::test]
async fn se_04_se_06_only_the_latest_page_of_this_browser_may_be_answered() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        let stale = action(&page)?;
        let reload = browser.rp.send(Exchange::get(&edited(&stale, &[("session_code", None)]))).await?;
        let fresh = action(&reload)?;
        let mut foreign = stage.browser()?;
        let theirs = action(&foreign.ask(&[]).await?)?;
        let before = stage.hash_calls();
        let (code, tab) = (part(&theirs, "session_code"), part(&theirs, "tab_id"));
        for (what, target) in [
            ("no code", edited(&fresh, &[("session_code", None)])),
            ("empty code", edited(&fresh, &[("session_code", Some(""))])),
            ("stale code", stale.clone()),
            ("foreign code", edited(&fresh, &[("session_code", Some(&code))])),
            ("foreign code and tab", edited(&fresh, &[("session_code", Some(&code)), ("tab_id", Some(&tab))])),
            ("foreign form", theirs.clone()),
            ("other execution", edited(&fresh, &[("execution", Some("UPDATE_PASSWORD"))])),
            ("no execution", edited(&fresh, &[("execution", None)])),
        ] {
            let answer = browser.copy()?.rp.send(Exchange::form(&target, &RIGHT)).await?;
            assert!(!matches!(outcome(&answer), Outcome::Code(_)), "{what}");
            assert_eq!(stage.sessions("alice").await?, 0, "{what}");
        }
        // SE-06: a sibling's cookie thrown over ours makes two of one name, which count as none.
        let mut line = browser.rp.jar.header(&fresh).unwrap_or_default();
        line.push_str(&format!("; AUTH_SESSION_ID={}", foreign.cookie("AUTH_SESSION_ID")));
        let tossed = Exchange::form(&theirs, &RIGHT).header("Cookie", &line);
        let answer = stage.server.client()?.send(&tossed).await?;
        assert!(!matches!(outcome(&answer), Outcome::Code(_)));
        assert_eq!((stage.hash_calls(), stage.sessions("alice").await?), (before, 0));
        let page = browser.ask(&[]).await?;
        let answer = browser.submit(&page, "alice", "alice-password").await?;
        assert!(matches!(outcome(&answer), Outcome::Code(_)));
    }
    Ok(())
}

#[tokio::test]
async fn se_07_addresses_and_odd_methods_carry_no_credentials() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let in_query = [("username", Some("alice")), ("password", Some("alice-password"))];
        let before = stage.hash_calls();
        for (method, header, field) in [
            ("GET", None, None),
            ("HEAD", None, None),
            ("GET", Some("X-HTTP-Method-Override"), None),
            ("GET", None, Some("_method")),
            ("PUT", None, None),
            ("DELETE", None, None),
            ("PATCH", None, None),
        ] {
            let mut browser = stage.browser()?;
            let page = browser.ask(&[]).await?;
            let mut target = edited(&action(&page)?, &in_query);
            if let Some(name) = field {
                target = edited(&target, &[(name, Some("POST"))]);
            }
            let mut request = Exchange::new(method, &target);
            if let Some(name) = header {
                request = request.header(name, "POST");
            }
            let answer = browser.rp.send(request).await?;
            assert!(!answer.headers.iter().any(|(_, v)| v.contains("code=")), "{method} {header:?} {field:?}");
        }
        // Credentials in another media type are an empty form.
        for media in ["text/plain", "application/json", "multipart/form-data; boundary=x"] {
            let mut browser = stage.browser()?;
            let page = browser.ask(&[]).await?;
            let body = b"username=alice&password=alice-password".to_vec();
            let post = Exchange::new("POST", &action(&page)?).header("Content-Type", media).body(body);
            assert!(!matches!(outcome(&browser.rp.send(post).await?), Outcome::Code(_)), "{media}");
        }
        assert_eq!((stage.hash_calls(), stage.sessions("alice").await?), (before, 0));
        stage.browser()?.enter("alice").await?;
    }
    Ok(())
}

#[tokio::test]
async fn se_07_a_logout_asks_and_its_answer_needs_the_pages_own_code() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        browser.enter("alice").await?;
        let logout = format!("{}?client_id=app", browser.rp.endpoint("logout"));
        let page = browser.rp.send(Exchange::get(&logout)).await?;
        let target = action(&page)?;
        let code =
            portcullis_testkit::golden::Page::read(&page.text()).input("session_code").unwrap_or_default().to_owned();
        assert!(!code.is_empty());
        let yes = ("confirmLogout", "Logout");
        let foreign = Exchange::form(&target, &[("session_code", &code), yes]).header("Origin", "https://evil.test");
        for (what, step) in [
            ("foreign", foreign),
            ("no code", Exchange::form(&target, &[yes])),
            ("wrong code", Exchange::form(&target, &[("session_code", "guess"), yes])),
            ("no yes", Exchange::form(&target, &[("session_code", &code)])),
            (
                "by address",
                Exchange::get(&edited(&target, &[("session_code", Some(&code)), ("confirmLogout", Some("1"))])),
            ),
        ] {
            browser.rp.send(step).await?;
            assert!(browser.is_signed_in().await?, "{what}");
        }
        let mut other = stage.browser()?;
        other.rp.send(Exchange::form(&target, &[("session_code", &code), yes])).await?;
        assert_eq!(stage.sessions("alice").await?, 1, "another browser");
        let done = browser.rp.send(Exchange::form(&relative(&target)?, &[("session_code", &code), yes])).await?;
        assert_eq!((done.status, stage.sessions("alice").await?), (200, 0));
        assert!(!browser.is_signed_in().await?);
    }
    Ok(())
}
