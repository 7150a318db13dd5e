//! A client's address for logout messages: hears what comes and answers as it is told.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use portcullis_testkit::rp::parameter;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// An answer that never comes.
pub(crate) const SILENCE: u16 = 0;

/// Longer than any answer takes here: a test that waits so long fails.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Inside {
    status: Arc<AtomicU16>,
    heard: mpsc::UnboundedSender<String>,
    /// Calls under way, and the most there ever were.
    calls: Arc<(AtomicUsize, AtomicUsize)>,
}

/// Listens until it is dropped.
pub(crate) struct Ear {
    /// Where.
    pub(crate) url: String,
    status: Arc<AtomicU16>,
    heard: mpsc::UnboundedReceiver<String>,
    calls: Arc<(AtomicUsize, AtomicUsize)>,
    task: JoinHandle<()>,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ear {
    /// An ear that answers with `status`, or with [`SILENCE`].
    pub(crate) async fn open(status: u16) -> Result<Self> {
        let (send, heard) = mpsc::unbounded_channel();
        let status = Arc::new(AtomicU16::new(status));
        let calls = Arc::default();
        let inside = Inside { status: Arc::clone(&status), heard: send, calls: Arc::clone(&calls) };
        let router = Router::new().route("/bye", post(hear)).with_state(inside);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/bye", listener.local_addr()?);
        let serving = axum::serve(listener, router).into_future();
        let task = tokio::spawn(async move {
            // It ends only when the task is aborted.
            let _ = serving.await;
        });
        Ok(Self { url, status, heard, calls, task })
    }

    /// Answers differently from now on.
    pub(crate) fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// The next logout token that comes.
    pub(crate) async fn hears(&mut self) -> Result<String> {
        let heard = tokio::time::timeout(PATIENCE, self.heard.recv()).await.context("nobody called")?;
        parameter(&format!("?{}", heard.context("the ear is closed")?), "logout_token").context("no logout_token")
    }

    /// A logout token that came already.
    pub(crate) fn heard_now(&mut self) -> Result<Option<String>> {
        let Ok(heard) = self.heard.try_recv() else { return Ok(None) };
        parameter(&format!("?{heard}"), "logout_token").context("no logout_token").map(Some)
    }

    /// The most calls at the same time so far.
    pub(crate) fn most_at_once(&self) -> usize {
        self.calls.1.load(Ordering::SeqCst)
    }

    /// Whether something came that nobody waited for.
    pub(crate) fn heard_more(&mut self) -> bool {
        self.heard.try_recv().is_ok()
    }
}

async fn hear(State(inside): State<Inside>, headers: HeaderMap, body: String) -> StatusCode {
    let form = headers.get("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    if !form || inside.heard.send(body).is_err() {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let (now, most) = &*inside.calls;
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    tokio::task::yield_now().await;
    let status = match inside.status.load(Ordering::SeqCst) {
        SILENCE => std::future::pending().await,
        status => StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    now.fetch_sub(1, Ordering::SeqCst);
    status
}

/// Waits until a stored fact is so.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let looking = async {
        while !holds().await? {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, looking).await.context("it never came true")?
}
