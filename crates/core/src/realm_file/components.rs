//! `components` of a realm file: key providers become keys, the rest is kept as it is.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::keys::{self, DEFAULT_PRIORITY, KeySource, KeySpec};
use super::reader::Obj;
use super::refusal::{Reason, Refusal};
use crate::ids::KeyId;
use crate::key::{KeyStatus, KeyUse};
use crate::secret::SecretBytes;

const KEY_PROVIDER: &str = "org.keycloak.keys.KeyProvider";
const COMPONENT: &[&str] =
    &["id", "name", "providerId", "providerType", "parentId", "subType", "subComponents", "config"];

const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Takes the key providers out of `components`: private keys never stay in the realm's document.
pub(super) fn keys(file: &mut Obj) -> Result<Vec<KeySpec>, Refusal> {
    let Some(components) = file.object("components")? else {
        return Ok(Vec::new());
    };
    let mut keep = Map::new();
    let mut specs = Vec::new();
    for (kind, place, value) in components.members() {
        if kind != KEY_PROVIDER {
            keep.insert(kind, value);
            continue;
        }
        let mut one = Obj::of(Value::Object(Map::from_iter([(place, value)])), "")?;
        let name = one.names().into_iter().next().unwrap_or_default();
        for component in one.objects(&name)?.unwrap_or_default() {
            specs.extend(spec(component)?);
        }
    }
    file.put("components", Value::Object(keep));
    Ok(specs)
}

struct Provider {
    obj: Obj,
    id: String,
    config: BTreeMap<String, Vec<String>>,
}

impl Provider {
    fn get(&self, name: &str) -> Option<&str> {
        self.config.get(name)?.first().map(String::as_str).filter(|v| !v.is_empty())
    }

    fn refuse(&self, name: &str, cause: &str) -> Refusal {
        self.obj.refuse(&format!("config.{name}"), Reason::NotAllowed(cause.to_owned()))
    }

    fn base64(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let body: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("-----"))
            .flat_map(str::chars)
            .filter(|c| !c.is_whitespace())
            .collect();
        STANDARD
            .decode(&body)
            .or_else(|_| URL_SAFE.decode(&body))
            .map(Some)
            .map_err(|_| self.refuse(name, "not base64"))
    }

    fn spec(&self, algorithm: &str, key_use: KeyUse, source: KeySource) -> Result<Option<KeySpec>, Refusal> {
        let priority = match self.get("priority").map(str::parse) {
            None => 0,
            Some(Ok(priority)) => priority,
            Some(Err(_)) => return Err(self.refuse("priority", "'Priority' should be a number")),
        };
        let status = match (self.get("enabled"), self.get("active")) {
            (Some("false"), _) => KeyStatus::Disabled,
            (_, Some("false")) => KeyStatus::Passive,
            (_, _) => KeyStatus::Active,
        };
        Ok(Some(KeySpec {
            provider: self.id.clone(),
            algorithm: algorithm.to_owned(),
            key_use,
            status,
            priority: if matches!(source, KeySource::Generate) && priority == 0 { DEFAULT_PRIORITY } else { priority },
            source,
        }))
    }

    /// A key pair under the configuration name `private`; absent: one is made.
    fn pair(&self, private: &str, algorithm: &str, key_use: KeyUse) -> Result<Option<KeySpec>, Refusal> {
        let Some(bytes) = self.base64(private)? else {
            return self.spec(algorithm, key_use, KeySource::Generate);
        };
        let wrapped = keys::pkcs8_of_pkcs1(&bytes);
        let found =
            [bytes, wrapped].into_iter().find_map(|der| keys::kid_of_private(algorithm, &der).map(|kid| (kid, der)));
        let Some((kid, pkcs8)) = found else {
            return Err(self.refuse(private, &format!("not a private key for {algorithm}")));
        };
        let source =
            KeySource::Private { kid, pkcs8: SecretBytes::new(pkcs8), certificate: self.base64("certificate")? };
        self.spec(algorithm, key_use, source)
    }

    fn symmetric(&self, algorithm: &str, key_use: KeyUse) -> Result<Option<KeySpec>, Refusal> {
        let Some(secret) = self.base64("secret")? else {
            return self.spec(algorithm, key_use, KeySource::Generate);
        };
        if key_use == KeyUse::Signature && !keys::is_hmac_key(algorithm, &secret) {
            return Err(self.refuse("secret", &format!("not a key for {algorithm}")));
        }
        let Some(kid) = self.get("kid") else {
            return Err(self.obj.refuse("config.kid", Reason::Missing("kid")));
        };
        let source = KeySource::Symmetric { kid: KeyId::new(kid), secret: SecretBytes::new(secret) };
        self.spec(algorithm, key_use, source)
    }

    fn rsa(&self, default: &str, key_use: KeyUse) -> Result<Option<KeySpec>, Refusal> {
        let kinds = match key_use {
            KeyUse::Signature => &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..],
            KeyUse::Encryption => &["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"],
        };
        let algorithm = self.algorithm(default, kinds)?;
        self.pair("privateKey", algorithm, key_use)
    }

    /// One of a kind: a key of another kind could be stored and never be used, and its realm never be loaded (AD-23).
    fn algorithm<'p>(&'p self, default: &'p str, kinds: &[&str]) -> Result<&'p str, Refusal> {
        let named = self.get("algorithm").unwrap_or(default);
        if kinds.contains(&named) { Ok(named) } else { Err(self.refuse("algorithm", "not one of this provider")) }
    }
}

/// The key of one component; `None` for providers that are not acted on (key stores).
fn spec(mut obj: Obj) -> Result<Option<KeySpec>, Refusal> {
    obj.only(COMPONENT, "ComponentExportRepresentation")?;
    let id = obj.text("providerId")?.unwrap_or_default();
    let config = obj.texts_map("config")?.unwrap_or_default();
    let mut provider = Provider { obj, id, config };
    let encryption = provider.get("keyUse").is_some_and(|u| u.eq_ignore_ascii_case("enc"));
    match provider.id.clone().as_str() {
        "rsa" if encryption => provider.rsa("RSA-OAEP", KeyUse::Encryption),
        "rsa" | "rsa-generated" => provider.rsa("RS256", KeyUse::Signature),
        "rsa-enc" | "rsa-enc-generated" => provider.rsa("RSA-OAEP", KeyUse::Encryption),
        "hmac-generated" => {
            let algorithm = provider.algorithm("HS512", &["HS256", "HS384", "HS512"])?.to_owned();
            provider.id = format!("hmac-generated-{}", algorithm.to_ascii_lowercase());
            provider.symmetric(&algorithm, KeyUse::Signature)
        }
        "aes-generated" => provider.symmetric("AES", KeyUse::Encryption),
        "ecdsa-generated" => {
            let algorithm = match provider.get("ecdsaEllipticCurveKey") {
                Some("P-384") => "ES384",
                Some("P-521") => "ES512",
                Some(_) | None => "ES256",
            };
            provider.pair("ecdsaPrivateKey", algorithm, KeyUse::Signature)
        }
        "eddsa-generated" => provider.pair("eddsaPrivateKey", "EdDSA", KeyUse::Signature),
        _ => Ok(None),
    }
}
