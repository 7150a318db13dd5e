//! `login-actions/reset-credentials`: there is no mail yet, so a person is told whom to ask instead of meeting a dead link.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;

use super::{Visit, page};
use crate::pages::{ErrorPage, Text};
use crate::state::App;
use crate::watch::Halt;

/// The endpoint.
pub(super) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, async |cx, _| {
        let page = ErrorPage::plain(Text::key("resetNotAvailable"));
        let told = || page::error(cx, None, StatusCode::NOT_FOUND, &page, Halt::ResetNotAvailable);
        Ok(page::closed(cx).unwrap_or_else(told))
    })
    .await
}
