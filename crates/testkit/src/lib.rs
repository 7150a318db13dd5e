//! # portcullis-testkit: what tests stand on
//!
//! **Owns** the golden replayer ([`golden`]), a plain HTTP/1 client ([`http1`]) and a raw socket ([`raw`]), a tiny
//! relying party ([`rp`]), the time and randomness of a server under test ([`clock`]) and of the tests ([`pace`]), a real
//! browser (feature `browser`).
//!
//! **Does not own** any rule of the product: nothing here is shipped, and the product never imports it.
//!
//! **Flow** a test starts or is given a server -> drives it through a client of this crate -> looks at what came back.

#[cfg(feature = "browser")]
pub mod browser;
pub mod clock;
pub mod golden;
pub mod http1;
pub mod pace;
pub mod raw;
pub mod rp;
#[cfg(feature = "server")]
pub mod server;
