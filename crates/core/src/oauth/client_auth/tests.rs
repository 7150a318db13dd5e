use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::claims::fixture;

mod assertions;

const NOW: i64 = 1_800_000_000;

const SECRET: &str = "s3cr:et%+ä";
const ENCODED: &str = "s3cr%3Aet%25%2B%C3%A4";

fn header(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn attempt(records: &RealmRecords, authorization: &[&str], form: &[(&str, &str)]) -> Result<(String, Method), Reason> {
    let params = Params::from_pairs(form.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
    let now = Now::from_secs(NOW);
    let presented = Presented { authorization, params: &params, now, issuer: fixture::ISSUER, fetched: None };
    let client = match authenticate(records, &presented)? {
        Proven::Now(client) => client,
        Proven::Once(once) => once.marked(),
    };
    Ok((client.client().client_id.clone(), client.method()))
}

fn ok(id: &str, method: Method) -> Result<(String, Method), Reason> {
    Ok((id.to_owned(), method))
}

#[test]
fn te_03_to_te_06_p_09_keycloaks_table() {
    let records = fixture::records();
    let (garbage, bearer) = (&"Basic !!!".to_owned(), &"Bearer x".to_owned());
    let good = header(&format!("web:{ENCODED}"));
    let lower = good.replacen("Basic", "bAsIc", 1);
    let blanks = good.replacen("Basic ", "Basic  ", 1);
    let wrong = header("web:nope");
    let raw = header("web:%zz");
    let unknown = header("nobody:x");
    let colonless = header("web");
    let latin = format!("Basic {}", STANDARD.encode(b"web:\xff"));
    let list = format!("{good}, {good}");
    let (id, secret) = (("client_id", "web"), ("client_secret", SECRET));
    let bad = Err(Reason::BadClientCredentials);
    let guess = Err(Reason::WrongClientSecret);
    let unread = Err(Reason::UndecodableClientAuthentication);
    let none = Err(Reason::UnknownClient);
    for (name, authorization, form, expected) in [
        ("nothing", vec![], vec![], none.clone()),
        ("client_id empty", vec![], vec![("client_id", "")], none.clone()),
        ("unknown", vec![], vec![("client_id", "nobody"), secret], none.clone()),
        ("another case", vec![], vec![("client_id", "Web"), secret], none.clone()),
        ("disabled", vec![], vec![("client_id", "off"), secret], none.clone()),
        ("secret missing", vec![], vec![id], bad.clone()),
        ("secret empty", vec![], vec![id, ("client_secret", "")], bad.clone()),
        ("secret wrong", vec![], vec![id, ("client_secret", "wrong")], guess.clone()),
        ("post", vec![], vec![id, secret], ok("web", Method::Post)),
        ("basic", vec![&good], vec![], ok("web", Method::Basic)),
        ("basic lower case", vec![&lower], vec![], ok("web", Method::Basic)),
        ("basic and client_id", vec![&good], vec![id], ok("web", Method::Basic)),
        ("basic wrong", vec![&wrong], vec![], guess.clone()),
        ("basic unknown", vec![&unknown], vec![], none.clone()),
        ("basic without colon", vec![&colonless], vec![], none.clone()),
        ("basic garbage", vec![garbage], vec![], unread.clone()),
        ("two blanks", vec![&blanks], vec![], ok("web", Method::Basic)),
        ("basic beside an empty client_id", vec![&good], vec![("client_id", "")], none.clone()),
        ("not UTF-8", vec![&latin], vec![], unread.clone()),
        ("broken percent", vec![&raw], vec![], unread.clone()),
        ("a list", vec![&list], vec![], unread.clone()),
        ("two headers", vec![&good, &good], vec![], unread.clone()),
        ("bearer scheme", vec![bearer], vec![id, secret], ok("web", Method::Post)),
        ("form secret wrong wins", vec![&good], vec![id, ("client_secret", "wrong")], guess.clone()),
        ("form secret right wins", vec![&wrong], vec![id, secret], ok("web", Method::Post)),
        ("basic A, form B", vec![&good], vec![("client_id", "limited")], bad.clone()),
        ("public", vec![], vec![("client_id", "app")], ok("app", Method::None)),
        (
            "public with junk secret",
            vec![],
            vec![("client_id", "app"), ("client_secret", "junk")],
            ok("app", Method::None),
        ),
        ("bearer-only", vec![], vec![("client_id", "api"), secret], bad.clone()),
        ("assertion client", vec![], vec![("client_id", "jwt"), secret], Err(Reason::AssertionMissing)),
        ("saml client", vec![], vec![("client_id", "saml")], Err(Reason::WrongClientProtocol)),
    ] {
        let authorization: Vec<&str> = authorization.into_iter().map(String::as_str).collect();
        assert_eq!(attempt(&records, &authorization, &form), expected, "{name}");
    }
}

#[test]
fn te_02_te_06_a_strict_realm_takes_one_method_and_one_name() {
    let records = fixture::records_with(json!({ "attributes": { "portcullis.profile": "strict" } }));
    let good = header(&format!("web:{ENCODED}"));
    let (id, secret) = (("client_id", "web"), ("client_secret", SECRET));
    let unread = Err(Reason::UndecodableClientAuthentication);
    let blanks = good.replacen("Basic ", "Basic  ", 1);
    assert_eq!(attempt(&records, &[&blanks], &[]), unread, "te_05");
    for (form, expected) in [
        (vec![id, secret], unread.clone()),
        (vec![("client_id", "app")], unread.clone()),
        (vec![("client_assertion", "x")], unread),
        (vec![id], ok("web", Method::Basic)),
        (vec![], ok("web", Method::Basic)),
    ] {
        assert_eq!(attempt(&records, &[&good], &form), expected, "{form:?}");
    }
    assert_eq!(attempt(&records, &[], &[id, secret]), ok("web", Method::Post));
}
