//! Where events come from: over HTTP with a service account's token, or from a source of your own.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use portcullis_client::{Door, ServiceAccount};

/// There is no feed to be had now.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// A place where the events of a feed come from. It only carries them: each is signed.
#[async_trait]
pub trait FrameSource: Send + Sync {
    /// Opens a stream of events after a cursor (epoch and sequence); `None` asks for everything in force.
    ///
    /// # Errors
    /// [`Unreachable`]: it is tried again later.
    async fn open(&self, after: Option<(i64, i64)>) -> Result<BoxStream<'static, String>, Unreachable>;
}

/// The feed of an issuer over HTTP.
#[derive(Debug)]
pub struct HttpFrames {
    url: String,
    door: Door,
    account: ServiceAccount,
}

impl HttpFrames {
    /// Of an issuer of Portcullis, read by a service account with the role `read-revocations`.
    #[must_use]
    pub fn new(issuer: &str, door: Door, account: ServiceAccount) -> Self {
        Self { url: format!("{}/portcullis/revocations", issuer.trim_end_matches('/')), door, account }
    }
}

#[async_trait]
impl FrameSource for HttpFrames {
    async fn open(&self, after: Option<(i64, i64)>) -> Result<BoxStream<'static, String>, Unreachable> {
        let failed = |error: portcullis_client::CallError| Unreachable(error.to_string());
        let token = self.account.token(&self.door).await.map_err(failed)?;
        let url = match after {
            Some((epoch, sequence)) => format!("{}?after={epoch}.{sequence}", self.url),
            None => self.url.clone(),
        };
        let events = match self.door.events(&url, &token).await {
            Ok(events) => events,
            Err(error) => {
                self.account.forget().await;
                return Err(failed(error));
            }
        };
        let next = async |mut events: portcullis_client::Events| events.next().await.map(|event| (event, events));
        Ok(futures_util::stream::unfold(events, next).boxed())
    }
}
