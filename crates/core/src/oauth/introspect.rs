//! Token introspection (RFC 7662) as Keycloak 26.4 does it, and its signed answer (RFC 9701).
//!
//! **Owns** the check table of the request, how the answer is written, who may learn about a token. **Does not own** whether a token
//! holds (the idp's bearer check, [`super::grants::refresh::is_live`]) nor the document's members ([`crate::claims::tokens`]).
//! **Flow** [`open`] (table) -> the token is verified -> [`may_learn`] -> the document, or [`INACTIVE`] -> as it is, or [`signed`].

use super::client_auth::AuthenticatedClient;
use super::error::Reason;
use super::params::Params;
use crate::client::Client;
use crate::json::Object;
use crate::realm::Profile;
use crate::records::RealmRecords;
use crate::time::Now;

/// RFC 7662 §2.2: the one answer for every token that does not hold, whatever the reason.
pub const INACTIVE: &[u8] = br#"{"active":false}"#;

/// How much is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// All claims.
    Full,
    /// Keycloak's short document for `requesting_party_token`.
    Party,
}

/// The media type of the signed answer (RFC 9701 §4); its `typ` is the same without `application/`.
pub const SIGNED_TYPE: &str = "application/token-introspection+jwt";

/// `typ` of the signed answer (RFC 9701 §5): nothing else may pass for it, and it for nothing else (§8.1).
pub const SIGNED_TYP: &str = "token-introspection+jwt";

/// Client attribute: the algorithm of the answers signed for this client (RFC 9701 §6 `introspection_signed_response_alg`); absent:
/// the realm's default.
pub const SIGNATURE_ATTRIBUTE: &str = "portcullis.introspection.signed.response.alg";

/// Client attribute: the client may be given a token that carries all its claims for one that does not (Keycloak 26.4).
const JWT_CLAIM_ATTRIBUTE: &str = "client.introspection.response.allow.jwt.claim.enabled";

/// How the answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// JSON (RFC 7662 §2.2).
    Json,
    /// JSON whose last member `jwt` is the token with all its claims (Keycloak 26.4, recorded): an access token of its own, made from
    /// one that its holder was given without them.
    JsonAndToken,
    /// A JWT signed for the caller (RFC 9701).
    Jwt,
}

impl Written {
    /// What `Accept` asks for (RFC 9110 §12.5.1): the signed answer must be named, and not liked less than JSON.
    #[must_use]
    pub fn wanted(accept: &str, caller: &Client, profile: Profile) -> Self {
        let liked = |kind: &str| accept.split(',').filter_map(|range| weight(range, kind)).max();
        match (liked(SIGNED_TYPE), profile) {
            (Some(signed), _) if signed > 0 && Some(signed) >= liked("application/json") => Self::Jwt,
            // Keycloak 26.4: this very text. In a strict realm nobody makes a token stronger by asking about it (RFC 9701 §8.1).
            (None, Profile::Keycloak) if accept == "application/jwt" && caller.flag(JWT_CLAIM_ATTRIBUTE) => {
                Self::JsonAndToken
            }
            (Some(_) | None, Profile::Keycloak | Profile::Strict) => Self::Json,
        }
    }
}

/// How much a media range likes a type, in thousandths; `None`: it names another one, or cannot be read.
fn weight(range: &str, kind: &str) -> Option<u32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(kind) {
        return None;
    }
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let Some(quality) = quality else { return Some(1000) };
    let (whole, rest) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = rest.len() <= 3 && rest.bytes().all(|b| b.is_ascii_digit());
    match (whole, digits) {
        ("0", true) => format!("{rest:0<3}").parse().ok(),
        ("1", true) if rest.bytes().all(|b| b == b'0') => Some(1000),
        _ => None,
    }
}

/// A request that passed the table.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks: a confidential client.
    pub caller: &'a Client,
    /// About what. It may be empty or nonsense.
    pub token: &'a str,
    /// How much is told.
    pub form: Form,
    /// In which form.
    pub written: Written,
}

struct Draft<'a, 'r> {
    records: &'a RealmRecords,
    proven: &'r Result<AuthenticatedClient<'a>, Reason>,
    params: &'a Params,
    caller: Option<&'a Client>,
    token: Option<&'a str>,
    form: Form,
}

type Check = fn(&mut Draft<'_, '_>) -> Result<(), Reason>;

/// The table, in Keycloak's order.
const TABLE: &[(&str, Check)] = &[
    ("realm enabled", realm_enabled),
    ("client authentication", authentication),
    ("confidential client", confidential),
    ("repeated", repeated),
    ("token", token),
    ("token_type_hint", hint),
];

/// Runs the table. `proven` is who the request is from, or why nobody knows; `accept` the texts of its `Accept`, joined by commas.
///
/// # Errors
/// The first check that refuses (TE-21). A refusal is JSON, whatever was asked for (RFC 9701 §5).
pub fn open<'a>(
    records: &'a RealmRecords,
    proven: &Result<AuthenticatedClient<'a>, Reason>,
    params: &'a Params,
    accept: &str,
) -> Result<Asked<'a>, Reason> {
    let mut draft = Draft { records, proven, params, caller: None, token: None, form: Form::Full };
    for (_, check) in TABLE {
        check(&mut draft)?;
    }
    let caller = draft.caller.ok_or(Reason::IntrospectionUnauthenticated)?;
    let token = draft.token.ok_or(Reason::TokenNotProvided)?;
    let written = Written::wanted(accept, caller, records.realm.profile());
    Ok(Asked { caller, token, form: draft.form, written })
}

fn realm_enabled(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    if draft.records.realm.settings.enabled { Ok(()) } else { Err(Reason::RealmDisabled) }
}

fn authentication(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    draft.caller = match draft.proven {
        Ok(client) => Some(client.client()),
        Err(reason @ (Reason::Unavailable | Reason::TooManyWrongSecrets)) => return Err(reason.clone()),
        // Keycloak 26.4: one answer, however the client failed.
        Err(_) => return Err(Reason::IntrospectionUnauthenticated),
    };
    Ok(())
}

fn confidential(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    let public = draft.caller.is_none_or(Client::is_public);
    if public { Err(Reason::IntrospectionByPublicClient) } else { Ok(()) }
}

fn repeated(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    if draft.params.repeated().is_some() { Err(Reason::DuplicatedParameter) } else { Ok(()) }
}

fn token(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    draft.token = Some(draft.params.raw("token").ok_or(Reason::TokenNotProvided)?);
    Ok(())
}

/// RFC 7662 §2.1: between access and refresh tokens it is a hint only.
fn hint(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    draft.form = match draft.params.raw("token_type_hint") {
        None | Some("access_token" | "refresh_token") => Form::Full,
        Some("requesting_party_token") => Form::Party,
        Some(other) => return Err(Reason::UnsupportedTokenType(other.to_owned())),
    };
    Ok(())
}

/// A token that holds, as far as it decides who is told.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// An access token with the services it names.
    Access(&'a [String]),
    /// A refresh token: for its client alone.
    Refresh,
}

/// Whether a caller is told about a token that was given to `owner` (TE-21, RFC 7662 §4).
#[must_use]
pub fn may_learn(
    records: &RealmRecords,
    caller: &Client,
    owner: &Client,
    subject: Subject<'_>,
    written: Written,
) -> bool {
    match (records.realm.profile(), subject, written) {
        // Any confidential client of the realm, recorded from 26.4.2.
        (Profile::Keycloak, _, _) => true,
        // RFC 9701 §5: a signed answer is for the service that the token is meant for.
        (Profile::Strict, Subject::Access(audience), Written::Jwt) => audience.contains(&caller.client_id),
        (Profile::Strict, Subject::Access(audience), Written::Json | Written::JsonAndToken) => {
            caller.id == owner.id || audience.contains(&caller.client_id)
        }
        (Profile::Strict, Subject::Refresh, _) => caller.id == owner.id,
    }
}

/// The document with the token as its last member (Keycloak 26.4).
#[must_use]
pub fn with_token(document: &[u8], token: &str) -> Vec<u8> {
    let open = document.strip_suffix(b"}").unwrap_or(document);
    // A compact JWS has no character that JSON would escape.
    [open, br#","jwt":""#, token.as_bytes(), br#""}"#].concat()
}

/// The claims of a signed answer (RFC 9701 §5) around the document. No `sub` and no `exp`: nobody shall take it for an access token.
#[must_use]
pub fn signed(issuer: &str, caller: &Client, now: Now, document: &[u8]) -> Vec<u8> {
    let mut object = Object::new();
    object.text("iss", issuer);
    object.text("aud", &caller.client_id);
    object.int("iat", now.secs());
    object.raw("token_introspection", document);
    object.end()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::fixture;

    fn attempt(settings: serde_json::Value, pairs: &[(&str, &str)]) -> Result<(String, String, Form), Reason> {
        let records = fixture::records_with(settings);
        let params = Params::from_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
        open(&records, &fixture::proven(&records, &params), &params, "")
            .map(|a| (a.caller.client_id.clone(), a.token.to_owned(), a.form))
    }

    #[test]
    fn te_21_the_table_refuses_in_keycloaks_order() {
        let (id, secret) = (("client_id", "web"), ("client_secret", "s3cr:et%+ä"));
        let (t, wrong) = (("token", "x"), ("client_secret", "wrong"));
        let hint = |text| ("token_type_hint", text);
        let ok = |token: &str, form| Ok(("web".to_owned(), token.to_owned(), form));
        let stranger = Err(Reason::IntrospectionUnauthenticated);
        for (pairs, expected) in [
            (&[][..], stranger.clone()),
            (&[t], stranger.clone()),
            (&[t, id], stranger.clone()),
            (&[t, id, wrong], stranger.clone()),
            (&[t, t, id, wrong], stranger.clone()),
            (&[t, ("client_id", "off"), secret], stranger.clone()),
            (&[t, ("client_id", "api"), secret], stranger.clone()),
            (&[t, ("client_id", "jwt"), secret], stranger.clone()),
            (&[t, ("client_id", "app")], Err(Reason::IntrospectionByPublicClient)),
            (&[("client_id", "app")], Err(Reason::IntrospectionByPublicClient)),
            (&[t, t, id, secret], Err(Reason::DuplicatedParameter)),
            (&[id, secret], Err(Reason::TokenNotProvided)),
            (&[id, secret, hint("magic")], Err(Reason::TokenNotProvided)),
            (&[t, id, secret, hint("magic")], Err(Reason::UnsupportedTokenType("magic".to_owned()))),
            (&[t, id, secret, hint("requesting_party_token")], ok("x", Form::Party)),
            (&[t, id, secret, hint("refresh_token")], ok("x", Form::Full)),
            (&[t, id, secret, hint("access_token")], ok("x", Form::Full)),
            (&[t, id, secret], ok("x", Form::Full)),
            (&[("token", ""), id, secret], ok("", Form::Full)),
        ] {
            assert_eq!(attempt(json!({}), pairs), expected, "{pairs:?}");
        }
        assert_eq!(attempt(json!({ "enabled": false }), &[t, id, secret]), Err(Reason::RealmDisabled));
    }

    #[test]
    fn te_21_a_strict_realm_tells_owner_and_audience_only() {
        let strict = json!({ "attributes": { "portcullis.profile": "strict" } });
        for (settings, audience, caller, expected) in [
            (strict.clone(), &["account"][..], "web", false),
            (strict.clone(), &[], "web", false),
            (strict.clone(), &["account", "web"], "web", true),
            (strict.clone(), &["WEB"], "web", false),
            (strict, &[], "app", true),
            (json!({}), &[], "web", true),
        ] {
            let records = fixture::records_with(settings);
            let audience: Vec<String> = audience.iter().map(|a| (*a).to_owned()).collect();
            let (caller, owner) = (records.client(caller).unwrap(), records.client("app").unwrap());
            let subject = Subject::Access(&audience);
            assert_eq!(may_learn(&records, caller, owner, subject, Written::Json), expected, "{audience:?}");
        }
    }

    #[test]
    fn rfc_9701_5_a_signed_answer_is_for_the_audience() {
        let strict = json!({ "attributes": { "portcullis.profile": "strict" } });
        let named = ["account".to_owned(), "web".to_owned()];
        for (subject, caller, lax, expected) in [
            (Subject::Access(&named), "web", true, true),
            (Subject::Access(&named[..1]), "web", true, false),
            (Subject::Access(&named), "app", true, false),
            (Subject::Refresh, "app", true, true),
            (Subject::Refresh, "web", true, false),
        ] {
            for (settings, expected) in [(json!({}), lax), (strict.clone(), expected)] {
                let records = fixture::records_with(settings);
                let (caller, owner) = (records.client(caller).unwrap(), records.client("app").unwrap());
                let told = may_learn(&records, caller, owner, subject, Written::Jwt);
                assert_eq!(told, expected, "{subject:?} {} {:?}", caller.client_id, records.realm.profile());
            }
        }
    }

    #[test]
    fn rfc_9701_4_the_signed_answer_is_asked_for_by_name() {
        for (accept, expected) in [
            ("application/token-introspection+jwt", Written::Jwt),
            ("Application/Token-Introspection+JWT", Written::Jwt),
            ("application/token-introspection+jwt;q=1.000", Written::Jwt),
            ("application/token-introspection+jwt; q=0.5", Written::Jwt),
            ("application/json;q=0.9, application/token-introspection+jwt", Written::Jwt),
            ("application/json, application/token-introspection+jwt", Written::Jwt),
            ("text/html,application/token-introspection+jwt;q=0.2,*/*;q=0.9", Written::Jwt),
            ("application/json, application/token-introspection+jwt;q=0.9", Written::Json),
            ("application/token-introspection+jwt;q=0", Written::Json),
            ("application/token-introspection+jwt;q=0.000", Written::Json),
            ("application/token-introspection+jwt;q=2", Written::Json),
            ("application/token-introspection+jwt;q=0.1234", Written::Json),
            ("application/token-introspection+jwt;q=-1", Written::Json),
            ("application/token-introspection", Written::Json),
            ("token-introspection+jwt", Written::Json),
            ("application/*", Written::Json),
            ("*/*", Written::Json),
            ("application/jwt", Written::Json),
            ("application/json", Written::Json),
            ("", Written::Json),
        ] {
            let records = fixture::records();
            for profile in [Profile::Keycloak, Profile::Strict] {
                let wanted = Written::wanted(accept, records.client("web").unwrap(), profile);
                assert_eq!(wanted, expected, "{accept} {profile:?}");
            }
        }
    }

    #[test]
    fn keycloak_26_4_the_token_comes_along_for_clients_that_may() {
        let attributes = json!({ "attributes": { "client.introspection.response.allow.jwt.claim.enabled": "true" } });
        let (may, may_not) = (fixture::client("c", attributes), fixture::client("c", json!({})));
        for (accept, expected) in [
            ("application/jwt", Written::JsonAndToken),
            ("APPLICATION/JWT", Written::Json),
            ("application/jwt;q=1", Written::Json),
            ("application/jwt, application/json", Written::Json),
            ("application/*", Written::Json),
            ("", Written::Json),
            ("application/token-introspection+jwt", Written::Jwt),
        ] {
            assert_eq!(Written::wanted(accept, &may, Profile::Keycloak), expected, "{accept}");
            if expected == Written::JsonAndToken {
                assert_eq!(Written::wanted(accept, &may_not, Profile::Keycloak), Written::Json, "{accept}");
                assert_eq!(Written::wanted(accept, &may, Profile::Strict), Written::Json, "{accept}");
            }
        }
        assert_eq!(with_token(br#"{"active":true}"#, "a.b.c"), br#"{"active":true,"jwt":"a.b.c"}"#);
    }

    #[test]
    fn rfc_9701_5_the_claims_are_issuer_reader_time_and_document() {
        let records = fixture::records();
        let web = records.client("web").unwrap();
        let claims = signed("https://login.test/realms/acme", web, Now::from_secs(7), INACTIVE);
        let expected =
            r#"{"iss":"https://login.test/realms/acme","aud":"web","iat":7,"token_introspection":{"active":false}}"#;
        assert_eq!(String::from_utf8(claims).unwrap(), expected);
    }
}
