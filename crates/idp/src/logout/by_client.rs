//! Logout by refresh token: no browser, so every client with an address is told by the server.

use axum::response::Response;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use portcullis_core::oauth::backchannel::Audience;
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::logout;

use super::end;
use super::farewell::NO_CACHE;
use crate::client_auth::{self, Asking, Marked};
use crate::login::{Cx, Visit};
use crate::pages::security::Policy;
use crate::respond::html::Surroundings;
use crate::respond::{self, cors};
use crate::state::Unavailable;
use crate::watch;

/// Ends the session of a refresh token that the client presents (Keycloak).
pub(super) async fn answer(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    let issuer = cx.issuer();
    let asking = Asking { headers: &visit.headers, params: &visit.form, issuer: &issuer, now: cx.now, ip: &cx.peer.ip };
    let client = match client_auth::authenticate(cx.app, cx.view, asking, &mut Marked::default()).await {
        Ok(client) => client.client(),
        Err(Reason::Unavailable) => return Err(Unavailable),
        Err(reason) => {
            let mut response = respond::uncached_error(&reason);
            watch::client(&mut response, || watch::named_client(&visit.headers, &visit.form));
            cors::add(&mut response, &visit.headers, &cors::Allowed::Any, Some(cors::EXPOSED));
            return Ok(response);
        }
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
        Some(reason) => {
            let mut response = respond::uncached_error(&reason);
            watch::client(&mut response, || Some(client.client_id.clone()));
            response
        }
        None => {
            end(cx, read.as_ref().map(|t| &t.session), Some(client.id.clone()), Audience::Server).await?;
            let mut response = Response::new(axum::body::Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let headers = response.headers_mut();
            Surroundings::of(cx.app, cx.view, []).shield(headers, &Policy::page(cx.view.is_strict()));
            headers.insert(CACHE_CONTROL, NO_CACHE);
            response
        }
    };
    cors::add(&mut response, &visit.headers, &cors::Allowed::of(client), Some(cors::EXPOSED));
    Ok(response)
}
