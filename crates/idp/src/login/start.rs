//! A validated authorization request comes in: single sign-on, an error for the client, or the first page.

use axum::response::Response;
use http::HeaderMap;
use portcullis_core::login::flow::{LoginTab, Purpose, Stage};
use portcullis_core::login::next::{self, Step};
use portcullis_core::oauth::authorize::{AuthorizeRequest, Refusal, ValidAuthorize};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::response_mode;

use crate::authorize;
use crate::respond::{self, cookies};
use crate::state::Unavailable;

use super::address::{self, Point};
use super::issue::{Issue, Issued, issue};
use super::page::{self, Say};
use super::sso::Sso;
use super::{Cx, flows, sso, steps};

/// Goes on with a request that passed the check table.
pub(crate) async fn start(cx: &Cx<'_>, valid: ValidAuthorize) -> Response {
    begin(cx, &valid).await.unwrap_or_else(|Unavailable| respond::unavailable())
}

async fn begin(cx: &Cx<'_>, valid: &ValidAuthorize) -> Result<Response, Unavailable> {
    if let Some(sso) = Sso::current(cx).await?
        && let Some(response) = with_session(cx, valid, Some(sso)).await?
    {
        return Ok(response);
    }
    // Nobody is logged in, or the session ended under our hands.
    let response = with_session(cx, valid, None).await?;
    Ok(response.unwrap_or_else(|| refusal(cx, valid, Reason::LoginRequired)))
}

/// Opens a tab for a request that did not come with the browser's own address, and sends the browser to its first page.
pub(crate) async fn enter(cx: &Cx<'_>, request: AuthorizeRequest) -> Result<Response, Unavailable> {
    let live = flows::browser(cx).await?;
    let mut jar = HeaderMap::new();
    flows::set_restart(cx, &mut jar, &request);
    let login = LoginTab::new(request, Stage::Fresh, cx.app.entropy.as_ref());
    let flow = flows::open(cx, live, Purpose::Login(Box::new(login.clone())), &mut jar).await?;
    let first = address::of(cx, "authenticate", Point::default(), &flow.tab.id, &login);
    Ok(page::with_cookies(authorize::found(&first), jar))
}

/// `None` when the session ended meanwhile.
async fn with_session(cx: &Cx<'_>, valid: &ValidAuthorize, sso: Option<Sso>) -> Result<Option<Response>, Unavailable> {
    let request = valid.request();
    let (records, session) = (&cx.view.records, sso.as_ref().map(|s| &s.session));
    let stage = next::entry(records, records.client(&request.client_id), request, session, cx.now.secs());
    let user = sso.map(|s| s.user);
    let step = steps::decide(cx, request, &stage, user.as_ref()).await?;
    let live = flows::browser(cx).await?;
    let mut jar = HeaderMap::new();
    if user.is_none() {
        // A cookie whose session ended is worth nothing (SE-13, SE-29).
        sso::delete_cookies(cx, &mut jar);
    }
    match step {
        Step::Refuse(reason) => {
            if live.is_none() {
                flows::new_browser(cx, &mut jar, true);
            }
            Ok(Some(page::with_cookies(refusal(cx, valid, reason), jar)))
        }
        Step::Issue(proof) => {
            let last_tab = live.is_none();
            if last_tab {
                flows::new_browser(cx, &mut jar, true);
            }
            if !request.prompt.none {
                flows::set_restart(cx, &mut jar, request);
            }
            if last_tab {
                cookies::delete_if_sent(cx.headers, &mut jar, cx.realm_name(), cookies::KC_RESTART);
            }
            let to = valid.redirect().clone();
            match issue(cx, Issue { request, to, proof, attempted: None }, &mut jar).await? {
                Issued::Answer(response) => Ok(Some(page::with_cookies(response, jar))),
                Issued::SessionGone => Ok(None),
            }
        }
        Step::Password | Step::Reauthenticate | Step::SecondFactor | Step::Action(_) | Step::Consent => {
            let stage = if step == Step::Password { Stage::Fresh } else { stage };
            let login = LoginTab::new(request.clone(), stage, cx.app.entropy.as_ref());
            let flow = flows::open(cx, live, Purpose::Login(Box::new(login)), &mut jar).await?;
            flows::set_restart(cx, &mut jar, request);
            let response = match step {
                Step::Action(_) | Step::Consent => steps::to_action(cx, flow, &step).await?,
                Step::Password | Step::Reauthenticate | Step::SecondFactor | Step::Issue(_) | Step::Refuse(_) => {
                    steps::show_password(cx, flow, user.as_ref(), Say::default()).await?
                }
            };
            Ok(Some(page::with_cookies(response, jar)))
        }
    }
}

/// Whether the answer to a request names the issuer.
pub(super) fn names_issuer(cx: &Cx<'_>, request: &AuthorizeRequest) -> bool {
    let records = &cx.view.records;
    records.client(&request.client_id).is_none_or(|client| response_mode::names_issuer(records, client))
}

fn refusal(cx: &Cx<'_>, valid: &ValidAuthorize, reason: Reason) -> Response {
    let request = valid.request();
    let refusal = Refusal::Redirect {
        to: valid.redirect().clone(),
        mode: request.response_mode,
        state: request.state.clone(),
        names_issuer: names_issuer(cx, request),
        reason,
    };
    authorize::refuse(cx, refusal, None)
}
