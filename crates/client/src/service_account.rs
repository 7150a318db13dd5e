//! A client's own tokens (RFC 6749 §4.4), kept until shortly before they end.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::discovery::Metadata;
use crate::door::{CallError, DEADLINE, Door, reason};

/// A token is asked for anew when it has less than this to live.
const SPARE: Duration = Duration::from_secs(20);

/// Largest answer of a token endpoint, bytes.
const MAX_ANSWER: usize = 128 * 1024;

/// A confidential client that acts for itself.
pub struct ServiceAccount {
    issuer: String,
    client_id: String,
    client_secret: String,
    held: Mutex<Option<(String, Instant)>>,
}

impl std::fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl ServiceAccount {
    /// Of an issuer.
    #[must_use]
    pub fn new(issuer: impl Into<String>, client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            held: Mutex::new(None),
        }
    }

    /// Forgets the token held: somebody refused it (the issuer's keys or the client's rights have changed).
    pub async fn forget(&self) {
        *self.held.lock().await = None;
    }

    /// An access token that holds a while; callers at the same time share one request.
    ///
    /// # Errors
    /// The issuer does not answer, or gives no token.
    pub async fn token(&self, door: &Door) -> Result<String, CallError> {
        let mut held = self.held.lock().await;
        if let Some((token, until)) = &*held
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        *held = None;
        let metadata = Metadata::fetch(door, &self.issuer).await?;
        let failed = |cause: &str| CallError::Failed { url: self.issuer.clone(), cause: cause.to_owned() };
        let url = metadata.token_endpoint.ok_or_else(|| failed("has no token endpoint"))?;
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.as_str()),
        ];
        let asked = Instant::now();
        let answer = door.request(reqwest::Method::POST, &url)?.timeout(DEADLINE).form(&fields).send().await;
        let mut answer = answer.map_err(|e| failed(&reason(&e)))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(failed(&format!("the token endpoint answered {}", answer.status())));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|e| failed(&reason(&e)))? {
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(failed("the answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| failed("gave no token"))?;
        let until = asked + Duration::from_secs(answer.expires_in).saturating_sub(SPARE);
        *held = Some((answer.access_token.clone(), until));
        Ok(answer.access_token)
    }
}
