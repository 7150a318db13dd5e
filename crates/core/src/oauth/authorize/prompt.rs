//! `prompt` (OIDC Core §3.1.2.1).

use serde::{Deserialize, Serialize};

/// The words of `prompt`. Unknown ones are ignored (Keycloak 26.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Prompt {
    /// No page may be shown.
    pub none: bool,
    /// The user must prove again who it is.
    pub login: bool,
    /// Consent must be asked.
    pub consent: bool,
    /// The user wants a new account.
    pub create: bool,
}

impl Prompt {
    /// Reads the words.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let has = |word| text.split_whitespace().any(|w| w == word);
        Self { none: has("none"), login: has("login"), consent: has("consent"), create: has("create") }
    }

    /// The words again.
    pub(super) fn to_param(self) -> Option<String> {
        let words: Vec<&str> =
            [(self.none, "none"), (self.login, "login"), (self.consent, "consent"), (self.create, "create")]
                .into_iter()
                .filter_map(|(on, word)| on.then_some(word))
                .collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}
