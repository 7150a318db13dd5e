use serde_json::json;

use super::*;
use crate::claims::fixture;
use crate::oauth::params::Params;

fn params(pairs: &[(&str, &str)]) -> Params {
    Params::from_pairs(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

fn reason(settings: serde_json::Value, pairs: &[(&str, &str)]) -> Result<(GrantType, String), (Reason, Cors)> {
    let records = fixture::records_with(settings);
    let params = params(pairs);
    open(&records, &fixture::proven(&records, &params), &params)
        .map(|o| (o.grant, o.client.client().client_id.clone()))
        .map_err(|refusal| (refusal.reason, refusal.cors))
}

#[test]
fn te_01_the_table_refuses_in_keycloaks_order() {
    let app = ("client_id", "app");
    let magic = ("grant_type", "magic");
    let password = ("grant_type", "password");
    let device = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let ciba = ("grant_type", "urn:openid:params:grant-type:ciba");
    for (pairs, expected) in [
        (&[][..], Err((Reason::MissingGrantType, Cors::Nobody))),
        (&[("x", "y")], Err((Reason::MissingGrantType, Cors::Nobody))),
        (&[magic], Err((Reason::UnsupportedGrantType, Cors::Nobody))),
        (&[magic, app], Err((Reason::UnsupportedGrantType, Cors::Nobody))),
        (&[device, app], Err((Reason::DeviceGrantOff, Cors::Client))),
        (&[ciba, app], Err((Reason::UnsupportedGrantType, Cors::Client))),
        (&[device], Err((Reason::UnknownClient, Cors::Any))),
        (&[("grant_type", "")], Err((Reason::UnsupportedGrantType, Cors::Nobody))),
        (&[password, password, app], Err((Reason::DuplicatedParameter, Cors::Any))),
        (&[password, app, ("x", "1"), ("x", "2")], Err((Reason::DuplicatedParameter, Cors::Any))),
        (&[password], Err((Reason::UnknownClient, Cors::Any))),
        (&[password, ("client_id", "nobody")], Err((Reason::UnknownClient, Cors::Any))),
        (&[password, ("client_id", "limited")], Err((Reason::BadClientCredentials, Cors::Any))),
        (&[password, app], Ok((GrantType::Password, "app".to_owned()))),
        (&[("grant_type", "authorization_code"), app], Ok((GrantType::AuthorizationCode, "app".to_owned()))),
        (&[("grant_type", "refresh_token"), app], Ok((GrantType::RefreshToken, "app".to_owned()))),
    ] {
        assert_eq!(reason(json!({}), pairs), expected, "{pairs:?}");
    }
    assert_eq!(reason(json!({ "enabled": false }), &[magic]), Err((Reason::RealmDisabled, Cors::Any)));
}

#[test]
fn en_19_the_password_grant_needs_client_and_profile() {
    let pairs = [("grant_type", "password"), ("client_id", "app")];
    let strict = json!({ "attributes": { "portcullis.profile": "strict" } });
    assert_eq!(reason(strict.clone(), &pairs), Err((Reason::DirectGrantOff, Cors::Client)));
    let code = [("grant_type", "authorization_code"), ("client_id", "app")];
    assert!(reason(strict, &code).is_ok(), "other grants have no such column");
    assert!(reason(json!({}), &pairs).is_ok());
}

#[test]
fn te_13_rfc_6749_4_4_client_credentials_are_for_confidential_clients_with_a_service_account() {
    let grant = ("grant_type", "client_credentials");
    let secret = ("client_secret", "s3cr:et%+ä");
    let strict = json!({ "attributes": { "portcullis.profile": "strict" } });
    for settings in [json!({}), strict] {
        for (client, expected) in [
            ("service", Ok((GrantType::ClientCredentials, "service".to_owned()))),
            ("web", Err((Reason::ServiceAccountOff, Cors::Client))),
            ("app", Err((Reason::PublicServiceAccount, Cors::Client))),
            // Bearer-only: no client authentication at all.
            ("api", Err((Reason::BadClientCredentials, Cors::Any))),
            ("off", Err((Reason::UnknownClient, Cors::Any))),
        ] {
            assert_eq!(reason(settings.clone(), &[grant, ("client_id", client), secret]), expected, "{client}");
        }
        let bare = reason(settings, &[grant, ("client_id", "service")]);
        assert_eq!(bare, Err((Reason::BadClientCredentials, Cors::Any)), "no secret");
    }
}

#[test]
fn every_grant_passes_client_authentication() {
    for grant in GrantType::ALL {
        let row = |name: &str| table_row(name).contains(&grant);
        assert!(row("client authentication") && row("repeated") && row("realm enabled"), "{grant:?}");
    }
}

fn table_row(name: &str) -> &'static [GrantType] {
    super::table::columns(name)
}
