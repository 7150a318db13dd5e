//! Liveness and readiness.
//!
//! `/health/live` says the process answers; `/health/ready` says it can serve: the store answers and the clock is sane.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use portcullis_store::Db;
use serde_json::json;

/// What readiness looks at.
#[derive(Clone)]
pub struct Health {
    db: Db,
}

impl Health {
    /// Of a store.
    #[must_use]
    pub fn of(db: Db) -> Self {
        Self { db }
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/health/live", get(async || Json(json!({ "status": "UP" }))))
            .route("/health/ready", get(ready))
            .route("/health", get(ready))
            .with_state(Arc::new(self))
    }
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    use axum::response::IntoResponse as _;
    let up = health.db.realm_names().await.is_ok();
    let status = if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |up: bool| if up { "UP" } else { "DOWN" };
    (status, Json(json!({ "status": word(up), "checks": [{ "name": "store", "status": word(up) }] }))).into_response()
}
