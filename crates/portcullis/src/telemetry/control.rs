//! `DIR/control.sock`: how commands speak to the running server of a data folder. HTTP/1 and JSON over a Unix socket that only the
//! server's own user may open.
//!
//! | request | answer |
//! |---|---|
//! | `GET /why/{id}` | 200 and the [`portcullis_core::refusal::Record`], else 404 |
//! | `GET /keys/{realm}` | 200 and a list of lines, else 400 and why not |
//! | `POST /keys/{realm}/rotate/{algorithm}` | 200 and the new key's line, else 400 and why not |
//! | `POST /keys/{realm}/{kid}/{status}` | the same |

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use portcullis_core::time::Clock as _;
use portcullis_idp::Idp;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::Ring;
use crate::clock::SystemClock;
use crate::failure::Failure;
use crate::keys;

/// The socket's name in the data folder.
const NAME: &str = "control.sock";

/// Data folders that are looked at when none is named: the demo's and that of `portcullis idp`.
const USUAL: [&str; 2] = [".portcullis", ".portcullis-idp"];

/// How long one side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest answer a command reads, bytes.
const LONGEST: u64 = 1024 * 1024;

/// What commands may ask about.
#[derive(Clone)]
pub struct Asked {
    /// The refusals of the last hour.
    pub refusals: Arc<Ring>,
    /// The identity provider.
    pub idp: Idp,
}

/// The folder that a command names, else the usual one with a running server.
#[must_use]
pub fn folder(named: Option<&Path>) -> PathBuf {
    let found = || USUAL.iter().map(Path::new).find(|folder| socket(folder).exists());
    named.or_else(found).unwrap_or(Path::new(".portcullis")).to_owned()
}

/// The socket of a data folder.
#[must_use]
pub fn socket(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// A socket that takes questions; they wait until it is served.
pub struct Control {
    path: PathBuf,
    listener: UnixListener,
    owner: u32,
}

/// Makes the socket of a folder. One whose path is too long for a socket has none, and the log says so.
///
/// The folder is locked by its database, so a socket that stands there is of a process that is gone.
#[must_use]
pub fn open(folder: &Path) -> Option<Control> {
    let path = socket(folder);
    match listen(&path) {
        Ok((listener, owner)) => Some(Control { path, listener, owner }),
        Err(error) => {
            tracing::warn!(socket = %path.display(), %error, "no control socket: commands cannot ask this server");
            None
        }
    }
}

/// Answers until `stop`.
pub async fn serve(control: Control, asked: Asked, mut stop: watch::Receiver<bool>) {
    let Control { path, listener, owner } = control;
    let router = Router::new().route("/why/{id}", get(why)).merge(keys::routes()).with_state(asked);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // The file's mode says it already; on a file system that ignores modes this stands alone.
        if stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0) {
            tokio::spawn(tokio::time::timeout(PATIENCE, answer(stream, router.clone())));
        }
    }
    let _already_gone = std::fs::remove_file(&path);
}

/// Binds beside the name, closes it to others, then gives it the name: it is never there and open.
fn listen(path: &Path) -> std::io::Result<(UnixListener, u32)> {
    let making = path.with_extension("new");
    let _none_left = std::fs::remove_file(&making);
    let listener = UnixListener::bind(&making)?;
    std::fs::set_permissions(&making, std::fs::Permissions::from_mode(0o600))?;
    let owner = std::fs::metadata(&making)?.uid();
    std::fs::rename(&making, path)?;
    Ok((listener, owner))
}

async fn answer(stream: UnixStream, router: Router) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).keep_alive(false);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
    if let Err(error) = served {
        tracing::debug!(%error, "control connection ended");
    }
}

async fn why(State(asked): State<Asked>, uri: Uri) -> Response {
    let id = uri.path().rsplit('/').next().unwrap_or_default();
    match asked.refusals.find(id, SystemClock.now()) {
        Some(record) => Json(record).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Asks the server of a folder: status and body.
///
/// # Errors
/// Exit code 3 when no server runs there, 1 when it does not answer.
pub fn ask(folder: &Path, (method, path): (&str, &str)) -> Result<(u16, Vec<u8>), Failure> {
    let socket = socket(folder);
    let failed = |cause: String| Failure::failed(format!("{}: {cause}", socket.display()));
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).map_err(|error| {
        let absent = [std::io::ErrorKind::NotFound, std::io::ErrorKind::ConnectionRefused];
        if !absent.contains(&error.kind()) {
            return failed(error.to_string());
        }
        Failure::not_found(format!(
            "no server runs on the data folder {}; name the folder of the running one with --data",
            folder.display()
        ))
    })?;
    let exchange = |stream: &mut std::os::unix::net::UnixStream| -> std::io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: control\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange(&mut stream).map_err(|e| failed(e.to_string()))?;
    parse(&answer).ok_or_else(|| failed("the server's answer is cut short".to_owned()))
}

/// Status and body of an answer that ends with its connection.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.get(end + 4..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n{}"), Some((200, b"{}".to_vec())));
        assert_eq!(parse(b"HTTP/1.1 404 Not Found\r\n\r\n"), Some((404, Vec::new())));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(parse(b""), None);
    }
}
