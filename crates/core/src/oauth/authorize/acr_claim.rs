//! The `claims` parameter (OIDC Core §5.5), as far as it is acted on: how the ID token's `acr` is asked for (§5.5.1.1).
//!
//! All other claims follow the client's scopes and mappers (§5.5: a server may leave out what was merely asked for).

use portcullis_jose::parse_strict;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Containers inside containers. A request for single claims needs five.
const MAX_DEPTH: usize = 8;

/// How the ID token's `acr` was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AcrClaim {
    /// A lower level will not do.
    pub essential: bool,
    /// The values that will do.
    pub values: Vec<String>,
}

/// A `claims` parameter that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadClaims;

impl AcrClaim {
    /// Reads the parameter.
    ///
    /// # Errors
    /// No JSON object, a member twice, too deep, or a member of another type than §5.5 gives it (AZ-31).
    pub fn parse(text: &str) -> Result<Option<Self>, BadClaims> {
        let Ok(Value::Object(claims)) = parse_strict(text.as_bytes(), MAX_DEPTH) else { return Err(BadClaims) };
        for of in ["id_token", "userinfo"] {
            for request in object(&claims, of)?.into_iter().flat_map(Map::values) {
                well_formed(request)?;
            }
        }
        let Some(acr) = object(&claims, "id_token")?.map(|wanted| object(wanted, "acr")).transpose()?.flatten() else {
            return Ok(None);
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts = |value: &Value| match value.as_array() {
            Some(values) => values.iter().map(text).collect(),
            None => text(value).map(|text| vec![text]),
        };
        let values = acr.get("values").or_else(|| acr.get("value")).map(|v| texts(v).ok_or(BadClaims)).transpose()?;
        let essential = acr.get("essential").and_then(Value::as_bool).unwrap_or_default();
        Ok(Some(Self { essential, values: values.unwrap_or_default() }))
    }

    /// The parameter again.
    pub(super) fn to_param(&self) -> String {
        json!({ "id_token": { "acr": { "essential": self.essential, "values": self.values } } }).to_string()
    }
}

fn object<'v>(of: &'v Map<String, Value>, name: &str) -> Result<Option<&'v Map<String, Value>>, BadClaims> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_object().map(Some).ok_or(BadClaims),
    }
}

/// §5.5.1: `null`, or an object with `essential`, `value` and `values`.
fn well_formed(request: &Value) -> Result<(), BadClaims> {
    let Some(request) = request.as_object() else {
        return if request.is_null() { Ok(()) } else { Err(BadClaims) };
    };
    let essential = request.get("essential").is_none_or(Value::is_boolean);
    let values = request.get("values").is_none_or(Value::is_array);
    if essential && values { Ok(()) } else { Err(BadClaims) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(essential: bool, values: &[&str]) -> Option<AcrClaim> {
        Some(AcrClaim { essential, values: values.iter().map(|v| (*v).to_owned()).collect() })
    }

    #[test]
    fn oidc_core_5_5_1_1_acr_is_read_from_the_id_tokens_claims() {
        for (text, expected) in [
            (r#"{"id_token":{"acr":{"essential":true,"values":["2","3"]}}}"#, claim(true, &["2", "3"])),
            (r#"{"id_token":{"acr":{"value":"2"},"email":null}}"#, claim(false, &["2"])),
            (r#"{"id_token":{"acr":{"essential":true}}}"#, claim(true, &[])),
            (r#"{"id_token":{"acr":null}}"#, None),
            (r#"{"userinfo":{"acr":{"essential":true,"values":["2"]}}}"#, None),
            (r#"{"id_token":null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(AcrClaim::parse(text), Ok(expected.clone()), "{text}");
            if let Some(claim) = expected {
                assert_eq!(AcrClaim::parse(&claim.to_param()), Ok(Some(claim)));
            }
        }
    }

    #[test]
    fn az_31_what_is_no_request_for_claims_is_not_half_believed() {
        let deep = format!(r#"{{"id_token":{{"x":{}{}}}}}"#, "[".repeat(100), "]".repeat(100));
        let nested = format!(r#"{{"userinfo":{}1{}}}"#, r#"{"a":"#.repeat(500), "}".repeat(500));
        for bad in [
            "",
            "x",
            "[]",
            "\"acr\"",
            "null",
            "{",
            "{} {}",
            r#"{"id_token":[]}"#,
            r#"{"id_token":{"acr":"2"}}"#,
            r#"{"id_token":{"acr":{"values":"2"}}}"#,
            r#"{"id_token":{"acr":{"values":[2]}}}"#,
            r#"{"id_token":{"acr":{"value":2}}}"#,
            r#"{"id_token":{"acr":{"essential":"true","values":["2"]}}}"#,
            r#"{"id_token":{"acr":{"essential":true}},"id_token":{}}"#,
            r#"{"userinfo":{"email":true}}"#,
            &deep,
            &nested,
        ] {
            assert_eq!(AcrClaim::parse(bad), Err(BadClaims), "{bad:.60}");
        }
    }
}
