//! Keycloak's cookies: names, attributes and their order (`Version=1;Path=..;..`, surface §1.6).

use http::{HeaderMap, HeaderValue};
use portcullis_core::login::cookie_header;

/// Signed id of the browser's login flows.
pub(crate) const AUTH_SESSION_ID: &str = "AUTH_SESSION_ID";
/// Digest of the flow's id that scripts may read.
pub(crate) const KC_AUTH_SESSION_HASH: &str = "KC_AUTH_SESSION_HASH";
/// Sealed copy of the validated request, used only to start over.
pub(crate) const KC_RESTART: &str = "KC_RESTART";
/// The single sign-on cookie.
pub(crate) const KEYCLOAK_IDENTITY: &str = "KEYCLOAK_IDENTITY";
/// Digest of the session id for the session iframe.
pub(crate) const KEYCLOAK_SESSION: &str = "KEYCLOAK_SESSION";
/// The remembered user name.
pub(crate) const KEYCLOAK_REMEMBER_ME: &str = "KEYCLOAK_REMEMBER_ME";

/// A device from which somebody logged in with a password; not Keycloak's, set only where failures are counted.
pub(crate) const PORTCULLIS_DEVICE: &str = "PORTCULLIS_DEVICE";

/// How a cookie is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    /// Seconds; `None` is a session cookie.
    pub(crate) max_age: Option<i64>,
    /// Whether scripts are kept away.
    pub(crate) http_only: bool,
}

/// Appends `Set-Cookie`. In a secure context (https, or a loopback host) `Secure;SameSite=None`, else `SameSite=Lax` (Keycloak 26.4).
pub(crate) fn set(headers: &mut HeaderMap, realm: &str, secure: bool, name: &str, value: &str, attributes: Attributes) {
    use std::fmt::Write as _;
    let mut text = format!("{name}={value};Version=1;Path=/realms/{realm}/");
    if let Some(age) = attributes.max_age {
        let _ = write!(text, ";Max-Age={age}");
    }
    if secure {
        text.push_str(";Secure");
    }
    if attributes.http_only {
        text.push_str(";HttpOnly");
    }
    text.push_str(if secure { ";SameSite=None" } else { ";SameSite=Lax" });
    append(headers, &text);
}

/// Appends the deletion of a cookie (no Expires, Secure or SameSite: Keycloak 26.4).
pub(crate) fn delete(headers: &mut HeaderMap, realm: &str, name: &str) {
    append(headers, &format!("{name}=;Version=1;Path=/realms/{realm}/;Max-Age=0"));
}

/// Deletes a cookie that the request brought (Keycloak 26.4 deletes no other).
pub(crate) fn delete_if_sent(request: &HeaderMap, headers: &mut HeaderMap, realm: &str, name: &str) {
    if is_sent(request, name) {
        delete(headers, realm, name);
    }
}

fn is_sent(request: &HeaderMap, name: &str) -> bool {
    let lines = request.get_all(http::header::COOKIE).iter().filter_map(|h| h.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .any(|pair| pair.trim_matches(' ').split_once('=').is_some_and(|(key, _)| key == name))
}

fn append(headers: &mut HeaderMap, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.append(http::header::SET_COOKIE, value);
    }
}

/// A cookie of the request; a line that is no text hides them all.
pub(crate) fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines: Vec<&str> =
        headers.get_all(http::header::COOKIE).iter().map(|line| line.to_str().ok()).collect::<Option<_>>()?;
    cookie_header::find(lines, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(http::header::COOKIE, HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn cookies_are_written_as_keycloak_writes_them() {
        let mut headers = HeaderMap::new();
        let own = |max_age, http_only| Attributes { max_age, http_only };
        set(&mut headers, "demo", true, AUTH_SESSION_ID, "v", own(None, true));
        set(&mut headers, "demo", true, KC_AUTH_SESSION_HASH, "v", own(Some(60), false));
        set(&mut headers, "demo", false, KC_RESTART, "v", own(None, true));
        delete(&mut headers, "demo", KC_RESTART);
        let lines: Vec<_> = headers.get_all(http::header::SET_COOKIE).iter().map(|v| v.to_str().unwrap()).collect();
        assert_eq!(
            lines,
            [
                "AUTH_SESSION_ID=v;Version=1;Path=/realms/demo/;Secure;HttpOnly;SameSite=None",
                "KC_AUTH_SESSION_HASH=v;Version=1;Path=/realms/demo/;Max-Age=60;Secure;SameSite=None",
                "KC_RESTART=v;Version=1;Path=/realms/demo/;HttpOnly;SameSite=Lax",
                "KC_RESTART=;Version=1;Path=/realms/demo/;Max-Age=0",
            ]
        );
    }

    #[test]
    fn se_10_se_11_tossed_and_odd_cookies_are_none() {
        for (lines, found) in [
            (&["A=1; KC_RESTART=x"][..], Some("x")),
            (&["A=1", "KC_RESTART=x"], Some("x")),
            (&["KC_RESTART=x; KC_RESTART=y"], None),
            (&["KC_RESTART=x", "KC_RESTART=x"], None),
            (&["=KC_RESTART=x"], None),
            (&["KC_RESTART"], None),
            (&["kc_restart=x"], None),
            (&["XKC_RESTART=x"], None),
        ] {
            assert_eq!(get(&request(lines), KC_RESTART), found, "{lines:?}");
        }
    }

    #[test]
    fn only_cookies_that_came_are_deleted() {
        for (lines, deleted) in
            [(&["KC_RESTART=x"][..], 1), (&["KC_RESTART=x; KC_RESTART=y"], 1), (&["A=KC_RESTART=x"], 0)]
        {
            let mut headers = HeaderMap::new();
            delete_if_sent(&request(lines), &mut headers, "demo", KC_RESTART);
            assert_eq!(headers.len(), deleted, "{lines:?}");
        }
    }
}
