//! Client authentication (RFC 6749 §2.3) as Keycloak 26.4 does it: the form's words win over Basic, public clients name themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_jose::digest;

use crate::client::Client;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::realm::Profile;
use crate::records::RealmRecords;

/// How the client proved who it is (RFC 8414 `token_endpoint_auth_methods_supported`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// A public client: it only named itself.
    None,
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
}

/// A client that proved who it is at this request.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticatedClient<'a> {
    client: &'a Client,
    method: Method,
}

impl<'a> AuthenticatedClient<'a> {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &'a Client {
        self.client
    }

    /// How.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }
}

/// What the request carried.
#[derive(Default)]
struct Presented {
    basic: Option<(String, String)>,
}

/// Authenticates the client of a token, revocation, introspection or logout request. `authorization` is the header's text, if there
/// is exactly one; more than one is not decodable.
///
/// # Errors
/// The rows of Keycloak's table (TE-02 to TE-06, P-09): unknown, disabled or unnamed clients, wrong or missing secrets, headers that
/// cannot be read, and in a strict realm two methods at once.
pub fn authenticate<'a>(
    records: &'a RealmRecords,
    authorization: &[&str],
    params: &Params,
) -> Result<AuthenticatedClient<'a>, Reason> {
    let presented = Presented { basic: basic(authorization)? };
    let form_id = params.get("client_id");
    if records.realm.profile() == Profile::Strict {
        one_method(&presented, form_id, params)?;
    }
    let basic_id = presented.basic.as_ref().map(|(id, _)| id.as_str());
    let client_id = form_id.or(basic_id).ok_or(Reason::UnknownClient)?;
    let client = records.client(client_id).filter(|c| c.settings.enabled).ok_or(Reason::UnknownClient)?;
    if client.settings.bearer_only {
        return Err(Reason::BadClientCredentials);
    }
    let method = if client.is_public() { Method::None } else { prove(client, &presented, params)? };
    if client.settings.protocol != "openid-connect" {
        return Err(Reason::WrongClientProtocol);
    }
    Ok(AuthenticatedClient { client, method })
}

/// RFC 6749 §2.3: never more than one method, and all names of the client are one name.
fn one_method(presented: &Presented, form_id: Option<&str>, params: &Params) -> Result<(), Reason> {
    let Some((id, _)) = &presented.basic else { return Ok(()) };
    let differs = form_id.is_some_and(|form| form != id);
    let assertion = params.has("client_assertion");
    if differs || assertion || params.has("client_secret") {
        Err(Reason::UndecodableClientAuthentication)
    } else {
        Ok(())
    }
}

fn prove(client: &Client, presented: &Presented, params: &Params) -> Result<Method, Reason> {
    if client.settings.client_authenticator_type != "client-secret" {
        return Err(Reason::AssertionMissing);
    }
    let secret = client.secret.as_ref().filter(|s| !s.is_empty()).ok_or(Reason::BadClientCredentials)?;
    // Basic for A with client_id=B in the form tries B, and A's secret is not B's.
    let basic = presented.basic.as_ref().filter(|(id, _)| *id == client.client_id);
    let (given, method) = match (params.raw("client_secret"), basic) {
        (Some(secret), _) => (secret, Method::Post),
        (None, Some((_, secret))) => (secret.as_str(), Method::Basic),
        (None, None) => return Err(Reason::BadClientCredentials),
    };
    // Hashes have one length, so not even the length of the secret shows.
    let same = digest::constant_time_eq(&digest::sha256(given.as_bytes()), &digest::sha256(secret.expose().as_bytes()));
    if same && !given.is_empty() { Ok(method) } else { Err(Reason::BadClientCredentials) }
}

/// Reads `Authorization: Basic`. Another scheme and a value without colon count as absent (Keycloak 26.4).
fn basic(authorization: &[&str]) -> Result<Option<(String, String)>, Reason> {
    let header = match authorization {
        [] => return Ok(None),
        [one] => *one,
        _ => return Err(Reason::UndecodableClientAuthentication),
    };
    let Some((scheme, value)) = header.split_once(' ') else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let bytes = STANDARD.decode(value).map_err(|_| Reason::UndecodableClientAuthentication)?;
    let text = String::from_utf8(bytes).map_err(|_| Reason::UndecodableClientAuthentication)?;
    let Some((id, secret)) = text.split_once(':') else { return Ok(None) };
    Ok(Some((form_decode(id)?, form_decode(secret)?)))
}

/// RFC 6749 §2.3.1: both halves are form-encoded.
fn form_decode(text: &str) -> Result<String, Reason> {
    let refused = Reason::UndecodableClientAuthentication;
    // A lone pair parser: `&` and `=` inside a half are data.
    let quoted = text.replace('&', "%26").replace('=', "%3D");
    let params = Params::parse(format!("v={quoted}").as_bytes()).map_err(|_| refused.clone())?;
    params.raw("v").map(str::to_owned).ok_or(refused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::fixture;

    const SECRET: &str = "s3cr:et%+ä";
    const ENCODED: &str = "s3cr%3Aet%25%2B%C3%A4";

    fn header(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn attempt(
        records: &RealmRecords,
        authorization: &[&str],
        form: &[(&str, &str)],
    ) -> Result<(String, Method), Reason> {
        let params = Params::from_pairs(form.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
        authenticate(records, authorization, &params).map(|a| (a.client().client_id.clone(), a.method()))
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
            ("secret wrong", vec![], vec![id, ("client_secret", "wrong")], bad.clone()),
            ("post", vec![], vec![id, secret], ok("web", Method::Post)),
            ("basic", vec![&good], vec![], ok("web", Method::Basic)),
            ("basic lower case", vec![&lower], vec![], ok("web", Method::Basic)),
            ("basic and client_id", vec![&good], vec![id], ok("web", Method::Basic)),
            ("basic wrong", vec![&wrong], vec![], bad.clone()),
            ("basic unknown", vec![&unknown], vec![], none.clone()),
            ("basic without colon", vec![&colonless], vec![], none.clone()),
            ("basic garbage", vec![garbage], vec![], unread.clone()),
            ("two blanks", vec![&blanks], vec![], unread.clone()),
            ("not UTF-8", vec![&latin], vec![], unread.clone()),
            ("broken percent", vec![&raw], vec![], unread.clone()),
            ("a list", vec![&list], vec![], unread.clone()),
            ("two headers", vec![&good, &good], vec![], unread.clone()),
            ("bearer scheme", vec![bearer], vec![id, secret], ok("web", Method::Post)),
            ("form secret wrong wins", vec![&good], vec![id, ("client_secret", "wrong")], bad.clone()),
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
}
