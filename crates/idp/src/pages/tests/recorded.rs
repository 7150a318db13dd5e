//! What clients read of a page equals what Keycloak 26.4.2 was recorded to answer.

use super::markup::{Compared, compared};
use super::*;

const ACTION: &str = "http://127.0.0.1:8080/realms/demo/login-actions/authenticate?session_code=a&execution=b";
const TITLE: &str = "Sign in to Demo Realm";

fn seen<P: Page>(page: &P) -> Compared {
    let realm = demo();
    compared(&pages().render(page, &Chrome { trace: Some(TRACE), ..Chrome::new(&realm, "en", "/r") }))
}

fn expected(messages: &[(&str, &str)], forms: &[&str], inputs: &[&str]) -> Compared {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let messages = messages.iter().map(|(at, text)| ((*at).to_owned(), (*text).to_owned())).collect();
    let mut inputs = texts(inputs);
    inputs.sort();
    Compared { title: TITLE.to_owned(), messages, forms: texts(forms), inputs, ..Compared::default() }
}

fn login() -> LoginPage {
    LoginPage { remember_me: Some(false), ..LoginPage::new(ACTION) }
}

#[test]
fn login_page() {
    let heading = ("kc-page-title", "Sign in to your account");
    let form = format!("kc-form-login post {ACTION}");
    let inputs = |username: &str| {
        let first = format!("username:text={username}");
        [first.as_str(), "password:password", "rememberMe:checkbox", "credentialId:hidden", "login:submit"]
            .map(str::to_owned)
    };
    let check = |page: LoginPage, username: &str, messages: &[(&str, &str)]| {
        let fields = inputs(username);
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        assert_eq!(seen(&page), expected(messages, &[form.as_str()], &fields));
    };
    check(login(), "", &[heading]);
    let hint = "\"><script>alert(1)</script>";
    check(LoginPage { username: hint.to_owned(), ..login() }, hint, &[heading]);
    let wrong = LoginPage { username: "alice".into(), error: Some(Text::key("invalidUserMessage")), ..login() };
    check(wrong, "alice", &[heading, ("input-error-username", "Invalid username or password.")]);
    for (key, text) in [
        ("expiredActionMessage", "Action expired. Please continue with login now."),
        ("accountDisabledMessage", "Account is disabled, contact your administrator."),
    ] {
        let page = LoginPage { alert: Some(Alert::error(Text::key(key))), ..login() };
        check(page, "", &[heading, (".alert", text)]);
    }
}

#[test]
fn login_page_of_a_known_person() {
    let heading = ("kc-page-title", "Sign in to your account");
    let form = format!("kc-form-login post {ACTION}");
    let known = Some(KnownUser { username: "alice".into(), restart_url: "/realms/demo/x".into() });
    let page = LoginPage { known, ..LoginPage::new(ACTION) };
    let inputs = ["password:password", "credentialId:hidden", "login:submit"];
    let again = LoginPage { alert: Some(Alert::info(Text::key("reauthenticate"))), ..page.clone() };
    let told = (".alert", "Please re-authenticate to continue");
    assert_eq!(seen(&again), expected(&[heading, told], &[form.as_str()], &inputs));
    let wrong = LoginPage { error: Some(Text::key("invalidPasswordMessage")), ..page.clone() };
    let told = ("input-error-password", "Invalid password.");
    assert_eq!(seen(&wrong), expected(&[heading, told], &[form.as_str()], &inputs));
    assert_eq!(seen(&page), expected(&[heading], &[form.as_str()], &inputs));
}

#[test]
fn update_password_page() {
    let heading = ("kc-page-title", "Update password");
    let inputs = ["password-new:password", "password-confirm:password", "logout-sessions:checkbox", "login:submit"];
    let form = format!("kc-passwd-update-form post {ACTION}");
    let page = UpdatePasswordPage { username: Some("dave".into()), ..UpdatePasswordPage::new(ACTION) };
    let told = (".alert", "You need to change your password to activate your account.");
    assert_eq!(seen(&page), expected(&[heading, told], &[form.as_str()], &inputs));
    let quiet = UpdatePasswordPage { alert: None, ..page };
    let differ = UpdatePasswordPage { confirm_error: Some(Text::key("notMatchPasswordMessage")), ..quiet.clone() };
    let told = ("input-error-password-confirm", "Passwords don't match.");
    assert_eq!(seen(&differ), expected(&[heading, told], &[form.as_str()], &inputs));
    let empty = UpdatePasswordPage { new_error: Some(Text::key("missingPasswordMessage")), ..quiet };
    let told = ("input-error-password-new", "Please specify password.");
    assert_eq!(seen(&empty), expected(&[heading, told], &[form.as_str()], &inputs));
}

#[test]
fn one_time_code_page() {
    let form = format!("kc-otp-login-form post {ACTION}");
    let page = OtpPage { error: Some(Text::key("invalidTotpMessage")), ..OtpPage::new(ACTION) };
    let messages = [("kc-page-title", "Sign In"), ("input-error-otp-code", "Invalid authenticator code.")];
    assert_eq!(seen(&page), expected(&messages, &[form.as_str()], &["otp:text=", "login:submit"]));
    let choice = OtpPage { action: ACTION.into(), known: None, ..OtpPage::sample() };
    let radios = ["selectedCredentialId:radio=otp-1", "selectedCredentialId:radio=otp-2", "otp:text=", "login:submit"];
    assert_eq!(seen(&choice), expected(&messages[..1], &[form.as_str()], &radios));
}

#[test]
fn consent_and_device_pages() {
    let action = "/realms/demo/login-actions/consent?client_id=consent-app";
    let scopes =
        ["phone", "roles", "email", "profile"].map(|scope| Text::reference(format!("${{{scope}ScopeConsentText}}")));
    let client = Text::reference("Consent Demo");
    let page =
        ConsentPage { action: action.into(), code: "c".into(), client, scopes: scopes.to_vec(), user_code: None };
    let form = format!("- post {action}");
    let inputs = ["code:hidden=c", "accept:submit", "cancel:submit"];
    let mut expect = expected(&[("kc-page-title", "Grant Access to Consent Demo")], &[form.as_str()], &inputs);
    expect.list = ["Phone number", "User roles", "Email address", "User profile"].map(str::to_owned).to_vec();
    assert_eq!(seen(&page), expect);

    let form = "kc-user-verify-device-user-code-form post /realms/demo/device";
    let wrong = Alert::error(Text::key("oauth2DeviceInvalidUserCodeMessage"));
    let page = DeviceCodePage { action: "/realms/demo/device".into(), alert: Some(wrong) };
    let messages = [("kc-page-title", "Device Login"), (".alert", "Invalid code, please try again.")];
    assert_eq!(seen(&page), expected(&messages, &[form], &["device_user_code:text"]));
    let done = InfoPage {
        header: Text::key("oauth2DeviceVerificationCompleteHeader"),
        ..InfoPage::new(Text::key("oauth2DeviceVerificationCompleteMessage"))
    };
    let told = ("kc-info-message", "You may close this browser window and go back to your device.");
    assert_eq!(seen(&done), expected(&[("kc-page-title", "Device Login Successful"), told], &[], &[]));
}

#[test]
fn error_pages() {
    let restart = "Restart login cookie not found. It may have expired; it may have been deleted or cookies are \
                   disabled in your browser. If cookies are disabled then enable them. Click Back to Application to \
                   login again.";
    for (message, text) in [
        (Text::with("invalidParameterMessage", ["redirect_uri"]), "Invalid parameter: redirect_uri"),
        (Text::with("invalidParameterMessage", ["id_token_hint"]), "Invalid parameter: id_token_hint"),
        (Text::with("missingParameterMessage", ["id_token_hint"]), "Missing parameters: id_token_hint"),
        (Text::key("invalidRequestMessage"), "Invalid Request"),
        (Text::key("invalidRedirectUriMessage"), "Invalid redirect uri"),
        (Text::key("clientNotFoundMessage"), "Client not found."),
        (Text::key("clientDisabledMessage"), "Client disabled."),
        (Text::key("bearerOnlyMessage"), "Bearer-only applications are not allowed to initiate browser login"),
        (Text::key("invalidCodeMessage"), "An error occurred, please login again through your application."),
        (Text::key("emailSendErrorMessage"), "Failed to send email, please try again later."),
        (Text::key("internalServerError"), "An internal server error has occurred"),
        (Text::key("failedLogout"), "Logout failed"),
        (Text::key("pageNotFound"), "Page not found"),
        (Text::key("cookieNotFoundMessage"), restart),
        (Text::plain("Said elsewhere"), "Said elsewhere"),
    ] {
        let messages = [("kc-page-title", "We are sorry..."), ("kc-error-message", text)];
        let developer = Developer::new(Advice::Request).parameter("p").received("r");
        assert_eq!(seen(&ErrorPage::application(message.clone(), developer)), expected(&messages, &[], &[]));
        assert_eq!(seen(&ErrorPage::server(message.clone())), expected(&messages, &[], &[]));
        let with_link = format!("{text} « Back to Application");
        let messages = [messages[0], ("kc-error-message", with_link.as_str())];
        assert_eq!(seen(&ErrorPage::plain(message).back_to("https://app.example/")), expected(&messages, &[], &[]));
    }
}

#[test]
fn logout_pages() {
    let action = "/realms/demo/protocol/openid-connect/logout/logout-confirm?client_id=account&tab_id=t";
    let page = LogoutConfirmPage { action: action.into(), session_code: "c".into(), back_url: None, failed: false };
    let messages = [("kc-page-title", "Logging out"), (".instruction", "Do you want to log out?")];
    let inputs = ["session_code:hidden=c", "confirmLogout:submit=Logout"];
    assert_eq!(seen(&page), expected(&messages, &[&format!("- post {action}")], &inputs));

    let messages = [("kc-page-title", "You are logged out"), ("kc-info-message", "You are logged out")];
    assert_eq!(seen(&InfoPage::new(Text::key("successLogout"))), expected(&messages, &[], &[]));

    let url = "http://127.0.0.1:9877/frontchannel-logout?sid=s&iss=i".to_owned();
    let clients = vec![FrontChannelClient { name: Text::reference("fc-app"), url: url.clone() }];
    let page = FrontChannelLogoutPage { clients, continue_url: Some("http://127.0.0.1:9876/bye?state=fc".into()) };
    let mut expect = expected(&[("kc-page-title", "Logging out")], &[], &[]);
    (expect.list, expect.frames) = (vec!["fc-app".to_owned()], vec![url]);
    assert_eq!(seen(&page), expect);
    let html = pages().render(&page, &Chrome::new(&demo(), "en", "/r"));
    assert!(html.contains("id=\"continue\" href=\"http://127.0.0.1:9876/bye?state=fc\""));
}

#[test]
fn expired_page_has_two_ways_on() {
    let messages = [
        ("kc-page-title", "Page has expired"),
        (".instruction", "To restart the login process Click here To continue the login process Click here"),
    ];
    assert_eq!(seen(&PageExpiredPage::sample()), expected(&messages, &[], &[]));
    let html = pages().render(&PageExpiredPage::sample(), &Chrome::new(&demo(), "en", "/r"));
    for id in ["loginRestartLink", "loginContinueLink"] {
        assert!(html.contains(&format!("<a id=\"{id}\" href=\"/realms/demo/login-actions/")), "{id}");
    }
}

#[test]
fn form_post_page() {
    let fields =
        [("error_description", "Invalid scopes: openid nonsense"), ("state", "a\"b"), ("error", "invalid_scope")];
    let page = FormPostPage::new("http://127.0.0.1:9876/callback", fields);
    let inputs = [
        "continue:submit=CONTINUE",
        "error:hidden=invalid_scope",
        "error_description:hidden=Invalid scopes: openid nonsense",
        "state:hidden=a\"b",
    ];
    let mut expect = expected(&[], &["- post http://127.0.0.1:9876/callback"], &inputs);
    expect.title = "OIDC Form_Post Response".to_owned();
    assert_eq!(seen(&page), expect);
    let html = pages().render(&page, &Chrome::new(&demo(), "en", "/r"));
    assert!(html.contains(&format!("<script>{}</script>", security::FORM_POST_SCRIPT)));
}

#[test]
fn scrapers_find_the_action_in_the_raw_page() {
    let page = LoginPage::new("http://127.0.0.1:8080/realms/demo/login-actions/authenticate?a=1&b=2");
    let html = pages().render(&page, &Chrome::new(&demo(), "en", "/r"));
    let line = html.lines().find(|line| line.contains("id=\"kc-form-login\"")).unwrap();
    let raw = line.split_once("action=\"").unwrap().1.split_once("\" method=\"post\"").unwrap().0;
    assert_eq!(raw, "http://127.0.0.1:8080/realms/demo/login-actions/authenticate?a=1&amp;b=2");
}

#[test]
fn the_master_realm_keeps_its_name() {
    let realm = RealmName::new("master", Some("Keycloak"), Some("<div><span>Keycloak</span></div>"));
    let page = ErrorPage::plain(Text::key("pageNotFound"));
    let html = pages().render(&page, &Chrome::new(&realm, "en", "/r"));
    assert_eq!(compared(&html).title, "Sign in to Keycloak");
    assert!(html.contains("class=\"brand-name\"><span>Keycloak</span></span>"));
}

#[test]
fn profile_pages() {
    let label = |name: &str| Text::reference(format!("${{{name}}}"));
    let field = |name: &str| ProfileField::new(name, label(name), true);
    let page = RegisterPage { action: ACTION.into(), ..RegisterPage::sample() };
    let inputs = [
        "username:text=",
        "password:password",
        "password-confirm:password",
        "email:text=",
        "firstName:text=",
        "lastName:text=",
    ];
    let form = format!("kc-register-form post {ACTION}");
    assert_eq!(seen(&page), expected(&[("kc-page-title", "Register")], &[form.as_str()], &inputs));

    let bad =
        ProfileField { value: "not-mail".into(), error: Some(Text::key("invalidEmailMessage")), ..field("email") };
    let missing = ProfileField { error: Some(Text::key("error-user-attribute-required")), ..field("lastName") };
    let read = ProfileField { read_only: true, ..field("department") };
    let fields = vec![bad, ProfileField { value: "Erin".into(), ..field("firstName") }, missing, read];
    let page = UpdateProfilePage { action: ACTION.into(), fields, alert: None, cancellable: false };
    let messages = [
        ("kc-page-title", "Update Account Information"),
        ("input-error-email", "Invalid email address."),
        ("input-error-lastName", "Please specify this field."),
    ];
    let inputs = ["email:text=not-mail", "firstName:text=Erin", "lastName:text=", "department:text="];
    let form = format!("kc-update-profile-form post {ACTION}");
    assert_eq!(seen(&page), expected(&messages, &[form.as_str()], &inputs));
    let html = pages().render(&page, &Chrome::new(&demo(), "en", "/r"));
    assert_eq!(html.matches(" disabled>").count(), 1);

    let page = ResetPasswordPage { action: ACTION.into(), ..ResetPasswordPage::sample() };
    let form = format!("kc-reset-password-form post {ACTION}");
    let heading = ("kc-page-title", "Forgot Your Password?");
    assert_eq!(seen(&page), expected(&[heading], &[form.as_str()], &["username:text="]));
}
