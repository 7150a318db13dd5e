//! What a browser keeps to begin its login again.

use serde::{Deserialize, Serialize};

use super::FLOW_FORMAT;
use crate::oauth::authorize::AuthorizeRequest;

/// What `KC_RESTART` holds: the validated request, to begin again when the flow is gone. Sealed by idp; validated anew (AZ-07).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Restart {
    /// [`FLOW_FORMAT`].
    pub format: u32,
    /// Seconds.
    pub expires_at: i64,
    /// The request.
    pub request: AuthorizeRequest,
}

impl Restart {
    /// Reads an opened cookie.
    #[must_use]
    pub fn read(bytes: &[u8], now: i64) -> Option<Self> {
        let restart: Self = serde_json::from_slice(bytes).ok()?;
        (restart.format == FLOW_FORMAT && restart.expires_at > now).then_some(restart)
    }
}
