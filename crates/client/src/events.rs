//! Server-sent events (HTML Standard §9.2): only what is needed to follow a feed.

use std::time::Duration;

use crate::door::{CallError, Door, reason};

/// Longest line, bytes.
const MAX_LINE: usize = 512 * 1024;

/// A stream may be open this long; its reader connects again.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// An open stream of events.
#[derive(Debug)]
pub struct Events {
    answer: reqwest::Response,
    held: Vec<u8>,
}

impl Door {
    /// Opens a stream of events with a bearer token.
    ///
    /// # Errors
    /// A refused URL, another status than 200, an answer that is no stream of events.
    pub async fn events(&self, url: &str, token: &str) -> Result<Events, CallError> {
        let failed = |cause: String| CallError::Failed { url: url.to_owned(), cause };
        let request = self.request(reqwest::Method::GET, url)?.bearer_auth(token).header("accept", "text/event-stream");
        let opening = request.timeout(LONGEST).send();
        let answer = tokio::time::timeout(crate::door::DEADLINE, opening)
            .await
            .map_err(|_| failed("no answer in time".to_owned()))?
            .map_err(|e| failed(reason(&e)))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(failed(format!("answered {}", answer.status())));
        }
        let kind = answer.headers().get(reqwest::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return Err(failed("the answer is no stream of events".to_owned()));
        }
        Ok(Events { answer, held: Vec::new() })
    }
}

impl Events {
    /// The data of the next event; `None` when the stream ended or said what no stream of events says.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            while let Some(end) = self.held.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                if let Some(data) = line.strip_prefix(b"data:") {
                    return Some(std::str::from_utf8(data).ok()?.trim().to_owned());
                }
            }
            let piece = self.answer.chunk().await.ok()??;
            if self.held.len() + piece.len() > MAX_LINE {
                return None;
            }
            self.held.extend_from_slice(&piece);
        }
    }
}
