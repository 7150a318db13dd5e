//! Counters of requests, refusals, logins and tokens. The hot path adds to a few atomics: no lock, no allocation, no text.

use std::array;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use portcullis_core::oauth::token::GrantType;
use portcullis_core::refusal::Class;
use portcullis_jose::Algorithm;

use super::Endpoint;

const ENDPOINTS: usize = Endpoint::ALL.len();
const METHODS: usize = 3;
const STATUSES: usize = 5;
const CLASSES: usize = Class::ALL.len();
const ALGORITHMS: usize = Algorithm::ALL.len();
/// Room for every grant, the ones of authorization answers included.
const GRANTS: usize = 16;

/// Upper bounds of the histogram of durations, microseconds. Slower ones stand in one more.
pub const BOUNDS: [u64; 12] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000];

/// Words of methods: reading, writing, anything else.
pub const METHOD_WORDS: [&str; METHODS] = ["read", "write", "other"];

/// Words of statuses.
pub const STATUS_WORDS: [&str; STATUSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// How a comparison of a password ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Login {
    /// Right.
    Accepted,
    /// Unknown name or wrong password.
    Refused,
    /// The account rests after failures.
    Rests,
    /// The address rests after failures.
    PlaceRests,
    /// The account is switched off.
    Disabled,
    /// No thread was free in time.
    Busy,
}

impl Login {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Refused, Self::Rests, Self::PlaceRests, Self::Disabled, Self::Busy];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Rests => "rests",
            Self::PlaceRests => "address_rests",
            Self::Disabled => "disabled",
            Self::Busy => "busy",
        }
    }
}

/// How a person was let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// By a password on the login page.
    Browser,
    /// By a password and a one-time code there.
    BrowserCode,
    /// By the session of an earlier login.
    SingleSignOn,
    /// For a device that waits elsewhere (RFC 8628).
    Device,
    /// By the password grant (RFC 6749 §4.3).
    PasswordGrant,
}

impl Entry {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Browser, Self::BrowserCode, Self::SingleSignOn, Self::Device, Self::PasswordGrant];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::BrowserCode => "browser_otp",
            Self::SingleSignOn => "single_sign_on",
            Self::Device => "device",
            Self::PasswordGrant => "password_grant",
        }
    }
}

/// What guessing over many accounts set off (EN-13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// An address rests.
    Address,
    /// The realm is guessed at from everywhere.
    Realm,
}

impl Alarm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Address, Self::Realm];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Realm => "realm",
        }
    }
}

/// Counters of one realm, or of all that have none of their own.
#[derive(Debug)]
pub struct Block {
    requests: [[[AtomicU64; STATUSES]; METHODS]; ENDPOINTS],
    took: [[AtomicU64; BOUNDS.len() + 1]; ENDPOINTS],
    micros: [AtomicU64; ENDPOINTS],
    refusals: [[AtomicU64; CLASSES]; ENDPOINTS],
    tokens: [[AtomicU64; ALGORITHMS]; GRANTS],
    logins: [AtomicU64; Login::ALL.len()],
    alarms: [AtomicU64; Alarm::ALL.len()],
    entries: [AtomicU64; Entry::ALL.len()],
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    array::from_fn(|_| AtomicU64::new(0))
}

fn add(counter: Option<&AtomicU64>, by: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

fn read(counter: Option<&AtomicU64>) -> u64 {
    counter.map_or(0, |c| c.load(Ordering::Relaxed))
}

impl Default for Block {
    fn default() -> Self {
        Self {
            requests: array::from_fn(|_| array::from_fn(|_| zeros())),
            took: array::from_fn(|_| zeros()),
            micros: zeros(),
            refusals: array::from_fn(|_| zeros()),
            tokens: array::from_fn(|_| zeros()),
            logins: zeros(),
            alarms: zeros(),
            entries: zeros(),
        }
    }
}

/// What one request was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    endpoint: Endpoint,
    method: usize,
}

impl Kind {
    pub(crate) fn of(endpoint: Endpoint, method: &Method) -> Self {
        let method = match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => 0,
            Method::POST | Method::PUT | Method::PATCH | Method::DELETE => 1,
            _ => 2,
        };
        Self { endpoint, method }
    }
}

impl Block {
    pub(crate) fn answered(&self, kind: Kind, status: StatusCode, took: Duration) {
        let (at, status) = (kind.endpoint as usize, usize::from(status.as_u16() / 100).saturating_sub(1));
        add(self.requests.get(at).and_then(|m| m.get(kind.method)).and_then(|s| s.get(status)), 1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        add(self.took.get(at).and_then(|b| b.get(bucket)), 1);
        add(self.micros.get(at), micros);
    }

    pub(crate) fn refused(&self, endpoint: Endpoint, class: Class) {
        add(self.refusals.get(endpoint as usize).and_then(|c| c.get(class as usize)), 1);
    }

    pub(crate) fn issued(&self, grant: GrantType, algorithm: Algorithm) {
        let at = Algorithm::ALL.iter().position(|a| *a == algorithm).unwrap_or_default();
        add(self.tokens.get(grant as usize).and_then(|a| a.get(at)), 1);
    }

    pub(crate) fn compared(&self, login: Login) {
        add(self.logins.get(login as usize), 1);
    }

    pub(crate) fn entered(&self, entry: Entry) {
        add(self.entries.get(entry as usize), 1);
    }

    pub(crate) fn alarmed(&self, alarm: Alarm) {
        add(self.alarms.get(alarm as usize), 1);
    }

    /// Requests answered: endpoint, method and status as in [`METHOD_WORDS`] and [`STATUS_WORDS`].
    #[must_use]
    pub fn requests(&self, endpoint: Endpoint, method: usize, status: usize) -> u64 {
        read(self.requests.get(endpoint as usize).and_then(|m| m.get(method)).and_then(|s| s.get(status)))
    }

    /// Requests of an endpoint that took at most [`BOUNDS`]`[bucket]` and more than the bound before; the last one has no bound.
    #[must_use]
    pub fn took(&self, endpoint: Endpoint, bucket: usize) -> u64 {
        read(self.took.get(endpoint as usize).and_then(|b| b.get(bucket)))
    }

    /// Microseconds that the requests of an endpoint took together.
    #[must_use]
    pub fn micros(&self, endpoint: Endpoint) -> u64 {
        read(self.micros.get(endpoint as usize))
    }

    /// Refusals.
    #[must_use]
    pub fn refusals(&self, endpoint: Endpoint, class: Class) -> u64 {
        read(self.refusals.get(endpoint as usize).and_then(|c| c.get(class as usize)))
    }

    /// Access tokens given by a grant, by signature algorithm (an index into [`Algorithm::ALL`]).
    #[must_use]
    pub fn tokens(&self, grant: GrantType, algorithm: usize) -> u64 {
        read(self.tokens.get(grant as usize).and_then(|a| a.get(algorithm)))
    }

    /// Comparisons of passwords.
    #[must_use]
    pub fn logins(&self, login: Login) -> u64 {
        read(self.logins.get(login as usize))
    }

    /// People let in.
    #[must_use]
    pub fn entries(&self, entry: Entry) -> u64 {
        read(self.entries.get(entry as usize))
    }

    /// Alarms of guessing.
    #[must_use]
    pub fn alarms(&self, alarm: Alarm) -> u64 {
        read(self.alarms.get(alarm as usize))
    }
}

/// All counters. A realm has a block of its own only where the configuration names it: what strangers ask for makes no series.
#[derive(Debug, Default)]
pub struct Figures {
    named: HashMap<String, Block>,
    rest: Block,
}

impl Figures {
    /// With a block for each of these realms.
    #[must_use]
    pub fn of_realms(names: &[String]) -> Self {
        let named = names.iter().map(|name| (name.clone(), Block::default())).collect();
        Self { named, rest: Block::default() }
    }

    /// The block that counts for a realm.
    pub(crate) fn of(&self, realm: Option<&str>) -> &Block {
        realm.and_then(|name| self.named.get(name)).unwrap_or(&self.rest)
    }

    /// All blocks; `None` is that of the realms that are not named.
    pub fn blocks(&self) -> impl Iterator<Item = (Option<&str>, &Block)> {
        let named = self.named.iter().map(|(name, block)| (Some(name.as_str()), block));
        named.chain([(None, &self.rest)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lg_06_what_strangers_name_makes_no_series() {
        let figures = Figures::of_realms(&["acme".to_owned()]);
        let kind = Kind::of(Endpoint::Token, &Method::POST);
        for realm in [Some("acme"), Some("forged\n\"}"), None] {
            figures.of(realm).answered(kind, StatusCode::OK, Duration::from_micros(700));
        }
        let brew = Kind::of(Endpoint::Other, &Method::from_bytes(b"BREW").unwrap());
        figures.of(None).answered(brew, StatusCode::NOT_FOUND, Duration::from_secs(9));
        let seen: Vec<_> = figures.blocks().map(|(name, b)| (name, b.requests(Endpoint::Token, 1, 1))).collect();
        assert_eq!(seen, [(Some("acme"), 1), (None, 2)]);
        let rest = figures.of(None);
        assert_eq!((rest.took(Endpoint::Token, 1), rest.micros(Endpoint::Token)), (2, 1400));
        assert_eq!((rest.requests(Endpoint::Other, 2, 3), rest.took(Endpoint::Other, BOUNDS.len())), (1, 1));
    }

    #[test]
    fn every_word_has_its_place() {
        for (at, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, at, "{endpoint:?} stands elsewhere in ALL");
        }
        for (at, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at);
        }
        for (at, login) in Login::ALL.into_iter().enumerate() {
            assert_eq!(login as usize, at);
        }
        for (at, entry) in Entry::ALL.into_iter().enumerate() {
            assert_eq!(entry as usize, at);
        }
        for (at, alarm) in Alarm::ALL.into_iter().enumerate() {
            assert_eq!(alarm as usize, at);
        }
        assert!(GrantType::ALL.iter().all(|grant| (*grant as usize) < GRANTS));
        let block = Block::default();
        for grant in GrantType::ALL {
            block.issued(grant, Algorithm::ES256);
        }
        let es256 = Algorithm::ALL.iter().position(|a| *a == Algorithm::ES256).unwrap();
        assert!(GrantType::ALL.iter().all(|grant| block.tokens(*grant, es256) == 1));
    }
}
