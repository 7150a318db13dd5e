//! Pages on the way of a login: credentials, one-time code, new password, consent, device code.

use serde::Serialize;

use super::{Alert, Page, Text};

/// What the field of the user name is called (Keycloak: `loginWithEmailAllowed`, `registrationEmailAsUsername`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum UsernameLabel {
    /// The realm takes user names only.
    #[serde(rename = "username")]
    Username,
    /// The realm takes both.
    #[serde(rename = "usernameOrEmail")]
    UsernameOrEmail,
    /// The e-mail is the user name.
    #[serde(rename = "email")]
    Email,
}

/// The person a page already knows: asked again, or between two factors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownUser {
    /// The user name as it is shown.
    pub username: String,
    /// Where somebody else starts over.
    pub restart_url: String,
}

/// User name and password (form `kc-form-login`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoginPage {
    /// Where the form posts to.
    pub action: String,
    /// What stands in the field `username`: the `login_hint`, or what was typed before.
    pub username: String,
    /// The label of that field.
    pub username_label: UsernameLabel,
    /// Set when a known person is asked again: then there is no field `username` (Keycloak 26.4, `prompt=login`).
    pub known: Option<KnownUser>,
    /// `None` when the realm does not offer it, else whether it is ticked.
    pub remember_me: Option<bool>,
    /// The hidden field `credentialId`.
    pub credential_id: Option<String>,
    /// Link for a forgotten password.
    pub reset_url: Option<String>,
    /// Link to the registration.
    pub registration_url: Option<String>,
    /// The application the person comes from, when it has a name to show.
    pub client: Option<Text>,
    /// A notice above the form.
    pub alert: Option<Alert>,
    /// What was wrong: at `input-error-username`, or at `input-error-password` when the person is known.
    pub error: Option<Text>,
}

impl LoginPage {
    /// An empty form that posts to `action`.
    pub fn new(action: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            username: String::new(),
            username_label: UsernameLabel::UsernameOrEmail,
            known: None,
            remember_me: None,
            credential_id: None,
            reset_url: None,
            registration_url: None,
            client: None,
            alert: None,
            error: None,
        }
    }

    /// With everything a realm can offer.
    pub fn sample() -> Self {
        Self {
            remember_me: Some(false),
            reset_url: Some("/realms/demo/login-actions/reset-credentials?client_id=app&tab_id=t1".to_owned()),
            registration_url: Some("/realms/demo/login-actions/registration?client_id=app&tab_id=t1".to_owned()),
            client: Some(Text::plain("Orders")),
            ..Self::new(SAMPLE_ACTION)
        }
    }
}

const SAMPLE_ACTION: &str =
    "https://id.example/realms/demo/login-actions/authenticate?session_code=c1&execution=e1&client_id=app&tab_id=t1";

fn sample_user() -> Option<KnownUser> {
    let restart_url = "/realms/demo/login-actions/restart?client_id=app&tab_id=t1".to_owned();
    Some(KnownUser { username: "alice".to_owned(), restart_url })
}

impl Page for LoginPage {
    const TEMPLATE: &'static str = "login.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let wrong = Text::key("invalidUserMessage");
        let again = Some(Alert::info(Text::key("reauthenticate")));
        let known = Self { known: sample_user(), remember_me: None, registration_url: None, ..Self::sample() };
        vec![
            ("full", Self::sample()),
            ("bare", Self { username_label: UsernameLabel::Username, ..Self::new(SAMPLE_ACTION) }),
            (
                "wrong",
                Self { username: "alice".to_owned(), error: Some(wrong), remember_me: Some(true), ..Self::sample() },
            ),
            ("expired", Self { alert: Some(Alert::error(Text::key("expiredActionMessage"))), ..Self::sample() }),
            ("again", Self { alert: again, ..known.clone() }),
            ("again-wrong", Self { error: Some(Text::key("invalidPasswordMessage")), ..known }),
            (
                "email",
                Self {
                    username_label: UsernameLabel::Email,
                    credential_id: Some("cred-1".to_owned()),
                    ..Self::new(SAMPLE_ACTION)
                },
            ),
        ]
    }
}

/// A new password (required action, form `kc-passwd-update-form`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpdatePasswordPage {
    /// Where the form posts to.
    pub action: String,
    /// For password managers; not posted.
    pub username: Option<String>,
    /// Whether `logout-sessions` is ticked.
    pub logout_sessions: bool,
    /// Whether the application asked for it, so that it may be left (`cancel-aia`).
    pub cancellable: bool,
    /// A notice above the form, `updatePasswordMessage` at first.
    pub alert: Option<Alert>,
    /// What was wrong with the password, at `input-error-password-new`.
    pub new_error: Option<Text>,
    /// What was wrong with its repetition, at `input-error-password-confirm`.
    pub confirm_error: Option<Text>,
}

impl UpdatePasswordPage {
    /// The page as it is first shown.
    pub fn new(action: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            username: None,
            logout_sessions: false,
            cancellable: false,
            alert: Some(Alert::warning(Text::key("updatePasswordMessage"))),
            new_error: None,
            confirm_error: None,
        }
    }

    /// As a user with a temporary password sees it.
    pub fn sample() -> Self {
        Self { username: Some("dave".to_owned()), logout_sessions: true, ..Self::new(SAMPLE_ACTION) }
    }
}

impl Page for UpdatePasswordPage {
    const TEMPLATE: &'static str = "login-update-password.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let quiet = Self { alert: None, ..Self::sample() };
        vec![
            ("full", Self { cancellable: true, ..Self::sample() }),
            ("differ", Self { confirm_error: Some(Text::key("notMatchPasswordMessage")), ..quiet.clone() }),
            ("short", Self { new_error: Some(Text::with("invalidPasswordMinLengthMessage", ["12"])), ..quiet }),
            ("bare", Self::new(SAMPLE_ACTION)),
        ]
    }
}

/// One device that makes one-time codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtpDevice {
    /// The credential's id, posted as `selectedCredentialId`.
    pub id: String,
    /// The label its owner gave; empty = none.
    pub label: String,
    /// Whether it is chosen.
    pub selected: bool,
}

/// The one-time code (form `kc-otp-login-form`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtpPage {
    /// Where the form posts to.
    pub action: String,
    /// Whose code it is.
    pub known: Option<KnownUser>,
    /// The person's devices; they are offered from two on.
    pub devices: Vec<OtpDevice>,
    /// A notice above the form.
    pub alert: Option<Alert>,
    /// What was wrong, at `input-error-otp-code`.
    pub error: Option<Text>,
}

impl OtpPage {
    /// An empty form.
    pub fn new(action: impl Into<String>) -> Self {
        Self { action: action.into(), known: None, devices: Vec::new(), alert: None, error: None }
    }

    /// With two devices.
    pub fn sample() -> Self {
        let device =
            |id: &str, label: &str, selected| OtpDevice { id: id.to_owned(), label: label.to_owned(), selected };
        let devices = vec![device("otp-1", "Phone", true), device("otp-2", "", false)];
        Self { known: sample_user(), devices, ..Self::new(SAMPLE_ACTION) }
    }
}

impl Page for OtpPage {
    const TEMPLATE: &'static str = "login-otp.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let expired = Some(Alert::error(Text::key("expiredActionMessage")));
        vec![
            ("devices", Self::sample()),
            ("wrong", Self { devices: Vec::new(), error: Some(Text::key("invalidTotpMessage")), ..Self::sample() }),
            ("bare", Self { alert: expired, ..Self::new(SAMPLE_ACTION) }),
        ]
    }
}

/// What an application may see (posts `accept` or `cancel`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsentPage {
    /// Where the form posts to.
    pub action: String,
    /// The hidden field `code`.
    pub code: String,
    /// The application.
    pub client: Text,
    /// What it asks for: consent texts of the scopes.
    pub scopes: Vec<Text>,
    /// The code that a waiting device shows, to compare.
    pub user_code: Option<String>,
}

impl ConsentPage {
    /// Three scopes.
    pub fn sample() -> Self {
        let scope = |text: &str| Text::reference(text);
        let texts = ["${profileScopeConsentText}", "${emailScopeConsentText}", "Read your orders"];
        Self {
            action: "/realms/demo/login-actions/consent?client_id=app&tab_id=t1".to_owned(),
            code: "c1".to_owned(),
            client: Text::reference("Orders"),
            scopes: texts.map(scope).to_vec(),
            user_code: None,
        }
    }
}

impl Page for ConsentPage {
    const TEMPLATE: &'static str = "login-oauth-grant.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let client = Text::reference("${client_account-console}");
        let user_code = Some("WDJB-MJHT".to_owned());
        vec![
            ("scopes", Self::sample()),
            ("none", Self { client, scopes: Vec::new(), ..Self::sample() }),
            ("device", Self { user_code, ..Self::sample() }),
        ]
    }
}

/// The code of a device (form `kc-user-verify-device-user-code-form`, RFC 8628 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceCodePage {
    /// Where the form posts to.
    pub action: String,
    /// A notice above the form, e.g. `oauth2DeviceInvalidUserCodeMessage`.
    pub alert: Option<Alert>,
}

impl Page for DeviceCodePage {
    const TEMPLATE: &'static str = "login-oauth2-device-verify-user-code.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let action = "/realms/demo/device".to_owned();
        let wrong = Alert::error(Text::key("oauth2DeviceInvalidUserCodeMessage"));
        vec![("empty", Self { action: action.clone(), alert: None }), ("wrong", Self { action, alert: Some(wrong) })]
    }
}
