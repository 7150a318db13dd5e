//! How often and how many at once: a server that calls addresses of strangers must not become a weapon against them (SS-12).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Calls to one host at once.
const AT_ONCE: usize = 4;
/// Calls at once, to whomever.
const AT_ONCE_IN_ALL: usize = 32;
/// Calls to one host in a [`WINDOW`].
const PER_WINDOW: u32 = 60;
/// What the rate is counted in.
const WINDOW: Duration = Duration::from_secs(60);
/// Hosts remembered.
const MOST_HOSTS: usize = 4096;

struct Host {
    since: Instant,
    calls: u32,
    open: usize,
}

/// The calls of one door.
#[derive(Clone, Default)]
pub(super) struct Traffic(Arc<Mutex<HashMap<String, Host>>>);

impl std::fmt::Debug for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Traffic")
    }
}

/// A call under way; its end is its drop.
pub(super) struct Turn {
    traffic: Traffic,
    host: String,
}

impl Traffic {
    /// A place for one more call; `None`: not now.
    pub(super) fn enter(&self, host: &str) -> Option<Turn> {
        let now = Instant::now();
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, known| known.open > 0 || now.duration_since(known.since) < WINDOW);
        let busy: usize = hosts.values().map(|known| known.open).sum();
        if busy >= AT_ONCE_IN_ALL || (hosts.len() >= MOST_HOSTS && !hosts.contains_key(host)) {
            return None;
        }
        let known = hosts.entry(host.to_owned()).or_insert(Host { since: now, calls: 0, open: 0 });
        if now.duration_since(known.since) >= WINDOW {
            (known.since, known.calls) = (now, 0);
        }
        if known.open >= AT_ONCE || known.calls >= PER_WINDOW {
            return None;
        }
        (known.open, known.calls) = (known.open + 1, known.calls + 1);
        Some(Turn { traffic: self.clone(), host: host.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut hosts = self.traffic.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hosts.get_mut(&self.host) {
            known.open = known.open.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ss_12_one_host_is_called_rarely_and_by_few_at_once() {
        let traffic = Traffic::default();
        let open: Vec<_> = (0..AT_ONCE).map(|_| traffic.enter("a").unwrap()).collect();
        assert!(traffic.enter("a").is_none(), "too many at once");
        assert!(traffic.enter("b").is_some(), "another host");
        drop(open);
        for _ in AT_ONCE..PER_WINDOW as usize {
            assert!(traffic.enter("a").is_some());
        }
        assert!(traffic.enter("a").is_none(), "too many in a minute");
        tokio::time::advance(WINDOW).await;
        assert!(traffic.enter("a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn ss_12_all_hosts_together_are_bounded() {
        let traffic = Traffic::default();
        let open: Vec<_> = (0..AT_ONCE_IN_ALL).map(|n| traffic.enter(&format!("h{n}")).unwrap()).collect();
        assert!(traffic.enter("one-more").is_none());
        drop(open);
        for n in 0..MOST_HOSTS {
            drop(traffic.enter(&format!("m{n}")));
        }
        assert!(traffic.enter("another").is_none(), "what is remembered is bounded");
        tokio::time::advance(WINDOW).await;
        assert!(traffic.enter("another").is_some());
    }
}
