//! Signing as a call that may wait: a key in this process now, a key service elsewhere tomorrow. Verifying never waits.
//!
//! A realm gets a key for an algorithm when a client first wants it (Keycloak 26.4: fallback keys of priority -100).

use std::pin::Pin;
use std::sync::Arc;

use portcullis_core::key::{KeyStatus, KeyUse};
use portcullis_core::plan::{Lane, Plan, Write};
use portcullis_core::realm_file::{KeySource, KeySpec};
use portcullis_jose::{Algorithm, KeyType, SignError, SigningKey, jws};

use crate::import;
use crate::state::{App, RealmView, Unavailable};

/// A signature on its way.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<String, SignError>> + Send + 'a>>;

/// Makes compact JWS (RFC 7515 §3.1).
pub trait Signer: Send + Sync {
    /// Signs `payload` under a header with `alg`, `typ` and `kid`.
    fn sign<'a>(&'a self, key: &'a SigningKey, typ: &'a str, payload: &'a [u8]) -> Signing<'a>;
}

/// Keys parsed in this process. An RSA signature takes about 0.2 ms, less than handing it to another thread would.
#[derive(Clone, Copy, Debug)]
pub struct Local;

impl Signer for Local {
    fn sign<'a>(&'a self, key: &'a SigningKey, typ: &'a str, payload: &'a [u8]) -> Signing<'a> {
        Box::pin(async move { jws::encode(key, Some(typ), payload) })
    }
}

/// The algorithms of tokens, in Keycloak's order: every realm can have a key for each.
pub(crate) const ALGORITHMS: &[&str] =
    &["PS384", "RS384", "EdDSA", "ES384", "ES256", "RS256", "ES512", "PS256", "PS512", "RS512"];

/// Below every key an administrator would make.
const FALLBACK_PRIORITY: i64 = -100;

/// An algorithm of [`ALGORITHMS`] by its name.
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    Algorithm::parse(name).filter(|algorithm| !algorithm.is_symmetric())
}

/// Makes sure that the realm has a key for an algorithm. `true`: one was made, so the realm must be loaded again. Two nodes may
/// make one each; both verify.
pub(crate) async fn ensure(app: &App, view: &RealmView, algorithm: Algorithm) -> Result<bool, Unavailable> {
    if view.keys.signer(algorithm).is_some() {
        return Ok(false);
    }
    let provider = match algorithm.key_type() {
        KeyType::Rsa => "rsa-generated",
        KeyType::Ec => "ecdsa-generated",
        KeyType::Okp => "eddsa-generated",
        KeyType::Oct => return Err(Unavailable),
    };
    let spec = KeySpec {
        provider: provider.to_owned(),
        algorithm: algorithm.as_str().to_owned(),
        key_use: KeyUse::Signature,
        status: KeyStatus::Active,
        priority: FALLBACK_PRIORITY,
        source: KeySource::Generate,
    };
    let (realm, entropy, now) = (&view.records.realm, Arc::clone(&app.entropy), app.now());
    let name = realm.name.clone();
    let made = tokio::task::spawn_blocking(move || import::make_key(spec, &name, &*entropy, now)).await;
    let key = made.map_err(|_| Unavailable)?.map_err(|error| {
        tracing::error!(%error, "a key could not be made");
        Unavailable
    })?;
    tracing::info!(
        realm = realm.name,
        algorithm = algorithm.as_str(),
        kid = key.kid.as_str(),
        "a fallback key was made"
    );
    let plan = Plan::new(Lane::Admin, vec![Write::CreateKey(realm.id.clone(), key)]);
    app.db.apply(plan).await.map_err(|_| Unavailable)?;
    Ok(true)
}
