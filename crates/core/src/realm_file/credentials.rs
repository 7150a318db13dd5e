//! Credentials of a realm file: plain passwords, stored hashes (today's and the older form), one-time passwords.

use serde_json::{Value, json};

use super::members;
use super::reader::Obj;
use super::refusal::{Reason, Refusal};
use crate::login::one_time_code::{Generator, KIND};
use crate::secret::Secret;

/// One credential of the file.
pub(super) struct FileCredential {
    pub(super) id: Option<String>,
    pub(super) kind: String,
    pub(super) user_label: Option<String>,
    pub(super) created: Option<i64>,
    pub(super) priority: Option<i64>,
    pub(super) temporary: bool,
    pub(super) material: Material,
}

/// What a credential is made of.
pub(super) enum Material {
    /// A password still to be hashed.
    Plain(Secret),
    /// Keycloak's `secretData` and `credentialData`.
    Stored(Secret, String),
}

const PBKDF2: [&str; 3] = ["pbkdf2", "pbkdf2-sha256", "pbkdf2-sha512"];

impl FileCredential {
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary
    }

    pub(super) fn list(user: &mut Obj) -> Result<Vec<Self>, Refusal> {
        user.objects("credentials")?.unwrap_or_default().into_iter().map(Self::read).collect()
    }

    fn read(mut obj: Obj) -> Result<Self, Refusal> {
        obj.only(members::CREDENTIAL, "CredentialRepresentation")?;
        let kind = match obj.text("type")?.as_deref() {
            None | Some("" | "password") => "password".to_owned(),
            Some("totp" | "hotp" | "otp") => "otp".to_owned(),
            Some(other) => other.to_owned(),
        };
        Ok(Self {
            id: obj.text("id")?,
            user_label: obj.text("userLabel")?,
            created: obj.number("createdDate")?,
            priority: obj.number("priority")?,
            temporary: obj.flag("temporary")?.unwrap_or(false),
            material: material(&mut obj, &kind)?,
            kind,
        })
    }
}

fn material(obj: &mut Obj, kind: &str) -> Result<Material, Refusal> {
    let hashed = obj.text("hashedSaltedValue")?;
    let value = obj.text("value")?;
    let secret_data = obj.text("secretData")?.map(Secret::new);
    let credential_data = obj.text("credentialData")?;
    let (secret, data) = match (kind, secret_data, credential_data, hashed, value) {
        (_, Some(secret), Some(data), _, _) => (secret, data),
        ("password", None, None, None, Some(value)) => return plain(obj, value),
        ("password", None, None, Some(hash), _) => older_password(obj, &hash)?,
        ("otp", None, None, Some(seed), _) | ("otp", None, None, None, Some(seed)) => older_otp(obj, &seed)?,
        (_, _, _, _, _) => {
            let cause = "needs \"value\", or \"secretData\" and \"credentialData\"";
            return Err(Refusal::at(obj.place.clone(), Reason::NotAllowed(cause.to_owned())));
        }
    };
    checked(obj, kind, &secret, &data)?;
    Ok(Material::Stored(secret, data))
}

fn plain(obj: &Obj, value: String) -> Result<Material, Refusal> {
    if value.is_empty() || value.contains('\0') {
        return Err(obj.refuse("value", Reason::NotAllowed("empty, or with NUL".to_owned())));
    }
    Ok(Material::Plain(Secret::new(value)))
}

/// The form before Keycloak 8: hash, salt and numbers as members of their own.
fn older_password(obj: &mut Obj, hash: &str) -> Result<(Secret, String), Refusal> {
    let salt = obj.text("salt")?.unwrap_or_default();
    let algorithm = obj.text("algorithm")?.unwrap_or_else(|| "pbkdf2".to_owned());
    let iterations = obj.number("hashIterations")?.unwrap_or(1);
    let secret = json!({"value": hash, "salt": salt, "additionalParameters": {}});
    let data = json!({"hashIterations": iterations, "algorithm": algorithm, "additionalParameters": {}});
    Ok((Secret::new(secret.to_string()), data.to_string()))
}

fn older_otp(obj: &mut Obj, seed: &str) -> Result<(Secret, String), Refusal> {
    let data = json!({
        "subType": "totp",
        "digits": obj.number("digits")?.unwrap_or(6),
        "period": obj.number("period")?.unwrap_or(30),
        "counter": obj.number("counter")?.unwrap_or(0),
        "algorithm": obj.text("algorithm")?.unwrap_or_else(|| "HmacSHA1".to_owned()),
    });
    Ok((Secret::new(json!({"value": seed}).to_string()), data.to_string()))
}

/// Stored forms are parsed and bounded: a hash that costs a minute to verify is an attack (architecture §4.4).
fn checked(obj: &Obj, kind: &str, secret: &Secret, data: &str) -> Result<(), Refusal> {
    let parse = |member: &str, text: &str| {
        serde_json::from_str::<Value>(text)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| obj.refuse(member, Reason::Expected("a JSON object as text")))
    };
    let parsed = (parse("secretData", secret.expose())?, parse("credentialData", data)?);
    match kind {
        "password" | "password-history" => checked_password(obj, &parsed.0, &parsed.1),
        KIND => checked_otp(obj, secret, data),
        _ => Ok(()),
    }
}

fn checked_password(obj: &Obj, secret: &Value, data: &Value) -> Result<(), Refusal> {
    for name in ["value", "salt"] {
        if secret.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(obj.refuse("secretData", Reason::Missing("value and salt")));
        }
    }
    let algorithm = data.get("algorithm").and_then(Value::as_str).unwrap_or_default();
    let iterations = data.get("hashIterations").and_then(Value::as_i64).unwrap_or(0);
    let parameter = |name: &str| -> i64 {
        data.get("additionalParameters")
            .and_then(|p| p.get(name))
            .and_then(|v| v.get(0))
            .and_then(Value::as_str)
            .and_then(|v| v.parse().ok())
            .unwrap_or(1)
    };
    let bounded = match algorithm {
        "argon2" => {
            (1..=64).contains(&iterations)
                && (1..=262_144).contains(&parameter("memory"))
                && (1..=16).contains(&parameter("parallelism"))
                && (1..=1024).contains(&parameter("hashLength"))
        }
        name if PBKDF2.contains(&name) => (1..=10_000_000).contains(&iterations),
        other => {
            let cause = format!("the password algorithm \"{}\" is not supported", other.escape_debug());
            return Err(obj.refuse("credentialData", Reason::NotAllowed(cause)));
        }
    };
    if bounded {
        Ok(())
    } else {
        let cause = "absurd cost parameters".to_owned();
        Err(obj.refuse("credentialData", Reason::NotAllowed(cause)))
    }
}

fn checked_otp(obj: &Obj, secret: &Secret, data: &str) -> Result<(), Refusal> {
    if Generator::parse(secret.expose(), data).is_some() {
        Ok(())
    } else {
        let cause = "not a one-time password of 6 or 8 digits".to_owned();
        Err(obj.refuse("credentialData", Reason::NotAllowed(cause)))
    }
}
