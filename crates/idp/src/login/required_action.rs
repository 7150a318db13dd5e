//! `login-actions/required-action`: what an account owes before its login is done.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::Method;
use portcullis_core::login::flow::{LoginTab, Stage};
use portcullis_core::login::next::Step;
use portcullis_core::login::required_action::RequiredAction;
use portcullis_core::oauth::params::Params;
use portcullis_core::secret::Secret;
use portcullis_core::user::User;

use crate::pages::Text;
use crate::state::{App, Unavailable};

use super::flows::{self, Flow};
use super::new_password::{self, Outcome};
use super::page::{self, PasswordErrors, Say};
use super::{Cx, Visit, configure_totp, consent, device, steps, update_profile};

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
    let Stage::Authenticated(proof) = &login.stage else {
        // AZ-30: nobody proved anything in this tab; it goes on with its first unfinished step.
        return steps::expired(cx, flow).await;
    };
    let user = cx.app.db.user(&cx.view.records.realm.id, &proof.user).await.map_err(|_| Unavailable)?;
    let step = steps::decide(cx, &login.request, &login.stage, user.as_ref()).await?;
    let (action, user) = match (step, user) {
        (Step::Action(action), Some(user)) => (action, user),
        (Step::Consent, Some(_)) if login.request.device.is_some() => return device::ask(cx, flow, login).await,
        (Step::Consent, Some(user)) if !posted && visit.query.get("execution") == Some(consent::EXECUTION) => {
            return consent::show(cx, flow, &user).await;
        }
        (step, _) => return go_on(cx, flow, step).await,
    };
    if visit.query.get("execution") != Some(action.alias()) {
        return steps::proceed(cx, flow, Say::default()).await;
    }
    match (action, visit.query.get("session_code")) {
        (RequiredAction::VerifyEmail, _) => Ok(page::cannot_go_on(cx, &login, "emailSendErrorMessage")),
        (RequiredAction::Other(_), _) => Ok(page::cannot_go_on(cx, &login, "internalServerError")),
        (RequiredAction::UpdatePassword, None) if !posted => show(cx, flow, PasswordErrors::default()).await,
        (RequiredAction::UpdatePassword, Some(code)) if posted && flow.tab.code_matches(code) => {
            update_password(cx, flow, login, &user, &visit.form).await
        }
        (RequiredAction::ConfigureTotp, None) if !posted => configure_totp::show(cx, flow, &user).await,
        (RequiredAction::ConfigureTotp, Some(code)) if posted && flow.tab.code_matches(code) => {
            configure_totp::submit(cx, flow, login, &user, &visit.form).await
        }
        (action @ (RequiredAction::UpdateProfile | RequiredAction::VerifyProfile), None) if !posted => {
            update_profile::show(cx, flow, &action, &user).await
        }
        (action @ (RequiredAction::UpdateProfile | RequiredAction::VerifyProfile), Some(code))
            if posted && flow.tab.code_matches(code) =>
        {
            update_profile::submit(cx, flow, login, (&action, &user), &visit.form).await
        }
        (
            RequiredAction::UpdatePassword
            | RequiredAction::ConfigureTotp
            | RequiredAction::UpdateProfile
            | RequiredAction::VerifyProfile,
            _,
        ) => steps::expired(cx, flow).await,
    }
}

async fn go_on(cx: &Cx<'_>, flow: Flow, step: Step) -> Result<Response, Unavailable> {
    tracing::debug!(?step, "the action is not owed any more");
    steps::proceed(cx, flow, Say::default()).await
}

async fn show(cx: &Cx<'_>, mut flow: Flow, wrong: PasswordErrors) -> Result<Response, Unavailable> {
    let code = flow.tab.mint_code(cx.app.entropy.as_ref());
    let Some(login) = flow.tab.login_mut() else { return Ok(page::invalid_code(cx)) };
    RequiredAction::UpdatePassword.alias().clone_into(&mut login.execution);
    let shown = login.clone();
    login.notice = None;
    flows::save(cx, &flow).await?;
    Ok(page::update_password(cx, &flow, &shown, &code, wrong))
}

async fn update_password(
    cx: &Cx<'_>,
    flow: Flow,
    login: LoginTab,
    user: &User,
    form: &Params,
) -> Result<Response, Unavailable> {
    let (new, confirm) =
        (form.get("password-new").unwrap_or_default(), form.get("password-confirm").unwrap_or_default());
    let wrong_new = |text| PasswordErrors { new: Some(text), confirm: None };
    if new.is_empty() {
        return show(cx, flow, wrong_new(Text::key("missingPasswordMessage"))).await;
    }
    if new != confirm {
        let confirm = Some(Text::key("notMatchPasswordMessage"));
        return show(cx, flow, PasswordErrors { new: None, confirm }).await;
    }
    let Stage::Authenticated(proof) = &login.stage else { return steps::expired(cx, flow).await };
    let others = form.get("logout-sessions").map(|_| proof.session.clone());
    match new_password::set(cx, user, &Secret::new(new), others).await? {
        Outcome::Set => steps::proceed(cx, flow, Say::default()).await,
        Outcome::Violates(violation) => {
            let text = match violation.argument {
                Some(n) => Text::with(violation.message, [n.to_string().as_str()]),
                None => Text::key(violation.message),
            };
            show(cx, flow, wrong_new(text)).await
        }
        Outcome::Busy => Ok(page::busy(cx, &login)),
    }
}
