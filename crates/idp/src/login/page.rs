//! Pages of the login, filled in.

use axum::response::Response;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use portcullis_core::login::flow::{LoginTab, Notice, Stage};
use portcullis_core::secret::Secret;
use portcullis_core::user::User;

use crate::authorize;
use crate::pages::security::{self, Policy};
use crate::pages::{
    Advice, Alert, ConfigureTotpPage, Developer, ErrorPage, InfoPage, KnownUser, LoginPage, OtpDevice, OtpPage, Page,
    Text, UpdatePasswordPage, UpdateProfilePage, UsernameLabel,
};
use crate::respond::html::Surroundings;
use crate::respond::{self, cookies};
use crate::watch::{self, Halt, Why};

use super::Cx;
use super::address::{self, Point};
use super::flows::Flow;

/// What a page says because of the answer before it.
#[derive(Default)]
pub(super) struct Say {
    /// Above the form.
    pub(super) alert: Option<Alert>,
    /// At the field.
    pub(super) error: Option<Text>,
    /// The answer was judged: a first notice is out of place.
    pub(super) answered: bool,
    /// Whether the box was ticked.
    pub(super) remember_me: bool,
    /// Why the answer was refused.
    pub(super) halt: Option<Halt>,
}

fn around<'a>(cx: &'a Cx<'_>, login: Option<&LoginTab>) -> Surroundings<'a> {
    let wanted = login.map(|l| l.request.ui_locales.as_slice()).unwrap_or_default();
    Surroundings::of(cx.app, cx.view, wanted.iter().map(String::as_str))
}

/// The page for name and password, or for the password of a known user.
pub(super) fn password(
    cx: &Cx<'_>,
    flow: &Flow,
    login: &LoginTab,
    code: &Secret,
    known: Option<&User>,
    say: Say,
) -> Response {
    let settings = &cx.view.records.realm.settings;
    let point = Point { session_code: Some(code.expose()), execution: Some(&login.execution) };
    let tab = flow.tab.id.as_str();
    let mut page = LoginPage::new(address::of(cx, "authenticate", point, tab, login));
    page.username_label = match (settings.registration_email_as_username, settings.login_with_email_allowed) {
        (true, _) => UsernameLabel::Email,
        (false, true) => UsernameLabel::UsernameOrEmail,
        (false, false) => UsernameLabel::Username,
    };
    page.alert = say.alert.or_else(|| login.notice.map(notice));
    if let Some(user) = known {
        let restart_url = address::path(cx, "restart", Point::default(), tab, login);
        page.known = Some(KnownUser { username: user.username.clone(), restart_url });
        // A higher level is asked for without a word (Keycloak 26.4).
        let step_up = matches!(login.stage, Stage::Reauthenticate { step_up: true, .. });
        if page.alert.is_none() && !say.answered && !step_up {
            page.alert = Some(Alert::info(Text::key("reauthenticate")));
        }
    } else {
        let remembered = remembered_name(cx);
        page.remember_me = settings.remember_me.then_some(say.remember_me || remembered.is_some());
        let typed = login.attempted.clone().or_else(|| login.request.login_hint.clone());
        page.username = typed.or(remembered).unwrap_or_default();
    }
    if settings.reset_password_allowed {
        page.reset_url = Some(address::path(cx, "reset-credentials", Point::default(), tab, login));
    }
    let client = cx.view.records.client(&login.request.client_id);
    page.client = client.and_then(|c| c.settings.name.clone()).filter(|n| !n.is_empty()).map(Text::reference);
    page.error = say.error;
    refusing(around(cx, Some(login)).page(StatusCode::OK, &page), login, say.halt)
}

/// A page that says no is a refusal, whatever its status.
fn refusing(mut response: Response, login: &LoginTab, halt: Option<Halt>) -> Response {
    if let Some(halt) = halt {
        watch::mark(&mut response, Why::from(halt).of_client(Some(&login.request.client_id)));
    }
    response
}

/// The page for a one-time code of a known user.
pub(super) fn one_time_code(
    cx: &Cx<'_>,
    flow: &Flow,
    login: &LoginTab,
    (code, user): (&Secret, &User),
    devices: Vec<OtpDevice>,
    say: Say,
) -> Response {
    let point = Point { session_code: Some(code.expose()), execution: Some(&login.execution) };
    let tab = flow.tab.id.as_str();
    let mut page = OtpPage::new(address::of(cx, "authenticate", point, tab, login));
    let restart_url = address::path(cx, "restart", Point::default(), tab, login);
    page.known = Some(KnownUser { username: user.username.clone(), restart_url });
    page.alert = say.alert.or_else(|| login.notice.map(notice));
    page.devices = devices;
    page.error = say.error;
    refusing(around(cx, Some(login)).page(StatusCode::OK, &page), login, say.halt)
}

pub(super) fn notice(notice: Notice) -> Alert {
    Alert::error(Text::key(match notice {
        Notice::ActionExpired => "expiredActionMessage",
        Notice::LoginTimeout => "loginTimeout",
    }))
}

/// The name of `KEYCLOAK_REMEMBER_ME` (`username:{urlencoded}`), where the realm offers it.
fn remembered_name(cx: &Cx<'_>) -> Option<String> {
    let value = cookies::get(cx.headers, cookies::KEYCLOAK_REMEMBER_ME)?.strip_prefix("username:")?;
    let name = percent_encoding::percent_decode_str(value).decode_utf8().ok()?.into_owned();
    (cx.view.records.realm.settings.remember_me && name.len() <= 255).then_some(name)
}

/// The page for a new authenticator app.
pub(super) fn configure_totp(
    cx: &Cx<'_>,
    flow: &Flow,
    login: &LoginTab,
    code: &Secret,
    mut page: ConfigureTotpPage,
) -> Response {
    let point = Point { session_code: Some(code.expose()), execution: Some(&login.execution) };
    page.action = address::of(cx, "required-action", point, &flow.tab.id, login);
    if page.code_error.is_some() || page.label_error.is_some() {
        page.alert = None;
    } else if let Some(first) = login.notice {
        page.alert = Some(notice(first));
    }
    around(cx, Some(login)).page(StatusCode::OK, &page)
}

/// A page of the login.
pub(super) fn shown<P: Page>(cx: &Cx<'_>, login: &LoginTab, page: &P) -> Response {
    around(cx, Some(login)).page(StatusCode::OK, page)
}

/// What was wrong with a new password.
#[derive(Default)]
pub(super) struct PasswordErrors {
    pub(super) new: Option<Text>,
    pub(super) confirm: Option<Text>,
}

impl PasswordErrors {
    fn halt(&self) -> Option<Halt> {
        (self.new.is_some() || self.confirm.is_some()).then_some(Halt::NewPassword)
    }
}

/// The page for a new password.
pub(super) fn update_password(
    cx: &Cx<'_>,
    flow: &Flow,
    login: &LoginTab,
    code: &Secret,
    wrong: PasswordErrors,
) -> Response {
    let point = Point { session_code: Some(code.expose()), execution: Some(&login.execution) };
    let mut page = UpdatePasswordPage::new(address::of(cx, "required-action", point, &flow.tab.id, login));
    let halt = wrong.halt();
    if halt.is_some() {
        page.alert = None;
    } else if let Some(first) = login.notice {
        page.alert = Some(notice(first));
    }
    page.username = login.attempted.clone();
    (page.new_error, page.confirm_error) = (wrong.new, wrong.confirm);
    refusing(around(cx, Some(login)).page(StatusCode::OK, &page), login, halt)
}

/// The page for names, e-mail and what else the realm asks; `halt` where an answer to it was refused.
pub(super) fn update_profile(
    cx: &Cx<'_>,
    flow: &Flow,
    login: &LoginTab,
    (code, halt): (&Secret, Option<Halt>),
    filled: UpdateProfilePage,
) -> Response {
    let point = Point { session_code: Some(code.expose()), execution: Some(&login.execution) };
    let action = address::of(cx, "required-action", point, &flow.tab.id, login);
    let page = UpdateProfilePage { action, ..filled };
    refusing(around(cx, Some(login)).page(StatusCode::OK, &page), login, halt)
}

/// An error page of the login flow: like the recorded ones it may not be kept.
pub(super) fn error(
    cx: &Cx<'_>,
    login: Option<&LoginTab>,
    status: StatusCode,
    page: &ErrorPage,
    halt: Halt,
) -> Response {
    let why = Why::from(halt).of_client(login.map(|l| l.request.client_id.as_str()));
    let mut response = around(cx, login).error(status, page, why);
    response.headers_mut().insert(CACHE_CONTROL, security::NO_STORE);
    response
}

/// The browser came without the cookies of a login.
pub(super) fn cookie_not_found(cx: &Cx<'_>) -> Response {
    let page = ErrorPage::plain(Text::key("cookieNotFoundMessage")).developer(Developer::new(Advice::Cookies));
    error(cx, None, StatusCode::BAD_REQUEST, &page, Halt::CookieNotFound)
}

/// The address and the flow do not fit together.
pub(super) fn invalid_code(cx: &Cx<'_>) -> Response {
    error(cx, None, StatusCode::BAD_REQUEST, &ErrorPage::plain(Text::key("invalidCodeMessage")), Halt::InvalidCode)
}

/// A realm that was switched off meanwhile, or that plain http from outside may not use (SE-32).
pub(super) fn closed(cx: &Cx<'_>) -> Option<Response> {
    let mut response = authorize::closed(cx, None)?;
    response.headers_mut().insert(CACHE_CONTROL, security::NO_STORE);
    Some(response)
}

/// A form posted by a page of somebody else: nothing was looked at (SE-03, SE-04).
pub(crate) fn foreign(cx: &Cx<'_>) -> Response {
    error(cx, None, StatusCode::FORBIDDEN, &ErrorPage::plain(Text::key("invalidRequestMessage")), Halt::ForeignForm)
}

/// The browser's session belongs to another user (SE-22).
pub(super) fn different_user(cx: &Cx<'_>, login: &LoginTab, signed_in: &str) -> Response {
    let page = ErrorPage::plain(Text::with("differentUserAuthenticated", [signed_in]));
    error(cx, Some(login), StatusCode::BAD_REQUEST, &page, Halt::DifferentUser)
}

/// A step that this server cannot show ends the login; it is never jumped over.
pub(super) fn cannot_go_on(cx: &Cx<'_>, login: &LoginTab, message: &'static str) -> Response {
    error(
        cx,
        Some(login),
        StatusCode::INTERNAL_SERVER_ERROR,
        &ErrorPage::server(Text::key(message)),
        Halt::StepNotShown,
    )
}

/// No thread was free to compare the password (DS-08).
pub(super) fn busy(cx: &Cx<'_>, login: &LoginTab) -> Response {
    let page = ErrorPage::server(Text::plain("The server is busy. Try again."));
    let mut response = error(cx, Some(login), StatusCode::SERVICE_UNAVAILABLE, &page, Halt::PasswordsBusy);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

/// Already logged in, and no way back to the client is known.
pub(super) fn already_logged_in(cx: &Cx<'_>) -> Response {
    around(cx, None).page(StatusCode::OK, &InfoPage::new(Text::key("alreadyLoggedIn")))
}

/// 302 with the headers of a page (profile `html` of the recordings).
pub(super) fn redirect(cx: &Cx<'_>, location: &str) -> Response {
    as_page(cx, authorize::found(location))
}

/// Gives an answer of the authorization endpoint the headers of a page.
pub(crate) fn as_page(cx: &Cx<'_>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers.contains_key("content-security-policy") {
        return response;
    }
    for name in ["x-content-type-options", "strict-transport-security", "referrer-policy"] {
        headers.remove(name);
    }
    around(cx, None).shield(headers, &Policy::page(cx.view.is_strict()));
    response
}

/// Adds cookies to an answer.
pub(crate) fn with_cookies(mut response: Response, jar: HeaderMap) -> Response {
    for (name, value) in &jar {
        response.headers_mut().append(name, value.clone());
    }
    response
}

/// A path under `login-actions` that does not exist (Keycloak 26.4 forbids keeping it).
pub(super) async fn not_found() -> Response {
    let mut response = respond::halted(StatusCode::NOT_FOUND, "HTTP 404 Not Found", Halt::UnknownPath);
    response.headers_mut().insert(CACHE_CONTROL, security::NO_STORE);
    response
}
