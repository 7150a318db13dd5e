//! Token introspection (RFC 7662) as Keycloak 26.4 does it.
//!
//! **Owns** the check table of the request and who may learn about a token. **Does not own** whether a token holds (the idp's
//! bearer check, [`super::grants::refresh::is_live`]) nor the answer's members ([`crate::claims::tokens`]).
//! **Flow** [`open`] (table) -> the token is verified -> [`may_learn`] -> the document, or [`INACTIVE`].

use super::client_auth::AuthenticatedClient;
use super::error::Reason;
use super::params::Params;
use crate::client::Client;
use crate::realm::Profile;
use crate::records::RealmRecords;

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

/// A request that passed the table.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks: a confidential client.
    pub caller: &'a Client,
    /// About what. It may be empty or nonsense.
    pub token: &'a str,
    /// How much is told.
    pub form: Form,
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

/// Runs the table. `proven` is who the request is from, or why nobody knows.
///
/// # Errors
/// The first check that refuses (TE-21).
pub fn open<'a>(
    records: &'a RealmRecords,
    proven: &Result<AuthenticatedClient<'a>, Reason>,
    params: &'a Params,
) -> Result<Asked<'a>, Reason> {
    let mut draft = Draft { records, proven, params, caller: None, token: None, form: Form::Full };
    for (_, check) in TABLE {
        check(&mut draft)?;
    }
    let caller = draft.caller.ok_or(Reason::IntrospectionUnauthenticated)?;
    let token = draft.token.ok_or(Reason::TokenNotProvided)?;
    Ok(Asked { caller, token, form: draft.form })
}

fn realm_enabled(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    if draft.records.realm.settings.enabled { Ok(()) } else { Err(Reason::RealmDisabled) }
}

fn authentication(draft: &mut Draft<'_, '_>) -> Result<(), Reason> {
    draft.caller = match draft.proven {
        Ok(client) => Some(client.client()),
        Err(Reason::Unavailable) => return Err(Reason::Unavailable),
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

/// Whether a caller is told about a token that was given to `owner` (TE-21, RFC 7662 §4). `audience` are the services a token
/// names; none for a refresh token, which is for its client alone.
#[must_use]
pub fn may_learn(records: &RealmRecords, caller: &Client, owner: &Client, audience: &[String]) -> bool {
    match records.realm.profile() {
        // Any confidential client of the realm, recorded from 26.4.2.
        Profile::Keycloak => true,
        Profile::Strict => caller.id == owner.id || audience.contains(&caller.client_id),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::fixture;

    fn attempt(settings: serde_json::Value, pairs: &[(&str, &str)]) -> Result<(String, String, Form), Reason> {
        let records = fixture::records_with(settings);
        let params = Params::from_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
        open(&records, &fixture::proven(&records, &params), &params)
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
            assert_eq!(may_learn(&records, caller, owner, &audience), expected, "{audience:?}");
        }
    }
}
