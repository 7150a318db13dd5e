//! `portcullis keys`: a realm's signature keys at the running server. Both ends of the conversation on the control socket.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::key::KeyStatus;
use portcullis_idp::KeyLine;
use serde::{Deserialize, Serialize};

use crate::command::{KeysArgs, KeysCommand};
use crate::failure::Failure;
use crate::telemetry::control::{self, Asked};

/// One key on the socket.
#[derive(Serialize, Deserialize)]
struct Line {
    algorithm: String,
    status: String,
    kid: String,
}

const fn word(status: KeyStatus) -> &'static str {
    match status {
        KeyStatus::Active => "active",
        KeyStatus::Passive => "passive",
        KeyStatus::Disabled => "disabled",
    }
}

fn line(key: KeyLine) -> Line {
    Line { algorithm: key.algorithm, status: word(key.status).to_owned(), kid: key.kid }
}

/// The server's end.
pub(crate) fn routes() -> Router<Asked> {
    Router::new()
        .route("/keys/{realm}", get(list))
        .route("/keys/{realm}/rotate/{algorithm}", post(rotate))
        .route("/keys/{realm}/{kid}/{status}", post(set))
}

fn told(outcome: Result<Vec<Line>, String>) -> Response {
    match outcome {
        Ok(lines) => Json(lines).into_response(),
        Err(cause) => (StatusCode::BAD_REQUEST, cause).into_response(),
    }
}

async fn lines(asked: &Asked, realm: &str) -> Result<Vec<Line>, String> {
    let keys = asked.idp.keys(realm).await.map_err(|e| e.to_string())?;
    Ok(keys.into_iter().map(line).collect())
}

async fn list(State(asked): State<Asked>, Path(realm): Path<String>) -> Response {
    told(lines(&asked, &realm).await)
}

async fn rotate(State(asked): State<Asked>, Path((realm, algorithm)): Path<(String, String)>) -> Response {
    let made = asked.idp.rotate_key(&realm, &algorithm).await;
    told(made.map(|kid| vec![Line { algorithm, status: "active".to_owned(), kid }]).map_err(|e| e.to_string()))
}

async fn set(State(asked): State<Asked>, Path((realm, kid, status)): Path<(String, String, String)>) -> Response {
    let all = [KeyStatus::Active, KeyStatus::Passive, KeyStatus::Disabled];
    let Some(to) = all.into_iter().find(|s| word(*s) == status) else {
        return told(Err(format!("{status} is no status")));
    };
    match asked.idp.set_key_status(&realm, &kid, to).await {
        Ok(()) => told(lines(&asked, &realm).await.map(|all| all.into_iter().filter(|l| l.kid == kid).collect())),
        Err(error) => told(Err(error.to_string())),
    }
}

/// The command's end.
///
/// # Errors
/// Exit code 3 when no server runs, 1 with the server's reason.
pub fn run(arguments: &KeysArgs) -> Result<(), Failure> {
    let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let realm = part(&arguments.realm);
    let (method, path) = match &arguments.what {
        KeysCommand::List => ("GET", format!("/keys/{realm}")),
        KeysCommand::Rotate { algorithm } => ("POST", format!("/keys/{realm}/rotate/{}", part(algorithm))),
        KeysCommand::Set { kid, status } => ("POST", format!("/keys/{realm}/{}/{}", part(kid), part(status))),
    };
    let folder = control::folder(arguments.data.as_deref());
    let (status, body) = control::ask(&folder, (method, &path))?;
    if status != 200 {
        return Err(Failure::failed(String::from_utf8_lossy(&body).into_owned()));
    }
    let lines: Vec<Line> =
        serde_json::from_slice(&body).map_err(|e| Failure::failed(format!("the server's answer: {e}")))?;
    for key in lines {
        println!("{:<6} {:<8} {}", key.algorithm, key.status, key.kid);
    }
    Ok(())
}
