//! EN: one answer and the same work for everybody who is not let in.

use anyhow::Result;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::Options;
use serde_json::json;

use crate::stage::{Browser, Outcome, PROFILES, Stage, action, direct_grant, outcome, part};

/// Names that must look alike.
const PEOPLE: [&str; 5] = ["alice", "dora", "nora", "nobody", "nobody@shop.test"];

/// An answer without what is new each time.
pub(crate) fn seen(answer: &Answer, asked: &[&str]) -> (u16, Vec<(String, String)>, String) {
    let mut body = answer.text();
    let mut volatile: Vec<String> = asked.iter().map(|a| (*a).to_owned()).collect();
    if let Ok(target) = action(answer) {
        volatile.extend(["session_code", "tab_id", "execution"].map(|name| part(&target, name)));
    }
    for text in volatile.iter().filter(|t| !t.is_empty()) {
        body = body.replace(text.as_str(), "#");
    }
    let headers = answer.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let headers = headers.filter(|(name, _)| name != "content-length" && name != "date");
    // Whether there is a trace id is seen; the id is new each time.
    let headers =
        headers.map(|(name, value)| if name == "portcullis-trace" { (name, "#".into()) } else { (name, value) });
    let headers = headers.collect();
    (answer.status, headers, body)
}

/// What one try at the page looks like, and how many hashes it cost.
async fn try_at_page(stage: &Stage, name: &str, password: &str) -> Result<((u16, Vec<(String, String)>, String), u64)> {
    let mut browser = stage.browser()?;
    let page = browser.ask(&[]).await?;
    let first = action(&page)?;
    let before = stage.hash_calls();
    let answer = browser.submit(&page, name, password).await?;
    assert_eq!(outcome(&answer), Outcome::LoginPage, "{name}");
    let tab = part(&first, "tab_id");
    Ok((seen(&answer, &[name, &tab]), stage.hash_calls() - before))
}

#[tokio::test]
async fn en_01_unknown_wrong_disabled_and_without_password_look_and_cost_the_same() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let wrong = try_at_page(&stage, "alice", "wrong").await?;
        assert_eq!(wrong.1, 1, "one hash");
        for name in PEOPLE {
            assert_eq!(try_at_page(&stage, name, "wrong").await?, wrong, "strict {strict} {name}");
        }
        if strict {
            // Keycloak tells the owner of a switched-off account; a strict realm tells nobody.
            assert_eq!(try_at_page(&stage, "dora", "dora-password").await?, wrong);
        }
        assert_eq!(try_at_page(&stage, "nora", "").await?, try_at_page(&stage, "nobody", "").await?);
        assert!(matches!(outcome(&stage.browser()?.login("alice", "alice-password").await?), Outcome::Code(_)));
    }
    Ok(())
}

#[tokio::test]
async fn en_01_the_password_grant_tells_nobody_apart() -> Result<()> {
    let stage = Stage::of(false).await?;
    let base = stage.server.base.clone();
    let mut first = None;
    for name in PEOPLE {
        let before = stage.hash_calls();
        let answer = direct_grant(&base, name, "wrong").await?;
        let found = (seen(&answer, &[]), stage.hash_calls() - before);
        assert_eq!(found.1, 1, "{name}");
        if name == "dora" {
            // Keycloak's own words for an account that is switched off; such realms keep them.
            assert_eq!(answer.status, 400);
            continue;
        }
        assert_eq!(answer.status, 401, "{name}");
        let expected = first.get_or_insert_with(|| found.clone());
        assert_eq!(&found, expected, "{name}");
    }
    assert_eq!(direct_grant(&base, "alice", "alice-password").await?.status, 200);
    // In a strict realm there is no such grant, and nothing is looked up for it.
    let stage = Stage::of(true).await?;
    let mut answers = Vec::new();
    for (name, password) in [("alice", "alice-password"), ("alice", "wrong"), ("nobody", "wrong")] {
        answers.push(seen(&direct_grant(&stage.server.base, name, password).await?, &[]));
    }
    assert!(answers.windows(2).all(|w| w[0] == w[1]) && answers[0].0 == 400, "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn en_02_ds_09_odd_passwords_are_treated_alike_for_everybody() -> Result<()> {
    let (longest, too_long) = ("p".repeat(4096), "p".repeat(4097));
    let cases =
        [("", 1), (" ", 1), (longest.as_str(), 1), (too_long.as_str(), 0), ("\u{1f511}\u{e9}", 1), ("e\u{301}", 2)];
    for strict in PROFILES {
        let stage = Stage::with(strict, Options::default(), &json!({ "failureFactor": 100 })).await?;
        for (password, hashes) in cases {
            let known = try_at_page(&stage, "alice", password).await?;
            assert_eq!(known.1, hashes, "{} bytes", password.len());
            for name in ["nobody", "nora", "dora"] {
                assert_eq!(try_at_page(&stage, name, password).await?, known, "{name} {} bytes", password.len());
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn en_02_ds_09_broken_and_huge_forms_are_refused_before_any_look() -> Result<()> {
    let stage = Stage::of(true).await?;
    let megabyte = "p".repeat(1 << 20);
    let many = "&password=x".repeat(10_000);
    let many_small = "&p=x".repeat(120);
    for (what, tail, status) in [
        ("a NUL", "pass%00word".to_owned(), 400),
        ("broken UTF-8", "%ff%fe".to_owned(), 400),
        ("broken escape", "100%".to_owned(), 400),
        ("a megabyte", megabyte, 413),
        ("10 000 passwords", format!("x{many}"), 413),
        ("120 fields", format!("x{many_small}"), 400),
    ] {
        let mut answers = Vec::new();
        for name in ["alice", "nobody"] {
            let mut browser = stage.browser()?;
            let page = browser.ask(&[]).await?;
            let before = stage.hash_calls();
            let body = format!("username={name}&password={tail}").into_bytes();
            let form =
                Exchange::new("POST", &action(&page)?).header("Content-Type", "application/x-www-form-urlencoded");
            let answer = browser.rp.send(form.body(body)).await?;
            assert_eq!((answer.status, stage.hash_calls() - before), (status, 0), "{what} {name}");
            answers.push(seen(&answer, &[name]));
            let honest = browser.submit(&page, "bob", "bob-password").await?;
            assert!(matches!(outcome(&honest), Outcome::Code(_)), "{what}: the page is still good");
        }
        assert_eq!(answers[0], answers[1], "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn en_14_a_resting_account_does_not_tell_that_the_password_was_right() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let wrong = try_at_page(&stage, "alice", "wrong").await?;
        for _ in 0..4 {
            try_at_page(&stage, "alice", "wrong").await?;
        }
        let (right, right_cost) = try_at_page(&stage, "alice", "alice-password").await?;
        let (still_wrong, wrong_cost) = try_at_page(&stage, "alice", "wrong").await?;
        assert_eq!((&right, right_cost), (&still_wrong, wrong_cost), "strict {strict}: right and wrong");
        assert_eq!((right, right_cost), (wrong.0, 0), "as any wrong password, and nothing compared");
        for _ in 0..5 {
            try_at_page(&stage, "nobody", "wrong").await?;
        }
        assert_eq!(try_at_page(&stage, "nobody", "x").await?, (still_wrong, 0), "a name that nobody has rests alike");
        let mut other = Browser::at(&stage.server.base, "app")?;
        other.enter("bob").await?;
    }
    Ok(())
}
