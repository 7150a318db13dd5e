//! JW: shapes, algorithms and headers of tokens.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_jose::{Algorithm, SigningKey};
use serde_json::json;

use crate::forge::{self, b64, under};
use crate::ground::{House, TWIN, open, open_both};
use crate::userinfo::{Forged, doors, put};

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
async fn jw_10_jw_11_jw_12_the_header_chooses_no_key() -> Result<()> {
    let server = open_both(House::Strict).await?;
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
