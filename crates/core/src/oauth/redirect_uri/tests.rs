use super::*;
use crate::client::ClientSettings;

fn client(uris: &[&str], public: bool, root: Option<&str>) -> Client {
    let settings: ClientSettings =
        serde_json::from_value(serde_json::json!({ "publicClient": public, "rootUrl": root })).unwrap();
    Client {
        id: "c".into(),
        client_id: "c".to_owned(),
        version: 1,
        settings,
        redirect_uris: uris.iter().map(|u| (*u).to_owned()).collect(),
        web_origins: vec![],
        mappers: vec![],
        default_scopes: vec![],
        optional_scopes: vec![],
        scope_mappings: vec![],
        secret: None,
    }
}

fn matches(profile: Profile, registered: &[&str], uri: &str) -> bool {
    let client = client(registered, true, None);
    Matching { client: &client, profile, base: "http://idp.test" }.find(uri).is_some()
}

const BOTH: [Profile; 2] = [Profile::Keycloak, Profile::Strict];

fn refused_in_both(registered: &[&str], hostile: &[&str]) {
    for uri in hostile {
        for profile in BOTH {
            assert!(!matches(profile, registered, uri), "{profile:?} {registered:?} {uri:?}");
        }
    }
}

#[test]
fn rfc_6749_3_1_2_the_registered_uri_matches() {
    for profile in BOTH {
        for uri in [
            "https://app.example.com/cb",
            "https://app.example.com/cb?x=1",
            "com.example.app:/cb",
            "http://127.0.0.1:3000/cb",
        ] {
            assert!(matches(profile, &[uri], uri), "{profile:?} {uri}");
        }
    }
}

#[test]
fn ru_01_prefix_tricks_are_refused() {
    refused_in_both(
        &["https://app.example.com", "https://app.example.com*", "https://app.example.com/cb"],
        &["https://app.example.com.evil.net", "https://app.example.comevil.net", "https://app.example.com.evil.net/cb"],
    );
}

#[test]
fn ru_02_path_traversal_against_a_wildcard_is_refused() {
    let registered = ["https://app.example.com/cb/*"];
    refused_in_both(
        &registered,
        &[
            "https://app.example.com/cb/..;/x",
            "https://app.example.com/cb/../x",
            "https://app.example.com/cb/%2e%2e/x",
            "https://app.example.com/cb/%2E%2e/x",
            "https://app.example.com/cb/..%2fx",
            "https://app.example.com/cb/%252e%252e/x",
            "https://app.example.com/cb/%25252e%25252e/x",
            "https://app.example.com/cb/..%5cx",
            "https://app.example.com/cb/./x",
        ],
    );
    assert!(matches(Profile::Keycloak, &registered, "https://app.example.com/cb/a.b/x..y?z=1"));
    assert!(!matches(Profile::Strict, &registered, "https://app.example.com/cb/a"));
}

#[test]
fn ru_03_user_info_is_refused() {
    refused_in_both(
        &["https://app.example.com/cb", "https://app.example.com/*", "*", "https://u@app.example.com/cb"],
        &[
            "https://app.example.com@evil.net",
            "https://app.example.com@evil.net/cb",
            "https://app.example.com:443%25@evil.net",
            "https://u@app.example.com/cb",
            "https://a@b@app.example.com/cb",
            "https://app.example.com%40evil.net/cb",
        ],
    );
}

#[test]
fn ru_04_characters_that_parsers_read_differently_are_refused() {
    let mut hostile = vec![
        "https:/evil.net".to_owned(),
        "https:\\\\evil.net".to_owned(),
        "///evil.net".to_owned(),
        "//evil.net".to_owned(),
    ];
    for bad in ["\\", "\t", "\r", "\n", "\0", " ", "\"", "<", "\u{7f}"] {
        hostile.push(format!("https://app.example.com/{bad}x"));
    }
    hostile.push(" https://app.example.com/x".to_owned());
    hostile.push("https://app.example.com/x ".to_owned());
    let hostile: Vec<&str> = hostile.iter().map(String::as_str).collect();
    refused_in_both(&["https://app.example.com/*", "*"], &hostile);
}

#[test]
fn ru_05_a_fragment_is_refused_and_follows_the_recording_in_a_keycloak_wildcard() {
    refused_in_both(&["https://app.example.com/cb"], &["https://app.example.com/cb#x", "https://app.example.com/cb#"]);
    assert!(matches(Profile::Keycloak, &["https://app.example.com/app/*"], "https://app.example.com/app/x#y"));
    assert!(!is_registrable("https://app.example.com/cb#x"));
}

#[test]
fn ru_06_parameters_of_our_answer_are_refused() {
    refused_in_both(
        &["https://app.example.com/*", "https://app.example.com/cb?code=1"],
        &[
            "https://app.example.com/cb?code=1",
            "https://app.example.com/cb?x=1&state=2",
            "https://app.example.com/cb?%63ode=1",
            "https://app.example.com/cb#iss=x",
            "https://app.example.com/cb?error",
        ],
    );
    assert!(matches(Profile::Keycloak, &["https://app.example.com/*"], "https://app.example.com/cb?codes=1"));
    assert!(
        !is_registrable("https://app.example.com/cb?code=1") && is_registrable("https://app.example.com/cb?codes=1")
    );
}

/// What a realm of Keycloak's profile registered stays when its owner switches to the strict one: it opens nothing then.
#[test]
fn ru_20_ru_09_what_is_registered_badly_matches_not_even_itself() {
    let bad = [
        "https://u@app.example.com/cb",
        "https://app.example.com./cb",
        "https://APP.example.com/cb",
        "https://0x7f.1/cb",
        "https://127.1/cb",
        "https:///cb",
        "com.example.app://u:p@x/cb",
        "com.example.app://u@x/cb",
        "com.example.app://:p@x/cb",
        "https://app.example.com:99999/cb",
    ];
    for uri in bad {
        refused_in_both(&[uri], &[uri]);
        assert!(!is_registrable(uri), "{uri}");
    }
    for uri in ["https://app.example.com/cb#x", "https://app.example.com/*", "com.ex_ample.app:/cb", "com.ex*ample:/cb"]
    {
        assert!(!matches(Profile::Strict, &[uri], uri), "{uri}");
        assert!(!is_registrable(uri), "{uri}");
    }
    refused_in_both(
        &["https://app.example.com/cb?x=*"],
        &["https://app.example.com/cb?x=1", "https://app.example.com/cb"],
    );
    assert!(
        is_registrable("com.example.app://x/cb") && matches(Profile::Strict, &["com.a-b.c+d:/cb"], "com.a-b.c+d:/cb")
    );
}

#[test]
fn ru_07_ru_08_ru_09_ru_10_anything_but_the_exact_string_is_refused() {
    refused_in_both(
        &["https://app.example.com/cb"],
        &[
            "https://app.example.com/cb?x=1",
            "https://app.example.com/cb?",
            "HTTPS://app.example.com/cb",
            "https://APP.example.com/cb",
            "https://app.example.com/CB",
            "https://app.example.com:443/cb",
            "https://app.example.com./cb",
            "https://app.example.com/cb/",
            "https://app.example.com/",
            "https://app.example.com",
            "http://app.example.com/cb",
        ],
    );
    assert!(!is_registrable("http://app.example.com/cb"));
    assert!(is_registrable("http://127.0.0.1/cb"));
}

#[test]
fn ru_11_p_02_only_the_port_of_a_loopback_literal_varies() {
    for profile in BOTH {
        assert!(matches(profile, &["http://127.0.0.1/cb"], "http://127.0.0.1:51004/cb"), "{profile:?}");
    }
    assert!(matches(Profile::Strict, &["http://[::1]/cb"], "http://[::1]:51004/cb"));
    assert!(!matches(Profile::Strict, &["http://localhost/cb"], "http://localhost:51004/cb"));
    refused_in_both(
        &["http://127.0.0.1/cb"],
        &[
            "http://127.0.0.1:51004/other",
            "https://127.0.0.1:51004/cb",
            "http://localhost:51004/cb",
            "http://127.0.0.1.evil.net/cb",
            "http://127.1:51004/cb",
            "http://0x7f.1/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:/cb",
        ],
    );
    let web = client(&["http://127.0.0.1/cb"], false, None);
    let strict = Matching { client: &web, profile: Profile::Strict, base: "http://idp.test" };
    assert!(strict.find("http://127.0.0.1:51004/cb").is_none());
    assert!(strict.find("http://127.0.0.1/cb").is_some());
}

#[test]
fn ru_12_script_schemes_are_refused() {
    let hostile = [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:x",
        "file:///etc/passwd",
    ];
    refused_in_both(&["*", "https://app.example.com/cb"], &hostile);
    // A moved-in realm may have registered them: a page that posts itself there would run them here (RU-19).
    refused_in_both(&hostile, &hostile);
    for uri in hostile {
        assert!(!is_registrable(uri), "{uri}");
    }
    assert!(matches(Profile::Keycloak, &["myapp:/cb"], "myapp:/cb"), "the honest twin");
}

#[test]
fn ru_13_host_wildcards_are_refused() {
    refused_in_both(
        &["https://*/cb", "*example.com", "https://*.example.com/cb"],
        &["https://evilexample.com/cb", "https://evil.net/cb"],
    );
    for uri in ["*", "https://*/cb", "https://app.example.com/*", "*example.com"] {
        assert!(!is_registrable(uri), "{uri}");
    }
}

#[test]
fn ru_14_unicode_hosts_are_refused() {
    refused_in_both(
        &["*", "https://app.example.com/cb"],
        &[
            "https://\u{0430}pp.example.com/cb",
            "https://app\u{ff0e}example.com/cb",
            "https://xn--a/cb",
            "https://\u{202e}app.example.com/cb",
        ],
    );
}

#[test]
fn ru_17_a_giant_uri_is_refused() {
    let giant = format!("https://app.example.com/{}", "%2e".repeat(22_000));
    refused_in_both(&["https://app.example.com/*", "*"], &[&giant]);
}

/// A star is a star at the end only; everything else of a registration is text that is compared once.
#[test]
fn ds_15_a_wildcard_registration_is_no_pattern() {
    let stars = format!("https://app.example.com/{}x", "*a".repeat(1_000));
    let nested = format!("https://app.example.com/{}$", "(a+)+".repeat(400));
    let hostile = format!("https://app.example.com/{}", "a".repeat(1_990));
    refused_in_both(&[&stars, &nested, "https://app.example.com/**b", "https://*.example.com/(a|aa)+*"], &[&hostile]);
    assert!(matches(Profile::Keycloak, &["https://app.example.com/*"], &hostile));
    assert!(!matches(Profile::Keycloak, &["https://app.example.com/a.*b"], "https://app.example.com/aab"));
}

#[test]
fn ru_18_a_custom_scheme_needs_reverse_domain_form_in_a_strict_realm() {
    assert!(!is_registrable("myapp:/cb"));
    assert!(is_registrable("com.example.app:/cb"));
    assert!(matches(Profile::Keycloak, &["myapp://cb"], "myapp://cb"));
    assert!(!matches(Profile::Keycloak, &["myapp://cb"], "myapp://cb/x"));
    assert!(!matches(Profile::Strict, &["myapp://cb"], "myapp://cb"));
}

#[test]
fn keycloak_relative_registrations_resolve_against_the_root() {
    let client = client(&["/cb/*"], true, Some("http://127.0.0.1:9876/base"));
    let matching = Matching { client: &client, profile: Profile::Keycloak, base: "http://idp.test" };
    assert_eq!(matching.find("http://127.0.0.1:9876/base/cb/1").unwrap().as_str(), "http://127.0.0.1:9876/base/cb/1");
    assert!(matching.find("http://127.0.0.1:9876/cb/1").is_none());
}

#[test]
fn ru_15_an_absent_uri_is_only_filled_in_when_one_is_registered() {
    let one = client(&["https://app.example.com/cb"], true, None);
    let two = client(&["https://app.example.com/cb", "https://app.example.com/b"], true, None);
    let wild = client(&["https://app.example.com/*"], true, None);
    let found =
        |client: &Client| Matching { client, profile: Profile::Keycloak, base: "x" }.only_registered().is_some();
    assert_eq!((found(&one), found(&two), found(&wild)), (true, false, false));
}

proptest::proptest! {
    /// RU-20: what is let through, a WHATWG parser reads as the registered host.
    #[test]
    fn ru_20_a_match_never_leaves_the_host(tail in "[ -~]{0,40}") {
        let uri = format!("https://app.example.com{tail}");
        for profile in BOTH {
            if matches(profile, &["https://app.example.com/*", "https://app.example.com/cb"], &uri) {
                assert_eq!(url::Url::parse(&uri).unwrap().host_str(), Some("app.example.com"));
            }
        }
    }
}
