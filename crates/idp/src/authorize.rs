//! `GET|POST /realms/{realm}/protocol/openid-connect/auth` (RFC 6749 §3.1, OIDC Core §3.1.2).
//!
//! The law judges ([`portcullis_core::oauth::authorize`]); a valid request goes on to the login room, a refusal is shown or redirected.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use portcullis_core::oauth::authorize::{self, Refusal};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::par::handle;
use portcullis_core::oauth::params::Params;
use portcullis_core::oauth::response_mode::{self, AuthorizeAnswer, ResponseMode};
use portcullis_core::refusal::Shown;

use crate::extract::{self, Arrival};
use crate::login::{self, Cx};
use crate::pages::security;
use crate::pages::{Advice, Developer, ErrorPage, FormPostPage, Text};
use crate::par;
use crate::respond::html::{self, Surroundings};
use crate::respond::{self, Shield};
use crate::state::{App, Unavailable};
use crate::watch::{self, Why};

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    let arrival = match Arrival::read(&app, &realm, request).await {
        Ok(arrival) => arrival,
        Err(turned) => return turned.into(),
    };
    let base = arrival.base(&app);
    let Arrival { parts, body, peer, view } = arrival;
    let cx = Cx { app: &app, view: &view, base, peer, headers: &parts.headers, now: app.now() };
    let params = match (&parts.method, read(&parts.method, &parts.headers, &parts.uri, &body)) {
        (&Method::OPTIONS, _) => return options(),
        // AZ-33: HEAD would begin a flow that nobody sees. Keycloak 26.4 takes it as GET.
        (&Method::HEAD, _) if view.is_strict() => {
            return respond::wrong_method();
        }
        (&(Method::GET | Method::HEAD | Method::POST), Ok(params)) => params,
        (&(Method::GET | Method::HEAD | Method::POST), Err(_)) => return show(&cx, &Reason::InvalidRequest, None),
        _ => return respond::wrong_method(),
    };
    if let Some(response) = closed(&cx, Some(&params)) {
        return response;
    }
    let mut response = if let Some(handle) = handle(&params) {
        let redeemed = par::redeem(&cx, &handle, &params).await;
        redeemed.unwrap_or_else(|Unavailable| respond::unavailable())
    } else {
        let decided = authorize::decide(&view.records, &cx.base.url, &params)
            .and_then(|valid| valid.hinted(&view.records, &params, view.keys.verifying(), &cx.issuer()));
        match decided {
            Ok(valid) => {
                params.get("client_id").into_iter().for_each(watch::tell_client);
                login::start(&cx, valid).await
            }
            Err(refusal) => refuse(&cx, refusal, Some(&params)),
        }
    };
    watch::client(&mut response, || params.get("client_id").map(str::to_owned));
    // Keycloak 26.4 answers a form with the headers of a page.
    if parts.method == Method::POST { login::as_page(&cx, response) } else { response }
}

/// Which methods there are; no CORS, because browsers navigate here (Keycloak 26.4).
pub(crate) fn options() -> Response {
    let mut response = respond::empty(StatusCode::OK);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("HEAD, POST, GET, OPTIONS"));
    response
}

/// AZ-04: a POST may carry parameters in both places; one that stands in both is repeated.
fn read(method: &Method, headers: &HeaderMap, uri: &Uri, body: &Bytes) -> Result<Params, ()> {
    let query = extract::query(uri).map_err(|_| ())?;
    if method != Method::POST {
        return Ok(query);
    }
    let form = extract::form(headers, body).map_err(|_| ())?;
    let pairs = query.iter().chain(form.iter()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    Ok(Params::from_pairs(pairs))
}

/// Shows a refusal, or sends it to the matched redirect URI.
pub(crate) fn refuse(cx: &Cx<'_>, refusal: Refusal, params: Option<&Params>) -> Response {
    match refusal {
        Refusal::Page(reason) => show(cx, &reason, params),
        Refusal::Redirect { to, mode, state, names_issuer, reason } => {
            let iss = names_issuer.then(|| cx.base.issuer(&cx.view.records.realm.name));
            let answer = response_mode::error(to, mode, &reason, state.as_deref(), iss.as_deref());
            let mut response = respond_answer(cx, &answer);
            watch::mark(&mut response, &reason);
            response
        }
    }
}

/// Sends an answer to the client: a redirect, or the page that posts itself (AZ-27: never a 307 or 308).
pub(crate) fn respond_answer(cx: &Cx<'_>, answer: &AuthorizeAnswer) -> Response {
    let answer = &AuthorizeAnswer { to: answer.to.reached(&cx.issuer()), ..answer.clone() };
    if answer.mode == ResponseMode::FormPost {
        let fields = answer.params.iter().map(|(name, value)| (*name, value.as_str()));
        return Surroundings::of(cx.app, cx.view, []).form_post(&FormPostPage::new(answer.location(), fields));
    }
    found(&answer.location())
}

/// 302 with the headers of the authorization endpoint.
pub(crate) fn found(location: &str) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    respond::shield(headers, Shield::Bare);
    headers.insert(CACHE_CONTROL, security::NO_STORE);
    if let Ok(value) = HeaderValue::from_str(location) {
        headers.insert(LOCATION, value);
    }
    response
}

/// A realm that takes no requests of this kind, as a page.
pub(crate) fn closed(cx: &Cx<'_>, params: Option<&Params>) -> Option<Response> {
    let reason = crate::token::closed(cx.view, &cx.peer)?;
    let reason = if reason == Reason::RealmDisabled { Reason::RealmClosed } else { reason };
    Some(show(cx, &reason, params))
}

/// An error page of this realm; JSON where the client asks for it (Keycloak 26.4).
pub(crate) fn show(cx: &Cx<'_>, reason: &Reason, params: Option<&Params>) -> Response {
    let wire = reason.wire();
    let status = StatusCode::from_u16(wire.status).unwrap_or(StatusCode::BAD_REQUEST);
    let message = wire.description.unwrap_or(std::borrow::Cow::Borrowed(wire.error)).into_owned();
    let mut why = Why::from(reason).of_client(params.and_then(|p| p.get("client_id")));
    if *reason == Reason::InvalidRedirectUri {
        why = why.received(&Shown::address(params.and_then(|p| p.raw("redirect_uri")).unwrap_or_default()));
    }
    if wants_json(cx.headers) {
        let mut response = respond::generic_error(status, &message);
        watch::mark(&mut response, why);
        return response;
    }
    let locales = params.and_then(|p| p.get("ui_locales")).unwrap_or_default();
    let around = Surroundings::of(cx.app, cx.view, locales.split_whitespace());
    let mut page = ErrorPage::application(Text::plain(message), developer(reason, params));
    if *reason == Reason::InvalidRedirectUri {
        let client = params.and_then(|p| p.get("client_id")).and_then(|id| cx.view.records.client(id));
        page.back_url = client.and_then(|client| client.home(&cx.base.url));
    }
    around.error(status, &page, why)
}

fn developer(reason: &Reason, params: Option<&Params>) -> Developer {
    let known = [
        (Reason::ClientNotFound, Advice::ClientUnknown, "client_id"),
        (Reason::ClientDisabled, Advice::ClientDisabled, "client_id"),
        (Reason::BearerOnlyLogin, Advice::BearerOnly, "client_id"),
        (Reason::InvalidRedirectUri, Advice::RedirectUri, "redirect_uri"),
    ];
    let Some((_, advice, parameter)) = known.into_iter().find(|(r, ..)| r == reason) else {
        return Developer::new(Advice::Request);
    };
    let received = params.and_then(|p| p.raw(parameter)).unwrap_or_default();
    Developer::new(advice).parameter(parameter).received(received)
}

fn wants_json(headers: &HeaderMap) -> bool {
    html::accepts(headers, "application/json") && !html::is_wanted(headers)
}
