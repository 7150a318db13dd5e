//! What anybody may read: realm document, discovery, keys, the pages of keycloak-js, style.
//!
//! **Owns** the public documents' headers. **Does not own** their content: [`portcullis_core::oauth::discovery`],
//! [`crate::keys`], [`crate::pages`].

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use portcullis_core::oauth::discovery::{self as law, Abilities};
use serde_json::json;

use crate::extract::{self, Base, Peer};
use crate::pages::security::{self, BrowserHeaders, Policy};
use crate::pages::{Asset, FrontPage, LOGIN_STATUS_IFRAME, STEP1, STEP2, StaticPage};
use crate::respond;
use crate::respond::cors::{self, Allowed};
use crate::respond::html::{self, Surroundings};
use crate::signer;
use crate::state::{App, RealmView};

/// What this server's faces can do besides the law itself.
const ABILITIES: Abilities = Abilities { frontchannel_logout: true, backchannel_logout: true, consent: false };

const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const DISCOVERY_CACHE: HeaderValue = HeaderValue::from_static("no-cache, must-revalidate, no-transform, no-store");

/// A realm, or the answer that there is none.
pub(crate) async fn view(app: &App, realm: &str, headers: &HeaderMap) -> Result<Arc<RealmView>, Response> {
    match app.realm(realm).await {
        Ok(Some(view)) => Ok(view),
        Ok(None) => Err(html::unknown_realm(app, headers)),
        Err(_) => Err(respond::unavailable()),
    }
}

/// A document that any origin may read.
fn open(mut response: Response, request: &HeaderMap, cache: HeaderValue) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, cache);
    cors::add(&mut response, request, &Allowed::Any, None);
    response
}

/// What a public document begins with: the realm, then whether the method reads. `preflight` is the methods that browsers
/// are told, `otherwise` the answer to any but those.
async fn reading(
    (app, realm): (&App, &str),
    (method, headers): (&Method, &HeaderMap),
    preflight: &'static str,
    otherwise: fn() -> Response,
) -> Result<Arc<RealmView>, Response> {
    let view = view(app, realm, headers).await?;
    match *method {
        Method::GET | Method::HEAD => Ok(view),
        Method::OPTIONS => Err(cors::preflight(headers, preflight)),
        _ => Err(otherwise()),
    }
}

fn not_found() -> Response {
    respond::generic_error(StatusCode::NOT_FOUND, "HTTP 404 Not Found")
}

fn base(app: &App, headers: &HeaderMap, uri: &Uri, peer: Option<Extension<Peer>>) -> Base {
    Base::of(&app.config, headers, uri, &peer.map(|Extension(peer)| peer).unwrap_or_default())
}

/// `GET /realms/{realm}`: Keycloak's public realm document.
pub(crate) async fn realm_info(
    State(app): State<Arc<App>>,
    Path(realm): Path<String>,
    peer: Option<Extension<Peer>>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    let asked = (&method, &headers);
    let view = match reading((&app, &realm), asked, "GET, HEAD, OPTIONS", respond::wrong_method).await {
        Ok(view) => view,
        Err(response) => return response,
    };
    let issuer = base(&app, &headers, &uri, peer).issuer(&realm);
    let document = json!({
        "realm": realm,
        "public_key": view.keys.public_key(),
        "token-service": format!("{issuer}/protocol/openid-connect"),
        "account-service": format!("{issuer}/account"),
        "tokens-not-before": view.records.realm.settings.not_before,
    });
    let mut response = respond::json(StatusCode::OK, &document);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    open(response, &headers, NO_CACHE)
}

/// The discovery documents (OIDC Discovery §4, RFC 8414 §3): one content at three addresses.
pub(crate) async fn discovery(
    State(app): State<Arc<App>>,
    Path(realm): Path<String>,
    peer: Option<Extension<Peer>>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    // Keycloak 26.4: not 405.
    let view = match reading((&app, &realm), (&method, &headers), "GET", not_found).await {
        Ok(view) => view,
        Err(response) => return response,
    };
    let base = base(&app, &headers, &uri, peer);
    let document = law::document(&view.records, &base.url, signer::ALGORITHMS, ABILITIES);
    open(respond::raw_json(StatusCode::OK, document), &headers, DISCOVERY_CACHE)
}

/// The realm's JWK set (RFC 7517 §5), prebuilt.
pub(crate) async fn certs(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    let asked = (request.method(), request.headers());
    match reading((&app, &realm), asked, "GET", respond::wrong_method).await {
        Ok(view) => open(respond::raw_json(StatusCode::OK, view.keys.jwks()), asked.1, NO_CACHE),
        Err(response) => response,
    }
}

fn framable(headers: &BrowserHeaders, page: &StaticPage, cache: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(page.html));
    let out = response.headers_mut();
    for (name, value) in security::html_headers(headers, &Policy::framable(page)) {
        out.append(name, value);
    }
    out.insert(CONTENT_TYPE, security::HTML);
    out.insert(CACHE_CONTROL, cache);
    response
}

/// A static page of keycloak-js. A `version` that is not this server's is not there (surface §1.7).
async fn keycloak_page(
    app: &App,
    realm: &str,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
    page: &StaticPage,
) -> Response {
    if let Some(response) = not_reading(method) {
        return response;
    }
    let view = match view(app, realm, headers).await {
        Ok(view) => view,
        Err(response) => return response,
    };
    let params = extract::query(uri).unwrap_or_default();
    match params.get("version") {
        None => framable(&view.browser_headers, page, NO_CACHE),
        Some(version) if version == app.pages.version() => {
            framable(&view.browser_headers, page, HeaderValue::from_static(Asset::CACHE_CONTROL))
        }
        Some(_) => not_found(),
    }
}

/// Other methods at the pages of keycloak-js.
fn not_reading(method: &Method) -> Option<Response> {
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => {
            let mut response = respond::empty(StatusCode::OK);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("HEAD, GET, OPTIONS"));
            Some(response)
        }
        _ => Some(respond::wrong_method()),
    }
}

/// `login-status-iframe.html`
pub(crate) async fn status_iframe(
    State(app): State<Arc<App>>,
    Path(realm): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    keycloak_page(&app, &realm, (&method, &uri, &headers), &LOGIN_STATUS_IFRAME).await
}

/// `3p-cookies/step1.html`
pub(crate) async fn cookies_step1(
    State(app): State<Arc<App>>,
    Path(realm): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    keycloak_page(&app, &realm, (&method, &uri, &headers), &STEP1).await
}

/// `3p-cookies/step2.html`
pub(crate) async fn cookies_step2(
    State(app): State<Arc<App>>,
    Path(realm): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    keycloak_page(&app, &realm, (&method, &uri, &headers), &STEP2).await
}

/// `login-status-iframe.html/init`: whether an origin may ask about a client's session (SE-18).
pub(crate) async fn status_iframe_init(
    State(app): State<Arc<App>>,
    Path(realm): Path<String>,
    peer: Option<Extension<Peer>>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    if let Some(response) = not_reading(&method) {
        return response;
    }
    let view = match view(&app, &realm, &headers).await {
        Ok(view) => view,
        Err(response) => return response,
    };
    let own = base(&app, &headers, &uri, peer).url;
    let params = extract::query(&uri).unwrap_or_default();
    let client = params.get("client_id").and_then(|id| view.records.client(id)).filter(|c| c.settings.enabled);
    let permitted = match (client, params.get("origin")) {
        (Some(client), Some(origin)) => origin == own || Allowed::of(client).permits(origin),
        _ => false,
    };
    respond::empty(if permitted { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN })
}

/// `/resources/{version}/login/...`: style and images. Only under the current version they may be kept.
pub(crate) async fn resource(
    State(app): State<Arc<App>>,
    Path((version, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(asset) = app.pages.asset(&path) else {
        return not_found();
    };
    let known = headers.get(IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == asset.etag.as_bytes());
    let mut response = Response::new(if known { Body::empty() } else { Body::from(asset.bytes.clone()) });
    *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let out = response.headers_mut();
    let current = version == app.pages.version();
    out.insert(CACHE_CONTROL, if current { HeaderValue::from_static(Asset::CACHE_CONTROL) } else { NO_CACHE });
    out.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    out.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(tag) = HeaderValue::from_str(&asset.etag) {
        out.insert(ETAG, tag);
    }
    response
}

/// `/`: says what this server is.
pub(crate) async fn front(State(app): State<Arc<App>>) -> Response {
    Surroundings::bare(&app).page(StatusCode::OK, &FrontPage { links: Vec::new() })
}

/// Below `/realms/{realm}/protocol/`, where nothing else answers.
pub(crate) async fn unknown_protocol(
    State(app): State<Arc<App>>,
    Path((realm, protocol, _)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let known = protocol == "openid-connect";
    let text = if known { "HTTP 404 Not Found" } else { "Protocol not found" };
    match view(&app, &realm, &headers).await {
        Ok(_) => respond::generic_error(StatusCode::NOT_FOUND, text),
        Err(refused) => refused,
    }
}
