//! One step after another: asks the dispatcher and shows what it says.

use axum::response::Response;
use portcullis_core::entropy;
use portcullis_core::login::flow::{LoginTab, Stage};
use portcullis_core::login::next::{self, Situation, Step};
use portcullis_core::oauth::authorize::{self as law, AuthorizeRequest, Refusal};
use portcullis_core::oauth::error::Reason;
use portcullis_core::user::User;

use crate::authorize;
use crate::state::Unavailable;

use super::address::{self, Point};
use super::flows::{self, Closed, Flow};
use super::issue::{Issue, Issued, issue};
use super::page::{self, Say};
use super::start::names_issuer;
use super::{Cx, consent, one_time_code, restart};

/// The step of a stage, by the realm as it is now.
pub(super) async fn decide(
    cx: &Cx<'_>,
    request: &AuthorizeRequest,
    stage: &Stage,
    user: Option<&User>,
) -> Result<Step, Unavailable> {
    let records = &cx.view.records;
    let Some(client) = records.client(&request.client_id).filter(|c| c.settings.enabled) else {
        return Ok(Step::Refuse(Reason::AccessDenied));
    };
    let consent = match user.filter(|_| client.settings.consent_required) {
        Some(user) => cx.app.db.consent(&records.realm.id, &user.id, &client.id).await.map_err(|_| Unavailable)?,
        None => None,
    };
    Ok(next::next(stage, &Situation { records, client, request, user, consent: consent.as_ref() }))
}

/// Somebody proved something: the tab gets a new id with its new stage (SE-01) and goes on.
pub(super) async fn advance(cx: &Cx<'_>, mut flow: Flow, stage: Stage) -> Result<Response, Unavailable> {
    if let Some(login) = flow.tab.login_mut() {
        login.stage = stage;
        login.execution = entropy::uuid(cx.app.entropy.as_ref());
    }
    if !flows::rename(cx, &mut flow).await? {
        return Ok(over(cx, flow));
    }
    proceed(cx, flow, Say::default()).await
}

/// Goes on with a tab: the next page, the way to it, or the code.
pub(super) async fn proceed(cx: &Cx<'_>, mut flow: Flow, say: Say) -> Result<Response, Unavailable> {
    let Some(login) = flow.tab.login().cloned() else { return Ok(page::invalid_code(cx)) };
    let user = match login.stage.user() {
        Some(id) => cx.app.db.user(&cx.view.records.realm.id, id).await.map_err(|_| Unavailable)?,
        None => None,
    };
    let step = decide(cx, &login.request, &login.stage, user.as_ref()).await?;
    match step {
        Step::Password => {
            if let Some(login) = flow.tab.login_mut() {
                login.stage = Stage::Fresh;
            }
            show_password(cx, flow, None, say).await
        }
        Step::Reauthenticate => show_password(cx, flow, user.as_ref(), say).await,
        Step::SecondFactor => match user {
            Some(user) => one_time_code::show(cx, flow, &user, None, say).await,
            None => Ok(page::invalid_code(cx)),
        },
        Step::Action(_) | Step::Consent => Ok(page::as_page(cx, to_action(cx, flow, &step).await?)),
        Step::Issue(proof) => {
            let valid = match law::revalidate(&cx.view.records, &cx.base.url, &login.request) {
                Ok(valid) => valid,
                Err(refusal) => return Ok(authorize::refuse(cx, refusal, None)),
            };
            let to = valid.redirect().clone();
            let closed = flows::close(cx, &mut flow).await?;
            let mut jar = http::HeaderMap::new();
            match closed {
                Closed::Already => {
                    return Ok(tell_client(cx, to, &login, Reason::AuthenticationExpired));
                }
                Closed::Last => restart::delete_cookie(cx, &mut jar),
                Closed::TabsLeft => {}
            }
            let issue_ =
                Issue { request: valid.request(), to: to.clone(), proof, attempted: login.attempted.as_deref() };
            match issue(cx, issue_, &mut jar).await? {
                Issued::Answer(response) => Ok(page::with_cookies(page::as_page(cx, response), jar)),
                Issued::SessionGone => Ok(tell_client(cx, to, &login, Reason::AuthenticationExpired)),
            }
        }
        Step::Refuse(reason) => match law::revalidate(&cx.view.records, &cx.base.url, &login.request) {
            Ok(valid) => Ok(tell_client(cx, valid.redirect().clone(), &login, reason)),
            Err(refusal) => Ok(authorize::refuse(cx, refusal, None)),
        },
    }
}

/// Ends a login with an error for its client.
pub(super) async fn refuse(
    cx: &Cx<'_>,
    mut flow: Flow,
    login: &LoginTab,
    reason: Reason,
) -> Result<Response, Unavailable> {
    let valid = match law::revalidate(&cx.view.records, &cx.base.url, &login.request) {
        Ok(valid) => valid,
        Err(refusal) => return Ok(authorize::refuse(cx, refusal, None)),
    };
    let mut jar = http::HeaderMap::new();
    if flows::close(cx, &mut flow).await? == Closed::Last {
        restart::delete_cookie(cx, &mut jar);
    }
    Ok(page::with_cookies(tell_client(cx, valid.redirect().clone(), login, reason), jar))
}

/// Another request ended this tab first: the client shall ask anew.
pub(super) fn over(cx: &Cx<'_>, flow: Flow) -> Response {
    let Some(login) = flow.tab.login() else { return page::invalid_code(cx) };
    match law::revalidate(&cx.view.records, &cx.base.url, &login.request) {
        Ok(valid) => tell_client(cx, valid.redirect().clone(), login, Reason::AuthenticationExpired),
        Err(refusal) => authorize::refuse(cx, refusal, None),
    }
}

fn tell_client(
    cx: &Cx<'_>,
    to: portcullis_core::oauth::redirect_uri::MatchedRedirectUri,
    login: &LoginTab,
    reason: Reason,
) -> Response {
    let (mode, state) = (login.request.response_mode, login.request.state.clone());
    let names_issuer = names_issuer(cx, &login.request);
    page::as_page(cx, authorize::refuse(cx, Refusal::Redirect { to, mode, state, names_issuer, reason }, None))
}

/// Shows the page for a password; its session code is the only one that is taken from now on.
pub(super) async fn show_password(
    cx: &Cx<'_>,
    mut flow: Flow,
    user: Option<&User>,
    say: Say,
) -> Result<Response, Unavailable> {
    let code = flow.tab.mint_code(cx.app.entropy.as_ref());
    let Some(login) = flow.tab.login_mut() else { return Ok(page::invalid_code(cx)) };
    let shown = login.clone();
    login.notice = None;
    flows::save(cx, &flow).await?;
    let known = user.filter(|_| matches!(shown.stage, Stage::Reauthenticate { .. }));
    Ok(page::password(cx, &flow, &shown, &code, known, say))
}

/// 302 to the page of an owed action or of the consent (Keycloak's execution `OAUTH_GRANT`).
pub(super) async fn to_action(cx: &Cx<'_>, mut flow: Flow, step: &Step) -> Result<Response, Unavailable> {
    let execution = match step {
        Step::Action(action) => action.alias().to_owned(),
        Step::Consent => consent::EXECUTION.to_owned(),
        Step::Password | Step::Reauthenticate | Step::SecondFactor | Step::Issue(_) | Step::Refuse(_) => {
            return Ok(page::invalid_code(cx));
        }
    };
    if let Some(login) = flow.tab.login_mut() {
        login.execution.clone_from(&execution);
    }
    flows::save(cx, &flow).await?;
    let Some(login) = flow.tab.login() else { return Ok(page::invalid_code(cx)) };
    let point = Point { session_code: None, execution: Some(&execution) };
    Ok(authorize::found(&address::of(cx, "required-action", point, &flow.tab.id, login)))
}

/// An older page was submitted: 302 to the page that is current, which says so.
pub(super) async fn expired(cx: &Cx<'_>, mut flow: Flow) -> Result<Response, Unavailable> {
    if let Some(login) = flow.tab.login_mut() {
        login.notice = Some(portcullis_core::login::flow::Notice::ActionExpired);
    }
    flows::save(cx, &flow).await?;
    let Some(login) = flow.tab.login() else { return Ok(page::invalid_code(cx)) };
    let point = Point { session_code: None, execution: Some(&login.execution) };
    let action = match login.stage {
        Stage::Authenticated(_) if !login.stage.owes_second_factor() => "required-action",
        Stage::Fresh | Stage::Reauthenticate { .. } | Stage::Authenticated(_) => "authenticate",
    };
    Ok(page::redirect(cx, &address::of(cx, action, point, &flow.tab.id, login)))
}
