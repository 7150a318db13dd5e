//! The page from which a person copies a code.

use serde::Serialize;

use super::Page;

/// A code to copy into a program, or why there is none; needs [`super::security::Policy::out_of_band`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutOfBandPage {
    /// The code, at Keycloak's id `code`.
    pub code: Option<String>,
    /// An error code of RFC 6749 and its kin.
    pub error: Option<&'static str>,
}

impl OutOfBandPage {
    /// A code.
    pub fn code(code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), error: None }
    }

    /// Why there is none.
    pub fn error(error: &'static str) -> Self {
        Self { code: None, error: Some(error) }
    }
}

impl Page for OutOfBandPage {
    const TEMPLATE: &'static str = "code.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let code = "6d2b5f5e-8d3c-4d7e-9f3a-0c1e5b7a9d21.b1f6a0c4-5e7d-4c0b-8f2e-3a9d6c1b7e54.9a0c7e12-4b3d-4f6a-8e5c-2d1b0f9a8c73";
        vec![("code", Self::code(code)), ("refused", Self::error("access_denied"))]
    }
}
