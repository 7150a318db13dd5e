//! A web site on a free port: files of a folder, texts from memory, and `/api/me` behind the guard.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, Uri, header};
use portcullis_guard::{Guard, Principal};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A port that is taken before anything is served on it, so that others can be told its address.
pub(crate) struct Place {
    /// `http://localhost:PORT`.
    pub(crate) base: String,
    socket: TcpListener,
}

impl Place {
    pub(crate) async fn take() -> Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self { base: format!("http://localhost:{}", socket.local_addr()?.port()), socket })
    }

    /// Serves until the site is dropped.
    pub(crate) fn serve(self, router: Router) -> Site {
        let Self { base, socket } = self;
        let task = tokio::spawn(async move {
            // It ends only when the task is aborted.
            let _ = axum::serve(socket, router).await;
        });
        Site { base, task }
    }
}

/// A running site.
pub(crate) struct Site {
    /// `http://localhost:PORT`.
    pub(crate) base: String,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Files {
    folder: PathBuf,
    config: Value,
}

/// The files of `folder`, and `config` as `/config.json`.
pub(crate) fn files(folder: PathBuf, config: Value) -> Router {
    Router::new().fallback(get(file)).with_state(Arc::new(Files { folder, config }))
}

async fn file(State(files): State<Arc<Files>>, uri: Uri) -> Response {
    let path = Path::new(uri.path().trim_start_matches('/'));
    if path == Path::new("config.json") {
        return Json(files.config.clone()).into_response();
    }
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    let bytes = inside.then(|| std::fs::read(files.folder.join(path)).ok()).flatten();
    let Some(bytes) = bytes else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match path.extension().and_then(|e| e.to_str()) {
        Some("js") => "text/javascript",
        Some("html") => "text/html;charset=utf-8",
        _ => "application/octet-stream",
    };
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}

/// `/api/me`, open to tokens of `issuer` for the audience `walk-api`.
pub(crate) fn guarded(issuer: &str) -> Result<Router> {
    let guard = Guard::builder().issuer(issuer).audience("walk-api").bearer().build()?;
    Ok(Router::new().route("/api/me", get(me)).layer(guard.layer()))
}

async fn me(Extension(principal): Extension<Principal>) -> Json<Value> {
    Json(json!({ "subject": principal.subject() }))
}

/// `/back` and `/posted`, where an application would take the answer of a login: they show what came, and how.
pub(crate) fn callbacks() -> Router {
    let shown = |text: String| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        axum::response::Html(format!("<!doctype html><title>Back</title><pre id=\"came\">{text}</pre>"))
    };
    Router::new()
        .route("/back", get(move |uri: Uri| async move { shown(uri.query().unwrap_or_default().to_owned()) }))
        .route("/posted", post(move |body: String| async move { shown(body) }))
}
