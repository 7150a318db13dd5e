//! The revocation feed of an identity provider in this process, for guards in the same one.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use portcullis_core::cutoff::Cursor;
use portcullis_guard::{FrameSource, Unreachable};
use portcullis_idp::{Frames, Idp};

/// Signed events without a network between.
#[derive(Clone)]
pub struct InProcess {
    idp: Idp,
    realm: String,
    issuer: String,
}

impl InProcess {
    /// Of a realm under its issuer.
    #[must_use]
    pub fn new(idp: Idp, realm: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self { idp, realm: realm.into(), issuer: issuer.into() }
    }
}

#[async_trait]
impl FrameSource for InProcess {
    async fn open(&self, after: Option<(i64, i64)>) -> Result<BoxStream<'static, String>, Unreachable> {
        let after = after.map(|(epoch, sequence)| Cursor { epoch, sequence });
        let frames = self.idp.revocations(&self.realm, &self.issuer, after).await;
        let frames = frames.map_err(|e| Unreachable(e.to_string()))?;
        let next = async |mut frames: Frames| frames.next().await.map(|event| (event.to_string(), frames));
        Ok(stream::unfold(frames, next).boxed())
    }
}
