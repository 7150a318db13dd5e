//! The whole product, walked through: a real Chromium on the demo, on pages with foreign libraries and on every page of the
//! identity provider; the SDK's and the example's own tests against a server in this process.
//!
//! **Owns** the walks. **Does not own** the product's rules: each has its tests where it stands.
//! **Flow** [`stage`] sets up servers and a browser -> a walk clicks, looks and asserts -> pictures in `target/screenshots`.

#![expect(clippy::indexing_slicing, reason = "tests: a missing JSON member is Null, and then the assertion says so")]

mod demo;
mod device_login;
mod examples;
mod gallery;
mod keycloak_js;
mod login_pages;
mod login_steps;
mod logout_pages;
mod oidc_client_ts;
mod stage;
