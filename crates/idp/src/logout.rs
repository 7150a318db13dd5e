//! `GET|POST /realms/{realm}/protocol/openid-connect/logout` and its confirmation (OIDC RP-Initiated Logout 1.0; by refresh token).
//!
//! The law judges ([`portcullis_core::oauth::logout`]); the session ends in one plan with its audit row, then cookies go.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use portcullis_core::ending;
use portcullis_core::entropy;
use portcullis_core::event::Event;
use portcullis_core::ids::{ClientUuid, EventId, SessionId};
use portcullis_core::login::flow::{LogoutTab, Purpose};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::logout::{self, Consent, Refusal, ValidLogout};
use portcullis_core::plan::{Lane, Plan, Write};

use crate::client_auth::{self, Asking, Marked};
use crate::login::{self, Cx, Sso, Visit, flows, restart};
use crate::pages::security::Policy;
use crate::pages::{Advice, Developer, ErrorPage, InfoPage, LogoutConfirmPage, Page, Text};
use crate::respond::html::Surroundings;
use crate::respond::{self, Shield, cors};
use crate::state::{App, Unavailable};

/// Pages of the logout may be kept but are asked for anew (Keycloak 26.4).
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// The client that stands for nobody (Keycloak 26.4).
const NOBODY: &str = "account";

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, answer).await
}

async fn answer(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    match visit.method {
        Method::OPTIONS => Ok(cors::preflight(&visit.headers, "GET, HEAD, OPTIONS")),
        Method::GET => by_browser(cx, visit).await,
        Method::POST if visit.form.has("refresh_token") => by_refresh_token(cx, visit).await,
        Method::POST => by_browser(cx, visit).await,
        _ => Ok(respond::wrong_method()),
    }
}

/// The answer to the confirmation page.
pub(crate) async fn confirm(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, confirmation).await
}

async fn confirmation(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    match visit.method {
        // Keycloak 26.4: whoever comes without a form has nothing left to confirm.
        Method::GET => Ok(page(cx, StatusCode::BAD_REQUEST, &InfoPage::new(Text::key("successLogout")))),
        Method::POST => confirmed(cx, visit).await,
        _ => Ok(respond::wrong_method()),
    }
}

// --- by a browser --------------------------------------------------------------------------------------------------

async fn by_browser(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    let params = if visit.method == Method::POST { &visit.form } else { &visit.query };
    let (records, keys, issuer) = (&cx.view.records, cx.view.keys.verifying(), cx.issuer());
    let valid = match logout::decide(records, keys, &issuer, &cx.base.url, params) {
        Ok(valid) => valid,
        Err(refusal) => return Ok(refused(cx, refusal)),
    };
    // Keycloak 26.4 answers a posted logout with the headers of a page.
    let answer = browser_logout(cx, &valid).await?;
    Ok(if visit.method == Method::POST { login::as_page(cx, answer) } else { answer })
}

async fn browser_logout(cx: &Cx<'_>, valid: &ValidLogout<'_>) -> Result<Response, Unavailable> {
    let sso = Sso::current(cx).await?;
    let browser = sso.as_ref().map(|s| s.session.id.clone());
    match logout::consent(valid, browser.as_ref()) {
        Consent::Needed => ask(cx, valid).await,
        Consent::Needless => {
            Ok(gone(cx, valid.redirect.as_ref().map(|r| r.as_str()), valid.state.as_deref(), HeaderMap::new()))
        }
        Consent::Given => {
            let session = browser.clone().or_else(|| valid.hint.as_ref().and_then(|h| h.session.clone()));
            let client = valid.client.map(|c| c.id.clone());
            let mut jar = HeaderMap::new();
            // The restart cookie goes with the flow that it would restart (Keycloak 26.4).
            match flows::browser(cx).await? {
                Some(_) => restart::delete_cookie(cx, &mut jar),
                None => _ = flows::new_browser(cx, &mut jar, false),
            }
            end(cx, session.as_ref(), client).await?;
            login::forget(cx, &mut jar).await?;
            Ok(gone(cx, valid.redirect.as_ref().map(|r| r.as_str()), valid.state.as_deref(), jar))
        }
    }
}

async fn ask(cx: &Cx<'_>, valid: &ValidLogout<'_>) -> Result<Response, Unavailable> {
    let client_id = valid.client.map_or(NOBODY, |c| c.client_id.as_str()).to_owned();
    let purpose = Purpose::Logout(LogoutTab {
        client: valid.client.map(|c| c.id.clone()),
        client_id: client_id.clone(),
        redirect: valid.redirect.as_ref().map(|r| r.as_str().to_owned()),
        state: valid.state.clone(),
    });
    let mut jar = HeaderMap::new();
    let live = flows::browser(cx).await?;
    let mut flow = flows::open(cx, live, purpose, &mut jar).await?;
    let code = flow.tab.mint_code(cx.app.entropy.as_ref());
    flows::save(cx, &flow).await?;
    let action = format!(
        "/realms/{}/protocol/openid-connect/logout/logout-confirm?client_id={}&tab_id={}",
        login::encoded(cx.realm_name()),
        login::encoded(&client_id),
        flow.tab.id,
    );
    let asked = LogoutConfirmPage { action, session_code: code.expose().to_owned(), back_url: None };
    Ok(login::with_cookies(page(cx, StatusCode::OK, &asked), jar))
}

async fn confirmed(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    let failed = || {
        let page = ErrorPage::plain(Text::key("failedLogout"));
        error(cx, &page)
    };
    if login::is_foreign(cx.headers, &cx.base) {
        return Ok(login::foreign(cx));
    }
    let Some(mut flow) = flows::lookup(cx, &visit.query).await? else { return Ok(failed()) };
    let code = visit.form.get("session_code").unwrap_or_default();
    let Purpose::Logout(tab) = flow.tab.purpose.clone() else { return Ok(failed()) };
    if !flow.tab.code_matches(code) || !visit.form.has("confirmLogout") {
        return Ok(failed());
    }
    flows::close(cx, &mut flow).await?;
    let session = Sso::current(cx).await?.map(|s| s.session.id);
    let client = tab.client.as_ref().and_then(|id| cx.view.records.client_by_uuid(id));
    let mut jar = HeaderMap::new();
    end(cx, session.as_ref(), client.map(|c| c.id.clone())).await?;
    restart::delete_cookie(cx, &mut jar);
    login::forget(cx, &mut jar).await?;
    // The address was matched when the page was made; it is matched again by what is registered now.
    let matched = client.zip(tab.redirect.as_deref());
    let matched = matched.and_then(|(c, uri)| logout::post_logout_redirect(&cx.view.records, c, &cx.base.url, uri));
    Ok(login::as_page(cx, gone(cx, matched.as_ref().map(|r| r.as_str()), tab.state.as_deref(), jar)))
}

/// Where a logout ends: at the client, or on a page of ours.
fn gone(cx: &Cx<'_>, to: Option<&str>, state: Option<&str>, jar: HeaderMap) -> Response {
    let Some(to) = to else {
        let done = page(cx, StatusCode::OK, &InfoPage::new(Text::key("successLogout")));
        return login::with_cookies(done, jar);
    };
    let location = match state {
        Some(state) => {
            let separator = if to.contains('?') { '&' } else { '?' };
            format!("{to}{separator}state={}", login::encoded(state))
        }
        None => to.to_owned(),
    };
    let mut response = respond::empty(StatusCode::FOUND);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    if let Ok(value) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, value);
    }
    login::with_cookies(response, jar)
}

fn refused(cx: &Cx<'_>, refusal: Refusal) -> Response {
    let (message, advice, parameter) = match refusal {
        Refusal::MissingHint => {
            (Text::with("missingParameterMessage", ["id_token_hint"]), Advice::Request, "id_token_hint")
        }
        Refusal::InvalidHint => {
            (Text::with("invalidParameterMessage", ["id_token_hint"]), Advice::IdTokenHint, "id_token_hint")
        }
        Refusal::InvalidRedirect => {
            (Text::key("invalidRedirectUriMessage"), Advice::PostLogoutRedirectUri, "post_logout_redirect_uri")
        }
        Refusal::Repeated => (Text::key("invalidRequestMessage"), Advice::Request, ""),
    };
    let mut developer = Developer::new(advice);
    if !parameter.is_empty() {
        developer = developer.parameter(parameter);
    }
    tracing::debug!(?refusal, "logout refused");
    error(cx, &ErrorPage::application(message, developer))
}

fn error(cx: &Cx<'_>, page: &ErrorPage) -> Response {
    let mut response = Surroundings::of(cx.app, cx.view, []).error(StatusCode::BAD_REQUEST, page);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

fn page<P: Page>(cx: &Cx<'_>, status: StatusCode, page: &P) -> Response {
    let mut response = Surroundings::of(cx.app, cx.view, []).page(status, page);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

// --- by a client ---------------------------------------------------------------------------------------------------

async fn by_refresh_token(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    let issuer = cx.issuer();
    let asking = Asking { headers: &visit.headers, params: &visit.form, issuer: &issuer, now: cx.now };
    let client = match client_auth::authenticate(cx.app, cx.view, asking, &mut Marked::default()).await {
        Ok(client) => client.client(),
        Err(Reason::Unavailable) => return Err(Unavailable),
        Err(reason) => return Ok(json_error(&reason)),
    };
    let one = visit.form.count("refresh_token") == 1;
    let token = visit.form.get("refresh_token").filter(|_| one);
    let read = token.and_then(|t| logout::read_refresh_token(t, cx.view.keys.verifying(), &cx.issuer()));
    let refusal = match &read {
        None => Some(Reason::InvalidRefreshToken),
        Some(token) if token.client_id != client.client_id => Some(Reason::RefreshTokenOfAnotherClient),
        Some(_) => None,
    };
    let mut response = match refusal {
        Some(reason) => json_error(&reason),
        None => {
            end(cx, read.as_ref().map(|t| &t.session), Some(client.id.clone())).await?;
            let mut response = Response::new(axum::body::Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let headers = response.headers_mut();
            Surroundings::of(cx.app, cx.view, []).shield(headers, &Policy::page(cx.view.is_strict()));
            headers.insert(CACHE_CONTROL, NO_CACHE);
            response
        }
    };
    cors::add(&mut response, &visit.headers, &cors::Allowed::of(client), Some("Access-Control-Allow-Methods"));
    Ok(response)
}

/// Keycloak 26.4 says nothing about caching here.
fn json_error(reason: &Reason) -> Response {
    let mut response = respond::oauth_error(reason);
    response.headers_mut().remove(CACHE_CONTROL);
    response.headers_mut().remove(http::header::PRAGMA);
    respond::shield(response.headers_mut(), Shield::Api);
    response
}

// --- both ----------------------------------------------------------------------------------------------------------

/// Ends a session with everything below it; one that ended before is no error.
async fn end(cx: &Cx<'_>, session: Option<&SessionId>, client: Option<ClientUuid>) -> Result<(), Unavailable> {
    let Some(session) = session else { return Ok(()) };
    let realm = &cx.view.records.realm.id;
    let Some(found) = cx.app.db.user_session(realm, session).await.map_err(|_| Unavailable)? else { return Ok(()) };
    let event = Event {
        id: EventId::new(entropy::uuid(cx.app.entropy.as_ref())),
        time: cx.now.millis(),
        realm: realm.clone(),
        kind: "LOGOUT",
        user: Some(found.user),
        client,
        session: Some(session.clone()),
        ip_address: cx.peer.ip.clone(),
        error: None,
        details: BTreeMap::new(),
    };
    let mut writes = ending::session(&cx.view.records, session, cx.now);
    writes.push(Write::Audit(event));
    cx.app.db.apply(Plan::new(Lane::Gate, writes)).await.map_err(|_| Unavailable)
}
