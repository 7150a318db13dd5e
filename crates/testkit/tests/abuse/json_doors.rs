//! SE-08: what a form of somebody else's page can send is no JSON, whatever it looks like.

use anyhow::Result;
use portcullis_testkit::http1::Exchange;
use serde_json::json;

use crate::ground::{House, REALM, admin_token, open, records};
use crate::limits::{Body, DOORS};

/// Types that a page posts without asking first (Fetch, "CORS-safelisted"), none at all, and some that resemble JSON.
const KINDS: [Option<&str>; 9] = [
    None,
    Some(""),
    Some("text/plain"),
    Some("text/plain;charset=UTF-8"),
    Some("text/plain; application/json"),
    Some("application/x-www-form-urlencoded"),
    Some("multipart/form-data; boundary=x"),
    Some("text/json"),
    Some("application/jsonp"),
];

#[tokio::test]
async fn se_08_a_form_is_no_json_at_any_json_door() -> Result<()> {
    let server = open(House::Strict).await?;
    let bearer = format!("Bearer {}", admin_token(&server).await?);
    let body = json!({ "realm": "forged", "displayName": "forged", "enabled": true }).to_string();
    let send = async |method: &str, path: &str, kind: Option<&str>| -> Result<u16> {
        let mut ask = Exchange::new(method, path).header("Authorization", &bearer).body(body.clone().into_bytes());
        if let Some(kind) = kind {
            ask = ask.header("Content-Type", kind);
        }
        Ok(server.client()?.send(&ask).await?.status)
    };
    let mut refused = 0;
    for &(_, pattern, path, body, _) in DOORS {
        if body != Body::Json {
            continue;
        }
        for method in ["POST", "PUT", "PATCH"] {
            for kind in KINDS {
                let status = send(method, path, kind).await?;
                assert!([404, 405, 415].contains(&status), "{method} {pattern} {kind:?}: {status}");
                refused += usize::from(status == 415);
            }
        }
    }
    assert!(refused >= 2 * KINDS.len(), "{refused}");
    assert_eq!(server.db.realm_names().await?.len(), 2, "nothing was made");
    assert_eq!(records(&server, REALM).await?.realm.settings.display_name, None, "nothing was changed");
    for (method, path, kind, status) in [
        ("POST", "/admin/realms", "Application/JSON; charset=utf-8", 201),
        ("PUT", "/admin/realms/forged", "application/json", 204),
    ] {
        assert_eq!(send(method, path, Some(kind)).await?, status, "the honest {method}");
    }
    // No cookie stands for a token here, so a foreign page has nothing to ride on.
    let cookies = Exchange::json("PUT", "/admin/realms/yard", &json!({})).header("Cookie", "KEYCLOAK_IDENTITY=x");
    assert_eq!(server.client()?.send(&cookies).await?.status, 401);
    Ok(())
}
