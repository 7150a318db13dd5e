//! What a running scenario knows: variables, captured values, cookies, keys; and the computing of new values.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::capture::Jar;
use super::keys::{self, Key, SignWith, b64u, decode_jwt, sha256_b64u, unb64u};
use super::mask::quote;
use crate::pace::{Pace, random};

/// The state of one scenario.
pub(crate) struct Context {
    base: String,
    pace: Arc<dyn Pace>,
    vars: Map<String, Value>,
    /// Values that later answers may repeat; a mask writes their name instead.
    pub(crate) captured: Map<String, Value>,
    pub(crate) jars: BTreeMap<String, Jar>,
    keys: BTreeMap<String, Key>,
}

impl Context {
    pub(crate) fn new(base: &str, pace: Arc<dyn Pace>, statics: &BTreeMap<String, Vec<u8>>) -> Result<Self> {
        let host = base.split("//").nth(1).unwrap_or(base);
        let mut vars = Map::new();
        vars.insert("base".to_owned(), json!(base));
        vars.insert("host".to_owned(), json!(host));
        vars.insert("base_enc".to_owned(), json!(quote(base)));
        let mut keys = BTreeMap::new();
        for (name, der) in statics {
            keys.insert(name.clone(), Key::from_pkcs8(der)?);
        }
        Ok(Self { base: base.to_owned(), pace, vars, captured: Map::new(), jars: BTreeMap::new(), keys })
    }

    /// Makes a value known without recognising it in answers.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.vars.insert(name.to_owned(), value);
    }

    /// Makes a captured value known; without a value the name is unknown from here on.
    pub(crate) fn capture(&mut self, name: &str, value: Option<Value>) {
        let Some(value) = value.filter(|v| !v.is_null()) else {
            self.vars.shift_remove(name);
            self.captured.shift_remove(name);
            return;
        };
        if value.is_string() {
            self.captured.insert(name.to_owned(), value.clone());
        }
        self.set(name, value);
    }

    fn get(&self, name: &str) -> Result<Value> {
        if let Some(value) = self.vars.get(name) {
            return Ok(value.clone());
        }
        if let Some(inner) = name.strip_prefix("enc:") {
            return Ok(json!(quote(&plain(&self.get(inner)?))));
        }
        bail!("no value for ${{{name}}}")
    }

    /// Fills a text's `${...}`.
    pub(crate) fn text(&self, template: &str) -> Result<String> {
        Ok(plain(&self.fill_text(template)?))
    }

    fn fill_text(&self, template: &str) -> Result<Value> {
        let whole = template.strip_prefix("${").and_then(|t| t.strip_suffix('}')).filter(|name| !name.contains('}'));
        if let Some(name) = whole {
            return self.get(name);
        }
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, tail)) = rest.split_once("${") {
            let (name, after) = tail.split_once('}').context("an unclosed ${")?;
            out.push_str(before);
            out.push_str(&plain(&self.get(name)?));
            rest = after;
        }
        out.push_str(rest);
        Ok(Value::String(out))
    }

    /// Fills every template inside a value; `{"$now": n}` and `{"$repeat": [text, n]}` are made here.
    pub(crate) fn fill(&self, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::String(text) => self.fill_text(text)?,
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect::<Result<Vec<_>>>()?.into(),
            Value::Object(members) => {
                if let (1, Some(offset)) = (members.len(), members.get("$now").and_then(Value::as_i64)) {
                    return Ok(json!(self.pace.secs() + offset));
                }
                if let (1, Some(repeat)) = (members.len(), members.get("$repeat")) {
                    let text = repeat.pointer("/0").and_then(Value::as_str);
                    let times = repeat.pointer("/1").and_then(Value::as_u64);
                    let times = usize::try_from(times.unwrap_or_default())?;
                    return Ok(json!(text.unwrap_or_default().repeat(times)));
                }
                let mut out = Map::new();
                for (name, inner) in members {
                    out.insert(self.text(name)?, self.fill(inner)?);
                }
                Value::Object(out)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn key(&mut self, name: &str, kind: &str) -> Result<&Key> {
        if !self.keys.contains_key(name) {
            self.keys.insert(name.to_owned(), Key::make(kind)?);
        }
        let key = self.keys.get(name).context("a key")?;
        let thumbprint = json!(key.thumbprint()?);
        self.captured.insert(format!("jkt of key {name}"), thumbprint);
        Ok(key)
    }

    /// Runs one helper and keeps its result under `name`.
    pub(crate) async fn compute(&mut self, name: &str, spec: &Value) -> Result<()> {
        let filled = self.fill(spec)?;
        let given = Given(&filled);
        match given.need("fn")? {
            "pkce" => self.pkce(name, given)?,
            "random" => {
                let size = given.number("bytes").unwrap_or(16);
                self.capture(name, Some(json!(b64u(random(usize::try_from(size)?)?))));
            }
            "uuid" => self.capture(name, Some(json!(new_uuid()?))),
            "now" => {
                let time = self.pace.secs() + given.number("offset").unwrap_or_default();
                self.set(name, json!(time.to_string()));
            }
            "basic" => {
                let pair = format!("{}:{}", given.need("user")?, given.need("password")?);
                self.set(name, json!(format!("Basic {}", STANDARD.encode(pair))));
            }
            "jkt" => {
                let kind = given.text("kind").unwrap_or("ES256");
                let thumbprint = self.key(given.need("key")?, kind)?.thumbprint()?;
                self.capture(name, Some(json!(thumbprint)));
            }
            "dpop" => {
                let proof = self.dpop(given)?;
                self.set(name, json!(proof));
            }
            "jwt" => {
                let token = self.jwt(given)?;
                self.set(name, json!(token));
            }
            "tamper" => self.set(name, json!(tampered(given)?)),
            "claim" => {
                let (_, claims) = decode_jwt(given.need("of")?).context("not a JWT")?;
                self.capture(name, claims.get(given.need("name")?).cloned());
            }
            "set" => self.set(name, given.0.get("value").cloned().unwrap_or_default()),
            "swap" => {
                let text = given.need("of")?.replace(given.need("from")?, given.need("to")?);
                self.set(name, json!(text));
            }
            "totp" => {
                // A code that is about to expire would be refused by its arrival.
                let into = self.pace.millis().rem_euclid(30_000);
                if into > 26_000 {
                    self.pace.pause(Duration::from_millis(4_500)).await;
                }
                let code = keys::totp(given.need("secret")?, self.pace.secs())?;
                self.set(name, json!(code));
            }
            other => bail!("unknown helper {other}"),
        }
        Ok(())
    }

    fn pkce(&mut self, name: &str, given: Given<'_>) -> Result<()> {
        let verifier = match given.text("verifier") {
            Some(text) => text.to_owned(),
            None => b64u(random(32)?),
        };
        let challenge = sha256_b64u(&verifier);
        self.set(&format!("{name}.verifier"), json!(verifier));
        self.capture(&format!("{name}.challenge"), Some(json!(challenge)));
        Ok(())
    }

    /// A DPoP proof (RFC 9449 §4.2), right unless told otherwise.
    fn dpop(&mut self, given: Given<'_>) -> Result<String> {
        let name = given.text("key").unwrap_or("dpop").to_owned();
        let kind = given.text("kind").unwrap_or("ES256").to_owned();
        let now = self.pace.secs() + given.number("iat_offset").unwrap_or_default();
        let base = self.base.clone();
        let shown = match given.text("jwk_of") {
            Some(other) => Some(self.key(other, "ES256")?.jwk(false)?),
            None => None,
        };
        let key = self.key(&name, &kind)?;
        let alg = given.text("alg").unwrap_or(key.alg());
        let jwk = match shown {
            Some(jwk) => jwk,
            None => key.jwk(given.flag("private_jwk"))?,
        };
        let jti = match given.text("jti") {
            Some(jti) => jti.to_owned(),
            None => new_uuid()?.replace('-', ""),
        };
        let typ = given.0.get("typ").cloned().unwrap_or(json!("dpop+jwt"));
        let mut header = json!({"typ": typ, "alg": alg, "jwk": jwk});
        let mut claims = json!({
            "jti": jti,
            "htm": given.text("htm").unwrap_or("POST"),
            "htu": given.text("htu").unwrap_or(&base),
            "iat": now,
        });
        if let Some(token) = given.text("ath_of") {
            merge(&mut claims, &json!({"ath": sha256_b64u(token)}));
        }
        if typ.is_null() {
            omit(&mut header, &["typ"]);
        }
        given.shape(&mut header, &mut claims);
        let secret = "x".repeat(32);
        let with = if alg.starts_with("HS") {
            SignWith::Secret(given.text("secret").unwrap_or(&secret))
        } else {
            SignWith::Key(key)
        };
        keys::jwt(&header, &claims, alg, &with, given.flag("tamper"))
    }

    fn jwt(&mut self, given: Given<'_>) -> Result<String> {
        let alg = given.text("alg").unwrap_or("RS256");
        let mut header = json!({"alg": alg, "typ": "JWT"});
        merge(&mut header, given.0.get("header").unwrap_or(&Value::Null));
        let mut claims = json!({});
        given.shape(&mut header, &mut claims);
        let with = match (given.text("key"), given.text("secret")) {
            (Some(name), _) => SignWith::Key(self.key(name, alg)?),
            (None, Some(secret)) => SignWith::Secret(secret),
            (None, None) => SignWith::Nothing,
        };
        keys::jwt(&header, &claims, alg, &with, given.flag("tamper"))
    }
}

/// The arguments of a helper.
#[derive(Clone, Copy)]
struct Given<'a>(&'a Value);

impl<'a> Given<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn need(self, name: &str) -> Result<&'a str> {
        self.text(name).ok_or_else(|| anyhow!("the helper lacks {name}"))
    }

    fn number(self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    fn flag(self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool) == Some(true)
    }

    /// Adds `claims`, then takes away what `omit` names.
    fn shape(self, header: &mut Value, claims: &mut Value) {
        merge(claims, self.0.get("claims").unwrap_or(&Value::Null));
        let names = self.0.get("omit").and_then(Value::as_array);
        for name in names.into_iter().flatten().filter_map(Value::as_str) {
            omit(header, &[name]);
            omit(claims, &[name]);
        }
    }
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        for (name, value) in from {
            into.insert(name.clone(), value.clone());
        }
    }
}

fn omit(from: &mut Value, names: &[&str]) {
    if let Some(members) = from.as_object_mut() {
        for name in names {
            members.shift_remove(*name);
        }
    }
}

fn tampered(given: Given<'_>) -> Result<String> {
    let token = given.need("of")?;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        bail!("not a JWT");
    };
    let edited = |part: &str, change: &Value| -> Result<String> {
        let mut object: Value = serde_json::from_slice(&unb64u(part)?)?;
        merge(&mut object, change);
        Ok(b64u(object.to_string()))
    };
    let null = Value::Null;
    let change = |name: &str| given.0.get(name).unwrap_or(&null);
    Ok(match given.text("how") {
        Some("none") => format!("{}.{claims}.", edited(header, &json!({"alg": "none"}))?),
        Some("claims") => format!("{header}.{}.{signature}", edited(claims, change("claims"))?),
        Some("header") => format!("{}.{claims}.{signature}", edited(header, change("header"))?),
        Some("signature") | None => {
            let mut bytes = unb64u(signature)?;
            if let Some(first) = bytes.first_mut() {
                *first ^= 0x55;
            }
            format!("{header}.{claims}.{}", b64u(bytes))
        }
        Some(other) => bail!("unknown way to tamper: {other}"),
    })
}

/// A random uuid, version 4 (RFC 9562 §5.4).
fn new_uuid() -> Result<String> {
    let bytes: [u8; 16] = random(16)?.try_into().map_err(|_| anyhow!("16 bytes"))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// A value as it stands in a text: a string without quotes, anything else as JSON.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::WallPace;

    fn context() -> Context {
        Context::new("http://127.0.0.1:1", Arc::new(WallPace), &BTreeMap::new()).unwrap()
    }

    #[tokio::test]
    async fn templates() {
        let mut c = context();
        c.set("a", json!("x y"));
        c.set("n", json!({"deep": 1}));
        for (given, want) in [
            (json!("${a}!${host}"), json!("x y!127.0.0.1:1")),
            (json!("${enc:a}"), json!("x%20y")),
            (json!("${n}"), json!({"deep": 1})),
            (json!({"$repeat": ["ab", 3]}), json!("ababab")),
            (json!(["${a}", 1, null]), json!(["x y", 1, null])),
        ] {
            assert_eq!(c.fill(&given).unwrap(), want);
        }
        let told = c.fill(&json!("${gone}")).unwrap_err().to_string();
        assert_eq!(told, "no value for ${gone}");
        c.capture("a", None);
        assert!(c.text("${a}").is_err());
    }

    #[tokio::test]
    async fn helpers() {
        let mut c = context();
        c.compute("p", &json!({"fn": "pkce", "verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}))
            .await
            .unwrap();
        assert_eq!(c.text("${p.challenge}").unwrap(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        c.compute("b", &json!({"fn": "basic", "user": "u", "password": "p"})).await.unwrap();
        assert_eq!(c.text("${b}").unwrap(), "Basic dTpw");
        c.compute("d", &json!({"fn": "dpop", "htm": "GET", "htu": "http://h/x", "omit": ["jti"], "ath_of": "t"}))
            .await
            .unwrap();
        let (header, claims) = decode_jwt(&c.text("${d}").unwrap()).unwrap();
        assert_eq!(header.get("typ"), Some(&json!("dpop+jwt")));
        assert_eq!(claims.keys().collect::<Vec<_>>(), ["htm", "htu", "iat", "ath"]);
        assert!(c.captured.contains_key("jkt of key dpop"));
        c.compute("n", &json!({"fn": "tamper", "of": "${d}", "how": "none"})).await.unwrap();
        assert!(c.text("${n}").unwrap().ends_with('.'));
        c.compute("m", &json!({"fn": "claim", "of": "${d}", "name": "htm"})).await.unwrap();
        assert_eq!(c.text("${m}").unwrap(), "GET");
        assert!(c.compute("z", &json!({"fn": "zap"})).await.is_err());
    }
}
