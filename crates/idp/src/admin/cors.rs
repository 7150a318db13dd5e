//! CORS of the Admin API (Keycloak 26.4): a preflight is answered to anybody, an answer may be read by the pages of the client that
//! the token was given to, and by no other (AD-19).

use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::ORIGIN;
use http::{Extensions, Method};
use portcullis_core::client::Client;

use crate::respond::cors::{self, Allowed};

/// As recorded.
const METHODS: &str = "DELETE, POST, GET, PUT";

/// Whose pages may read the answer: known once the caller is.
#[derive(Clone, Default)]
struct Readers(Arc<OnceLock<Allowed>>);

/// The caller is known by a token of this client.
pub(super) fn allow(extensions: &Extensions, client: &Client) {
    if let Some(Readers(readers)) = extensions.get() {
        readers.get_or_init(|| Allowed::of(client));
    }
}

/// The layer.
pub(super) async fn apply(mut request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return cors::preflight(request.headers(), METHODS);
    }
    if !request.headers().contains_key(ORIGIN) {
        return next.run(request).await;
    }
    let (headers, readers) = (request.headers().clone(), Readers::default());
    request.extensions_mut().insert(readers.clone());
    let mut response = next.run(request).await;
    let allowed = readers.0.get().unwrap_or(&Allowed::Nobody);
    cors::add(&mut response, &headers, allowed, Some("Location"));
    response
}
