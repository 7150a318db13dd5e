use serde_json::json;

use super::*;
use crate::claims::fixture::{self, Counter};
use crate::time::Now;

const NOW: i64 = 10_000;
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn params(pairs: &[(&str, &str)]) -> Params {
    Params::from_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

fn strict() -> serde_json::Value {
    json!({ "attributes": { "portcullis.profile": "strict" } })
}

fn context<'a>(records: &'a RealmRecords, entropy: &'a Counter) -> Context<'a> {
    let issuer = fixture::ISSUER;
    Context {
        now: Now::from_secs(NOW),
        records,
        base: "https://login.test",
        issuer,
        ip: "127.0.0.1",
        entropy,
        resources: &[],
    }
}

fn pending(records: &RealmRecords, client: &str) -> DeviceGrant {
    DeviceGrant {
        hash: hash("device"),
        user_code: hash_user_code("WDJB-MJHT").unwrap(),
        client: records.client(client).unwrap().id.clone(),
        request: DeviceRequest {
            scope: "openid".to_owned(),
            nonce: Some("n".to_owned()),
            challenge: None,
            asked_at: NOW,
        },
        state: DeviceState::Pending,
        expires_at: NOW + 600,
        last_poll: 0,
        interval: 5,
    }
}

#[test]
fn rfc_8628_6_1_a_code_is_the_same_however_it_is_typed() {
    let code = hash_user_code("WDJB-MJHT");
    assert!(code.is_some());
    for same in ["WDJBMJHT", "wdjb-mjht", " wdjb mjht ", "W-D-J-B-M-J-H-T", "WDJB-\u{a0}MJHT"] {
        assert_eq!(hash_user_code(same), code, "{same}");
    }
    for none in ["", "WDJB-MJH", "WDJB-MJHTX", "WDJB-MJH1", "WDJB_MJHT", "WDJB-MJHß", &"-".repeat(65)] {
        assert_eq!(hash_user_code(none), None, "{none}");
    }
    assert_ne!(hash_user_code("WDJB-MJHX"), code);
}

#[test]
fn pc_16_user_codes_are_eight_consonants_and_device_codes_256_bits() {
    let records = fixture::records();
    let entropy = Counter::default();
    let form = params(&[("client_id", "tv"), ("scope", "openid")]);
    let asked = open(&records, &fixture::proven(&records, &form), &form).unwrap();
    let (one, two) = (begin(&context(&records, &entropy), &asked), begin(&context(&records, &entropy), &asked));
    assert_ne!(one.device_code.expose(), two.device_code.expose());
    assert_eq!(one.device_code.expose().len(), 43);
    for begun in [&one, &two] {
        let (left, right) = begun.user_code.split_once('-').unwrap();
        assert_eq!((left.len(), right.len()), (4, 4), "{}", begun.user_code);
        assert!((left.to_owned() + right).bytes().all(|b| ALPHABET.contains(&b)), "{}", begun.user_code);
        let [Write::CreateDevice(_, grant)] = begun.plan.writes.as_slice() else { panic!("{:?}", begun.plan) };
        assert_eq!(Some(grant.user_code), hash_user_code(&begun.user_code));
        assert_eq!(grant.hash, hash(begun.device_code.expose()));
        let printed = format!("{:?}{:?}", begun.plan, begun.device_code);
        assert!(!printed.contains(begun.device_code.expose()) && !printed.contains(&begun.user_code), "hashes at rest");
    }
}

#[test]
fn lifespan_and_interval_are_the_clients_else_the_realms() {
    let of = |settings: serde_json::Value, own: &[(&str, &str)]| {
        let records = fixture::records_with(settings);
        let mut client = records.client("tv").unwrap().clone();
        client.settings.attributes.extend(own.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        let realm = &records.realm;
        let lifespan = seconds(realm, &client, ("oauth2.device.code.lifespan", "oauth2DeviceCodeLifespan"));
        (lifespan, seconds(realm, &client, ("oauth2.device.polling.interval", "oauth2DevicePollingInterval")))
    };
    let realm = json!({ "attributes": { "oauth2DeviceCodeLifespan": "300", "oauth2DevicePollingInterval": "7" } });
    assert_eq!(of(json!({}), &[]), (None, None));
    assert_eq!(of(realm.clone(), &[]), (Some(300), Some(7)));
    let own = [("oauth2.device.code.lifespan", "60"), ("oauth2.device.polling.interval", "1")];
    assert_eq!(of(realm.clone(), &own), (Some(60), Some(1)));
    assert_eq!(of(realm, &[("oauth2.device.code.lifespan", "-1")]), (Some(300), Some(7)));
}

#[test]
fn rfc_8628_3_1_the_table_of_the_device_endpoint() {
    let (tv, boxed) = (("client_id", "tv"), ("client_id", "box"));
    let secret = ("client_secret", "s3cr:et%+\u{e4}");
    let long = "x".repeat(MAX_VALUE + 1);
    let many = vec!["openid"; MAX_SCOPES + 1].join(" ");
    let s256 = [tv, ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    let plain = [tv, ("code_challenge", CHALLENGE), ("code_challenge_method", "plain")];
    for (name, pairs, keycloak, in_strict) in [
        ("public", &[tv][..], Ok(""), Ok("")),
        ("scope", &[tv, ("scope", "openid phone ")], Ok("openid phone"), Ok("openid phone")),
        ("two blanks", &[tv, ("scope", "openid  phone")], Ok("openid phone"), Err("InvalidScopes")),
        ("confidential", &[boxed, secret], Ok(""), Ok("")),
        ("no secret", &[boxed], Err("BadClientCredentials"), Err("BadClientCredentials")),
        ("nobody", &[("client_id", "nobody")], Err("UnknownClient"), Err("UnknownClient")),
        ("no client", &[("scope", "openid")], Err("UnknownClient"), Err("UnknownClient")),
        ("disabled", &[("client_id", "off"), secret], Err("UnknownClient"), Err("UnknownClient")),
        ("no device flow", &[("client_id", "app")], Err("DeviceFlowOff"), Err("DeviceFlowOff")),
        (
            "twice",
            &[tv, ("scope", "a"), ("scope", "a")],
            Err("DuplicatedDeviceParameter"),
            Err("DuplicatedDeviceParameter"),
        ),
        ("unknown scope", &[tv, ("scope", "openid odd")], Ok("openid"), Err("InvalidScopes")),
        ("long nonce", &[tv, ("nonce", &long)], Err("ParameterTooLong"), Err("ParameterTooLong")),
        ("many scopes", &[tv, ("scope", &many)], Err("InvalidScopes"), Err("InvalidScopes")),
        ("PKCE", &s256, Ok(""), Ok("")),
        ("plain PKCE", &plain, Ok(""), Err("InvalidCodeChallengeMethod")),
        (
            "method alone",
            &[tv, ("code_challenge_method", "S256")],
            Err("MissingCodeChallenge"),
            Err("MissingCodeChallenge"),
        ),
    ] {
        for (settings, expected) in [(json!({}), keycloak), (strict(), in_strict)] {
            let records = fixture::records_with(settings);
            let form = params(pairs);
            let got = open(&records, &fixture::proven(&records, &form), &form);
            let got = got.as_ref().map(|a| a.request.scope.as_str()).map_err(|r| r.reason.name());
            assert_eq!(got, expected, "{name}");
        }
    }
    let off = fixture::records_with(json!({ "enabled": false }));
    let form = params(&[tv]);
    assert_eq!(open(&off, &fixture::proven(&off, &form), &form).unwrap_err().reason, Reason::RealmDisabled);
}

#[test]
fn pc_18_az_21_a_code_leads_on_while_grant_and_client_stand() {
    let records = fixture::records();
    let good = pending(&records, "tv");
    let request = entered(&records, NOW, "wdjb mjht", Some(&good)).unwrap();
    assert_eq!((request.client_id.as_str(), request.scope.as_str()), ("tv", "openid"));
    assert_eq!(request.device.as_ref().unwrap().user_code, "WDJB-MJHT");
    assert_eq!(request.device.as_ref().and_then(DeviceCall::hash), Some(good.hash));
    let approved = DeviceState::Approved { user: "u".into(), session: "s".into() };
    for (name, grant, now, expected) in [
        ("fresh", Some(good.clone()), NOW, Ok(())),
        ("last second", Some(good.clone()), NOW + 599, Ok(())),
        ("over", Some(good.clone()), NOW + 600, Err(BadUserCode::Expired)),
        ("unknown", None, NOW, Err(BadUserCode::Invalid)),
        ("approved", Some(DeviceGrant { state: approved, ..good.clone() }), NOW, Err(BadUserCode::Invalid)),
        ("denied", Some(DeviceGrant { state: DeviceState::Denied, ..good.clone() }), NOW, Err(BadUserCode::Invalid)),
        ("disabled client", Some(pending(&records, "off")), NOW, Err(BadUserCode::Invalid)),
        ("no device flow", Some(pending(&records, "app")), NOW, Err(BadUserCode::Invalid)),
    ] {
        assert_eq!(entered(&records, now, "WDJB-MJHT", grant.as_ref()).map(drop), expected, "{name}");
        assert_eq!(standing(&records, now, &request, grant.as_ref()).map(drop), expected, "{name}: standing");
    }
    let other = DeviceGrant { hash: hash("other"), ..good.clone() };
    assert_eq!(standing(&records, NOW, &request, Some(&other)).map(drop), Err(BadUserCode::Invalid));
    let boxed = DeviceGrant { client: records.client("box").unwrap().id.clone(), ..good };
    assert_eq!(standing(&records, NOW, &request, Some(&boxed)).map(drop), Err(BadUserCode::Invalid));
}

#[test]
fn rt_16_a_request_from_before_its_clients_not_before_leads_nowhere() {
    let records = fixture::records();
    let grant = pending(&records, "tv");
    let request = entered(&records, NOW, "WDJB-MJHT", Some(&grant)).unwrap();
    for (not_before, expected) in [(NOW, Ok(())), (NOW + 1, Err(BadUserCode::Invalid))] {
        let mut clients: Vec<Client> = records.clients().cloned().collect();
        clients.iter_mut().for_each(|client| client.settings.not_before = not_before);
        let records = RealmRecords::new(
            records.realm.clone(),
            records.scopes.values().cloned().collect(),
            records.roles.clone(),
            records.groups.clone(),
            records.keys.clone(),
            clients,
        );
        assert_eq!(entered(&records, NOW + 5, "WDJB-MJHT", Some(&grant)).map(drop), expected, "{not_before}");
        assert_eq!(standing(&records, NOW + 5, &request, Some(&grant)).map(drop), expected, "{not_before}: standing");
    }
}

#[test]
fn rfc_8628_3_3_a_decision_names_what_it_relied_on() {
    let records = fixture::records();
    let entropy = Counter::default();
    let (cx, client) = (context(&records, &entropy), records.client("tv").unwrap());
    let request = entered(&records, NOW, "WDJB-MJHT", Some(&pending(&records, "tv"))).unwrap();
    let (user, session) = (fixture::user(), fixture::session(NOW));
    let known = ClientSession {
        session: session.id.clone(),
        client: client.id.clone(),
        started: NOW - 60,
        grant: fixture::grant("phone"),
        last_refresh: NOW - 60,
    };
    let grant = fixture::grant("openid");
    for (below, started) in [(None, NOW), (Some(&known), NOW - 60)] {
        let by = Approver { user: &user, session: &session, below, grant: &grant };
        let writes = approval(&cx, client, &request, by);
        let [Write::ExpectClient(..), Write::ExpectUser(..), decide, Write::PutClientSession(_, below)] =
            writes.as_slice()
        else {
            panic!("{writes:?}")
        };
        let Write::DecideDevice(_, hashed, DeviceState::Approved { user: who, session: place }) = decide else {
            panic!("{decide:?}")
        };
        assert_eq!((*hashed, who, place), (hash("device"), &user.id, &session.id));
        assert_eq!((&below.grant, below.started), (&grant, started));
    }
    let no = denial(&cx, client, &request);
    assert!(matches!(no.writes.as_slice(), [Write::DecideDevice(_, _, DeviceState::Denied)]), "{no:?}");
}
