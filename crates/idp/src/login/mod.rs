//! The login room: pages between an authorization request and its code.
//!
//! **Owns** `login-actions/*`, the flow values in `Ephemeral`, the cookies of login and single sign-on, the doors where
//! passwords ([`check_password`]) and one-time codes ([`check_code`]) are compared. **Does not own** which step comes next ([`portcullis_core::login::next`]),
//! the pages' text ([`crate::pages`]), hashing ([`crate::password`]).
//! **Flow** [`start`] (from `/auth`) or an endpoint here -> [`flows`] finds the tab -> the step's file judges the answer ->
//! [`steps::proceed`] -> page, redirect to the next step, or [`issue`].

mod address;
mod authenticate;
mod configure_totp;
mod consent;
mod counter;
mod credentials;
mod device;
pub(crate) mod flows;
mod issue;
mod new_password;
mod one_time_code;
mod page;
mod required_action;
mod reset;
pub(crate) mod restart;
mod spray;
mod sso;
mod start;
mod steps;
mod update_profile;
mod visit;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use http::HeaderMap;
use portcullis_core::entropy;
use portcullis_core::event::Event;
use portcullis_core::ids::EventId;
use portcullis_core::oauth::token::Context;
use portcullis_core::time::Now;
use portcullis_jose::digest;

use crate::extract::{Base, Peer};
use crate::respond::cookies;
use crate::state::{App, RealmView, Unavailable};

#[cfg(test)]
mod tests;

pub(crate) use address::encoded;
pub(crate) use credentials::{Verdict, check_password};
pub(crate) use one_time_code::{CodeVerdict, Shown, check_code};
pub(crate) use page::{as_page, foreign, with_cookies};
pub(crate) use sso::Sso;
pub(crate) use start::{enter, start};
pub(crate) use visit::{Visit, is_foreign};

/// What every step of a request has at hand.
#[derive(Clone)]
pub(crate) struct Cx<'a> {
    /// The server.
    pub(crate) app: &'a Arc<App>,
    /// The realm.
    pub(crate) view: &'a Arc<RealmView>,
    /// The server's own address.
    pub(crate) base: Base,
    /// Who called.
    pub(crate) peer: Peer,
    /// The request's headers.
    pub(crate) headers: &'a HeaderMap,
    /// The request's one reading of the clock.
    pub(crate) now: Now,
}

impl Cx<'_> {
    /// An audit row of this request that names nobody yet.
    pub(crate) fn event(&self, kind: &'static str) -> Event {
        Event {
            id: EventId::new(entropy::uuid(self.app.entropy.as_ref())),
            time: self.now.millis(),
            realm: self.view.records.realm.id.clone(),
            kind,
            user: None,
            client: None,
            session: None,
            ip_address: self.peer.ip.clone(),
            error: None,
            details: BTreeMap::new(),
        }
    }

    /// The realm's name: the path segment.
    pub(crate) fn realm_name(&self) -> &str {
        &self.view.records.realm.name
    }

    /// SHA-256 of the cookie by which accounts know this browser.
    fn device(&self) -> Option<[u8; 32]> {
        cookies::get(self.headers, cookies::PORTCULLIS_DEVICE).map(|value| digest::sha256(value.as_bytes()))
    }

    /// The issuer.
    pub(crate) fn issuer(&self) -> String {
        self.base.issuer(self.realm_name())
    }

    /// What the law's decisions need; `issuer` is [`Cx::issuer`].
    pub(crate) fn context<'c>(&'c self, issuer: &'c str) -> Context<'c> {
        Context {
            now: self.now,
            records: &self.view.records,
            base: &self.base.url,
            issuer,
            ip: &self.peer.ip,
            entropy: self.app.entropy.as_ref(),
            resources: &[],
        }
    }
}

/// Forgets the browser's flows and deletes the cookies of its session.
pub(crate) async fn forget(cx: &Cx<'_>, jar: &mut HeaderMap) -> Result<(), Unavailable> {
    flows::forget(cx).await?;
    sso::delete_cookies(cx, jar);
    Ok(())
}

/// Deletes the cookies of the browser's session.
pub(crate) fn delete_session_cookies(cx: &Cx<'_>, jar: &mut HeaderMap) {
    sso::delete_cookies(cx, jar);
}

/// The paths under `login-actions`.
pub(crate) fn routes(router: Router<Arc<App>>, prefix: &str) -> Router<Arc<App>> {
    let at = |path: &str| format!("{prefix}{path}");
    router
        .route(&at("/authenticate"), any(authenticate::endpoint))
        .route(&at("/required-action"), any(required_action::endpoint))
        .route(&at("/consent"), any(consent::endpoint))
        .route(&at("/restart"), any(restart::endpoint))
        .route(&at("/reset-credentials"), any(reset::endpoint))
        .route(&at("/{*rest}"), any(page::not_found))
}
