//! The discovery document (OIDC Discovery §3, RFC 8414 §2) in Keycloak 26.4's member order.
//!
//! Every member of Keycloak's is there; a list holds what works, a flag says what is true, and the key of an endpoint stands there only
//! when it answers.

use serde_json::Value;

use crate::json::Object;
use crate::login::level;
use crate::oauth::client_auth::{ASSERTION_ALGORITHMS, METHODS};
use crate::oauth::response_type::ResponseType;
use crate::oauth::token::GrantType;
use crate::realm::Profile;
use crate::records::RealmRecords;

const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "email",
    "acr",
    "azp",
    "nonce",
];
const NOTHING: &[&str] = &[];

/// What the faces around the law can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Abilities {
    /// Clients are told of a logout in the browser (OIDC Front-Channel Logout).
    pub frontchannel_logout: bool,
    /// Clients are told of a logout by a call (OIDC Back-Channel Logout).
    pub backchannel_logout: bool,
    /// Users are asked for consent.
    pub consent: bool,
}

/// The document of a realm. `signing` are the algorithms that the realm's keys can sign with.
#[must_use]
pub fn document(records: &RealmRecords, base: &str, signing: &[&str], abilities: Abilities) -> Vec<u8> {
    let issuer = format!("{base}/realms/{}", records.realm.name);
    let oidc = format!("{issuer}/protocol/openid-connect");
    let profile = records.realm.profile();
    let mut o = Object::new();
    o.text("issuer", &issuer);
    o.text("authorization_endpoint", &format!("{oidc}/auth"));
    o.text("token_endpoint", &format!("{oidc}/token"));
    o.text("introspection_endpoint", &format!("{oidc}/token/introspect"));
    o.text("userinfo_endpoint", &format!("{oidc}/userinfo"));
    o.text("end_session_endpoint", &format!("{oidc}/logout"));
    flag(&mut o, "frontchannel_logout_session_supported", abilities.frontchannel_logout);
    flag(&mut o, "frontchannel_logout_supported", abilities.frontchannel_logout);
    o.text("jwks_uri", &format!("{oidc}/certs"));
    o.text("check_session_iframe", &format!("{oidc}/login-status-iframe.html"));
    list(&mut o, "grant_types_supported", &grants(profile));
    let levels = level::offered(&records.realm);
    list(&mut o, "acr_values_supported", &levels.iter().map(String::as_str).collect::<Vec<_>>());
    list(&mut o, "response_types_supported", ResponseType::offered(profile));
    list(&mut o, "subject_types_supported", &["public"]);
    list(
        &mut o,
        "prompt_values_supported",
        if abilities.consent { &["none", "login", "consent"] } else { &["none", "login"] },
    );
    list(&mut o, "id_token_signing_alg_values_supported", signing);
    encryption(&mut o, "id_token");
    list(&mut o, "userinfo_signing_alg_values_supported", &[signing, &["none"]].concat());
    encryption(&mut o, "userinfo");
    list(&mut o, "request_object_signing_alg_values_supported", NOTHING);
    encryption(&mut o, "request_object");
    list(&mut o, "response_modes_supported", &["query", "fragment", "form_post"]);
    list(&mut o, "token_endpoint_auth_methods_supported", METHODS);
    list(&mut o, "token_endpoint_auth_signing_alg_values_supported", ASSERTION_ALGORITHMS);
    list(&mut o, "introspection_endpoint_auth_methods_supported", METHODS);
    list(&mut o, "introspection_endpoint_auth_signing_alg_values_supported", ASSERTION_ALGORITHMS);
    if profile == Profile::Strict {
        // RFC 9701 §7. Keycloak 26.4 has no such member, so the realms that moved in have none.
        list(&mut o, "introspection_signing_alg_values_supported", signing);
    }
    list(&mut o, "authorization_signing_alg_values_supported", NOTHING);
    encryption(&mut o, "authorization");
    list(&mut o, "claims_supported", CLAIMS);
    list(&mut o, "claim_types_supported", &["normal"]);
    flag(&mut o, "claims_parameter_supported", true);
    list(&mut o, "scopes_supported", &scopes(records));
    flag(&mut o, "request_parameter_supported", false);
    flag(&mut o, "request_uri_parameter_supported", false);
    flag(&mut o, "require_request_uri_registration", false);
    list(&mut o, "code_challenge_methods_supported", challenge_methods(profile));
    flag(&mut o, "tls_client_certificate_bound_access_tokens", false);
    list(&mut o, "dpop_signing_alg_values_supported", NOTHING);
    o.text("revocation_endpoint", &format!("{oidc}/revoke"));
    list(&mut o, "revocation_endpoint_auth_methods_supported", METHODS);
    list(&mut o, "revocation_endpoint_auth_signing_alg_values_supported", ASSERTION_ALGORITHMS);
    flag(&mut o, "backchannel_logout_supported", abilities.backchannel_logout);
    flag(&mut o, "backchannel_logout_session_supported", abilities.backchannel_logout);
    o.text("device_authorization_endpoint", &format!("{oidc}/auth/device"));
    list(&mut o, "backchannel_token_delivery_modes_supported", NOTHING);
    list(&mut o, "backchannel_authentication_request_signing_alg_values_supported", NOTHING);
    flag(&mut o, "require_pushed_authorization_requests", false);
    o.text("pushed_authorization_request_endpoint", &format!("{oidc}/ext/par/request"));
    o.value("mtls_endpoint_aliases", &Value::Object(serde_json::Map::new()));
    flag(&mut o, "authorization_response_iss_parameter_supported", true);
    o.end()
}

fn flag(object: &mut Object, name: &str, value: bool) {
    object.value(name, &Value::Bool(value));
}

fn list(object: &mut Object, name: &str, values: &[&str]) {
    object.value(name, &values.iter().copied().collect());
}

fn encryption(object: &mut Object, of: &str) {
    list(object, &format!("{of}_encryption_alg_values_supported"), NOTHING);
    list(object, &format!("{of}_encryption_enc_values_supported"), NOTHING);
}

fn grants(profile: Profile) -> Vec<&'static str> {
    let offered = |grant: &GrantType| match (grant, profile) {
        (GrantType::Password | GrantType::Implicit, Profile::Strict) => false,
        (GrantType::Implicit, Profile::Keycloak) => true,
        (
            GrantType::AuthorizationCode
            | GrantType::ClientCredentials
            | GrantType::Password
            | GrantType::RefreshToken
            | GrantType::TokenExchange
            | GrantType::DeviceCode,
            _,
        ) => true,
    };
    let all = GrantType::ALL.into_iter().chain([GrantType::Implicit]);
    let mut names: Vec<&str> = all.filter(offered).map(GrantType::name).collect();
    names.sort_unstable();
    names
}

fn challenge_methods(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::Keycloak => &["plain", "S256"],
        Profile::Strict => &["S256"],
    }
}

/// `openid`, then the client scopes of the protocol by name, without those that give nothing.
fn scopes(records: &RealmRecords) -> Vec<&str> {
    let oidc = records.scopes.values().filter(|s| s.protocol == "openid-connect");
    let mut names: Vec<&str> = oidc.map(|s| s.name.as_str()).filter(|n| *n != super::scope::OFFLINE_ACCESS).collect();
    names.sort_unstable();
    names.insert(0, super::scope::OPENID);
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::fixture;

    const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
    const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

    fn of(settings: Value) -> Value {
        let records = fixture::records_with(settings);
        let bytes = document(&records, "https://login.test", &["RS256", "ES256"], Abilities::default());
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn oidc_discovery_3_lists_hold_what_works() {
        let document = of(json!({}));
        assert_eq!(document["issuer"], "https://login.test/realms/acme");
        assert_eq!(
            document["grant_types_supported"],
            json!([
                "authorization_code",
                "client_credentials",
                "implicit",
                "password",
                "refresh_token",
                DEVICE,
                EXCHANGE
            ])
        );
        assert_eq!(document["userinfo_signing_alg_values_supported"], json!(["RS256", "ES256", "none"]));
        assert_eq!(document["scopes_supported"][0], "openid");
        assert!(!document["scopes_supported"].as_array().unwrap().contains(&json!("saml")));
        assert_eq!(
            document["introspection_endpoint"],
            "https://login.test/realms/acme/protocol/openid-connect/token/introspect"
        );
        assert_eq!(
            document["introspection_endpoint_auth_methods_supported"],
            json!(["private_key_jwt", "client_secret_basic", "client_secret_post", "client_secret_jwt"])
        );
        for absent in ["registration_endpoint", "backchannel_authentication_endpoint"] {
            assert_eq!(document.get(absent), None, "{absent}");
        }
        for (name, value) in document.as_object().unwrap() {
            let truthful = !name.contains("encryption") && !name.starts_with("dpop");
            assert!(truthful || *value == json!([]), "{name}");
        }
    }

    #[test]
    fn keycloaks_keys_stand_in_keycloaks_order() {
        let recorded: Vec<&str> = "issuer authorization_endpoint token_endpoint introspection_endpoint userinfo_endpoint end_session_endpoint \
            frontchannel_logout_session_supported frontchannel_logout_supported jwks_uri check_session_iframe \
            grant_types_supported acr_values_supported response_types_supported subject_types_supported \
            prompt_values_supported id_token_signing_alg_values_supported id_token_encryption_alg_values_supported \
            id_token_encryption_enc_values_supported userinfo_signing_alg_values_supported \
            userinfo_encryption_alg_values_supported userinfo_encryption_enc_values_supported \
            request_object_signing_alg_values_supported request_object_encryption_alg_values_supported \
            request_object_encryption_enc_values_supported response_modes_supported token_endpoint_auth_methods_supported \
            token_endpoint_auth_signing_alg_values_supported introspection_endpoint_auth_methods_supported \
            introspection_endpoint_auth_signing_alg_values_supported authorization_signing_alg_values_supported \
            authorization_encryption_alg_values_supported authorization_encryption_enc_values_supported claims_supported \
            claim_types_supported claims_parameter_supported scopes_supported request_parameter_supported \
            request_uri_parameter_supported require_request_uri_registration code_challenge_methods_supported \
            tls_client_certificate_bound_access_tokens dpop_signing_alg_values_supported \
            revocation_endpoint revocation_endpoint_auth_methods_supported revocation_endpoint_auth_signing_alg_values_supported \
            backchannel_logout_supported backchannel_logout_session_supported device_authorization_endpoint backchannel_token_delivery_modes_supported \
            backchannel_authentication_request_signing_alg_values_supported require_pushed_authorization_requests \
            pushed_authorization_request_endpoint mtls_endpoint_aliases authorization_response_iss_parameter_supported"
            .split_whitespace()
            .collect();
        let document = of(json!({}));
        assert_eq!(document.as_object().unwrap().keys().collect::<Vec<_>>(), recorded);
    }

    #[test]
    fn a_strict_realm_offers_less() {
        let strict = of(json!({ "attributes": { "portcullis.profile": "strict" } }));
        assert_eq!(
            strict["grant_types_supported"],
            json!(["authorization_code", "client_credentials", "refresh_token", DEVICE, EXCHANGE])
        );
        assert_eq!(strict["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(strict["introspection_signing_alg_values_supported"], json!(["RS256", "ES256"]), "RFC 9701 §7");
    }
}
