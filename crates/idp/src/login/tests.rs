//! Tests of what needs no server: whose form it is, and the data in addresses.

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};
use portcullis_core::oauth::response_mode::ResponseMode;

use super::address::ClientData;
use super::is_foreign;
use crate::extract::Base;

#[test]
fn se_03_se_04_se_05_forms_of_other_sites_are_foreign() {
    let secure = Base { url: "https://login.test".to_owned(), secure: true };
    let plain = Base { url: "http://login.test:8080".to_owned(), secure: false };
    for (base, origin, site, foreign) in [
        (&secure, None, None, false),
        (&secure, None, Some("same-origin"), false),
        (&secure, None, Some("none"), false),
        (&secure, None, Some("cross-site"), true),
        (&secure, None, Some("same-site"), true),
        (&secure, Some("https://login.test"), Some("same-origin"), false),
        (&secure, Some("https://login.test"), None, false),
        (&secure, Some("http://login.test"), None, true),
        (&secure, Some("https://login.test.evil.test"), None, true),
        (&secure, Some("https://login.test:444"), None, true),
        (&secure, Some("https://evil.test"), Some("cross-site"), true),
        (&secure, Some("null"), None, true),
        (&secure, Some("null"), Some("cross-site"), true),
        (&secure, Some("null"), Some("same-origin"), false),
        (&plain, Some("http://login.test:8080"), None, false),
        (&plain, Some("https://login.test:8080"), None, true),
        (&plain, Some("null"), None, false),
        (&plain, Some("null"), Some("cross-site"), true),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        if let Some(site) = site {
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
        }
        assert_eq!(is_foreign(&headers, base), foreign, "{} {origin:?} {site:?}", base.url);
    }
    let mut twice = HeaderMap::new();
    twice.append(ORIGIN, HeaderValue::from_static("https://login.test"));
    twice.append(ORIGIN, HeaderValue::from_static("https://login.test"));
    assert!(is_foreign(&twice, &secure));
}

#[test]
fn client_data_of_strangers_is_read_without_trust() {
    use base64::Engine as _;
    let encoded = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let read =
        ClientData::read(&encoded(r#"{"ru":"https://app.test/cb","rt":"code","rm":"fragment","st":"s"}"#)).unwrap();
    assert_eq!(read.redirect_uri.as_deref(), Some("https://app.test/cb"));
    assert_eq!((read.response_mode, read.state.as_deref()), (ResponseMode::Fragment, Some("s")));
    let odd = ClientData::read(&encoded(r#"{"ru":7,"rm":"query.jwt"}"#)).unwrap();
    assert_eq!((odd.redirect_uri, odd.response_mode, odd.state), (None, ResponseMode::Query, None));
    for bad in ["", "!", &encoded("nonsense"), &encoded("{")] {
        assert!(ClientData::read(bad).is_none(), "{bad}");
    }
}
