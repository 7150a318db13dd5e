//! Demands: roles and scopes by exact word (JW-32), and a guard that was forgotten.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use portcullis_guard::{Principal, require};
use serde_json::json;
use tower::ServiceExt as _;

use crate::common::{Api, ISSUER, claims, signed, with};

#[tokio::test]
async fn jw_32_scopes_and_roles_match_whole_words() {
    let api = Api::new(&["good"]);
    let scope = |s: &str| json!({"scope": s});
    let role = |r: &str| json!({"realm_access": {"roles": [r]}});
    for (path, changes, expected) in [
        ("/read", scope("orders:read"), 200),
        ("/read", scope("a orders:read b"), 200),
        ("/read", scope("orders:read:none"), 403),
        ("/read", scope("xorders:read"), 403),
        ("/read", scope("orders:READ"), 403),
        ("/read", scope("orders:read,b"), 403),
        ("/read", scope(""), 403),
        ("/read", json!({"scope": ["orders:read"]}), 403),
        ("/read", json!({"scope": null}), 403),
        ("/both", scope("orders:write orders:read"), 200),
        ("/both", scope("orders:write"), 403),
        ("/nobody", scope("orders:read"), 403),
        ("/admin", role("admin"), 200),
        ("/admin", role("admin2"), 403),
        ("/admin", role("Admin"), 403),
        ("/admin", json!({"roles": ["admin"]}), 403),
        ("/admin", json!({"resource_access": {"other": {"roles": ["admin"]}}}), 403),
        ("/write", json!({}), 200),
        ("/write", json!({"resource_access": {"other": {"roles": ["write"]}}}), 403),
        ("/write", role("admin"), 200),
    ] {
        let answer = api.get(path, &signed("good", &with(changes.clone()))).await;
        assert_eq!(answer.status, expected, "{path} {changes}");
    }
}

#[tokio::test]
async fn rfc_6750_3_1_insufficient_scope_names_what_is_needed() {
    let api = Api::new(&["good"]);
    let token = signed("good", &claims());
    let expected = format!(
        "Bearer realm=\"{ISSUER}\", error=\"insufficient_scope\", error_description=\"The access token does not allow this.\""
    );
    let by_role = api.get("/admin", &token).await;
    assert_eq!((by_role.status.as_u16(), api.reason()), (403, "missing_role"));
    assert_eq!(by_role.header("www-authenticate"), expected);
    let by_scope = api.get("/both", &token).await;
    assert_eq!((by_scope.status.as_u16(), api.reason()), (403, "missing_scope"));
    assert_eq!(by_scope.header("www-authenticate"), format!("{expected}, scope=\"orders:read orders:write\""));
    assert_eq!(by_scope.body.get("trace").and_then(|t| t.as_str()), Some(by_scope.header("portcullis-trace")));
    assert_eq!(api.get("/nobody", &token).await.status, 403);
}

#[tokio::test]
async fn a_demand_without_a_guard_is_a_server_error_and_no_pass() {
    let open = Router::new().route("/role", get(async || "secret")).layer(require::role("admin"));
    let open = open.route("/argument", get(async |caller: Principal| caller.subject().to_owned()));
    for path in ["/role", "/argument"] {
        let request = Request::get(path).header("authorization", "Bearer x").body(Body::empty()).unwrap();
        assert_eq!(open.clone().oneshot(request).await.unwrap().status(), 500, "{path}");
    }
}
