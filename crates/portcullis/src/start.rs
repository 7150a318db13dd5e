//! Opening the store and the identity provider: the part every command shares.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use portcullis_client::Traces;
use portcullis_core::entropy::uuid;
use portcullis_core::secret::Secret;
use portcullis_guard::RevocationFeed;
use portcullis_idp::import::{Bootstrap, ImportError, ImportOptions, Progress};
use portcullis_idp::watch::Figures;
use portcullis_idp::{Deps, Idp, IdpConfig, Local, Watch};
use portcullis_store::{Db, MemoryEphemeral, OpenError, OpenOptions, ServerKeys};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::{Stopwatch, SystemClock, SystemEntropy};
use crate::command::Environment;
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::telemetry::Ring;
use crate::telemetry::control::{self, Asked};
use crate::telemetry::metrics::Sources;
use crate::telemetry::spans;

/// Shortest bootstrap password beyond loopback, characters.
const SHORTEST_PASSWORD: usize = 12;

/// Where the data lives.
pub enum Place {
    /// In a folder.
    Folder(DataFolder, ServerKeys),
    /// In memory.
    Memory(ServerKeys),
}

/// An open store and the idp over it.
pub struct Started {
    /// The idp.
    pub idp: Idp,
    /// The store.
    pub db: Db,
    /// The refusals of the last hour.
    pub refusals: Arc<Ring>,
    /// Counters of the idp.
    pub figures: Arc<Figures>,
    /// Short-lived values.
    pub ephemeral: Arc<MemoryEphemeral>,
    /// The data folder; `None` in memory.
    pub folder: Option<PathBuf>,
    /// What the guard of an API in this process follows, once there is one.
    pub followed: Arc<OnceLock<Arc<RevocationFeed>>>,
}

impl Started {
    /// What the metrics page is made of.
    #[must_use]
    pub fn sources(&self) -> Sources {
        Sources {
            figures: Arc::clone(&self.figures),
            idp: self.idp.clone(),
            db: self.db.clone(),
            ephemeral: Arc::clone(&self.ephemeral),
            refusals: Arc::clone(&self.refusals),
            followed: Arc::clone(&self.followed),
        }
    }

    /// Answers commands on the control socket until `stop`; it stands when this returns. In memory there is none.
    pub fn control(&self, stop: watch::Receiver<bool>) -> JoinHandle<()> {
        // Before the server says that it is ready: whoever reads that may ask.
        let control = self.folder.as_deref().and_then(control::open);
        let asked = Asked { refusals: Arc::clone(&self.refusals), idp: self.idp.clone() };
        tokio::spawn(async move {
            if let Some(control) = control {
                control::serve(control, asked, stop).await;
            }
        })
    }
}

/// What is seen of an idp.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The realms that metrics count each by itself.
    pub counted: &'a [String],
    /// Whether there is a collector of traces.
    pub traced: bool,
}

/// Opens store and idp.
///
/// # Errors
/// One line: a locked or read-only folder, a wrong key, a broken theme.
pub async fn open(place: Place, config: IdpConfig, seen: Seen<'_>) -> Result<Started, Failure> {
    let Seen { counted, traced } = seen;
    let clock = Stopwatch::start();
    let options = OpenOptions::default();
    let (db, folder) = match place {
        Place::Folder(folder, keys) => {
            let db = Db::open(folder.path(), keys, options).map_err(|error| storage(folder.path(), &error))?;
            (db, Some(folder.path().to_owned()))
        }
        Place::Memory(keys) => {
            (Db::in_memory_with(keys, options).map_err(|e| Failure::failed(format!("memory: {e}")))?, None)
        }
    };
    let ephemeral = Arc::new(MemoryEphemeral::new(uuid(&SystemEntropy)));
    let deps = Deps {
        db: db.clone(),
        ephemeral: ephemeral.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        config,
    };
    let refusals = Arc::new(Ring::default());
    let figures = Arc::new(Figures::of_realms(counted));
    let watch = Watch {
        refusals: refusals.clone(),
        figures: Arc::clone(&figures),
        elapsed: Arc::new(move || clock.elapsed()),
        traces: traced.then(|| Traces::new(spans::traceparent)),
    };
    let idp = Idp::open_with(deps, Arc::new(Local), watch).await.map_err(|e| Failure::configuration(e.to_string()))?;
    Ok(Started { idp, db, refusals, figures, ephemeral, folder, followed: Arc::default() })
}

fn storage(folder: &Path, error: &OpenError) -> Failure {
    let line = match error {
        OpenError::Locked(_) | OpenError::ReadOnly(_) | OpenError::NotADatabase(_) | OpenError::NotOurs(_) => {
            error.to_string()
        }
        OpenError::KeyMissing(_)
        | OpenError::WrongKey(_)
        | OpenError::NewerSchema { .. }
        | OpenError::ChangedStep(_)
        | OpenError::Storage(_) => format!("{}: {error}", folder.display()),
    };
    match error {
        OpenError::Locked(_) => Failure::busy(line),
        OpenError::KeyMissing(_) | OpenError::WrongKey(_) => Failure::configuration(line),
        OpenError::ReadOnly(_)
        | OpenError::NotADatabase(_)
        | OpenError::NotOurs(_)
        | OpenError::NewerSchema { .. }
        | OpenError::ChangedStep(_)
        | OpenError::Storage(_) => Failure::failed(line),
    }
}

/// Makes the master realm with the first administrator of the environment, once.
///
/// # Errors
/// A weak password beyond loopback; half a pair of variables.
pub async fn bootstrap(started: &Started, environment: &Environment, loopback: bool) -> Result<(), Failure> {
    let name = environment.get("KC_BOOTSTRAP_ADMIN_USERNAME");
    let password = environment.get("KC_BOOTSTRAP_ADMIN_PASSWORD");
    let first = match (name, password) {
        (Some(name), Some(password)) => Some((name, Secret::new(password))),
        (None, None) => None,
        _ => {
            return Err(Failure::configuration(
                "KC_BOOTSTRAP_ADMIN_USERNAME and KC_BOOTSTRAP_ADMIN_PASSWORD must be set together",
            ));
        }
    };
    if let Some((name, password)) = &first
        && !loopback
        && is_weak(name, password.expose())
    {
        return Err(Failure::configuration(format!(
            "KC_BOOTSTRAP_ADMIN_PASSWORD: too weak for a server beyond loopback; use at least {SHORTEST_PASSWORD} characters that are not the user name"
        )));
    }
    let Some((name, password)) = first else {
        let master = started.db.realm_records("master").await.map_err(|e| Failure::failed(format!("storage: {e}")))?;
        if master.is_none() {
            println!(
                "There is no administrator yet: start once with KC_BOOTSTRAP_ADMIN_USERNAME and KC_BOOTSTRAP_ADMIN_PASSWORD set."
            );
        }
        return Ok(());
    };
    let made = started.idp.bootstrap_master(name, &password).await;
    if made.map_err(|e| Failure::failed(format!("master realm: {e}")))? == Bootstrap::AlreadyThere {
        println!("The master realm exists: KC_BOOTSTRAP_ADMIN_USERNAME and KC_BOOTSTRAP_ADMIN_PASSWORD are ignored.");
    }
    Ok(())
}

fn is_weak(name: &str, password: &str) -> bool {
    let mut letters: Vec<char> = password.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    password.chars().count() < SHORTEST_PASSWORD
        || letters.len() < 5
        || password.to_lowercase().contains(&name.to_lowercase())
}

/// Imports realm files; a realm that exists is left as it is.
///
/// # Errors
/// The file and the first thing wrong with it.
pub async fn import(started: &Started, files: &[PathBuf]) -> Result<(), Failure> {
    for file in files {
        let bytes =
            std::fs::read(file).map_err(|e| Failure::not_found(format!("realm file {}: {e}", file.display())))?;
        let options = ImportOptions { strict: false, progress: Some(progress(file)) };
        match started.idp.import_realm(&bytes, options).await {
            Ok(made) => {
                println!(
                    "Imported realm {}: {} users, {} clients, from {}",
                    made.name,
                    made.users,
                    made.clients,
                    file.display()
                );
            }
            Err(ImportError::Exists(realm)) => {
                println!("Realm {realm} exists: {} is not imported again", file.display());
            }
            Err(error) => return Err(Failure::configuration(format!("realm file {}: {error}", file.display()))),
        }
    }
    Ok(())
}

/// A line for every thousand passwords: hashing many takes a while.
fn progress(file: &Path) -> Progress {
    let name = file.display().to_string();
    Arc::new(move |done, of| {
        if of >= 1000 && (done % 1000 == 0 || done == of) {
            eprintln!("{name}: {done} of {of} passwords hashed");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_known() {
        for (password, weak) in
            [("admin", true), ("aaaaaaaaaaaaaaaa", true), ("my-admin-password", true), ("correct horse battery", false)]
        {
            assert_eq!(is_weak("admin", password), weak, "{password}");
        }
    }
}
