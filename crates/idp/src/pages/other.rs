//! Pages around a login: information, logout, expired page, form_post, front page.

use serde::Serialize;

use super::{Page, Text};

/// A link with its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Where it goes.
    pub url: String,
    /// What it says.
    pub label: Text,
}

/// Something happened and there is nothing to fill in (`kc-info-message`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InfoPage {
    /// The heading (Keycloak shows the message itself when there is no other).
    pub header: Text,
    /// What happened.
    pub message: Text,
    /// The way on.
    pub next: Option<Link>,
}

impl InfoPage {
    /// A message that is its own heading, e.g. `successLogout`, `alreadyLoggedIn`.
    pub fn new(message: Text) -> Self {
        Self { header: message.clone(), message, next: None }
    }

    /// "You are logged out".
    pub fn sample() -> Self {
        Self::new(Text::key("successLogout"))
    }
}

impl Page for InfoPage {
    const TEMPLATE: &'static str = "info.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let next = Link { url: "https://app.example/".to_owned(), label: Text::key("backToApplication") };
        let done = Self {
            header: Text::key("oauth2DeviceVerificationCompleteHeader"),
            message: Text::key("oauth2DeviceVerificationCompleteMessage"),
            next: None,
        };
        vec![
            ("logged-out", Self::sample()),
            ("device-done", done),
            ("already", Self { next: Some(next), ..Self::new(Text::key("alreadyLoggedIn")) }),
        ]
    }
}

/// Asks before logging out (posts `confirmLogout`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogoutConfirmPage {
    /// Where the form posts to.
    pub action: String,
    /// The hidden field `session_code`.
    pub session_code: String,
    /// The way back without logging out.
    pub back_url: Option<String>,
    /// A first try failed: the session may still be there.
    pub failed: bool,
}

impl LogoutConfirmPage {
    /// Without a way back.
    pub fn sample() -> Self {
        let action = "/realms/demo/protocol/openid-connect/logout/logout-confirm?client_id=account&tab_id=t1";
        Self { action: action.to_owned(), session_code: "c1".to_owned(), back_url: None, failed: false }
    }
}

impl Page for LogoutConfirmPage {
    const TEMPLATE: &'static str = "logout-confirm.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let back_url = Some("https://app.example/".to_owned());
        vec![
            ("plain", Self::sample()),
            ("back", Self { back_url, ..Self::sample() }),
            ("failed", Self { failed: true, ..Self::sample() }),
        ]
    }
}

/// One application that is told of the logout by a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrontChannelClient {
    /// The application's name.
    pub name: Text,
    /// Its front-channel logout URI with `sid` and `iss` (OIDC Front-Channel Logout §3).
    pub url: String,
}

/// Tells applications of the logout by frames; needs [`super::security::Policy::front_channel`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrontChannelLogoutPage {
    /// Who is told.
    pub clients: Vec<FrontChannelClient>,
    /// Where to go afterwards.
    pub continue_url: Option<String>,
}

impl FrontChannelLogoutPage {
    /// One application, and a way on.
    pub fn sample() -> Self {
        let url = "https://app.example/frontchannel-logout?sid=s1&iss=i1".to_owned();
        let clients = vec![FrontChannelClient { name: Text::plain("Orders"), url }];
        Self { clients, continue_url: Some("https://app.example/bye".to_owned()) }
    }
}

impl Page for FrontChannelLogoutPage {
    const TEMPLATE: &'static str = "frontchannel-logout.html";

    fn samples() -> Vec<(&'static str, Self)> {
        vec![("on", Self::sample()), ("end", Self { continue_url: None, ..Self::sample() })]
    }
}

/// "Page has expired", with two ways on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageExpiredPage {
    /// Starts the login over.
    pub restart_url: String,
    /// Goes on with the current step.
    pub continue_url: String,
}

impl PageExpiredPage {
    /// Both links.
    pub fn sample() -> Self {
        Self {
            restart_url: "/realms/demo/login-actions/restart?client_id=app&tab_id=t1".to_owned(),
            continue_url: "/realms/demo/login-actions/authenticate?execution=e1&client_id=app&tab_id=t1".to_owned(),
        }
    }
}

impl Page for PageExpiredPage {
    const TEMPLATE: &'static str = "login-page-expired.html";

    fn samples() -> Vec<(&'static str, Self)> {
        vec![("links", Self::sample())]
    }
}

/// One hidden field of a form_post answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FormField {
    /// The parameter's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Posts an authorization answer to the client (OAuth 2.0 Form Post Response Mode §2); needs
/// [`super::security::Policy::form_post`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FormPostPage {
    /// The client's redirect URI, matched.
    pub action: String,
    /// The parameters, in order.
    pub fields: Vec<FormField>,
}

impl FormPostPage {
    /// From parameters in order.
    pub fn new<'a>(action: impl Into<String>, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let field = |(name, value): (&str, &str)| FormField { name: name.to_owned(), value: value.to_owned() };
        Self { action: action.into(), fields: fields.into_iter().map(field).collect() }
    }

    /// A code.
    pub fn sample() -> Self {
        Self::new(
            "https://app.example/callback",
            [("code", "c1"), ("iss", "https://id.example/realms/demo"), ("state", "s1")],
        )
    }
}

impl Page for FormPostPage {
    const TEMPLATE: &'static str = "form-post.html";

    fn samples() -> Vec<(&'static str, Self)> {
        vec![("code", Self::sample())]
    }
}

/// What stands at `/`: the server is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrontPage {
    /// Places worth a click: realms that may be named in public.
    pub links: Vec<Link>,
}

impl FrontPage {
    /// One realm.
    pub fn sample() -> Self {
        let url = "https://id.example/realms/demo/.well-known/openid-configuration".to_owned();
        Self { links: vec![Link { url, label: Text::with("frontDiscovery", ["demo"]) }] }
    }
}

impl Page for FrontPage {
    const TEMPLATE: &'static str = "front.html";

    fn samples() -> Vec<(&'static str, Self)> {
        vec![("realm", Self::sample()), ("bare", Self { links: Vec::new() })]
    }
}
