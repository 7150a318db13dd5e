//! Addresses of the login's pages: `session_code, execution, client_id, tab_id, client_data` in Keycloak's order.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_core::login::flow::LoginTab;
use portcullis_core::oauth::authorize::AuthorizeRequest;
use portcullis_core::oauth::response_mode::ResponseMode;
use portcullis_core::oauth::response_type::ResponseType;
use serde_json::{Map, Value};

use super::Cx;

/// RFC 3986 §2.3.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A value as it stands in a query.
pub(crate) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, COMPONENT).to_string()
}

/// `client_data`: enough to tell the client that its login is over when the flow is gone. Matched again before it is used.
pub(super) fn client_data(request: &AuthorizeRequest, strict: bool) -> String {
    let mut data = Map::new();
    // A device's login goes back to no client (Keycloak 26.4). AZ-22: what was pushed stands in no address of a strict realm.
    if request.device.is_some() || (strict && request.pushed.is_some()) {
        return URL_SAFE_NO_PAD.encode(Value::Object(data).to_string());
    }
    if let Some(uri) = &request.redirect_uri {
        data.insert("ru".to_owned(), uri.as_str().into());
    }
    data.insert("rt".to_owned(), request.response_type.as_str().into());
    if request.response_mode != ResponseMode::default_of(request.response_type.is_front()) {
        data.insert("rm".to_owned(), request.response_mode.as_str().into());
    }
    if let Some(state) = &request.state {
        data.insert("st".to_owned(), state.as_str().into());
    }
    URL_SAFE_NO_PAD.encode(Value::Object(data).to_string())
}

/// What `client_data` of an address says.
pub(super) struct ClientData {
    pub(super) redirect_uri: Option<String>,
    pub(super) response_mode: ResponseMode,
    pub(super) state: Option<String>,
}

impl ClientData {
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        let member = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let front = member("rt").and_then(|t| ResponseType::parse(&t)).is_some_and(ResponseType::is_front);
        let mode = member("rm").and_then(|m| ResponseMode::parse(&m));
        Some(Self {
            redirect_uri: member("ru"),
            response_mode: mode.unwrap_or(ResponseMode::default_of(front)),
            state: member("st"),
        })
    }
}

/// What stands in an address besides the request's own parts.
#[derive(Clone, Copy, Default)]
pub(super) struct Point<'a> {
    pub(super) session_code: Option<&'a str>,
    pub(super) execution: Option<&'a str>,
}

/// `{base}/realms/{realm}/login-actions/{action}?..` of a tab.
pub(super) fn of(cx: &Cx<'_>, action: &str, point: Point<'_>, tab_id: &str, login: &LoginTab) -> String {
    format!("{}{}", cx.base.url, path(cx, action, point, tab_id, login))
}

/// The same without the server's address: links on pages.
pub(super) fn path(cx: &Cx<'_>, action: &str, point: Point<'_>, tab_id: &str, login: &LoginTab) -> String {
    let data = client_data(&login.request, cx.view.is_strict());
    let pairs = [
        ("session_code", point.session_code),
        ("execution", point.execution),
        ("client_id", Some(login.request.client_id.as_str())),
        ("tab_id", Some(tab_id)),
        ("client_data", Some(data.as_str())),
    ];
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
    let query: Vec<String> = pairs.collect();
    format!("/realms/{}/login-actions/{action}?{}", encoded(cx.realm_name()), query.join("&"))
}
