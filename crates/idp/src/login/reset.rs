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
    Visit::answered(&app, &realm, request, async |cx, _| {
        let text = Text::key("resetNotAvailable");
        Ok(page::closed(cx).unwrap_or_else(|| page::error(cx, None, StatusCode::NOT_FOUND, &ErrorPage::plain(text))))
    })
    .await
}
