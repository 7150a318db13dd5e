//! OpenID Connect Discovery 1.0 §4.

use serde::Deserialize;

use crate::door::{CallError, Door};

/// What a relying party needs of the discovery document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// Must be exactly the issuer that was asked (OIDC Discovery §4.3).
    pub issuer: String,
    /// Where the keys are.
    pub jwks_uri: String,
    /// RFC 6749 §3.1.
    pub authorization_endpoint: Option<String>,
    /// RFC 6749 §3.2.
    pub token_endpoint: Option<String>,
    /// RP-initiated logout.
    pub end_session_endpoint: Option<String>,
}

impl Metadata {
    /// Fetches the document of an issuer.
    ///
    /// # Errors
    /// The call failed, the document is broken, or it names another issuer.
    pub async fn fetch(door: &Door, issuer: &str) -> Result<Self, CallError> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let body = door.get(&url).await?;
        let failed = |cause: String| CallError::Failed { url: url.clone(), cause };
        let found: Self = serde_json::from_slice(&body).map_err(|e| failed(e.to_string()))?;
        if found.issuer != issuer {
            return Err(failed(format!("names the issuer {:?}, expected {issuer:?}", found.issuer)));
        }
        Ok(found)
    }
}
