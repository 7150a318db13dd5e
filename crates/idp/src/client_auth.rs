//! Who a request is from: the one way to an [`AuthenticatedClient`], for every endpoint that authenticates clients.
//!
//! **Owns** the mark of a client assertion, the rate of wrong secrets. **Does not own** any rule ([`portcullis_core::oauth::client_auth`]).
//! **Flow** headers and form -> [`law::claim`] -> rests? -> keys to fetch -> [`law::Claim::prove`] -> the mark is written -> the client. No
//! endpoint gets the client before that, so no code or refresh token is touched by an assertion that was used before (TE-07).

mod guesses;
mod posted;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use portcullis_core::oauth::client_auth::{self as law, AuthenticatedClient, Once, Presented, Proven};
use portcullis_core::oauth::error::Reason;
use portcullis_core::oauth::params::Params;
use portcullis_core::plan::{Gate, Lane, Plan};
use portcullis_core::time::Now;
use portcullis_store::ApplyError;

use self::guesses::Guesser;
pub(crate) use self::guesses::Guesses;
pub(crate) use self::posted::{Manners, Posted};
use crate::state::{App, RealmView};
use crate::watch;

/// A request that names its client.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'r> {
    pub(crate) headers: &'r HeaderMap,
    pub(crate) params: &'r Params,
    /// The realm's issuer.
    pub(crate) issuer: &'r str,
    pub(crate) now: Now,
    /// The peer's address.
    pub(crate) ip: &'r str,
}

/// The mark that this very request wrote: it may decide again after a lost gate, and its assertion still counts once.
#[derive(Default)]
pub(crate) struct Marked(Option<[u8; 32]>);

/// Authenticates the client of a request.
///
/// # Errors
/// The law's reasons; [`Reason::TooManyWrongSecrets`]; [`Reason::Unavailable`] when a mark could not be written.
pub(crate) async fn authenticate<'v>(
    app: &App,
    view: &'v RealmView,
    asking: Asking<'_>,
    marked: &mut Marked,
) -> Result<AuthenticatedClient<'v>, Reason> {
    let headers = asking.headers.get_all(AUTHORIZATION).iter();
    // A header that is no text is no credential; it must not count as absent.
    let authorization: Vec<&str> = headers.map(|h| h.to_str().unwrap_or("Basic !")).collect();
    let Asking { params, issuer, now, .. } = asking;
    let presented = Presented { authorization: &authorization, params, now, issuer, fetched: None };
    let claim = law::claim(&view.records, &presented)?;
    let guesser = Guesser::of(app, view, &claim, asking.ip);
    if guesser.as_ref().is_some_and(|guesser| guesser.rests(now)) {
        return Err(Reason::TooManyWrongSecrets);
    }
    let fetched = match claim.awaited(&presented) {
        Some(awaited) => app.client_keys.of(&app.config, &view.records.realm.id, &awaited).await,
        None => None,
    };
    let presented = Presented { fetched: fetched.as_ref(), ..presented };
    let proven = claim.prove(&presented);
    if let Some(guesser) = guesser {
        match &proven {
            Ok(_) => guesser.right(now),
            Err(reason) if law::is_wrong_secret(reason) => guesser.wrong(now).await?,
            Err(_) => {}
        }
    }
    let client = match proven? {
        Proven::Now(client) => client,
        Proven::Once(once) => mark(app, view, once, marked).await?,
    };
    watch::tell_client(&client.client().client_id);
    Ok(client)
}

async fn mark<'v>(
    app: &App,
    view: &'v RealmView,
    once: Once<'v>,
    marked: &mut Marked,
) -> Result<AuthenticatedClient<'v>, Reason> {
    if marked.0.as_ref() == Some(once.hash()) {
        return Ok(once.marked());
    }
    let plan = Plan::new(Lane::Gate, vec![once.mark(&view.records.realm.id)]);
    match app.db.apply(plan).await {
        Ok(()) => {
            marked.0 = Some(*once.hash());
            Ok(once.marked())
        }
        Err(ApplyError::Gate(Gate::AlreadySpent)) => Err(Reason::AssertionReused),
        Err(error) => {
            tracing::warn!(%error, "a client assertion was not marked");
            Err(Reason::Unavailable)
        }
    }
}
