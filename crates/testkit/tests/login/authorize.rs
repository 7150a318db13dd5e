//! AZ: what the authorization endpoint refuses, and who is told.

use anyhow::Result;
use portcullis_testkit::golden::Page;
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::server::Options;
use serde_json::json;

use crate::stage::{CALLBACK, Change, Outcome, PROFILES, Stage, assert_nothing_made, encoded, outcome};

const EVIL: &str = "https://evil.test/cb";

#[tokio::test]
async fn az_01_without_a_good_client_nothing_is_redirected() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let cases: [(&str, Option<&str>, u16); 6] = [
            ("missing", None, 400),
            ("empty", Some(""), 400),
            ("unknown", Some("nobody"), 400),
            ("other case", Some("APP"), 400),
            ("disabled", Some("off"), 400),
            ("bearer only", Some("api"), 403),
        ];
        for (what, client, status) in cases {
            for uri in [EVIL, CALLBACK] {
                let changes = [("client_id", client), ("redirect_uri", Some(uri))];
                let answer = stage.browser()?.ask(&changes).await?;
                assert_eq!(outcome(&answer), Outcome::ErrorPage(status), "{what} {uri}");
                assert_nothing_made(&answer, what);
            }
        }
        assert_eq!(outcome(&stage.browser()?.ask(&[]).await?), Outcome::LoginPage);
    }
    Ok(())
}

/// Second errors that would be reported by redirect if the address were good: change and error.
const SECOND_ERRORS: [(Change<'static>, &str); 8] = [
    (("response_type", Some("nonsense")), "unsupported_response_type"),
    (("response_type", None), "invalid_request"),
    (("scope", Some("openid nope")), "invalid_scope"),
    (("prompt", Some("none")), "login_required"),
    (("code_challenge", Some("short")), "invalid_request"),
    (("code_challenge_method", Some("md5")), "invalid_request"),
    (("response_mode", Some("smoke")), "invalid_request"),
    (("response_type", Some("token")), ""),
];

#[tokio::test]
async fn az_02_a_second_error_never_travels_to_an_unchecked_address() -> Result<()> {
    let addresses = [
        EVIL,
        "https://app.test/cb/",
        "https://app.test/cb?x=1",
        "https://app.test.evil.test/cb",
        "https://app.test@evil.test/cb",
        "javascript:alert(1)//https://app.test/cb",
        "",
    ];
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        for (second, error) in SECOND_ERRORS {
            for address in addresses {
                let changes = [second, ("redirect_uri", Some(address))];
                let what = format!("strict {strict} {second:?} {address}");
                let by_post = stage.browser()?.ask_by_post(&changes).await?;
                for answer in [stage.browser()?.ask(&changes).await?, by_post] {
                    assert_eq!(outcome(&answer), Outcome::ErrorPage(400), "{what}");
                    assert_nothing_made(&answer, &what);
                    let page = Page::read(&answer.text());
                    assert!(!page.links.iter().any(|l| l.contains("evil") || l.contains("javascript")), "{what}");
                }
            }
            let honest = outcome(&stage.browser()?.ask(&[second]).await?);
            let expected = if error.is_empty() && strict { "unsupported_response_type" } else { error };
            let expected = if expected.is_empty() { "unauthorized_client" } else { expected };
            assert_eq!(honest, Outcome::Error(expected.to_owned()), "strict {strict} {second:?}");
        }
        for object in [("request", Some("e30.e30.")), ("request_uri", Some("urn:x")), ("max_age", Some("soon"))] {
            let answer = stage.browser()?.ask(&[object, ("redirect_uri", Some(EVIL))]).await?;
            assert_eq!(outcome(&answer), Outcome::ErrorPage(400), "{object:?}");
            assert_nothing_made(&answer, "objects");
        }
    }
    Ok(())
}

#[tokio::test]
async fn az_03_each_parameter_stands_once() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let browser = stage.browser()?;
        let mut usual = browser.params(&[
            ("nonce", Some("n-1")),
            ("prompt", Some("login")),
            ("login_hint", Some("alice")),
            ("max_age", Some("60")),
            ("response_mode", Some("query")),
            ("ui_locales", Some("en")),
            ("acr_values", Some("1")),
        ]);
        usual.push(("unknown".to_owned(), "1".to_owned()));
        for (name, value) in usual.clone() {
            for second in [value.as_str(), "another"] {
                let mut pairs = usual.clone();
                pairs.push((name.clone(), second.to_owned()));
                let target = format!("{}?{}", browser.rp.endpoint("auth"), encoded(&pairs));
                let answer = stage.browser()?.rp.send(Exchange::get(&target)).await?;
                let found = outcome(&answer);
                if name == "client_id" || name == "redirect_uri" {
                    assert_eq!(found, Outcome::ErrorPage(400), "{name} {second}");
                } else {
                    assert_eq!(found, Outcome::Error("invalid_request".to_owned()), "{name} {second}");
                }
            }
        }
        // Names are case-sensitive: one in another case is another parameter, and those unknown are ignored (P-01).
        let odd = [("Client_Id", Some("nobody")), ("SCOPE", Some("x")), ("Redirect_URI", Some(EVIL))];
        assert_eq!(outcome(&stage.browser()?.ask(&odd).await?), Outcome::LoginPage);
    }
    Ok(())
}

#[tokio::test]
async fn az_04_query_and_body_do_not_contradict_each_other() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let cases = [
            ("client_id", "app", Outcome::ErrorPage(400)),
            ("client_id", "second", Outcome::ErrorPage(400)),
            ("redirect_uri", EVIL, Outcome::ErrorPage(400)),
            ("scope", "openid profile", Outcome::Error("invalid_request".to_owned())),
            ("state", "st-1", Outcome::Error("invalid_request".to_owned())),
            ("nonsense", "1", Outcome::LoginPage),
        ];
        for (name, value, expected) in cases {
            let mut browser = stage.browser()?;
            let params = browser.params(&[]);
            let pairs: Vec<(&str, &str)> = params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let query = encoded(&[(name.to_owned(), value.to_owned())]);
            let target = format!("{}?{query}", browser.rp.endpoint("auth"));
            let answer = browser.rp.send(Exchange::form(&target, &pairs)).await?;
            assert_eq!(outcome(&answer), expected, "{name} in query and body");
        }
        assert_eq!(outcome(&stage.browser()?.ask_by_post(&[]).await?), Outcome::LoginPage);
    }
    Ok(())
}

#[tokio::test]
async fn az_05_az_06_response_types_that_are_off_are_refused_without_a_token() -> Result<()> {
    let with_implicit = json!([{
        "clientId": "app", "enabled": true, "publicClient": true, "standardFlowEnabled": true,
        "implicitFlowEnabled": true, "redirectUris": [CALLBACK],
    }, {
        "clientId": "no-flow", "enabled": true, "publicClient": true, "standardFlowEnabled": false,
        "redirectUris": [CALLBACK],
    }]);
    for (strict, implicit) in [(true, false), (true, true), (false, false)] {
        let changes = if implicit { json!({ "clients": with_implicit }) } else { json!({}) };
        let stage = Stage::with(strict, Options::default(), &changes).await?;
        let front = if strict { "unsupported_response_type" } else { "unauthorized_client" };
        // RFC 6749 §3.1: an empty one is none; Keycloak 26.4 judges it.
        let empty = if strict { "invalid_request" } else { "unsupported_response_type" };
        for (response_type, error) in [
            (None, "invalid_request"),
            (Some(""), empty),
            (Some("code code2"), "unsupported_response_type"),
            (Some("CODE"), "unsupported_response_type"),
            (Some("none code"), "unsupported_response_type"),
            (Some("none token"), "unsupported_response_type"),
            (Some("token"), front),
            (Some("id_token token"), front),
            (Some("code token"), front),
            (Some("code id_token"), front),
        ] {
            let mut browser = stage.browser()?;
            browser.enter("alice").await?;
            let answer = browser.ask(&[("response_type", response_type), ("nonce", Some("n"))]).await?;
            let what = format!("strict {strict} implicit {implicit} {response_type:?}");
            assert_eq!(outcome(&answer), Outcome::Error(error.to_owned()), "{what}");
            let location = answer.header("location").unwrap_or_default();
            assert!(!location.contains("token=") && !location.contains("code="), "{what}: {location}");
        }
        let answer = stage.browser()?.ask(&[("client_id", Some("no-flow"))]).await?;
        assert_eq!(outcome(&answer), Outcome::Error("unauthorized_client".to_owned()));
    }
    Ok(())
}

#[tokio::test]
async fn az_08_ds_13_scopes_are_the_clients_own_and_few() -> Result<()> {
    let hundred_and_one = vec!["openid"; 101].join(" ");
    let ten_thousand = vec!["a"; 10_000].join(" ");
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let twice = if strict { Outcome::Error("invalid_scope".to_owned()) } else { Outcome::LoginPage };
        for (scope, expected) in [
            ("openid nope", Outcome::Error("invalid_scope".to_owned())),
            ("openid \"quoted\"", Outcome::Error("invalid_scope".to_owned())),
            ("openid back\\slash", Outcome::Error("invalid_scope".to_owned())),
            ("openid pro\u{f6}file", Outcome::Error("invalid_scope".to_owned())),
            ("openid OPENID", Outcome::Error("invalid_scope".to_owned())),
            ("openid openid", twice),
            (&hundred_and_one, Outcome::Error("invalid_scope".to_owned())),
            (&ten_thousand, Outcome::Error("invalid_request".to_owned())),
            ("openid profile email", Outcome::LoginPage),
            ("openid", Outcome::LoginPage),
        ] {
            let answer = stage.browser()?.ask_by_post(&[("scope", Some(scope))]).await?;
            assert_eq!(outcome(&answer), expected, "strict {strict} {:.40}", scope);
        }
    }
    Ok(())
}

#[tokio::test]
async fn az_09_prompt_none_never_shows_a_page() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let none = [("prompt", Some("none"))];
        let error = |text: &str| Outcome::Error(text.to_owned());
        assert_eq!(outcome(&stage.browser()?.ask(&none).await?), error("login_required"));
        let mut browser = stage.browser()?;
        browser.enter("alice").await?;
        assert!(matches!(outcome(&browser.ask(&none).await?), Outcome::Code(_)));
        let combined = outcome(&browser.ask(&[("prompt", Some("none login"))]).await?);
        let expected = if strict { error("invalid_request") } else { error("login_required") };
        assert_eq!(combined, expected, "none with another word, strict {strict}");
        stage.server.clock.shift_secs(100);
        let too_old = browser.ask(&[("prompt", Some("none")), ("max_age", Some("60"))]).await?;
        assert_eq!(outcome(&too_old), error("login_required"));
        stage.change_user("alice", |u| u.settings.required_actions.push("UPDATE_PASSWORD".into())).await?;
        assert_eq!(outcome(&browser.ask(&none).await?), error("interaction_required"));
        stage.change_user("alice", |u| u.settings.required_actions.clear()).await?;
        assert!(matches!(outcome(&browser.ask(&none).await?), Outcome::Code(_)));
    }
    Ok(())
}

#[tokio::test]
async fn az_33_other_methods_leave_nothing_behind() -> Result<()> {
    for strict in PROFILES {
        let stage = Stage::of(strict).await?;
        let mut browser = stage.browser()?;
        browser.enter("alice").await?;
        let target = browser.target(&[]);
        for method in ["PUT", "DELETE", "PATCH", "TRACE", "LINK"] {
            let answer = browser.rp.send(Exchange::new(method, &target)).await?;
            assert_eq!(answer.status, 405, "{method}");
            assert_nothing_made(&answer, method);
        }
        let answer = browser.rp.send(Exchange::new("OPTIONS", &target)).await?;
        assert_nothing_made(&answer, "OPTIONS");
        if strict {
            let answer = browser.rp.send(Exchange::new("HEAD", &target)).await?;
            assert_eq!(answer.status, 405, "HEAD");
            assert_nothing_made(&answer, "HEAD");
        }
        assert_eq!(stage.sessions("alice").await?, 1);
        assert!(matches!(outcome(&browser.ask(&[]).await?), Outcome::Code(_)));
    }
    Ok(())
}
