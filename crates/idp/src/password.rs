//! Passwords: hashing and verifying on threads of their own.
//!
//! **Owns** the pool (one thread and one Argon2 memory block per core), the queue per realm served in turn, Keycloak's
//! JSON forms of a password credential, the limits of what is hashed at all.
//! **Does not own** which user it is, how often one may try ([`portcullis_core::login::brute_force`]), the policy.
//! **Flow** [`PasswordPool::verify`] -> length and NUL -> queue -> a worker -> [`Verdict`].

mod encoding;
mod kdf;
mod queue;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_core::entropy::Entropy;
use portcullis_core::ids::RealmId;
use portcullis_core::secret::Secret;
use portcullis_core::user::Credential;
use tracing::Instrument as _;
use unicode_normalization::{UnicodeNormalization, is_nfc};

pub(crate) use encoding::HashedPassword;
use encoding::Stored;
pub(crate) use encoding::check_stored;
use kdf::Workspace;
use queue::{Full, Queue, Ticket};

/// Longest password in bytes. Longer ones are refused before anything is looked up or hashed (DS-09), never cut (P-20).
pub(crate) const MAX_PASSWORD: usize = 4096;

/// How long a password waits for a free thread (DS-08).
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(2);

/// Why nothing was hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unhashed {
    /// The queue is full, or no thread was free in time: 503 with `Retry-After`.
    Busy,
    /// Longer than [`MAX_PASSWORD`], or with a NUL inside: wrong for everybody.
    Unacceptable,
}

/// What a comparison said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether the password fits.
    pub ok: bool,
    /// Whether it should be hashed anew with today's parameters.
    pub upgrade_wanted: bool,
}

/// Figures of the pool since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolFigures {
    /// Key derivations, those for nobody included (EN-01).
    pub hash_calls: u64,
    /// Jobs given up because no thread was free.
    pub busy: u64,
    /// Jobs waiting now.
    pub waiting: u64,
}

/// The threads that hash.
pub struct PasswordPool {
    queue: Arc<Queue<Job>>,
    counters: Arc<Counters>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Default)]
struct Counters {
    hash_calls: AtomicU64,
    busy: AtomicU64,
}

enum Work {
    Hash([u8; 16]),
    Verify(Option<Stored>),
}

struct Job {
    work: Work,
    password: Secret,
    reply: tokio::sync::oneshot::Sender<Done>,
}

enum Done {
    Hashed(HashedPassword),
    Compared(Verdict),
    Failed,
}

impl PasswordPool {
    /// Starts `threads` threads (at least one).
    #[must_use]
    pub fn new(threads: usize, entropy: Arc<dyn Entropy>) -> Self {
        let queue = Arc::new(Queue::new());
        let counters = Arc::new(Counters::default());
        for n in 0..threads.max(1) {
            let (queue, counters) = (Arc::clone(&queue), Arc::clone(&counters));
            let spawned = std::thread::Builder::new().name(format!("password-{n}")).spawn(move || {
                let mut workspace = Workspace::new();
                work(&queue, |job| run(job, &mut workspace, &counters));
            });
            if let Err(error) = spawned {
                tracing::error!(%error, "a password thread cannot be started");
            }
        }
        Self { queue, counters, entropy }
    }

    /// Hashes a new password into Keycloak's JSON forms (argon2id, m=7168, t=5, p=1).
    ///
    /// # Errors
    /// [`Unhashed`].
    pub async fn hash(&self, realm: &RealmId, password: &Secret) -> Result<HashedPassword, Unhashed> {
        acceptable(password)?;
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        match self.submit(realm, Work::Hash(salt), Secret::new(composed(password.expose()))).await? {
            Done::Hashed(hashed) => Ok(hashed),
            Done::Compared(_) | Done::Failed => Err(Unhashed::Busy),
        }
    }

    /// Compares a password with a stored credential. One that cannot be read costs the same and never fits.
    ///
    /// # Errors
    /// [`Unhashed`].
    pub async fn verify(&self, realm: &RealmId, stored: &Credential, password: &Secret) -> Result<Verdict, Unhashed> {
        let stored = Stored::parse(stored.secret_data.expose(), &stored.credential_data);
        if let Err(error) = &stored {
            tracing::warn!(%error, "a stored password cannot be used");
        }
        self.compare(realm, stored.ok(), password).await
    }

    /// The same work for nobody: an unknown user, or one without a password (EN-01).
    ///
    /// # Errors
    /// [`Unhashed`].
    pub async fn verify_nobody(&self, realm: &RealmId, password: &Secret) -> Result<Verdict, Unhashed> {
        self.compare(realm, None, password).await
    }

    /// Key derivations so far.
    #[must_use]
    pub fn hash_calls(&self) -> u64 {
        self.counters.hash_calls.load(Ordering::Relaxed)
    }

    /// Figures for metrics and benchmarks.
    #[must_use]
    pub fn figures(&self) -> PoolFigures {
        PoolFigures {
            hash_calls: self.hash_calls(),
            busy: self.counters.busy.load(Ordering::Relaxed),
            waiting: self.queue.waiting(),
        }
    }

    async fn compare(&self, realm: &RealmId, stored: Option<Stored>, password: &Secret) -> Result<Verdict, Unhashed> {
        acceptable(password)?;
        match self.submit(realm, Work::Verify(stored), password.clone()).await? {
            Done::Compared(verdict) => Ok(verdict),
            Done::Hashed(_) | Done::Failed => Err(Unhashed::Busy),
        }
    }

    async fn submit(&self, realm: &RealmId, work: Work, password: Secret) -> Result<Done, Unhashed> {
        let word = match work {
            Work::Hash(_) => "hash",
            Work::Verify(_) => "compare",
        };
        let span = tracing::info_span!(target: "portcullis::span", "password", portcullis.work = word);
        self.wait(realm, work, password).instrument(span).await
    }

    async fn wait(&self, realm: &RealmId, work: Work, password: Secret) -> Result<Done, Unhashed> {
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        let ticket = self.queue.push(realm, Job { work, password, reply }).map_err(|Full| self.busy())?;
        match tokio::time::timeout(MAX_WAIT, &mut answer).await {
            Ok(done) => done.map_err(|_| self.busy()),
            Err(_) if ticket.give_up() => Err(self.busy()),
            // A thread took it just now: its answer is a hash away.
            Err(_) => answer.await.map_err(|_| self.busy()),
        }
    }

    fn busy(&self) -> Unhashed {
        self.counters.busy.fetch_add(1, Ordering::Relaxed);
        Unhashed::Busy
    }
}

impl Drop for PasswordPool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// DS-09, TE-15: what nobody's password is.
fn acceptable(password: &Secret) -> Result<(), Unhashed> {
    let text = password.expose();
    if text.len() > MAX_PASSWORD || text.contains('\0') { Err(Unhashed::Unacceptable) } else { Ok(()) }
}

/// RFC 8265 §4.2: new passwords are hashed composed (NFC), so that keyboards of all makes agree (P-20).
fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// Does the jobs of a queue until it is closed. DS-26: a job that panics costs its own answer, not the thread.
fn work<J>(queue: &Queue<J>, mut run: impl FnMut(J)) {
    while let Some(job) = queue.next() {
        if std::panic::catch_unwind(AssertUnwindSafe(|| run(job))).is_err() {
            tracing::error!("a password could not be worked on; its request is answered 503");
        }
    }
}

fn run(job: Job, workspace: &mut Workspace, counters: &Counters) {
    let Job { work, password, reply } = job;
    let count = || {
        counters.hash_calls.fetch_add(1, Ordering::Relaxed);
    };
    let done = match work {
        Work::Hash(salt) => {
            count();
            match kdf::derive_current(workspace, password.expose().as_bytes(), &salt) {
                Some(hash) => Done::Hashed(encoding::current(&salt, &hash)),
                None => Done::Failed,
            }
        }
        Work::Verify(stored) => {
            let target = stored.as_ref();
            let mut fits = |text: &str| {
                count();
                kdf::fits(workspace, target, text.as_bytes())
            };
            let text = password.expose();
            // Hashes of moved-in users were made of the bytes as typed, ours of the composed form: try both where they differ.
            let ok = if is_nfc(text) { fits(text) } else { fits(Secret::new(composed(text)).expose()) || fits(text) };
            let ok = ok && !text.is_empty();
            Done::Compared(Verdict { ok, upgrade_wanted: ok && target.is_some_and(|s| !s.is_current()) })
        }
    };
    // Nobody listens any more when the client hung up.
    let _ = reply.send(done);
}

/// Gives a job back to nobody when its request is dropped before a thread took it.
impl Drop for Ticket {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests;
