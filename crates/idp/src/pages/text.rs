//! Sentences that a handler gives to a page without knowing the reader's language.

use std::borrow::Cow;

use serde::Serialize;

/// A sentence: by its key in the message bundles, or as it stands. Always escaped by the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Text {
    /// A key of the message bundles with its arguments; an unknown key is shown itself, as Keycloak does.
    Key {
        /// The key, e.g. `invalidUserMessage`.
        key: Cow<'static, str>,
        /// The values of `{0}`, `{1}`, ..: shown as they are.
        args: Vec<String>,
    },
    /// Shown as it stands, in any language.
    Plain {
        /// The sentence.
        text: String,
    },
    /// Text that an administrator wrote: `${key}` is looked up, anything else is shown as it stands (client names,
    /// consent texts).
    Reference {
        /// The text, e.g. `${client_account}` or `My application`.
        text: String,
    },
}

impl Text {
    /// A message without arguments.
    pub fn key(key: impl Into<Cow<'static, str>>) -> Self {
        Self::Key { key: key.into(), args: Vec::new() }
    }

    /// A message with arguments.
    pub fn with<const N: usize>(key: impl Into<Cow<'static, str>>, args: [&str; N]) -> Self {
        Self::Key { key: key.into(), args: args.map(str::to_owned).to_vec() }
    }

    /// A sentence in no particular language.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Plain { text: text.into() }
    }

    /// A text of an administrator that may be `${key}`.
    pub fn reference(text: impl Into<String>) -> Self {
        Self::Reference { text: text.into() }
    }
}

/// How serious a notice above a form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Tells.
    Info,
    /// Something went well.
    Success,
    /// Something must be done.
    Warning,
    /// Something failed.
    Error,
}

/// A notice above a form, at Keycloak's class `alert`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// How serious it is.
    pub level: Level,
    /// What it says.
    pub text: Text,
}

impl Alert {
    /// A notice that tells, e.g. `reauthenticate`.
    pub fn info(text: Text) -> Self {
        Self { level: Level::Info, text }
    }

    /// A notice that something must be done, e.g. `updatePasswordMessage`.
    pub fn warning(text: Text) -> Self {
        Self { level: Level::Warning, text }
    }

    /// A notice that something failed, e.g. `expiredActionMessage`.
    pub fn error(text: Text) -> Self {
        Self { level: Level::Error, text }
    }
}
