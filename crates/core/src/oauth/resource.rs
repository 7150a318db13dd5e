//! Resource indicators (RFC 8707): for which APIs a token shall be.
//!
//! **Owns** which resources a client may name, what a request asks for, how a grant's own are narrowed. **Does not own** where the
//! audience is written ([`crate::claims::tokens`]).
//! **Flow** authorization request -> [`asked`] -> kept in the grant -> token request -> [`asked`] -> [`narrowed`] -> `aud`.
//!
//! Keycloak 26.4 does not act on `resource`, so a keycloak realm does only for clients that have the attribute [`ATTRIBUTE`]; in a
//! strict realm a client without it may name none.

use std::collections::BTreeSet;

use url::Url;

use crate::client::Client;
use crate::oauth::error::Reason;
use crate::oauth::params::Params;
use crate::realm::Profile;
use crate::records::RealmRecords;

/// Client attribute: the resources it may name, separated by blanks.
pub const ATTRIBUTE: &str = "portcullis.resources";

/// The parameter.
pub const PARAMETER: &str = "resource";

/// §2: an absolute URI without a fragment. It is compared letter by letter, so only its own spelling passes.
fn is_resource(text: &str) -> bool {
    !text.contains('#') && Url::parse(text).is_ok()
}

/// The resources a client may name. What is no resource in the attribute permits nothing.
fn permitted(client: &Client) -> BTreeSet<&str> {
    let attribute = client.attribute(ATTRIBUTE).unwrap_or_default();
    attribute.split_whitespace().filter(|text| is_resource(text)).collect()
}

/// The resources that a request names, sorted: the order they came in does not count (TE-36). A parameter without a value counts as
/// absent (RFC 6749 §3.1).
///
/// # Errors
/// [`Reason::InvalidTarget`] for one that this client may not name (TE-32); [`Reason::DuplicatedParameter`] for several where they are
/// not acted on.
pub fn asked(records: &RealmRecords, client: &Client, params: &Params) -> Result<Vec<String>, Reason> {
    let permitted = permitted(client);
    if records.realm.profile() == Profile::Keycloak && client.attribute(ATTRIBUTE).is_none() {
        return if params.count(PARAMETER) > 1 { Err(Reason::DuplicatedParameter) } else { Ok(Vec::new()) };
    }
    let named = params.iter().filter(|(name, value)| *name == PARAMETER && !value.is_empty());
    let named: BTreeSet<&str> = named.map(|(_, value)| value).collect();
    if named.iter().any(|resource| !permitted.contains(resource)) {
        return Err(Reason::InvalidTarget);
    }
    Ok(named.into_iter().map(str::to_owned).collect())
}

/// §2.2: the resources of a token. A request may narrow what was granted, never widen it; what the client may not name any more is
/// gone. Nothing granted and nothing asked for: the token's audience is that of the mappers.
///
/// # Errors
/// [`Reason::InvalidTarget`] for one that was not granted, or where nothing of the grant is left.
pub fn narrowed(client: &Client, granted: &[String], asked: &[String]) -> Result<Vec<String>, Reason> {
    if granted.is_empty() {
        return Ok(asked.to_vec());
    }
    let permitted = permitted(client);
    let live: Vec<String> = granted.iter().filter(|resource| permitted.contains(resource.as_str())).cloned().collect();
    if live.is_empty() || asked.iter().any(|resource| !live.contains(resource)) {
        return Err(Reason::InvalidTarget);
    }
    Ok(if asked.is_empty() { live } else { asked.to_vec() })
}

/// Whether a token with these audiences was narrowed to resources of its client: nothing may be added to them later, and it opens
/// nothing else.
#[must_use]
pub fn are_resources(client: &Client, audience: &[String]) -> bool {
    let permitted = permitted(client);
    !audience.is_empty() && audience.iter().all(|name| permitted.contains(name.as_str()))
}

/// Whether a token with these audiences may open doors of this server at `base` (its own address, without a trailing slash): it was
/// not narrowed to other resources. Else the API that such a token was made for could act with the rights of its bearer here.
#[must_use]
pub fn opens_this_server(client: &Client, audience: &[String], base: &str) -> bool {
    let here = |name: &String| name.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    !are_resources(client, audience) || audience.iter().any(here)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::fixture;

    const A: &str = "https://a.test/api";
    const B: &str = "https://b.test/";

    fn client(attribute: Option<&str>) -> Client {
        let mut client = fixture::records().client("app").unwrap().clone();
        if let Some(text) = attribute {
            client.settings.attributes.insert(ATTRIBUTE.to_owned(), text.to_owned());
        }
        client
    }

    fn params(resources: &[&str]) -> Params {
        Params::from_pairs(resources.iter().map(|r| (PARAMETER.to_owned(), (*r).to_owned())).collect())
    }

    fn set(resources: &[&str]) -> Vec<String> {
        resources.iter().map(|r| (*r).to_owned()).collect()
    }

    #[test]
    fn te_32_only_what_the_client_may_name_is_asked_for() {
        let strict = fixture::records_with(json!({ "attributes": { "portcullis.profile": "strict" } }));
        let both = format!("{A} {B} urn:example:c not-a-uri https://f.test/#x");
        let refused = || Err(Reason::InvalidTarget);
        for (attribute, named, expected) in [
            (Some(both.as_str()), &[A][..], Ok(set(&[A]))),
            (Some(&both), &[B, A, A], Ok(set(&[A, B]))),
            (Some(&both), &["urn:example:c"], Ok(set(&["urn:example:c"]))),
            (Some(&both), &["", A], Ok(set(&[A]))),
            (Some(&both), &[""], Ok(set(&[]))),
            (Some(&both), &[], Ok(set(&[]))),
            (Some(&both), &[A, "https://evil.test/"], refused()),
            (Some(&both), &["https://a.test/api/"], refused()),
            (Some(&both), &["HTTPS://a.test/api"], refused()),
            (Some(&both), &["https://a.test/api#f"], refused()),
            (Some(&both), &["https://f.test/#x"], refused()),
            (Some(&both), &["not-a-uri"], refused()),
            (Some(&both), &["/api"], refused()),
            (Some(&both), &[&both], refused()),
            (Some(""), &[A], refused()),
        ] {
            for records in [&fixture::records(), &strict] {
                assert_eq!(asked(records, &client(attribute), &params(named)), expected, "{named:?}");
            }
        }
        assert_eq!(asked(&strict, &client(None), &params(&[A])), refused());
        assert_eq!(asked(&strict, &client(None), &params(&[])), Ok(vec![]));
    }

    #[test]
    fn a_keycloak_realm_acts_on_it_only_where_the_client_has_the_attribute() {
        let records = fixture::records();
        assert_eq!(asked(&records, &client(None), &params(&["anything"])), Ok(vec![]));
        assert_eq!(asked(&records, &client(None), &params(&["a", "b"])), Err(Reason::DuplicatedParameter));
    }

    #[test]
    fn te_32_a_narrowed_token_opens_this_server_only_when_it_names_it() {
        const BASE: &str = "https://login.test";
        let attribute = format!("{A} {BASE} {BASE}/admin https://login.test.evil/");
        for (attribute, audience, opens) in [
            (Some(attribute.as_str()), &[A][..], false),
            (Some(&attribute), &["https://login.test.evil/"], false),
            (Some(&attribute), &[A, "https://login.test.evil/"], false),
            (Some(&attribute), &[BASE], true),
            (Some(&attribute), &[A, "https://login.test/admin"], true),
            (Some(&attribute), &[A, "account"], true),
            (Some(&attribute), &[], true),
            (Some(""), &[A], true),
            (None, &[A], true),
        ] {
            assert_eq!(
                opens_this_server(&client(attribute), &set(audience), BASE),
                opens,
                "{attribute:?} {audience:?}"
            );
        }
    }

    #[test]
    fn rfc_8707_2_2_a_grant_is_narrowed_and_never_widened() {
        let both = format!("{A} {B}");
        for (attribute, granted, asked, expected) in [
            (&both, &[][..], &[][..], Ok(set(&[]))),
            (&both, &[], &[A], Ok(set(&[A]))),
            (&both, &[A, B], &[], Ok(set(&[A, B]))),
            (&both, &[A, B], &[B], Ok(set(&[B]))),
            (&both, &[A], &[B], Err(Reason::InvalidTarget)),
            (&both, &[A], &[A, B], Err(Reason::InvalidTarget)),
            (&B.to_owned(), &[A, B], &[], Ok(set(&[B]))),
            (&B.to_owned(), &[A, B], &[A], Err(Reason::InvalidTarget)),
            (&String::new(), &[A], &[], Err(Reason::InvalidTarget)),
        ] {
            let got = narrowed(&client(Some(attribute)), &set(granted), &set(asked));
            assert_eq!(got, expected, "{attribute} {granted:?} {asked:?}");
        }
    }
}
