//! `login-actions/reset-credentials`: there is no mail yet, so a person is told whom to ask instead of meeting a dead link.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;

use super::{Visit, page};
use crate::pages::{ErrorPage, Text};
use crate::state::App;

/// The endpoint.
pub(super) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    let visit = match Visit::read(&app, &realm, request).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let cx = visit.cx(&app);
    if let Some(closed) = page::closed(&cx) {
        return closed;
    }
    page::error(&cx, None, StatusCode::NOT_FOUND, &ErrorPage::plain(Text::key("resetNotAvailable")))
}
