//! Building a guard: what must be said, what has a safe default.

use std::fmt;
use std::sync::Arc;

use portcullis_client::{CallError, Door, IssuerKeys, KeyPolicy, LogoutRules, Reach};
use portcullis_jose::{Algorithm, AudienceRule, Profile, TypeRule};

use crate::cache::Cache;
use crate::cutoffs::{Cutoffs, LogoutOptions, Logouts, Unwatched};
use crate::guard::{Guard, Hearing, Inner};
use crate::keys::{KeySource, Renewal};
use crate::principal::Witness;
use crate::refusal::{LogRefusals, RefusalSink};

/// What a guard is made of; from [`Guard::builder`]. Issuer, audience and a kind of credential must be said.
#[must_use]
pub struct Builder {
    issuer: String,
    audience: String,
    bearer: bool,
    keys: Option<Arc<dyn KeySource>>,
    algorithms: Vec<Algorithm>,
    leeway: i64,
    cache_entries: usize,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    cutoffs: Option<Arc<dyn Cutoffs>>,
    logouts: Option<LogoutOptions>,
    sink: Arc<dyn RefusalSink>,
}

/// Why a guard cannot be built.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No issuer, or one that is no http or https URL in printable ASCII.
    #[error("a guard needs the URL of its issuer")]
    Issuer,
    /// No audience. Without one, every token of the issuer would open this API (JW-07).
    #[error("a guard needs an audience: the name of this API in the token's aud")]
    Audience,
    /// No kind of credential.
    #[error("a guard needs a kind of credential: bearer()")]
    Credential,
    /// No algorithm, or a symmetric one: who verifies could also sign (JW-02).
    #[error("a guard needs asymmetric algorithms, at least one")]
    Algorithms,
    /// Logout messages for no client, or access tokens that live no second.
    #[error("logout messages need the clients they are for, and a longest life of access tokens")]
    LogoutOptions,
    /// [`Guard::backchannel_logout`] without [`Builder::backchannel_logout`].
    #[error("the guard was not told whose logout messages to take: Builder::backchannel_logout")]
    NoLogouts,
    /// The outbound door of the default key source cannot be made.
    #[error("no way to fetch keys: {0}")]
    Door(#[from] CallError),
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            bearer: false,
            keys: None,
            algorithms: Algorithm::ALL.into_iter().filter(|a| !a.is_symmetric()).collect(),
            leeway: 10,
            cache_entries: 10_000,
            clock: Arc::new(system_seconds),
            cutoffs: None,
            logouts: None,
            sink: Arc::new(LogRefusals),
        }
    }
}

impl Builder {
    /// The issuer, exactly as tokens spell it in `iss`: `https://host/realms/name`. Required.
    pub fn issuer(mut self, url: impl Into<String>) -> Self {
        self.issuer = url.into();
        self
    }

    /// The name of this API among the token's audiences. Required.
    pub fn audience(mut self, name: impl Into<String>) -> Self {
        self.audience = name.into();
        self
    }

    /// Takes `Authorization: Bearer` (RFC 6750 §2.1). Required: it is the one kind of credential there is.
    pub fn bearer(mut self) -> Self {
        self.bearer = true;
        self
    }

    /// Where the issuer's keys come from. Default: [`IssuerKeys`], by discovery.
    pub fn keys(mut self, source: Arc<dyn KeySource>) -> Self {
        self.keys = Some(source);
        self
    }

    /// The algorithms allowed. Default: all asymmetric ones; a key serves only its own in any case.
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Seconds that the issuer's clock may differ: 0 to 60. Default 10.
    pub fn leeway(mut self, seconds: i64) -> Self {
        self.leeway = seconds;
        self
    }

    /// How many verified tokens are remembered at most, until they expire. Default 10 000, 0 for none.
    pub fn cache_entries(mut self, entries: usize) -> Self {
        self.cache_entries = entries;
        self
    }

    /// The clock, in seconds since the epoch. Default: the system's.
    pub fn clock(mut self, now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(now);
        self
    }

    /// Who knows what ended before its tokens did: a [`crate::RevocationFeed`]. Default: nobody, and a line in the log says so; a
    /// token of a session that was logged out then passes until it expires.
    pub fn cutoffs(mut self, cutoffs: Arc<dyn Cutoffs>) -> Self {
        self.cutoffs = Some(cutoffs);
        self
    }

    /// Takes the issuer's logout messages (OIDC Back-Channel Logout 1.0), at [`Guard::backchannel_logout`]: for an issuer without a
    /// revocation feed, a Keycloak. Each end is remembered in this process alone; where several instances serve one API, each must hear.
    /// Tokens that live longer than [`LogoutOptions::longest_token`] are refused: an end would be forgotten before they are over.
    /// A message may be lost on its way, so [`crate::require::fresh`] still asks for a feed.
    pub fn backchannel_logout(mut self, options: LogoutOptions) -> Self {
        self.logouts = Some(options);
        self
    }

    /// Who hears of refusals. Default: [`LogRefusals`].
    pub fn refusals(mut self, sink: Arc<dyn RefusalSink>) -> Self {
        self.sink = sink;
        self
    }

    /// The guard. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`BuildError`]: something required is missing or unsafe.
    pub fn build(self) -> Result<Guard, BuildError> {
        let web = self.issuer.starts_with("https://") || self.issuer.starts_with("http://");
        if !web || !self.issuer.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BuildError::Issuer);
        }
        if self.audience.is_empty() {
            return Err(BuildError::Audience);
        }
        if !self.bearer {
            return Err(BuildError::Credential);
        }
        if self.algorithms.is_empty() || self.algorithms.iter().any(|a| a.is_symmetric()) {
            return Err(BuildError::Algorithms);
        }
        let unfit =
            |o: &LogoutOptions| o.clients.is_empty() || o.clients.iter().any(String::is_empty) || o.longest_token <= 0;
        if self.logouts.as_ref().is_some_and(unfit) {
            return Err(BuildError::LogoutOptions);
        }
        let keys: Arc<dyn KeySource> = match self.keys {
            Some(keys) => keys,
            None => {
                let door = Door::new(Reach::Configured)?;
                Arc::new(IssuerKeys::new(self.issuer.clone(), door, KeyPolicy::default()))
            }
        };
        let kinds = TypeRule::one_of(&["JWT", "at+jwt"]);
        let audience = AudienceRule::contains(self.audience);
        let mut profile =
            Profile::new(&self.algorithms, kinds, self.issuer, audience).leeway(self.leeway).require(&["sub"]);
        let hearing = self.logouts.as_ref().map(|options| Hearing {
            rules: LogoutRules::new(profile.issuer(), options.clients.iter().cloned()).leeway(self.leeway),
            logouts: Arc::new(Logouts::new(options)),
        });
        if let Some(options) = &self.logouts {
            profile = profile.max_lifetime(options.longest_token);
        }
        let cache = Cache::new(self.cache_entries);
        let renewal = Renewal::default();
        let cutoffs = self.cutoffs.unwrap_or_else(|| {
            if hearing.is_none() {
                let issuer = profile.issuer();
                tracing::info!(target: "portcullis_guard", issuer, "no revocation feed: tokens of ended sessions pass until they expire");
            }
            Arc::new(Unwatched)
        });
        let logouts = hearing.as_ref().map(|hearing| Arc::clone(&hearing.logouts));
        let witness = Arc::new(Witness { cutoffs, logouts, clock: self.clock, sink: self.sink });
        Ok(Guard::new(Inner { profile, keys, renewal, cache, witness, hearing }))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Builder");
        out.field("issuer", &self.issuer).field("audience", &self.audience).field("algorithms", &self.algorithms);
        out.finish_non_exhaustive()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the default clock of a guard in a foreign program; the builder takes another"
)]
pub(crate) fn system_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|d| i64::try_from(d.as_secs()).ok()).unwrap_or_default()
}
