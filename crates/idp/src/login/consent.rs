//! The consent page (Keycloak's execution `OAUTH_GRANT`) and `login-actions/consent`, its answer.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::Method;
use portcullis_core::event::Event;
use portcullis_core::login::consent as law;
use portcullis_core::login::flow::{LoginTab, Stage};
use portcullis_core::login::next::Step;
use portcullis_core::oauth::error::Reason;
use portcullis_core::plan::{Gate, Lane, Plan, Write};
use portcullis_core::user::User;
use portcullis_store::ApplyError;

use crate::pages::{ConsentPage, Text};
use crate::state::{App, Unavailable};

use super::address::{self, Point};
use super::flows::{self, Flow};
use super::page::{self, Say};
use super::{Cx, Visit, device, steps};

/// Keycloak's name of the step.
pub(super) const EXECUTION: &str = "OAUTH_GRANT";

/// Reloads when the user or the consent changed meanwhile.
const RETRIES: usize = 5;

/// The endpoint.
pub(super) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, answer).await
}

async fn answer(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    if let Some(response) = visit.odd_method() {
        return Ok(response);
    }
    // Keycloak 26.4: nothing is there for who does not post.
    if visit.method != Method::POST && !visit.query.has("tab_id") {
        return Ok(page::not_found().await);
    }
    let (flow, login) = match visit.login(cx).await? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    if login.request.device.is_some() {
        return device::decide(cx, visit, flow, login).await;
    }
    if visit.method != Method::POST {
        return Ok(page::not_found().await);
    }
    let user = match login.stage.user() {
        Some(id) => cx.app.db.user(&cx.view.records.realm.id, id).await.map_err(|_| Unavailable)?,
        None => None,
    };
    let step = steps::decide(cx, &login.request, &login.stage, user.as_ref()).await?;
    let fresh = visit.form.get("code").is_some_and(|code| flow.tab.code_matches(code));
    let (Step::Consent, Some(user), true) = (step, user, fresh && login.execution == EXECUTION) else {
        // AZ-25: nothing was shown that this could be the answer to.
        return steps::expired(cx, flow).await;
    };
    match (visit.form.has("cancel"), visit.form.has("accept")) {
        (true, _) => deny(cx, flow, &login, &user).await,
        (false, true) => accept(cx, flow, login, &user).await,
        (false, false) => steps::expired(cx, flow).await,
    }
}

/// Shows the page; its code is the only one that is taken from now on.
pub(super) async fn show(cx: &Cx<'_>, mut flow: Flow, user: &User) -> Result<Response, Unavailable> {
    let Some(login) = flow.tab.login().cloned() else { return Ok(page::invalid_code(cx)) };
    let records = &cx.view.records;
    let Some(client) = records.client(&login.request.client_id) else { return Ok(page::invalid_code(cx)) };
    let stored = cx.app.db.consent(&records.realm.id, &user.id, &client.id).await.map_err(|_| Unavailable)?;
    let lines = law::owed(records, client, &login.request, stored.as_ref(), login.stage.consented());
    let code = flow.tab.mint_code(cx.app.entropy.as_ref());
    if let Some(login) = flow.tab.login_mut() {
        EXECUTION.clone_into(&mut login.execution);
        login.shown = lines.iter().map(|line| line.id.clone()).collect();
        login.notice = None;
    }
    flows::save(cx, &flow).await?;
    // The session code stands in the form, not in the address (Keycloak 26.4).
    let action = address::path(cx, "consent", Point::default(), &flow.tab.id, &login);
    let name = client.settings.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&client.client_id);
    let question = ConsentPage {
        action,
        code: code.expose().to_owned(),
        client: Text::reference(name),
        scopes: lines.iter().map(|line| Text::reference(line.text)).collect(),
        user_code: None,
    };
    Ok(page::shown(cx, &login, &question))
}

/// A yes to what was shown. The user's version is the gate: whoever takes a consent back raises it.
async fn accept(cx: &Cx<'_>, mut flow: Flow, login: LoginTab, user: &User) -> Result<Response, Unavailable> {
    let (db, realm) = (&cx.app.db, &cx.view.records.realm.id);
    let Some(client) = cx.view.records.client(&login.request.client_id) else { return Ok(page::invalid_code(cx)) };
    for _ in 0..RETRIES {
        let Some(user) = db.user(realm, &user.id).await.map_err(|_| Unavailable)? else {
            return steps::proceed(cx, flow, Say::default()).await;
        };
        let stored = db.consent(realm, &user.id, &client.id).await.map_err(|_| Unavailable)?;
        let consent = law::accepted(stored.as_ref(), (&user.id, client), &login.shown, cx.now.millis());
        let writes = vec![
            Write::ExpectUser(realm.clone(), user.id.clone(), user.version),
            Write::PutConsent(realm.clone(), consent),
            Write::Audit(event(cx, &login, &user, ("GRANT_CONSENT", None))),
        ];
        match db.apply(Plan::new(Lane::Login, writes)).await {
            Ok(()) => {
                let Ok(stage) = login.stage.consent_given(login.shown) else {
                    return steps::expired(cx, flow).await;
                };
                if let Some(login) = flow.tab.login_mut() {
                    login.stage = stage;
                }
                return steps::proceed(cx, flow, Say::default()).await;
            }
            Err(ApplyError::Gate(Gate::Stale(_))) => {}
            Err(_) => return Err(Unavailable),
        }
    }
    Err(Unavailable)
}

/// A no: the client is told, and the login is over.
async fn deny(cx: &Cx<'_>, flow: Flow, login: &LoginTab, user: &User) -> Result<Response, Unavailable> {
    let audit = Write::Audit(event(cx, login, user, ("LOGIN_ERROR", Some("rejected_by_user"))));
    cx.app.db.apply(Plan::new(Lane::Login, vec![audit])).await.map_err(|_| Unavailable)?;
    steps::refuse(cx, flow, login, Reason::AccessDenied).await
}

fn event(cx: &Cx<'_>, login: &LoginTab, user: &User, (kind, error): (&'static str, Option<&'static str>)) -> Event {
    let session = match &login.stage {
        Stage::Authenticated(proof) => proof.session.clone(),
        Stage::Fresh | Stage::Reauthenticate { .. } => None,
    };
    Event {
        user: Some(user.id.clone()),
        client: cx.view.records.client(&login.request.client_id).map(|client| client.id.clone()),
        session,
        error,
        ..cx.event(kind)
    }
}
