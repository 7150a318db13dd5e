//! Attacks on logins, sessions and passwords over the whole router, each with its honest twin; names carry the case ids.
//!
//! **Owns** the groups AZ, SE, EN, MF and DS as far as the login's doors go, in strict realms and (where a case failed elsewhere
//! or Keycloak's habits differ) in keycloak realms.
//!
//! **Does not own** URI matching and tokens (tests of core and idp), limits of the listeners (the binary).
//!
//! **Flow** a [`stage::Stage`] with one realm -> [`stage::Browser`]s walk through it -> [`stage::outcome`] and counted work.
//! Nothing is timed: where a case speaks of time, the number of key derivations is compared.

mod authorize;
mod authorize_answers;
mod consent;
mod counting;
mod csrf;
mod enrolment;
mod enumeration;
mod front_channel;
mod load;
mod odd_states;
mod out_of_band;
mod pages;
mod passwords;
mod profiles;
mod second_factor;
mod sessions;
mod spray;
mod stage;
mod step_up;
mod takeover;
