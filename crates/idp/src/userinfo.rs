//! `GET|POST /realms/{realm}/protocol/openid-connect/userinfo` (OIDC Core §5.3). Errors carry no JSON, only a challenge (RFC 6750 §3).

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use portcullis_core::claims::{Facts, tokens};
use portcullis_core::client::Client;
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::scope;
use portcullis_core::session::Grant;

use crate::bearer::{self, BearerPrincipal, Refused};
use crate::extract::{self, Arrival};
use crate::respond::cors::{self, Allowed};
use crate::respond::{self, Shield};
use crate::signer;
use crate::state::{App, RealmView};
use crate::watch::{self, Halt, Why};

const METHODS: &str = "GET, HEAD, OPTIONS";
const EXPOSED_ERROR: &str = "Access-Control-Allow-Methods, WWW-Authenticate";
/// RFC 9449 §7.1, in Keycloak's order.
const DPOP_ALGORITHMS: &str = "PS384 RS384 EdDSA ES384 ES256 RS256 ES512 PS256 PS512 RS512";
/// Client attribute: the answer is a JWT signed with this algorithm.
const SIGNATURE_ATTRIBUTE: &str = "user.info.response.signature.alg";

/// The endpoint.
pub(crate) async fn endpoint(State(app): State<Arc<App>>, Path(realm): Path<String>, request: Request) -> Response {
    let arrival = match Arrival::read(&app, &realm, request).await {
        Ok(arrival) => arrival,
        Err(turned) => return turned.into(),
    };
    let issuer = arrival.base(&app).issuer(&realm);
    let Arrival { parts, body, peer, view } = arrival;
    let form = match parts.method {
        Method::OPTIONS => return cors::preflight(&parts.headers, METHODS),
        Method::GET | Method::HEAD => Bytes::new(),
        Method::POST => body,
        _ => return respond::wrong_method(),
    };
    let closed = crate::token::closed(&view, &peer);
    if let Some(reason) = closed.as_ref().filter(|reason| **reason != Reason::RealmDisabled) {
        let mut response = respond::oauth_error(reason);
        cors::add(&mut response, &parts.headers, &Allowed::Any, Some(EXPOSED_ERROR));
        return response;
    }
    match presented(&parts.headers, &form) {
        // In a realm that is switched off no token holds.
        Ok(_) if closed.is_some() => challenge(&view, &parts.headers, &Fault::closed(), &Allowed::Any),
        Ok(token) => answer(&app, &view, &issuer, &parts.headers, token).await,
        Err(fault) => challenge(&view, &parts.headers, &fault, &Allowed::Any),
    }
}

/// A token as it was presented.
struct Presented {
    text: String,
    dpop: bool,
}

/// What is said instead of claims.
struct Fault {
    status: StatusCode,
    error: Option<(&'static str, &'static str)>,
    dpop: bool,
    why: Box<Why>,
}

impl Fault {
    fn token(refused: Refused) -> Self {
        let error = Some(("invalid_token", refused.text()));
        Self { status: StatusCode::UNAUTHORIZED, error, dpop: false, why: Box::new(refused.into()) }
    }

    fn closed() -> Self {
        let error = Some(("invalid_token", "Token verification failed"));
        let why = Box::new(Why::from(&Reason::RealmDisabled));
        Self { status: StatusCode::UNAUTHORIZED, error, dpop: false, why }
    }

    fn dpop() -> Self {
        let error = Some(("invalid_token", "Token verification failed"));
        Self { status: StatusCode::UNAUTHORIZED, error, dpop: true, why: Box::new(Halt::DpopToken.into()) }
    }
}

/// RFC 6750 §2: header or form, never both. `Bearer` in any case and with several blanks, `DPoP` only as written (Keycloak 26.4).
fn presented(headers: &HeaderMap, form: &Bytes) -> Result<Presented, Fault> {
    let absent =
        Fault { status: StatusCode::UNAUTHORIZED, error: None, dpop: false, why: Box::new(Halt::NoToken.into()) };
    let several = |text| Fault {
        status: StatusCode::BAD_REQUEST,
        error: Some(("invalid_request", text)),
        dpop: false,
        why: Box::new(Halt::SeveralTokens.into()),
    };
    let twice = several("More than one method used for including an access token");
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let header = all.next();
    if all.next().is_some() {
        return Err(twice);
    }
    let params = extract::form(headers, form).unwrap_or_default();
    // Keycloak 26.4: in the form an empty token is a token that does not hold.
    match (header, params.raw("access_token")) {
        (Some(_), Some(_)) => Err(twice),
        (None, Some(text)) if params.count("access_token") == 1 => Ok(Presented { text: text.to_owned(), dpop: false }),
        (None, Some(_)) => Err(several("Duplicate parameter")),
        (None, None) => Err(absent),
        (Some(header), None) => {
            let pair = header.to_str().ok().and_then(|text| text.split_once(' '));
            let Some((scheme, token)) = pair else { return Err(absent) };
            let (token, dpop) = (token.trim_matches(' '), scheme == "DPoP");
            if token.is_empty() || !(dpop || scheme.eq_ignore_ascii_case("bearer")) {
                return Err(absent);
            }
            Ok(Presented { text: token.to_owned(), dpop })
        }
    }
}

async fn answer(app: &App, view: &RealmView, issuer: &str, headers: &HeaderMap, token: Presented) -> Response {
    if token.dpop {
        return challenge(view, headers, &Fault::dpop(), &Allowed::Any);
    }
    let principal = match bearer::verify(app, view, issuer, &token.text, app.now()).await {
        Ok(principal) => principal,
        Err(Refused::Unavailable) => return respond::unavailable(),
        Err(refused) => return challenge(view, headers, &Fault::token(refused), &Allowed::Any),
    };
    let allowed = Allowed::of(principal.client);
    let scope = principal.claims.str("scope").unwrap_or_default();
    if !scope.split(' ').any(|word| word == scope::OPENID) {
        let error = Some(("insufficient_scope", "Missing openid scope"));
        let why = Box::new(Why::from(Halt::NoOpenidScope).of_client(Some(&principal.client.client_id)));
        let fault = Fault { status: StatusCode::FORBIDDEN, error, dpop: false, why };
        return challenge(view, headers, &fault, &allowed);
    }
    let Some(mut response) = claims(app, view, issuer, &principal).await else { return respond::unavailable() };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    cors::add(&mut response, headers, &allowed, Some(cors::EXPOSED));
    response
}

/// The claims, signed where the client wants that. `None`: the realm has no key for it.
async fn claims(app: &App, view: &RealmView, issuer: &str, principal: &BearerPrincipal<'_>) -> Option<Response> {
    let records = &view.records;
    let scope = principal.claims.str("scope").unwrap_or_default();
    let scopes = scope::active(records, principal.client, scope).permitted(records, &principal.user);
    let sessionless = Grant { scope: scope.to_owned(), ..Grant::default() };
    let session = principal.session.as_ref();
    let facts = Facts {
        records,
        client: principal.client,
        user: &principal.user,
        session: session.map(|(session, _)| session),
        transient: false,
        grant: session.map_or(&sessionless, |(_, below)| &below.grant),
        scopes: &scopes,
        audiences: None,
        issuer,
    };
    let Some(name) = signature(principal.client) else {
        return Some(respond::raw_json(StatusCode::OK, tokens::userinfo(&facts, false)));
    };
    let algorithm = signer::algorithm(name)?;
    let made = signer::ensure(app, view, algorithm).await.ok()?;
    let newer = if made { app.realm(&records.realm.name).await.ok()? } else { None };
    let key = newer.as_deref().unwrap_or(view).keys.signer(algorithm)?;
    let signed = app.signer.sign(&key, "JWT", &tokens::userinfo(&facts, true)).await.ok()?;
    let mut response = respond::raw_json(StatusCode::OK, signed);
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwt"));
    // Keycloak 26.4 sends it with JSON only.
    out.remove(X_FRAME_OPTIONS);
    Some(response)
}

fn signature(client: &Client) -> Option<&str> {
    client.attribute(SIGNATURE_ATTRIBUTE).filter(|alg| !matches!(*alg, "" | "any" | "none"))
}

/// RFC 6750 §3: an empty answer with `WWW-Authenticate`.
fn challenge(view: &RealmView, headers: &HeaderMap, fault: &Fault, allowed: &Allowed) -> Response {
    let realm = view.records.realm.name.replace(['\\', '"'], "");
    let mut text = if fault.dpop {
        format!("DPoP algs=\"{DPOP_ALGORITHMS}\", realm=\"{realm}\"")
    } else {
        format!("Bearer realm=\"{realm}\"")
    };
    if let Some((error, description)) = fault.error {
        text.push_str(&format!(", error=\"{error}\", error_description=\"{description}\""));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = fault.status;
    let out = response.headers_mut();
    respond::shield(out, Shield::Bare);
    if fault.status == StatusCode::BAD_REQUEST || extract::is_form(headers) {
        // Keycloak 26.4 sends its page headers with this one error, and with every empty answer to a form.
        respond::shield(out, Shield::Api);
        out.insert("x-robots-tag", HeaderValue::from_static("none"));
        let policy = "frame-src 'self'; frame-ancestors 'self'; object-src 'none';";
        out.insert("content-security-policy", HeaderValue::from_static(policy));
    }
    out.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=utf-8"));
    if let Ok(value) = HeaderValue::from_str(&text) {
        out.insert(WWW_AUTHENTICATE, value);
    }
    cors::add(&mut response, headers, allowed, Some(EXPOSED_ERROR));
    watch::mark(&mut response, Why::clone(&fault.why));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(authorization: &[&str], form: &str) -> Result<(String, bool), (u16, Option<&'static str>)> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        for value in authorization {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        presented(&headers, &Bytes::copy_from_slice(form.as_bytes()))
            .map(|p| (p.text, p.dpop))
            .map_err(|f| (f.status.as_u16(), f.error.map(|(error, _)| error)))
    }

    #[test]
    fn rfc_6750_2_one_token_in_one_place() {
        let token = |dpop| Ok(("abc".to_owned(), dpop));
        let absent = Err((401, None));
        let twice = Err((400, Some("invalid_request")));
        for (authorization, form, expected) in [
            (&["Bearer abc"][..], "", token(false)),
            (&["bearer  abc"], "", token(false)),
            (&["DPoP abc"], "", token(true)),
            (&["dpop abc"], "", absent.clone()),
            (&["Bearer "], "", absent.clone()),
            (&["Basic abc"], "", absent.clone()),
            (&[], "", absent.clone()),
            (&[], "access_token=", Ok((String::new(), false))),
            (&[], "access_token=abc", token(false)),
            (&["Bearer abc"], "access_token=abc", twice.clone()),
            (&["Bearer abc", "Bearer abc"], "", twice.clone()),
            (&[], "access_token=abc&access_token=abc", twice.clone()),
        ] {
            assert_eq!(read(authorization, form), expected, "{authorization:?} {form}");
        }
    }
}
