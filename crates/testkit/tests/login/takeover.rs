//! SE, P: whose login it is, when several browsers, tabs or people are involved.

use anyhow::{Context as _, Result};
use portcullis_core::key::{KeyStatus, RealmKey};
use portcullis_core::plan::Write;
use portcullis_core::secret::SecretBytes;
use portcullis_testkit::golden::Jar;
use portcullis_testkit::http1::Exchange;
use tokio::task::JoinSet;

use crate::stage::{Browser, Outcome, PROFILES, REALM, Stage, action, claims, edited, outcome, part, text};

#[tokio::test]
async fn se_01_a_planted_flow_gives_the_planter_nothing() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut attacker = stage.browser()?;
        let page = attacker.ask(&[]).await?;
        let link = action(&page)?;
        // The victim has every cookie of the attacker's and fills in the attacker's own page.
        let mut victim = attacker.copy()?;
        victim.pkce = attacker.pkce.clone();
        let answer = victim.submit(&page, "alice", "alice-password").await?;
        assert!(matches!(outcome(&answer), Outcome::Code(_)), "the honest login works");
        assert!(victim.is_signed_in().await?);
        // Everything the attacker knows is dead: flow, page, and the id that his browser still has.
        assert!(!attacker.is_signed_in().await?);
        let before = stage.hash_calls();
        let without_code = edited(&link, &[("session_code", None)]);
        let again = [("username", "alice"), ("password", "alice-password")];
        for step in [Exchange::get(&link), Exchange::get(&without_code), Exchange::form(&link, &again)] {
            let answer = attacker.copy()?.rp.send(step).await?;
            assert!(!matches!(outcome(&answer), Outcome::Code(_)), "{:?}", outcome(&answer));
            if let Outcome::Onward(to) = outcome(&answer) {
                assert_ne!(part(&to, "tab_id"), part(&link, "tab_id"));
            }
        }
        assert_eq!(stage.hash_calls(), before, "a dead page compares nothing");
        assert_eq!(stage.sessions("alice").await?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn se_01_the_flow_has_a_new_id_once_somebody_proved_who_it_is() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut attacker = stage.browser()?;
        let page = attacker.ask(&[]).await?;
        let link = action(&page)?;
        let mut victim = attacker.copy()?;
        let answer = victim.submit(&page, "ulla", "ulla-password").await?;
        let Outcome::Onward(owed) = outcome(&answer) else { anyhow::bail!("ulla owes an action") };
        assert_ne!(part(&owed, "tab_id"), part(&link, "tab_id"), "a new id with the new right");
        // With the same cookies, but the old id, there is no way to the victim's next step.
        let guess = edited(&owed, &[("tab_id", Some(&part(&link, "tab_id")))]);
        let fields = [("password-new", "mine-now-1"), ("password-confirm", "mine-now-1")];
        for step in [Exchange::get(&guess), Exchange::form(&guess, &fields)] {
            let answer = attacker.rp.send(step).await?;
            assert!(!matches!(outcome(&answer), Outcome::UpdatePassword | Outcome::Code(_)), "{:?}", outcome(&answer));
        }
        let page = victim.rp.open(&owed).await?;
        assert_eq!(outcome(&page), Outcome::UpdatePassword);
        assert_ne!(part(&action(&page)?, "session_code"), part(&link, "session_code"));
    }
    Ok(())
}

#[tokio::test]
async fn se_01_a_login_makes_a_session_of_its_own_whatever_the_browser_brought() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut attacker = stage.browser()?;
        let own = claims(&attacker.enter("mallory").await?, "id_token")?;
        // Her flow's page was open before the attacker's session was planted over it.
        let mut victim = stage.browser()?;
        let page = victim.ask(&[]).await?;
        for name in ["KEYCLOAK_IDENTITY", "KEYCLOAK_SESSION"] {
            victim.plant(name, &attacker.cookie(name));
        }
        let answer = victim.submit(&page, "alice", "alice-password").await?;
        assert_eq!(outcome(&answer), Outcome::ErrorPage(400), "SE-22: sessions are never merged");
        assert_eq!((stage.sessions("alice").await?, stage.sessions("mallory").await?), (0, 1));
        let mut clean = stage.browser()?;
        let hers = claims(&clean.enter("alice").await?, "id_token")?;
        assert_ne!(text(&hers, "sid"), text(&own, "sid"));
        let mut second = stage.browser()?;
        let later = claims(&second.enter("alice").await?, "id_token")?;
        assert_ne!(text(&later, "sid"), text(&hers, "sid"), "each login its own");
    }
    Ok(())
}

#[tokio::test]
async fn se_02_a_restart_link_of_another_flow_does_nothing_to_it() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut victim = stage.browser()?;
        let page = victim.ask(&[]).await?;
        let link = action(&page)?.replace("/authenticate?", "/restart?");
        let bare = stage.browser()?.rp.send(Exchange::get(&link)).await?;
        assert_eq!(outcome(&bare), Outcome::ErrorPage(400));
        let mut attacker = stage.browser()?;
        attacker.enter("mallory").await?;
        attacker.ask(&[("prompt", Some("login"))]).await?;
        let answer = attacker.rp.send(Exchange::get(&link)).await?;
        let found = outcome(&answer);
        assert!(matches!(found, Outcome::Onward(_) | Outcome::Error(_) | Outcome::ErrorPage(_)), "{found:?}");
        if let Outcome::Onward(to) = found {
            assert_ne!(part(&to, "tab_id"), part(&link, "tab_id"));
        }
        // The victim's page is as it was; her own restart begins her own flow again.
        let answer = victim.submit(&page, "alice", "alice-password").await?;
        let hers = claims(&victim.tokens(&answer).await?, "id_token")?;
        assert_eq!(text(&hers, "preferred_username"), "alice");
        let page = victim.ask(&[("prompt", Some("login"))]).await?;
        let own = action(&page)?.replace("/authenticate?", "/restart?");
        assert!(matches!(outcome(&victim.rp.send(Exchange::get(&own)).await?), Outcome::Onward(_)));
        assert_eq!((stage.sessions("alice").await?, stage.sessions("mallory").await?), (1, 1));
    }
    Ok(())
}

/// Who a browser is to a client that it asks silently.
async fn who(browser: &Browser, client: &'static str) -> Result<String> {
    let mut asked = browser.at_client(client)?;
    let answer = asked.ask(&[("prompt", Some("none"))]).await?;
    let tokens = asked.tokens(&answer).await?;
    Ok(text(&claims(&tokens, "id_token")?, "preferred_username").to_owned())
}

#[tokio::test]
async fn se_22_two_people_in_two_tabs_do_not_mix() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut first = stage.browser()?;
        let page_one = first.ask(&[]).await?;
        let mut second = first.at_client("second")?;
        let page_two = second.ask(&[]).await?;
        let (one, two) = (action(&page_one)?, action(&page_two)?);
        assert_ne!(part(&one, "tab_id"), part(&two, "tab_id"));
        // One tab's proof of page is none in the other, nor under the other's client.
        let before = stage.hash_calls();
        let fields = [("username", "bob"), ("password", "bob-password")];
        for (mixed, what) in [
            (edited(&two, &[("session_code", Some(&part(&one, "session_code")))]), "code of the other tab"),
            (edited(&two, &[("tab_id", Some(&part(&one, "tab_id")))]), "id of the other tab"),
            (edited(&two, &[("client_id", Some("app"))]), "other client"),
            (edited(&two, &[("client_id", None)]), "no client"),
        ] {
            let mut copy = second.copy()?;
            let answer = copy.rp.send(Exchange::form(&mixed, &fields)).await?;
            assert!(!matches!(outcome(&answer), Outcome::Code(_)), "{what}");
        }
        assert_eq!(stage.hash_calls(), before);
        let page_one = first.ask(&[]).await?;
        let page_two = first.at_client("second")?.ask(&[]).await?;
        let answer = first.submit(&page_one, "alice", "alice-password").await?;
        first.tokens(&answer).await?;
        second.rp.jar = first.rp.jar.clone();
        let answer = second.submit(&page_two, "bob", "bob-password").await?;
        assert_eq!(outcome(&answer), Outcome::ErrorPage(400), "the browser is alice's");
        assert_eq!(stage.sessions("bob").await?, 0);
        assert_eq!(who(&first, "second").await?, "alice");
    }
    Ok(())
}

#[tokio::test]
async fn p_14_two_tabs_two_clients_two_devices() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut first = stage.browser()?;
        let page_one = first.ask(&[]).await?;
        let mut second = first.at_client("second")?;
        let page_two = second.ask(&[]).await?;
        let mut third = first.at_client("second")?;
        let page_three = third.ask(&[]).await?;
        let answer = first.submit(&page_one, "alice", "alice-password").await?;
        let one = claims(&first.tokens(&answer).await?, "id_token")?;
        // The second tab is submitted, the third one is loaded again: both join the session.
        second.rp.jar = first.rp.jar.clone();
        let answer = second.submit(&page_two, "alice", "alice-password").await?;
        let two = claims(&second.tokens(&answer).await?, "id_token")?;
        third.rp.jar = second.rp.jar.clone();
        let target = edited(&action(&page_three)?, &[("session_code", None), ("execution", None)]);
        let answer = third.rp.send(Exchange::get(&target)).await?;
        let three = claims(&third.tokens(&answer).await?, "id_token")?;
        assert_eq!(text(&one, "sid"), text(&two, "sid"));
        assert_eq!(text(&one, "sid"), text(&three, "sid"));
        let mut device = stage.browser()?;
        let other = claims(&device.enter("alice").await?, "id_token")?;
        assert_ne!(text(&one, "sid"), text(&other, "sid"));
        assert_eq!(stage.sessions("alice").await?, 2);
        assert!(first.is_signed_in().await? && device.is_signed_in().await?);
    }
    Ok(())
}

/// Logs out by the hint of an ID token.
async fn logout(browser: &mut Browser, id_token: &str) -> Result<()> {
    let target = format!("{}?id_token_hint={id_token}", browser.rp.endpoint("logout"));
    let answer = browser.rp.send(Exchange::get(&target)).await?;
    anyhow::ensure!(answer.status == 200 || answer.status == 302, "{} {}", answer.status, answer.text());
    Ok(())
}

#[tokio::test]
async fn se_23_se_34_after_a_logout_nothing_old_leads_back_in() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        let mut before_login = browser.copy()?;
        let target = action(&page)?;
        let fields = [("username", "alice"), ("password", "alice-password"), ("rememberMe", "on")];
        let answer = browser.rp.send(Exchange::form(&target, &fields)).await?;
        let tokens = browser.tokens(&answer).await?;
        assert!(!browser.cookie("KEYCLOAK_REMEMBER_ME").is_empty());
        let mut thief = browser.copy()?;
        assert!(thief.is_signed_in().await?);
        logout(&mut browser, text(&tokens, "id_token")).await?;
        assert_eq!(stage.sessions("alice").await?, 0);
        let hashed = stage.hash_calls();
        // Back button and the form once more: with the cookies of now, of before the logout, and of before the login.
        let mut empty = stage.browser()?;
        empty.rp.jar = Jar::default();
        for (what, old) in
            [("now", &mut browser), ("thief", &mut thief), ("before", &mut before_login), ("empty", &mut empty)]
        {
            for step in [Exchange::form(&target, &fields), Exchange::get(&target)] {
                let answer = old.rp.send(step).await?;
                let found = outcome(&answer);
                assert!(matches!(found, Outcome::ErrorPage(400) | Outcome::Onward(_)), "{what}: {found:?}");
            }
            assert!(!old.is_signed_in().await?, "{what}");
        }
        assert_eq!((stage.hash_calls(), stage.sessions("alice").await?), (hashed, 0));
        // The remembered name is a name, not a login; whoever types the password is in again.
        browser.enter("alice").await?;
        assert!(browser.is_signed_in().await?);
    }
    Ok(())
}

#[tokio::test]
async fn se_34_what_a_removed_key_made_is_worth_nothing() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        let fields = [("username", "alice"), ("password", "alice-password"), ("rememberMe", "on")];
        let answer = browser.rp.send(Exchange::form(&action(&page)?, &fields)).await?;
        browser.tokens(&answer).await?;
        let mut waiting = stage.browser()?;
        let page = waiting.ask(&[]).await?;
        let restart = edited(&action(&page)?, &[("session_code", None), ("execution", None)]);
        // What was stolen: the identity, the name that is remembered, and a request to start over.
        let stolen = async || -> Result<(bool, Outcome)> {
            let mut thief = stage.browser()?;
            for name in ["KEYCLOAK_IDENTITY", "KEYCLOAK_SESSION", "KEYCLOAK_REMEMBER_ME"] {
                thief.plant(name, &browser.cookie(name));
            }
            let inside = thief.is_signed_in().await?;
            let mut other = stage.browser()?;
            other.plant("KC_RESTART", &waiting.cookie("KC_RESTART"));
            Ok((inside, outcome(&other.rp.send(Exchange::get(&restart)).await?)))
        };
        let records = stage.server.db.realm_records(REALM).await?.context("records")?;
        let old = records.keys.iter().find(|key| key.algorithm == "HS512").context("a key")?.clone();
        let next = RealmKey {
            kid: "next".into(),
            priority: old.priority + 1,
            private: SecretBytes::new(vec![9; 128]),
            ..old.clone()
        };
        stage.apply(Write::CreateKey(stage.realm.clone(), next)).await?;
        stage.apply(Write::SetKeyStatus(stage.realm.clone(), old.kid.clone(), KeyStatus::Passive)).await?;
        let (inside, again) = stolen().await?;
        assert!(inside && matches!(again, Outcome::Onward(_)), "a key that is only replaced verifies: {again:?}");
        stage.apply(Write::SetKeyStatus(stage.realm.clone(), old.kid, KeyStatus::Disabled)).await?;
        assert_eq!(stolen().await?, (false, Outcome::ErrorPage(400)), "strict {strict}");
        assert!(!browser.is_signed_in().await?);
        // The session's row stands; only a new login leads to one.
        let mut fresh = stage.browser()?;
        fresh.enter("alice").await?;
        assert!(fresh.is_signed_in().await?);
    }
    Ok(())
}

#[tokio::test]
async fn se_04_one_form_posted_many_times_at_once_is_one_login() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        let page = browser.ask(&[]).await?;
        let mut posts = JoinSet::new();
        for _ in 0..20 {
            let (mut copy, page) = (browser.copy()?, page.clone());
            posts.spawn(async move { copy.submit(&page, "alice", "alice-password").await });
        }
        let mut codes = 0;
        while let Some(done) = posts.join_next().await {
            codes += usize::from(matches!(outcome(&done??), Outcome::Code(_)));
        }
        assert_eq!((codes, stage.sessions("alice").await?), (1, 1), "strict {strict}");
        browser.enter("alice").await?;
    }
    Ok(())
}
