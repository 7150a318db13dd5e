//! `POST /realms/{realm}/protocol/openid-connect/ext/par/request` (RFC 9126), and the handle's use at the authorization endpoint.
//!
//! **Owns** the answer's headers, finding the kept request. **Does not own** any rule ([`portcullis_core::oauth::par`]), using the
//! request up (the plan of the login's end). **Flow** form -> client -> [`law::open`] -> row -> 201; later handle -> [`law::redeem`] -> login.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{Method, StatusCode};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::par::{self as law, Handle};
use portcullis_core::oauth::params::Params;
use portcullis_store::ApplyError;
use serde_json::json;

use crate::authorize;
use crate::client_auth::{self, Asking, Marked};
use crate::login::{self, Cx, Visit};
use crate::rate::{self, Rate};
use crate::respond;
use crate::respond::cors::{self, Allowed};
use crate::state::{App, Unavailable};
use crate::token;
use crate::watch;

/// DS-17: rows that one place may fill in the name of public clients.
const OF_PLACE: Rate = Rate { name: "pushed-request", most: 120, window: rate::WINDOW };

/// DS-17: rows that one client may fill that proves who it is, wherever it runs: a hundred logins a second.
const OF_CLIENT: Rate = Rate { name: "pushed-request-client", most: 6000, window: rate::WINDOW };

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, async |cx: &Cx<'_>, visit: &Visit| match visit.method {
        Method::OPTIONS => Ok(respond::options()),
        Method::POST => push(cx, &visit.form).await,
        _ => Ok(respond::wrong_method()),
    })
    .await
}

async fn push(cx: &Cx<'_>, form: &Params) -> Result<Response, Unavailable> {
    if let Some(reason) = token::closed(cx.view, &cx.peer) {
        return Ok(respond::refused(cx.headers, &reason, &Allowed::Any));
    }
    let (records, issuer) = (&cx.view.records, cx.issuer());
    let asking = Asking { headers: cx.headers, params: form, issuer: &issuer, now: cx.now, ip: &cx.peer.ip };
    let proven = client_auth::authenticate(cx.app, cx.view, asking, &mut Marked::default()).await;
    let accepted = match law::open(records, &cx.base.url, &proven, form) {
        Ok(accepted) => accepted,
        Err(refusal) => {
            let mut response = respond::refused(cx.headers, &refusal.reason, &token::readers(cx.view, &refusal));
            watch::client(&mut response, || watch::named_client(cx.headers, form));
            return Ok(response);
        }
    };
    let client = accepted.client.client();
    let allowed = Allowed::of(client);
    let within = if client.is_public() {
        OF_PLACE.take(cx.app, &records.realm.id, &rate::place(&cx.peer.ip), cx.now).await?
    } else {
        OF_CLIENT.take(cx.app, &records.realm.id, client.id.as_str(), cx.now).await?
    };
    if !within {
        return Ok(respond::refused(cx.headers, &Reason::TooManyRequests, &allowed));
    }
    let pushed = law::push(&cx.context(&issuer), &accepted);
    match cx.app.db.apply(pushed.plan).await {
        Ok(()) => {}
        // The client was removed meanwhile.
        Err(ApplyError::Gate(_)) => {
            return Ok(respond::refused(cx.headers, &Reason::PushUnauthenticated, &Allowed::Any));
        }
        Err(_) => return Err(Unavailable),
    }
    let body = json!({ "request_uri": pushed.request_uri, "expires_in": pushed.expires_in });
    let mut response = respond::json(StatusCode::CREATED, &body);
    cors::add(&mut response, cx.headers, &allowed, Some(cors::EXPOSED));
    Ok(response)
}

/// A browser comes with a handle: its request is judged again and a login begins. Until one of them is over, others may begin (P-06).
pub(crate) async fn redeem(cx: &Cx<'_>, handle: &Handle, params: &Params) -> Result<Response, Unavailable> {
    let found = cx.app.db.pushed_request(&cx.view.records.realm.id, &handle.hash).await.map_err(|_| Unavailable)?;
    let issuer = cx.issuer();
    let redeemed = law::redeem(&cx.context(&issuer), handle, found.as_ref());
    let keys = cx.view.keys.verifying();
    let kept = &redeemed.params;
    match redeemed.answer.and_then(|valid| valid.hinted(&cx.view.records, kept, keys, &issuer)) {
        // Nobody will look at a page, so there is none to come back to (Keycloak 26.4).
        Ok(valid) if valid.request().prompt.none => Ok(login::start(cx, valid).await),
        Ok(valid) => login::enter(cx, valid.request().clone()).await,
        Err(refusal) => Ok(authorize::refuse(cx, refusal, Some(params))),
    }
}
