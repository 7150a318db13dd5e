//! A flow that is gone, and `login-actions/restart`: begin again from the sealed request, or tell the client that it is over.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, Method};
use portcullis_core::login::flow::{LoginTab, Notice, Purpose, Stage};
use portcullis_core::oauth::authorize::{self as law, AuthorizeRequest, Refusal};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::params::Params;
use portcullis_core::oauth::redirect_uri::Matching;
use portcullis_core::oauth::response_mode;

use crate::authorize;
use crate::respond::cookies;
use crate::state::{App, Unavailable};

use super::address::{self, ClientData, Point};
use super::flows::{self, Flow};
use super::sso::Sso;
use super::{Cx, Visit, device, page};

/// The endpoint: the tab begins again.
pub(super) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, answer).await
}

async fn answer(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    // Keycloak 26.4: nothing is there for who does not read.
    if visit.method == Method::GET { again(cx, &visit.query).await } else { Ok(page::not_found().await) }
}

async fn again(cx: &Cx<'_>, query: &Params) -> Result<Response, Unavailable> {
    if let Some(closed) = page::closed(cx) {
        return Ok(closed);
    }
    if let Some(mut flow) = flows::lookup(cx, query).await? {
        if let Some(login) = flow.tab.login_mut() {
            *login = LoginTab::new(login.request.clone(), Stage::Fresh, cx.app.entropy.as_ref());
        }
        flows::save(cx, &flow).await?;
        return Ok(flow.tab.login().map_or_else(|| page::invalid_code(cx), |login| to_start(cx, &flow, login)));
    }
    match from_cookie(cx, query).await? {
        Begun::Flow(flow, login, jar) => Ok(page::with_cookies(to_start(cx, &flow, &login), jar)),
        Begun::Answer(response) => Ok(response),
    }
}

/// An address whose flow is not there: used, expired, of another browser or tab.
pub(super) async fn recover(cx: &Cx<'_>, query: &Params) -> Result<Response, Unavailable> {
    if let Some(client_id) = query.get("client_id")
        && Sso::current(cx).await?.is_some()
    {
        return Ok(over(cx, client_id, query));
    }
    match from_cookie(cx, query).await? {
        Begun::Flow(flow, login, jar) => Ok(page::with_cookies(to_start(cx, &flow, &login), jar)),
        Begun::Answer(response) => Ok(response),
    }
}

/// The login of this address is over and its user is logged in: the client shall ask anew (Keycloak 26.4).
fn over(cx: &Cx<'_>, client_id: &str, query: &Params) -> Response {
    let told = || {
        let data = ClientData::read(query.get("client_data")?)?;
        let client = cx.view.records.client(client_id).filter(|c| c.settings.enabled)?;
        let profile = cx.view.records.realm.profile();
        let to = Matching { client, profile, base: &cx.base.url }.find(data.redirect_uri.as_deref()?)?;
        let (mode, state, reason) = (data.response_mode, data.state, Reason::AuthenticationExpired);
        let names_issuer = response_mode::names_issuer(&cx.view.records, client);
        Some(authorize::refuse(cx, Refusal::Redirect { to, mode, state, names_issuer, reason }, None))
    };
    told().unwrap_or_else(|| page::already_logged_in(cx))
}

enum Begun {
    Flow(Box<Flow>, Box<LoginTab>, HeaderMap),
    Answer(Response),
}

async fn from_cookie(cx: &Cx<'_>, query: &Params) -> Result<Begun, Unavailable> {
    let live = flows::browser(cx).await?;
    let request: Option<AuthorizeRequest> = flows::restart(cx);
    let Some(request) = request else {
        let page = if live.is_some() { page::invalid_code(cx) } else { page::cookie_not_found(cx) };
        return Ok(Begun::Answer(page));
    };
    if query.get("client_id") != Some(&request.client_id) {
        return Ok(Begun::Answer(page::invalid_code(cx)));
    }
    if request.device.is_some() {
        if let Err(over) = device::standing(cx, &request).await? {
            return Ok(Begun::Answer(over));
        }
    } else if let Err(refusal) = law::revalidate(&cx.view.records, &cx.base.url, &request) {
        return Ok(Begun::Answer(authorize::refuse(cx, refusal, None)));
    }
    let mut login = LoginTab::new(request, Stage::Fresh, cx.app.entropy.as_ref());
    login.notice = Some(Notice::LoginTimeout);
    let mut jar = HeaderMap::new();
    let flow = flows::open(cx, live, Purpose::Login(Box::new(login.clone())), &mut jar).await?;
    Ok(Begun::Flow(Box::new(flow), Box::new(login), jar))
}

fn to_start(cx: &Cx<'_>, flow: &Flow, login: &LoginTab) -> Response {
    authorize::found(&address::of(cx, "authenticate", Point::default(), &flow.tab.id, login))
}

/// The restart cookie has served.
pub(crate) fn delete_cookie(cx: &Cx<'_>, jar: &mut HeaderMap) {
    cookies::delete_if_sent(cx.headers, jar, cx.realm_name(), cookies::KC_RESTART);
}
