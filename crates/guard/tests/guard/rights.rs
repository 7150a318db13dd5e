//! Demands: roles and scopes by exact word (JW-32), and a guard that was forgotten.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use portcullis_guard::{Principal, require};
use serde_json::json;
use tower::ServiceExt as _;

use crate::common::{Api, ISSUER, NOW, claims, signed, with};

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
async fn mf_09_rfc_9470_a_login_of_less_or_of_long_ago_is_sent_back() {
    let login = |acr: &str, age: i64| json!({"acr": acr, "auth_time": NOW - age});
    for (path, changes, expected) in [
        ("/level", login("silver", 9999), "none"),
        ("/level", login("gold", 9999), "none"),
        ("/level", login("bronze", 0), "level_too_low"),
        ("/level", login("Silver", 0), "level_too_low"),
        ("/level", login("silver gold", 0), "level_too_low"),
        ("/level", login("", 0), "level_too_low"),
        ("/level", json!({}), "level_too_low"),
        ("/level", json!({"acr": ["silver"]}), "level_too_low"),
        ("/recent", login("0", 300), "none"),
        ("/recent", login("0", 301), "login_too_old"),
        ("/recent", login("0", -60), "none"),
        ("/recent", login("0", -61), "login_too_old"),
        ("/recent", json!({"auth_time": i64::MIN}), "login_too_old"),
        ("/recent", json!({"auth_time": NOW.to_string()}), "login_too_old"),
        ("/recent", json!({}), "login_too_old"),
        ("/transfer", login("gold", 60), "none"),
        ("/transfer", login("gold", 61), "login_too_old"),
        ("/transfer", login("silver", 1), "level_too_low"),
        ("/no-level", login("gold", 1), "level_too_low"),
    ] {
        let api = Api::new(&["good"]);
        let answer = api.get(path, &signed("good", &with(changes.clone()))).await;
        assert_eq!((answer.status == 200, api.reason()), (expected == "none", expected), "{path} {changes}");
        assert!(answer.status == 200 || answer.status == 401, "{path} {changes}");
    }
}

#[tokio::test]
async fn rfc_9470_3_the_answer_says_what_the_next_login_must_be() {
    let api = Api::new(&["good"]);
    let token = signed("good", &with(json!({"acr": "bronze", "auth_time": NOW})));
    let challenge = |text: &str, needed: &str| {
        format!(
            "Bearer realm=\"{ISSUER}\", error=\"insufficient_user_authentication\", error_description=\"{text}\", {needed}"
        )
    };
    let (other, recent) = ("A different authentication level is required.", "More recent authentication is required.");
    let answer = api.get("/level", &token).await;
    assert_eq!(answer.header("www-authenticate"), challenge(other, "acr_values=\"silver gold\""));
    let answer = api.get("/transfer", &token).await;
    assert_eq!(answer.header("www-authenticate"), challenge(other, "acr_values=\"gold\", max_age=\"60\""));
    assert_eq!(api.get("/recent", &token).await.status, 200);
    // A remembered token grows old: the clock is asked each time.
    api.clock.store(NOW + 299, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(api.get("/recent", &token).await.status, 200);
    let short = signed("good", &with(json!({"auth_time": NOW - 10, "exp": NOW + 900})));
    assert_eq!(api.get("/recent", &short).await.header("www-authenticate"), challenge(recent, "max_age=\"300\""));
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
