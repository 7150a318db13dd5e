//! Who calls.

use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use portcullis_jose::{Algorithm, Verified};
use serde_json::{Map, Value};

use crate::cutoffs::{Cutoffs, Logouts, Standing, TokenMark, TokenNames};
use crate::refusal::{Reason, RefusalSink, refuse_unguarded};

/// The caller of a request, as a verified access token tells it. Cloning shares.
///
/// A handler takes it as an argument, by itself or as `Extension<Principal>`.
#[derive(Clone)]
pub struct Principal(Arc<Facts>);

struct Facts {
    claims: Map<String, Value>,
    scopes: Vec<String>,
    roles: Vec<String>,
    expires_at: i64,
    kid: Option<String>,
    alg: Algorithm,
    mark: TokenMark,
    /// The same as logout messages name it.
    named: TokenMark,
    witness: Arc<Witness>,
}

/// What a guard's principals ask of it later.
pub(crate) struct Witness {
    pub(crate) cutoffs: Arc<dyn Cutoffs>,
    pub(crate) logouts: Option<Arc<Logouts>>,
    pub(crate) clock: Seconds,
    pub(crate) sink: Arc<dyn RefusalSink>,
}

/// A clock, in seconds since the epoch.
pub(crate) type Seconds = Arc<dyn Fn() -> i64 + Send + Sync>;

impl Principal {
    pub(crate) fn new(token: Verified, witness: &Arc<Witness>) -> Self {
        let expires_at = token.exp().unwrap_or_default();
        let (kid, alg) = (token.header().kid.clone(), token.header().alg);
        let names = TokenNames {
            session: token.str("sid"),
            subject: token.sub().unwrap_or_default(),
            id: token.jti(),
            client: token.str("azp").or_else(|| token.str("client_id")),
            key: kid.as_deref(),
            issued_at: token.iat().unwrap_or(i64::MIN),
            expires_at,
        };
        let mark = witness.cutoffs.mark(&names);
        let named = witness.logouts.as_ref().map(|logouts| logouts.mark(&names)).unwrap_or_default();
        let claims = token.into_claims();
        let scopes = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
        let scopes = scopes.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        let witness = Arc::clone(witness);
        Self(Arc::new(Facts { scopes, roles: roles(&claims), expires_at, kid, alg, mark, named, witness, claims }))
    }

    /// `sub`: the user, or the service account.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// `iss`: exactly the issuer the guard was built with.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// The application that got the token: `azp`, else `client_id` (RFC 9068 §2.2).
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.text("azp").or_else(|| self.text("client_id"))
    }

    /// `sid`: the login session, if the token belongs to one.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.text("sid")
    }

    /// The words of `scope`, in order.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.0.scopes
    }

    /// Whether `scope` has exactly this word (JW-32).
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scopes.iter().any(|s| s == scope)
    }

    /// Realm roles by their name (`realm_access.roles`), roles of a client as `client:role` (`resource_access`).
    ///
    /// Do not give a realm role a name with a colon that a client's role also has: both read the same here.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// Whether the token carries exactly this role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.0.roles.iter().any(|r| r == role)
    }

    /// `acr`: how sure the issuer is of who logged in (RFC 9470 §6.1). The names are the issuer's.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.text("acr")
    }

    /// `auth_time`: when the person last proved who it is, seconds since the epoch (RFC 9470 §6.1). `None` where no person did.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<i64> {
        self.0.claims.get("auth_time").and_then(Value::as_i64)
    }

    /// One claim of the token.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.0.claims.get(name)
    }

    /// All claims, in the order of the token.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.0.claims
    }

    /// `exp`, seconds since the epoch. A stream that outlives it should end then.
    #[must_use]
    pub fn expires_at(&self) -> i64 {
        self.0.expires_at
    }

    pub(crate) fn key(&self) -> (Option<&str>, Algorithm) {
        (self.0.kid.as_deref(), self.0.alg)
    }

    /// Now, by the guard's clock: a principal may be remembered for as long as its token holds.
    pub(crate) fn now(&self) -> i64 {
        (self.0.witness.clock)()
    }

    pub(crate) fn sink(&self) -> &dyn RefusalSink {
        &*self.0.witness.sink
    }

    /// What is known of the token's end.
    pub(crate) fn standing(&self, now: i64) -> Standing {
        let Witness { cutoffs, logouts, .. } = &*self.0.witness;
        match logouts.as_ref().map(|logouts| logouts.check(&self.0.named)) {
            None | Some(Standing::Alive) => {}
            Some(over @ (Standing::Ended | Standing::Unknown)) => return over,
        }
        if self.0.kid.as_deref().is_some_and(|kid| cutoffs.is_key_cut(kid)) {
            return Standing::Ended;
        }
        cutoffs.check(&self.0.mark, now)
    }

    /// Whether ends are known up to this very moment.
    pub(crate) fn is_fresh(&self) -> bool {
        let witness = &self.0.witness;
        witness.cutoffs.is_fresh(self.now())
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.0.claims.get(claim).and_then(Value::as_str)
    }
}

/// Names only: claims are personal data and stay out of logs.
impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Principal");
        out.field("subject", &self.subject()).field("issuer", &self.issuer()).field("client", &self.client());
        out.finish_non_exhaustive()
    }
}

/// Behind the guard's layer it always succeeds; without it the answer is 500 and a log line names what is missing.
impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| refuse_unguarded(Reason::NoPrincipal, "the extractor Principal"))
    }
}

fn roles(claims: &Map<String, Value>) -> Vec<String> {
    let listed = |access: &Value| -> Vec<String> {
        let list = access.get("roles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut all = claims.get("realm_access").map(listed).unwrap_or_default();
    for (client, access) in claims.get("resource_access").and_then(Value::as_object).into_iter().flatten() {
        all.extend(listed(access).into_iter().map(|role| format!("{client}:{role}")));
    }
    all
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::refusal::LogRefusals;
    use serde_json::json;

    fn of(claims: Value, expires_at: i64) -> Principal {
        let claims = claims.as_object().unwrap().clone();
        let (scopes, roles) = (Vec::new(), roles(&claims));
        let witness = Arc::new(Witness {
            cutoffs: Arc::new(crate::cutoffs::Unwatched),
            logouts: None,
            clock: Arc::new(|| 0),
            sink: Arc::new(LogRefusals),
        });
        let mark = TokenMark::default();
        Principal(Arc::new(Facts {
            claims,
            scopes,
            roles,
            expires_at,
            kid: None,
            alg: Algorithm::ES256,
            mark,
            named: mark,
            witness,
        }))
    }

    pub(crate) fn principal(subject: &str, expires_at: i64) -> Principal {
        of(json!({"sub": subject}), expires_at)
    }

    #[test]
    fn roles_are_read_from_both_places_and_only_from_lists_of_strings() {
        for (claims, expected) in [
            (json!({}), vec![]),
            (json!({"realm_access": {"roles": ["a", 1, "b"]}}), vec!["a", "b"]),
            (json!({"resource_access": {"api": {"roles": ["w"]}, "x": {"roles": "w"}}}), vec!["api:w"]),
            (json!({"realm_access": ["a"], "resource_access": ["a"], "roles": ["admin"]}), vec![]),
        ] {
            assert_eq!(of(claims.clone(), 0).roles(), expected, "{claims}");
        }
    }

    #[test]
    fn debug_shows_no_claims() {
        let shown = format!("{:?}", of(json!({"sub": "u1", "email": "someone@example.com"}), 0));
        assert!(shown.contains("u1") && !shown.contains("example.com"), "{shown}");
    }
}
