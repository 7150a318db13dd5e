//! Request parameters, parsed once (RFC 6749 §3.1, §3.2, Appendix B).

use std::borrow::Cow;

use crate::realm::Profile;

/// Most parameters one request may carry (DS-02).
pub const MAX_PARAMETERS: usize = 100;

/// `application/x-www-form-urlencoded` pairs in the order they came, names and values decoded, repetitions kept.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

/// Why the text is no parameter list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadParams {
    /// More than [`MAX_PARAMETERS`].
    TooMany,
    /// A broken percent sequence, invalid UTF-8 or a NUL.
    Malformed,
}

impl Params {
    /// Parses a query string or form body.
    ///
    /// # Errors
    /// Refuses too many pairs, broken percent sequences, invalid UTF-8 and NUL (TE-15).
    pub fn parse(text: &[u8]) -> Result<Self, BadParams> {
        let mut pairs = Vec::new();
        for piece in text.split(|b| *b == b'&').filter(|p| !p.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(BadParams::TooMany);
            }
            let at = piece.iter().position(|b| *b == b'=').unwrap_or(piece.len());
            let (name, value) = piece.split_at(at);
            let value = value.get(1..).unwrap_or_default();
            let pair = (decode(name)?, decode(value)?);
            // What has no name is nothing, so it is not repeated either (Keycloak 26.4).
            if !pair.0.is_empty() {
                pairs.push(pair);
            }
        }
        Ok(Self { pairs })
    }

    /// From pairs that are already decoded.
    #[must_use]
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }

    /// The value of `name`; a parameter without a value counts as absent (RFC 6749 §3.1). Of repetitions the first.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|v| !v.is_empty())
    }

    /// A parameter as it was sent. One without a value counts as absent (RFC 6749 §3.1, §3.2); Keycloak 26.4 judges it.
    #[must_use]
    pub(crate) fn sent(&self, profile: Profile, name: &str) -> Option<&str> {
        match profile {
            Profile::Strict => self.get(name),
            Profile::Keycloak => self.raw(name),
        }
    }

    /// The value of `name`, empty or not. Of repetitions the first.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether `name` stands in the request at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The first name that stands there more than once.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        self.repeated_besides(&[])
    }

    /// The first name that stands there more than once and is none of `several`.
    #[must_use]
    pub fn repeated_besides(&self, several: &[&str]) -> Option<&str> {
        let judged = || self.pairs.iter().map(|(name, _)| name.as_str()).filter(|name| !several.contains(name));
        judged().enumerate().find_map(|(i, name)| judged().skip(i + 1).any(|other| other == name).then_some(name))
    }

    /// How often `name` stands there.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.pairs.iter().filter(|(n, _)| n == name).count()
    }

    /// All pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

fn decode(text: &[u8]) -> Result<String, BadParams> {
    let plain: Cow<'_, [u8]> = if text.contains(&b'+') {
        Cow::Owned(text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect())
    } else {
        Cow::Borrowed(text)
    };
    let mut out = Vec::with_capacity(plain.len());
    let mut rest = plain.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (rest.next().and_then(hex), rest.next().and_then(hex)) else {
            return Err(BadParams::Malformed);
        };
        out.push(high * 16 + low);
    }
    let text = String::from_utf8(out).map_err(|_| BadParams::Malformed)?;
    if text.contains('\0') { Err(BadParams::Malformed) } else { Ok(text) }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6749_appendix_b_forms_are_decoded() {
        let params = Params::parse(b"a=1+2%203&b=%C3%A9&c&d=&&a=x%3Dy").unwrap();
        assert_eq!(params.get("a"), Some("1 2 3"));
        assert_eq!(params.get("b"), Some("\u{e9}"));
        assert_eq!((params.get("c"), params.raw("c"), params.raw("d")), (None, Some(""), Some("")));
        assert_eq!((params.repeated(), params.count("a")), (Some("a"), 2));
        let nameless = Params::parse(b"=&&=x&a=1").unwrap();
        assert_eq!((nameless.repeated(), nameless.iter().count()), (None, 1));
    }

    #[test]
    fn te_15_broken_encodings_are_refused() {
        for bad in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%ff", b"a=%00", b"%00=1"] {
            assert_eq!(Params::parse(bad).err(), Some(BadParams::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn ds_02_too_many_parameters_are_refused() {
        let at_limit = vec!["a=1"; MAX_PARAMETERS].join("&");
        assert!(Params::parse(at_limit.as_bytes()).is_ok());
        assert_eq!(Params::parse(format!("{at_limit}&a=1").as_bytes()).err(), Some(BadParams::TooMany));
    }
}
