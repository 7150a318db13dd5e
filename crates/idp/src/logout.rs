//! `GET|POST /realms/{realm}/protocol/openid-connect/logout` and its confirmation (OIDC RP-Initiated Logout 1.0; by refresh token).
//!
//! The law judges ([`portcullis_core::oauth::logout`]); the session ends in one plan with its audit row and the messages to its
//! clients, then cookies go. A session that could not be ended is never called ended: the page offers another try (LO-17).

mod by_client;
mod farewell;

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use portcullis_core::event::Event;
use portcullis_core::ids::{ClientUuid, SessionId};
use portcullis_core::login::flow::{LogoutTab, Purpose};
use portcullis_core::oauth::backchannel::{Audience, Frame};
use portcullis_core::oauth::logout::{self, Consent, Refusal, ValidLogout};
use portcullis_core::plan::Write;

use crate::ending::{self, Place};
use crate::login::{self, Cx, Sso, Visit, flows, restart};
use crate::pages::{Advice, Developer, ErrorPage, InfoPage, LogoutConfirmPage, Text};
use crate::respond::{self, cors};
use crate::state::{App, Unavailable};
use crate::watch::{self, Halt};

use farewell::{Farewell, error, gone, page};

/// The client that stands for nobody (Keycloak 26.4).
const NOBODY: &str = "account";

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, answer).await
}

async fn answer(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    match visit.method {
        Method::OPTIONS => Ok(cors::preflight(&visit.headers, "GET, HEAD, OPTIONS")),
        Method::GET => Ok(by_browser(cx, visit).await),
        Method::POST if visit.form.has("refresh_token") => by_client::answer(cx, visit).await,
        Method::POST => Ok(by_browser(cx, visit).await),
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
        Method::GET => Ok(page(cx, &[], StatusCode::BAD_REQUEST, &InfoPage::new(Text::key("successLogout")))),
        Method::POST => confirmed(cx, visit).await,
        _ => Ok(respond::wrong_method()),
    }
}

async fn by_browser(cx: &Cx<'_>, visit: &Visit) -> Response {
    let params = if visit.method == Method::POST { &visit.form } else { &visit.query };
    let (records, keys, issuer) = (&cx.view.records, cx.view.keys.verifying(), cx.issuer());
    let valid = match logout::decide(records, keys, &issuer, &cx.base.url, params) {
        Ok(valid) => valid,
        Err(refusal) => {
            let mut response = refused(cx, refusal);
            watch::client(&mut response, || params.get("client_id").map(str::to_owned));
            return response;
        }
    };
    let answer = match browser_logout(cx, &valid).await {
        Ok(answer) => answer,
        Err(Unavailable) => failed(cx, tab(&valid)).await,
    };
    // Keycloak 26.4 answers a posted logout with the headers of a page.
    if visit.method == Method::POST { login::as_page(cx, answer) } else { answer }
}

async fn browser_logout(cx: &Cx<'_>, valid: &ValidLogout<'_>) -> Result<Response, Unavailable> {
    let sso = Sso::current(cx).await?;
    let browser = sso.as_ref().map(|s| s.session.id.clone());
    let farewell = |frames| Farewell {
        to: valid.redirect.clone(),
        state: valid.state.clone(),
        frames,
        locales: &valid.ui_locales,
    };
    match logout::consent(valid, browser.as_ref()) {
        Consent::Needed => ask(cx, tab(valid), false).await,
        Consent::Needless => {
            let mut jar = HeaderMap::new();
            if flows::browser(cx).await?.is_none() {
                flows::new_browser(cx, &mut jar, false);
            }
            Ok(gone(cx, farewell(Vec::new()), jar))
        }
        Consent::Given => {
            let session = browser.clone().or_else(|| valid.hint.as_ref().and_then(|h| h.session.clone()));
            let frames = end(cx, session.as_ref(), valid.client.map(|c| c.id.clone()), Audience::Browser).await?;
            let mut jar = HeaderMap::new();
            // The restart cookie goes with the flow that it would restart (Keycloak 26.4).
            match flows::browser(cx).await? {
                Some(_) => restart::delete_cookie(cx, &mut jar),
                None => _ = flows::new_browser(cx, &mut jar, false),
            }
            login::forget(cx, &mut jar).await?;
            Ok(gone(cx, farewell(frames), jar))
        }
    }
}

/// What the confirmation has to know.
fn tab(valid: &ValidLogout<'_>) -> LogoutTab {
    LogoutTab {
        client: valid.client.map(|c| c.id.clone()),
        client_id: valid.client.map_or(NOBODY, |c| c.client_id.as_str()).to_owned(),
        redirect: valid.redirect.as_ref().map(|r| r.as_str().to_owned()),
        state: valid.state.clone(),
        session: None,
        ui_locales: valid.ui_locales.clone(),
    }
}

/// The page that asks; `again`: after a try that failed.
async fn ask(cx: &Cx<'_>, tab: LogoutTab, again: bool) -> Result<Response, Unavailable> {
    let (client_id, locales) = (tab.client_id.clone(), tab.ui_locales.clone());
    let mut jar = HeaderMap::new();
    let live = flows::browser(cx).await?;
    let mut flow = flows::open(cx, live, Purpose::Logout(tab), &mut jar).await?;
    let code = flow.tab.mint_code(cx.app.entropy.as_ref());
    flows::save(cx, &flow).await?;
    let action = format!(
        "/realms/{}/protocol/openid-connect/logout/logout-confirm?client_id={}&tab_id={}",
        login::encoded(cx.realm_name()),
        login::encoded(&client_id),
        flow.tab.id,
    );
    let asked = LogoutConfirmPage { action, session_code: code.expose().to_owned(), back_url: None, failed: again };
    let status = if again { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok(login::with_cookies(page(cx, &locales, status, &asked), jar))
}

/// The session may live on: the browser forgets it, and the page tries again for it (LO-17).
async fn failed(cx: &Cx<'_>, mut tab: LogoutTab) -> Response {
    tab.session = tab.session.or_else(|| Sso::named(cx));
    let locales = tab.ui_locales.clone();
    tracing::error!(realm = cx.realm_name(), "a session could not be ended");
    let mut jar = HeaderMap::new();
    login::delete_session_cookies(cx, &mut jar);
    let page = match ask(cx, tab, true).await {
        Ok(page) => page,
        Err(Unavailable) => {
            let page = ErrorPage::server(Text::key("failedLogout"));
            error(cx, &locales, StatusCode::SERVICE_UNAVAILABLE, &page, Halt::LogoutNotWritten)
        }
    };
    login::with_cookies(page, jar)
}

async fn confirmed(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    let refused = || {
        let page = ErrorPage::plain(Text::key("failedLogout"));
        Ok(error(cx, &[], StatusCode::BAD_REQUEST, &page, Halt::LogoutNotConfirmed))
    };
    if login::is_foreign(cx.headers, &cx.base) {
        return Ok(login::foreign(cx));
    }
    let Some(mut flow) = flows::lookup(cx, &visit.query).await? else { return refused() };
    let code = visit.form.get("session_code").unwrap_or_default();
    let Purpose::Logout(tab) = flow.tab.purpose.clone() else { return refused() };
    if !flow.tab.code_matches(code) || !visit.form.has("confirmLogout") {
        return refused();
    }
    flows::close(cx, &mut flow).await?;
    Ok(match said_yes(cx, &tab).await {
        Ok(answer) => login::as_page(cx, answer),
        Err(Unavailable) => failed(cx, tab).await,
    })
}

async fn said_yes(cx: &Cx<'_>, tab: &LogoutTab) -> Result<Response, Unavailable> {
    let session = Sso::current(cx).await?.map(|s| s.session.id).or_else(|| tab.session.clone());
    let client = tab.client.as_ref().and_then(|id| cx.view.records.client_by_uuid(id));
    let frames = end(cx, session.as_ref(), client.map(|c| c.id.clone()), Audience::Browser).await?;
    let mut jar = HeaderMap::new();
    restart::delete_cookie(cx, &mut jar);
    login::forget(cx, &mut jar).await?;
    // The address was matched when the page was made; it is matched again by what is registered now.
    let matched = client.zip(tab.redirect.as_deref());
    let to = matched.and_then(|(c, uri)| logout::post_logout_redirect(&cx.view.records, c, &cx.base.url, uri));
    Ok(gone(cx, Farewell { to, state: tab.state.clone(), frames, locales: &tab.ui_locales }, jar))
}

fn refused(cx: &Cx<'_>, refusal: Refusal) -> Response {
    let halt = match refusal {
        Refusal::MissingHint => Halt::LogoutHintMissing,
        Refusal::InvalidHint => Halt::LogoutHintInvalid,
        Refusal::InvalidRedirect => Halt::LogoutRedirect,
        Refusal::Repeated => Halt::LogoutRepeated,
    };
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
    error(cx, &[], StatusCode::BAD_REQUEST, &ErrorPage::application(message, developer), halt)
}

/// Ends a session with everything below it; one that ended before is no error. What the page has to frame.
async fn end(
    cx: &Cx<'_>,
    session: Option<&SessionId>,
    client: Option<ClientUuid>,
    audience: Audience,
) -> Result<Vec<Frame>, Unavailable> {
    let Some(session) = session else { return Ok(Vec::new()) };
    let issuer = cx.issuer();
    let place = Place { app: cx.app, view: cx.view, issuer: &issuer, now: cx.now };
    let audit = |found: &portcullis_core::session::UserSession| {
        vec![Write::Audit(Event {
            user: Some(found.user.clone()),
            client: client.clone(),
            session: Some(session.clone()),
            ..cx.event("LOGOUT")
        })]
    };
    let ended = ending::end(place, session, audience, audit).await?;
    Ok(ended.map(|ended| ended.frames(place)).unwrap_or_default())
}
