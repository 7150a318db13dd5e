//! `POST /realms/{realm}/protocol/openid-connect/revoke` (RFC 7009).
//!
//! **Owns** reading the token, loading what stands behind it, the answer's headers. **Does not own** what ends
//! ([`portcullis_core::oauth::revoke`]).
//! **Flow** form -> [`law::open`] -> signature -> load -> [`law::decide`] -> apply -> 200, empty.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, Method};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::revoke::{self as law, Asked, Loaded, Token};
use portcullis_core::oauth::token::Context;

use crate::bearer;
use crate::client_auth::{self, Asking, Marked};
use crate::extract::{self, Arrival};
use crate::pages::security::Policy;
use crate::respond;
use crate::respond::cors::{self, Allowed};
use crate::respond::html::Surroundings;
use crate::state::{App, RealmView};
use crate::token;
use crate::watch;

const METHODS: &str = "POST, OPTIONS";
const EXPOSED: &str = "Access-Control-Allow-Methods";

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    let arrival = match Arrival::read(&app, &realm, request).await {
        Ok(arrival) => arrival,
        Err(turned) => return turned.into(),
    };
    let base = arrival.base(&app);
    let Arrival { parts, body, peer, view } = arrival;
    let headers = &parts.headers;
    match parts.method {
        Method::OPTIONS => return cors::preflight(headers, METHODS),
        Method::POST => {}
        _ => return respond::wrong_method(),
    }
    if let Some(reason) = token::closed(&view, &peer) {
        return refused(headers, &reason, &Allowed::Any);
    }
    let Ok(params) = extract::form(headers, &body) else {
        return refused(headers, &Reason::InvalidRequest, &Allowed::Any);
    };
    let (issuer, now) = (base.issuer(&realm), app.now());
    let asking = Asking { headers, params: &params, issuer: &issuer, now, ip: &peer.ip };
    let proven = client_auth::authenticate(&app, &view, asking, &mut Marked::default()).await;
    let asked = match law::open(&view.records, &proven, &params) {
        Ok(asked) => asked,
        Err(refusal) => {
            let mut response = refused(headers, &refusal.reason, &token::readers(&view, &refusal));
            watch::client(&mut response, || watch::named_client(headers, &params));
            return response;
        }
    };
    let cx = Context {
        now,
        records: &view.records,
        base: &base.url,
        issuer: &issuer,
        ip: &peer.ip,
        entropy: &*app.entropy,
        resources: &[],
    };
    let allowed = Allowed::of(asked.client);
    match revoke(&app, &view, &cx, &asked).await {
        Ok(()) => done(&app, &view, headers, &allowed),
        Err(reason) => {
            let mut response = refused(headers, &reason, &allowed);
            watch::client(&mut response, || Some(asked.client.client_id.clone()));
            response
        }
    }
}

/// RFC 7009 §2.2: 200 without content. Keycloak 26.4 gives it the headers of a page.
fn done(app: &App, view: &RealmView, request: &HeaderMap, allowed: &Allowed) -> Response {
    let mut response = Response::new(Body::empty());
    Surroundings::of(app, view, []).shield(response.headers_mut(), &Policy::page(view.is_strict()));
    cors::add(&mut response, request, allowed, Some(EXPOSED));
    response
}

/// Keycloak 26.4 says nothing about caching here.
fn refused(request: &HeaderMap, reason: &Reason, allowed: &Allowed) -> Response {
    let mut response = if *reason == Reason::Unavailable {
        respond::unavailable()
    } else {
        let mut response = respond::oauth_error(reason);
        response.headers_mut().remove(CACHE_CONTROL);
        response.headers_mut().remove(PRAGMA);
        response
    };
    cors::add(&mut response, request, allowed, Some(EXPOSED));
    response
}

async fn revoke(app: &App, view: &RealmView, cx: &Context<'_>, asked: &Asked<'_>) -> Result<(), Reason> {
    let unavailable = |_| Reason::Unavailable;
    let refresh = token::refresh_claims(view, asked.token).filter(|claims| claims.is_refresh());
    let signed = bearer::read(view, cx.issuer, asked.token, cx.now).ok();
    let token = match (&refresh, &signed) {
        (Some(claims), _) => Token::Refresh(claims),
        (None, Some(claims)) if bearer::is_access(claims) => Token::Access(claims),
        (None, Some(_)) => Token::Other,
        (None, None) => Token::Unknown,
    };
    let realm = &view.records.realm.id;
    let (session, parts, account) = match token.session() {
        Some(sid) => {
            let session = app.db.user_session(realm, &sid).await.map_err(unavailable)?;
            (session, app.db.client_sessions(realm, &sid).await.map_err(unavailable)?, None)
        }
        None => (None, Vec::new(), app.db.service_account(realm, &asked.client.id).await.map_err(unavailable)?),
    };
    let loaded = Loaded { session: session.as_ref(), parts: &parts, account: account.as_ref() };
    let plan = law::decide(cx, asked.client, token, loaded)?;
    app.db.apply(plan).await.map_err(|error| {
        tracing::warn!(%error, "a revocation was not written");
        Reason::Unavailable
    })
}
