//! Levels of authentication (`acr`, OIDC Core §2; RFC 9470): which one a request asks for, which one was proven, what it is called.
//!
//! **Owns** the request's level (`acr_values`, `claims`, the client's attributes `default.acr.values` and `minimum.acr.value`),
//! the names of levels (`acr.loa.map`), what a session keeps of an earlier proof. **Does not own** the pages that prove a level
//! ([`super::next`]), the notes that say what was proven ([`super::factors`]), the claim (its mapper).
//! **Flow** request -> [`asked`] -> [`super::next::entry`] -> proof -> [`Ladder::reached`] or [`Ladder::kept`] -> [`name`].
//!
//! 0 is a session's cookie alone. A session keeps a level only where the realm's browser flow says for how long
//! (`conditional-level-of-authentication`, `loa-max-age`), so without that each request for a level proves it anew (Keycloak 26.4).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::client::Client;
use crate::oauth::authorize::{AcrClaim, AuthorizeRequest};
use crate::realm::{Profile, Realm};
use crate::records::RealmRecords;
use crate::session::UserSession;

use super::factors::{self, Notes};

/// Realm and client attribute: a JSON object from names to levels.
const NAMES: &str = "acr.loa.map";

/// Subflows inside subflows.
const MAX_DEPTH: usize = 10;

/// The level a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// The lowest of the levels that would do; 0 when it asks for none.
    pub level: i64,
    /// Whether a lower one is refused (OIDC Core §5.5.1.1).
    pub essential: bool,
}

impl Asked {
    /// Whether the login may go on with what was reached.
    #[must_use]
    pub const fn is_met_by(self, reached: i64) -> bool {
        !self.essential || reached >= self.level
    }
}

/// Which level each factor reaches in a realm, and for how long a session keeps a level.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ladder {
    password: i64,
    second: i64,
    kept: BTreeMap<i64, i64>,
}

impl Ladder {
    /// Of a realm, as its browser flow says. Where that names no level, a password is 1; a second factor is 2 in a strict realm and
    /// adds nothing in a keycloak one.
    #[must_use]
    pub fn of(realm: &Realm) -> Self {
        let mut found = Walk { realm, ladder: Self { password: 0, second: 0, kept: BTreeMap::new() } };
        found.flow(text(&realm.settings.other, "browserFlow").unwrap_or("browser"), 0, MAX_DEPTH);
        let mut ladder = found.ladder;
        if ladder.password == 0 {
            ladder.password = 1;
        }
        if ladder.second == 0 {
            ladder.second = match realm.profile() {
                Profile::Strict => ladder.password + 1,
                Profile::Keycloak => ladder.password,
            };
        }
        ladder
    }

    fn of_authenticator(&self, name: &str) -> Option<i64> {
        match name {
            factors::PASSWORD => Some(self.password),
            factors::ONE_TIME_CODE => Some(self.second),
            _ => None,
        }
    }

    /// The level of what the notes of a login say was proven.
    #[must_use]
    pub fn reached(&self, notes: &Notes) -> i64 {
        factors::proven(notes).keys().filter_map(|name| self.of_authenticator(name)).max().unwrap_or(0)
    }

    /// The level a session still stands for: the highest one below which all are fresh enough, 0 for its cookie alone.
    #[must_use]
    pub fn kept(&self, session: &UserSession, now: i64) -> i64 {
        let mut levels: BTreeMap<i64, i64> = BTreeMap::new();
        for (name, at) in factors::proven(&session.notes) {
            if let Some(level) = self.of_authenticator(&name) {
                let latest = levels.entry(level).or_insert(at);
                *latest = at.max(*latest);
            }
        }
        let fresh = |(level, at): &(i64, i64)| self.kept.get(level).is_some_and(|age| now <= at.saturating_add(*age));
        levels.into_iter().take_while(fresh).last().map_or(0, |(level, _)| level)
    }

    /// Whether it is a level that the pages there are can prove.
    fn offers(&self, level: i64) -> bool {
        level <= self.password.max(self.second)
    }
}

/// A walk through the kept document of a realm's flows.
struct Walk<'a> {
    realm: &'a Realm,
    ladder: Ladder,
}

fn text<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    object.get(name).and_then(Value::as_str)
}

impl<'a> Walk<'a> {
    fn listed(&self, list: &str, alias: &str) -> Option<&'a Map<String, Value>> {
        let list = self.realm.settings.other.get(list)?.as_array()?;
        list.iter().filter_map(Value::as_object).find(|entry| text(entry, "alias") == Some(alias))
    }

    /// A condition holds for what follows it in its own subflow.
    fn flow(&mut self, alias: &str, mut level: i64, depth: usize) {
        let executions = self.listed("authenticationFlows", alias).and_then(|f| f.get("authenticationExecutions"));
        let executions = executions.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let live =
            executions.iter().filter_map(Value::as_object).filter(|e| text(e, "requirement") != Some("DISABLED"));
        for execution in live {
            if let (Some(below), Some(depth)) = (text(execution, "flowAlias"), depth.checked_sub(1)) {
                self.flow(below, level, depth);
            }
            match text(execution, "authenticator") {
                Some("conditional-level-of-authentication") => level = self.condition(execution).unwrap_or(level),
                Some("auth-username-password-form" | "auth-password-form") => self.ladder.password = level,
                Some("auth-otp-form" | "webauthn-authenticator") => self.ladder.second = self.ladder.second.max(level),
                _ => {}
            }
        }
    }

    fn condition(&mut self, execution: &Map<String, Value>) -> Option<i64> {
        let config = self.listed("authenticatorConfig", text(execution, "authenticatorConfig")?)?;
        let config = config.get("config")?.as_object()?;
        let number = |name| text(config, name).and_then(|n| n.parse::<i64>().ok());
        let level = number("loa-condition-level")?;
        self.ladder.kept.insert(level, number("loa-max-age").unwrap_or(0));
        Some(level)
    }
}

/// The names of levels: the client's own, else the realm's.
fn names(records: &RealmRecords, client: &Client) -> Map<String, Value> {
    let read = |text: Option<&str>| text.and_then(|t| serde_json::from_str::<Map<String, Value>>(t).ok());
    let own = read(client.attribute(NAMES)).filter(|names| !names.is_empty());
    own.or_else(|| read(records.realm.settings.attributes.get(NAMES).map(String::as_str))).unwrap_or_default()
}

/// A name's level. A number that nobody named is its own level.
fn level_of(names: &Map<String, Value>, name: &str) -> Option<i64> {
    let named = names.get(name).and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok()));
    named.or_else(|| name.parse().ok()).filter(|level| *level >= 0)
}

/// Whether an essential claim names a level that is none here (Keycloak 26.4 refuses it).
#[must_use]
pub fn is_unknown(records: &RealmRecords, client: &Client, claim: &AcrClaim) -> bool {
    let names = names(records, client);
    claim.essential && claim.values.iter().any(|value| level_of(&names, value).is_none())
}

/// The essential values, if there are any; else those that are merely wished for, else the client's default.
fn values(client: &Client, request: &AuthorizeRequest) -> (Vec<String>, bool) {
    let claim = request.acr_claim.as_ref().filter(|claim| !claim.values.is_empty());
    if let Some(claim) = claim.filter(|claim| claim.essential) {
        return (claim.values.clone(), true);
    }
    let wished = request.acr_values.iter().chain(claim.into_iter().flat_map(|claim| &claim.values));
    let wished: Vec<String> = wished.cloned().collect();
    if !wished.is_empty() {
        return (wished, false);
    }
    let default = client.attribute("default.acr.values").unwrap_or_default();
    (default.split("##").filter(|v| !v.is_empty()).map(str::to_owned).collect(), false)
}

/// The values a request comes to, with the client's lowest in force: what lies below it does not count, essential or not.
fn in_force(names: &Map<String, Value>, client: &Client, request: &AuthorizeRequest) -> (Vec<String>, bool) {
    let (mut values, essential) = values(client, request);
    let minimum = client.attribute("minimum.acr.value").filter(|m| !m.is_empty());
    if let Some((minimum, floor)) = minimum.and_then(|m| Some((m, level_of(names, m)?))) {
        values.retain(|value| level_of(names, value).is_some_and(|level| level >= floor));
        if values.is_empty() {
            values.push(minimum.to_owned());
        }
    }
    (values, essential)
}

/// The level a request asks for. A name that is unknown counts as none where it is wished for, and is never reached where it is essential.
#[must_use]
pub fn asked(records: &RealmRecords, client: &Client, request: &AuthorizeRequest) -> Asked {
    let names = names(records, client);
    let (values, essential) = in_force(&names, client, request);
    let unknown = if essential { i64::MAX } else { 0 };
    let level = values.iter().map(|value| level_of(&names, value).unwrap_or(unknown)).min();
    Asked { level: level.unwrap_or(0), essential }
}

/// What a level is called in an answer to a request: the highest asked name that it reaches, else the highest name, else its
/// number (Keycloak 26.4: names count only where the client or realm has any). `None` for logins without a request.
#[must_use]
pub fn name(records: &RealmRecords, client: &Client, request: Option<&AuthorizeRequest>, level: i64) -> String {
    let names = names(records, client);
    let asked = request.map(|request| in_force(&names, client, request).0).unwrap_or_default();
    let all: Vec<String> = names.keys().cloned().collect();
    let named = [asked, all].into_iter().find_map(|values| highest_of(&names, values, level));
    named.filter(|_| !names.is_empty()).unwrap_or_else(|| level.to_string())
}

fn highest_of(names: &Map<String, Value>, values: Vec<String>, level: i64) -> Option<String> {
    let mut best: Option<(i64, String)> = None;
    for value in values {
        let found = level_of(names, &value).filter(|l| *l <= level && best.as_ref().is_none_or(|(b, _)| l > b));
        if let Some(found) = found {
            best = Some((found, value));
        }
    }
    best.map(|(_, value)| value)
}

/// The `acr` values of a realm's discovery: names and levels that can be proven.
#[must_use]
pub fn offered(realm: &Realm) -> Vec<String> {
    let ladder = Ladder::of(realm);
    let text = realm.settings.attributes.get(NAMES).map(String::as_str).unwrap_or_default();
    let names: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let named = names.keys().filter(|name| level_of(&names, name).is_some_and(|level| ladder.offers(level))).cloned();
    let levels: BTreeSet<i64> = [0, ladder.password, ladder.second].into();
    named.chain(levels.iter().map(i64::to_string)).collect()
}

#[cfg(test)]
mod tests;
