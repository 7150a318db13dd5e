//! DS-27: whatever state a browser and its login are brought into, a few redirects later somebody has a page or an answer.

use anyhow::{Context as _, Result};
use portcullis_core::plan::Write;
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::Options;
use serde_json::json;

use crate::stage::{Browser, Change, PROFILES, REALM, Stage, action, edited};

/// Most redirects to addresses of this server in a row. The longest honest way has two: to an owed action, and on from it.
const MOST_HOPS: usize = 4;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Result<T> {
        of.get(self.roll(of.len())).copied().context("nothing to pick")
    }
}

/// One browser on an odd walk, with all pages that it ever saw.
struct Walk<'a> {
    stage: &'a Stage,
    browser: Browser,
    seen: Vec<String>,
    dice: Dice,
    told: Vec<String>,
}

const NAMES: [&str; 5] = ["alice", "ulla", "otto", "dora", "nobody"];
const ASKS: [&[Change<'_>]; 8] = [
    &[],
    &[("prompt", Some("none"))],
    &[("prompt", Some("login"))],
    &[("prompt", Some("consent"))],
    &[("max_age", Some("0"))],
    &[("client_id", Some("asker")), ("scope", Some("openid profile"))],
    &[("acr_values", Some("2")), ("prompt", Some("login"))],
    &[("response_mode", Some("form_post"))],
];
const EXECUTIONS: [Option<&str>; 6] = [
    None,
    Some(""),
    Some("UPDATE_PASSWORD"),
    Some("VERIFY_PROFILE"),
    Some("OAUTH_GRANT"),
    Some("00000000-0000-0000-0000-000000000000"),
];
const ACTIONS: [&str; 6] = ["authenticate", "required-action", "consent", "restart", "reset-credentials", "detached"];
const COOKIES: [&str; 5] =
    ["KEYCLOAK_IDENTITY", "AUTH_SESSION_ID", "KC_RESTART", "KEYCLOAK_SESSION", "PORTCULLIS_DEVICE"];

impl Walk<'_> {
    /// Follows the redirects of this server.
    async fn follow(&mut self, mut answer: Answer) -> Result<()> {
        for _ in 0..=MOST_HOPS {
            if let Ok(target) = action(&answer) {
                self.seen.push(target);
            }
            assert!(answer.status != 500 && answer.status < 504, "{:?}: {}", self.told, answer.text());
            let onward = answer.header("location").filter(|to| to.contains(&format!("/realms/{REALM}/")));
            let Some(onward) = onward.map(str::to_owned) else { return Ok(()) };
            self.seen.push(crate::stage::relative(&onward)?);
            answer = self.browser.rp.open(&onward).await?;
        }
        anyhow::bail!("redirected in circles: {:?}", self.told)
    }

    /// An address seen before, with something about it that does not fit.
    fn bent(&mut self) -> Result<Option<String>> {
        if self.seen.is_empty() {
            return Ok(None);
        }
        let (one, other) = (self.dice.roll(self.seen.len()), self.dice.roll(self.seen.len()));
        let (one, other) = (self.seen.get(one).context("one")?, self.seen.get(other).context("other")?);
        let tab = crate::stage::part(other, "tab_id");
        let bent = match self.dice.roll(6) {
            0 => edited(one, &[("session_code", None)]),
            1 => edited(one, &[("execution", self.dice.pick(&EXECUTIONS)?)]),
            2 => edited(one, &[("tab_id", Some(&tab)), ("session_code", None)]),
            3 => edited(one, &[("client_id", Some("second"))]),
            4 => edited(one, &[("client_data", None), ("session_code", None), ("execution", None)]),
            _ => one.clone(),
        };
        let Some((head, tail)) = bent.split_once("/login-actions/") else { return Ok(Some(bent)) };
        let query = tail.split_once('?').map_or("", |(_, query)| query);
        let to = if self.dice.roll(3) == 0 { self.dice.pick(&ACTIONS)? } else { tail.split('?').next().unwrap_or("") };
        Ok(Some(format!("{head}/login-actions/{to}?{query}")))
    }

    async fn step(&mut self) -> Result<()> {
        let (realm, name) = (self.stage.realm.clone(), self.dice.pick(&NAMES)?);
        let what = self.dice.roll(12);
        self.told.push(format!("{what} {name}"));
        match what {
            0..=2 => {
                let answer = self.browser.ask(self.dice.pick(&ASKS)?).await?;
                self.follow(answer).await
            }
            3..=5 => {
                let Some(target) = self.bent()? else { return Ok(()) };
                let password = if self.dice.roll(3) == 0 { "wrong".to_owned() } else { format!("{name}-password") };
                let fields = [
                    ("username", name),
                    ("password", &password),
                    ("accept", "Yes"),
                    ("otp", "123456"),
                    ("lastName", "Walker"),
                ];
                self.told.push(target.clone());
                let answer = self.browser.rp.send(Exchange::form(&target, &fields)).await?;
                self.follow(answer).await
            }
            6..=8 => {
                let Some(target) = self.bent()? else { return Ok(()) };
                self.told.push(target.clone());
                let answer = self.browser.rp.send(Exchange::get(&target)).await?;
                self.follow(answer).await
            }
            9 => {
                let (cookie, other) = (self.dice.pick(&COOKIES)?, self.dice.pick(&COOKIES)?);
                let value = if self.dice.roll(2) == 0 { String::new() } else { self.browser.cookie(other) };
                self.browser.plant(cookie, &value);
                Ok(())
            }
            10 => {
                let user = match self.stage.user(name).await {
                    Ok(user) => user.id,
                    Err(_) => return Ok(()),
                };
                match self.dice.roll(4) {
                    0 => self.stage.change_user(name, |user| user.enabled = !user.enabled).await,
                    3 => self.stage.change_user(name, |user| user.settings.last_name = None).await,
                    1 => {
                        let owed = || "UPDATE_PASSWORD".to_owned();
                        self.stage.change_user(name, |user| user.settings.required_actions.push(owed())).await
                    }
                    _ => self.stage.apply(Write::EndUserSessions { realm, user, except: None }).await,
                }
            }
            _ => {
                self.stage.server.clock.shift_secs(self.dice.pick(&[1, 61, 301, 1801])?);
                Ok(())
            }
        }
    }
}

#[tokio::test]
async fn ds_27_no_state_leads_round_in_circles() -> Result<()> {
    for strict in PROFILES {
        let changes = json!({ "bruteForceProtected": false });
        let stage = Stage::with(strict, Options::default(), &changes).await?;
        for seed in 0..25 {
            let mut walk =
                Walk { stage: &stage, browser: stage.browser()?, seen: Vec::new(), dice: Dice(seed), told: Vec::new() };
            for _ in 0..20 {
                walk.step().await.with_context(|| format!("strict {strict}, seed {seed}"))?;
            }
        }
        // After all that the server is as it was: a login begins and ends.
        let changed = stage.user("bob").await?;
        assert!(changed.enabled);
        stage.browser()?.enter("bob").await?;
    }
    Ok(())
}
