//! The page for a one-time code and its answer, and the one place where such a code is judged (page and password grant).

use std::sync::Arc;

use axum::response::Response;
use portcullis_core::login::flow::{LoginTab, Stage};
use portcullis_core::login::next::Step;
use portcullis_core::login::one_time_code as law;
use portcullis_core::oauth::params::Params;
use portcullis_core::plan::{Entity, Gate, Lane, LoginKey, Plan, Write};
use portcullis_core::secret::Secret;
use portcullis_core::user::User;
use portcullis_store::ApplyError;
use tracing::Instrument as _;

use crate::pages::{OtpDevice, Text};
use crate::state::{App, RealmView, Unavailable};
use crate::watch::Halt;

use super::counter::Counter;
use super::flows::{self, Flow};
use super::page::{self, Say};
use super::{Cx, steps};

/// Longest code that is looked at, bytes.
const MAX_CODE: usize = 64;

/// Reloads of a device whose counter somebody else moved.
const RETRIES: usize = 5;

/// What a one-time code is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CodeVerdict {
    /// It is right, and spent now.
    Accepted,
    /// Wrong, used, of another device, or none.
    Refused,
    /// Too many failures: nothing was compared.
    Locked,
}

impl CodeVerdict {
    /// Why it is refused, for the operator.
    pub(crate) const fn halt(self) -> Option<Halt> {
        match self {
            Self::Accepted => None,
            Self::Refused => Some(Halt::WrongOneTimeCode),
            Self::Locked => Some(Halt::AccountRests),
        }
    }
}

/// A code, and the device that a form chose.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The code; blanks inside do not count.
    pub(crate) code: Secret,
    /// The credential's id; `None` for the user's first.
    pub(crate) device: Option<String>,
}

/// Judges a code of a user whose password was right. It runs to its end even when the client hangs up: an attempt that was
/// compared is counted. `browser` is the SHA-256 of the browser's device cookie.
///
/// # Errors
/// [`Unavailable`] when the store does not answer.
pub(crate) async fn check_code(
    app: &Arc<App>,
    view: &Arc<RealmView>,
    user: &User,
    shown: Shown,
    ip: &str,
    browser: Option<[u8; 32]>,
) -> Result<CodeVerdict, Unavailable> {
    let attempt = Attempt { counter: Counter::new(app, view, ip), user: user.clone(), shown };
    tokio::spawn(attempt.judge(browser).in_current_span()).await.map_err(|_| Unavailable)?
}

struct Attempt {
    counter: Counter,
    user: User,
    shown: Shown,
}

impl Attempt {
    async fn judge(self, browser: Option<[u8; 32]>) -> Result<CodeVerdict, Unavailable> {
        let (key, _) = self.counter.of_account(&self.user, browser).await?;
        let verdict = self.counter.guarded(&key, self.compare(&key)).await?;
        Ok(verdict.unwrap_or(CodeVerdict::Locked))
    }

    async fn compare(&self, key: &LoginKey) -> Result<CodeVerdict, Unavailable> {
        if self.spend(key).await? {
            return Ok(CodeVerdict::Accepted);
        }
        self.counter.fail(Some(&self.user), key, "invalid_user_credentials").await?;
        Ok(CodeVerdict::Refused)
    }

    /// Whether the code is right and was not used before. That it is used, and that failures are forgotten, is one plan.
    async fn spend(&self, key: &LoginKey) -> Result<bool, Unavailable> {
        let (db, realm) = (&self.counter.app.db, &self.counter.view.records.realm);
        let code: String = self.shown.code.expose().split_ascii_whitespace().collect();
        if code.is_empty() || code.len() > MAX_CODE {
            return Ok(false);
        }
        for _ in 0..RETRIES {
            let credentials = db.credentials(&realm.id, &self.user.id).await.map_err(|_| Unavailable)?;
            let Some(device) = law::choose(&credentials, self.shown.device.as_deref()) else { return Ok(false) };
            let now = self.counter.now.secs();
            let Some(mut writes) = law::judge(realm, &self.user.id, device, &code, now) else { return Ok(false) };
            writes.push(Write::ClearLoginFailures(realm.id.clone(), key.clone()));
            match db.apply(Plan::new(Lane::Gate, writes)).await {
                Ok(()) => return Ok(true),
                Err(ApplyError::Gate(Gate::Stale(Entity::Credential))) => {}
                Err(ApplyError::Gate(_)) => return Ok(false),
                Err(_) => return Err(Unavailable),
            }
        }
        Err(Unavailable)
    }
}

/// Shows the page; its session code is the only one that is taken from now on.
pub(super) async fn show(
    cx: &Cx<'_>,
    mut flow: Flow,
    user: &User,
    selected: Option<&str>,
    say: Say,
) -> Result<Response, Unavailable> {
    let credentials = cx.app.db.credentials(&cx.view.records.realm.id, &user.id).await.map_err(|_| Unavailable)?;
    let Some(chosen) = law::choose(&credentials, selected).or_else(|| law::choose(&credentials, None)) else {
        // The last device was removed meanwhile: the login starts over, and owes what the account has now.
        if let Some(login) = flow.tab.login_mut() {
            login.stage = Stage::Fresh;
        }
        return steps::show_password(cx, flow, None, say).await;
    };
    let devices = law::devices(&credentials).map(|device| OtpDevice {
        id: device.id.to_string(),
        label: device.user_label.clone().unwrap_or_default(),
        selected: device.id == chosen.id,
    });
    let devices = devices.collect();
    let code = flow.tab.mint_code(cx.app.entropy.as_ref());
    let Some(login) = flow.tab.login_mut() else { return Ok(page::invalid_code(cx)) };
    let shown = login.clone();
    login.notice = None;
    flows::save(cx, &flow).await?;
    Ok(page::one_time_code(cx, &flow, &shown, (&code, user), devices, say))
}

/// The form. Whose code it is stands in the tab, never in the form (MF-10).
pub(super) async fn submit(cx: &Cx<'_>, flow: Flow, login: LoginTab, form: &Params) -> Result<Response, Unavailable> {
    let user = match login.stage.user() {
        Some(id) => cx.app.db.user(&cx.view.records.realm.id, id).await.map_err(|_| Unavailable)?,
        None => None,
    };
    let step = steps::decide(cx, &login.request, &login.stage, user.as_ref()).await?;
    let (Step::SecondFactor, Some(user)) = (step, user) else {
        return steps::proceed(cx, flow, Say::default()).await;
    };
    let selected = form.get("selectedCredentialId");
    let Some(code) = form.raw("otp") else { return show(cx, flow, &user, selected, Say::default()).await };
    let shown = Shown { code: Secret::new(code), device: selected.map(str::to_owned) };
    let browser = cx.device();
    match check_code(cx.app, cx.view, &user, shown, &cx.peer.ip, browser).await? {
        CodeVerdict::Accepted => {}
        refused @ (CodeVerdict::Refused | CodeVerdict::Locked) => {
            let error = Some(Text::key("invalidTotpMessage"));
            let say = Say { error, answered: true, halt: refused.halt(), ..Say::default() };
            return show(cx, flow, &user, selected, say).await;
        }
    }
    let Ok(stage) = login.stage.one_time_code_given(&user.id, cx.now.secs()) else {
        return steps::expired(cx, flow).await;
    };
    steps::advance(cx, flow, stage).await
}
