//! `POST /realms/{realm}/protocol/openid-connect/revoke` (RFC 7009).
//!
//! **Owns** reading the token, loading what stands behind it, the answer's headers. **Does not own** what ends
//! ([`portcullis_core::oauth::revoke`]).
//! **Flow** form -> [`law::open`] -> signature -> load -> [`law::decide`] -> apply -> 200, empty.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::HeaderMap;
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::revoke::{self as law, Asked, Loaded, Token};
use portcullis_core::oauth::token::Context;

use crate::bearer;
use crate::client_auth::{Manners, Posted};
use crate::pages::security::Policy;
use crate::respond;
use crate::respond::cors::{self, Allowed};
use crate::respond::html::Surroundings;
use crate::state::{App, RealmView};
use crate::token;
use crate::watch;

const METHODS: &str = "POST, OPTIONS";

const MANNERS: Manners = Manners {
    options: |headers| cors::preflight(headers, METHODS),
    refused: |headers, reason| respond::refused(headers, reason, &Allowed::Any),
};

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    let posted = match Posted::read(&app, &realm, request, &MANNERS).await {
        Ok(posted) => posted,
        Err(answer) => return answer,
    };
    let (view, headers, proven) = (&posted.view, &posted.headers, posted.client(&app).await);
    let asked = match law::open(&view.records, &proven, &posted.params) {
        Ok(asked) => asked,
        Err(refusal) => {
            return posted.named(respond::refused(headers, &refusal.reason, &token::readers(view, &refusal)));
        }
    };
    let allowed = Allowed::of(asked.client);
    match revoke(&app, view, &posted.context(&app), &asked).await {
        Ok(()) => done(&app, view, headers, &allowed),
        Err(reason) => {
            let mut response = respond::refused(headers, &reason, &allowed);
            watch::client(&mut response, || Some(asked.client.client_id.clone()));
            response
        }
    }
}

/// RFC 7009 §2.2: 200 without content. Keycloak 26.4 gives it the headers of a page.
fn done(app: &App, view: &RealmView, request: &HeaderMap, allowed: &Allowed) -> Response {
    let mut response = Response::new(Body::empty());
    Surroundings::of(app, view, []).shield(response.headers_mut(), &Policy::page(view.is_strict()));
    cors::add(&mut response, request, allowed, Some(cors::EXPOSED));
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
    let loaded = Loaded { session: session.as_ref(), parts: &parts, account: account.as_deref() };
    let plan = law::decide(cx, asked.client, token, loaded)?;
    app.db.apply(plan).await.map_err(|error| {
        tracing::warn!(%error, "a revocation was not written");
        Reason::Unavailable
    })
}
