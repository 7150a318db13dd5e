//! JW: forged and confused access tokens at the doors that take them, and what the realm's documents give away.

use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::key::KeyStatus;
use portcullis_core::plan::Write;
use portcullis_core::time::Clock as _;
use portcullis_jose::{Algorithm, SigningKey};
use portcullis_testkit::http1::Exchange;
use portcullis_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::forge::{self, b64, under, with_member, without_member};
use crate::ground::{
    House, REALM, TWIN, admin_token, file, login, open, party, realm_id, records, registration, stored_user, tokens,
    userinfo, write,
};

/// A place that takes access tokens, with a genuine one and the key that signed it.
struct Door {
    name: &'static str,
    path: &'static str,
    issuer: String,
    token: String,
    key: SigningKey,
}

impl Door {
    async fn status(&self, server: &TestServer, token: &str) -> Result<u16> {
        let ask = Exchange::get(self.path).header("Authorization", &format!("Bearer {token}"));
        Ok(server.client()?.send(&ask).await?.status)
    }

    /// Every one of these is refused, and the genuine one passes after each.
    async fn refuse(&self, server: &TestServer, house: House, forged: &[(String, String)]) -> Result<()> {
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

async fn doors(server: &TestServer) -> Result<[Door; 2]> {
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

type Forged = Vec<(String, String)>;

fn put(list: &mut Forged, name: impl Into<String>, token: String) {
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
async fn jw_01_jw_03_jw_18_jw_21_jw_22_shapes_and_algorithms() -> Result<()> {
    let server = open(House::Strict).await?;
    for door in doors(&server).await? {
        let (header, payload) = forge::texts(&door.token)?;
        let (head, body, signature) = forge::parts(&door.token)?;
        let kid = door.key.kid();
        let mut forged = Forged::new();
        for alg in ["none", "None", "nOnE", "NONE", "", " none", "rs256", "RS256 "] {
            let named = format!("{{\"alg\":\"{alg}\",\"typ\":\"JWT\",\"kid\":\"{kid}\"}}");
            for (end, tail) in [("empty", String::new()), ("kept", signature.clone()), ("x", b64(b"x"))] {
                put(
                    &mut forged,
                    format!("jw_01 alg {alg:?} {end}"),
                    format!("{}.{body}.{tail}", b64(named.as_bytes())),
                );
            }
            put(&mut forged, format!("jw_01 signed {alg:?}"), under(&door.key, &named, &payload)?);
        }
        for bare in ["{}", "{\"typ\":\"JWT\"}", "{\"alg\":null}", "{\"alg\":[\"RS256\"]}", "[]", "\"RS256\"", "null"] {
            put(&mut forged, format!("jw_01 header {bare}"), under(&door.key, bare, &payload)?);
        }
        for alg in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512] {
            let Some(key) = door.key.with_algorithm(alg) else { continue };
            let named = header.replace("RS256", alg.as_str());
            put(&mut forged, format!("jw_03 {alg:?}"), under(&key, &named, &payload)?);
            put(&mut forged, format!("jw_03 {alg:?} called RS256"), under(&key, &header, &payload)?);
        }
        for alg in [Algorithm::ES256, Algorithm::EdDSA] {
            let mut fill = |out: &mut [u8]| out.fill(7);
            let (key, _) = SigningKey::generate(alg, kid, &mut fill)?;
            let named = header.replace("RS256", alg.as_str());
            put(&mut forged, format!("jw_03 a strange {alg:?} key"), under(&key, &named, &payload)?);
        }
        for alg in ["ES256K", "ES256", "EdDSA", "HS256", "RSA1_5", "dir"] {
            put(&mut forged, format!("jw_03 {alg}"), under(&door.key, &header.replace("RS256", alg), &payload)?);
        }
        let jws = json!({ "payload": body, "protected": head, "signature": signature });
        for (name, token) in [
            ("no signature", format!("{head}.{body}.")),
            ("two parts", format!("{head}.{body}")),
            ("one part", head.clone()),
            ("four parts", format!("{}.x", door.token)),
            ("five parts", format!("{head}.{body}.{signature}.x.y")),
            ("a dot first", format!(".{}", door.token)),
            ("empty payload", format!("{head}..{signature}")),
            ("flattened JSON", jws.to_string()),
            ("general JSON", json!({ "payload": body, "signatures": [jws] }).to_string()),
            ("twice", format!("{},{}", door.token, door.token)),
            ("quoted", format!("\"{}\"", door.token)),
        ] {
            put(&mut forged, format!("jw_18 {name}"), token);
        }
        for (name, tail) in [
            ("padded", format!("{signature}==")),
            ("longer", format!("{signature}AA")),
            ("cut", signature[..signature.len() - 4].to_owned()),
            ("standard alphabet", format!("{}+/", &signature[..signature.len() - 2])),
            ("a percent", format!("{}%3D", &signature[..signature.len() - 3])),
            ("zeroes", b64(&[0; 256])),
            ("ones", b64(&[255; 256])),
        ] {
            put(&mut forged, format!("jw_21 {name}"), format!("{head}.{body}.{tail}"));
        }
        for (name, at) in [("sub", "\"admin\""), ("iss", "\"x\""), ("exp", "9"), ("typ", "\"ID\"")] {
            let rest = payload.strip_prefix('{').context("object")?;
            put(
                &mut forged,
                format!("jw_22 {name} twice"),
                under(&door.key, &header, &format!("{{\"{name}\":{at},{rest}"))?,
            );
        }
        let rest = header.strip_prefix('{').context("object")?;
        put(&mut forged, "jw_22 alg twice", under(&door.key, &format!("{{\"alg\":\"none\",{rest}"), &payload)?);
        put(&mut forged, "jw_22 kid twice", under(&door.key, &format!("{{\"kid\":\"x\",{rest}"), &payload)?);
        door.refuse(&server, House::Strict, &forged).await?;
    }
    Ok(())
}

#[tokio::test]
async fn jw_07_jw_08_jw_09_claims_name_this_realm_and_this_kind() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
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
async fn jw_10_jw_11_jw_12_the_header_chooses_no_key() -> Result<()> {
    let server = open(House::Strict).await?;
    let attacker = forge::realm_key(&server, TWIN).await?;
    let jwk = attacker.public_jwk().context("jwk")?.to_value().to_string();
    let der = STANDARD.encode(attacker.public_key_der().context("der")?);
    for door in doors(&server).await? {
        let (header, payload) = forge::texts(&door.token)?;
        let rest = header.strip_prefix('{').context("object")?.to_owned();
        let kid = door.key.kid();
        let named = |kid: &str| format!("{{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":{kid}}}");
        let mut forged = Forged::new();
        let long = format!("\"{}\"", "k".repeat(7_000));
        for other in [
            "\"unknown\"",
            "\"\"",
            "null",
            "7",
            "[]",
            "\"../../etc/passwd\"",
            "\"'; drop table keys; --\"",
            "\"x\\u0000\"",
            "\"/dev/null\"",
            long.as_str(),
        ] {
            put(&mut forged, format!("jw_10 kid {:.20}", other), under(&door.key, &named(other), &payload)?);
        }
        for (name, value) in [
            ("jku", "\"http://127.0.0.1:1/keys\"".to_owned()),
            ("x5u", "\"http://127.0.0.1:1/cert\"".to_owned()),
            ("jwk", jwk.clone()),
            ("x5c", format!("[\"{der}\"]")),
            ("x5t#S256", "\"x\"".to_owned()),
        ] {
            let own = format!("{{\"{name}\":{value},{rest}");
            put(&mut forged, format!("jw_11 {name}, the attacker's key"), under(&attacker, &own, &payload)?);
            let theirs = own.replace(kid, attacker.kid());
            put(&mut forged, format!("jw_11 {name}, the attacker's kid"), under(&attacker, &theirs, &payload)?);
            if name != "x5t#S256" {
                put(&mut forged, format!("jw_11 {name}, a good signature"), under(&door.key, &own, &payload)?);
            }
        }
        for crit in ["[\"x\"]", "[]", "[\"b64\"]", "[\"exp\"]", "null", "\"x\""] {
            put(
                &mut forged,
                format!("jw_12 crit {crit}"),
                under(&door.key, &format!("{{\"crit\":{crit},{rest}"), &payload)?,
            );
        }
        for b64 in ["false", "true"] {
            let own = format!("{{\"b64\":{b64},\"crit\":[\"b64\"],{rest}");
            put(&mut forged, format!("jw_12 b64 {b64}"), under(&door.key, &own, &payload)?);
        }
        put(&mut forged, "jw_16 zip", under(&door.key, &format!("{{\"zip\":\"DEF\",{rest}"), &payload)?);
        put(&mut forged, "jw_14 enc", under(&door.key, &format!("{{\"enc\":\"A128GCM\",{rest}"), &payload)?);
        put(&mut forged, "jw_17 dots", ".".repeat(30_000));
        let deep =
            format!("{{\"x\":{}{},{}", "[".repeat(9_000), "]".repeat(9_000), payload.strip_prefix('{').context("o")?);
        put(&mut forged, "jw_30 nested payload", under(&door.key, &header, &deep)?);
        let deep = format!("{{\"x\":{}{},{rest}", "[".repeat(9_000), "]".repeat(9_000));
        put(&mut forged, "jw_30 nested header", under(&door.key, &deep, &payload)?);
        door.refuse(&server, House::Strict, &forged).await?;
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
async fn jw_27_p_12_a_rotated_key_verifies_and_a_disabled_one_does_not() -> Result<()> {
    for house in House::BOTH {
        let server = open(house).await?;
        let mut app = party(&server, "app")?;
        let held = login(&mut app).await?;
        let realm = realm_id(&server).await?;
        let old = forge::stored_key(&server, REALM, "RS256").await?;
        let certs = "/realms/yard/protocol/openid-connect/certs";
        for (status, expected, published) in
            [(KeyStatus::Passive, 200, true), (KeyStatus::Disabled, 401, false), (KeyStatus::Passive, 200, true)]
        {
            write(&server, vec![Write::SetKeyStatus(realm.clone(), old.kid.clone(), status)]).await?;
            assert_eq!(userinfo(&server, &held.access).await?.status, expected, "{house:?} {status:?}");
            // What is signed now is signed with another key, which is published.
            let fresh = login(&mut app).await?;
            let header: Value = serde_json::from_str(&forge::texts(&fresh.access)?.0)?;
            assert_ne!(header["kid"], Value::from(old.kid.as_str()), "{house:?} {status:?}");
            let shown = server.client()?.send(&Exchange::get(certs)).await?.text();
            assert!(shown.contains(header["kid"].as_str().context("kid")?), "{house:?} {status:?}");
            assert_eq!(shown.contains(old.kid.as_str()), published, "{house:?} {status:?}");
            assert_eq!(userinfo(&server, &fresh.access).await?.status, 200);
        }
        server.clock.advance(Duration::from_secs(300));
        assert_eq!(userinfo(&server, &held.access).await?.status, 401, "and no longer than its life");
    }
    Ok(())
}

/// No private member of a key, at any depth.
fn private_members(value: &Value, found: &mut Vec<String>) {
    const PRIVATE: [&str; 12] =
        ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "privateKey", "private_key", "secretData", "hashedSaltedValue"];
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if PRIVATE.contains(&name.as_str()) {
                    found.push(name.clone());
                }
                private_members(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| private_members(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn jw_26_no_answer_shows_a_private_key() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let (code, pkce) = crate::ground::code(&mut app).await?;
    let exchange = app.exchange(&code, &pkce).await?;
    let held = tokens(&exchange)?;
    let bearer = format!("Bearer {}", admin_token(&server).await?);
    let mut answers =
        vec![("token".to_owned(), exchange), ("userinfo".to_owned(), userinfo(&server, &held.access).await?)];
    for path in [
        "/realms/yard",
        "/realms/yard/protocol/openid-connect/certs",
        "/realms/yard/.well-known/openid-configuration",
        "/admin/realms",
        "/admin/realms/yard",
        "/admin/realms/master",
        "/admin/realms/yard/keys",
        "/admin/realms/yard/components",
    ] {
        let ask = Exchange::get(path).header("Authorization", &bearer);
        answers.push((path.to_owned(), server.client()?.send(&ask).await?));
    }
    let secrets = secrets(&server).await?;
    for (name, answer) in &answers {
        let mut found = Vec::new();
        private_members(&answer.json(), &mut found);
        assert_eq!(found, Vec::<String>::new(), "{name}");
        for secret in &secrets {
            assert!(!answer.text().contains(secret.as_str()), "{name} shows {secret:.8}...");
        }
    }
    let mut found = Vec::new();
    private_members(&json!({ "keys": [{ "kty": "RSA", "d": "x" }] }), &mut found);
    assert_eq!(found, ["d"], "the search finds what it is for");
    Ok(())
}

/// Every stored secret in the shapes it could be printed in.
async fn secrets(server: &TestServer) -> Result<Vec<String>> {
    let mut secrets = vec!["web-secret".to_owned(), "other-secret".to_owned(), "alice-password".to_owned()];
    for realm in [REALM, TWIN, "master"] {
        for key in records(server, realm).await?.keys {
            let bytes = key.private.expose();
            let part = bytes.get(..bytes.len() / 3 * 3).unwrap_or_default();
            secrets.extend([b64(part), STANDARD.encode(part)]);
        }
    }
    Ok(secrets)
}

#[tokio::test]
async fn jw_28_no_mapper_writes_what_only_the_server_may_say() -> Result<()> {
    let mapper = |claim: &str| {
        json!({
            "name": format!("evil {claim}"),
            "protocol": "openid-connect",
            "protocolMapper": "oidc-usermodel-attribute-mapper",
            "config": {
                "user.attribute": "evil", "claim.name": claim, "jsonType.label": "String",
                "id.token.claim": "true", "access.token.claim": "true", "userinfo.token.claim": "true",
            },
        })
    };
    let reserved =
        ["sub", "iss", "aud", "exp", "iat", "jti", "azp", "sid", "typ", "cnf", "scope", "realm_access.roles"];
    for house in House::BOTH {
        let server = open(house).await?;
        for (name, mappers) in reserved
            .iter()
            .map(|claim| (*claim, vec![mapper(claim)]))
            .chain([("twin", vec![mapper("nickname2"), mapper("address.street")])])
        {
            let realm = format!("mapped-{}", name.replace('.', "-"));
            let mut text = file(&realm);
            text["clients"][0]["protocolMappers"] = Value::from(mappers);
            text["users"] = json!([text["users"][0].clone()]);
            text["users"][0]["attributes"] = json!({ "evil": ["4102444800"] });
            let imported = match house {
                House::Strict => server.import_strict(&text).await,
                House::Keycloak => server.import(&text).await,
            };
            if name != "twin" && imported.is_err() {
                // Refused at configuration, as it should be.
                continue;
            }
            imported.with_context(|| format!("{house:?} {name}"))?;
            let held = login(&mut server.relying_party(registration(&realm, "app"))?).await?;
            for token in [&held.access, &held.id] {
                let claims = forge::claims(token)?;
                if name == "twin" {
                    assert_eq!(claims["nickname2"], "4102444800", "{house:?}");
                } else {
                    let shown = claims.pointer(&format!("/{}", name.replace('.', "/"))).cloned().unwrap_or_default();
                    assert_ne!(shown, json!("4102444800"), "{house:?} {name}");
                    assert_ne!(shown, json!(["4102444800"]), "{house:?} {name}");
                }
            }
        }
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
