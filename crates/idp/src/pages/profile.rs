//! Pages about a person's own data: registration, update of the profile, forgotten password.

use serde::Serialize;

use super::{Alert, Page, Text};

/// One attribute of the user profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileField {
    /// The attribute, also the id and name of its input, e.g. `firstName`.
    pub name: String,
    /// Its label: a message key in `${..}`, or the realm's own words.
    pub label: Text,
    /// What stands in it.
    pub value: String,
    /// Further values of an attribute that takes several, an empty one at the end to add another.
    pub more: Vec<String>,
    /// A token of HTML's `autocomplete`, e.g. `email`; empty = none.
    pub complete: &'static str,
    /// Whether it must be filled.
    pub required: bool,
    /// Whether the person may only read it.
    pub read_only: bool,
    /// What was wrong, at `input-error-{name}`.
    pub error: Option<Text>,
}

impl ProfileField {
    /// An empty field; the built-in attributes get the token that browsers fill them by.
    pub fn new(name: &str, label: Text, required: bool) -> Self {
        let complete = match name {
            "username" => "username",
            "email" => "email",
            "firstName" => "given-name",
            "lastName" => "family-name",
            _ => "",
        };
        let (value, more, error) = (String::new(), Vec::new(), None);
        Self { name: name.to_owned(), label, value, more, complete, required, read_only: false, error }
    }

    fn sample(name: &str, value: &str) -> Self {
        let label = Text::reference(format!("${{{name}}}"));
        Self { value: value.to_owned(), ..Self::new(name, label, true) }
    }
}

fn sample_action(step: &str) -> String {
    format!("https://id.example/realms/demo/login-actions/{step}?session_code=c1&execution=e1&client_id=app&tab_id=t1")
}

fn sample_login() -> String {
    "/realms/demo/login-actions/authenticate?client_id=app&tab_id=t1".to_owned()
}

/// A new account (form `kc-register-form`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegisterPage {
    /// Where the form posts to.
    pub action: String,
    /// Back to the login.
    pub login_url: String,
    /// The user name, unless the e-mail is it; the password follows it.
    pub username: Option<ProfileField>,
    /// The other attributes, in order.
    pub fields: Vec<ProfileField>,
    /// Whether a password is asked for.
    pub password: bool,
    /// A notice above the form.
    pub alert: Option<Alert>,
    /// At `input-error-password`.
    pub password_error: Option<Text>,
    /// At `input-error-password-confirm`.
    pub confirm_error: Option<Text>,
}

impl RegisterPage {
    /// As a new realm asks.
    pub fn sample() -> Self {
        Self {
            action: sample_action("registration"),
            login_url: sample_login(),
            username: Some(ProfileField::sample("username", "")),
            fields: ["email", "firstName", "lastName"].map(|name| ProfileField::sample(name, "")).to_vec(),
            password: true,
            alert: None,
            password_error: None,
            confirm_error: None,
        }
    }
}

impl Page for RegisterPage {
    const TEMPLATE: &'static str = "register.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let wrong = Self {
            password_error: Some(Text::key("missingPasswordMessage")),
            confirm_error: Some(Text::key("notMatchPasswordMessage")),
            ..Self::sample()
        };
        let alert = Some(Alert::error(Text::key("emailExistsMessage")));
        let bare = Self { username: None, password: false, alert, ..Self::sample() };
        vec![("full", Self::sample()), ("wrong", wrong), ("bare", bare)]
    }
}

/// Missing or changed data (required action, form `kc-update-profile-form`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpdateProfilePage {
    /// Where the form posts to.
    pub action: String,
    /// The attributes, in order.
    pub fields: Vec<ProfileField>,
    /// A notice above the form.
    pub alert: Option<Alert>,
    /// Whether the application asked for it, so that it may be left (`cancel-aia`).
    pub cancellable: bool,
}

impl UpdateProfilePage {
    /// A person without a last name.
    pub fn sample() -> Self {
        let missing = Some(Text::key("error-user-attribute-required"));
        let fields = vec![
            ProfileField::sample("email", "erin@example.test"),
            ProfileField::sample("firstName", "Erin"),
            ProfileField { error: missing, ..ProfileField::sample("lastName", "") },
            ProfileField {
                value: "+49 30 1234".to_owned(),
                more: vec!["+49 30 1235".to_owned(), String::new()],
                ..ProfileField::new("phone", Text::plain("Telephone"), false)
            },
            ProfileField {
                required: false,
                read_only: true,
                ..ProfileField::new("department", Text::plain("Department"), false)
            },
        ];
        Self { action: sample_action("required-action"), fields, alert: None, cancellable: false }
    }
}

impl Page for UpdateProfilePage {
    const TEMPLATE: &'static str = "login-update-profile.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let alert = Some(Alert::warning(Text::key("updateProfileMessage")));
        vec![("missing", Self::sample()), ("asked", Self { alert, cancellable: true, ..Self::sample() })]
    }
}

/// A forgotten password (form `kc-reset-password-form`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResetPasswordPage {
    /// Where the form posts to.
    pub action: String,
    /// Back to the login.
    pub login_url: String,
    /// What stands in the field `username`.
    pub username: String,
    /// A notice above the form.
    pub alert: Option<Alert>,
    /// What was wrong, at `input-error-username`. It must not say who exists.
    pub error: Option<Text>,
}

impl ResetPasswordPage {
    /// An empty form.
    pub fn sample() -> Self {
        let action = sample_action("reset-credentials");
        Self { action, login_url: sample_login(), username: String::new(), alert: None, error: None }
    }
}

impl Page for ResetPasswordPage {
    const TEMPLATE: &'static str = "login-reset-password.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let alert = Some(Alert::error(Text::key("expiredActionMessage")));
        let error = Some(Text::key("missingUsernameMessage"));
        vec![("empty", Self::sample()), ("wrong", Self { alert, error, ..Self::sample() })]
    }
}
