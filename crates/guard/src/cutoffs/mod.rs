//! What ended before its tokens did.
//!
//! Owns: the question ([`Cutoffs`]), the compact set ([`set`]), the follower of an issuer's revocation feed ([`RevocationFeed`]) and
//! its way over HTTP ([`HttpFrames`]), what logout tokens said ([`logouts`]). Does not own: why something ended (the issuer), the token's other rules.
//! Flow: signed events -> [`RevocationFeed::take`] -> the set; each request, remembered token or not -> [`Cutoffs::check`].

mod feed;
mod frame;
mod http;
mod logouts;
mod set;

pub use feed::{FeedFigures, FeedOptions, FeedState, FrameFault, RevocationFeed};
pub use http::{FrameSource, HttpFrames, Unreachable};
pub use logouts::LogoutOptions;
pub(crate) use logouts::{Logouts, Untaken};

/// What of a token can be cut off.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenNames<'a> {
    /// `sid`
    pub session: Option<&'a str>,
    /// `sub`
    pub subject: &'a str,
    /// `jti`
    pub id: Option<&'a str>,
    /// `azp`, else `client_id`
    pub client: Option<&'a str>,
    /// `kid` of the header
    pub key: Option<&'a str>,
    /// `iat`, seconds
    pub issued_at: i64,
    /// `exp`, seconds
    pub expires_at: i64,
}

/// A token's names as its [`Cutoffs`] wants to see them again: made once per token, kept with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TokenMark {
    /// Fingerprints of the names, 0 for none; what each place means is up to the [`Cutoffs`].
    pub prints: [u64; 5],
    /// `iat`, seconds
    pub issued_at: i64,
    /// `exp`, seconds
    pub expires_at: i64,
}

/// What is known of a token's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing ended it.
    Alive,
    /// Its session, subject, client, key or itself was cut off.
    Ended,
    /// Nobody knows: the feed is stale, and the token lives too long to be let through unasked.
    Unknown,
}

/// Says whether a verified token still counts. [`RevocationFeed`] follows an issuer; without one a guard asks nobody.
pub trait Cutoffs: Send + Sync {
    /// Called once per verified token.
    fn mark(&self, token: &TokenNames<'_>) -> TokenMark;

    /// Called on every request, for remembered tokens too: it must neither wait nor lock. `now` is epoch seconds.
    fn check(&self, token: &TokenMark, now: i64) -> Standing;

    /// Whether all tokens signed with this key are dead. Called on every request, like [`Self::check`].
    fn is_key_cut(&self, kid: &str) -> bool {
        let _no_keys = kid;
        false
    }

    /// Whether [`Self::check`] knows of ends up to this very moment. Routes marked [`crate::require::fresh`] refuse otherwise.
    fn is_fresh(&self, now: i64) -> bool;
}

/// Asks nobody: a token of an ended session passes until it expires. The default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unwatched;

impl Cutoffs for Unwatched {
    fn mark(&self, token: &TokenNames<'_>) -> TokenMark {
        TokenMark { issued_at: token.issued_at, expires_at: token.expires_at, ..TokenMark::default() }
    }

    fn check(&self, _token: &TokenMark, _now: i64) -> Standing {
        Standing::Alive
    }

    fn is_fresh(&self, _now: i64) -> bool {
        false
    }
}
