//! `GET /realms/{realm}/protocol/openid-connect/oauth/oob`: the page from which a person copies a code into a program that no
//! redirect reaches (Keycloak 26.4). Keycloak realms only; what it may show: [`portcullis_core::oauth::out_of_band`].

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, Uri};
use portcullis_core::oauth::out_of_band::{self as law, Shown};

use crate::extract;
use crate::pages::{ErrorPage, OutOfBandPage, Text};
use crate::public;
use crate::respond;
use crate::respond::html::Surroundings;
use crate::state::App;
use crate::watch::Halt;

/// The endpoint.
pub(crate) async fn endpoint(
    State(app): State<Arc<App>>,
    Path(realm): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    let view = match public::view(&app, &realm, &headers).await {
        Ok(view) => view,
        Err(response) => return response,
    };
    if view.is_strict() {
        return respond::halted(StatusCode::NOT_FOUND, "HTTP 404 Not Found", Halt::UnknownPath);
    }
    if method != Method::GET && method != Method::HEAD {
        return respond::wrong_method();
    }
    let around = Surroundings::of(&app, &view, []);
    let params = extract::query(&uri).unwrap_or_default();
    match law::shown(&params) {
        Some(Shown::Code(code)) => around.out_of_band(&OutOfBandPage::code(code)),
        Some(Shown::Error(error)) => around.out_of_band(&OutOfBandPage::error(error)),
        None => {
            let page = ErrorPage::plain(Text::key("invalidRequestMessage"));
            around.error(StatusCode::BAD_REQUEST, &page, Halt::NoAnswer)
        }
    }
}
