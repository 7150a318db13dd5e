//! Rates: how often one place may try something within a time. They may be lost; nothing is allowed by that but another try.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use portcullis_core::ids::RealmId;
use portcullis_core::time::Now;
use portcullis_store::{Key, Kind};

use crate::state::{App, Unavailable};

/// The window of requests and of wrong secrets, seconds: what `Retry-After` says.
pub(crate) const WINDOW: i64 = 60;

/// One thing that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Its name.
    pub(crate) name: &'static str,
    /// So many within the window, then no more until it is over.
    pub(crate) most: i64,
    /// Seconds from the first one on.
    pub(crate) window: i64,
}

impl Rate {
    fn key(&self, realm: &RealmId, who: &str) -> Key {
        Key::new(Kind::Rate, realm.clone(), format!("{}/{who}", self.name))
    }

    /// Counts one; whether it is still within the rate. Counted before the try is looked at, so that tries at the same time do
    /// not pass together.
    pub(crate) async fn take(&self, app: &App, realm: &RealmId, who: &str, now: Now) -> Result<bool, Unavailable> {
        Ok(self.add(app, realm, who, now).await? <= self.most)
    }

    /// Counts one; how many there are.
    pub(crate) async fn add(&self, app: &App, realm: &RealmId, who: &str, now: Now) -> Result<i64, Unavailable> {
        let end = now.secs().saturating_add(self.window);
        app.ephemeral.bump(&self.key(realm, who), 1, end, now).await.map_err(|_| Unavailable)
    }

    /// How many there are.
    pub(crate) async fn count(&self, app: &App, realm: &RealmId, who: &str, now: Now) -> Result<i64, Unavailable> {
        let found = app.ephemeral.get(&self.key(realm, who), now).await.map_err(|_| Unavailable)?;
        let text = found.as_deref().map(std::str::from_utf8).transpose().map_err(|_| Unavailable)?;
        text.map_or(Ok(0), |text| text.parse().map_err(|_| Unavailable))
    }

    /// Takes one back: it was no failure.
    pub(crate) async fn give_back(&self, app: &App, realm: &RealmId, who: &str, now: Now) -> Result<(), Unavailable> {
        let end = now.secs().saturating_add(self.window);
        app.ephemeral.bump(&self.key(realm, who), -1, end, now).await.map(drop).map_err(|_| Unavailable)
    }
}

/// The place of an address: one IPv4 address, or the 64 bits of IPv6 that one household has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Place<'a> {
    V4(Ipv4Addr),
    V6([u16; 4]),
    Other(&'a str),
}

impl<'a> Place<'a> {
    pub(crate) fn of(ip: &'a str) -> Self {
        match ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
            Ok(IpAddr::V4(ip)) => Self::V4(ip),
            Err(_) => Self::Other(ip),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip) => ip.fmt(f),
            Self::V6([a, b, c, d]) => write!(f, "{a:x}:{b:x}:{c:x}:{d:x}::"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// [`Place`] as text.
pub(crate) fn place(ip: &str) -> String {
    Place::of(ip).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pc_20_addresses_of_one_household_are_one_place() {
        for (one, other, same) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            assert_eq!(place(one) == place(other), same, "{one} {other}");
        }
    }
}
