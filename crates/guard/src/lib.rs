//! # portcullis-guard: the layer in front of an API
//!
//! **Owns** the answer to "who calls?": one bearer token in, a [`Principal`] or a refusal out (RFC 6750, RFC 9068).
//!
//! **Does not own** key fetching (`portcullis-client`), the rules of a token (`portcullis-jose`), what a principal may do with your data.
//!
//! **Flow** request -> exactly one `Authorization: Bearer` -> verified before? -> else signature, issuer, audience, time, kind
//! -> [`Principal`] among the request's extensions -> [`require`] -> handler. A refusal has a trace id and goes to the [`RefusalSink`].
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use portcullis_guard::{Guard, Principal, require};
//!
//! # fn main() -> Result<(), portcullis_guard::BuildError> {
//! let guard = Guard::builder()
//!     .issuer("https://id.example/realms/shop")
//!     .audience("orders")
//!     .bearer()
//!     .build()?;
//!
//! async fn me(Extension(caller): Extension<Principal>) -> String {
//!     caller.subject().to_owned()
//! }
//!
//! let admin = Router::new().route("/admin", get(me)).layer(require::role("admin"));
//! // The guard is the outer layer: it is added last.
//! let app: Router = Router::new().route("/me", get(me)).merge(admin).layer(guard.layer());
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! An issuer without a revocation feed tells of logouts by logout tokens: [`Builder::backchannel_logout`] and [`Guard::backchannel_logout`].
//!
//! Nothing is fetched before the first request. While the issuer cannot be reached and no keys are at hand, the answer is 503, never a pass.

mod alive;
mod builder;
mod cache;
mod credential;
mod cutoffs;
mod guard;
mod keys;
mod layer;
mod logout_door;
mod principal;
mod refusal;
pub mod require;
mod trace;

pub use alive::{AliveLayer, AliveService};
pub use builder::{BuildError, Builder};
pub use cutoffs::{
    Cutoffs, FeedFigures, FeedOptions, FeedState, FrameFault, FrameSource, HttpFrames, LogoutOptions, RevocationFeed,
    Standing, TokenMark, TokenNames, Unreachable,
};
pub use guard::Guard;
pub use keys::KeySource;
pub use layer::{GuardLayer, Guarded};
pub use portcullis_client::{LogoutFault, NoKeys};
pub use portcullis_jose::{Algorithm, KeySet, Reject};
pub use principal::Principal;
pub use refusal::{LogRefusals, Reason, Refusal, RefusalSink};
pub use trace::Trace;
