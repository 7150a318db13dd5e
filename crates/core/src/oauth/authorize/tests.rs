use super::*;
use crate::client::ClientSettings;
use crate::group::Groups;
use crate::realm::{PROFILE_ATTRIBUTE, Realm, RealmSettings, RealmState};
use crate::role::Roles;
use crate::scope::ClientScope;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const GOOD: &[(&str, &str)] = &[
    ("client_id", "app"),
    ("redirect_uri", "https://app.test/cb"),
    ("response_type", "code"),
    ("scope", "openid email"),
    ("state", "s"),
    ("nonce", "n"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

fn settings(json: serde_json::Value) -> ClientSettings {
    serde_json::from_value(json).unwrap()
}

fn client(client_id: &str, settings: ClientSettings) -> Client {
    Client {
        id: format!("{client_id}-id").into(),
        client_id: client_id.to_owned(),
        version: 1,
        settings,
        redirect_uris: vec!["https://app.test/cb".to_owned()],
        web_origins: vec![],
        mappers: vec![],
        default_scopes: vec!["scope-email".into()],
        optional_scopes: vec![],
        scope_mappings: vec![],
        secret: None,
    }
}

fn records(profile: Profile) -> RealmRecords {
    let mut realm: RealmSettings = serde_json::from_str("{}").unwrap();
    if profile == Profile::Strict {
        realm.attributes.insert(PROFILE_ATTRIBUTE.to_owned(), "strict".to_owned());
    }
    let scope = ClientScope {
        id: "scope-email".into(),
        name: "email".to_owned(),
        description: None,
        protocol: "openid-connect".to_owned(),
        attributes: std::collections::BTreeMap::new(),
        mappers: vec![],
        scope_mappings: vec![],
        realm_default: Some(true),
    };
    let bound = serde_json::json!({ "publicClient": true, "attributes": { "pkce.code.challenge.method": "S256" } });
    RealmRecords::new(
        Realm {
            id: "r".into(),
            name: "r".to_owned(),
            version: 1,
            state: RealmState::Ready,
            default_role: None,
            default_groups: vec![],
            settings: realm,
        },
        vec![scope],
        Roles::default(),
        Groups::default(),
        vec![],
        vec![
            client("app", settings(serde_json::json!({ "publicClient": true }))),
            client("bound", settings(bound)),
            client("off", settings(serde_json::json!({ "enabled": false }))),
            client("bearer", settings(serde_json::json!({ "bearerOnly": true }))),
            client("implicit", settings(serde_json::json!({ "implicitFlowEnabled": true }))),
            client(
                "frontonly",
                settings(serde_json::json!({ "implicitFlowEnabled": true, "standardFlowEnabled": false })),
            ),
            client(
                "bound-front",
                settings(
                    serde_json::json!({ "implicitFlowEnabled": true, "attributes": { "dpop.bound.access.tokens": "true" } }),
                ),
            ),
            client("nostd", settings(serde_json::json!({ "standardFlowEnabled": false }))),
            client(
                "par",
                settings(serde_json::json!({ "attributes": { "require.pushed.authorization.requests": "true" } })),
            ),
        ],
    )
}

/// `GOOD` with changes: an empty change removes the parameter, `+name` adds a second value.
fn request(changes: &[(&str, &str)]) -> Params {
    let mut pairs: Vec<(String, String)> = GOOD.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    for (name, value) in changes {
        if let Some(name) = name.strip_prefix('+') {
            pairs.push((name.to_owned(), (*value).to_owned()));
        } else {
            pairs.retain(|(n, _)| n != name);
            if !value.is_empty() {
                pairs.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
    }
    Params::from_pairs(pairs)
}

fn outcome(profile: Profile, changes: &[(&str, &str)]) -> Result<ValidAuthorize, Refusal> {
    decide(&records(profile), "https://idp.test", &request(changes))
}

fn reason(profile: Profile, changes: &[(&str, &str)]) -> (bool, Reason) {
    match outcome(profile, changes).unwrap_err() {
        Refusal::Page(reason) => (false, reason),
        Refusal::Redirect { reason, .. } => (true, reason),
    }
}

const BOTH: [Profile; 2] = [Profile::Keycloak, Profile::Strict];

#[test]
fn oidc_core_3_1_2_1_a_good_request_passes_in_both_profiles() {
    for profile in BOTH {
        let valid = outcome(profile, &[]).unwrap();
        assert_eq!(valid.redirect().as_str(), "https://app.test/cb");
        assert_eq!(valid.request().challenge.as_ref().unwrap().challenge, CHALLENGE);
        assert_eq!(valid.request().state.as_deref(), Some("s"));
    }
}

#[test]
fn p_01_unknown_and_empty_parameters_are_ignored() {
    let params = Params::from_pairs(
        GOOD.iter()
            .chain(&[("foo", "bar"), ("max_age", ""), ("prompt", "")])
            .map(|(n, v)| ((*n).into(), (*v).into()))
            .collect(),
    );
    assert!(decide(&records(Profile::Strict), "https://idp.test", &params).is_ok());
}

#[test]
fn p_05_long_state_and_nonce_pass() {
    let long = "x".repeat(1000);
    assert!(outcome(Profile::Strict, &[("state", &long), ("nonce", &long)]).is_ok());
}

#[test]
fn az_01_a_bad_client_is_shown_never_redirected() {
    for profile in BOTH {
        for (client, expected) in [
            ("", Reason::InvalidRequest),
            ("nobody", Reason::ClientNotFound),
            ("off", Reason::ClientDisabled),
            ("bearer", Reason::BearerOnlyLogin),
        ] {
            assert_eq!(reason(profile, &[("client_id", client)]), (false, expected));
        }
    }
}

#[test]
fn az_02_a_bad_redirect_uri_wins_over_every_second_error() {
    let evil = ("redirect_uri", "https://evil.test/cb");
    for profile in BOTH {
        for second in [
            ("response_type", "magic"),
            ("response_type", ""),
            ("response_mode", "magic"),
            ("scope", "nonsense"),
            ("prompt", "none"),
            ("code_challenge", "short"),
            ("+state", "twice"),
            ("state", &"x".repeat(5000)),
        ] {
            assert_eq!(reason(profile, &[evil, second]), (false, Reason::InvalidRedirectUri), "{second:?}");
        }
    }
}

#[test]
fn az_03_a_repeated_parameter_is_refused() {
    for profile in BOTH {
        for name in ["client_id", "redirect_uri"] {
            let value = GOOD.iter().find(|(n, _)| *n == name).unwrap().1;
            assert_eq!(reason(profile, &[(&format!("+{name}"), value)]), (false, Reason::InvalidRequest), "{name}");
        }
        for (name, value) in GOOD.iter().skip(2) {
            assert_eq!(reason(profile, &[(&format!("+{name}"), value)]), (true, Reason::DuplicatedParameter), "{name}");
        }
    }
}

#[test]
fn az_05_az_06_response_types() {
    for profile in BOTH {
        assert_eq!(reason(profile, &[("response_type", "")]), (true, Reason::MissingResponseType));
        assert_eq!(reason(profile, &[("response_type", "magic")]), (true, Reason::UnsupportedResponseType));
        assert_eq!(reason(profile, &[("client_id", "nostd")]), (true, Reason::StandardFlowOff));
    }
    let fronts = ["token", "id_token", "id_token token", "code token", "code id_token", "code id_token token"];
    for kind in fronts {
        let implicit = &[("client_id", "implicit"), ("response_type", kind)];
        for asked in [&implicit[1..], implicit] {
            assert_eq!(reason(Profile::Strict, asked), (true, Reason::UnsupportedResponseType), "{kind}");
        }
        assert_eq!(reason(Profile::Keycloak, &implicit[1..]), (true, Reason::ImplicitFlowOff), "{kind}");
        assert_eq!(outcome(Profile::Keycloak, implicit).unwrap().request().response_type.as_str(), kind);
        let nothing: &[(&str, &str)] = &[implicit[0], implicit[1], ("nonce", "")];
        match kind.contains("id_token") {
            true => assert_eq!(reason(Profile::Keycloak, nothing), (true, Reason::MissingNonce), "{kind}"),
            false => assert!(outcome(Profile::Keycloak, nothing).is_ok(), "{kind}"),
        }
        let in_query: &[(&str, &str)] = &[implicit[0], implicit[1], ("response_mode", "query")];
        assert_eq!(reason(Profile::Keycloak, in_query).1, Reason::QueryModeForTokens);
    }
    for (kind, off) in
        [("none", Some(Reason::StandardFlowOff)), ("code token", Some(Reason::StandardFlowOff)), ("token", None)]
    {
        let asked = &[("client_id", "frontonly"), ("response_type", kind)];
        assert_eq!(outcome(Profile::Keycloak, asked).err().map(|_| reason(Profile::Keycloak, asked).1), off, "{kind}");
    }
    for together in ["none code", "none token"] {
        assert_eq!(reason(Profile::Keycloak, &[("response_type", together)]).1, Reason::UnsupportedResponseType);
    }
    for profile in BOTH {
        assert!(
            outcome(profile, &[("response_type", "none")]).unwrap().request().challenge.is_none()
                == (profile == Profile::Strict)
        );
    }
}

#[test]
fn rfc_9449_5_a_client_with_bound_tokens_gets_none_by_the_browser() {
    let asked = |kind| outcome(Profile::Keycloak, &[("client_id", "bound-front"), ("response_type", kind)]);
    for kind in ["token", "code token", "id_token token"] {
        assert!(
            matches!(asked(kind), Err(Refusal::Redirect { reason: Reason::UnsupportedResponseType, .. })),
            "{kind}"
        );
    }
    assert!(asked("code id_token").is_ok() && asked("code").is_ok());
}

#[test]
fn az_07_az_21_kept_requests_are_judged_as_fresh_ones() {
    for profile in BOTH {
        let valid = outcome(profile, &[("prompt", "login"), ("max_age", "5"), ("response_mode", "form_post")]).unwrap();
        let again = revalidate(&records(profile), "https://idp.test", valid.request()).unwrap();
        assert_eq!(again, valid);
        let mut edited = valid.request().clone();
        edited.redirect_uri = Some("https://evil.test/cb".to_owned());
        assert!(matches!(
            revalidate(&records(profile), "https://idp.test", &edited),
            Err(Refusal::Page(Reason::InvalidRedirectUri))
        ));
        edited = valid.request().clone();
        edited.client_id = "off".to_owned();
        assert!(matches!(
            revalidate(&records(profile), "https://idp.test", &edited),
            Err(Refusal::Page(Reason::ClientDisabled))
        ));
    }
}

#[test]
fn az_08_ds_13_scopes_outside_the_clients_set_are_refused() {
    let many = vec!["openid"; 10_000].join(" ");
    for profile in BOTH {
        for scope in ["openid phone", "openid \u{e9}", "email\"x"] {
            assert_eq!(reason(profile, &[("scope", scope)]), (true, Reason::InvalidScopes(scope.to_owned())));
        }
        assert!(matches!(reason(profile, &[("scope", &many)]).1, Reason::ParameterTooLong(_)));
    }
    let twice = "openid email email";
    assert_eq!(reason(Profile::Strict, &[("scope", twice)]), (true, Reason::InvalidScopes(twice.to_owned())));
    assert!(outcome(Profile::Keycloak, &[("scope", twice)]).is_ok());
}

#[test]
fn az_09_prompt_none_stands_alone_in_a_strict_realm() {
    assert_eq!(reason(Profile::Strict, &[("prompt", "none login")]), (true, Reason::PromptNoneCombined));
    assert!(outcome(Profile::Keycloak, &[("prompt", "none login")]).unwrap().request().prompt.none);
}

#[test]
fn az_16_az_20_request_objects_and_unpushed_requests_are_refused() {
    assert_eq!(reason(Profile::Strict, &[("+request", "abc")]), (false, Reason::InvalidRequest));
    assert_eq!(reason(Profile::Strict, &[("+request_uri", "https://x")]), (false, Reason::InvalidRequest));
    assert_eq!(reason(Profile::Keycloak, &[("client_id", "par")]), (true, Reason::PushedRequestRequired));
}

#[test]
fn pc_08_to_11_challenges() {
    let none = &[("code_challenge", ""), ("code_challenge_method", "")];
    assert!(outcome(Profile::Keycloak, none).unwrap().request().challenge.is_none());
    assert_eq!(reason(Profile::Strict, none), (true, Reason::MissingCodeChallengeMethod));
    let downgraded: &[(&str, &str)] = &[("client_id", "bound"), none[0], none[1]];
    assert_eq!(reason(Profile::Keycloak, downgraded), (true, Reason::MissingCodeChallengeMethod));
    for profile in BOTH {
        let empty = match profile {
            Profile::Keycloak => Reason::InvalidCodeChallenge,
            Profile::Strict => Reason::MissingCodeChallenge,
        };
        assert_eq!(reason(profile, &[("code_challenge", "")]), (true, Reason::MissingCodeChallenge));
        assert_eq!(reason(profile, &[("code_challenge", ""), ("+code_challenge", "")]).1, empty);
        for bad in ["short", &"x".repeat(129), &"!".repeat(43)] {
            assert_eq!(reason(profile, &[("code_challenge", bad)]), (true, Reason::InvalidCodeChallenge), "{bad}");
        }
    }
    assert_eq!(reason(Profile::Keycloak, &[("code_challenge_method", "S1")]).1, Reason::InvalidCodeChallengeMethod);
    assert_eq!(reason(Profile::Strict, &[("code_challenge_method", "plain")]).1, Reason::CodeChallengeMethodMismatch);
    assert_eq!(reason(Profile::Strict, &[("code_challenge", &"x".repeat(44))]).1, Reason::InvalidCodeChallenge);
    let plain = outcome(Profile::Keycloak, &[("code_challenge_method", "plain")]).unwrap();
    assert_eq!(plain.request().challenge.as_ref().unwrap().method, crate::flow::ChallengeMethod::Plain);
}

#[test]
fn se_21_long_values_are_refused_before_they_are_stored() {
    let long = "x".repeat(64_000);
    for name in ["state", "nonce", "login_hint", "ui_locales"] {
        match outcome(Profile::Keycloak, &[(name, &long)]).unwrap_err() {
            Refusal::Redirect { state, reason, .. } => {
                assert_eq!(reason, Reason::ParameterTooLong(name.to_owned()));
                assert!(state.is_none_or(|s| s.len() < MAX_VALUE));
            }
            Refusal::Page(_) => panic!("{name}"),
        }
    }
}

#[test]
fn az_28_every_refusal_names_the_issuer_and_keeps_state() {
    use crate::oauth::response_mode::error;
    for mode in ["query", "fragment", "form_post"] {
        let Refusal::Redirect { to, mode, state, reason, .. } =
            outcome(Profile::Strict, &[("response_mode", mode), ("scope", "nonsense"), ("state", "a&b=c#<'\"")])
                .unwrap_err()
        else {
            panic!("a page")
        };
        let answer = error(to, mode, &reason, state.as_deref(), Some("https://idp.test/realms/r"));
        assert!(answer.params.contains(&("iss", "https://idp.test/realms/r".to_owned())));
        assert!(answer.params.contains(&("state", "a&b=c#<'\"".to_owned())));
        if mode != ResponseMode::FormPost {
            assert!(answer.location().contains("state=a%26b%3Dc%23%3C%27%22&"), "{}", answer.location());
        }
    }
}
