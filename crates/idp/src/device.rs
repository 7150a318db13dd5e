//! Device authorization (RFC 8628): `POST .../auth/device` for the device, `/realms/{realm}/device` for its user.
//!
//! **Owns** the answers' headers, the page for the code, the rate of guesses. **Does not own** any rule
//! ([`portcullis_core::oauth::device`]), the login and the question behind a right code ([`crate::login::device`]), polling
//! ([`crate::token`]).
//! **Flow** [`authorization`] -> codes; [`verification`] -> code page -> login -> question -> [`status`].

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};
use portcullis_core::oauth::authorize::AuthorizeRequest;
use portcullis_core::oauth::device::{self as law, BadUserCode, Begun};
use portcullis_core::oauth::error::Reason;
use portcullis_core::plan::{Entity, Gate};
use portcullis_store::ApplyError;
use serde_json::json;

use crate::authorize;
use crate::client_auth::{self, Asking, Marked};
use crate::extract;
use crate::login::{self, Cx, Sso, Visit};
use crate::pages::security;
use crate::pages::{Alert, DeviceCodePage, ErrorPage, InfoPage, Text};
use crate::rate::{self, Rate};
use crate::respond;
use crate::respond::cors::{self, Allowed};
use crate::respond::html::{self, Surroundings};
use crate::state::{App, Unavailable};
use crate::token;
use crate::watch::{self, Halt};

const METHODS: &str = "POST, OPTIONS";

/// User codes are short: another one is tried when one is taken.
const TRIES: usize = 5;

/// DS-17: rows that one place may fill, whoever it says it is.
const REQUESTS: Rate = Rate { name: "device-request", most: 120, window: rate::WINDOW };

/// RFC 8628 §5.1: wrong user codes from one address, and in one session.
const GUESSES: [Rate; 2] = [
    Rate { name: "device-code-address", most: 20, window: 600 },
    Rate { name: "device-code-session", most: 10, window: 600 },
];

/// Where the realm's users enter codes, when it is not this server's own page (Keycloak's realm attribute).
const SHORT_ADDRESS: &str = "shortVerificationUri";

// --- the device -----------------------------------------------------------------------------------------------------

/// The endpoint of the device. Keycloak 26.4 answers at its two addresses alike.
pub(crate) async fn authorization(
    State(app): State<Arc<App>>,
    Path(realm): Path<String>,
    request: Request,
) -> Response {
    Visit::answered(&app, &realm, request, either).await
}

async fn ask(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    let records = &cx.view.records;
    if let Some(response) = authorize::closed(cx, None) {
        return Ok(response);
    }
    if extract::is_other_media(cx.headers) {
        return Ok(respond::other_media());
    }
    let issuer = cx.issuer();
    let asking = Asking { headers: cx.headers, params: &visit.form, issuer: &issuer, now: cx.now, ip: &cx.peer.ip };
    let proven = client_auth::authenticate(cx.app, cx.view, asking, &mut Marked::default()).await;
    let asked = match law::open(records, &proven, &visit.form) {
        Ok(asked) => asked,
        Err(refusal) => {
            let mut response = respond::refused(cx.headers, &refusal.reason, &token::readers(cx.view, &refusal));
            watch::client(&mut response, || watch::named_client(cx.headers, &visit.form));
            return Ok(response);
        }
    };
    let allowed = Allowed::of(asked.client.client());
    if !REQUESTS.take(cx.app, &records.realm.id, &rate::place(&cx.peer.ip), cx.now).await? {
        return Ok(respond::refused(cx.headers, &Reason::TooManyRequests, &allowed));
    }
    for _ in 0..TRIES {
        let begun = law::begin(&cx.context(&issuer), &asked);
        match cx.app.db.apply(begun.plan.clone()).await {
            Ok(()) => {
                let mut response = told(cx, &begun);
                cors::add(&mut response, cx.headers, &allowed, Some(cors::EXPOSED));
                return Ok(response);
            }
            Err(ApplyError::Gate(Gate::Taken(Entity::UserCode))) => {}
            Err(ApplyError::Gate(_)) => return Ok(respond::refused(cx.headers, &Reason::UnknownClient, &Allowed::Any)),
            Err(_) => return Err(Unavailable),
        }
    }
    Err(Unavailable)
}

/// RFC 8628 §3.2.
fn told(cx: &Cx<'_>, begun: &Begun) -> Response {
    let short = cx.view.records.realm.settings.attributes.get(SHORT_ADDRESS).filter(|address| !address.is_empty());
    let address = short.cloned().unwrap_or_else(|| format!("{}/device", cx.issuer()));
    let body = json!({
        "device_code": begun.device_code.expose(),
        "user_code": begun.user_code,
        "verification_uri": address,
        "verification_uri_complete": format!("{address}?user_code={}", begun.user_code),
        "expires_in": begun.expires_in,
        "interval": begun.interval,
    });
    let mut response = respond::json(StatusCode::OK, &body);
    response.headers_mut().insert(CACHE_CONTROL, security::NO_STORE);
    response
}

// --- its user -------------------------------------------------------------------------------------------------------

/// The page for the code. Whoever posts and does not want a page is a device (Keycloak 26.4).
pub(crate) async fn verification(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, either).await
}

async fn either(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    let posted = match visit.method {
        Method::OPTIONS => return Ok(cors::preflight(cx.headers, METHODS)),
        Method::POST if !html::is_wanted(cx.headers) => return ask(cx, visit).await,
        Method::POST => true,
        Method::GET => false,
        _ => return Ok(respond::wrong_method()),
    };
    if let Some(response) = authorize::closed(cx, None) {
        return Ok(response);
    }
    if posted && login::is_foreign(cx.headers, &cx.base) {
        return Ok(login::foreign(cx));
    }
    let typed = if posted { visit.form.get("device_user_code") } else { visit.query.get("user_code") };
    let Some(typed) = typed else { return Ok(code_page(cx, None)) };
    let bad = match look_up(cx, typed).await? {
        Guess::Right(request) => {
            let response = login::enter(cx, *request).await?;
            return Ok(if posted { login::as_page(cx, response) } else { response });
        }
        Guess::Wrong(bad) => bad,
        Guess::TooMany => return Ok(too_many(cx)),
    };
    let (message, halt) = match bad {
        BadUserCode::Invalid => ("oauth2DeviceInvalidUserCodeMessage", Halt::WrongUserCode),
        BadUserCode::Expired => ("oauth2DeviceExpiredUserCodeMessage", Halt::UserCodeOver),
    };
    let mut response = code_page(cx, Some(Alert::error(Text::key(message))));
    watch::mark(&mut response, halt);
    Ok(response)
}

enum Guess {
    Right(Box<AuthorizeRequest>),
    Wrong(BadUserCode),
    TooMany,
}

/// PC-20: a guess is counted before it is looked up; a right one is given back.
async fn look_up(cx: &Cx<'_>, typed: &str) -> Result<Guess, Unavailable> {
    let (app, records) = (cx.app, &cx.view.records);
    let realm = &records.realm.id;
    let Some(hash) = law::hash_user_code(typed) else { return Ok(Guess::Wrong(BadUserCode::Invalid)) };
    let session = Sso::current(cx).await?.map(|sso| sso.session.id.as_str().to_owned());
    let who = [Some(rate::place(&cx.peer.ip)), session];
    let counted: Vec<_> = GUESSES.iter().zip(&who).filter_map(|(rate, who)| Some((rate, who.as_deref()?))).collect();
    for (rate, who) in &counted {
        if !rate.take(app, realm, who, cx.now).await? {
            return Ok(Guess::TooMany);
        }
    }
    let found = app.db.device_grant_by_user_code(realm, &hash).await.map_err(|_| Unavailable)?;
    match law::entered(records, cx.now.secs(), typed, found.as_ref()) {
        Ok(request) => {
            for (rate, who) in &counted {
                rate.give_back(app, realm, who, cx.now).await?;
            }
            Ok(Guess::Right(Box::new(request)))
        }
        Err(bad) => Ok(Guess::Wrong(bad)),
    }
}

fn code_page(cx: &Cx<'_>, alert: Option<Alert>) -> Response {
    let action = format!("/realms/{}/device", login::encoded(cx.realm_name()));
    Surroundings::of(cx.app, cx.view, []).page(StatusCode::OK, &DeviceCodePage { action, alert })
}

fn too_many(cx: &Cx<'_>) -> Response {
    let page = ErrorPage::plain(Text::key("deviceTooManyCodes"));
    let mut response =
        Surroundings::of(cx.app, cx.view, []).error(StatusCode::TOO_MANY_REQUESTS, &page, Halt::TooManyGuesses);
    let window = GUESSES.iter().map(|rate| rate.window).max().unwrap_or_default();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(window));
    response.headers_mut().insert(CACHE_CONTROL, security::NO_STORE);
    response
}

/// `/device/status`: how it ended. Nothing depends on it.
pub(crate) async fn status(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    Visit::answered(&app, &realm, request, ended).await
}

async fn ended(cx: &Cx<'_>, visit: &Visit) -> Result<Response, Unavailable> {
    if visit.method != Method::GET {
        return Ok(respond::wrong_method());
    }
    let (header, message) = match visit.query.get("error") {
        None => ("oauth2DeviceVerificationCompleteHeader", "oauth2DeviceVerificationCompleteMessage"),
        Some("access_denied") => ("oauth2DeviceVerificationFailedHeader", "oauth2DeviceConsentDeniedMessage"),
        Some("expired_token") => ("oauth2DeviceVerificationFailedHeader", "oauth2DeviceExpiredUserCodeMessage"),
        Some(_) => ("oauth2DeviceVerificationFailedHeader", "oauth2DeviceVerificationFailedMessage"),
    };
    let page = InfoPage { header: Text::key(header), ..InfoPage::new(Text::key(message)) };
    let mut response = Surroundings::of(cx.app, cx.view, []).page(StatusCode::OK, &page);
    // Keycloak 26.4 says nothing about caching here.
    response.headers_mut().remove(CACHE_CONTROL);
    Ok(response)
}
