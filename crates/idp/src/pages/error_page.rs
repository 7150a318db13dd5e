//! The error page: Keycloak's sentence, what it means for the person, and what the developer must change.

use serde::Serialize;

use super::{Page, Text};

/// Characters of a received value that are shown to the developer.
const SHOWN: usize = 200;

/// Whose fault an error is; decides the sentence for the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The application sent a wrong request.
    Application,
    /// This server or its surroundings failed.
    Server,
    /// The message says it all (an expired page, cookies switched off).
    Nobody,
}

/// What a developer must look at. It names settings, never what exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// A parameter is missing, repeated or unreadable.
    Request,
    /// No such client.
    ClientUnknown,
    /// The client is switched off.
    ClientDisabled,
    /// A bearer-only client cannot log in.
    BearerOnly,
    /// The redirect URI is not registered.
    RedirectUri,
    /// The redirect URI after logout is not registered.
    PostLogoutRedirectUri,
    /// The ID token given as a hint is not one of ours for this client.
    IdTokenHint,
    /// The cookies of the login did not come back.
    Cookies,
    /// No such realm.
    Realm,
    /// Mail could not be sent.
    Mail,
}

impl Advice {
    /// Every advice.
    pub const ALL: [Self; 10] = [
        Self::Request,
        Self::ClientUnknown,
        Self::ClientDisabled,
        Self::BearerOnly,
        Self::RedirectUri,
        Self::PostLogoutRedirectUri,
        Self::IdTokenHint,
        Self::Cookies,
        Self::Realm,
        Self::Mail,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Request => "adviceRequest",
            Self::ClientUnknown => "adviceClientUnknown",
            Self::ClientDisabled => "adviceClientDisabled",
            Self::BearerOnly => "adviceBearerOnly",
            Self::RedirectUri => "adviceRedirectUri",
            Self::PostLogoutRedirectUri => "advicePostLogoutRedirectUri",
            Self::IdTokenHint => "adviceIdTokenHint",
            Self::Cookies => "adviceCookies",
            Self::Realm => "adviceRealm",
            Self::Mail => "adviceMail",
        }
    }
}

/// The block "Details for the developer".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Developer {
    /// The parameter that is wrong.
    pub parameter: Option<String>,
    /// What was received for it, shortened. Never set it for a secret or a token.
    pub received: Option<String>,
    /// What to change.
    pub advice: Text,
}

impl Developer {
    /// An advice without a parameter.
    pub fn new(advice: Advice) -> Self {
        Self { parameter: None, received: None, advice: Text::key(advice.key()) }
    }

    /// Names the parameter.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>) -> Self {
        self.parameter = Some(name.into());
        self
    }

    /// Shows what was received, at most 200 characters of it; empty is not shown.
    #[must_use]
    pub fn received(mut self, value: &str) -> Self {
        let mut shown: String = value.chars().take(SHOWN).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        self.received = Some(shown).filter(|text| !text.is_empty());
        self
    }
}

/// The error page (`kc-error-message`). The reference number comes from [`super::Chrome::trace`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorPage {
    /// Keycloak's sentence.
    pub message: Text,
    /// Whose fault it is.
    pub fault: Fault,
    /// The way back to the application, if it is known and may be trusted.
    pub back_url: Option<String>,
    /// What the developer must change.
    pub developer: Option<Developer>,
}

impl ErrorPage {
    /// The application sent a wrong request, e.g. `Text::with("invalidParameterMessage", ["redirect_uri"])`.
    pub fn application(message: Text, developer: Developer) -> Self {
        Self { message, fault: Fault::Application, back_url: None, developer: Some(developer) }
    }

    /// This server failed, e.g. `internalServerError`, `emailSendErrorMessage`.
    pub fn server(message: Text) -> Self {
        Self { message, fault: Fault::Server, back_url: None, developer: None }
    }

    /// The message says it all, e.g. `cookieNotFoundMessage`, `pageNotFound`.
    pub fn plain(message: Text) -> Self {
        Self { message, fault: Fault::Nobody, back_url: None, developer: None }
    }

    /// With advice for the developer.
    #[must_use]
    pub fn developer(mut self, developer: Developer) -> Self {
        self.developer = Some(developer);
        self
    }

    /// With a way back to the application.
    #[must_use]
    pub fn back_to(mut self, url: impl Into<String>) -> Self {
        self.back_url = Some(url.into());
        self
    }

    /// A redirect URI that is not registered.
    pub fn sample() -> Self {
        let developer = Developer::new(Advice::RedirectUri).parameter("redirect_uri");
        let developer = developer.received("https://app.example/callback/");
        Self::application(Text::with("invalidParameterMessage", ["redirect_uri"]), developer)
    }
}

impl Page for ErrorPage {
    const TEMPLATE: &'static str = "error.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let cookies = Self::plain(Text::key("cookieNotFoundMessage")).developer(Developer::new(Advice::Cookies));
        vec![
            ("redirect", Self::sample()),
            ("server", Self::server(Text::key("emailSendErrorMessage"))),
            ("cookies", cookies.back_to("https://app.example/")),
            ("missing", Self::plain(Text::key("pageNotFound"))),
        ]
    }
}
