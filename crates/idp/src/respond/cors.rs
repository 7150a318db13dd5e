//! CORS as Keycloak 26.4 answers it: the origin is echoed, never `*`; an origin that is not allowed gets no header at all.

use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use portcullis_core::claims::origins;
use portcullis_core::client::Client;

use super::empty;

/// What most answers expose.
pub(crate) const EXPOSED: &str = "Access-Control-Allow-Methods";

/// Which origins may read an answer.
#[derive(Clone, Debug)]
pub(crate) enum Allowed {
    /// Any: public documents, and errors before the client is known.
    Any,
    /// These, as `scheme://host[:port]`.
    Only(Vec<String>),
    /// None.
    Nobody,
}

impl Allowed {
    /// The origins of a client: `+` stands for those of its redirect URIs, `*` for any (surface §1.2).
    pub(crate) fn of(client: &Client) -> Self {
        let origins = origins::of(client);
        if origins.iter().any(|o| o == "*") { Self::Any } else { Self::Only(origins) }
    }

    /// Whether an origin is among them.
    pub(crate) fn permits(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(list) => list.iter().any(|o| o == origin),
            Self::Nobody => false,
        }
    }
}

/// Adds the headers of a plain (not preflight) answer. `exposed` is the value of `Access-Control-Expose-Headers`, if any.
pub(crate) fn add(response: &mut Response, request: &HeaderMap, allowed: &Allowed, exposed: Option<&'static str>) {
    let Some(origin) = single_origin(request) else { return };
    if !origin.to_str().is_ok_and(|o| allowed.permits(o)) {
        return;
    }
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    if let Some(exposed) = exposed {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
}

fn single_origin(request: &HeaderMap) -> Option<&HeaderValue> {
    let mut all = request.get_all(ORIGIN).iter();
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

const ALLOW_HEADERS: &str = "Origin, Accept, X-Requested-With, Content-Type, Access-Control-Request-Method, \
                             Access-Control-Request-Headers, DPoP, Authorization";

/// A preflight is answered 200 for any origin; `methods` depends on the endpoint (surface §1.2).
pub(crate) fn preflight(request: &HeaderMap, methods: &'static str) -> Response {
    let mut response = empty(StatusCode::OK);
    if let Some(origin) = single_origin(request) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert("access-control-allow-methods", HeaderValue::from_static(methods));
        headers.insert("access-control-allow-headers", HeaderValue::from_static(ALLOW_HEADERS));
        headers.insert("access-control-max-age", HeaderValue::from_static("3600"));
    }
    response
}
