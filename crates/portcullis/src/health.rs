//! Liveness and readiness.
//!
//! `/health/live` says the process answers; `/health/ready` says it can serve: the store answers and takes what is
//! written, and the clock is sane.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use portcullis_store::Db;
use serde_json::json;

use crate::clock::Stopwatch;

/// What readiness looks at.
#[derive(Clone)]
pub struct Health {
    db: Db,
    clock: Stopwatch,
}

impl Health {
    /// Of a store and the process's clock.
    #[must_use]
    pub fn of(db: Db, clock: Stopwatch) -> Self {
        Self { db, clock }
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
    let store = health.db.realm_names().await.is_ok() && health.db.writes().await;
    let clock = !health.clock.is_astray();
    let up = store && clock;
    let status = if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |up: bool| if up { "UP" } else { "DOWN" };
    let checks = json!([{ "name": "store", "status": word(store) }, { "name": "clock", "status": word(clock) }]);
    (status, Json(json!({ "status": word(up), "checks": checks }))).into_response()
}
