//! RFC 9701: introspection answers signed for their reader, and what they must never open.

use anyhow::{Context as _, Result};
use portcullis_core::time::Clock as _;
use portcullis_jose::{Algorithm, AudienceRule, JwkSet, KeySet, Profile, TypeRule, Verified, jwt};
use portcullis_testkit::http1::{Answer, Exchange};
use portcullis_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::forge::{self, under};
use crate::ground::{
    House, REALM, Tokens, at_api, audience, edit_client, edit_realm, exchange, fault, login, open, party, refused,
    userinfo,
};

const PATH: &str = "/realms/yard/protocol/openid-connect/token/introspect";
const TYPE: &str = "application/token-introspection+jwt";

async fn ask(server: &TestServer, client: &str, token: &str, accept: &str) -> Result<Answer> {
    let secret = format!("{client}-secret");
    let form = [("client_id", client), ("client_secret", secret.as_str()), ("token", token)];
    server.client()?.send(&Exchange::form(PATH, &form).header("Accept", accept)).await
}

/// A signed answer, verified as its reader does.
async fn read(server: &TestServer, client: &str, answer: &Answer, algorithm: Algorithm) -> Result<Verified> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(TYPE)), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    let certs = server.client()?.send(&Exchange::get("/realms/yard/protocol/openid-connect/certs")).await?;
    let keys = KeySet::from_jwks(&JwkSet::parse(&certs.body)?);
    let (typ, issuer) = (TypeRule::one_of(&["token-introspection+jwt"]), format!("{}/realms/{REALM}", server.base));
    let rules = Profile::new(&[algorithm], typ, issuer, AudienceRule::exactly(client)).exp_optional();
    jwt::verify(&answer.text(), &keys, &rules, server.clock.now().secs()).context("a signed answer")
}

async fn signed(server: &TestServer, client: &str, token: &str) -> Result<Value> {
    let answer = ask(server, client, token, TYPE).await?;
    let claims = read(server, client, &answer, Algorithm::RS256).await?;
    for name in ["sub", "exp", "scope", "azp", "typ", "jti"] {
        assert_eq!(claims.get(name), None, "{name} stands inside the document only");
    }
    Ok(claims.get("token_introspection").context("token_introspection")?.clone())
}

/// `app`'s tokens, which name `web` as their audience.
async fn held(server: &TestServer) -> Result<Tokens> {
    let mapper = serde_json::from_value({
        let mut mapper = audience("web");
        mapper["id"] = "to-web".into();
        mapper
    })?;
    edit_client(server, "app", |client| client.mappers.push(mapper)).await?;
    login(&mut party(server, "app")?).await
}

#[tokio::test]
async fn rfc_9701_5_the_answer_is_signed_for_its_reader() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = held(&server).await?;
        for token in [&held.access, &held.access] {
            let document = signed(&server, "web", token).await?;
            let plain = ask(&server, "web", token, "application/json").await?;
            assert_eq!(plain.header("content-type"), Some("application/json"));
            assert_eq!((&document, &document["username"]), (&plain.json(), &json!("alice")), "{house:?}");
        }
        let figures = server.idp.introspection_figures();
        assert_eq!((figures.made, figures.remembered), (1, 3), "{house:?}: the document inside is remembered as ever");
        // Made at this second, not remembered.
        server.clock.advance(std::time::Duration::from_secs(7));
        let answer = ask(&server, "web", &held.access, TYPE).await?;
        let claims = read(&server, "web", &answer, Algorithm::RS256).await?;
        assert_eq!(claims.iat(), Some(server.clock.now().secs()), "{house:?}");
        let ended = signed(&server, "web", "no token at all").await?;
        assert_eq!(ended, json!({ "active": false }), "{house:?}");
    }
    Ok(())
}

#[tokio::test]
async fn te_21_rfc_9701_5_who_is_not_the_audience_reads_inactive() -> Result<()> {
    for (house, others) in [(House::Strict, false), (House::Keycloak, true)] {
        let server = open(house).await?;
        let held = held(&server).await?;
        let own = login(&mut party(&server, "web")?).await?;
        for (name, client, token, expected) in [
            ("its audience", "web", &held.access, true),
            ("a stranger", "other", &held.access, others),
            ("who holds it and is not meant", "web", &own.access, others),
            ("a refresh token's own client", "web", &own.refresh, true),
            ("another's refresh token", "web", &held.refresh, others),
        ] {
            let document = signed(&server, client, token).await?;
            assert_eq!(document["active"], expected, "{house:?} {name}");
            if !expected {
                assert_eq!(document, json!({ "active": false }), "{house:?} {name}");
            }
        }
        for (name, form, status) in [
            ("nobody", vec![("token", held.access.as_str())], 401),
            ("a public client", vec![("token", held.access.as_str()), ("client_id", "app")], 403),
            ("no token", vec![("client_id", "web"), ("client_secret", "web-secret")], 400),
        ] {
            let answer = server.client()?.send(&Exchange::form(PATH, &form).header("Accept", TYPE)).await?;
            assert_eq!(fault(&answer), (status, "invalid_request".to_owned()), "{house:?} {name}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{house:?} {name}: refusals are JSON");
        }
    }
    Ok(())
}

#[tokio::test]
async fn rfc_9701_6_the_reader_says_the_algorithm() -> Result<()> {
    let server = open(House::Strict).await?;
    let held = held(&server).await?;
    for (algorithm, name) in [(Algorithm::ES256, "ES256"), (Algorithm::EdDSA, "EdDSA"), (Algorithm::RS256, "RS256")] {
        edit_client(&server, "web", |client| {
            let attribute = "portcullis.introspection.signed.response.alg".to_owned();
            client.settings.attributes.insert(attribute, name.to_owned());
        })
        .await?;
        let answer = ask(&server, "web", &held.access, TYPE).await?;
        read(&server, "web", &answer, algorithm).await.context(name)?;
    }
    edit_client(&server, "web", |client| client.settings.attributes.clear()).await?;
    edit_realm(&server, |realm| realm.settings.default_signature_algorithm = "PS256".to_owned()).await?;
    let answer = ask(&server, "web", &held.access, TYPE).await?;
    read(&server, "web", &answer, Algorithm::PS256).await?;
    // Never unsigned, and never by a secret that others know.
    for name in ["none", "HS256", "RS1"] {
        edit_client(&server, "web", |client| {
            let attribute = "portcullis.introspection.signed.response.alg".to_owned();
            client.settings.attributes.insert(attribute, name.to_owned());
        })
        .await?;
        assert_eq!(ask(&server, "web", &held.access, TYPE).await?.status, 503, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn te_25_jw_08_rfc_9701_8_1_the_answer_is_no_access_token() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = held(&server).await?;
        assert_eq!((userinfo(&server, &held.access).await?.status, at_api(&server, &held.access).await?.0), (200, 200));
        let key = forge::realm_key(&server, REALM).await?;
        let (header, payload) = forge::texts(&held.access)?;
        let kind = header.replace("\"JWT\"", "\"token-introspection+jwt\"");
        assert_ne!(kind, header);
        for (name, token) in [
            ("the answer", ask(&server, "web", &held.access, TYPE).await?.text()),
            ("the answer about nothing", ask(&server, "web", "x", TYPE).await?.text()),
            // Were its claims ever those of the token: the kind alone decides.
            ("an access token's claims of this kind", under(&key, &kind, &payload)?),
        ] {
            let what = format!("{house:?} {name}");
            assert_eq!(userinfo(&server, &token).await?.status, 401, "{what}: userinfo");
            assert_eq!(at_api(&server, &token).await?.0, 401, "{what}: the guard");
            let bearer = Exchange::get("/admin/realms/yard").header("Authorization", &format!("Bearer {token}"));
            assert_eq!(server.client()?.send(&bearer).await?.status, 401, "{what}: the Admin API");
            let plain = ask(&server, "web", &token, "application/json").await?;
            assert_eq!(plain.text(), "{\"active\":false}", "{what}: introspection");
            assert_eq!(
                signed(&server, "web", &token).await?,
                json!({ "active": false }),
                "{what}: introspection, signed"
            );
            refused(&exchange(&server, &token, &[]).await?, 400, "invalid_request", &format!("{what}: exchange"));
            let grant = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
            refused(&party(&server, "app")?.token(&grant).await?, 400, "invalid_grant", &format!("{what}: refresh"));
        }
    }
    Ok(())
}

/// As Keycloak 26.4.2 answered: the caller's attribute counts, its algorithm and `typ` sign, and the four last members are the answer's.
#[tokio::test]
async fn keycloak_26_4_the_token_with_all_its_claims_comes_along_where_the_caller_may() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = held(&server).await?;
        let before = ask(&server, "web", &held.access, "application/jwt").await?.json();
        assert_eq!(
            (&before["active"], before.get("jwt")),
            (&json!(true), None),
            "{house:?}: not without the attribute"
        );
        edit_client(&server, "web", |client| {
            for (name, value) in [
                ("client.introspection.response.allow.jwt.claim.enabled", "true"),
                ("access.token.signed.response.alg", "ES256"),
                ("access.token.header.type.rfc9068", "true"),
            ] {
                client.settings.attributes.insert(name.to_owned(), value.to_owned());
            }
        })
        .await?;
        let answer = ask(&server, "web", &held.access, "application/jwt").await?;
        assert_eq!(answer.header("content-type"), Some("application/json"), "{house:?}");
        let mut body = answer.json();
        if house == House::Strict {
            assert_eq!(body, before, "nobody makes a token stronger by asking about it");
            continue;
        }
        let last = body.as_object().and_then(|members| members.keys().next_back()).map(String::as_str);
        assert_eq!(last, Some("jwt"));
        let jwt = body["jwt"].as_str().context("jwt")?.to_owned();
        let (header, _) = forge::texts(&jwt)?;
        assert!(header.contains("ES256") && header.contains("at+jwt"), "{header}");
        let members = body.as_object_mut().context("an object")?;
        for name in ["client_id", "username", "token_type", "active", "jwt"] {
            members.shift_remove(name);
        }
        assert_eq!(forge::texts(&jwt)?.1, serde_json::to_string(&body)?, "byte for byte");
        assert_eq!(userinfo(&server, &jwt).await?.status, 200, "it is an access token");
        // What is no answer about a token has none: the hint's short document, and what does not hold.
        assert_eq!(ask(&server, "web", "x", "application/jwt").await?.text(), "{\"active\":false}");
        let form = [("client_id", "web"), ("client_secret", "web-secret"), ("token", held.access.as_str())];
        let form = [form.as_slice(), &[("token_type_hint", "requesting_party_token")]].concat();
        let short = server.client()?.send(&Exchange::form(PATH, &form).header("Accept", "application/jwt")).await?;
        assert_eq!((short.status, short.json().get("jwt")), (200, None));
        assert_eq!(ask(&server, "other", &held.access, "application/jwt").await?.json().get("jwt"), None);
    }
    Ok(())
}
