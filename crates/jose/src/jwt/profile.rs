//! What one place accepts. Every part that decides is named at construction, so none is forgotten.

use crate::{Algorithm, Header, Limits, Reject, Verified};

/// Which `typ` a token must carry (RFC 8725 §3.11). Case does not matter, nor a prefix `application/` (RFC 7515 §4.1.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeRule {
    /// Any or none. The kind must then be told by claims that only this kind has.
    Any,
    /// One of these; absent is refused.
    OneOf(Vec<String>),
    /// One of these, or absent (client assertions, RFC 7523 §3).
    OneOfOrAbsent(Vec<String>),
}

impl TypeRule {
    /// One of `types`; absent is refused.
    #[must_use]
    pub fn one_of(types: &[&str]) -> Self {
        Self::OneOf(owned(types))
    }

    /// One of `types`, or absent.
    #[must_use]
    pub fn one_of_or_absent(types: &[&str]) -> Self {
        Self::OneOfOrAbsent(owned(types))
    }

    fn accepts(&self, typ: Option<&str>) -> bool {
        let listed = |types: &[String], typ: &str| types.iter().any(|t| bare(t).eq_ignore_ascii_case(bare(typ)));
        match (self, typ) {
            (Self::Any, _) | (Self::OneOfOrAbsent(_), None) => true,
            (Self::OneOf(_), None) => false,
            (Self::OneOf(types) | Self::OneOfOrAbsent(types), Some(typ)) => listed(types, typ),
        }
    }
}

/// Which audiences are acceptable (JW-07).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudienceRule {
    /// Not checked, and may be absent; its type still is.
    Any,
    /// At least one of these is among the token's audiences.
    Contains(Vec<String>),
    /// The token names exactly one audience, and it is one of these.
    Exactly(Vec<String>),
}

impl AudienceRule {
    /// `audience` is among the token's audiences.
    #[must_use]
    pub fn contains(audience: impl Into<String>) -> Self {
        Self::Contains(vec![audience.into()])
    }

    /// `audience` is the token's only audience.
    #[must_use]
    pub fn exactly(audience: impl Into<String>) -> Self {
        Self::Exactly(vec![audience.into()])
    }

    fn accepts(&self, aud: &[String]) -> bool {
        match self {
            Self::Any => true,
            Self::Contains(ours) => aud.iter().any(|a| ours.contains(a)),
            Self::Exactly(ours) => matches!(aud, [only] if ours.contains(only)),
        }
    }
}

/// The rules for one kind of token in one place. `exp` and `iat` are required unless said otherwise.
#[derive(Clone, Debug)]
pub struct Profile {
    algorithms: Vec<Algorithm>,
    typ: TypeRule,
    issuer: String,
    audience: AudienceRule,
    limits: Limits,
    expiry_leeway: i64,
    leeway: i64,
    max_lifetime: Option<i64>,
    exp_optional: bool,
    iat_optional: bool,
    required: Vec<&'static str>,
}

impl Profile {
    /// The four rules nobody may leave open: algorithms, `typ`, exact issuer, audience. Leeway is 10 s (P-04).
    #[must_use]
    pub fn new(algorithms: &[Algorithm], typ: TypeRule, issuer: impl Into<String>, audience: AudienceRule) -> Self {
        Self {
            algorithms: algorithms.to_vec(),
            typ,
            issuer: issuer.into(),
            audience,
            limits: Limits::default(),
            expiry_leeway: 10,
            leeway: 10,
            max_lifetime: None,
            exp_optional: false,
            iat_optional: false,
            required: Vec::new(),
        }
    }

    /// Seconds the issuer's clock may differ, for `exp`, `nbf` and `iat` alike; 60 at most (JW-06).
    #[must_use]
    pub fn leeway(mut self, seconds: i64) -> Self {
        self.leeway = seconds.clamp(0, 60);
        self.expiry_leeway = self.leeway;
        self
    }

    /// Seconds past `exp` still accepted; 0 for tokens of our own clock.
    #[must_use]
    pub fn expiry_leeway(mut self, seconds: i64) -> Self {
        self.expiry_leeway = seconds.clamp(0, 60);
        self
    }

    /// Most seconds between `iat` (or now, if absent) and `exp`.
    #[must_use]
    pub fn max_lifetime(mut self, seconds: i64) -> Self {
        self.max_lifetime = Some(seconds);
        self
    }

    /// `exp` may be absent (offline tokens, Keycloak 26.4). If present it counts.
    #[must_use]
    pub fn exp_optional(mut self) -> Self {
        self.exp_optional = true;
        self
    }

    /// `iat` may be absent (client assertions, RFC 7523 §3). If present it counts.
    #[must_use]
    pub fn iat_optional(mut self) -> Self {
        self.iat_optional = true;
        self
    }

    /// Claims that must be present, besides `exp`, `iat` and `iss`.
    #[must_use]
    pub fn require(mut self, claims: &[&'static str]) -> Self {
        self.required.extend_from_slice(claims);
        self
    }

    /// Other bounds than the default.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The bounds in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The issuer expected.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn check_header(&self, header: &Header) -> Result<(), Reject> {
        if !self.algorithms.contains(&header.alg) {
            return Err(Reject::AlgorithmNotAllowed);
        }
        if !self.typ.accepts(header.typ.as_deref()) {
            return Err(Reject::WrongType);
        }
        Ok(())
    }

    pub(crate) fn check_claims(&self, token: &Verified, now: i64) -> Result<(), Reject> {
        match token.iss() {
            None => return Err(Reject::MissingClaim("iss")),
            Some(issuer) if issuer != self.issuer => return Err(Reject::WrongIssuer),
            Some(_) => {}
        }
        if !self.audience.accepts(token.aud()) {
            return Err(Reject::WrongAudience);
        }
        self.check_times(token, now)?;
        match self.required.iter().find(|name| token.get(name).is_none()) {
            Some(name) => Err(Reject::MissingClaim(name)),
            None => Ok(()),
        }
    }

    fn check_times(&self, token: &Verified, now: i64) -> Result<(), Reject> {
        let ahead = now.saturating_add(self.leeway);
        match token.exp() {
            None if !self.exp_optional => return Err(Reject::MissingClaim("exp")),
            Some(exp) if now >= exp.saturating_add(self.expiry_leeway) => return Err(Reject::Expired),
            None | Some(_) => {}
        }
        if token.nbf().is_some_and(|nbf| nbf > ahead) {
            return Err(Reject::NotYetValid);
        }
        match token.iat() {
            None if !self.iat_optional => return Err(Reject::MissingClaim("iat")),
            Some(iat) if iat > ahead => return Err(Reject::IssuedInFuture),
            None | Some(_) => {}
        }
        let start = token.iat().unwrap_or(now);
        match (token.exp(), self.max_lifetime) {
            (Some(exp), Some(most)) if exp.saturating_sub(start) > most => Err(Reject::LifetimeTooLong),
            _ => Ok(()),
        }
    }
}

fn owned(types: &[&str]) -> Vec<String> {
    types.iter().map(|t| (*t).to_owned()).collect()
}

/// `application/` may be left out when nothing else has a slash (RFC 7515 §4.1.9).
fn bare(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((head, rest)) if head.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        Some(_) | None => typ,
    }
}
