//! Keys as an operator sees them: which there are, a new one made and put in charge, an old one switched off.

use std::sync::Arc;

use portcullis_core::ids::KeyId;
use portcullis_core::key::{KeyStatus, KeyUse};
use portcullis_core::key_policy::{self, Refusal};
use portcullis_core::plan::Plan;
use portcullis_core::realm_file::{KeySource, KeySpec};
use portcullis_core::records::RealmRecords;
use portcullis_jose::{Algorithm, KeyType};

use crate::{Idp, import};

/// Keycloak's priority of a key that somebody made.
const PRIORITY: i64 = 100;

/// One key, without anything private.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyLine {
    /// `kid`
    pub kid: String,
    /// JOSE algorithm.
    pub algorithm: String,
    /// Whether it signs, only verifies, or neither.
    pub status: KeyStatus,
    /// Highest signs.
    pub priority: i64,
    /// When made, seconds.
    pub created: i64,
}

/// Why a key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No such realm.
    #[error("there is no realm {0}")]
    UnknownRealm(String),
    /// No such key.
    #[error("the realm {realm} has no key {kid}")]
    UnknownKey {
        /// Where.
        realm: String,
        /// Which.
        kid: String,
    },
    /// No algorithm whose keys are made here.
    #[error(
        "keys for {0} are not made here; choose one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA"
    )]
    UnknownAlgorithm(String),
    /// Nothing could be signed any more.
    #[error("{kid} is the only active {algorithm} key of the realm: rotate first, then switch it off")]
    LastActive {
        /// Which.
        kid: String,
        /// Its algorithm.
        algorithm: String,
    },
    /// The key could not be made.
    #[error("the key could not be made: {0}")]
    NotMade(String),
    /// The store did not answer.
    #[error("storage: {0}")]
    Storage(String),
}

impl Idp {
    async fn records(&self, realm: &str) -> Result<RealmRecords, KeyError> {
        let found = self.app.db.realm_records(realm).await.map_err(|e| KeyError::Storage(e.to_string()))?;
        found.ok_or_else(|| KeyError::UnknownRealm(realm.to_owned()))
    }

    async fn change_keys(&self, plan: Plan) -> Result<(), KeyError> {
        self.app.db.apply(plan).await.map_err(|e| KeyError::Storage(e.to_string()))
    }

    /// The signature keys of a realm, by algorithm, the one in charge first.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn keys(&self, realm: &str) -> Result<Vec<KeyLine>, KeyError> {
        let records = self.records(realm).await?;
        let signing = records.keys.iter().filter(|k| k.key_use == KeyUse::Signature);
        let mut lines: Vec<KeyLine> = signing
            .map(|k| KeyLine {
                kid: k.kid.as_str().to_owned(),
                algorithm: k.algorithm.clone(),
                status: k.status,
                priority: k.priority,
                created: k.created,
            })
            .collect();
        let rank = |status| match status {
            KeyStatus::Active => 0,
            KeyStatus::Passive => 1,
            KeyStatus::Disabled => 2,
        };
        lines.sort_by(|a, b| {
            (&a.algorithm, rank(a.status), b.priority).cmp(&(&b.algorithm, rank(b.status), a.priority))
        });
        Ok(lines)
    }

    /// Makes a new key for an algorithm and puts it in charge; the one before it goes on verifying. Returns its `kid`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn rotate_key(&self, realm: &str, algorithm: &str) -> Result<String, KeyError> {
        let records = self.records(realm).await?;
        let unknown = || KeyError::UnknownAlgorithm(algorithm.to_owned());
        let provider = match Algorithm::parse(algorithm).ok_or_else(unknown)?.key_type() {
            KeyType::Rsa => "rsa-generated",
            KeyType::Ec => "ecdsa-generated",
            KeyType::Okp => "eddsa-generated",
            KeyType::Oct => return Err(unknown()),
        };
        let spec = KeySpec {
            provider: provider.to_owned(),
            algorithm: algorithm.to_owned(),
            key_use: KeyUse::Signature,
            status: KeyStatus::Active,
            priority: PRIORITY,
            source: KeySource::Generate,
        };
        let (name, entropy, now) = (realm.to_owned(), Arc::clone(&self.app.entropy), self.app.now());
        let made = tokio::task::spawn_blocking(move || import::make_key(spec, &name, &*entropy, now)).await;
        let key = made.map_err(|e| KeyError::NotMade(e.to_string()))?.map_err(KeyError::NotMade)?;
        let kid = key.kid.as_str().to_owned();
        self.change_keys(key_policy::rotate(&records, key)).await?;
        tracing::info!(realm, algorithm, kid, "a key was rotated");
        Ok(kid)
    }

    /// Lets a key sign, only verify, or neither. A disabled key's tokens end, at guards too.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn set_key_status(&self, realm: &str, kid: &str, to: KeyStatus) -> Result<(), KeyError> {
        let records = self.records(realm).await?;
        let plan = key_policy::set_status(&records, &KeyId::from(kid), to, self.app.now()).map_err(|e| match e {
            Refusal::Unknown => KeyError::UnknownKey { realm: realm.to_owned(), kid: kid.to_owned() },
            Refusal::LastActive(algorithm) => KeyError::LastActive { kid: kid.to_owned(), algorithm },
        })?;
        self.change_keys(plan).await?;
        tracing::info!(realm, kid, ?to, "a key's status was changed");
        Ok(())
    }
}
