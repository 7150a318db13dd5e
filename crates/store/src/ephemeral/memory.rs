//! Process memory: for one instance. Bounded in number per kind; what expired goes first, then what ends soonest.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use portcullis_core::ids::RealmId;
use portcullis_core::time::Now;
use std::hash::{BuildHasher as _, RandomState};
use tokio::sync::broadcast;

use super::{Ephemeral, EphemeralError, Key, Kind};

const SHARDS: usize = 16;
const KINDS: usize = 7;

/// Expired values removed by the way, each time one is stored.
const COLLECTED: usize = 4;

/// Most values of each kind (DS-14, DS-16).
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// [`Kind::LoginFlow`]
    pub login_flows: usize,
    /// [`Kind::Code`]
    pub codes: usize,
    /// [`Kind::LoginSlot`]
    pub login_slots: usize,
    /// [`Kind::Replay`]: when full, new proofs are refused, for dropping one would let it be replayed.
    pub replays: usize,
    /// [`Kind::Rate`]
    pub rates: usize,
    /// [`Kind::Lease`]: when full, refused.
    pub leases: usize,
    /// [`Kind::Restart`]
    pub restarts: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            login_flows: 50_000,
            codes: 50_000,
            login_slots: 50_000,
            replays: 500_000,
            rates: 100_000,
            leases: 10_000,
            restarts: 50_000,
        }
    }
}

const fn index(kind: Kind) -> usize {
    match kind {
        Kind::LoginFlow => 0,
        Kind::Code => 1,
        Kind::LoginSlot => 2,
        Kind::Replay => 3,
        Kind::Rate => 4,
        Kind::Lease => 5,
        Kind::Restart => 6,
    }
}

/// Whether a value may be dropped before its end.
const fn may_drop(kind: Kind) -> bool {
    match kind {
        Kind::Replay | Kind::Lease => false,
        Kind::LoginFlow | Kind::Code | Kind::LoginSlot | Kind::Rate | Kind::Restart => true,
    }
}

enum Content {
    Bytes(Vec<u8>),
    Count(i64),
    Lease { holder: String, fence: u64 },
}

impl Content {
    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(bytes.clone()),
            Self::Count(number) => Some(number.to_string().into_bytes()),
            Self::Lease { .. } => None,
        }
    }
}

struct Entry {
    content: Content,
    expires_at: i64,
    order: u64,
}

type Name = (RealmId, String);

#[derive(Default)]
struct Shard {
    values: HashMap<Name, Entry>,
    by_end: BTreeMap<(i64, u64), Name>,
}

impl Shard {
    fn remove(&mut self, name: &Name) -> Option<Entry> {
        let entry = self.values.remove(name)?;
        self.by_end.remove(&(entry.expires_at, entry.order));
        Some(entry)
    }

    /// The value if it has not ended; an ended one is removed.
    fn live(&mut self, name: &Name, now: i64) -> Option<&mut Entry> {
        if self.values.get(name).is_some_and(|entry| entry.expires_at <= now) {
            self.remove(name);
        }
        self.values.get_mut(name)
    }

    fn drop_first(&mut self) {
        if let Some((_, name)) = self.by_end.pop_first() {
            self.values.remove(&name);
        }
    }

    fn collect(&mut self, now: i64) {
        for _ in 0..COLLECTED {
            match self.by_end.first_key_value() {
                Some(((end, _), _)) if *end <= now => self.drop_first(),
                _ => break,
            }
        }
    }

    fn insert(&mut self, name: Name, entry: Entry) {
        self.remove(&name);
        self.by_end.insert((entry.expires_at, entry.order), name.clone());
        self.values.insert(name, entry);
    }
}

/// [`Ephemeral`] of one process.
pub struct MemoryEphemeral {
    shards: [Vec<Mutex<Shard>>; KINDS],
    bounds: [usize; KINDS],
    hash: RandomState,
    order: AtomicU64,
    fence: AtomicU64,
    topics: Mutex<HashMap<String, broadcast::Sender<()>>>,
    generation: String,
}

impl MemoryEphemeral {
    /// Empty. `generation` is its birth mark: another one at each start (the start's time and random bytes).
    pub fn new(generation: impl Into<String>) -> Self {
        Self::with_bounds(generation, Bounds::default())
    }

    /// With other bounds.
    pub fn with_bounds(generation: impl Into<String>, bounds: Bounds) -> Self {
        let bounds = [
            bounds.login_flows,
            bounds.codes,
            bounds.login_slots,
            bounds.replays,
            bounds.rates,
            bounds.leases,
            bounds.restarts,
        ];
        Self {
            shards: bounds.map(|bound| (0..bound.clamp(1, SHARDS)).map(|_| Mutex::default()).collect()),
            bounds,
            hash: RandomState::new(),
            order: AtomicU64::new(0),
            fence: AtomicU64::new(0),
            topics: Mutex::default(),
            generation: generation.into(),
        }
    }

    /// How many values of a kind are held, ended ones included until they are collected.
    #[must_use]
    pub fn len(&self, kind: Kind) -> usize {
        let shards = self.shards.get(index(kind));
        shards.into_iter().flatten().map(|s| lock(s).values.len()).sum()
    }

    /// Whether nothing of a kind is held.
    #[must_use]
    pub fn is_empty(&self, kind: Kind) -> bool {
        self.len(kind) == 0
    }

    fn shard(&self, key: &Key) -> Result<(MutexGuard<'_, Shard>, Name), EphemeralError> {
        let name = (key.realm.clone(), key.id.clone());
        let shards = self.shards.get(index(key.kind)).map_or(&[][..], Vec::as_slice);
        let hash = usize::try_from(self.hash.hash_one(&name) >> 32).unwrap_or(0);
        let shard = shards.get(hash % shards.len().max(1));
        let shard = shard.ok_or_else(|| EphemeralError::Unavailable("no shard".to_owned()))?;
        Ok((lock(shard), name))
    }

    /// Makes room and stores.
    fn store(
        &self,
        shard: &mut Shard,
        (kind, name): (Kind, Name),
        content: Content,
        (expires_at, now): (i64, i64),
    ) -> Result<(), EphemeralError> {
        shard.remove(&name);
        shard.collect(now);
        let (bound, shards) =
            (self.bounds.get(index(kind)).copied().unwrap_or(0), self.shards.get(index(kind)).map_or(1, Vec::len));
        if shard.values.len() >= (bound / shards).max(1) {
            if !may_drop(kind) {
                return Err(EphemeralError::Full);
            }
            shard.drop_first();
        }
        let order = self.order.fetch_add(1, Ordering::Relaxed);
        shard.insert(name, Entry { content, expires_at, order });
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Ephemeral for MemoryEphemeral {
    async fn put_new(&self, key: &Key, value: Vec<u8>, expires_at: i64, now: Now) -> Result<bool, EphemeralError> {
        let (mut shard, name) = self.shard(key)?;
        if shard.live(&name, now.secs()).is_some() {
            return Ok(false);
        }
        let times = (expires_at, now.secs());
        self.store(&mut shard, (key.kind, name), Content::Bytes(value), times)?;
        Ok(true)
    }

    async fn put(&self, key: &Key, value: Vec<u8>, expires_at: i64, now: Now) -> Result<(), EphemeralError> {
        let (mut shard, name) = self.shard(key)?;
        let times = (expires_at, now.secs());
        self.store(&mut shard, (key.kind, name), Content::Bytes(value), times)
    }

    async fn get(&self, key: &Key, now: Now) -> Result<Option<Vec<u8>>, EphemeralError> {
        let (mut shard, name) = self.shard(key)?;
        Ok(shard.live(&name, now.secs()).and_then(|entry| entry.content.bytes()))
    }

    async fn take(&self, key: &Key, now: Now) -> Result<Option<Vec<u8>>, EphemeralError> {
        let (mut shard, name) = self.shard(key)?;
        if shard.live(&name, now.secs()).is_none() {
            return Ok(None);
        }
        Ok(shard.remove(&name).and_then(|entry| entry.content.bytes()))
    }

    async fn touch(&self, key: &Key, expires_at: i64, now: Now) -> Result<bool, EphemeralError> {
        let (mut shard, name) = self.shard(key)?;
        if shard.live(&name, now.secs()).is_none() {
            return Ok(false);
        }
        let Some(mut entry) = shard.remove(&name) else {
            return Ok(false);
        };
        entry.expires_at = expires_at;
        shard.insert(name, entry);
        Ok(true)
    }

    async fn bump(&self, key: &Key, delta: i64, expires_at: i64, now: Now) -> Result<i64, EphemeralError> {
        let (mut shard, name) = self.shard(key)?;
        if let Some(entry) = shard.live(&name, now.secs())
            && let Content::Count(number) = &mut entry.content
        {
            *number = number.saturating_add(delta);
            return Ok(*number);
        }
        let times = (expires_at, now.secs());
        self.store(&mut shard, (key.kind, name), Content::Count(delta), times)?;
        Ok(delta)
    }

    async fn lease(&self, key: &Key, holder: &str, expires_at: i64, now: Now) -> Result<Option<u64>, EphemeralError> {
        let (mut shard, name) = self.shard(key)?;
        let mut fence = None;
        if let Some(entry) = shard.live(&name, now.secs()) {
            match &entry.content {
                Content::Lease { holder: other, fence: held } if other == holder => fence = Some(*held),
                Content::Lease { .. } | Content::Bytes(_) | Content::Count(_) => return Ok(None),
            }
        }
        let fence = fence.unwrap_or_else(|| self.fence.fetch_add(1, Ordering::Relaxed) + 1);
        let content = Content::Lease { holder: holder.to_owned(), fence };
        let times = (expires_at, now.secs());
        self.store(&mut shard, (key.kind, name), content, times)?;
        Ok(Some(fence))
    }

    async fn release(&self, key: &Key, holder: &str) -> Result<bool, EphemeralError> {
        let (mut shard, name) = self.shard(key)?;
        let held = shard
            .values
            .get(&name)
            .is_some_and(|entry| matches!(&entry.content, Content::Lease { holder: h, .. } if h == holder));
        if held {
            shard.remove(&name);
        }
        Ok(held)
    }

    async fn wake(&self, topic: &str) -> Result<(), EphemeralError> {
        let mut topics = lock(&self.topics);
        if let Some(sender) = topics.get(topic)
            && sender.send(()).is_err()
        {
            topics.remove(topic);
        }
        Ok(())
    }

    async fn subscribe(&self, topic: &str) -> Result<broadcast::Receiver<()>, EphemeralError> {
        let mut topics = lock(&self.topics);
        topics.retain(|name, sender| name == topic || sender.receiver_count() > 0);
        Ok(topics.entry(topic.to_owned()).or_insert_with(|| broadcast::channel(16).0).subscribe())
    }

    async fn generation(&self) -> Result<String, EphemeralError> {
        Ok(self.generation.clone())
    }
}
