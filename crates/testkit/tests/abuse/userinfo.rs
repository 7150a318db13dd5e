//! JW: forged and confused access tokens at the doors that take them, and what the realm's documents give away.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::plan::Write;
use portcullis_core::time::Clock as _;
use portcullis_jose::{Algorithm, SigningKey};
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::server::TestServer;
use serde_json::Value;

use crate::forge::{self, under, with_member, without_member};
use crate::ground::{
    House, REALM, TWIN, admin_token, login, open, open_both, party, realm_id, registration, stored_user, userinfo,
    write,
};

/// A place that takes access tokens, with a genuine one and the key that signed it.
pub(crate) struct Door {
    name: &'static str,
    path: &'static str,
    issuer: String,
    pub(crate) token: String,
    pub(crate) key: SigningKey,
}

impl Door {
    async fn status(&self, server: &TestServer, token: &str) -> Result<u16> {
        let ask = Exchange::get(self.path).header("Authorization", &format!("Bearer {token}"));
        Ok(server.client()?.send(&ask).await?.status)
    }

    /// Every one of these is refused, and the genuine one passes after each.
    pub(crate) async fn refuse(&self, server: &TestServer, house: House, forged: &[(String, String)]) -> Result<()> {
        for (name, token) in forged {
            let shown = token.get(..300.min(token.len())).unwrap_or_default();
            let bytes = token.bytes().all(|b| (32..127).contains(&b));
            assert!(bytes, "{name} can be sent");
            assert_eq!(self.status(server, token).await?, 401, "{house:?} {} {name}: {shown}", self.name);
        }
        assert_eq!(self.status(server, &self.token).await?, 200, "{house:?} {}: the genuine one", self.name);
        let (header, payload) = forge::texts(&self.token)?;
        let again = under(&self.key, &header, &payload)?;
        assert_eq!(self.status(server, &again).await?, 200, "{house:?} {}: signed again", self.name);
        Ok(())
    }
}

pub(crate) async fn doors(server: &TestServer) -> Result<[Door; 2]> {
    let userinfo = Door {
        name: "userinfo",
        path: "/realms/yard/protocol/openid-connect/userinfo",
        issuer: format!("{}/realms/{REALM}", server.base),
        token: login(&mut party(server, "app")?).await?.access,
        key: forge::realm_key(server, REALM).await?,
    };
    let admin = Door {
        name: "admin",
        path: "/admin/realms",
        issuer: format!("{}/realms/master", server.base),
        token: admin_token(server).await?,
        key: forge::realm_key(server, "master").await?,
    };
    Ok([userinfo, admin])
}

pub(crate) type Forged = Vec<(String, String)>;

pub(crate) fn put(list: &mut Forged, name: impl Into<String>, token: String) {
    list.push((name.into(), token));
}

#[tokio::test]
async fn jw_02_a_public_key_is_no_secret() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        for door in doors(&server).await? {
            let payload = forge::texts(&door.token)?.1;
            let der = door.key.public_key_der().context("an RSA key")?;
            let lines: Vec<String> =
                STANDARD.encode(&der).as_bytes().chunks(64).map(|c| String::from_utf8_lossy(c).into_owned()).collect();
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
            let jwk = door.key.public_jwk().context("jwk")?.to_value();
            let modulus = jwk["n"].as_str().context("n")?.to_owned();
            let secrets: Vec<(&str, Vec<u8>)> = vec![
                ("PEM", pem.clone().into_bytes()),
                ("PEM and a line end", format!("{pem}\n").into_bytes()),
                ("PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
                ("one line of PEM", lines.concat().into_bytes()),
                ("DER", der),
                ("JWK", jwk.to_string().into_bytes()),
                ("JWK, sorted anew", serde_json::to_vec(&jwk)?),
                ("modulus", modulus.into_bytes()),
                ("kid", door.key.kid().as_bytes().to_vec()),
                ("empty", Vec::new()),
            ];
            let mut forged = Forged::new();
            for (name, secret) in &secrets {
                for kid in [Some(door.key.kid()), None, Some("other")] {
                    let kid_text = kid.map(|kid| format!(",\"kid\":\"{kid}\"")).unwrap_or_default();
                    let header = format!("{{\"alg\":\"HS256\",\"typ\":\"JWT\"{kid_text}}}");
                    put(&mut forged, format!("HS256 {name} {kid:?}"), forge::hs256(secret, &header, &payload)?);
                }
                // The header still says RS256.
                let header = forge::texts(&door.token)?.0;
                put(&mut forged, format!("HMAC under RS256 {name}"), forge::hs256(secret, &header, &payload)?);
            }
            // Even the realm's own HMAC key signs no access token.
            let realm = if door.name == "admin" { "master" } else { REALM };
            let own = forge::stored_key(&server, realm, "HS512").await?;
            let own = SigningKey::from_hmac(Algorithm::HS512, own.kid.as_str(), own.private.expose())?;
            let header = format!("{{\"alg\":\"HS512\",\"typ\":\"JWT\",\"kid\":\"{}\"}}", own.kid());
            put(&mut forged, "the realm's HS512 key", under(&own, &header, &payload)?);
            door.refuse(&server, house, &forged).await?;
        }
    }
    Ok(())
}

/// What a date must not be.
const NO_DATES: [&str; 13] = [
    "\"4102444800\"",
    "\"\"",
    "null",
    "true",
    "[4102444800]",
    "[]",
    "{}",
    "1e400",
    "-1",
    "-4102444800",
    "99999999999999999999999",
    "1e18",
    "\"2100-01-01T00:00:00Z\"",
];

#[tokio::test]
async fn jw_04_jw_05_jw_06_dates_are_numbers_and_hold() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        for door in doors(&server).await? {
            let (header, payload) = forge::texts(&door.token)?;
            let now = server.clock.now().secs();
            let mut forged = Forged::new();
            for name in ["exp", "nbf", "iat"] {
                for text in NO_DATES {
                    let token = under(&door.key, &header, &with_member(&payload, name, text)?)?;
                    put(&mut forged, format!("jw_04 {name} {text}"), token);
                }
            }
            for name in ["exp", "iat"] {
                put(
                    &mut forged,
                    format!("jw_05 no {name}"),
                    under(&door.key, &header, &without_member(&payload, name)?)?,
                );
            }
            for (name, at) in [
                ("exp", now),
                ("exp", now - 1),
                ("exp", 0),
                ("nbf", now + 61),
                ("iat", now + 61),
                ("iat", 4_000_000_000),
            ] {
                let token = under(&door.key, &header, &with_member(&payload, name, &at.to_string())?)?;
                put(&mut forged, format!("jw_06 {name} {}", at - now), token);
            }
            door.refuse(&server, house, &forged).await?;
            for (name, at) in [("nbf", now + 10), ("iat", now + 10), ("nbf", now), ("exp", now + 1)] {
                let token = under(&door.key, &header, &with_member(&payload, name, &at.to_string())?)?;
                assert_eq!(door.status(&server, &token).await?, 200, "p_04 {} {name} {}", door.name, at - now);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn jw_07_jw_08_jw_09_claims_name_this_realm_and_this_kind() -> Result<()> {
    for house in House::BOTH {
        let server = open_both(house).await?;
        let twin = forge::realm_key(&server, TWIN).await?;
        let mut abroad = server.relying_party(registration(TWIN, "app"))?;
        let foreign = login(&mut abroad).await?.access;
        for door in doors(&server).await? {
            let (header, payload) = forge::texts(&door.token)?;
            let key = &door.key;
            let iss = &door.issuer;
            let mut forged = Forged::new();
            for aud in ["1", "[1]", "{}", "true", "null", "[[\"account\"]]", "[null]"] {
                put(&mut forged, format!("jw_07 aud {aud}"), under(key, &header, &with_member(&payload, "aud", aud)?)?);
            }
            let variants = [
                format!("{iss}/"),
                iss.to_ascii_uppercase(),
                iss.replacen("http://", "https://", 1),
                iss.replacen("127.0.0.1", "localhost", 1),
                iss.replacen("/realms/", "//realms/", 1),
                format!("{iss}?x"),
                format!(" {iss}"),
                format!("{}/realms/{TWIN}", server.base),
                format!("{}/realms/nowhere", server.base),
                format!("{}/realms/../realms/{REALM}", server.base),
                "https://evil.test/realms/yard".to_owned(),
                String::new(),
            ];
            for other in &variants {
                let token =
                    under(key, &header, &with_member(&payload, "iss", &Value::from(other.as_str()).to_string())?)?;
                put(&mut forged, format!("jw_08 iss {other}"), token);
            }
            for text in ["null", "1", "[\"x\"]"] {
                put(
                    &mut forged,
                    format!("jw_08 iss {text}"),
                    under(key, &header, &with_member(&payload, "iss", text)?)?,
                );
            }
            put(&mut forged, "jw_08 no iss", under(key, &header, &without_member(&payload, "iss")?)?);
            // A good signature of another realm's key, under its own kid and under ours.
            let twin_header = header.replace(key.kid(), twin.kid());
            put(&mut forged, "jw_08 another realm's key", under(&twin, &twin_header, &payload)?);
            put(&mut forged, "jw_08 its signature, our kid", under(&twin, &header, &payload)?);
            if door.name == "userinfo" {
                // At /admin it is a token of its own realm, without any right: below.
                put(&mut forged, "jw_08 another realm's token", foreign.clone());
            } else {
                assert_eq!(door.status(&server, &foreign).await?, 403, "{house:?}");
            }
            for typ in ["dpop+jwt", "logout+jwt", "oauth-authz-req+jwt", "secevent+jwt", "", "x"] {
                let named = header.replace("\"JWT\"", &format!("\"{typ}\""));
                put(&mut forged, format!("jw_09 header typ {typ:?}"), under(key, &named, &payload)?);
            }
            let bare = header.replace("\"typ\":\"JWT\",", "").replace("\"typ\" : \"JWT\",", "");
            assert_ne!(bare, header);
            put(&mut forged, "jw_09 no header typ", under(key, &bare, &payload)?);
            for typ in
                ["\"ID\"", "\"Refresh\"", "\"Offline\"", "\"Logout\"", "\"\"", "null", "1", "[\"Bearer\"]", "\"DPoP\""]
            {
                put(&mut forged, format!("jw_09 typ {typ}"), under(key, &header, &with_member(&payload, "typ", typ)?)?);
            }
            put(&mut forged, "jw_09 no typ", under(key, &header, &without_member(&payload, "typ")?)?);
            let bound = "{\"jkt\":\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I\"}";
            put(&mut forged, "bound to a key", under(key, &header, &with_member(&payload, "cnf", bound)?)?);
            for name in ["sid", "azp", "sub"] {
                let other = under(key, &header, &with_member(&payload, name, "\"somebody-else\"")?)?;
                put(&mut forged, format!("another {name}"), other);
                put(
                    &mut forged,
                    format!("{name} of another type"),
                    under(key, &header, &with_member(&payload, name, "7")?)?,
                );
            }
            put(&mut forged, "no azp", under(key, &header, &without_member(&payload, "azp")?)?);
            put(&mut forged, "no sid", under(key, &header, &without_member(&payload, "sid")?)?);
            door.refuse(&server, house, &forged).await?;
            for aud in ["\"account\"", "[\"account\",\"x\"]", "[]"] {
                let token = under(key, &header, &with_member(&payload, "aud", aud)?)?;
                assert_eq!(door.status(&server, &token).await?, 200, "p_13 {} {aud}", door.name);
            }
            let at_jwt = under(key, &header.replace("\"JWT\"", "\"at+jwt\""), &payload)?;
            assert_eq!(door.status(&server, &at_jwt).await?, 200, "RFC 9068 §2.1");
        }
    }
    Ok(())
}

#[tokio::test]
async fn te_25_te_26_an_access_token_comes_once_and_in_its_place() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let held = login(&mut party(&server, "app")?).await?;
        let path = "/realms/yard/protocol/openid-connect/userinfo";
        let form = |pairs: &[(&str, &str)]| Exchange::form(path, pairs);
        let bearer = format!("Bearer {}", held.access);
        let query = format!("{path}?access_token={}", held.access);
        let rows = [
            ("header", Exchange::get(path).header("Authorization", &bearer), 200),
            ("form", form(&[("access_token", &held.access)]), 200),
            ("post with the header", form(&[]).header("Authorization", &bearer), 200),
            ("nothing", Exchange::get(path), 401),
            ("te_26 query", Exchange::get(&query), 401),
            ("te_26 query of a POST", Exchange::new("POST", &query).body(Vec::new()), 401),
            ("te_26 header and form", form(&[("access_token", &held.access)]).header("Authorization", &bearer), 400),
            ("te_26 twice in the form", form(&[("access_token", &held.access), ("access_token", &held.access)]), 400),
            (
                "te_26 two headers",
                Exchange::get(path).header("Authorization", &bearer).header("Authorization", &bearer),
                400,
            ),
            ("te_26 form of a GET", Exchange { method: "GET".into(), ..form(&[("access_token", &held.access)]) }, 401),
            ("te_25 ID token", form(&[("access_token", &held.id)]), 401),
            ("te_25 refresh token", form(&[("access_token", &held.refresh)]), 401),
            ("as Basic", Exchange::get(path).header("Authorization", &bearer.replacen("Bearer", "Basic", 1)), 401),
            (
                "as DPoP without a proof",
                Exchange::get(path).header("Authorization", &bearer.replacen("Bearer", "DPoP", 1)),
                401,
            ),
            ("cookie", Exchange::get(path).header("Cookie", &format!("access_token={}", held.access)), 401),
        ];
        for (name, ask, status) in rows {
            let answer = server.client()?.send(&ask).await?;
            assert_eq!(answer.status, status, "{house:?} {name}: {}", answer.text());
            if status != 200 {
                assert!(answer.header("www-authenticate").is_some(), "{name}");
                assert!(!answer.text().contains("alice"), "{name}");
            }
        }
        for token in [&held.access, &held.id, &held.refresh] {
            let ask = Exchange::get("/admin/realms").header("Authorization", &format!("Bearer {token}"));
            let status = server.client()?.send(&ask).await?.status;
            assert_eq!(status, if *token == held.access { 403 } else { 401 }, "{house:?} te_25 admin");
        }
        let ask = Exchange::get(&format!("/admin/realms?access_token={}", admin_token(&server).await?));
        assert_eq!(server.client()?.send(&ask).await?.status, 401, "te_26 admin");
    }
    Ok(())
}

#[tokio::test]
async fn jw_08_a_deleted_user_and_session_take_their_tokens_along() -> Result<()> {
    let server = open(House::Strict).await?;
    let held = login(&mut party(&server, "app")?).await?;
    let kept = crate::ground::login_of(&mut party(&server, "app")?, "bob").await?;
    assert_eq!(userinfo(&server, &held.access).await?.status, 200);
    let (realm, user) = (realm_id(&server).await?, stored_user(&server, "alice").await?.id);
    write(&server, vec![Write::DeleteUser(realm, user)]).await?;
    assert_eq!(userinfo(&server, &held.access).await?.status, 401);
    assert_eq!(userinfo(&server, &kept.access).await?.status, 200);
    Ok(())
}
