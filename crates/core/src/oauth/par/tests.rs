use serde_json::json;

use super::*;
use crate::claims::fixture::{self, Counter};
use crate::oauth::authorize::Refusal as Refused;
use crate::time::Now;

const NOW: i64 = 10_000;
const SECRET: (&str, &str) = ("client_secret", "s3cr:et%+\u{e4}");
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn params(pairs: &[(&str, &str)]) -> Params {
    Params::from_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

fn context<'a>(records: &'a RealmRecords, now: i64, entropy: &'a Counter) -> Context<'a> {
    let issuer = fixture::ISSUER;
    let (now, base) = (Now::from_secs(now), "https://login.test");
    Context { now, records, base, issuer, ip: "127.0.0.1", entropy, resources: &[] }
}

const GOOD: &[(&str, &str)] = &[
    ("client_id", "web"),
    SECRET,
    ("redirect_uri", "https://app.test/cb"),
    ("response_type", "code"),
    ("scope", "openid"),
    ("state", "s 1"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

/// The good request with other values; an empty one takes the parameter away.
fn changed(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let kept = GOOD.iter().filter(|(name, _)| changes.iter().all(|(other, _)| other != name)).copied();
    kept.chain(changes.iter().filter(|(_, value)| !value.is_empty()).copied()).collect()
}

fn attempt(records: &RealmRecords, pairs: &[(&str, &str)]) -> Result<Params, (&'static str, Cors)> {
    let form = params(pairs);
    open(records, "https://login.test", &fixture::proven(records, &form), &form)
        .map(|accepted| accepted.kept)
        .map_err(|refusal| (refusal.reason.name(), refusal.cors))
}

#[test]
fn az_19_the_table_refuses_what_the_authorization_endpoint_would() {
    let records = fixture::records();
    let mut twice = changed(&[]);
    twice.push(("state", "t"));
    let mut named_twice = changed(&[]);
    named_twice.push(("client_id", "web"));
    let any = |reason| Err((reason, Cors::Any));
    let own = |reason| Err((reason, Cors::Client));
    for (name, pairs, expected) in [
        ("good", changed(&[]), Ok(())),
        ("public", changed(&[("client_id", "app"), ("client_secret", "")]), Ok(())),
        ("no secret", changed(&[("client_secret", "")]), any("PushUnauthenticated")),
        ("wrong secret", changed(&[("client_secret", "x")]), any("PushUnauthenticated")),
        ("nobody", changed(&[("client_id", "nobody")]), any("PushUnauthenticated")),
        ("disabled", changed(&[("client_id", "off")]), any("PushUnauthenticated")),
        ("request_uri", changed(&[("request_uri", "urn:x")]), own("RequestUriPushed")),
        ("request object", changed(&[("request", "x")]), own("InvalidRequest")),
        ("redirect_uri", changed(&[("redirect_uri", "https://evil.test/")]), own("InvalidRedirectUri")),
        ("no response_type", changed(&[("response_type", "")]), own("MissingResponseType")),
        ("odd response_type", changed(&[("response_type", "odd")]), own("UnsupportedPushedResponseType")),
        ("scope", changed(&[("scope", "openid odd")]), own("InvalidPushedScopes")),
        ("challenge", changed(&[("code_challenge", "")]), own("MissingCodeChallenge")),
        ("twice", twice, own("DuplicatedParameter")),
        ("named twice", named_twice, own("DuplicatedParameter")),
    ] {
        assert_eq!(attempt(&records, &pairs).map(drop), expected, "{name}");
    }
    let off = fixture::records_with(json!({ "enabled": false }));
    assert_eq!(attempt(&off, GOOD).map(drop), any("RealmDisabled"));
}

#[test]
fn rfc_9126_2_2_the_row_has_hashes_and_no_proof() {
    let records = fixture::records_with(json!({ "attributes": { "parRequestUriLifespan": "90" } }));
    let entropy = Counter::default();
    let form = params(GOOD);
    let accepted = open(&records, "https://login.test", &fixture::proven(&records, &form), &form).unwrap();
    let cx = context(&records, NOW, &entropy);
    let (one, two) = (push(&cx, &accepted), push(&cx, &accepted));
    assert_ne!(one.request_uri, two.request_uri);
    assert_eq!(one.expires_in, 90);
    let [Write::CreatePushed(_, row)] = one.plan.writes.as_slice() else { panic!("{:?}", one.plan) };
    let bare = one.request_uri.strip_prefix(PREFIX).unwrap();
    assert_eq!((row.hash, row.expires_at), (digest::sha256(bare.as_bytes()), NOW + 90));
    let text = format!("{row:?}");
    assert!(!text.contains(bare) && !text.contains("secret") && !text.contains("s3cr"), "{text}");
    assert_eq!(Params::parse(row.parameters.as_bytes()).unwrap().get("state"), Some("s 1"));
}

#[test]
fn az_15_az_16_ss_01_only_a_handle_of_ours_with_one_client_is_one() {
    let ours = format!("{PREFIX}h");
    let with = |more: &[(&str, &str)]| {
        let pairs: Vec<_> = [("client_id", "web"), ("request_uri", &ours)].iter().chain(more).copied().collect();
        handle(&params(&pairs))
    };
    let expected = Handle { hash: digest::sha256(b"h"), client_id: "web".to_owned() };
    assert_eq!(with(&[]), Some(expected.clone()));
    assert_eq!(with(&[("redirect_uri", "https://evil.test/"), ("scope", "x")]), Some(expected));
    for more in [("client_id", "web"), ("request_uri", "urn:x"), ("request", "x"), ("request", "")] {
        assert_eq!(with(&[more]), None, "{more:?}");
    }
    for uri in ["http://10.0.0.1/x", "https://app.test/request.jwt", "urn:ietf:params:oauth:request_uri", "", "h"] {
        assert_eq!(handle(&params(&[("client_id", "web"), ("request_uri", uri)])), None, "{uri}");
    }
    assert_eq!(handle(&params(&[("request_uri", &ours)])), None, "RFC 9126 §4: client_id");
}

#[test]
fn p_06_az_18_az_21_a_handle_is_worth_its_request_until_an_answer_was_made() {
    let records = fixture::records();
    let entropy = Counter::default();
    let kept = |client: &str, parameters: &[(&str, &str)]| PushedRequest {
        hash: digest::sha256(b"h"),
        client: records.client(client).unwrap().id.clone(),
        parameters: form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish(),
        expires_at: NOW + 60,
    };
    let good: Vec<_> = GOOD.iter().filter(|(name, _)| *name != "client_secret").copied().collect();
    let gone: Vec<_> =
        good.iter().map(|(n, v)| (*n, if *n == "redirect_uri" { "https://app.test/gone" } else { v })).collect();
    let ours = Handle { hash: digest::sha256(b"h"), client_id: "web".to_owned() };
    let foreign = Handle { client_id: "app".to_owned(), ..ours.clone() };
    let unknown = Handle { hash: [9; 32], ..ours.clone() };
    let fresh = kept("web", &good);
    for (name, handle, now, row, good) in [
        ("good", &ours, NOW + 59, Some(&fresh), true),
        ("too late", &ours, NOW + 60, Some(&fresh), false),
        ("taken or never there", &ours, NOW, None, false),
        ("another handle", &unknown, NOW, Some(&fresh), false),
        ("another client", &foreign, NOW, Some(&fresh), false),
        ("its address was removed", &ours, NOW, Some(&kept("web", &gone)), false),
        ("its row is broken", &ours, NOW, Some(&PushedRequest { parameters: "%".to_owned(), ..fresh.clone() }), false),
    ] {
        let redeemed = redeem(&context(&records, now, &entropy), handle, row);
        assert_eq!(redeemed.answer.is_ok(), good, "{name}");
        match redeemed.answer {
            Ok(valid) => {
                // What the answer will use up comes back from the restart cookie too.
                let kept = serde_json::to_string(valid.request()).unwrap();
                let back: authorize::AuthorizeRequest = serde_json::from_str(&kept).unwrap();
                let taken = back.pushed.as_ref().map(|call| call.taken(&"r".into()));
                assert!(matches!(taken, Some(Write::TakePushed(_, hash)) if hash == ours.hash), "{name}");
                assert_eq!(
                    (valid.request().client_id.as_str(), valid.request().state.as_deref()),
                    ("web", Some("s 1"))
                );
                let again = authorize::revalidate(&records, "https://login.test", &back).unwrap();
                assert_eq!(again.request().pushed, valid.request().pushed);
                let broken = kept.replace(&digest::base64url_encode(&ours.hash), "AA");
                assert!(serde_json::from_str::<authorize::AuthorizeRequest>(&broken).is_err(), "half a hash");
            }
            Err(refusal) => assert!(matches!(refusal, Refused::Page(_)), "{name}: {refusal:?}"),
        }
    }
}
