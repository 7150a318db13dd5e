//! Tests of who is told of a logout, and how.

use super::*;
use crate::claims::fixture;
use crate::role::Roles;
use crate::session::Grant;

const ISSUER: &str = "https://login.test/realms/demo";
const BACK: &str = "https://app.test/logout";
const FRONT: &str = "https://app.test/gone?a=b";

struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

fn client(id: &str, front: bool, attributes: &[(&str, &str)]) -> Client {
    let mut client = fixture::client(id, json!({ "frontchannelLogout": front }));
    for (name, value) in attributes {
        client.settings.attributes.insert((*name).to_owned(), (*value).to_owned());
    }
    client
}

fn records(clients: Vec<Client>) -> RealmRecords {
    let realm = fixture::realm(json!({}));
    RealmRecords::new(realm, vec![], Roles::default(), crate::group::Groups::default(), vec![], clients)
}

fn session() -> UserSession {
    UserSession {
        id: "s1".into(),
        user: "u1".into(),
        started: 1,
        auth_time: 1,
        remember_me: false,
        offline: false,
        ip_address: String::new(),
        last_seen: 1,
        notes: std::collections::BTreeMap::new(),
    }
}

fn parts(clients: &[Client]) -> Vec<ClientSession> {
    let part = |client: &Client| ClientSession {
        session: "s1".into(),
        client: client.id.clone(),
        started: 1,
        grant: Grant::default(),
        last_refresh: 1,
    };
    clients.iter().map(part).collect()
}

fn delivery(attempts: i64) -> LogoutDelivery {
    LogoutDelivery {
        id: "d1".to_owned(),
        client: "c".into(),
        user: "u1".into(),
        session: "s1".into(),
        issuer: ISSUER.to_owned(),
        due_at: 100,
        attempts,
        expires_at: 3700,
    }
}

#[test]
fn each_client_is_told_once_and_the_way_it_asked_for() {
    let clients = vec![
        client("back", false, &[(URL, BACK)]),
        client("front", true, &[(FRONT_URL, FRONT)]),
        client("both", true, &[(URL, BACK), (FRONT_URL, FRONT)]),
        client("neither", false, &[]),
        client("empty", true, &[(URL, ""), (FRONT_URL, "  ")]),
        client("switched-off", false, &[(FRONT_URL, FRONT)]),
    ];
    let records = records(clients.clone());
    let mut parts = parts(&clients);
    parts.push(ClientSession { client: "deleted".into(), ..parts[0].clone() });
    let ended = session();
    let told = |audience| -> Vec<String> {
        let all = owed(&records, ISSUER, (&ended, &parts), audience, (&Sevens, Now::from_secs(100)));
        all.iter().map(|d| records.client_by_uuid(&d.client).unwrap().client_id.clone()).collect()
    };
    assert_eq!(told(Audience::Browser), ["back"]);
    assert_eq!(told(Audience::Server), ["back", "both"]);
    let framed: Vec<String> = frames(&records, ISSUER, &ended.id, &parts).into_iter().map(|f| f.name).collect();
    assert_eq!(framed, ["front", "both"]);
    let first = owed(&records, ISSUER, (&ended, &parts), Audience::Server, (&Sevens, Now::from_secs(100))).remove(0);
    let id = entropy::uuid(&Sevens);
    assert_eq!(first, LogoutDelivery { id, client: clients[0].id.clone(), ..delivery(0) });
}

#[test]
fn frames_name_session_and_issuer_unless_the_client_does_not_want_them() {
    let of = |attributes: &[(&str, &str)]| {
        let clients = vec![client("app", true, attributes)];
        frames(&records(clients.clone()), ISSUER, &"s1".into(), &parts(&clients)).pop().map(|f| f.url)
    };
    let named = "https://app.test/gone?a=b&sid=s1&iss=https%3A%2F%2Flogin.test%2Frealms%2Fdemo";
    for (required, want) in [(None, named), (Some("true"), named), (Some("false"), FRONT)] {
        let mut attributes = vec![(FRONT_URL, FRONT)];
        attributes.extend(required.map(|text| (FRONT_SESSION_REQUIRED, text)));
        assert_eq!(of(&attributes).as_deref(), Some(want), "{required:?}");
    }
    assert_eq!(of(&[(FRONT_URL, "javascript:alert(1)")]), None);
}

#[test]
fn ss_06_only_a_registered_web_address_is_called() {
    let mut rooted = client("app", false, &[(URL, "/logout")]);
    rooted.settings.root_url = Some("https://app.test/".to_owned());
    assert_eq!(url(&rooted).map(String::from).as_deref(), Some(BACK));
    for (address, ok) in [
        (BACK, true),
        ("http://app.test/logout", true),
        ("/logout", false),
        ("ftp://app.test/", false),
        ("file:///etc/passwd", false),
        ("javascript:alert(1)", false),
        ("https://${application.session.host}/logout", false),
        ("", false),
    ] {
        assert_eq!(url(&client("app", false, &[(URL, address)])).is_some(), ok, "{address}");
    }
}

#[test]
fn a_logout_token_has_the_recorded_claims() {
    let claims = |attributes: &[(&str, &str)]| -> Value {
        let token = logout_token(&delivery(0), &client("app", false, attributes), Now::from_secs(500));
        serde_json::from_slice(&token).unwrap()
    };
    let mut want = json!({
        "exp": 620, "iat": 500, "jti": "d1", "iss": ISSUER, "aud": "app", "sub": "u1", "typ": "Logout",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} }
    });
    assert_eq!(claims(&[]), want);
    want["sid"] = json!("s1");
    assert_eq!(claims(&[(SESSION_REQUIRED, "true")]), want);
    want["events"]["revoke_offline_access"] = json!(true);
    assert_eq!(claims(&[(SESSION_REQUIRED, "true"), (REVOKE_OFFLINE, "true")]), want);
}

#[test]
fn lo_13_tries_are_spread_and_end() {
    use Outcome::{Answered, Failed};
    let now = Now::from_secs(100);
    for (attempts, outcome, want) in [
        (0, Answered(200), None),
        (0, Answered(204), None),
        (0, Failed, Some(102)),
        (1, Answered(503), Some(104)),
        (2, Answered(302), Some(108)),
        (30, Failed, Some(400)),
        (0, Answered(400), Some(102)),
        (2, Answered(400), None),
    ] {
        assert_eq!(next_try(&delivery(attempts), outcome, now), want, "{attempts} {outcome:?}");
    }
    assert_eq!(next_try(&delivery(9), Failed, Now::from_secs(3500)), None);
}
