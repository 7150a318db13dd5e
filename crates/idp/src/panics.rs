//! A handler that panics spoils its own request only (DS-26).
//!
//! **Owns** the answer: Keycloak's 500, a page where a person looks at it, with a reference number that the log has too.
//! **Does not own** who catches it ([`crate::watch`]), what the log says of the panic itself (the binary's hook), nor panics outside
//! the face (the listener).

use std::panic::AssertUnwindSafe;

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use crate::pages::{ErrorPage, Text};
use crate::respond;
use crate::respond::html::Surroundings;
use crate::state::App;
use crate::watch::{self, Halt, Why};

/// The answer in place of one that did not come.
pub(crate) fn sorry(app: &App, to_person: bool) -> Response {
    // The page itself may be what panics.
    let page = || Surroundings::bare(app).error(StatusCode::INTERNAL_SERVER_ERROR, &error_page(), Halt::Panicked);
    let shown = to_person.then(|| std::panic::catch_unwind(AssertUnwindSafe(page)).ok()).flatten();
    let response = shown.unwrap_or_else(|| as_json(app));
    let trace = watch::trace(&response);
    tracing::error!(trace, "a handler panicked; its request is answered 500");
    response
}

fn error_page() -> ErrorPage {
    ErrorPage::server(Text::key("internalServerError"))
}

/// Keycloak 26.4's answer to whatever it did not expect.
fn as_json(app: &App) -> Response {
    let text = "For more on this error consult the server log.";
    let body = json!({ "error": "unknown_error", "error_description": text });
    let mut response = respond::json(StatusCode::INTERNAL_SERVER_ERROR, &body);
    watch::mark(&mut response, Why::from(Halt::Panicked).shown_as(watch::trace_id(app.entropy.as_ref())));
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use http::Uri;
    use portcullis_core::entropy::Entropy;
    use portcullis_core::time::{Clock, Now};
    use portcullis_store::{Db, MemoryEphemeral, ServerKeys};
    use tower::ServiceExt as _;

    use super::*;
    use crate::pages::Pages;
    use crate::respond::html;
    use crate::signer::Local;
    use crate::state::{Deps, IdpConfig};
    use crate::watch::WatchLayer;

    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(7);
        }
    }

    impl Clock for Fixed {
        fn now(&self) -> Now {
            Now::from_secs(1_000)
        }
    }

    fn app() -> Arc<App> {
        let deps = Deps {
            db: Db::in_memory(ServerKeys { current: (1, [1; 32]), previous: None }).unwrap(),
            ephemeral: Arc::new(MemoryEphemeral::new("test")),
            clock: Arc::new(Fixed),
            entropy: Arc::new(Fixed),
            config: IdpConfig::default(),
        };
        Arc::new(App::new(deps, Pages::new(None).unwrap(), Arc::new(Local), watch::Watch::default()))
    }

    async fn handler(uri: Uri) -> &'static str {
        match uri.path() {
            "/at-once" => panic!("password=hunter2"),
            "/later" => {
                tokio::task::yield_now().await;
                panic!("password=hunter2")
            }
            _ => "hello",
        }
    }

    async fn ask(router: &Router, path: &str, accept: &str) -> (StatusCode, String, http::HeaderMap) {
        let request = Request::builder().uri(path).header("accept", accept).body(Body::empty()).unwrap();
        let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, String::from_utf8(bytes.to_vec()).unwrap(), parts.headers)
    }

    #[tokio::test]
    async fn ds_26_a_panic_is_500_in_the_words_of_the_face() {
        let app = app();
        let router = Router::new().fallback(handler).layer(WatchLayer::new(app));
        for path in ["/at-once", "/later"] {
            let (status, body, headers) = ask(&router, path, "application/json").await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            let text = "For more on this error consult the server log.";
            assert_eq!(body, format!("{{\"error\":\"unknown_error\",\"error_description\":\"{text}\"}}"));
            assert_eq!(headers.get("content-type").unwrap(), "application/json");
            assert_eq!(headers.get(html::TRACE).unwrap().len(), 32);
            assert_eq!(headers.get("x-frame-options").unwrap(), "SAMEORIGIN");
            let (status, body, headers) = ask(&router, path, "text/html,*/*").await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            let trace = headers.get(html::TRACE).unwrap().to_str().unwrap();
            assert!(body.contains("An internal server error has occurred") && body.contains(trace), "{body}");
            assert!(!body.contains("hunter2"), "{body}");
        }
        let (status, body, _) = ask(&router, "/honest", "*/*").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "hello"));
    }
}
