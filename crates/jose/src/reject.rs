//! Why a token is refused: one named fact each. The public error is the caller's table; this is for operators.

use crate::json::JsonFault;

/// The first fact that made a token unacceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("expected {}, got {}", self.facts().0, self.facts().1)]
pub enum Reject {
    /// More bytes than [`crate::Limits::max_bytes`] (JW-17).
    TooLong,
    /// Not `header.payload.signature`: JWE, JSON serialisation, cut or padded tokens (JW-14, JW-18).
    NotThreeParts,
    /// The signature part is empty (JW-18).
    Unsigned,
    /// A part is not canonical unpadded base64url (JW-21).
    BadBase64,
    /// Header or payload is not a JSON object (JW-31).
    NotJsonObject,
    /// A member occurs twice in header or payload, at any level (JW-22).
    DuplicateMember,
    /// Nested beyond [`crate::Limits::max_depth`] (JW-30).
    TooDeep,
    /// A header parameter has the wrong type or an absurd length.
    BadHeader(&'static str),
    /// The header has no `alg` (JW-01).
    MissingAlgorithm,
    /// `alg` is `none` in some spelling (JW-01).
    AlgorithmNone,
    /// `alg` is none this house knows, or not one the profile allows (JW-02, JW-03).
    AlgorithmNotAllowed,
    /// `crit` is present: no extension is understood (JW-12).
    Critical,
    /// `b64` is present (RFC 7797, JW-12).
    UnencodedPayload,
    /// `zip` is present (JW-16).
    Compressed,
    /// `enc` is present: encrypted, not signed (JW-14, JW-15).
    Encrypted,
    /// The header brings its own key: `jwk`, `jku`, `x5u` or `x5c` (JW-11).
    EmbeddedKey(&'static str),
    /// `typ` is missing or not one the profile allows (JW-09).
    WrongType,
    /// No key fits `kid` and `alg`, or several do and no `kid` chooses (JW-03, JW-10).
    UnknownKey,
    /// The signature does not verify.
    BadSignature,
    /// A claim the profile requires is absent (JW-05).
    MissingClaim(&'static str),
    /// A registered claim has the wrong JSON type or is out of range; never treated as absent (JW-04).
    BadClaimType(&'static str),
    /// `iss` is not exactly the expected issuer (JW-08).
    WrongIssuer,
    /// `aud` does not satisfy the audience rule (JW-07).
    WrongAudience,
    /// `exp` has passed (JW-06).
    Expired,
    /// `nbf` is ahead of the clock beyond leeway (JW-06).
    NotYetValid,
    /// `iat` is ahead of the clock beyond leeway (JW-06).
    IssuedInFuture,
    /// `exp` lies further from `iat` than the profile allows.
    LifetimeTooLong,
}

impl Reject {
    /// What was expected and what came instead, for an operator's log. Made of fixed text only: nothing of the token.
    #[must_use]
    pub fn expected_got(&self) -> String {
        self.to_string()
    }

    /// The variant's name in snake case, for metrics and audit records.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotThreeParts => "not_three_parts",
            Self::Unsigned => "unsigned",
            Self::BadBase64 => "bad_base64",
            Self::NotJsonObject => "not_json_object",
            Self::DuplicateMember => "duplicate_member",
            Self::TooDeep => "too_deep",
            Self::BadHeader(_) => "bad_header",
            Self::MissingAlgorithm => "missing_algorithm",
            Self::AlgorithmNone => "algorithm_none",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::Critical => "critical",
            Self::UnencodedPayload => "unencoded_payload",
            Self::Compressed => "compressed",
            Self::Encrypted => "encrypted",
            Self::EmbeddedKey(_) => "embedded_key",
            Self::WrongType => "wrong_type",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::MissingClaim(_) => "missing_claim",
            Self::BadClaimType(_) => "bad_claim_type",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::LifetimeTooLong => "lifetime_too_long",
        }
    }

    /// What was expected and what came instead, apart. Made of fixed text only.
    #[must_use]
    pub fn facts(&self) -> (String, &'static str) {
        let (expected, got) = match self {
            Self::TooLong => ("a token within the size limit", "a longer one"),
            Self::NotThreeParts => ("header.payload.signature", "another number of parts"),
            Self::Unsigned => ("a signature", "an empty third part"),
            Self::BadBase64 => ("canonical base64url without padding", "something else"),
            Self::NotJsonObject => ("JSON objects as header and payload", "something else"),
            Self::DuplicateMember => ("each JSON member once", "one twice"),
            Self::TooDeep => ("JSON within the depth limit", "deeper nesting"),
            Self::BadHeader(name) => return (format!("a short string as header parameter {name}"), "something else"),
            Self::MissingAlgorithm => ("header parameter alg", "none"),
            Self::AlgorithmNone => ("a signature algorithm", "alg none"),
            Self::AlgorithmNotAllowed => ("an algorithm allowed here", "another"),
            Self::Critical => ("no crit header parameter", "one"),
            Self::UnencodedPayload => ("no b64 header parameter", "one"),
            Self::Compressed => ("no zip header parameter", "one"),
            Self::Encrypted => ("a signed token", "an encrypted one"),
            Self::EmbeddedKey(name) => {
                return (format!("a key named by kid only, without {name}"), "a key in the header");
            }
            Self::WrongType => ("a typ allowed here", "another or none"),
            Self::UnknownKey => ("kid and alg of one key of the issuer", "no such key, or several without kid"),
            Self::BadSignature => ("a signature by the issuer's key", "one that does not verify"),
            Self::MissingClaim(name) => return (format!("claim {name}"), "none"),
            Self::BadClaimType(name) => return (format!("claim {name} of its registered type and range"), "another"),
            Self::WrongIssuer => ("the configured issuer, character by character", "another iss"),
            Self::WrongAudience => ("an audience that names us", "another aud"),
            Self::Expired => ("exp in the future", "exp in the past"),
            Self::NotYetValid => ("nbf not in the future", "nbf ahead of the clock"),
            Self::IssuedInFuture => ("iat not in the future", "iat ahead of the clock"),
            Self::LifetimeTooLong => ("a shorter lifetime", "exp too far from iat"),
        };
        (expected.to_owned(), got)
    }
}

impl From<JsonFault> for Reject {
    fn from(fault: JsonFault) -> Self {
        match fault {
            JsonFault::Malformed => Self::NotJsonObject,
            JsonFault::DuplicateMember => Self::DuplicateMember,
            JsonFault::TooDeep => Self::TooDeep,
        }
    }
}
