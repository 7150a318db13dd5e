//! `response_type` (RFC 6749 §3.1.1; OAuth 2.0 Multiple Response Type Encoding Practices §3 to §5) as a set of words.

use serde::{Deserialize, Serialize};

use crate::realm::Profile;

/// What an authorization answer carries. Without any of the three it is `none`: the answer only says that it went well.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub struct ResponseType {
    /// An authorization code.
    pub code: bool,
    /// An ID token, by the browser.
    pub id_token: bool,
    /// An access token, by the browser.
    pub token: bool,
}

impl ResponseType {
    /// The code flow.
    pub const CODE: Self = Self { code: true, id_token: false, token: false };

    /// Reads the parameter. Blanks separate words, their order does not count; `none` stands alone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mut found, mut none) = (Self { code: false, id_token: false, token: false }, false);
        for word in text.split_whitespace() {
            match word {
                "code" => found.code = true,
                "id_token" => found.id_token = true,
                "token" => found.token = true,
                "none" => none = true,
                _ => return None,
            }
        }
        (none != (found.code || found.is_front())).then_some(found)
    }

    /// The words again, in the order of the registry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match (self.code, self.id_token, self.token) {
            (false, false, false) => "none",
            (true, false, false) => "code",
            (false, true, false) => "id_token",
            (false, false, true) => "token",
            (false, true, true) => "id_token token",
            (true, true, false) => "code id_token",
            (true, false, true) => "code token",
            (true, true, true) => "code id_token token",
        }
    }

    /// Whether tokens travel by the browser (implicit and hybrid flow).
    #[must_use]
    pub const fn is_front(self) -> bool {
        self.id_token || self.token
    }

    /// Whether tokens travel by the browser and nothing else does (implicit flow).
    #[must_use]
    pub const fn is_implicit(self) -> bool {
        self.is_front() && !self.code
    }

    /// What the realms of a profile give, as discovery lists it. Strict ones give no token by the browser (RFC 9700 §2.1.2); `none`
    /// carries nothing that could leak, so it stays.
    #[must_use]
    pub const fn offered(profile: Profile) -> &'static [&'static str] {
        match profile {
            Profile::Keycloak => &[
                "code",
                "none",
                "id_token",
                "token",
                "id_token token",
                "code id_token",
                "code token",
                "code id_token token",
            ],
            Profile::Strict => &["code", "none"],
        }
    }
}

impl From<ResponseType> for &'static str {
    fn from(response_type: ResponseType) -> Self {
        response_type.as_str()
    }
}

impl TryFrom<String> for ResponseType {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("no response type")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offered_type_is_read_and_written() {
        for text in ResponseType::offered(Profile::Keycloak) {
            assert_eq!(ResponseType::parse(text).unwrap().as_str(), *text);
        }
        assert_eq!(ResponseType::parse("token  code id_token").unwrap().as_str(), "code id_token token");
        assert_eq!(ResponseType::parse("code code"), Some(ResponseType::CODE));
    }

    #[test]
    fn az_05_unknown_words_and_none_in_company_are_no_type() {
        for bad in ["", " ", "magic", "code magic", "none code", "none id_token", "Code", "code,token"] {
            assert_eq!(ResponseType::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn az_06_a_strict_realm_offers_nothing_that_carries_a_token() {
        let offered = ResponseType::offered(Profile::Strict).iter().map(|text| ResponseType::parse(text).unwrap());
        assert!(offered.into_iter().all(|kind| !kind.is_front()));
    }
}
