//! The keys one issuer may have signed with, looked up by `kid` and algorithm together.

use std::sync::Arc;

use crate::{Algorithm, JwkSet, VerifyingKey};

/// An immutable set of parsed keys of one issuer. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Arc<[VerifyingKey]>);

impl KeySet {
    /// Collects keys. Keys that share both `kid` and algorithm cancel each other out.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let all: Vec<VerifyingKey> = keys.into_iter().collect();
        let same = |a: &VerifyingKey, b: &VerifyingKey| a.kid().is_some() && a.kid() == b.kid() && a.alg() == b.alg();
        let unique = |key: &&VerifyingKey| all.iter().filter(|other| same(key, other)).count() <= 1;
        Self(all.iter().filter(unique).cloned().collect())
    }

    /// Parses every key of a set, each for every algorithm it may serve (an RSA key without `alg` serves six; the
    /// profile then decides which are allowed).
    #[must_use]
    pub fn from_jwks(set: &JwkSet) -> Self {
        Self::new(
            set.keys
                .iter()
                .flat_map(|jwk| jwk.algorithms().into_iter().filter_map(|alg| VerifyingKey::from_jwk(jwk, alg).ok())),
        )
    }

    /// The key for a header's `kid` and `alg`. Both must fit: a key never serves another algorithm (JW-02, JW-03).
    /// Without a `kid` there must be exactly one key for the algorithm.
    #[must_use]
    pub fn find(&self, kid: Option<&str>, alg: Algorithm) -> Option<&VerifyingKey> {
        let mut fitting = self.0.iter().filter(|key| key.alg() == alg && (kid.is_none() || key.kid() == kid));
        let found = fitting.next()?;
        match kid {
            Some(_) => Some(found),
            None => fitting.next().is_none().then_some(found),
        }
    }

    /// True if a key of this id is held, whatever its algorithm. Tells a new key from a wrong algorithm before a refetch.
    #[must_use]
    pub fn has_kid(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid() == Some(kid))
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.0
    }

    /// True if nothing can be verified.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<VerifyingKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        Self::new(keys)
    }
}
