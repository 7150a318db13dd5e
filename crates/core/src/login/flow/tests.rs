//! Tests of the flow values.

use super::*;
use crate::claims::fixture::Counter;
use crate::oauth::authorize::{AuthorizeRequest, Prompt};
use crate::oauth::response_mode::ResponseMode;
use crate::oauth::response_type::ResponseType;

pub(crate) fn request() -> AuthorizeRequest {
    AuthorizeRequest {
        client: "uuid-app".into(),
        client_id: "app".to_owned(),
        redirect_uri: Some("https://app.test/cb".to_owned()),
        response_type: ResponseType::CODE,
        response_mode: ResponseMode::Query,
        scope: "openid".to_owned(),
        state: Some("s".to_owned()),
        nonce: None,
        prompt: Prompt::default(),
        max_age: None,
        login_hint: None,
        acr_claim: None,
        resources: vec![],
        acr_values: vec![],
        ui_locales: vec![],
        challenge: None,
        dpop_jkt: None,
        subject: None,
        device: None,
        pushed: None,
    }
}

fn tab() -> Tab {
    let entropy = Counter::default();
    let login = LoginTab::new(request(), Stage::Fresh, &entropy);
    Tab::new(Purpose::Login(Box::new(login)), 1000, &entropy)
}

#[test]
fn se_12_the_oldest_tab_goes_first() {
    let mut browser = Browser::new(100);
    for n in 0..MAX_TABS {
        assert!(browser.add(&n.to_string(), 100).is_empty());
    }
    assert_eq!(browser.add("new", 200), ["0"]);
    assert_eq!((browser.tabs.len(), browser.expires_at), (MAX_TABS, 200));
    assert!(browser.add("new", 150).is_empty());
    assert!(!browser.remove("new"));
    for n in 1..MAX_TABS {
        assert_eq!(browser.remove(&n.to_string()), n == MAX_TABS - 1);
    }
}

#[test]
fn se_13_a_browser_cookie_is_taken_as_it_was_signed() {
    let (key, other) = ([1; 32], [2; 32]);
    let cookie = browser_cookie("id-1", &key);
    assert_eq!(read_browser_cookie(&cookie, &key).as_deref(), Some("id-1"));
    assert_eq!(read_browser_cookie(&format!("{cookie}.node1"), &key).as_deref(), Some("id-1"));
    assert_eq!(read_browser_cookie(&cookie, &other), None);
    let planted = base64url_encode(b"id-2.AAAA");
    for bad in ["", "x", &planted, &base64url_encode(b"id-1"), &cookie[..cookie.len() - 2]] {
        assert_eq!(read_browser_cookie(bad, &key), None, "{bad}");
    }
}

#[test]
fn se_04_only_the_latest_session_code_is_taken() {
    let entropy = Counter::default();
    let mut tab = tab();
    assert!(!tab.code_matches(""));
    let first = tab.mint_code(&entropy);
    assert!(tab.code_matches(first.expose()));
    let second = tab.mint_code(&entropy);
    assert!(tab.code_matches(second.expose()) && !tab.code_matches(first.expose()));
    assert!(!format!("{tab:?}").contains(second.expose()));
}

#[test]
fn stored_values_of_another_format_or_past_their_end_start_over() {
    let tab = tab();
    assert_eq!(tab.id.len(), 11);
    assert_eq!(Tab::read(&tab.to_bytes(), 999), Some(tab.clone()));
    assert_eq!(Tab::read(&tab.to_bytes(), 1000), None);
    assert_eq!(Tab::read(&Tab { format: 2, ..tab }.to_bytes(), 0), None);
    assert_eq!(Tab::read(b"{}", 0), None);
    let browser = Browser::new(10);
    assert_eq!((Browser::read(&browser.to_bytes(), 9), Browser::read(&browser.to_bytes(), 10)), (Some(browser), None));
    let restart = Restart { format: FLOW_FORMAT, expires_at: 10, request: request() };
    let bytes = serde_json::to_vec(&restart).unwrap();
    assert_eq!((Restart::read(&bytes, 9).is_some(), Restart::read(&bytes, 10).is_some()), (true, false));
}

#[test]
fn se_22_a_reauthentication_is_answered_by_its_own_user_once() {
    let again = || Stage::Reauthenticate { session: "sid".into(), user: "alice".into(), step_up: false };
    let facts = PasswordFacts::default();
    assert_eq!(again().password_given("bob".into(), 5, facts), Err(WrongStage));
    let Ok(Stage::Authenticated(proof)) = again().password_given("alice".into(), 5, facts) else { panic!("refused") };
    assert_eq!((proof.session.as_ref().map(SessionId::as_str), proof.auth_time, proof.fresh), (Some("sid"), 5, true));
    assert_eq!(Stage::Authenticated(proof).password_given("alice".into(), 6, facts), Err(WrongStage));
    let Ok(Stage::Authenticated(proof)) = Stage::Fresh.password_given("bob".into(), 5, facts) else {
        panic!("refused")
    };
    assert_eq!((proof.user.as_str(), proof.session), ("bob", None));
}
