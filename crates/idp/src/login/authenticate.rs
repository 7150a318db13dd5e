//! `login-actions/authenticate`: the page for name and password and its answer; answers to the page for a one-time code.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::Method;
use portcullis_core::login::flow::{LoginTab, PasswordFacts, Stage};
use portcullis_core::login::next::{self, Step};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::params::Params;
use portcullis_core::secret::Secret;
use portcullis_core::user::User;

use crate::pages::{Alert, Text};
use crate::state::{App, Unavailable};
use crate::watch::Halt;

use super::flows::Flow;
use super::page::{self, Say};
use super::sso::Sso;
use super::{Cx, Verdict, Visit, check_password, one_time_code, steps};

/// The endpoint.
pub(super) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, answer).await
}

async fn answer(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    let (flow, login) = match visit.login(cx).await? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let posted = visit.method == Method::POST;
    let waits = match login.stage {
        Stage::Fresh | Stage::Reauthenticate { .. } => true,
        Stage::Authenticated(_) => login.stage.owes_second_factor(),
    };
    match visit.query.get("session_code") {
        None if !posted => arrive(cx, flow).await,
        Some(code)
            if waits && flow.tab.code_matches(code) && visit.query.get("execution") == Some(&login.execution) =>
        {
            match login.stage.owes_second_factor() {
                true => one_time_code::submit(cx, flow, login, &visit.form).await,
                // Keycloak 26.4: whoever gives up sends the client a no.
                false if visit.form.has("cancel") => steps::refuse(cx, flow, &login, Reason::AccessDenied).await,
                false => submit(cx, flow, login, &visit.form).await,
            }
        }
        _ => steps::expired(cx, flow).await,
    }
}

/// Somebody comes to the page: back button, second tab, a redirect of ours. A session that began meanwhile signs in (P-14).
async fn arrive(cx: &Cx<'_>, mut flow: Flow) -> Result<Response, Unavailable> {
    if let Some(login) = flow.tab.login_mut()
        && login.stage == Stage::Fresh
        && let Some(sso) = Sso::current(cx).await?
    {
        let records = &cx.view.records;
        let client = records.client(&login.request.client_id);
        login.stage = next::entry(records, client, &login.request, Some(&sso.session), cx.now.secs());
        let step = steps::decide(cx, &login.request, &login.stage, Some(&sso.user)).await?;
        if matches!(step, Step::Action(_) | Step::Consent) {
            return steps::to_action(cx, flow, &step).await;
        }
    }
    steps::proceed(cx, flow, Say::default()).await
}

/// The form: credentials come from the body only, never from the address (SE-07).
async fn submit(cx: &Cx<'_>, mut flow: Flow, login: LoginTab, form: &Params) -> Result<Response, Unavailable> {
    let known = match &login.stage {
        Stage::Reauthenticate { user, .. } => {
            cx.app.db.user(&cx.view.records.realm.id, user).await.map_err(|_| Unavailable)?
        }
        Stage::Fresh | Stage::Authenticated(_) => None,
    };
    let name = match &known {
        Some(user) => user.username.clone(),
        None => form.get("username").unwrap_or_default().trim().to_owned(),
    };
    let password = Secret::new(form.get("password").unwrap_or_default());
    let remember_me = cx.view.records.realm.settings.remember_me && form.get("rememberMe").is_some();
    if let Some(kept) = flow.tab.login_mut() {
        kept.attempted = Some(name.chars().take(255).collect()).filter(|_| known.is_none());
    }
    let wrong = if known.is_some() { "invalidPasswordMessage" } else { "invalidUserMessage" };
    let refused = |halt| {
        let error = Some(Text::key(wrong));
        Say { error, answered: true, remember_me, halt: Some(halt), ..Say::default() }
    };
    if name.is_empty() {
        return steps::show_password(cx, flow, known.as_ref(), refused(Halt::NoUsername)).await;
    }
    match check_password(cx.app, cx.view, &name, &password, &cx.peer.ip, cx.device()).await? {
        Verdict::Accepted { user, second_factor } => {
            let facts = PasswordFacts { remember_me, second_factor_owed: second_factor };
            accept(cx, flow, login, *user, facts).await
        }
        // EN-01: in a strict realm a switched-off account is not told from a wrong password.
        Verdict::Disabled { password_ok: true } if !cx.view.is_strict() => {
            let alert = Some(Alert::error(Text::key("accountDisabledMessage")));
            let say = Say { alert, answered: true, remember_me, halt: Some(Halt::AccountOff), ..Say::default() };
            steps::show_password(cx, flow, known.as_ref(), say).await
        }
        Verdict::Locked => steps::show_password(cx, flow, known.as_ref(), refused(Halt::AccountRests)).await,
        Verdict::PlaceRests => steps::show_password(cx, flow, known.as_ref(), refused(Halt::AddressRests)).await,
        Verdict::Disabled { password_ok: true } => {
            steps::show_password(cx, flow, known.as_ref(), refused(Halt::AccountOff)).await
        }
        Verdict::Refused | Verdict::Disabled { password_ok: false } => {
            steps::show_password(cx, flow, known.as_ref(), refused(Halt::WrongPassword)).await
        }
        Verdict::Busy => Ok(page::busy(cx, &login)),
    }
}

async fn accept(
    cx: &Cx<'_>,
    flow: Flow,
    login: LoginTab,
    user: User,
    facts: PasswordFacts,
) -> Result<Response, Unavailable> {
    let sso = Sso::current(cx).await?;
    if let Some(sso) = &sso
        && sso.user.id != user.id
    {
        return Ok(page::different_user(cx, &login, &sso.user.username));
    }
    let Ok(mut stage) = login.stage.password_given(user.id, cx.now.secs(), facts) else {
        return steps::expired(cx, flow).await;
    };
    // A tab that waited while another one logged in joins that session.
    if let (Stage::Authenticated(proof), Some(sso)) = (&mut stage, sso) {
        proof.session = Some(sso.session.id);
        proof.remember_me = sso.session.remember_me;
    }
    steps::advance(cx, flow, stage).await
}
