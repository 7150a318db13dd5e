//! The judgement of one token.

use std::fmt;
use std::sync::Arc;

use axum::response::Response;
use http::Request;
use portcullis_client::{LogoutRules, NoKeys};
use portcullis_jose::digest::sha256;
use portcullis_jose::{KeySet, Profile, Reject, Verified, jws, jwt};
use serde_json::Value;

use crate::builder::Builder;
use crate::cache::{Cache, Digest};
use crate::cutoffs::{Logouts, Standing};
use crate::keys::{KeySource, Renewal};
use crate::layer::GuardLayer;
use crate::principal::{Principal, Witness};
use crate::refusal::{About, Reason, RefusalSink, refuse};

/// Lets verified callers of one issuer through to one API. Cloning shares everything, the cache too.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) profile: Profile,
    pub(crate) keys: Arc<dyn KeySource>,
    pub(crate) renewal: Renewal,
    pub(crate) cache: Cache,
    pub(crate) witness: Arc<Witness>,
    pub(crate) hearing: Option<Hearing>,
}

/// Whose logout tokens are taken, and where they are remembered.
pub(crate) struct Hearing {
    pub(crate) rules: LogoutRules,
    pub(crate) logouts: Arc<Logouts>,
}

/// What is known of a token without waiting.
pub(crate) enum Verdict {
    Pass(Principal),
    Refuse(Reason),
    /// Newer keys may tell.
    Fetch,
}

impl Guard {
    /// Starts building one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The layer for a router or a tower stack. Layers made from one guard share its cache.
    #[must_use]
    pub fn layer(&self) -> GuardLayer {
        GuardLayer { guard: self.clone() }
    }

    pub(crate) fn refuse<B>(&self, reason: Reason, request: &Request<B>) -> Response {
        let about = About::request(request.headers(), request.extensions());
        refuse(reason, self.0.profile.issuer(), about, &*self.0.witness.sink)
    }

    pub(crate) fn hearing(&self) -> Option<&Hearing> {
        self.0.hearing.as_ref()
    }

    pub(crate) fn issuer(&self) -> &str {
        self.0.profile.issuer()
    }

    pub(crate) fn sink(&self) -> &dyn RefusalSink {
        &*self.0.witness.sink
    }

    pub(crate) fn now(&self) -> i64 {
        (self.0.witness.clock)()
    }

    pub(crate) fn keys_at_hand(&self) -> Option<KeySet> {
        self.0.keys.keys()
    }

    pub(crate) async fn fetch(&self) -> Result<KeySet, NoKeys> {
        self.0.keys.refresh().await
    }

    /// Judges by the keys at hand.
    pub(crate) fn judge(&self, token: &str) -> Verdict {
        let inner = &*self.0;
        // Before anything that costs in proportion (JW-17).
        if token.len() > inner.profile.limits().max_bytes {
            return Verdict::Refuse(Reason::Token(Reject::TooLong));
        }
        let now = (inner.witness.clock)();
        inner.renewal.if_due(&inner.keys, now);
        let Some(keys) = inner.keys.keys() else {
            return self.without_keys(token, now);
        };
        let digest = sha256(token.as_bytes());
        if let Some(known) = self.known(&digest, &keys, now) {
            return admit(known, now).map_or_else(Verdict::Refuse, Verdict::Pass);
        }
        match self.verify(token, &keys, now) {
            Ok(principal) => {
                self.0.cache.put(digest, principal.clone(), now);
                admit(principal, now).map_or_else(Verdict::Refuse, Verdict::Pass)
            }
            Err(Reason::Token(Reject::UnknownKey)) if self.may_be_new(token, &keys) => Verdict::Fetch,
            Err(reason) => Verdict::Refuse(reason),
        }
    }

    /// Judges by keys just fetched.
    pub(crate) fn judge_with(&self, token: &str, keys: &KeySet) -> Result<Principal, Reason> {
        let now = (self.0.witness.clock)();
        let principal = self.verify(token, keys, now)?;
        self.0.cache.put(sha256(token.as_bytes()), principal.clone(), now);
        admit(principal, now)
    }

    /// A token that no key could save is refused without a call to anybody.
    fn without_keys(&self, token: &str, now: i64) -> Verdict {
        match self.verify(token, &KeySet::default(), now) {
            Err(Reason::Token(Reject::UnknownKey)) if self.names_our_issuer(token) => Verdict::Fetch,
            Err(Reason::Token(Reject::UnknownKey)) => Verdict::Refuse(Reason::Token(Reject::WrongIssuer)),
            Err(reason) => Verdict::Refuse(reason),
            // No key verified anything.
            Ok(_) => Verdict::Refuse(Reason::NoKeys),
        }
    }

    /// Verified before, by a key that the issuer still has (JW-24, JW-27).
    fn known(&self, digest: &Digest, keys: &KeySet, now: i64) -> Option<Principal> {
        let known = self.0.cache.get(digest, now)?;
        let (kid, alg) = known.key();
        keys.find(kid, alg).is_some().then_some(known)
    }

    fn verify(&self, token: &str, keys: &KeySet, now: i64) -> Result<Principal, Reason> {
        let verified = jwt::verify(token, keys, &self.0.profile, now).map_err(Reason::Token)?;
        check_kind(&verified)?;
        Ok(Principal::new(verified, &self.0.witness))
    }

    /// Whether the token names a key that nobody here has seen, and our issuer: only then is a fetch worth it (DS-10).
    fn may_be_new(&self, token: &str, keys: &KeySet) -> bool {
        let parsed = jws::parse(token, self.0.profile.limits()).ok();
        let kid = parsed.as_ref().and_then(|p| p.header().kid.as_deref());
        kid.is_some_and(|kid| !keys.has_kid(kid)) && self.names_our_issuer(token)
    }

    /// What the token says of itself, unverified: good for refusing only.
    fn names_our_issuer(&self, token: &str) -> bool {
        let parsed = jws::parse(token, self.0.profile.limits());
        parsed.is_ok_and(|p| p.unverified_issuer() == Some(self.0.profile.issuer()))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("profile", &self.0.profile).finish_non_exhaustive()
    }
}

/// LO-05: a verified token counts while nothing ended it, remembered or not.
fn admit(principal: Principal, now: i64) -> Result<Principal, Reason> {
    match principal.standing(now) {
        Standing::Alive => Ok(principal),
        Standing::Ended => Err(Reason::Ended),
        Standing::Unknown => Err(Reason::Stale),
    }
}

/// Access tokens only. The issuer signs other kinds with the same keys (RFC 8725 §3.11, TE-25).
fn check_kind(token: &Verified) -> Result<(), Reason> {
    let header = token.header().typ.as_deref().unwrap_or_default().to_ascii_lowercase();
    let by_header = header.strip_prefix("application/").unwrap_or(&header) == "at+jwt";
    let access = match token.get("typ") {
        None => by_header,
        // Keycloak writes `bearer` for clients that ask for it.
        Some(Value::String(kind)) => kind == "Bearer" || kind == "bearer",
        Some(_) => false,
    };
    if !access {
        return Err(Reason::NotAnAccessToken);
    }
    if token.get("cnf").is_some() {
        return Err(Reason::BoundToKey);
    }
    Ok(())
}
